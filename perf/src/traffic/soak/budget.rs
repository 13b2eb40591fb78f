//! What may go wrong in a soak, and whether it is too much.

use std::time::Duration;

use crate::traffic::latency::text;

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Part of the frames that were due.
    pub(super) loss: f64,
    pub(super) reordered: u64,
    pub(super) duplicated: u64,
    pub(super) corrupted: u64,
    /// For each period.
    pub(super) p99: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Frames that the loss is a part of.
    pub(super) due: f64,
    pub(super) lost: u64,
    pub(super) reordered: u64,
    pub(super) duplicated: u64,
    pub(super) corrupted: u64,
    /// Of a period that is over.
    pub(super) p99_s: Option<f64>,
}

impl Budget {
    /// How many of these frames may be lost.
    pub(super) fn lost(&self, due: f64) -> u64 {
        (due * self.loss) as u64
    }

    /// What is too much, if anything.
    pub(super) fn exceeded(&self, tally: &Tally) -> Option<String> {
        let counts = [
            ("lost", tally.lost, self.lost(tally.due)),
            ("reordered", tally.reordered, self.reordered),
            ("duplicated", tally.duplicated, self.duplicated),
            ("corrupted", tally.corrupted, self.corrupted),
        ];
        for (what, count, allowed) in counts {
            if count > allowed {
                return Some(format!("{count} frames {what}, {allowed} allowed"));
            }
        }
        let (p99, allowed) = (tally.p99_s?, self.p99?.as_secs_f64());
        (p99 > allowed).then(|| {
            let [p99, allowed] = [p99, allowed].map(|s| text(Some(s)));
            format!("p99 of the latency {p99} in a period, {allowed} allowed")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_excess_is_named() {
        let budget = Budget {
            loss: 0.01,
            reordered: 0,
            duplicated: 0,
            corrupted: 0,
            p99: Some(Duration::from_millis(1)),
        };
        let fine = Tally {
            due: 1_000.0,
            lost: 10,
            p99_s: Some(0.001),
            ..Tally::default()
        };
        assert_eq!(budget.exceeded(&fine), None);
        let cases = [
            (Tally { lost: 11, ..fine }, "11 frames lost, 10 allowed"),
            (Tally { due: 10.0, ..fine }, "10 frames lost, 0 allowed"),
            (
                Tally {
                    reordered: 1,
                    ..fine
                },
                "1 frames reordered",
            ),
            (
                Tally {
                    duplicated: 2,
                    ..fine
                },
                "2 frames duplicated",
            ),
            (
                Tally {
                    corrupted: 3,
                    ..fine
                },
                "3 frames corrupted",
            ),
            (
                Tally {
                    p99_s: Some(0.002),
                    ..fine
                },
                "p99 of the latency 2.00 ms",
            ),
        ];
        for (tally, text) in cases {
            let excess = budget.exceeded(&tally).expect("too much");
            assert!(excess.starts_with(text), "{excess}");
        }
        let unbounded = Budget {
            p99: None,
            ..budget
        };
        let slow = Tally {
            p99_s: Some(9.0),
            ..fine
        };
        assert_eq!(unbounded.exceeded(&slow), None);
    }
}
