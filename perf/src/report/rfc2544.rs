//! The sections of `rfc2544`, and of the traffic tools it is made of: `generate`, `sink` and `soak`.

use maud::{Markup, html};

use super::{
    input::{Record, Run},
    plot::{Lines, Look},
    quantity::{Quantity, digits},
    section::{Against, Set, Value, latency, section},
};

const SIZES: (&str, &str) = ("frame_bytes", "frame size, bytes with FCS");

pub(super) fn rfc2544(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| r.test().starts_with("rfc2544_"));
    if set.items.is_empty() {
        return None;
    }
    let note = "The tests of RFC 2544, sections 26.1 to 26.4. Dashed: what the harness does over a bare link, so what it \
        can see at most. IMIX stands at its mean size.";
    let of = |test: &'static str| set.only(move |r| r.test() == test);
    let (delay, loss, burst) = (
        of("rfc2544_latency"),
        of("rfc2544_frame_loss"),
        of("rfc2544_back_to_back"),
    );
    Some(section(
        "RFC 2544",
        note,
        &set,
        html! {
            (throughput(&of("rfc2544_throughput")))
            @if let Some(lines) = latency("Latency (26.2)", &delay, sizes) { (lines.render()) }
            @if let Some(lines) = frame_loss(&loss) { (lines.render()) }
            @if let Some(lines) = bursts(&burst) { (lines.render()) }
        },
    ))
}

fn throughput(set: &Set<'_>) -> Markup {
    let rate = |record: &Record| plain(record.number("frames_per_s")?);
    let bits = |record: &Record| plain(record.number("gbit_per_s")?);
    let ceiling = |record: &Record| plain(record.number("ceiling_frames_per_s")?);
    let title = "Throughput (26.1)";
    let plot = |title, quantity| Against {
        title,
        note: "higher is better",
        x: SIZES,
        y: ("", quantity),
    };
    let tested = |_: &Record| Some("throughput".to_owned());
    let only = |_: &Record| Some(String::new());
    let limit = |_: &Record| Some("harness ceiling".to_owned());
    let frames = plot(title, Quantity::FramesPerSecond).lines(set, tested, rate);
    let limits = plot(title, Quantity::FramesPerSecond).lines(set, limit, ceiling);
    html! {
        @if let Some(lines) = frames { (with_ceiling(lines, limits).render()) }
        @let title = "Throughput (26.1) in bits";
        @if let Some(lines) = plot(title, Quantity::GigabitsPerSecond).lines(set, only, bits) { (lines.render()) }
    }
}

/// The ceiling as one more series, on an axis that holds both unless the ceiling is far away.
fn with_ceiling(mut lines: Lines, ceiling: Option<Lines>) -> Lines {
    let Some(mut ceiling) = ceiling else {
        return lines;
    };
    if lines.y.end() < ceiling.y.end() {
        lines.y = ceiling.y;
    }
    for series in &mut ceiling.series {
        series.look = Look::Ceiling;
    }
    lines.series.append(&mut ceiling.series);
    lines
}

fn frame_loss(set: &Set<'_>) -> Option<Lines> {
    let against = Against {
        title: "Frame loss (26.3)",
        note: "lower is better",
        x: ("offered_frames_per_s", "offered frames/s"),
        y: ("frames lost", Quantity::Share),
    };
    let mut lines = against.lines(set, sizes, |r| plain(r.number("loss_ratio")?))?;
    let offered = lines
        .series
        .iter()
        .flat_map(|s| s.points.iter().map(|p| p.x));
    let offered: Vec<_> = offered.collect();
    lines.x = super::plot::Axis::linear("offered", &Quantity::FramesPerSecond, &offered);
    Some(lines)
}

fn bursts(set: &Set<'_>) -> Option<Lines> {
    let against = Against {
        title: "Back-to-back frames (26.4)",
        note: "longest burst without loss; higher is better",
        x: SIZES,
        y: ("", Quantity::Count("frames")),
    };
    let name = |_: &Record| Some(String::new());
    against.lines(set, name, |r| plain(r.number("burst_frames")?))
}

#[expect(clippy::unnecessary_wraps, reason = "what plots take")]
fn plain(value: f64) -> Option<Value> {
    Some((value, None))
}

fn sizes(record: &Record) -> Option<String> {
    let text = record.sizes()?;
    Some(match text.parse() {
        Ok(bytes) => format!("{} bytes", digits(bytes)),
        Err(_) => text.to_uppercase(),
    })
}

pub(super) fn traffic(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| ["generate", "sink", "soak"].contains(&r.test()));
    if set.items.is_empty() {
        return None;
    }
    let note = "What was sent and what arrived, to the frame.";
    let soaks = set.only(|r| r.test() == "soak");
    let name = |r: &Record| Some(r.test().to_owned());
    Some(section(
        "Traffic",
        note,
        &set,
        html! {
            @for item in &soaks.items {
                (soak(item.record))
            }
            @if let Some(lines) = latency("Latency", &set, name) { (lines.render()) }
        },
    ))
}

/// Whether the error budget held.
fn soak(record: &Record) -> Markup {
    let word = match record.flag("passed") {
        Some(true) => "passed",
        Some(false) => "FAILED",
        None => "ended",
    };
    let count = |name: &str| record.number(name).map(|n| format!("{} {name}", digits(n)));
    let counts = ["received", "lost", "reordered", "duplicated", "corrupted"];
    let counts: Vec<_> = counts.into_iter().filter_map(count).collect();
    html! {
        p.verdict {
            b.warning[word == "FAILED"] { "Soak " (word) }
            @if let Some(elapsed) = record.number("elapsed_s") { " after " (digits(elapsed)) " s" }
            ": " (counts.join(", "))
        }
    }
}
