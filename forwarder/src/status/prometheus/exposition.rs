//! The text exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write as _};

/// Before every name.
const PREFIX: &str = "causeway_";

/// Families of metrics, one after the other.
#[derive(Debug)]
pub(super) struct Exposition {
    text: String,
    /// A label of every sample.
    label: (&'static str, String),
}

/// A family while its samples are written: nothing else can come between them, as the format wants it.
#[derive(Debug)]
pub(super) struct Family<'a> {
    out: &'a mut Exposition,
    name: String,
}

impl Exposition {
    /// None yet.
    pub(super) fn new((name, value): (&'static str, &str)) -> Self {
        Self {
            text: String::new(),
            label: (name, value.to_owned()),
        }
    }

    /// A family of what only grows, from zero at some start. Its name gets `_total` behind it.
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(format!("{PREFIX}{name}_total"), "counter", help)
    }

    /// A family of what goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(format!("{PREFIX}{name}"), "gauge", help)
    }

    fn family(&mut self, name: String, kind: &str, help: &str) -> Family<'_> {
        self.text += &format!("# HELP {name} ");
        escape(&mut self.text, help, false);
        self.text += &format!("\n# TYPE {name} {kind}\n");
        Family { out: self, name }
    }

    /// All of it; ends with a line feed.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// One sample. No two of a family may have the same values of labels.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let Exposition { text, label } = &mut *self.out;
        text.push_str(&self.name);
        let common = [(label.0, label.1.as_str())];
        let mut before = '{';
        for (name, value) in common.iter().chain(labels) {
            text.push(before);
            text.push_str(name);
            text.push_str("=\"");
            escape(text, value, true);
            text.push('"');
            before = ',';
        }
        // A String takes all that memory holds.
        let _ = writeln!(text, "}} {value}");
    }

    /// Its only sample.
    pub(super) fn value(mut self, value: impl Display) {
        self.sample(&[], value);
    }

    /// A sample for each value of one label.
    pub(super) fn by<V: Display>(
        mut self,
        label: &str,
        values: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) {
        for (word, value) in values {
            self.sample(&[(label, word.as_ref())], value);
        }
    }
}

/// Backslash and line feed are escaped everywhere, a quotation mark only within quotation marks.
fn escape(out: &mut String, text: &str, is_quoted: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_quoted => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_type_stand_before_the_samples() {
        let mut out = Exposition::new(("control", "causeway"));
        let frames = out.counter("frames", "Frames.");
        frames.by("verdict", [("tunnel", 7), ("flood", 0)]);
        out.gauge("uptime_seconds", "Since the start.").value(1.5);
        assert_eq!(
            out.into_text(),
            "# HELP causeway_frames_total Frames.\n\
             # TYPE causeway_frames_total counter\n\
             causeway_frames_total{control=\"causeway\",verdict=\"tunnel\"} 7\n\
             causeway_frames_total{control=\"causeway\",verdict=\"flood\"} 0\n\
             # HELP causeway_uptime_seconds Since the start.\n\
             # TYPE causeway_uptime_seconds gauge\n\
             causeway_uptime_seconds{control=\"causeway\"} 1.5\n"
        );
    }

    #[test]
    fn what_would_end_a_value_or_a_line_is_escaped() {
        let mut out = Exposition::new(("control", "a\"b"));
        let mut info = out.gauge("info", "One \\ \"two\"\nthree.");
        info.sample(&[("software", "x\\y\n} 1"), ("name", "Zürich {1}")], 1);
        assert_eq!(
            out.into_text(),
            "# HELP causeway_info One \\\\ \"two\"\\nthree.\n\
             # TYPE causeway_info gauge\n\
             causeway_info{control=\"a\\\"b\",software=\"x\\\\y\\n} 1\",name=\"Zürich {1}\"} 1\n"
        );
    }
}
