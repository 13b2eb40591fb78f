//! The comparison in numbers.

use maud::{Markup, html};

use super::{Better, Column, Peer, range};
use crate::report::{
    input::Record,
    plot::Look,
    quantity::{Unit, digits},
    section::Set,
    table::scrolling,
};

/// Peers that were wanted and are not there, each with the reason: never left out in silence.
pub(super) fn missing(absent: &Set<'_>) -> Markup {
    html! {
        @if !absent.items.is_empty() {
            ul.absent {
                @for item in &absent.items {
                    @let peer = item.record.text("peer").unwrap_or("(no name)");
                    @let what = item.record.text("figure").unwrap_or("absent");
                    li {
                        b { (absent.tagged(peer, item.run)) } " is " (what) ": "
                        (item.record.text("reason").unwrap_or("no reason is given"))
                    }
                }
            }
        }
    }
}

/// causeway beside the best other that encrypts, figure by figure.
pub(super) fn brief(peers: &[Peer], columns: &[Column<'_>]) -> Markup {
    let rows: Vec<_> = columns.iter().filter_map(|c| brief_row(peers, c)).collect();
    html! {
        @if !rows.is_empty() {
            div.brief { (scrolling("causeway beside the best peer", html! {
                thead { tr {
                    th scope="col" { "Figure" }
                    th scope="col" { "causeway" }
                    th scope="col" { "Best peer that encrypts" }
                    th scope="col" { "causeway is" }
                } }
                tbody { @for row in rows { (row) } }
            })) }
        }
    }
}

fn brief_row(peers: &[Peer], column: &Column<'_>) -> Option<Markup> {
    let figure = &column.figure;
    let lower = match figure.better {
        Better::Higher => false,
        Better::Lower => true,
        Better::Unknown => return None,
    };
    let best = |look: Look| {
        let of = column
            .records
            .iter()
            .filter(|(peer, _)| peers[*peer].look == look);
        let valued =
            of.filter_map(|(peer, record)| Some((*peer, *record, record.number("median")?)));
        valued.reduce(|a, b| {
            if (b.2 < a.2) == lower && b.2 != a.2 {
                b
            } else {
                a
            }
        })
    };
    if !figure.main || !figure.drawn {
        return None;
    }
    let (own, other) = (best(Look::Own)?, best(Look::Peer)?);
    let ratio = if lower {
        other.2 / own.2
    } else {
        own.2 / other.2
    };
    Some(html! {
        tr {
            th scope="row" { (column.title()) }
            td { (figure.text(own.2)) (dagger(own.1)) }
            td { (figure.text(other.2)) (dagger(other.1)) small { (peers[other.0].name) } }
            td { (verdict(ratio)) }
        }
    })
}

fn verdict(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() || r <= 0.0 => "\u{2013}".into(),
        r if r >= 1.0 => format!("{}\u{d7} better", times(r)),
        r => format!("{}\u{d7} worse", times(1.0 / r)),
    }
}

/// Two digits: more would claim more than such rigs can tell.
fn times(ratio: f64) -> String {
    match ratio {
        r if r < 10.0 => format!("{r:.1}"),
        r => digits(r.round()),
    }
}

fn dagger(record: &Record) -> &'static str {
    if record.flag("limited_by_harness") == Some(true) {
        "\u{a0}\u{2020}"
    } else {
        ""
    }
}

/// A row for each peer, a column for each figure.
pub(super) fn all(peers: &[Peer], columns: &[Column<'_>]) -> Markup {
    let units: Vec<_> = columns.iter().map(Column::unit).collect();
    scrolling(
        "all figures of all peers",
        html! {
            thead { tr {
                th scope="col" { "peer" }
                th scope="col" { "encrypted" }
                @for (column, unit) in columns.iter().zip(&units) {
                    th scope="col" { (column.title()) @if !unit.name.is_empty() { small { (unit.name) } } }
                }
            } }
            tbody { @for (place, peer) in peers.iter().enumerate() {
                tr.own[peer.look == Look::Own] {
                    th scope="row" { (peer.name) }
                    td { (peer.encrypted.map_or("unknown", |yes| if yes { "yes" } else { "no" })) }
                    @for (column, unit) in columns.iter().zip(&units) {
                        @let found = column.records.iter().find(|(p, _)| *p == place);
                        td { @if let Some((_, record)) = found { (cell(column, unit, record)) } }
                    }
                }
            } }
        },
    )
}

fn cell(column: &Column<'_>, unit: &Unit, record: &Record) -> Markup {
    let text = |value: f64| column.figure.number(value, unit);
    html! {
        @match record.number("median") {
            None => (record.text("reason").unwrap_or("\u{2013}")),
            Some(median) => {
                (text(median)) (dagger(record))
                @if let Some((min, max)) = range(record).filter(|(min, max)| min != max) {
                    small { (text(min)) " to " (text(max)) }
                }
            }
        }
    }
}
