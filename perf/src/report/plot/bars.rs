//! Bars, one below the other, each with its name above it, so that no name is too long for a phone.

use maud::{Markup, html};

use super::{Axis, Look, WIDTH, drawing, figure, label, line, short, shortened};
use crate::report::quantity::Quantity;

const ROW: f64 = 33.0;
/// Letters that have room before the value.
const LETTERS: usize = 46;
const THICK: f64 = 10.0;
/// Half of the last tick's text must fit beside the axis.
const LEFT: f64 = 2.0;
const RIGHT: f64 = WIDTH - 16.0;

/// Bars in one unit, in the order in which they are drawn.
pub(in crate::report) struct Bars {
    pub(in crate::report) title: String,
    pub(in crate::report) note: String,
    pub(in crate::report) quantity: Quantity,
    pub(in crate::report) bars: Vec<Bar>,
}

/// One of them.
pub(in crate::report) struct Bar {
    pub(in crate::report) name: String,
    /// A word behind the name.
    pub(in crate::report) remark: String,
    pub(in crate::report) look: Look,
    /// None where there is no value; the remark may say why.
    pub(in crate::report) value: Option<f64>,
    pub(in crate::report) range: Option<(f64, f64)>,
    /// What the harness itself can do here.
    pub(in crate::report) ceiling: Option<f64>,
    /// Behind the value: a dagger, for example.
    pub(in crate::report) mark: &'static str,
}

impl Bars {
    pub(in crate::report) fn render(&self) -> Markup {
        let extent = self.extent();
        let axis = Axis::linear("", &self.quantity, &extent);
        let unit = self
            .quantity
            .unit(extent.iter().copied().fold(0.0, f64::max))
            .size;
        let bottom = self.bars.len() as f64 * ROW + 4.0;
        let height = bottom + 36.0;
        let content = html! {
            @for (value, text) in &axis.ticks {
                @let x = across(&axis, *value);
                (line("grid", (x, 0.0), (x, bottom)))
                @let class = if *value == 0.0 { "tick" } else { "tick middle" };
                (label(class, x, bottom + 13.0, text))
            }
            @for (row, bar) in self.bars.iter().enumerate() {
                (self.bar(&axis, unit, row as f64 * ROW, bar))
            }
            (label("axis middle", f64::midpoint(LEFT, RIGHT), height - 6.0, &axis.title))
        };
        let note = [self.note.as_str(), &self.far_ceiling(&axis)].join("");
        figure(
            &self.title,
            &note,
            drawing(&self.title, height, content),
            &[],
        )
    }

    /// What the axis must hold: values, what they were scattered over, and ceilings not far above them.
    fn extent(&self) -> Vec<f64> {
        let ranges = self
            .bars
            .iter()
            .filter_map(|b| b.range)
            .map(|(_, high)| high);
        let mut values: Vec<_> = self
            .bars
            .iter()
            .filter_map(|b| b.value)
            .chain(ranges)
            .collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let ceilings = self.bars.iter().filter_map(|b| b.ceiling);
        values.extend(ceilings.filter(|c| *c <= largest * 1.6));
        values
    }

    /// A word on ceilings that would leave no room for the bars.
    fn far_ceiling(&self, axis: &Axis) -> String {
        let ceilings = self.bars.iter().filter_map(|b| b.ceiling);
        match ceilings.reduce(f64::min).filter(|c| !axis.holds(*c)) {
            Some(ceiling) => format!("; the harness itself does {}", self.quantity.text(ceiling)),
            None => String::new(),
        }
    }

    fn bar(&self, axis: &Axis, unit: f64, top: f64, bar: &Bar) -> Markup {
        let (y, middle) = (top + 17.0, top + 17.0 + THICK / 2.0);
        let room = if bar.remark.is_empty() {
            LETTERS
        } else {
            LETTERS - 14
        };
        let name = shortened(&bar.name, room);
        let remark = shortened(&bar.remark, LETTERS - name.chars().count());
        html! {
            g class={ "bar " (bar.look.class()) } {
                title { (self.hover(bar)) }
                text class="name" x="2" y=(short(top + 12.0)) {
                    (name)
                    @if !remark.is_empty() { tspan class="remark" dx="5" { (remark) } }
                }
                @if let Some(value) = bar.value {
                    @let width = (across(axis, value) - LEFT).max(1.0);
                    rect x=(short(LEFT)) y=(short(y)) width=(short(width)) height=(short(THICK)) rx="1.5" {}
                }
                @if let Some((low, high)) = bar.range {
                    (whisker(across(axis, low), across(axis, high), middle))
                }
                @if let Some(ceiling) = bar.ceiling.filter(|c| axis.holds(*c)) {
                    @let x = across(axis, ceiling);
                    (line("ceiling", (x, y - 3.0), (x, y + THICK + 3.0)))
                }
                (label("value end", WIDTH - 2.0, top + 12.0, &value(bar, |v| self.quantity.number(v / unit))))
            }
        }
    }

    fn hover(&self, bar: &Bar) -> String {
        let text = |value: f64| self.quantity.text(value);
        let mut hover = format!("{}: {}", bar.name, value(bar, text));
        if bar.value.is_none() {
            hover += &format!(" ({})", bar.remark);
        }
        if let Some((low, high)) = bar.range {
            hover += &format!(", {} to {}", text(low), text(high));
        }
        if let Some(ceiling) = bar.ceiling {
            hover += &format!("; the harness itself: {}", text(ceiling));
        }
        hover
    }
}

/// The value as written, or a dash.
fn value(bar: &Bar, text: impl Fn(f64) -> String) -> String {
    match bar.value {
        Some(value) => text(value) + bar.mark,
        None => "\u{2013}".into(),
    }
}

fn across(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.clamped(value) * (RIGHT - LEFT)
}

fn whisker(low: f64, high: f64, y: f64) -> Markup {
    let [low, high] = [low, high].map(short);
    let (up, down) = (short(y - 3.0), short(y + 3.0));
    let middle = short(y);
    let d = format!("M{low} {up}V{down}M{high} {up}V{down}M{low} {middle}H{high}");
    html! { path class="halo" d=(d) {} path class="whisker" d=(d) {} }
}
