//! The files: read, checked, and as records whose members may be missing.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    output::SCHEMA,
};

/// Numbers beyond are no measurements; axes could not hold them.
const ABSURD: f64 = 1e30;

/// One file: what a test measured, on what.
pub(super) struct Run {
    /// Its name, without the folders that only mean something where the page is made.
    pub(super) file: String,
    /// When the file was written, as far as the file system knows.
    pub(super) written: Option<String>,
    pub(super) head: Head,
    pub(super) records: Vec<Record>,
}

/// What a file says beside its results. Only `schema` must be there.
#[derive(Deserialize)]
pub(super) struct Head {
    schema: String,
    #[serde(default)]
    pub(super) machine: Value,
    #[serde(default)]
    pub(super) kernel: Value,
    #[serde(default)]
    pub(super) cpu_flags: Value,
    #[serde(default)]
    pub(super) versions: Value,
    #[serde(default)]
    pub(super) command: Value,
    #[serde(default)]
    results: Vec<Map<String, Value>>,
}

impl Run {
    /// Reads a file that `--json` wrote.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let refuse = |why: String| Error::Usage(format!("{}: {why}", path.display()));
        let text = fs::read(path).map_err(|e| refuse(format!("cannot read it: {e}")))?;
        let value: Value = serde_json::from_slice(&text).map_err(|e| {
            refuse(format!(
                "this is not JSON ({e}): give files that --json wrote"
            ))
        })?;
        match value.get("schema").and_then(Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(refuse(format!(
                    "its schema is {other:?}, and this program reads {SCHEMA:?}: \
                     use the causeway-perf that wrote it, or measure again"
                )));
            }
            None => {
                return Err(refuse(format!(
                    "it has no member \"schema\": give files that --json wrote ({SCHEMA:?})"
                )));
            }
        }
        let mut head: Head = serde_json::from_value(value)
            .map_err(|e| refuse(format!("it is not as {SCHEMA:?} should be: {e}")))?;
        debug_assert_eq!(head.schema, SCHEMA);
        if head.results.is_empty() {
            return Err(refuse(
                "its \"results\" are empty: the test ended early, run it again".into(),
            ));
        }
        let records = std::mem::take(&mut head.results);
        let written = fs::metadata(path).and_then(|found| found.modified());
        Ok(Self {
            file: path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into(),
            written: written.ok().map(|at| {
                let text = humantime::format_rfc3339_seconds(at).to_string();
                text.replace('T', " ").replace('Z', " UTC")
            }),
            head,
            records: records.into_iter().map(Record).collect(),
        })
    }
}

impl Head {
    /// Whether both tell of the same machine and the same versions.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let all = |head: &Self| {
            [&head.machine, &head.kernel, &head.cpu_flags, &head.versions].map(Clone::clone)
        };
        all(self) == all(other)
    }
}

/// One result.
#[derive(Clone)]
pub(super) struct Record(Map<String, Value>);

impl Record {
    /// Which test made it.
    pub(super) fn test(&self) -> &str {
        self.text("test").unwrap_or("(no name)")
    }

    pub(super) fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member)?.as_str()
    }

    /// Finite, and of a size that can be drawn.
    pub(super) fn number(&self, member: &str) -> Option<f64> {
        let number = self.0.get(member)?.as_f64()?;
        (number.abs() < ABSURD).then_some(number)
    }

    pub(super) fn flag(&self, member: &str) -> Option<bool> {
        self.0.get(member)?.as_bool()
    }

    /// Pairs of numbers, as in `latency_cdf`.
    pub(super) fn pairs(&self, member: &str) -> Vec<(f64, f64)> {
        let all = self.0.get(member).and_then(Value::as_array);
        let pair = |value: &Value| Some((value.get(0)?.as_f64()?, value.get(1)?.as_f64()?));
        all.into_iter().flatten().filter_map(pair).collect()
    }

    /// `frame_sizes`, or what `frame_bytes` says where that is missing.
    pub(super) fn sizes(&self) -> Option<String> {
        let text = self.text("frame_sizes").map(Into::into);
        text.or_else(|| self.number("frame_bytes").map(|bytes| bytes.to_string()))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_of_another_kind_are_as_missing() {
        let value = json!({"a": "text", "b": 1e300, "c": [[1, 0.5], [2], "x"], "frame_bytes": 64});
        let record = Record(value.as_object().cloned().unwrap());
        assert_eq!(record.test(), "(no name)");
        assert_eq!((record.number("a"), record.number("b")), (None, None));
        assert_eq!((record.text("b"), record.flag("a")), (None, None));
        assert_eq!(record.pairs("c"), [(1.0, 0.5)]);
        assert_eq!(record.sizes().as_deref(), Some("64"));
    }
}
