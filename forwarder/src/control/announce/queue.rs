//! Who is told of when.
//!
//! Each is told of several times, as QEMU does it (net/announce.c: 5 rounds, the second after 50 ms, each pause 100 ms
//! longer than the one before), because broadcasts get lost. However many stations there are, no more than [`RATE`]
//! frames go out in a second; the first round of all comes before the second of any.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{bindings::Segment, stations::StationKey, status::AnnouncingStatus};

/// Frames per second, in bursts of a tenth of it: less than a tenth of what a switch with a limit of 1 % on broadcasts
/// lets through at 10 Gbit/s. With it 65,536 stations of one known address each take 33 s for the first round.
const RATE: u64 = 4_000;

/// From one round to the next.
const PAUSES: [u64; 4] = [50, 150, 250, 350];
const ROUNDS: usize = PAUSES.len() + 1;

/// A change of so few stations at once comes before what waits: it is somebody's move, not a restart.
const FEW: usize = 64;

/// Entries of all queues at most, those that have lost their meaning included.
const MOST: usize = 4 * causeway_ebpf::maps::MAX_STATIONS as usize;

/// Stations that wait at most; more are told of by nobody. A peer that says one moment that it has seen stations and
/// the next that they are gone makes more of them than there can be at once.
const MOST_WAITING: usize = MOST / 2;

/// A round that is to come.
struct Due {
    station: StationKey,
    /// That of [`Pending`]; if it is another by then, a later announcement has taken its place.
    number: u64,
    at: Instant,
}

struct Pending {
    number: u64,
    segment: Segment,
    /// Whether the first round is over.
    begun: bool,
}

/// The stations that the LAN is being told of.
#[derive(Default)]
pub(in crate::control) struct Announcer {
    /// By round.
    queues: [VecDeque<Due>; ROUNDS],
    pending: HashMap<StationKey, Pending>,
    last: u64,
    /// Frames that may be sent, in thousandths; less than none after a station with many addresses.
    credit: i64,
    credited: Option<Instant>,
    frames: u64,
    missed: u64,
    turn: usize,
}

impl Announcer {
    /// Puts stations in the queue, each with its segment. What is about to be told of anyway is told of once.
    pub(super) fn begin(&mut self, stations: &[(StationKey, Segment)], now: Instant) {
        let few = stations.len() <= FEW;
        for &(station, segment) in stations {
            let waits = self.pending.get(&station).is_some_and(|p| !p.begun);
            if waits && !few {
                continue;
            }
            if self.pending.len() >= MOST_WAITING && !self.pending.contains_key(&station) {
                self.missed += 1;
                continue;
            }
            self.last += 1;
            let number = self.last;
            let pending = Pending {
                number,
                segment,
                begun: false,
            };
            self.pending.insert(station, pending);
            let due = Due {
                station,
                number,
                at: now,
            };
            match few {
                true => self.queues[0].push_front(due),
                false => self.queues[0].push_back(due),
            }
        }
        if self.queues.iter().map(VecDeque::len).sum::<usize>() > MOST {
            let pending = &self.pending;
            let counts = |due: &Due| is_current(pending, due);
            self.queues.iter_mut().for_each(|q| q.retain(counts));
        }
    }

    /// The frames that are due now, as many as the rate allows.
    pub(super) fn due(
        &mut self,
        now: Instant,
        make: impl Fn(StationKey, Segment) -> Vec<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        self.earn(now);
        let mut frames = Vec::new();
        for round in 0..ROUNDS {
            while self.credit > 0 && self.queues[round].front().is_some_and(|d| d.at <= now) {
                let Some(due) = self.queues[round].pop_front() else {
                    break;
                };
                let before = frames.len();
                frames.extend(self.tell(due, round, now, &make).into_iter().flatten());
                self.credit -= 1_000 * (frames.len() - before) as i64;
            }
        }
        self.frames += frames.len() as u64;
        frames
    }

    fn earn(&mut self, now: Instant) {
        const BURST: u64 = RATE / 10 * 1_000;
        let since = self.credited.map(|at| now.saturating_duration_since(at));
        let elapsed = since.map_or(BURST, |s| {
            (s.as_micros() as u64).min(1_000_000) * RATE / 1_000
        });
        self.credited = Some(now);
        self.credit = (self.credit + elapsed as i64).min(BURST as i64);
    }

    /// The frames of a station's round, if it is still due, whose next is put in its queue.
    fn tell(
        &mut self,
        due: Due,
        round: usize,
        now: Instant,
        make: impl Fn(StationKey, Segment) -> Vec<Vec<u8>>,
    ) -> Option<Vec<Vec<u8>>> {
        if !is_current(&self.pending, &due) {
            return None;
        }
        let pending = self.pending.get_mut(&due.station)?;
        pending.begun = true;
        let frames = make(due.station, pending.segment);
        match PAUSES.get(round) {
            Some(pause) => self.queues[round + 1].push_back(Due {
                at: now + Duration::from_millis(*pause),
                ..due
            }),
            None => drop(self.pending.remove(&due.station)),
        }
        Some(frames)
    }

    /// Whose turn it is of so many workers.
    pub(super) fn turn(&mut self, workers: usize) -> usize {
        self.turn = (self.turn + 1) % workers.max(1);
        self.turn
    }

    pub(super) fn status(&self) -> AnnouncingStatus {
        AnnouncingStatus {
            waiting: self.pending.len(),
            frames: self.frames,
            missed: self.missed,
        }
    }
}

fn is_current(pending: &HashMap<StationKey, Pending>, due: &Due) -> bool {
    pending
        .get(&due.station)
        .is_some_and(|p| p.number == due.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(n: usize) -> (StationKey, Segment) {
        let [.., a, b, c] = n.to_be_bytes();
        (StationKey::new(0, [2, 0, 0, a, b, c]), 0)
    }

    /// What is due at each tick of this many milliseconds, until nothing waits: the times, and the stations.
    fn all(announcer: &mut Announcer, start: Instant, ticks: u64) -> Vec<(u64, u8)> {
        let mut told = Vec::new();
        for ms in (0..60_000).step_by(ticks as usize) {
            let now = start + Duration::from_millis(ms);
            let frames = announcer.due(now, |key, _| vec![key.mac.to_vec()]);
            told.extend(frames.iter().map(|f| (ms, f[5])));
        }
        assert_eq!(announcer.status().waiting, 0);
        assert!(announcer.queues.iter().all(VecDeque::is_empty));
        told
    }

    #[test]
    fn a_station_is_told_of_five_times_within_a_second() {
        let (mut a, start) = (Announcer::default(), Instant::now());
        a.begin(&[station(7)], start);
        let told = all(&mut a, start, 10);
        assert_eq!(told, [0, 50, 200, 450, 800].map(|ms| (ms, 7)));
    }

    #[test]
    fn one_that_moves_again_begins_anew() {
        let (mut a, start) = (Announcer::default(), Instant::now());
        a.begin(&[station(7)], start);
        a.begin(&[station(7)], start);
        let at = |ms| start + Duration::from_millis(ms);
        let told = |a: &mut Announcer, ms| a.due(at(ms), |_, _| vec![vec![0]]).len();
        assert_eq!((told(&mut a, 0), told(&mut a, 60)), (1, 1));
        a.begin(&[station(7)], at(100));
        let rest = all(&mut a, at(100), 10);
        assert_eq!(rest, [0, 50, 200, 450, 800].map(|ms| (ms, 7)));
    }

    #[test]
    fn all_that_there_can_be_keep_the_rate_and_a_move_comes_first() {
        let (mut a, start) = (Announcer::default(), Instant::now());
        let stations: Vec<_> = (0..65_536).map(station).collect();
        for _ in 0..10 {
            a.begin(&stations, start);
        }
        let at = |ms| start + Duration::from_millis(ms);
        let told = |a: &mut Announcer, ms| a.due(at(ms), |key, _| vec![key.mac.to_vec()]);
        let mut total = 0;
        for ms in (0..1_000).step_by(100) {
            total += told(&mut a, ms).len();
        }
        assert_eq!(total, 4_000);
        a.begin(&[station(65_000)], at(1_000));
        assert_eq!(told(&mut a, 1_000)[0], station(65_000).0.mac);
    }

    #[test]
    fn queues_are_bounded_however_often_it_is_asked_for() {
        let (mut a, start) = (Announcer::default(), Instant::now());
        let stations: Vec<_> = (0..FEW).map(station).collect();
        for _ in 0..2 * MOST / FEW {
            a.begin(&stations, start);
        }
        assert!(a.queues[0].len() <= MOST);
        assert_eq!(all(&mut a, start, 100).len(), FEW * ROUNDS);
    }

    #[test]
    fn a_peer_with_ever_new_stations_takes_no_more_room_than_there_is() {
        let (mut a, start) = (Announcer::default(), Instant::now());
        for n in 0..=MOST_WAITING / 1_000 {
            let stations: Vec<_> = (1_000 * n..1_000 * (n + 1)).map(station).collect();
            a.begin(&stations, start);
        }
        assert_eq!(a.status().waiting, MOST_WAITING);
        assert_eq!(a.status().missed as usize, 1_000 - MOST_WAITING % 1_000);
        // One that waits already is told of anew all the same.
        a.begin(&[station(7)], start);
        let told = a.due(start, |key, _| vec![key.mac.to_vec()]);
        assert_eq!(told[0], station(7).0.mac);
        assert!(a.queues.iter().map(VecDeque::len).sum::<usize>() <= MOST);
    }
}
