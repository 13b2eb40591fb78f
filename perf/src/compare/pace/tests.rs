use std::cell::Cell;

use super::{seen::UNKNOWN, *};
use crate::compare::preflight;

#[test]
fn stolen_ticks_of_two_cpus() {
    let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n";
    let ticks = |stolen, all| Ticks { stolen, all };
    assert_eq!(Ticks::parse(text, 0), Some(ticks(8, 36)));
    assert_eq!(Ticks::parse(text, 1), None);
    assert_eq!(ticks(9, 50).since(ticks(8, 36)), ticks(1, 14));
}

#[test]
fn what_disturbs() {
    let none = Ticks::default();
    assert!(disturbance(1.0, 1.1, none) < 1.0 && disturbance(1.1, 1.0, none) < 1.0);
    assert!(disturbance(1.0, 1.2, none) > 1.0 && disturbance(1.2, 1.0, none) > 1.0);
    let stolen = |stolen| Ticks { stolen, all: 60 };
    assert!(disturbance(1.0, 1.0, stolen(2)) < 1.0);
    assert!(disturbance(1.0, 1.0, stolen(3)) > 1.0);
}

#[test]
fn repetitions_are_bounded() {
    let cpus = preflight::choose(None).expect("two CPUs");
    let mut pace = Pace::watch(cpus).expect("pipes");
    let count = Cell::new(0);
    let trial = || {
        count.set(count.get() + 1);
        Ok(count.get())
    };
    let value = pace.steady(trial).expect("no error");
    assert!((1..=2).contains(&value), "one in four may be repeated");
    assert_eq!(count.get(), 1 + pace.repeated);
    assert_eq!(pace.references.len(), 2 * count.get());
    pace.repeated = usize::MAX;
    assert_eq!(pace.steady(trial).expect("no error"), count.get());
    let failed = pace.steady(|| -> Result { Err(Error::Failed("it broke".into())) });
    assert!(failed.is_err());
}

#[test]
fn the_pace_is_held_against_the_fastest_run() {
    let seen = Seen::of(&[2.0, 4.0, 2.0], &[1.0, 3.0]);
    let expected = Spread {
        median: 0.5,
        min: 0.25,
        max: 0.5,
    };
    assert_eq!((seen.pace, seen.known), (Some(expected), 2));
    // Three runs are too few to know.
    assert!(Seen::of(&[1.0; 9], &[1.0, 1.0]).sigma == UNKNOWN);
    assert_eq!(Seen::of(&[1.0; 9], &[1.0; 3]).sigma, 0.0);
    let sigma = Seen::of(&[1.0; 9], &[1.2, 1.0, 1.2]).sigma;
    assert!((0.10..0.11).contains(&sigma), "{sigma}");
}

#[test]
fn a_run_that_saw_the_pace_change_expects_it() {
    let drifting: Vec<_> = (0..30).map(|n| 1.0 + f64::from(n) * 0.02).collect();
    let sigma = Seen::of(&drifting, &[1.3; 5]).sigma;
    assert!((0.1..0.2).contains(&sigma), "{sigma}");
}
