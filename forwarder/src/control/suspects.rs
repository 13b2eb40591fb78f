//! Reflection or duplicate: whether a frame from a station that is away is our own, or the station lives
//! here as well.
//!
//! A frame of an away station on this LAN makes it a suspect. From then on the workers note what they inject in
//! its name ([`Recorder`]); when all of them do, and what they sent before has had time to come back, the
//! program watches the station: each frame of it is now known to be ours or not, by the notes of the last
//! seconds. Frames that are not ours, several and not all at once, are a duplicate. A suspect of which
//! nothing is seen for a while is none any more. Without suspects all of this costs a frame nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_ebpf::maps::MAX_WATCHED;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tracing::{debug, warn};

use crate::{
    spec::StationName,
    stations::StationKey,
    worker::{Command, WorkerSender},
    xdp::{Injected, LanProgram, Recorder, Watched},
};

/// What was injected before it was noted is back within this time, or never.
const SETTLE: Duration = Duration::from_millis(300);

/// Notes count in the generation that they are made in and in the next: a frame has this long, to twice this
/// long, to come back.
const GENERATION: Duration = Duration::from_secs(2);

/// A station of which no frame was seen for this long is no suspect.
const FORGET: Duration = Duration::from_secs(120);

/// So many frames that are not ours are a duplicate, …
const ENOUGH: u32 = 3;

/// … if they came in no less than this time, …
const SPAN: Duration = Duration::from_millis(500);

/// … and with no longer pauses than this.
const PAUSE: Duration = Duration::from_secs(60);

/// How far a suspect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The workers are to be told.
    New,
    /// They were told, and may not have begun.
    Told,
    /// The program tells its frames from others'.
    Watched,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    stage: Stage,
    last_seen: Instant,
    /// Frames that were not ours: how many, when the first and the last came.
    others: u32,
    first: Instant,
    last: Instant,
}

/// What the workers were told, and has to take effect.
#[derive(Debug)]
struct Telling {
    answers: Vec<oneshot::Receiver<()>>,
    /// When all had answered, and what they sent before is back.
    settled: Option<Instant>,
}

/// The stations that are suspected to live twice.
#[derive(Debug)]
pub(super) struct Suspects {
    table: Arc<Injected>,
    suspects: HashMap<StationKey, Suspect>,
    /// Whether the workers' set is another one than ours.
    changed: bool,
    telling: Option<Telling>,
    next_generation: Instant,
}

impl Suspects {
    pub(super) fn new(table: Arc<Injected>, now: Instant) -> Self {
        Self {
            table,
            suspects: HashMap::new(),
            changed: false,
            telling: None,
            next_generation: now,
        }
    }

    /// A frame of an away station was seen, by whomever it was sent.
    pub(super) fn seen(&mut self, station: StationKey, now: Instant) {
        if let Some(suspect) = self.suspects.get_mut(&station) {
            suspect.last_seen = now;
        } else if self.suspects.len() < MAX_WATCHED as usize {
            let suspect = Suspect {
                stage: Stage::New,
                last_seen: now,
                others: 0,
                first: now,
                last: now,
            };
            self.suspects.insert(station, suspect);
            self.changed = true;
        }
    }

    /// A frame of it was seen that we have not injected. Whether that makes a duplicate.
    pub(super) fn others(&mut self, station: StationKey, now: Instant) -> bool {
        self.seen(station, now);
        let Some(suspect) = self.suspects.get_mut(&station) else {
            return false;
        };
        if suspect.others == 0 || now.saturating_duration_since(suspect.last) > PAUSE {
            (suspect.others, suspect.first) = (0, now);
        }
        suspect.others += 1;
        suspect.last = now;
        suspect.others >= ENOUGH && now.saturating_duration_since(suspect.first) >= SPAN
    }

    /// What was seen of the station so far proves nothing any more.
    pub(super) fn acquit(&mut self, station: StationKey) {
        if let Some(suspect) = self.suspects.get_mut(&station) {
            suspect.others = 0;
        }
    }

    /// Moves suspects on, ten times a second; `is_away` says of which stations a frame here means anything.
    pub(super) fn tick(
        &mut self,
        program: &mut LanProgram,
        workers: &[WorkerSender],
        is_away: impl Fn(StationKey) -> bool,
        now: Instant,
    ) {
        self.forget(program, is_away, now);
        if self.has_settled(now) {
            self.telling = None;
            self.watch(program);
        }
        if self.changed && self.telling.is_none() {
            self.tell(workers);
        }
        if !self.suspects.is_empty() && now >= self.next_generation {
            self.next_generation = now + GENERATION;
            self.table.begin_generation();
        }
    }

    fn forget(
        &mut self,
        program: &mut LanProgram,
        is_away: impl Fn(StationKey) -> bool,
        now: Instant,
    ) {
        let before = self.suspects.len();
        self.suspects.retain(|station, suspect| {
            let silent = now.saturating_duration_since(suspect.last_seen) >= FORGET;
            let stays = !silent && is_away(*station);
            if !stays && suspect.stage == Stage::Watched {
                set_watch(program, *station, false);
            }
            stays
        });
        self.changed |= self.suspects.len() != before;
    }

    /// Whether all workers note what was asked of them last, and have for a while.
    fn has_settled(&mut self, now: Instant) -> bool {
        let Some(telling) = &mut self.telling else {
            return false;
        };
        // A worker that is gone injects nothing.
        telling
            .answers
            .retain_mut(|answer| answer.try_recv() == Err(TryRecvError::Empty));
        if !telling.answers.is_empty() {
            return false;
        }
        now >= *telling.settled.get_or_insert(now + SETTLE)
    }

    fn watch(&mut self, program: &mut LanProgram) {
        for (station, suspect) in &mut self.suspects {
            if suspect.stage == Stage::Told && set_watch(program, *station, true) {
                debug!("station {} is watched", StationName(*station));
                suspect.stage = Stage::Watched;
            }
        }
    }

    fn tell(&mut self, workers: &[WorkerSender]) {
        let watched: Watched = self.suspects.keys().map(|key| u64::from(*key)).collect();
        let recorder = (!watched.is_empty())
            .then(|| Recorder::new(Arc::clone(&self.table), Arc::new(watched)));
        let tell = |worker: &WorkerSender| {
            let (done, answer) = oneshot::channel();
            worker.tell(Command::Note(recorder.clone(), done));
            answer
        };
        self.telling = Some(Telling {
            answers: workers.iter().map(tell).collect(),
            settled: None,
        });
        self.changed = false;
        for suspect in self.suspects.values_mut() {
            if suspect.stage == Stage::New {
                suspect.stage = Stage::Told;
            }
        }
    }
}

fn set_watch(program: &mut LanProgram, station: StationKey, watch: bool) -> bool {
    let result = program.watch(station, watch);
    if let Err(e) = &result {
        warn!("station {}: {e}", StationName(station));
    }
    result.is_ok()
}
