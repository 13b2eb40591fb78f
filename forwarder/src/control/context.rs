//! What all sessions have in common: the workers, and the SPIs that they receive on.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use causeway_tunnel::{aead::Library, sa::Limits, spi::Spi};
use tokio::sync::oneshot;

use crate::{
    sa_log::SaLog,
    worker::{Command, LiveSpis, WorkerSender},
};

/// What all sessions have in common.
pub(super) struct Context {
    pub(super) workers: Vec<WorkerSender>,
    pub(super) limits: Limits,
    /// What seals and what opens.
    pub(super) libraries: (Library, Library),
    pub(super) sa_log: Option<SaLog>,
    /// SPIs that we receive on.
    pub(super) in_use: Mutex<HashSet<Spi>>,
}

impl Context {
    /// An SPI of the worker that is not in use.
    pub(super) fn new_spi(&self, worker: u8) -> Result<Spi, String> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut random = [0; 4];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
                .map_err(|e| format!("no random numbers: {e}"))?;
            let spi = Spi::new(u32::from_ne_bytes(random), worker);
            if in_use.insert(spi) {
                return Ok(spi);
            }
        }
    }

    /// Has the workers forget what they received on.
    pub(super) fn remove(&self, receive: &[Spi]) {
        if receive.is_empty() {
            return;
        }
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        for spi in receive {
            let worker = &self.workers[usize::from(spi.worker()) % self.workers.len()];
            worker.tell(Command::RemoveRx(u32::from(*spi)));
            in_use.remove(spi);
        }
        drop(in_use);
        self.publish_live();
    }

    /// Tells the workers what all of them receive on; gives what is told when each of them knows it.
    pub(super) fn publish_live(&self) -> Vec<oneshot::Receiver<()>> {
        if self.workers.len() < 2 {
            return Vec::new();
        }
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let live: Arc<LiveSpis> = Arc::new(in_use.iter().map(|spi| u32::from(*spi)).collect());
        let tell = |worker: &WorkerSender| {
            let (done, is_done) = oneshot::channel();
            worker.tell(Command::LiveSpis(Arc::clone(&live), done));
            is_done
        };
        self.workers.iter().map(tell).collect()
    }
}
