//! Stations that move between peers, and how often: the rule of EVPN against a MAC address that lives twice.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::super::{PeerIndex, StationKey};

/// So many moves … (RFC 7432 section 15.1: N)
pub(super) const MOVES: usize = 5;

/// … within this time freeze a station (there: M).
pub(super) const WITHIN: Duration = Duration::from_secs(180);

/// Stations whose moves are remembered at once; the moves of others are not noticed.
const MOST: usize = 65_536;

/// Where a station was last, and when it moved.
#[derive(Clone, Debug)]
struct Moved {
    peer: PeerIndex,
    last: Instant,
    times: VecDeque<Instant>,
}

/// The moves of all learnt stations. They are remembered when a station is gone for a while, since one that lives twice may
/// be withdrawn in between.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves(HashMap<StationKey, Moved>);

impl Moves {
    /// The station is seen behind a peer; the peer that it was behind before, if it has now moved too often.
    pub(super) fn seen(
        &mut self,
        station: StationKey,
        peer: PeerIndex,
        now: Instant,
    ) -> Option<PeerIndex> {
        if self.0.len() >= MOST && !self.0.contains_key(&station) {
            return None;
        }
        let moved = self.0.entry(station).or_insert_with(|| Moved {
            peer,
            last: now,
            times: VecDeque::new(),
        });
        moved.last = now;
        if moved.peer == peer {
            return None;
        }
        let before = std::mem::replace(&mut moved.peer, peer);
        moved.times.push_back(now);
        moved
            .times
            .retain(|at| now.saturating_duration_since(*at) < WITHIN);
        (moved.times.len() >= MOVES).then_some(before)
    }

    /// Nothing of a station is remembered.
    pub(super) fn forget(&mut self, station: StationKey) {
        self.0.remove(&station);
    }

    /// What is too long ago is forgotten.
    pub(super) fn age(&mut self, now: Instant) {
        self.0
            .retain(|_, moved| now.saturating_duration_since(moved.last) < WITHIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_moves_in_three_minutes_are_too_many() {
        let (mut moves, start) = (Moves::default(), Instant::now());
        let station = StationKey::new(0, [2; 6]);
        let mut at = |peer, seconds| {
            let now = start + Duration::from_secs(seconds);
            moves.age(now);
            moves.seen(station, peer, now)
        };
        // One a minute is no flapping.
        for n in 0..20 {
            assert_eq!(at((n % 2) as u16, 60 * n), None);
        }
        let found: Vec<_> = (0..4).map(|n| at((n % 2) as u16, 1_141 + n)).collect();
        assert_eq!(found, [None, Some(0), Some(1), Some(0)]);
        // Seen again where it is, it has not moved; after long silence it begins anew.
        assert_eq!(at(1, 1_146), None);
        assert_eq!(at(0, 2_000), None);
    }
}
