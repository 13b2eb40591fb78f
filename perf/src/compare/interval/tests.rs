use super::*;

const SIZES: Option<crate::sizes::FrameSizes> = None;

fn samples(rounds: &[[f64; 2]]) -> Samples {
    let mut samples = Samples::default();
    for [saturation, offered] in rounds {
        samples.add(Figure::Saturation, SIZES, *saturation);
        samples.add(Figure::Offered, SIZES, *offered);
    }
    samples
}

#[test]
fn points_of_student() {
    for (freedom, table) in [
        (3, 3.182),
        (5, 2.571),
        (10, 2.228),
        (30, 2.042),
        (1_000, 1.962),
    ] {
        let error = student(freedom) / table - 1.0;
        assert!(error.abs() < 0.02, "{freedom}: {error}");
    }
}

#[test]
fn the_spread_has_what_was_measured_and_the_pace() {
    let samples = samples(&[[100.0, 200.0], [110.0, 190.0], [90.0, 210.0]]);
    let interval = |between| {
        let scatter = Scatter::of([&samples].into_iter(), between);
        scatter.interval(Figure::Saturation, &[100.0, 110.0, 90.0])
    };
    let (low, high) = interval(0.0);
    assert!(low < 90.0 && 110.0 < high, "{low} {high}");
    assert!(
        70.0 < low && high < 140.0,
        "it says something: {low} {high}"
    );
    let (wider_low, wider_high) = interval(0.1);
    assert!(wider_low < low && high < wider_high);
    assert!(
        (wider_low * wider_high - 1e4).abs() < 1e-6,
        "as far down as up"
    );
}

#[test]
fn a_lucky_figure_borrows_the_scatter_of_its_kind() {
    let samples = samples(&[[100.0, 200.0], [100.0, 150.0], [100.0, 250.0]]);
    let scatter = Scatter::of([&samples].into_iter(), 0.0);
    let (low, high) = scatter.interval(Figure::Saturation, &[100.0; 3]);
    assert!(low < 90.0 && 110.0 < high, "{low} {high}");
    // But what is not of its kind does not concern it.
    assert_eq!(scatter.interval(Figure::Tcp1, &[100.0; 3]), (100.0, 100.0));
    assert_eq!(scatter.interval(Figure::Rss, &[5.0, 9.0]), (5.0, 9.0));
}

#[test]
fn numbers_that_are_none_or_nothing() {
    let scatter = Scatter::of(std::iter::empty(), 0.1);
    assert_eq!(scatter.interval(Figure::Saturation, &[0.0]), (0.0, 0.0));
    let (low, high) = scatter.interval(Figure::Saturation, &[100.0]);
    assert!(
        low < 80.0 && 120.0 < high,
        "one round knows the pace alone: {low} {high}"
    );
    assert_eq!(scatter.interval(Figure::Recovery, &[3.0]), (3.0, 3.0));
}

/// Pairs of runs of a machine with this scatter and change of pace: how often the median of the second is in the spread of
/// the first. 200 pairs from a linear congruential generator (Knuth, MMIX), so always the same ones.
#[test]
fn a_second_run_falls_into_the_spread_of_the_first() {
    let mut state = 1_u64;
    let mut normal = || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    };
    let (within, between) = (0.05, 0.1);
    let mut run = || {
        let pace = between * normal();
        let mut value = |size: f64| size * f64::exp(pace + within * normal());
        samples(&[0; 3].map(|_| [value(5e5), value(2e6)]))
    };
    let mut inside = 0;
    for _ in 0..200 {
        let (first, second) = (run(), run());
        let scatter = Scatter::of([&first].into_iter(), between);
        let (low, high) =
            scatter.interval(Figure::Saturation, &first.of(Figure::Saturation, SIZES));
        let median = second
            .spread(Figure::Saturation, SIZES)
            .expect("three values")
            .median;
        inside += u32::from((low..=high).contains(&median));
    }
    assert!((180..=199).contains(&inside), "{inside} of 200");
}
