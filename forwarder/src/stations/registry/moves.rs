//! Stations that move between peers, and how often: the rule of EVPN against a MAC address that lives twice.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::super::{PeerIndex, StationKey};

/// So many moves … (RFC 7432 section 15.1: N)
pub(super) const MOVES: usize = 5;

/// … within this time freeze a station (there: M).
pub(super) const WITHIN: Duration = Duration::from_secs(180);

/// Stations whose moves are remembered at once: of each peer, those that are behind it, its share. Who shows more of them in
/// [`WITHIN`] has its own forgotten.
const MOST: usize = 65_536;

/// Where a station was last, and when it moved.
#[derive(Clone, Debug)]
struct Moved {
    peer: PeerIndex,
    last: Instant,
    times: VecDeque<Instant>,
}

/// What is forgotten first: stations that have not moved, of these what was seen longest ago.
type Rank = (bool, Instant, StationKey);

impl Moved {
    fn rank(&self, station: StationKey) -> Rank {
        (!self.times.is_empty(), self.last, station)
    }
}

/// The moves of all learnt stations. They are remembered when a station is gone for a while, since one that lives twice may
/// be withdrawn in between.
#[derive(Clone, Debug)]
pub(super) struct Moves {
    stations: HashMap<StationKey, Moved>,
    /// Of each peer the stations that are behind it.
    behind: Vec<BTreeSet<Rank>>,
}

impl Moves {
    /// Of none, behind so many peers.
    pub(super) fn new(peers: usize) -> Self {
        Self {
            stations: HashMap::new(),
            behind: vec![BTreeSet::new(); peers],
        }
    }

    /// The station is seen behind a peer; the peer that it was behind before, if it has now moved too often.
    pub(super) fn seen(
        &mut self,
        station: StationKey,
        peer: PeerIndex,
        now: Instant,
    ) -> Option<PeerIndex> {
        let mut moved = self.remove(station).unwrap_or_else(|| Moved {
            peer,
            last: now,
            times: VecDeque::new(),
        });
        moved.last = now;
        let before = std::mem::replace(&mut moved.peer, peer);
        if before != peer {
            moved.times.push_back(now);
        }
        moved
            .times
            .retain(|at| now.saturating_duration_since(*at) < WITHIN);
        let too_often = before != peer && moved.times.len() >= MOVES;
        self.insert(station, moved);
        too_often.then_some(before)
    }

    /// Nothing of a station is remembered.
    pub(super) fn forget(&mut self, station: StationKey) {
        self.remove(station);
    }

    /// What is too long ago is forgotten.
    pub(super) fn age(&mut self, now: Instant) {
        let behind = &mut self.behind;
        self.stations.retain(|station, moved| {
            let stays = now.saturating_duration_since(moved.last) < WITHIN;
            if !stays {
                behind[usize::from(moved.peer)].remove(&moved.rank(*station));
            }
            stays
        });
    }

    fn insert(&mut self, station: StationKey, moved: Moved) {
        let share = MOST / self.behind.len();
        let behind = &mut self.behind[usize::from(moved.peer)];
        behind.insert(moved.rank(station));
        self.stations.insert(station, moved);
        if behind.len() > share
            && let Some((.., forgotten)) = behind.pop_first()
        {
            self.stations.remove(&forgotten);
        }
    }

    fn remove(&mut self, station: StationKey) -> Option<Moved> {
        let moved = self.stations.remove(&station)?;
        self.behind[usize::from(moved.peer)].remove(&moved.rank(station));
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_moves_in_three_minutes_are_too_many() {
        let (mut moves, start) = (Moves::new(2), Instant::now());
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

    #[test]
    fn one_peer_that_shows_ever_other_stations_hides_no_moves() {
        let (mut moves, start) = (Moves::new(3), Instant::now());
        let key = |n: u32| {
            let [a, b, c, d] = n.to_be_bytes();
            StationKey::new(0, [2, 0, a, b, c, d])
        };
        // More than there is place for, in a minute.
        let mut next = 1_000;
        let mut cycle = |moves: &mut Moves, at| {
            for _ in 0..MOST as u32 {
                next += 1;
                moves.seen(key(next), 2, at);
            }
        };
        cycle(&mut moves, start);
        let mut found = Vec::new();
        for n in 0..6 {
            let now = start + Duration::from_secs(10 * n);
            // One between others, one that comes back from whoever does it.
            let others = moves.seen(key(1), (n % 2) as PeerIndex, now);
            let its_own = moves.seen(key(2), 1 + (n % 2) as PeerIndex, now);
            found.push((others, its_own));
            cycle(&mut moves, now + Duration::from_secs(1));
            moves.age(now + Duration::from_secs(2));
        }
        assert_eq!(found[..5], [(None, None); 5]);
        assert_eq!(found[5], (Some(0), Some(1)));
        assert_eq!(moves.behind[2].len(), MOST / 3);
        assert!(moves.stations.len() <= MOST / 3 + 2);
        moves.age(start + Duration::from_secs(999));
        assert!(moves.stations.is_empty() && moves.behind.iter().all(BTreeSet::is_empty));
    }
}
