//! What a check comes to, and the report of all of them.

use std::fmt::Write;

use serde::Serialize;

use super::probe::Probe;

/// What a check comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok {
        /// What was seen.
        seen: String,
    },
    /// Something has to be changed.
    Failing {
        /// What is wrong.
        why: String,
        /// What to change.
        mend: String,
    },
    /// It could not be found out.
    Unknown {
        /// Why, and what would help.
        why: String,
    },
}

/// A check: a name and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What it came to.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// All is well.
pub fn ok(name: &'static str, seen: impl Into<String>) -> Check {
    let verdict = Verdict::Ok { seen: seen.into() };
    Check { name, verdict }
}

/// Something has to be changed: why, and what.
pub fn failing(name: &'static str, why: impl Into<String>, mend: impl Into<String>) -> Check {
    let (why, mend) = (why.into(), mend.into());
    let verdict = Verdict::Failing { why, mend };
    Check { name, verdict }
}

/// Nobody knows.
pub fn unknown(name: &'static str, why: impl Into<String>) -> Check {
    let verdict = Verdict::Unknown { why: why.into() };
    Check { name, verdict }
}

/// What `causeway doctor` found. The JSON form of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The interface.
    pub interface: String,
    /// What the machine or network seems to be, by which the mends are chosen.
    pub platform: &'static str,
    /// Every check, in the order of the table.
    pub checks: Vec<Check>,
    /// Every probe that was sent.
    pub probes: Vec<Probe>,
    /// How long it took.
    pub seconds: f64,
}

/// Exit code if a check fails.
pub const EXIT_FAILING: u8 = 1;
/// Exit code if none fails and something could not be found out.
pub const EXIT_UNKNOWN: u8 = 3;

impl Report {
    /// 0: every check is ok; 1: at least one fails; 3: none fails, but not all could be found out.
    pub fn exit_code(&self) -> u8 {
        let any = |is: fn(&Verdict) -> bool| self.checks.iter().any(|c| is(&c.verdict));
        if any(|v| matches!(v, Verdict::Failing { .. })) {
            EXIT_FAILING
        } else if any(|v| matches!(v, Verdict::Unknown { .. })) {
            EXIT_UNKNOWN
        } else {
            0
        }
    }

    /// The table for people: a line for each check, with the mend in the line of what fails.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out)
            .expect("a String takes all that memory holds");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let width = self.checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
        for Check { name, verdict } in &self.checks {
            match verdict {
                Verdict::Ok { seen } => writeln!(out, "ok       {name:width$}  {seen}")?,
                Verdict::Failing { why, mend } => {
                    let why = why.trim_end_matches('.');
                    let end = if why.ends_with('?') { "" } else { "." };
                    writeln!(out, "FAILING  {name:width$}  {why}{end} Mend: {mend}")?;
                }
                Verdict::Unknown { why } => writeln!(out, "unknown  {name:width$}  {why}")?,
            }
        }
        let count =
            |is: fn(&Verdict) -> bool| self.checks.iter().filter(|c| is(&c.verdict)).count();
        writeln!(
            out,
            "{} checks of {} in {:.1} s: {} failing, {} unknown; {} probes were sent",
            self.checks.len(),
            self.interface,
            self.seconds,
            count(|v| matches!(v, Verdict::Failing { .. })),
            count(|v| matches!(v, Verdict::Unknown { .. })),
            self.probes.len(),
        )
    }
}

/// What the tests of checks ask of them.
#[cfg(test)]
pub(super) mod asked {
    use super::{Check, Verdict};

    /// What was seen; all is well.
    #[track_caller]
    pub(crate) fn seen(check: &Check) -> &str {
        match &check.verdict {
            Verdict::Ok { seen } => seen,
            other => panic!("{other:?}"),
        }
    }

    /// What was seen, or why not or why nobody knows.
    pub(crate) fn said(check: &Check) -> &str {
        match &check.verdict {
            Verdict::Ok { seen } => seen,
            Verdict::Failing { why, .. } | Verdict::Unknown { why } => why,
        }
    }

    /// What to change, if something has to be.
    pub(crate) fn mend(check: &Check) -> Option<&str> {
        match &check.verdict {
            Verdict::Failing { mend, .. } => Some(mend),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: Vec<Check>) -> Report {
        Report {
            interface: "ens1".into(),
            platform: "unknown",
            checks,
            probes: Vec::new(),
            seconds: 0.25,
        }
    }

    #[test]
    fn one_failure_makes_it_fail_and_doubt_is_told_apart() {
        let (good, bad, doubt) = (ok("a", "x"), failing("b", "w", "m"), unknown("c", "y"));
        assert_eq!(report(vec![good.clone()]).exit_code(), 0);
        assert_eq!(report(vec![good.clone(), doubt.clone()]).exit_code(), 3);
        assert_eq!(report(vec![doubt, bad.clone(), good]).exit_code(), 1);
        let text = report(vec![bad]).to_text();
        assert!(text.starts_with("FAILING  b  w. Mend: m\n"), "{text}");
        assert!(text.contains("1 failing, 0 unknown"), "{text}");
    }

    #[test]
    fn json_names_the_verdict() {
        let json = serde_json::to_value(report(vec![failing("b", "w", "m")])).unwrap();
        let check = &json["checks"][0];
        assert_eq!(
            (&check["name"], &check["verdict"]),
            (&"b".into(), &"failing".into())
        );
        assert_eq!((&check["why"], &check["mend"]), (&"w".into(), &"m".into()));
    }
}
