//! The page around the sections: its head, what was measured on what, and what no section knows.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::{
    compare::compare,
    input::Run,
    pipeline::{filter, pipeline},
    quantity::Quantity,
    rfc2544::{rfc2544, traffic},
    section::Set,
    table,
};

/// Colours and places, for light and dark, for phones and for paper.
const STYLE: &str = include_str!("style.css");

/// The tests that have sections of their own.
const KNOWN: [&str; 10] = [
    "compare",
    "filter",
    "generate",
    "pipeline",
    "rfc2544_back_to_back",
    "rfc2544_frame_loss",
    "rfc2544_latency",
    "rfc2544_throughput",
    "sink",
    "soak",
];

/// The whole page. The same files give the same bytes.
pub(super) fn page(title: &str, runs: &[Run]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    @for group in alike(runs) { (measured_on(runs, &group)) }
                }
                main {
                    @for section in [compare, rfc2544, pipeline, filter, traffic, others] {
                        @if let Some(section) = section(runs) { (section) }
                    }
                }
                footer {
                    "causeway-perf " (env!("CARGO_PKG_VERSION")) " report. Frame sizes and bits count the FCS, as RFC 2544 does, \
                    and neither preamble nor gap."
                }
            }
        }
    }
}

/// The runs, those on the same machine with the same versions together.
fn alike(runs: &[Run]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (n, run) in runs.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| runs[group[0]].head.is_like(&run.head);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(n),
            None => groups.push(vec![n]),
        }
    }
    groups
}

fn measured_on(runs: &[Run], group: &[usize]) -> Markup {
    let head = &runs[group[0]].head;
    let debug = head.versions["profile"] == "debug";
    html! {
        div.measured {
            dl {
                dt { "Machine" } dd { (machine(&head.machine)) }
                @if let Some(kernel) = head.kernel.as_str() { dt { "Kernel" } dd { (kernel) } }
                dt { "CPU flags" } dd { (words(&head.cpu_flags)) }
                dt { "Versions" } dd { (versions(&head.versions)) }
            }
            @if debug { p.warning { "This was a debug build: its figures mean nothing. Build with --release." } }
            ol {
                @for n in group {
                    @let run = &runs[*n];
                    li value=(n + 1) {
                        code { (words(&run.head.command)) }
                        small {
                            " "
                            (run.file)
                            @if let Some(written) = &run.written { ", written " (written) }
                        }
                    }
                }
            }
        }
    }
}

fn machine(machine: &Value) -> String {
    let mut parts = vec![machine["cpu"].as_str().unwrap_or("unknown").to_owned()];
    if let Some(cpus) = machine["cpus"].as_u64() {
        parts.push(format!("{cpus} CPUs"));
    }
    if let Some(bytes) = machine["memory_bytes"].as_f64() {
        parts.push(Quantity::Bytes.text(bytes));
    }
    match machine["is_virtual"].as_bool() {
        Some(true) => parts.push("virtual".into()),
        Some(false) => parts.push("not virtual".into()),
        None => {}
    }
    parts.join(", ")
}

/// Texts of an array, with spaces between them.
fn words(value: &Value) -> String {
    let all = value.as_array().into_iter().flatten();
    let texts: Vec<_> = all.filter_map(Value::as_str).collect();
    if texts.is_empty() {
        "unknown".into()
    } else {
        texts.join(" ")
    }
}

fn versions(value: &Value) -> String {
    let all = value.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), Into::into);
    let pairs: Vec<_> = all
        .map(|(name, version)| format!("{name} {}", text(version)))
        .collect();
    if pairs.is_empty() {
        "unknown".into()
    } else {
        pairs.join(", ")
    }
}

/// Records of tests that this program does not know.
fn others(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| !KNOWN.contains(&r.test()));
    if set.items.is_empty() {
        return None;
    }
    let mut tests: Vec<_> = set.items.iter().map(|item| item.record.test()).collect();
    tests.sort_unstable();
    tests.dedup();
    Some(html! {
        section {
            h2 { "Other tests" }
            p.note { "Records of tests that this version has no plots for." }
            @for test in tests {
                h3 { (test) }
                (table::records(test, &set.only(|r| r.test() == test)))
            }
        }
    })
}
