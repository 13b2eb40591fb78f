//! Numbers as people read them: few digits, a unit of fitting size.

/// What a number counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Quantity {
    FramesPerSecond,
    BitsPerSecond,
    /// Already in Gb/s.
    GigabitsPerSecond,
    Seconds,
    /// Already in nanoseconds.
    Nanoseconds,
    Bytes,
    /// A part of one.
    Share,
    /// Anything else, in this unit, which may be empty.
    Other(String),
    /// A whole number of these.
    Count(&'static str),
}

/// A unit: how many of the quantity's own make one of it, and its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) size: f64,
    pub(super) name: String,
}

impl Unit {
    /// `name`, with a space before it where that is usual.
    pub(super) fn suffix(&self) -> String {
        match self.name.as_str() {
            "" => String::new(),
            name => format!("\u{a0}{name}"),
        }
    }
}

impl Quantity {
    /// The largest unit that is not larger than `value`.
    pub(super) fn unit(&self, value: f64) -> Unit {
        let units: &[(f64, &str)] = match self {
            Self::FramesPerSecond => &[(1e6, "M frames/s"), (1e3, "k frames/s"), (1.0, "frames/s")],
            Self::BitsPerSecond => &[(1e9, "Gb/s"), (1e6, "Mb/s"), (1e3, "kb/s"), (1.0, "b/s")],
            Self::GigabitsPerSecond => &[(1.0, "Gb/s")],
            Self::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
            Self::Nanoseconds => &[(1.0, "ns")],
            Self::Bytes => &[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes")],
            Self::Share => &[(0.01, "%")],
            Self::Other(name) => &[(1.0, name.as_str())],
            Self::Count(name) => &[(1.0, name)],
        };
        // A hair below a unit is that unit: 0.9999999 is one that lost a bit on the way.
        let fits = |(size, _): &&(f64, &str)| value.abs() >= size * (1.0 - 1e-9);
        let smallest = units.last().filter(|_| value != 0.0);
        let found = units.iter().find(fits).or(smallest).unwrap_or(&units[0]);
        Unit {
            size: found.0,
            name: found.1.into(),
        }
    }

    /// With the unit that fits it.
    pub(super) fn text(&self, value: f64) -> String {
        let unit = self.unit(value);
        format!("{}{}", self.number(value / unit.size), unit.suffix())
    }

    /// In a unit of it: what was measured has three digits, what may have been counted has its own.
    pub(super) fn number(&self, value: f64) -> String {
        match self {
            Self::Count(_) => digits(value),
            _ => significant(value),
        }
    }
}

/// Three significant digits, more only for whole numbers, and commas between thousands.
pub(super) fn digits(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        return grouped(value);
    }
    significant(value)
}

/// Three significant digits, and all before the point.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..15.0).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = (2.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        return grouped(value.round());
    }
    text
}

fn grouped(whole: f64) -> String {
    let all = format!("{:.0}", whole.abs());
    let mut text = if whole < 0.0 { "\u{2212}" } else { "" }.to_owned();
    for (at, digit) in all.chars().enumerate() {
        if at > 0 && (all.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_their_numbers() {
        for (quantity, value, text) in [
            (Quantity::Seconds, 0.000_112, "112\u{a0}µs"),
            (Quantity::Seconds, 15.0, "15.0\u{a0}s"),
            (Quantity::Seconds, 0.0, "0\u{a0}s"),
            (Quantity::Seconds, 2e-10, "0.200\u{a0}ns"),
            (Quantity::FramesPerSecond, 62_100.0, "62.1\u{a0}k frames/s"),
            (Quantity::FramesPerSecond, 2.6e6, "2.60\u{a0}M frames/s"),
            (Quantity::BitsPerSecond, 416e6, "416\u{a0}Mb/s"),
            (Quantity::Share, 0.125, "12.5\u{a0}%"),
            (Quantity::Other(String::new()), 3.25, "3.25"),
        ] {
            assert_eq!(quantity.text(value), text);
        }
    }

    #[test]
    fn few_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1_518.0, "1,518"),
            (-1_234_567.0, "\u{2212}1,234,567"),
            (1_234_567.8, "1,234,568"),
            (12.345, "12.3"),
            (0.012_34, "0.0123"),
            (0.000_000_1, "1.00e-7"),
            (100.0, "100"),
        ] {
            assert_eq!(digits(value), text);
        }
    }
}
