//! Where the frames of a run went: from counter to counter along their way, to the frame.

mod follow;

use std::fmt;

pub(crate) use self::follow::followed;
use super::counters::{Counters, OVERFLOW};
use crate::{
    sizes::{FCS, FrameSizes},
    traffic::live::Sent,
};

/// UDP payload of a datagram on an uplink of MTU 1,500, at most.
const DATAGRAM: usize = 1_500 - 20 - 8;

/// Where the frames of one run went.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    offered: i128,
    delivered: i128,
    losses: Vec<(String, i128)>,
    gaps: Vec<(&'static str, &'static str, i128)>,
    /// Frames that the loss of a datagram can take, at most.
    in_datagram: i128,
}

/// Where frames pass, from one counter to the next, and what is known of the way between.
struct Passage {
    from: &'static str,
    sent: i128,
    to: &'static str,
    came: i128,
    losses: Vec<(String, i128)>,
    datagrams: Vec<(String, i128)>,
}

impl Ledger {
    /// From what was sent and what arrived, and the counters before and after.
    pub(crate) fn new(
        sent: Sent,
        sizes: FrameSizes,
        delivered: u64,
        before: &Counters,
        after: &Counters,
    ) -> Self {
        let mut ledger = Self {
            offered: i128::from(sent.frames + sent.refused),
            delivered: delivered.into(),
            losses: vec![("refused by dc's link".into(), sent.refused.into())],
            gaps: Vec::new(),
            in_datagram: most_in_datagram(sizes),
        };
        let (mut at, mut frames) = ("generator", i128::from(sent.frames));
        for (before, after) in before.0.iter().zip(&after.0) {
            let here = after.frames - before.frames;
            ledger.pass(Passage {
                from: at,
                sent: frames,
                to: after.name,
                came: here,
                losses: difference(&before.losses, &after.losses),
                datagrams: difference(&before.datagrams, &after.datagrams),
            });
            (at, frames) = (after.name, here);
        }
        ledger.pass(Passage {
            from: at,
            sent: frames,
            to: "sink",
            came: delivered.into(),
            losses: Vec::new(),
            datagrams: Vec::new(),
        });
        ledger.losses.retain(|(_, n)| *n != 0);
        ledger
    }

    /// Datagrams are known to be lost, but not how many frames each held: what is missing is put down to them as far
    /// as they can have held it, and no further.
    fn pass(&mut self, way: Passage) {
        let missing = way.sent - way.came - way.losses.iter().map(|(_, n)| n).sum::<i128>();
        self.losses.extend(way.losses);
        let (overflow, lost): (Vec<_>, Vec<_>) =
            way.datagrams.iter().partition(|(name, _)| name == OVERFLOW);
        // What was sent twice came more often than it was sent.
        let datagrams: i128 = lost.iter().map(|(_, n)| n.max(&0)).sum();
        let inside = missing.clamp(0, datagrams * self.in_datagram);
        if inside > 0 {
            let named = lost.iter().chain(&overflow).filter(|(_, n)| *n > 0);
            let named: Vec<_> = named.map(|(name, n)| format!("{name} {n}")).collect();
            let (from, to, named) = (way.from, way.to, named.join(", "));
            let name = format!("in {datagrams} datagrams between {from} and {to} ({named})");
            self.losses.push((name, inside));
        }
        if missing != inside {
            self.gaps.push((way.from, way.to, missing - inside));
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

/// Whole frames of the smallest of these sizes, and one that is cut at each end.
fn most_in_datagram(sizes: FrameSizes) -> i128 {
    let smallest = sizes.cycle().iter().min().copied().unwrap_or(1);
    let smallest = smallest.saturating_sub(FCS).max(1);
    (DATAGRAM / smallest) as i128 + 2
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

    const SIZES: FrameSizes = FrameSizes::Fixed(64);

    type Row<'a> = (&'static str, i128, &'a [(&'a str, i128)]);

    fn counters(rows: &[Row<'_>]) -> Counters {
        let station = |(name, frames, losses): &Row<'_>| Station {
            name,
            frames: *frames,
            losses: losses.iter().map(|(n, l)| ((*n).into(), *l)).collect(),
            datagrams: Vec::new(),
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
        let ledger = Ledger::new(sent(100, 10), SIZES, 80, &before, &after);
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
        let ledger = Ledger::new(sent(100, 0), SIZES, 98, &before, &after);
        assert_eq!(ledger.unaccounted(), 4);
        let text = ledger.to_string();
        assert!(text.contains("between generator and in 3"), "{text}");
        assert!(text.contains("between in and out -1"), "{text}");
    }

    /// 100 frames into the tunnel, `came` out of it, with one bad frame and these datagrams.
    fn tunnel(came: i128, datagrams: &[(&str, i128)]) -> Ledger {
        let before = counters(&[("in", 0, &[]), ("out", 0, &[("bad", 0)])]);
        let mut after = counters(&[("in", 100, &[]), ("out", came, &[("bad", 2)])]);
        let named = datagrams.iter().map(|(name, n)| ((*name).into(), *n));
        after.0[1].datagrams = named.collect();
        Ledger::new(sent(100, 0), SIZES, came as u64, &before, &after)
    }

    #[test]
    fn frames_of_lost_datagrams_are_not_unaccounted() {
        let ledger = tunnel(70, &[("lost", 4), (OVERFLOW, 3), ("drop bad_tag", 1)]);
        assert_eq!(ledger.unaccounted(), 0);
        let text = ledger.to_string();
        assert!(
            text.contains(
                "in 5 datagrams between in and out (lost 4, drop bad_tag 1, wan_rx_overflow 3) 28"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_datagram_does_not_hide_more_than_it_can_hold() {
        assert_eq!(most_in_datagram(SIZES), 26);
        assert_eq!(most_in_datagram(FrameSizes::Fixed(1_518)), 2);
        let ledger = tunnel(38, &[("lost", 2)]); // 60 are missing
        assert_eq!(ledger.unaccounted(), 8);
        assert!(ledger.to_string().contains("between in and out 8"));
        assert_eq!(tunnel(97, &[]).unaccounted(), 1);
        assert_eq!(tunnel(97, &[("lost", -5)]).unaccounted(), 1);
        // A frame too much is told, however many datagrams were lost.
        assert_eq!(tunnel(99, &[("lost", 2)]).unaccounted(), 1);
    }
}
