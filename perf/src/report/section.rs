//! What the sections of the page share: the records of a test, in groups, as series of a plot.

use maud::{Markup, html};

use super::{
    input::{Record, Run},
    plot::{Axis, Lines, Look, Point, Series},
    quantity::Quantity,
    table,
};

/// A record, and which file it is from.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) run: usize,
    pub(super) record: &'a Record,
}

/// The records of one test, from all files.
pub(super) struct Set<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// Whether they are from several files, which must then be told apart.
    several: bool,
}

/// A value, and the least and the largest that its rounds gave.
pub(super) type Value = (f64, Option<(f64, f64)>);

impl<'a> Set<'a> {
    pub(super) fn of(runs: &'a [Run], wanted: impl Fn(&Record) -> bool) -> Self {
        let all = runs.iter().enumerate();
        let items =
            all.flat_map(|(run, r)| r.records.iter().map(move |record| Item { run, record }));
        Self::new(items.filter(|item| wanted(item.record)).collect())
    }

    fn new(items: Vec<Item<'a>>) -> Self {
        let several = items.windows(2).any(|pair| pair[0].run != pair[1].run);
        Self { items, several }
    }

    /// Those of them, told apart as all of them are.
    pub(super) fn only(&self, wanted: impl Fn(&Record) -> bool) -> Self {
        let items = self.items.iter().copied();
        Self {
            items: items.filter(|item| wanted(item.record)).collect(),
            several: self.several,
        }
    }

    /// The name, with the number of the file where that is needed.
    pub(super) fn tagged(&self, name: &str, run: usize) -> String {
        match (self.several, name) {
            (false, _) => name.into(),
            (true, "") => format!("file {}", run + 1),
            (true, _) => format!("{name} (file {})", run + 1),
        }
    }

    /// Those with the same name together, in the order in which the names come first.
    pub(super) fn groups(
        &self,
        name: impl Fn(&Record) -> Option<String>,
    ) -> Vec<(String, Vec<Item<'a>>)> {
        let mut groups: Vec<(String, Vec<Item<'a>>)> = Vec::new();
        for item in &self.items {
            let Some(name) = name(item.record) else {
                continue;
            };
            let name = self.tagged(&name, item.run);
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, items)) => items.push(*item),
                None => groups.push((name, vec![*item])),
            }
        }
        groups
    }
}

/// A section of the page: plots, and the numbers of all its records.
pub(super) fn section(title: &str, note: &str, set: &Set<'_>, plots: Markup) -> Markup {
    html! {
        section {
            h2 { (title) }
            p.note { (note) }
            div.plots { (plots) }
            details {
                summary { (table::count(set)) " in numbers" }
                (table::records(title, set))
            }
        }
    }
}

/// A plot against a member that is a number: how it is named, and what is drawn.
pub(super) struct Against<'a> {
    pub(super) title: &'a str,
    pub(super) note: &'a str,
    pub(super) x: (&'a str, &'a str),
    pub(super) y: (&'a str, Quantity),
}

impl Against<'_> {
    /// The plot; None without a value to draw.
    pub(super) fn lines(
        &self,
        set: &Set<'_>,
        name: impl Fn(&Record) -> Option<String>,
        value: impl Fn(&Record) -> Option<Value>,
    ) -> Option<Lines> {
        let mut series = Vec::new();
        for (name, items) in set.groups(name) {
            let points = items
                .iter()
                .filter_map(|item| self.point(&name, item, value(item.record)?));
            let mut points: Vec<_> = points.collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            if !points.is_empty() {
                let look = Look::Nth(series.len());
                series.push(Series { name, look, points });
            }
        }
        if series.is_empty() {
            return None;
        }
        let points = || series.iter().flat_map(|s| &s.points);
        let steps: Vec<_> = points().filter(|p| p.connected).map(|p| p.x).collect();
        // Without any other size, the mix is the only one to write.
        let steps = if steps.is_empty() {
            points().map(|p| p.x).collect()
        } else {
            steps
        };
        let high = |p: &Point| p.range.map_or(p.y, |(_, high)| high.max(p.y));
        let heights: Vec<_> = points().map(high).collect();
        Some(Lines {
            title: self.title.into(),
            note: self.note.into(),
            x: Axis::steps(self.x.1, &steps),
            y: Axis::linear(self.y.0, &self.y.1, &heights),
            series,
            names_at_ends: false,
        })
    }

    fn point(&self, name: &str, item: &Item<'_>, (y, range): Value) -> Option<Point> {
        let x = item.record.number(self.x.0).filter(|x| *x > 0.0)?;
        let mix = self.x.0 == "frame_bytes"
            && item
                .record
                .text("frame_sizes")
                .is_some_and(|text| text.eq_ignore_ascii_case("imix"));
        let place = if mix {
            "IMIX".to_owned()
        } else {
            format!("{}: {x}", self.x.1)
        };
        let comma = if name.is_empty() { "" } else { ", " };
        let mut title = format!("{name}{comma}{place}: {}", self.y.1.text(y));
        if let Some((low, high)) = range {
            title += &format!(" ({} to {})", self.y.1.text(low), self.y.1.text(high));
        }
        Some(Point {
            x,
            y,
            range,
            title: Some(title),
            connected: !mix,
        })
    }
}

/// Latency distributions of the records that have one.
pub(super) fn latency(
    title: &str,
    set: &Set<'_>,
    name: impl Fn(&Record) -> Option<String>,
) -> Option<Lines> {
    let mut series = Vec::new();
    for (name, items) in set.groups(name) {
        for item in items {
            let mut pairs = item.record.pairs("latency_cdf");
            pairs.retain(|(latency, share)| *latency > 0.0 && (0.0..=1.0).contains(share));
            pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
            let look = Look::Nth(series.len());
            let points: Vec<_> = pairs.iter().map(|pair| cdf_point(&name, *pair)).collect();
            if !points.is_empty() {
                series.push(Series {
                    name: name.clone(),
                    look,
                    points,
                });
            }
        }
    }
    if series.is_empty() {
        return None;
    }
    let points = || series.iter().flat_map(|s| &s.points);
    let times: Vec<_> = points().map(|p| p.x).collect();
    let largest = points()
        .map(|p| p.y)
        .filter(|y| *y < 1.0)
        .fold(0.0, f64::max);
    Some(Lines {
        title: title.into(),
        note: "left and up is better; each step up is ten times rarer; a line ends at the slowest frame".into(),
        x: Axis::log("latency", &Quantity::Seconds, &times),
        y: Axis::nines("frames at most this late", largest),
        series,
        names_at_ends: false,
    })
}

/// Marks only where people look: a mark at each of hundreds of points would hide the line.
fn cdf_point(name: &str, (latency, share): (f64, f64)) -> Point {
    let known = [0.5, 0.9, 0.99, 0.999, 0.9999];
    let title = || {
        let share = share * 100.0;
        format!(
            "{name}: {share} % within {}",
            Quantity::Seconds.text(latency)
        )
    };
    Point {
        x: latency,
        y: share,
        range: None,
        title: known.iter().any(|k| (k - share).abs() < 1e-9).then(title),
        connected: true,
    }
}
