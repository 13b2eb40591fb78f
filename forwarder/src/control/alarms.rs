//! Alarms: what is wrong in the segment and hurts until somebody mends it.
//!
//! An alarm is about one station. It is raised by what is seen, goes on while that is seen, and ends by
//! itself after a quiet time, or when the operator clears it. The log has a line at the start, one now
//! and then while it lasts, and one at the end; `status` has all of it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{
    spec::StationName,
    stations::{PeerIndex, StationKey},
    status::AlarmStatus,
};

/// The log says again that an alarm goes on, this often.
const REMIND: Duration = Duration::from_secs(300);

/// Frames that an alarm keeps, as lines of text.
const FRAMES: usize = 5;

/// Alarms of a kind at once at most: more are counted in none and logged by nobody. Of each kind by itself, since one host
/// that sends in the names of others makes as many of one as it likes.
const MOST: usize = 1_024;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AlarmKind {
    /// A station lives behind a peer and on this LAN.
    DuplicateStation,
    /// A station moves between peers too often, and is frozen.
    MacFlapping,
}

impl AlarmKind {
    const ALL: [Self; 2] = [Self::DuplicateStation, Self::MacFlapping];

    /// The word in `status`, metrics and the log (stable).
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::DuplicateStation => "duplicate_station",
            Self::MacFlapping => "mac_flapping",
        }
    }

    /// One sentence for an operator.
    const fn sentence(self) -> &'static str {
        match self {
            Self::DuplicateStation => {
                "A station that lives behind a peer also sends frames on this LAN."
            }
            Self::MacFlapping => "A station moved between peers too often and is frozen.",
        }
    }

    /// Without news for this long, an alarm ends by itself; `None`: only when it is cleared.
    const fn quiet(self) -> Option<Duration> {
        match self {
            Self::DuplicateStation => Some(Duration::from_secs(60)),
            // It lasts as long as the station is frozen.
            Self::MacFlapping => None,
        }
    }
}

/// The words for the kinds of alarms in `status`, metrics and the log, and a sentence each.
pub fn alarm_kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kinds = AlarmKind::ALL.into_iter();
    kinds.map(|kind| (kind.label(), kind.sentence()))
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Something that is wrong with a station.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    /// The peer that the station lives behind, or that granted it.
    peer: PeerIndex,
    since: Instant,
    last: Instant,
    /// How often it was noticed.
    count: u64,
    /// What is wrong and what to do, in a sentence.
    text: String,
    /// The last frames that showed it.
    frames: VecDeque<String>,
    next_line: Instant,
}

/// All alarms that are on.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    on: BTreeMap<(AlarmKind, StationKey), Alarm>,
}

impl Alarms {
    /// Raises an alarm, or notices once more what it is about; `frame` is a line about the frame that showed it.
    pub(super) fn raise(
        &mut self,
        kind: AlarmKind,
        station: StationKey,
        peer: PeerIndex,
        text: &str,
        frame: Option<String>,
        now: Instant,
    ) {
        let of_kind = || self.on.keys().filter(|(of, _)| *of == kind).count();
        if !self.is_on(kind, station) && of_kind() >= MOST {
            return;
        }
        let alarm = self.on.entry((kind, station)).or_insert_with(|| Alarm {
            peer,
            since: now,
            last: now,
            count: 0,
            text: String::new(),
            frames: VecDeque::new(),
            next_line: now,
        });
        alarm.last = now;
        alarm.count += 1;
        text.clone_into(&mut alarm.text);
        if let Some(frame) = frame {
            alarm.frames.truncate(FRAMES - 1);
            alarm.frames.push_front(frame);
        }
        if now >= alarm.next_line {
            alarm.next_line = now + REMIND;
            let frame = alarm.frames.front().map_or("", |f| f);
            warn!("ALARM {kind}: {} ({frame})", alarm.text);
        }
    }

    /// Whether it is on.
    pub(super) fn is_on(&self, kind: AlarmKind, station: StationKey) -> bool {
        self.on.contains_key(&(kind, station))
    }

    /// Ends all alarms about a station, by the operator's word; how many there were.
    pub(super) fn clear(&mut self, station: StationKey) -> usize {
        self.end(|_, (_, of), _| *of == station, "cleared", Instant::now())
    }

    /// Ends what has been quiet, and what says that a station lives twice when it is not away any more.
    pub(super) fn tick(&mut self, is_away: impl Fn(StationKey) -> bool, now: Instant) {
        let is_quiet = |now: Instant, (kind, _): &(AlarmKind, StationKey), alarm: &Alarm| {
            let silence = now.saturating_duration_since(alarm.last);
            kind.quiet().is_some_and(|quiet| silence >= quiet)
        };
        self.end(is_quiet, "not seen any more", now);
        let is_moot = |_, (kind, station): &(AlarmKind, StationKey), _: &Alarm| {
            *kind == AlarmKind::DuplicateStation && !is_away(*station)
        };
        self.end(is_moot, "the station is not away any more", now);
    }

    /// Ends what says that a station moves too often, of stations that are frozen no longer.
    pub(super) fn thaw(&mut self, is_frozen: impl Fn(StationKey) -> bool, now: Instant) {
        let is_over = |_, (kind, station): &(AlarmKind, StationKey), _: &Alarm| {
            *kind == AlarmKind::MacFlapping && !is_frozen(*station)
        };
        self.end(is_over, "the station may move again", now);
    }

    fn end(
        &mut self,
        is_over: impl Fn(Instant, &(AlarmKind, StationKey), &Alarm) -> bool,
        why: &str,
        now: Instant,
    ) -> usize {
        let before = self.on.len();
        self.on.retain(|key, alarm| {
            let over = is_over(now, key, alarm);
            if over {
                let ((kind, station), count) = (key, alarm.count);
                let station = StationName(*station);
                info!(
                    "alarm {kind} of station {station} ends: {why}; it was noticed {count} times"
                );
            }
            !over
        });
        before - self.on.len()
    }

    /// For `status`; `peer` gives names.
    pub(super) fn status(
        &self,
        now: Instant,
        peer: impl Fn(PeerIndex) -> String,
    ) -> Vec<AlarmStatus> {
        let status = |((kind, station), alarm): (&(AlarmKind, StationKey), &Alarm)| AlarmStatus {
            kind: kind.label().into(),
            station: StationName(*station).to_string(),
            peer: peer(alarm.peer),
            since_s: now.saturating_duration_since(alarm.since).as_secs_f64(),
            last_s: now.saturating_duration_since(alarm.last).as_secs_f64(),
            count: alarm.count,
            text: alarm.text.clone(),
            frames: alarm.frames.iter().cloned().collect(),
        };
        self.on.iter().map(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: AlarmKind = AlarmKind::DuplicateStation;

    fn station(n: u8) -> StationKey {
        StationKey::new(0, [0, 0x50, 0x56, 0, 0, n])
    }

    #[test]
    fn an_alarm_counts_keeps_the_last_frames_and_ends_when_it_is_quiet() {
        let (mut alarms, start) = (Alarms::default(), Instant::now());
        for n in 0..7 {
            let now = start + Duration::from_secs(n);
            alarms.raise(
                KIND,
                station(1),
                0,
                "twice",
                Some(format!("frame {n}")),
                now,
            );
        }
        let now = start + Duration::from_secs(65);
        alarms.tick(|_| true, now);
        let [alarm] = &alarms.status(now, |_| "cloud".into())[..] else {
            panic!("one alarm")
        };
        assert_eq!((alarm.kind.as_str(), alarm.count), ("duplicate_station", 7));
        assert_eq!(
            (alarm.station.as_str(), alarm.peer.as_str()),
            ("00:50:56:00:00:01", "cloud")
        );
        assert_eq!((alarm.since_s, alarm.last_s), (65.0, 59.0));
        assert_eq!(
            alarm.frames,
            ["frame 6", "frame 5", "frame 4", "frame 3", "frame 2"]
        );
        alarms.tick(|_| true, now + Duration::from_secs(1));
        assert!(!alarms.is_on(KIND, station(1)));
    }

    #[test]
    fn who_has_come_home_is_no_duplicate() {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        alarms.raise(KIND, station(1), 0, "twice", None, now);
        alarms.raise(KIND, station(2), 0, "twice", None, now);
        alarms.tick(|key| key == station(2), now);
        assert!(!alarms.is_on(KIND, station(1)) && alarms.is_on(KIND, station(2)));
    }

    #[test]
    fn clearing_ends_those_of_one_station() {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        alarms.raise(KIND, station(1), 0, "twice", None, now);
        alarms.raise(KIND, station(2), 0, "twice", None, now);
        assert_eq!(alarms.clear(station(1)), 1);
        assert_eq!(alarms.clear(station(1)), 0);
        assert!(alarms.is_on(KIND, station(2)));
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        for n in 0..2_000_u16 {
            let [a, b] = n.to_be_bytes();
            alarms.raise(
                KIND,
                StationKey::new(1, [0, 0, 0, 0, a, b]),
                0,
                "twice",
                None,
                now,
            );
        }
        assert_eq!(alarms.status(now, |_| String::new()).len(), MOST);
        // Which hides nothing of another kind.
        alarms.raise(AlarmKind::MacFlapping, station(1), 0, "moves", None, now);
        assert!(alarms.is_on(AlarmKind::MacFlapping, station(1)));
    }
}
