//! Tables: of records of any kind, and what a cell of theirs says.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    quantity::{Quantity, digits},
    section::Set,
};

/// Members that name what was measured stand first, in this order; the others follow by the alphabet.
const FIRST: [&str; 15] = [
    "peer",
    "encrypted",
    "figure",
    "direction",
    "verdict",
    "role",
    "stations",
    "frame_sizes",
    "frame_bytes",
    "cipher",
    "aead",
    "workers",
    "median",
    "min",
    "max",
];

/// How many records there are, in words.
pub(super) fn count(set: &Set<'_>) -> String {
    match set.items.len() {
        1 => "The record".into(),
        count => format!("All {count} records"),
    }
}

/// All members of all records.
pub(super) fn records(label: &str, set: &Set<'_>) -> Markup {
    let mut columns: Vec<&str> = Vec::new();
    for item in &set.items {
        for (name, _) in item.record.members() {
            if name != "test" && !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    let rank = |name: &str| FIRST.iter().position(|f| *f == name).unwrap_or(FIRST.len());
    columns.sort_by_key(|name| (rank(name), *name));
    let mut tests: Vec<_> = set.items.iter().map(|item| item.record.test()).collect();
    tests.dedup();
    let several = set.items.iter().any(|item| item.run != set.items[0].run);
    scrolling(
        label,
        html! {
            thead { tr {
                @if several { th scope="col" { "file" } }
                @if tests.len() > 1 { th scope="col" { "test" } }
                @for name in &columns { th scope="col" { (name.replace('_', " ")) } }
            } }
            tbody { @for item in &set.items { tr {
                @if several { td { (item.run + 1) } }
                @if tests.len() > 1 { td { (item.record.test()) } }
                @for column in &columns {
                    @let found = item.record.members().find(|(name, _)| name == column);
                    td { (found.map_or(String::new(), |(name, value)| cell(name, value))) }
                }
            } } }
        },
    )
}

/// A table that scrolls by itself where it is wider than the window.
pub(super) fn scrolling(label: &str, content: Markup) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label={ "Table: " (label) } {
            table { (content) }
        }
    }
}

/// A member as text: its name tells the unit.
fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "\u{2013}".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or(number.to_string(), |n| quantity(name, n)),
        Value::Array(values) => format!("{} values", values.len()),
        Value::Object(_) => value.to_string(),
    }
}

fn quantity(name: &str, number: f64) -> String {
    let ends = |end: &str| name.ends_with(end);
    if ends("_share") || ends("_ratio") {
        Quantity::Share.text(number)
    } else if ends("_s") && !ends("_per_s") {
        Quantity::Seconds.text(number)
    } else {
        digits(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_say_their_unit() {
        for (name, value, text) in [
            ("latency_p50_s", json!(0.000_112), "112\u{a0}µs"),
            ("frames_per_s", json!(62_100), "62,100"),
            ("loss_ratio", json!(0.5), "50.0\u{a0}%"),
            ("passed", json!(true), "yes"),
            ("ceiling", json!(null), "\u{2013}"),
            ("latency_cdf", json!([[1, 2], [3, 4]]), "2 values"),
            ("new", json!({"a": 1}), "{\"a\":1}"),
        ] {
            assert_eq!(cell(name, &value), text);
        }
    }
}
