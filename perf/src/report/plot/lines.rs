//! Series of points over two axes.

use maud::{Markup, html};

use super::{Axis, Look, WIDTH, drawing, figure, label, line, short, shortened};

const TOP: f64 = 24.0;
const LEFT: f64 = 56.0;
/// Units between two names at the right.
const NAME_GAP: f64 = 11.0;
/// Letters of a name that have room there.
const NAME_LETTERS: usize = 25;

/// A plot of several series.
pub(in crate::report) struct Lines {
    pub(in crate::report) title: String,
    pub(in crate::report) note: String,
    pub(in crate::report) x: Axis,
    pub(in crate::report) y: Axis,
    pub(in crate::report) series: Vec<Series>,
    /// Whether names stand at the ends of the lines, which is for series that are alike.
    pub(in crate::report) names_at_ends: bool,
}

/// One of them.
pub(in crate::report) struct Series {
    pub(in crate::report) name: String,
    pub(in crate::report) look: Look,
    /// In the order of the line.
    pub(in crate::report) points: Vec<Point>,
}

/// A value, and how far it was scattered.
pub(in crate::report) struct Point {
    pub(in crate::report) x: f64,
    pub(in crate::report) y: f64,
    pub(in crate::report) range: Option<(f64, f64)>,
    /// Shown where the mouse rests; without one there is no mark.
    pub(in crate::report) title: Option<String>,
    /// Whether the line goes through it.
    pub(in crate::report) connected: bool,
}

impl Lines {
    pub(in crate::report) fn render(&self) -> Markup {
        let content = html! {
            (self.axes())
            @for series in &self.series { (self.series(series)) }
            @if self.names_at_ends { (self.names()) }
        };
        let legend = self.series.iter().map(|s| (s.look, s.name.as_str()));
        let legend: Vec<_> = if self.names_at_ends {
            Vec::new()
        } else {
            legend.filter(|(_, name)| !name.is_empty()).collect()
        };
        figure(
            &self.title,
            &self.note,
            drawing(&self.title, self.height(), content),
            &legend,
        )
    }

    fn right(&self) -> f64 {
        WIDTH - if self.names_at_ends { 152.0 } else { 20.0 }
    }

    fn across(&self, place: f64) -> f64 {
        LEFT + place * (self.right() - LEFT)
    }

    fn height(&self) -> f64 {
        if self.names_at_ends { 300.0 } else { 250.0 }
    }

    fn bottom(&self) -> f64 {
        self.height() - 40.0
    }

    fn up(&self, place: f64) -> f64 {
        self.bottom() - place * (self.bottom() - TOP)
    }

    fn axes(&self) -> Markup {
        let (right, bottom) = (self.right(), self.bottom());
        html! {
            (label("axis", 2.0, 11.0, &self.y.title))
            @for (value, text) in &self.y.ticks {
                @let y = self.up(self.y.clamped(*value));
                (line("grid", (LEFT, y), (right, y)))
                (label("tick end", LEFT - 6.0, y + 4.0, text))
            }
            @for (value, text) in &self.x.ticks {
                @let x = self.across(self.x.clamped(*value));
                (line("grid", (x, bottom), (x, bottom + 4.0)))
                (label("tick middle", x, bottom + 17.0, text))
            }
            @if let Some(x) = self.mix().map(|place| self.across(place)) {
                (line("mix", (x, TOP), (x, bottom)))
                (label("tick middle", x, TOP - 4.0, "IMIX"))
            }
            (line("base", (LEFT, bottom), (right, bottom)))
            (label("axis middle", f64::midpoint(LEFT, right), self.height() - 6.0, &self.x.title))
        }
    }

    /// Where the points beside the lines are, which is at one place: the mean size of the mix.
    fn mix(&self) -> Option<f64> {
        let mut points = self.series.iter().flat_map(|s| &s.points);
        self.x.place(points.find(|p| !p.connected)?.x)
    }

    /// Where a point is, if it is on both axes.
    fn place(&self, point: &Point) -> Option<(f64, f64)> {
        let (x, y) = (self.x.place(point.x)?, self.y.clamped(point.y));
        Some((self.across(x), self.up(y)))
    }

    fn series(&self, series: &Series) -> Markup {
        let through = series.points.iter().filter(|p| p.connected);
        let places: Vec<_> = through.filter_map(|p| self.place(p)).collect();
        let steps = places.iter().enumerate().map(|(n, (x, y))| {
            let letter = if n == 0 { 'M' } else { 'L' };
            format!("{letter}{} {}", short(*x), short(*y))
        });
        html! {
            g class=(series.look.class()) {
                @if places.len() > 1 { path class="line" d=(steps.collect::<String>()) {} }
                @for point in &series.points {
                    @if let (Some((x, y)), Some(title)) = (self.place(point), &point.title) {
                        g {
                            title { (title) }
                            @if let Some((low, high)) = point.range {
                                (line("whisker", (x, self.up(self.y.clamped(low))), (x, self.up(self.y.clamped(high)))))
                            }
                            (series.look.mark(x, y))
                        }
                    }
                }
            }
        }
    }

    /// Names beside the last points, moved apart where they would overlap.
    fn names(&self) -> Markup {
        let end = |s: &'_ Series| s.points.iter().rev().find_map(|p| self.place(p));
        let mut ends: Vec<_> = self
            .series
            .iter()
            .filter_map(|s| Some((s, end(s)?)))
            .collect();
        ends.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let wanted: Vec<_> = ends.iter().map(|(_, (_, y))| *y).collect();
        let heights = apart(&wanted, TOP - 8.0, self.height() - 6.0);
        html! {
            @for ((series, (x, y)), height) in ends.iter().zip(heights) {
                g class=(series.look.class()) {
                    (line("leader", (*x + 4.0, *y), (self.right() + 12.0, height)))
                    (label("name", self.right() + 14.0, height + 3.0, &shortened(&series.name, NAME_LETTERS)))
                }
            }
        }
    }
}

/// Heights near the wanted ones (which ascend), none closer than [`NAME_GAP`] to the next, all between the limits.
fn apart(wanted: &[f64], least: f64, most: f64) -> Vec<f64> {
    let gap = NAME_GAP.min((most - least) / wanted.len().max(1) as f64);
    let mut heights = wanted.to_vec();
    let mut floor = least;
    for height in &mut heights {
        *height = height.max(floor);
        floor = *height + gap;
    }
    let mut ceiling = most;
    for height in heights.iter_mut().rev() {
        *height = height.min(ceiling);
        ceiling = *height - gap;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(
            apart(&[100.0, 100.0, 150.0], 0.0, 200.0),
            [100.0, 111.0, 150.0]
        );
        assert_eq!(apart(&[199.0, 200.0], 0.0, 200.0), [189.0, 200.0]);
        let many = apart(&[50.0; 100], 0.0, 200.0);
        assert!(many.windows(2).all(|pair| pair[1] - pair[0] > 1.9));
        assert!(many[0] >= -1e-9 && many[99] <= 200.0);
        assert!(apart(&[], 0.0, 1.0).is_empty());
    }
}
