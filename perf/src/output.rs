//! How figures are told: tables for people, a JSON object for programs.

mod destination;

use std::{
    fmt::{self, Display},
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use self::destination::Destination;
use crate::{
    error::{Error, Result},
    machine::{self, Machine, Versions},
};

/// Names the form of the JSON object; another form gets another name.
pub(crate) const SCHEMA: &str = "causeway-perf/1";

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

/// Where the JSON object goes: to be flattened into the options of a subcommand.
#[derive(Args, Clone, Debug)]
pub(crate) struct JsonOption {
    /// Write a JSON object to FILE, or to standard output (-) and the tables to standard error
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl JsonOption {
    /// Opens it before the measurement, so that that is not in vain; and before any thread is pinned: what the
    /// machine has is what we may use now.
    ///
    /// # Errors
    ///
    /// The file cannot be written; the text says so. Or /proc is not mounted.
    pub(crate) fn open(&self) -> Result<Output> {
        let path = self.json.as_deref();
        let json = Destination::open(path).map_err(|e| {
            let path = self.json.clone().unwrap_or_default();
            Error::Usage(format!("cannot write --json {}: {e}", path.display()))
        })?;
        let (machine, cpu_flags) =
            machine::describe().map_err(Error::failed("cannot read /proc"))?;
        Ok(Output {
            json,
            machine,
            cpu_flags,
            results: Vec::new(),
        })
    }
}

/// What a test tells: tables as it goes, and all results as one JSON object at the end.
pub(crate) struct Output {
    json: Destination,
    machine: Machine,
    cpu_flags: Vec<String>,
    results: Vec<Value>,
}

impl Output {
    /// Adds one result: a flat record with a member `test`.
    pub(crate) fn push(&mut self, result: &impl Serialize) {
        let value = serde_json::to_value(result).expect("plain numbers and texts");
        debug_assert!(value.get("test").is_some(), "which test? {value}");
        self.results.push(value);
    }

    /// Prints text for people: to standard error where standard output is for the JSON object.
    ///
    /// # Errors
    ///
    /// Nobody reads any more.
    pub(crate) fn print(&self, text: impl Display) -> Result {
        let written = match self.json {
            Destination::Stdout => writeln!(io::stderr().lock(), "{text}"),
            _ => writeln!(io::stdout().lock(), "{text}"),
        };
        written.map_err(Error::failed("cannot write the report"))
    }

    /// Writes the JSON object. An interrupted test may do so too: what it has is valid.
    ///
    /// # Errors
    ///
    /// What the kernel answers to writing.
    pub(crate) fn finish(self) -> Result {
        let kernel = machine::kernel().map_err(Error::failed("cannot read /proc"))?;
        let report = Report {
            schema: SCHEMA,
            machine: self.machine,
            kernel,
            cpu_flags: self.cpu_flags,
            versions: machine::versions(),
            command: std::env::args().collect(),
            results: &self.results,
        };
        let written = self.json.fill(|mut out| {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
            out.flush()
        });
        written.map_err(Error::failed("cannot write the report"))
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    machine: Machine,
    kernel: String,
    cpu_flags: Vec<String>,
    versions: Versions,
    command: Vec<String>,
    results: &'a [Value],
}

/// Columns of text. The first is left-aligned, the others are right-aligned.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&h| h.into()).collect()],
        }
    }

    /// One more line, with as many cells as there are headings.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|r| r[column].chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line += &format!("  {cell:>width$}");
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["a".into(), "1,000".into()]);
        assert_eq!(table.to_string(), "name      n\na     1,000");
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        let expected = |median, min, max| Spread { median, min, max };
        assert_eq!(spread(&[7.0]), expected(7.0, 7.0, 7.0));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), expected(2.0, 1.0, 9.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 8.0]), expected(3.0, 1.0, 8.0));
    }
}
