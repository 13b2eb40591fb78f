//! How figures are told: a table for people, a JSON object for programs.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::machine::{self, Machine, Versions};

/// Names the form of the JSON object; another form gets another name.
const SCHEMA: &str = "causeway-perf/1";

/// A value measured in several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        Self {
            median: (values[last / 2] + values[last.div_ceil(2)]) / 2.0,
            min: values[0],
            max: values[last],
        }
    }
}

/// One line of the report.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) test: &'static str,
    pub(crate) direction: &'static str,
    pub(crate) frame_bytes: usize,
    pub(crate) datagram_bytes: usize,
    pub(crate) cipher: &'static str,
    /// The library that does the cipher's arithmetic.
    pub(crate) aead: &'static str,
    pub(crate) workers: usize,
    pub(crate) rounds: usize,
    pub(crate) frames_per_s: f64,
    /// Of the frames' own bytes: without FCS, preamble or the tunnel's overhead.
    pub(crate) gbit_per_s: f64,
    pub(crate) ns_per_frame: f64,
    pub(crate) ns_per_frame_min: f64,
    pub(crate) ns_per_frame_max: f64,
    /// Part of the time that the bare cipher takes for the same datagrams.
    pub(crate) aead_share: f64,
    pub(crate) aead_share_min: f64,
    pub(crate) aead_share_max: f64,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    machine: Machine,
    kernel: String,
    cpu_flags: Vec<String>,
    versions: Versions,
    command: Vec<String>,
    results: &'a [Figure],
}

/// Where the JSON object goes. Opened before the measurement, so that it is not in vain.
pub(crate) enum JsonSink {
    /// Nowhere.
    None,
    /// Standard output, and so the table to standard error.
    Stdout,
    /// A new file, or instead of the one that there was.
    File(File),
}

impl JsonSink {
    /// `-` is standard output.
    ///
    /// # Errors
    ///
    /// The file cannot be written; the text says so.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, String> {
        match path {
            None => Ok(Self::None),
            Some(path) if path == Path::new("-") => Ok(Self::Stdout),
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Self::File(file)),
                Err(e) => Err(format!("cannot write --json {}: {e}", path.display())),
            },
        }
    }
}

/// Prints the table and writes the JSON object.
///
/// # Errors
///
/// What the kernel answers to writing.
pub(crate) fn publish(figures: &[Figure], json: JsonSink) -> io::Result<()> {
    match json {
        JsonSink::None => print_table(figures, io::stdout().lock()),
        JsonSink::Stdout => {
            print_table(figures, io::stderr().lock())?;
            write_json(figures, io::stdout().lock())
        }
        JsonSink::File(file) => {
            print_table(figures, io::stdout().lock())?;
            write_json(figures, file)
        }
    }
}

fn print_table(figures: &[Figure], mut out: impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<10} {:>5}  {:<11} {:>10} {:>7} {:>9} {:>17}  {:>4} {:>11}",
        "direction",
        "bytes",
        "cipher",
        "frames/s",
        "Gb/s",
        "ns/frame",
        "min-max",
        "AEAD",
        "min-max"
    )?;
    for f in figures {
        let range = format!("{:.1}-{:.1}", f.ns_per_frame_min, f.ns_per_frame_max);
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        let shares = format!(
            "{}-{}",
            percent(f.aead_share_min),
            percent(f.aead_share_max)
        );
        writeln!(
            out,
            "{:<10} {:>5}  {:<11} {:>10.0} {:>7.2} {:>9.1} {:>17}  {:>4} {:>11}",
            f.direction,
            f.frame_bytes,
            f.cipher,
            f.frames_per_s,
            f.gbit_per_s,
            f.ns_per_frame,
            range,
            percent(f.aead_share),
            shares
        )?;
    }
    Ok(())
}

fn write_json(figures: &[Figure], mut out: impl Write) -> io::Result<()> {
    let (machine, cpu_flags) = machine::describe()?;
    let report = Report {
        schema: SCHEMA,
        machine,
        kernel: machine::kernel()?,
        cpu_flags,
        versions: machine::versions(),
        command: std::env::args().collect(),
        results: figures,
    };
    serde_json::to_writer_pretty(&mut out, &report)?;
    writeln!(out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        let expected = |median, min, max| Spread { median, min, max };
        assert_eq!(spread(&[7.0]), expected(7.0, 7.0, 7.0));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), expected(2.0, 1.0, 9.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 8.0]), expected(3.0, 1.0, 8.0));
    }
}
