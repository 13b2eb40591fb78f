//! What the figures of `compare` are, as far as their names tell; others are taken as they come.

use crate::report::quantity::{Quantity, Unit};

/// Which end of the scale is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
    Unknown,
}

impl Better {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Higher => "higher is better",
            Self::Lower => "lower is better",
            Self::Unknown => "",
        }
    }
}

/// A figure.
pub(super) struct Figure {
    /// The name in the records.
    pub(super) name: String,
    /// The name for people.
    pub(super) title: String,
    pub(super) quantity: Quantity,
    pub(super) better: Better,
    /// Its place among the others.
    pub(super) rank: usize,
    /// Whether it is seen at once, or on demand.
    pub(super) main: bool,
    /// Whether it has bars: yes or no needs none.
    pub(super) drawn: bool,
    /// Whether it is 1 for yes and 0 for no.
    pub(super) is_flag: bool,
}

type Known = (&'static str, &'static str, Quantity, Better, bool);

const KNOWN: &[Known] = {
    use Better::{Higher, Lower};
    use Quantity::{BitsPerSecond as Bits, Bytes, FramesPerSecond as Frames, Other, Seconds};
    const NO_UNIT: Quantity = Other(String::new());
    &[
        (
            "frames_per_s",
            "Frame rate at saturation",
            Frames,
            Higher,
            true,
        ),
        (
            "frames_per_s_loss_1pct",
            "Frame rate, at most 1\u{a0}% lost",
            Frames,
            Higher,
            true,
        ),
        (
            "frames_per_s_loss_01pct",
            "Frame rate, at most 0.1\u{a0}% lost",
            Frames,
            Higher,
            false,
        ),
        ("tcp1_bits_per_s", "TCP, one stream", Bits, Higher, true),
        ("tcp4_bits_per_s", "TCP, four streams", Bits, Higher, true),
        (
            "tcp1_reverse_bits_per_s",
            "TCP, one stream, other way",
            Bits,
            Higher,
            false,
        ),
        (
            "tcp4_reverse_bits_per_s",
            "TCP, four streams, other way",
            Bits,
            Higher,
            false,
        ),
        (
            "rtt_idle_p50_s",
            "Round trip, idle, median",
            Seconds,
            Lower,
            true,
        ),
        (
            "rtt_idle_p99_s",
            "Round trip, idle, 99\u{a0}%",
            Seconds,
            Lower,
            false,
        ),
        (
            "rtt_load_p50_s",
            "Round trip under load, median",
            Seconds,
            Lower,
            false,
        ),
        (
            "rtt_load_p99_s",
            "Round trip under load, 99\u{a0}%",
            Seconds,
            Lower,
            true,
        ),
        (
            "cpu_s_per_gb",
            "Gateways' CPU per gigabyte",
            NO_UNIT,
            Lower,
            true,
        ),
        (
            "cpu_s_per_million_frames",
            "Gateways' CPU per million frames",
            NO_UNIT,
            Lower,
            true,
        ),
        (
            "recovery_s",
            "Traffic again after a crash",
            Seconds,
            Lower,
            true,
        ),
        ("rss_bytes", "Memory", Bytes, Lower, false),
        (
            "df_1500_passes",
            "1,500 bytes with DF pass",
            NO_UNIT,
            Higher,
            false,
        ),
    ]
};

impl Figure {
    /// The figure of that name, in the unit that its record gives if the name is not known.
    pub(super) fn of(name: &str, unit: Option<&str>) -> Self {
        let is_flag = name == "df_1500_passes";
        let found = KNOWN.iter().position(|known| known.0 == name);
        let (title, quantity, better, main) = match found.map(|place| &KNOWN[place]) {
            Some((_, title, quantity, better, main)) => {
                (title.to_string(), quantity.clone(), *better, *main)
            }
            None => {
                let quantity = Quantity::Other(unit.unwrap_or("").into());
                (name.replace('_', " "), quantity, Better::Unknown, false)
            }
        };
        Self {
            name: name.into(),
            title,
            // CPU time of a busy core: a prefix would only hide how it compares.
            quantity: match name {
                "cpu_s_per_gb" => Quantity::Other("CPU s/GB".into()),
                "cpu_s_per_million_frames" => Quantity::Other("CPU s/M frames".into()),
                _ => quantity,
            },
            better,
            rank: found.unwrap_or(KNOWN.len()),
            main,
            drawn: !is_flag,
            is_flag,
        }
    }

    /// The unit for values up to this one.
    pub(super) fn unit(&self, largest: f64) -> Unit {
        self.quantity.unit(largest)
    }

    /// A value of it, in that unit but without its name.
    pub(super) fn number(&self, value: f64, unit: &Unit) -> String {
        if self.is_flag {
            self.text(value)
        } else {
            self.quantity.number(value / unit.size)
        }
    }

    /// A value of it.
    pub(super) fn text(&self, value: f64) -> String {
        match (self.is_flag, value) {
            (false, _) => self.quantity.text(value),
            (true, 1.0) => "yes".into(),
            (true, 0.0) => "no".into(),
            (true, _) => "at times".into(),
        }
    }
}
