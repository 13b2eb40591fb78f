//! Where the frames of a run went: from counter to counter along their way, to the frame.

use std::fmt;

use super::counters::{Counters, DATAGRAMS, OVERFLOW};
use crate::traffic::live::Sent;

/// Where the frames of one run went.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    offered: i128,
    delivered: i128,
    losses: Vec<(String, i128)>,
    gaps: Vec<(&'static str, &'static str, i128)>,
}

impl Ledger {
    /// From what was sent and what arrived, and the counters before and after.
    pub(crate) fn new(sent: Sent, delivered: u64, before: &Counters, after: &Counters) -> Self {
        let mut ledger = Self {
            offered: i128::from(sent.frames + sent.refused),
            delivered: delivered.into(),
            losses: vec![("refused by dc's link".into(), sent.refused.into())],
            gaps: Vec::new(),
        };
        let (mut at, mut frames) = ("generator", i128::from(sent.frames));
        for (before, after) in before.0.iter().zip(&after.0) {
            let here = after.frames - before.frames;
            let losses = difference(&before.losses, &after.losses);
            ledger.pass(at, frames, after.name, here, losses);
            (at, frames) = (after.name, here);
        }
        ledger.pass(at, frames, "sink", delivered.into(), Vec::new());
        ledger.losses.retain(|(_, n)| *n != 0);
        ledger
    }

    fn pass(
        &mut self,
        from: &'static str,
        sent: i128,
        to: &'static str,
        came: i128,
        mut losses: Vec<(String, i128)>,
    ) {
        let mut take = |wanted: &str| {
            let at = losses.iter().position(|(name, _)| name == wanted);
            at.map_or(0, |at| losses.remove(at).1)
        };
        let (datagrams, overflow) = (take(DATAGRAMS), take(OVERFLOW));
        let missing = sent - came - losses.iter().map(|(_, n)| n).sum::<i128>();
        self.losses.append(&mut losses);
        if missing > 0 && datagrams > 0 {
            let name = format!(
                "in {datagrams} datagrams lost between {from} and {to} (of them {OVERFLOW} {overflow})"
            );
            self.losses.push((name, missing));
        } else if missing != 0 {
            self.gaps.push((from, to, missing));
        }
    }

    /// Frames that no counter tells of, or that are counted twice.
    pub(crate) fn unaccounted(&self) -> u64 {
        let gaps = self.gaps.iter().map(|(_, _, n)| n.unsigned_abs());
        gaps.sum::<u128>() as u64
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost: i128 = self.losses.iter().map(|(_, n)| n).sum();
        let missing: i128 = self.gaps.iter().map(|(_, _, n)| n).sum();
        write!(
            f,
            "offered {} = delivered {} + named losses {lost} + unaccounted {missing}",
            self.offered, self.delivered
        )?;
        for (name, frames) in &self.losses {
            write!(f, "; {name} {frames}")?;
        }
        for (from, to, frames) in &self.gaps {
            write!(f, "; unaccounted between {from} and {to} {frames}")?;
        }
        Ok(())
    }
}

fn difference(before: &[(String, i128)], after: &[(String, i128)]) -> Vec<(String, i128)> {
    let old = |name: &str| {
        before
            .iter()
            .find(|(n, _)| n == name)
            .map_or(0, |(_, n)| *n)
    };
    let after = after.iter();
    after
        .map(|(name, n)| (name.clone(), n - old(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::compare::measure::counters::Station;

    type Row<'a> = (&'static str, i128, &'a [(&'a str, i128)]);

    fn counters(rows: &[Row<'_>]) -> Counters {
        let station = |(name, frames, losses): &Row<'_>| Station {
            name,
            frames: *frames,
            losses: losses.iter().map(|(n, l)| ((*n).into(), *l)).collect(),
        };
        Counters(rows.iter().map(station).collect())
    }

    fn sent(frames: u64, refused: u64) -> Sent {
        Sent {
            frames,
            refused,
            elapsed: Duration::from_secs(1),
            ran_out: false,
        }
    }

    #[test]
    fn all_frames_found() {
        let before = counters(&[("in", 7, &[]), ("out", 5, &[("full", 2)])]);
        let after = counters(&[("in", 107, &[]), ("out", 85, &[("full", 22)])]);
        let ledger = Ledger::new(sent(100, 10), 80, &before, &after);
        assert_eq!(ledger.unaccounted(), 0);
        assert_eq!(
            ledger.to_string(),
            "offered 110 = delivered 80 + named losses 30 + unaccounted 0; refused by dc's link 10; full 20"
        );
    }

    #[test]
    fn missing_and_surplus_frames_are_located() {
        let before = counters(&[("in", 0, &[]), ("out", 0, &[])]);
        let after = counters(&[("in", 97, &[]), ("out", 98, &[])]);
        let ledger = Ledger::new(sent(100, 0), 98, &before, &after);
        assert_eq!(ledger.unaccounted(), 4);
        let text = ledger.to_string();
        assert!(text.contains("between generator and in 3"), "{text}");
        assert!(text.contains("between in and out -1"), "{text}");
    }

    #[test]
    fn frames_of_lost_datagrams_are_not_unaccounted() {
        let before = counters(&[
            ("in", 0, &[]),
            ("out", 0, &[("bad", 0), (DATAGRAMS, 0), (OVERFLOW, 0)]),
        ]);
        let after = counters(&[
            ("in", 100, &[]),
            ("out", 70, &[("bad", 2), (DATAGRAMS, 4), (OVERFLOW, 3)]),
        ]);
        let ledger = Ledger::new(sent(100, 0), 70, &before, &after);
        assert_eq!(ledger.unaccounted(), 0);
        let text = ledger.to_string();
        assert!(
            text.contains("in 4 datagrams lost between in and out (of them wan_rx_overflow 3) 28"),
            "{text}"
        );
    }
}
