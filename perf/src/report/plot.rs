//! Plots as inline SVG: lines over axes ([`lines`]) and bars of peers ([`bars`]).
//!
//! Every drawing is [`WIDTH`] units wide, which is the width of a phone: its letters keep their size there, and a
//! wider window shows several side by side. Colours are classes, which the page's style gives for light and for dark.

mod axis;
mod bars;
mod lines;
mod round;

use maud::{Markup, html};

pub(super) use self::{
    axis::Axis,
    bars::{Bar, Bars},
    lines::{Lines, Point, Series},
};

/// Units that a drawing is wide.
const WIDTH: f64 = 360.0;

/// How a series or a bar looks. Never by colour alone: the shape of the marks or the outline differs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// causeway itself, among others.
    Own,
    /// Another that encrypts.
    Peer,
    /// Another that does not.
    Reference,
    /// What the harness itself can do.
    Ceiling,
    /// The n-th of several that are alike.
    Nth(usize),
}

impl Look {
    /// The classes of the style sheet.
    fn class(self) -> String {
        match self {
            Self::Own => "own".into(),
            Self::Peer => "peer".into(),
            Self::Reference => "ref".into(),
            Self::Ceiling => "ceiling".into(),
            Self::Nth(n) => format!("s{}", n % 7),
        }
    }

    /// A mark at (x, y).
    fn mark(self, x: f64, y: f64) -> Markup {
        let (x, y) = (short(x), short(y));
        let path = |d: String| html! { path class="mark" d=(d) {} };
        match self {
            Self::Ceiling => html! {},
            Self::Nth(n) if n % 4 == 1 => path(format!("M{x} {y}m-3.2-3.2h6.4v6.4h-6.4z")),
            Self::Nth(n) if n % 4 == 2 => path(format!("M{x} {y}m0-4.2l4 7h-8z")),
            Self::Nth(n) if n % 4 == 3 => {
                path(format!("M{x} {y}m0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5z"))
            }
            Self::Own => html! { circle class="mark" cx=(x) cy=(y) r="4" {} },
            Self::Peer | Self::Reference => html! { circle class="mark" cx=(x) cy=(y) r="2.2" {} },
            Self::Nth(_) => html! { circle class="mark" cx=(x) cy=(y) r="3.4" {} },
        }
    }
}

/// A drawing of this height. Its label is for those who cannot see it; the numbers are in the page's tables.
fn drawing(label: &str, height: f64, content: Markup) -> Markup {
    html! {
        svg role="img" aria-label=(label)
            viewBox={ "0 0 " (short(WIDTH)) " " (short(height)) } { (content) }
    }
}

/// A plot with its heading, a word on how to read it, and its legend.
fn figure(title: &str, note: &str, drawing: Markup, legend: &[(Look, &str)]) -> Markup {
    html! {
        figure {
            figcaption { b { (title) } @if !note.is_empty() { span { (note) } } }
            (drawing)
            @if !legend.is_empty() {
                ul.legend {
                    @for (look, name) in legend {
                        li {
                            svg class=(look.class()) viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" {
                                path class="line" d="M1 6h24" {} (look.mark(13.0, 6.0))
                            }
                            (name)
                        }
                    }
                }
            }
        }
    }
}

/// Text at a place, aligned by the class.
fn label(class: &str, x: f64, y: f64, text: &str) -> Markup {
    html! { text class=(class) x=(short(x)) y=(short(y)) { (text) } }
}

fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
    let d = format!("M{} {}L{} {}", short(x1), short(y1), short(x2), short(y2));
    html! { path class=(class) d=(d) {} }
}

/// A tenth of a unit is as exact as eyes are.
fn short(value: f64) -> String {
    let value = (value * 10.0).round() / 10.0;
    // No "-0".
    if value == 0.0 {
        "0".into()
    } else {
        value.to_string()
    }
}

/// The beginning of a text that is too long; its title tells it in full.
fn shortened(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some(_) => text
            .chars()
            .take(letters.saturating_sub(1))
            .chain(['\u{2026}'])
            .collect(),
        None => text.into(),
    }
}
