//! The pace of earlier runs on this machine: a small file beside the installed peers.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::machine;

/// The file.
const NAME: &str = "pace.json";

/// Runs that are remembered: what the machine was long ago is not what it is.
const RUNS: usize = 50;

/// And no longer than this, in seconds.
const DAYS: u64 = 30 * 86_400;

/// One run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Run {
    /// When: seconds since 1970.
    at: u64,
    /// On what, and by which build: others have another pace.
    on: String,
    /// The median of its references.
    seconds: f64,
}

/// Earlier runs.
pub(super) struct History {
    path: PathBuf,
    on: String,
    /// Of all machines that share the folder.
    all: Vec<Run>,
    /// Of this one.
    seconds: Vec<f64>,
}

impl History {
    /// What a folder remembers; nothing, if it has no such file or one that cannot be read.
    pub(super) fn load(folder: &Path) -> Self {
        Self::of(folder, this_machine(), now())
    }

    fn of(folder: &Path, on: String, now: u64) -> Self {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut all: Vec<Run> = serde_json::from_str(&text).unwrap_or_default();
        let good = |run: &Run| run.seconds.is_finite() && run.seconds > 0.0;
        all.retain(|run| now.saturating_sub(run.at) < DAYS && good(run));
        let ours = all.iter().filter(|run| run.on == on);
        let seconds = ours.map(|run| run.seconds).collect();
        Self {
            path,
            on,
            all,
            seconds,
        }
    }

    /// Seconds of the reference work, by run.
    pub(super) fn runs(&self) -> &[f64] {
        &self.seconds
    }

    /// Adds a run. Where that cannot be written nothing is remembered: the next run says how many it knows.
    pub(super) fn remember(mut self, seconds: f64) {
        let (at, on) = (now(), self.on);
        self.all.push(Run { at, on, seconds });
        let old = self.all.len().saturating_sub(RUNS);
        self.all.drain(..old);
        if let (Some(folder), Ok(text)) = (self.path.parent(), serde_json::to_string(&self.all)) {
            let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&self.path, text));
        }
    }
}

/// What decides the pace beside the hour: the CPU, and our own build.
fn this_machine() -> String {
    let cpu = machine::describe().map(|(machine, _)| machine.cpu().to_owned());
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!("{}, {profile}", cpu.unwrap_or_default())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::scratch::Scratch;

    #[test]
    fn runs_of_this_machine_are_remembered() {
        let scratch = Scratch::create().expect("root");
        let folder = scratch.path("cache");
        let load = |on: &str, now| History::of(&folder, on.into(), now);
        assert_eq!(load("a", now()).runs(), [] as [f64; 0]);
        load("a", now()).remember(1.0);
        load("b", now()).remember(9.0);
        load("a", now()).remember(2.0);
        assert_eq!(load("a", now()).runs(), [1.0, 2.0]);
        assert_eq!(load("a", now() + DAYS).runs(), [] as [f64; 0]);
        for _ in 0..RUNS {
            load("b", now()).remember(3.0);
        }
        assert_eq!(load("a", now()).runs(), [] as [f64; 0]);
        fs::write(folder.join(NAME), "[{").expect("ours");
        assert_eq!(load("b", now()).runs(), [] as [f64; 0]);
    }
}
