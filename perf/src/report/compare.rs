//! The section of `compare`: causeway and its peers, a plot for each figure.

mod figures;
mod tables;

use maud::{Markup, html};

use self::figures::{Better, Figure};
use super::{
    input::{Record, Run},
    plot::{Axis, Bar, Bars, Lines, Look, Point, Series},
    quantity::{Quantity, Unit, digits},
    section::Set,
    table,
};

/// A peer, or the same peer in another file.
struct Peer {
    name: String,
    look: Look,
    /// As the records say, if they do.
    encrypted: Option<bool>,
}

/// A figure of all peers, for one frame size where it has one.
struct Column<'a> {
    figure: Figure,
    sizes: Option<String>,
    /// One for each peer that has it, by the peer's place.
    records: Vec<(usize, &'a Record)>,
}

impl Column<'_> {
    /// The unit for the largest of its values.
    fn unit(&self) -> Unit {
        let values = self
            .records
            .iter()
            .filter_map(|(_, record)| record.number("median"));
        self.figure.unit(values.fold(0.0, f64::max))
    }

    fn title(&self) -> String {
        match &self.sizes {
            None => self.figure.title.clone(),
            Some(sizes) if sizes == "imix" => format!("{}, IMIX", self.figure.title),
            Some(sizes) => {
                let bytes = sizes.parse().map_or(sizes.clone(), digits);
                format!("{}, {bytes} bytes", self.figure.title)
            }
        }
    }
}

pub(super) fn compare(runs: &[Run]) -> Option<Markup> {
    let set = Set::of(runs, |r| r.test() == "compare");
    if set.items.is_empty() {
        return None;
    }
    let absent = |r: &Record| matches!(r.text("figure"), Some("absent" | "incomplete"));
    let present = set.only(|r| !absent(r));
    let (peers, columns) = arrange(&present);
    let (main, more): (Vec<_>, Vec<_>) = columns.iter().partition(|c| c.figure.main);
    Some(html! {
        section {
            h2 { "causeway beside its peers" }
            p.note {
                "Same rig, same pinning, same traffic, in turns. Medians of the rounds; whiskers show where the median of a second run is to be expected. "
                "Filled bars encrypt; hollow, dashed ones do not, and are for reference. A dashed mark is what the harness itself "
                "can do; \u{2020} is a value that the harness limits, so the peer may do more. "
                "CPU time is that of the one CPU that both gateways share: what the hosts\u{2019} CPU does for them, such as receiving what the "
                "generator sends, is not in it."
            }
            (tables::missing(&set.only(absent)))
            (tables::brief(&peers, &columns))
            div.plots {
                @if let Some(lines) = rates(&peers, &columns) { (lines.render()) }
                @for column in main { @if column.figure.drawn { (bars(&peers, column).render()) } }
            }
            @if more.iter().any(|c| c.figure.drawn) {
                details {
                    summary { "More figures" }
                    div.plots { @for column in more { @if column.figure.drawn { (bars(&peers, column).render()) } } }
                }
            }
            details open {
                summary { "All figures in numbers" }
                (tables::all(&peers, &columns))
            }
            details {
                summary { (table::count(&set)) " as measured" }
                (table::records("records of the comparison", &set))
            }
        }
    })
}

/// Who and what there is: causeway first, then those that encrypt, then the references.
fn arrange<'a>(set: &Set<'a>) -> (Vec<Peer>, Vec<Column<'a>>) {
    let mut groups = set.groups(|r| Some(r.text("peer").unwrap_or("(no name)").into()));
    groups.sort_by_key(|(_, items)| match look(items[0].record) {
        Look::Own => 0,
        Look::Peer => 1,
        _ => 2,
    });
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut peers = Vec::new();
    for (place, (name, items)) in groups.into_iter().enumerate() {
        let look = look(items[0].record);
        let encrypted = items[0].record.flag("encrypted");
        peers.push(Peer {
            name,
            look,
            encrypted,
        });
        for record in items.into_iter().map(|item| item.record) {
            let (name, sizes) = (record.text("figure").unwrap_or("(no name)"), record.sizes());
            let known = columns
                .iter_mut()
                .find(|c| c.figure.name == name && c.sizes == sizes);
            match known {
                Some(column) => column.records.push((place, record)),
                None => columns.push(Column {
                    figure: Figure::of(name, record.text("unit")),
                    sizes,
                    records: vec![(place, record)],
                }),
            }
        }
    }
    columns.sort_by(|a, b| {
        let size = |c: &Column<'_>| c.records[0].1.number("frame_bytes").unwrap_or(0.0);
        let rank = (a.figure.rank, &a.figure.name).cmp(&(b.figure.rank, &b.figure.name));
        rank.then(size(a).total_cmp(&size(b)))
    });
    (peers, columns)
}

fn look(record: &Record) -> Look {
    let own = |peer: &str| peer.to_lowercase().starts_with("causeway");
    match record.flag("encrypted") {
        Some(false) => Look::Reference,
        _ if record.text("peer").is_some_and(own) => Look::Own,
        _ => Look::Peer,
    }
}

/// Where the median of a second run is to be expected; in older files the least and the most of the rounds.
fn range(record: &Record) -> Option<(f64, f64)> {
    let bound = |new, old| record.number(new).or_else(|| record.number(old));
    Some((bound("low", "min")?, bound("high", "max")?))
}

/// The best on top, those without a value at the end.
fn bars(peers: &[Peer], column: &Column<'_>) -> Bars {
    let figure = &column.figure;
    let mut sorted: Vec<_> = column.records.iter().collect();
    sorted.sort_by(|(a, left), (b, right)| {
        let key = |record: &Record| match (record.number("median"), figure.better) {
            (None, _) => f64::INFINITY,
            (Some(value), Better::Lower) => value,
            (Some(value), _) => -value,
        };
        let names = peers[*a].name.cmp(&peers[*b].name);
        key(left).total_cmp(&key(right)).then(names)
    });
    Bars {
        title: column.title(),
        note: figure.better.words().into(),
        quantity: figure.quantity.clone(),
        bars: sorted
            .into_iter()
            .map(|(peer, record)| bar(&peers[*peer], record))
            .collect(),
    }
}

fn bar(peer: &Peer, record: &Record) -> Bar {
    let value = record.number("median");
    let reason = record.text("reason").unwrap_or("no value");
    let limited = record.flag("limited_by_harness") == Some(true);
    Bar {
        name: peer.name.clone(),
        remark: match (value, peer.look) {
            (None, _) => reason.into(),
            (_, Look::Reference) => "not encrypted".into(),
            _ => String::new(),
        },
        look: peer.look,
        value,
        range: range(record).filter(|_| value.is_some()),
        ceiling: record.number("ceiling"),
        mark: if limited { " \u{2020}" } else { "" },
    }
}

/// Frames per second at saturation against the frame size, if there is more than one size.
fn rates(peers: &[Peer], columns: &[Column<'_>]) -> Option<Lines> {
    let rates = columns
        .iter()
        .filter(|c| c.figure.name == "frames_per_s" && c.sizes.is_some());
    let columns: Vec<_> = rates.collect();
    let mut series = Vec::new();
    for (place, peer) in peers.iter().enumerate() {
        let records = columns
            .iter()
            .flat_map(|c| &c.records)
            .filter(|(p, _)| *p == place);
        let points: Vec<_> = records
            .filter_map(|(_, record)| rate(&peer.name, record))
            .collect();
        if !points.is_empty() {
            let (name, look) = (peer.name.clone(), peer.look);
            series.push(Series { name, look, points });
        }
    }
    let all = || series.iter().flat_map(|s| &s.points);
    let sizes: Vec<_> = all().filter(|p| p.connected).map(|p| p.x).collect();
    if sizes.iter().all(|size| *size == sizes[0]) {
        return None;
    }
    let heights: Vec<_> = all().map(|p| p.y).collect();
    // What is drawn last lies on top.
    series.reverse();
    Some(Lines {
        title: "Frame rate at saturation by frame size".into(),
        note: "higher is better; logarithmic; dashed lines are not encrypted".into(),
        x: Axis::steps("frame size, bytes with FCS", &sizes),
        y: Axis::log("frames/s", &Quantity::Other(String::new()), &heights),
        series,
        names_at_ends: true,
    })
}

fn rate(name: &str, record: &Record) -> Option<Point> {
    let (x, y) = (record.number("frame_bytes")?, record.number("median")?);
    let sizes = record.sizes()?;
    let value = Quantity::FramesPerSecond.text(y);
    Some(Point {
        x,
        y,
        range: None,
        title: Some(format!("{name}, {sizes} bytes: {value}")),
        connected: sizes != "imix",
    })
}
