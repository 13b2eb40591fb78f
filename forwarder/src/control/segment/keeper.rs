//! Writes the state file beside the control plane, which must not wait for disks.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::{super::Control, Registry};
use crate::stations::{registry::Memory, state::StateFile};

/// What was learnt is written at most this often; what the operator said at once.
const PAUSE: Duration = Duration::from_secs(2);

/// Something to write, and who wants to know that it is done.
struct Job {
    memory: Memory,
    done: Option<oneshot::Sender<Result<(), String>>>,
}

/// The state file's keeper.
pub(super) struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    failures: mpsc::UnboundedReceiver<Option<String>>,
    last_failure: Option<String>,
    due: bool,
    last: Option<Instant>,
}

impl Keeper {
    /// Starts it; in a tokio runtime.
    pub(super) fn new(file: StateFile) -> Self {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (failed, failures) = mpsc::unbounded_channel();
        tokio::spawn(work(file, inbox, failed));
        Self {
            jobs,
            failures,
            last_failure: None,
            due: false,
            last: None,
        }
    }

    /// There is something new, which may wait a little.
    pub(super) fn note(&mut self) {
        self.due = true;
    }

    /// Whether it is time to write what may wait.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let waited = self.last.is_none_or(|at| now.duration_since(at) >= PAUSE);
        self.due && waited
    }

    /// Has the file written; `done` hears how it went.
    pub(super) fn write(
        &mut self,
        memory: Memory,
        now: Instant,
        done: Option<oneshot::Sender<Result<(), String>>>,
    ) {
        self.due = false;
        self.last = Some(now);
        // The task ends with us.
        let _ = self.jobs.send(Job { memory, done });
    }

    /// Why the last attempt failed, if it did, and whether that is new. What failed is due again.
    pub(super) fn failure(&mut self) -> (Option<&str>, bool) {
        let mut news = false;
        while let Ok(outcome) = self.failures.try_recv() {
            self.due |= outcome.is_some();
            news |= outcome.is_some() && outcome != self.last_failure;
            self.last_failure = outcome;
        }
        (self.last_failure.as_deref(), news)
    }

    /// Why the last attempt failed, as far as [`Self::failure`] has heard.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.last_failure.clone()
    }
}

async fn work(
    file: StateFile,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    failed: mpsc::UnboundedSender<Option<String>>,
) {
    while let Some(mut job) = jobs.recv().await {
        let mut waiting = Vec::new();
        waiting.extend(job.done.take());
        // Later ones say all that earlier ones do.
        while let Ok(mut later) = jobs.try_recv() {
            waiting.extend(later.done.take());
            job = later;
        }
        let file = file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&file.text(&job.memory)));
        let outcome = written.await.unwrap_or_else(|e| Err(e.to_string()));
        let _ = failed.send(outcome.as_ref().err().cloned());
        for done in waiting {
            let _ = done.send(outcome.clone());
        }
    }
}

impl Control {
    /// Has what the operator said kept; tells whether it is, when it is.
    pub(super) fn keep(&mut self) -> oneshot::Receiver<Result<bool, String>> {
        let (tell, told) = oneshot::channel();
        let (Some(keeper), Registry::Site(site)) =
            (&mut self.parts.segment.keeper, &self.parts.segment.registry)
        else {
            let _ = tell.send(Ok(false));
            return told;
        };
        let (done, is_done) = oneshot::channel();
        keeper.write(site.memory(), Instant::now(), Some(done));
        tokio::spawn(async move {
            let outcome = is_done
                .await
                .unwrap_or_else(|_| Err("causeway is stopping".into()));
            let outcome = outcome.map(|()| true);
            let _ = tell.send(outcome.map_err(|e| format!("it is done, but not kept: {e}")));
        });
        told
    }

    /// Before the program ends: what may wait does so no longer.
    pub(in crate::control) async fn keep_last(&mut self) {
        let due = self.parts.segment.keeper.as_ref().is_some_and(|k| k.due);
        if due && let Ok(Err(failure)) = self.keep().await {
            warn!("{failure}");
        }
    }

    /// Has what was learnt kept, if it is time, and says in the log if that does not work.
    pub(super) fn keep_if_due(&mut self, now: Instant) {
        let (Some(keeper), Registry::Site(site)) =
            (&mut self.parts.segment.keeper, &self.parts.segment.registry)
        else {
            return;
        };
        if keeper.is_due(now) {
            keeper.write(site.memory(), now, None);
        }
        if let (Some(failure), true) = keeper.failure() {
            warn!("{failure}");
        }
    }
}
