//! Writes the state file beside the control plane, which must not wait for disks.

use std::time::{Duration, Instant};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tracing::warn;

use super::{super::Control, Registry};
use crate::stations::{registry::Memory, state::StateFile};

/// What was learnt is written at most this often; what the operator said at once.
const PAUSE: Duration = Duration::from_secs(2);

/// A disk has this long when the program ends.
const LAST: Duration = Duration::from_secs(30);

/// Something to write, and who wants to know that it is done.
struct Job {
    memory: Memory,
    done: Option<oneshot::Sender<Result<(), String>>>,
}

/// The state file's keeper.
pub(super) struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    failures: mpsc::UnboundedReceiver<Option<String>>,
    /// Ends after the last job and tells how that went.
    work: JoinHandle<Result<(), String>>,
    last_failure: Option<String>,
    due: bool,
    last: Option<Instant>,
}

impl Keeper {
    /// Starts it; in a tokio runtime.
    pub(super) fn new(file: StateFile) -> Self {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (failed, failures) = mpsc::unbounded_channel();
        Self {
            jobs,
            failures,
            work: tokio::spawn(work(file, inbox, failed)),
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

    /// Has what is due written, for the last time, and waits until all is that was to be.
    async fn finish(mut self, memory: Memory) -> Result<(), String> {
        self.failure();
        if self.due {
            self.write(memory, Instant::now(), None);
        }
        drop(self.jobs);
        let patience = LAST.as_secs();
        match timeout(LAST, self.work).await {
            Ok(outcome) => outcome.unwrap_or_else(|e| Err(e.to_string())),
            Err(_) => Err(format!(
                "the state file could not be written within {patience} s: stations that were changed last may be lost"
            )),
        }
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
) -> Result<(), String> {
    let mut last = Ok(());
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
        last = outcome;
    }
    last
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

    /// Before the program ends: what may wait does so no longer. All is on the disk when the task has ended.
    pub(in crate::control) fn keep_last(&mut self) -> JoinHandle<()> {
        let segment = &mut self.parts.segment;
        let memory = match &segment.registry {
            Registry::Site(site) => site.memory(),
            Registry::Cloud(_) => Memory::default(),
        };
        let keeper = segment.keeper.take();
        tokio::spawn(async move {
            let Some(keeper) = keeper else { return };
            if let Err(failure) = keeper.finish(memory).await {
                warn!("{failure}");
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stations::{StationKey, state::tests::Folder};

    fn memory(last: u8) -> Memory {
        Memory {
            removed: vec![StationKey::new(0, [2, 0, 0, 0, 0, last])],
            ..Memory::default()
        }
    }

    fn kept(folder: &Folder) -> Memory {
        StateFile::open(&folder.file(), Vec::new()).unwrap().1
    }

    #[tokio::test]
    async fn what_is_queued_or_due_at_the_end_is_written() {
        let folder = Folder::new("keeper");
        let (file, _) = StateFile::open(&folder.file(), Vec::new()).unwrap();
        // What the operator said last, while the one before is being written.
        let mut keeper = Keeper::new(file.clone());
        let (done, is_done) = oneshot::channel();
        keeper.write(memory(1), Instant::now(), None);
        tokio::task::yield_now().await;
        keeper.write(memory(2), Instant::now(), Some(done));
        assert_eq!(keeper.finish(Memory::default()).await, Ok(()));
        assert_eq!(kept(&folder), memory(2));
        assert_eq!(is_done.await, Ok(Ok(())));
        // What was learnt and has to wait.
        let mut keeper = Keeper::new(file.clone());
        keeper.write(memory(3), Instant::now(), None);
        keeper.note();
        assert_eq!(keeper.finish(memory(4)).await, Ok(()));
        assert_eq!(kept(&folder), memory(4));
        // Nothing new: nothing is written.
        assert_eq!(Keeper::new(file).finish(memory(5)).await, Ok(()));
        assert_eq!(kept(&folder), memory(4));
    }

    #[tokio::test]
    async fn what_failed_is_written_at_the_end_or_named() {
        let folder = Folder::new("keeper-fails");
        let (file, _) = StateFile::open(&folder.file(), Vec::new()).unwrap();
        let in_the_way = folder.file().with_file_name("lan.state.new");
        std::fs::create_dir(&in_the_way).unwrap();
        let mut keeper = Keeper::new(file.clone());
        let (done, is_done) = oneshot::channel();
        keeper.write(memory(1), Instant::now(), Some(done));
        assert!(is_done.await.unwrap().is_err());
        std::fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(keeper.finish(memory(1)).await, Ok(()));
        assert_eq!(kept(&folder), memory(1));
        std::fs::create_dir(&in_the_way).unwrap();
        let mut keeper = Keeper::new(file);
        keeper.note();
        let failure = keeper.finish(memory(2)).await.unwrap_err();
        assert!(failure.contains("cannot write state file"), "{failure}");
    }
}
