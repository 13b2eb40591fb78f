//! Whether what a lane sends arrives, by what the other end says that it has received (`Heard`).
//!
//! A lane may fail alone: it has a UDP source port of its own, which a NAT may forget and a firewall may stop,
//! and a receive queue of its own at the other end. The session's QUIC connection notices nothing of that.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A lane that sends and is not heard for this long is dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The longest pause between two attempts to bring a lane back.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What to do about a lane after a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing: all that was sent has arrived, or something more has since the last report.
    Nothing,
    /// Send keepalives: it may be that only the last datagrams were lost.
    Probe,
    /// The lane is dead: send from, or to, somewhere else.
    Move,
    /// It was dead for this long and is heard again.
    Revived(Duration),
}

/// What else the other end tells of a sending lane, for the status alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Authentic datagrams that have arrived in this session.
    pub(super) received: Option<u64>,
    /// Where they come from.
    pub(super) from: Option<SocketAddr>,
}

/// What is known of a sending lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Liveness {
    /// The highest sequence number that the other end has received in this session, if it tells.
    heard: Option<u64>,
    /// Since when there is something that has not arrived, and nothing newer has.
    unheard_since: Option<Instant>,
    dead_since: Option<Instant>,
    /// When it may be moved again, and how long after that.
    next_move: Option<Instant>,
    pause: Duration,
    /// How often it was moved, and how often since it died.
    pub(super) moves: u64,
    pub(super) attempts: u32,
    /// At a listening end: the lane of the peer at whose address this lane's datagrams go in, if not at that
    /// of the worker that they are for.
    pub(super) detour: Option<u8>,
    pub(super) told: Told,
}

impl Liveness {
    /// The lane begins with new keys, from sequence number 1. Where it goes stays, and so does what is
    /// known of that.
    pub(super) fn rekeyed(&mut self) {
        self.heard = None;
        self.told = Told::default();
    }

    /// The highest sequence number that has arrived, if the other end tells.
    pub(super) fn heard(&self) -> Option<u64> {
        self.heard
    }

    /// For how long it has been dead, if it is, and the other end tells.
    pub(super) fn dead_for(&self, now: Instant) -> Option<Duration> {
        self.heard?;
        self.dead_since.map(|since| now.duration_since(since))
    }

    /// Whether nothing speaks against it.
    pub(super) fn is_well(&self) -> bool {
        self.unheard_since.is_none()
    }

    /// The other end has received up to `highest`, and we have sent up to `sent`.
    pub(super) fn report(&mut self, sent: u64, highest: u64, now: Instant) -> Advice {
        let arrives = highest > self.heard.unwrap_or(0);
        self.heard = Some(highest);
        if arrives || highest >= sent {
            self.unheard_since = None;
            if arrives {
                self.attempts = 0;
            }
            let dead_since = self.dead_since.take_if(|_| arrives);
            return dead_since.map_or(Advice::Nothing, |since| {
                Advice::Revived(now.duration_since(since))
            });
        }
        let since = *self.unheard_since.get_or_insert(now);
        if now.duration_since(since) < PATIENCE {
            return Advice::Probe;
        }
        self.dead_since.get_or_insert(since);
        match self.next_move {
            Some(at) if now < at => return Advice::Probe,
            // Not moved for long: what was wrong then has nothing to do with this.
            Some(at) if now.duration_since(at) < LONGEST_PAUSE => {}
            _ => self.pause = PATIENCE,
        }
        self.next_move = Some(now + self.pause);
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        self.moves += 1;
        self.attempts += 1;
        Advice::Move
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The advice each second while `sent` and `highest` are as given.
    fn seconds(lane: &mut Liveness, from: u64, what: &[(u64, u64)]) -> Vec<Advice> {
        let start = BEGIN.with(|begin| *begin);
        let report = |(i, (sent, highest)): (usize, &(u64, u64))| {
            let now = start + Duration::from_secs(from + i as u64);
            lane.report(*sent, *highest, now)
        };
        what.iter().enumerate().map(report).collect()
    }

    thread_local!(static BEGIN: Instant = Instant::now());

    use Advice::{Move, Nothing, Probe, Revived};

    #[test]
    fn a_lane_that_is_heard_or_silent_is_left_alone() {
        let mut lane = Liveness::default();
        let busy = seconds(&mut lane, 0, &[(5, 3), (90, 70), (95, 95), (95, 95)]);
        assert_eq!(busy, [Nothing; 4]);
        assert_eq!(seconds(&mut lane, 10, &[(95, 95); 100]), [Nothing; 100]);
        assert!(lane.is_well() && lane.heard() == Some(95));
    }

    #[test]
    fn one_lost_datagram_is_asked_about_and_forgiven() {
        let mut lane = Liveness::default();
        let lost = seconds(&mut lane, 0, &[(5, 5), (6, 5), (9, 5), (9, 9)]);
        assert_eq!(lost, [Nothing, Probe, Probe, Nothing]);
        assert_eq!((lane.moves, lane.is_well()), (0, true));
    }

    #[test]
    fn a_lane_that_never_was_heard_is_moved_and_then_less_and_less_often() {
        let mut lane = Liveness::default();
        let moved = |advice: Vec<Advice>| -> Vec<usize> {
            let of = |(i, a): (usize, &Advice)| (*a == Move).then_some(i);
            advice.iter().enumerate().filter_map(of).collect()
        };
        let advice = seconds(&mut lane, 0, &[(9, 0); 200]);
        assert_eq!(moved(advice), [3, 6, 12, 24, 48, 96, 156]);
        assert_eq!((lane.moves, lane.attempts), (7, 7));
        // A new session is no news of the path.
        lane.rekeyed();
        assert_eq!(seconds(&mut lane, 200, &[(3, 0)]), [Probe]);
        let back = seconds(&mut lane, 201, &[(4, 3), (5, 5)]);
        assert_eq!(back, [Revived(Duration::from_secs(201)), Nothing]);
        assert_eq!((lane.attempts, lane.moves), (0, 7));
    }

    /// A peer that says one thing and then another does not have us move all the time.
    #[test]
    fn a_lane_that_comes_and_goes_is_not_moved_more_often() {
        let mut lane = Liveness::default();
        let mut moves = 0;
        for round in 0..60_u64 {
            let reports = [(round + 2, round + 1), (99, 0), (99, 0), (99, 0), (99, 0)];
            let advice = seconds(&mut lane, 5 * round, &reports);
            moves += advice.iter().filter(|a| **a == Move).count();
        }
        assert!((3..=9).contains(&moves), "{moves} in 300 s");
    }

    /// Days later it is as if it had never been.
    #[test]
    fn old_troubles_are_forgotten() {
        let mut lane = Liveness::default();
        seconds(&mut lane, 0, &[(9, 0); 60]);
        seconds(&mut lane, 60, &[(10, 10)]);
        let again = seconds(&mut lane, 90_000, &[(11, 10); 8]);
        assert_eq!(
            again,
            [Probe, Probe, Probe, Move, Probe, Probe, Move, Probe]
        );
    }

    #[test]
    fn a_peer_that_has_received_more_than_was_sent_changes_nothing() {
        let mut lane = Liveness::default();
        assert_eq!(
            seconds(&mut lane, 0, &[(5, u64::MAX), (6, 0), (7, 0)]),
            [Nothing, Probe, Probe]
        );
    }
}
