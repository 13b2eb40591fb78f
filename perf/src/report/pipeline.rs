//! The sections of `pipeline` and `filter`: what a frame costs in memory, and in the XDP programs.

use maud::{Markup, html};

use super::{
    input::{Record, Run},
    quantity::Quantity,
    section::{Against, Set, Value, section},
};
use crate::datapath::STATIONS;

const SIZES: (&str, &str) = ("frame_bytes", "frame size, bytes with FCS");

pub(super) fn pipeline(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| r.test() == "pipeline");
    if set.items.is_empty() {
        return None;
    }
    let note = "Frames in memory through the data path of one core, without NIC or kernel: the ceiling of one worker. \
        Whiskers go from the worst round to the best. IMIX stands at its mean size.";
    let directions = set.groups(|r| r.text("direction").map(Into::into));
    let directions: Vec<_> = unique(
        directions
            .iter()
            .map(|(_, items)| items[0].record.text("direction")),
    );
    Some(section(
        "Pipeline: one core in memory",
        note,
        &set,
        html! {
            @for direction in directions {
                @let only = set.only(|r| r.text("direction") == Some(direction));
                (direction_plots(direction, &only))
            }
        },
    ))
}

fn unique<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names.flatten() {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

fn direction_plots(direction: &str, set: &Set<'_>) -> Markup {
    let words = match direction {
        "lan_to_wan" => "LAN to WAN (seal)",
        "wan_to_lan" => "WAN to LAN (open)",
        other => other,
    };
    let plots = [
        (
            "Throughput",
            "higher is better",
            Quantity::GigabitsPerSecond,
            "gbit_per_s",
        ),
        (
            "Frame rate",
            "higher is better",
            Quantity::FramesPerSecond,
            "frames_per_s",
        ),
        (
            "Time per frame",
            "lower is better",
            Quantity::Nanoseconds,
            "ns_per_frame",
        ),
    ];
    html! {
        @for (what, note, quantity, member) in plots {
            @let title = format!("{what}, {words}");
            @let against = Against { title: &title, note, x: SIZES, y: ("", quantity) };
            @if let Some(lines) = against.lines(set, series, |r| spread(r, member)) { (lines.render()) }
        }
    }
}

/// Cipher, what computes it, and what else is not as usual.
fn series(record: &Record) -> Option<String> {
    let cipher = record.text("cipher").unwrap_or("unknown cipher");
    let mut name = match (cipher, record.text("aead")) {
        ("none", _) => "no cipher".to_owned(),
        (cipher, Some(aead)) => format!("{cipher}, {aead}"),
        (cipher, None) => cipher.to_owned(),
    };
    if let Some(workers) = record.number("workers").filter(|w| *w != 1.0) {
        name += &format!(", {workers} workers");
    }
    let usual = |stations: &f64| *stations == STATIONS as f64;
    if let Some(stations) = record.number("stations").filter(|n| !usual(n)) {
        name += &format!(", {stations} stations");
    }
    Some(name)
}

/// The member, and how its rounds were scattered, which a record says in ns per frame.
fn spread(record: &Record, member: &str) -> Option<Value> {
    let value = record.number(member)?;
    let ns = |name: &str| record.number(name).filter(|ns| *ns > 0.0);
    let bounds = (|| Some((ns("ns_per_frame_min")?, ns("ns_per_frame_max")?)))();
    let range = bounds.and_then(|(best, worst)| match member {
        "ns_per_frame" => Some((best, worst)),
        _ => ns("ns_per_frame").map(|median| (value * median / worst, value * median / best)),
    });
    Some((value, range))
}

pub(super) fn filter(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| r.test() == "filter");
    if set.items.is_empty() {
        return None;
    }
    let note = "What the XDP program of a LAN interface takes for a frame, for each verdict, by the number of stations that \
        it knows: what a promiscuous port's flood costs.";
    let roles = unique(
        set.items
            .iter()
            .map(|item| Some(item.record.text("role").unwrap_or(""))),
    );
    Some(section(
        "Filter: the XDP program",
        note,
        &set,
        html! {
            @for role in roles {
                @let only = set.only(|r| r.text("role").unwrap_or("") == role);
                @let title = format!("Time per frame by verdict{}{role}", if role.is_empty() { "" } else { ": " });
                @let against = Against {
                    title: &title,
                    note: "lower is better",
                    x: ("stations", "stations known"),
                    y: ("", Quantity::Nanoseconds),
                };
                @let verdict = |r: &Record| r.text("verdict").map(|v| v.replace('_', " "));
                @if let Some(lines) = against.lines(&only, verdict, |r| spread(r, "ns_per_frame")) { (lines.render()) }
            }
        },
    ))
}
