//! A request that changes something: it is done, or whoever asked is told that it will not be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// The end of who does it.
#[derive(Debug)]
pub(in crate::control) struct Turn<T> {
    decided: Arc<AtomicBool>,
    answer: oneshot::Sender<T>,
}

/// The end of who asks.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    decided: Arc<AtomicBool>,
    answer: oneshot::Receiver<T>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    /// It was done, with this answer.
    Answered(T),
    /// It will not be done.
    NotBegun,
    /// Whoever does it has ended.
    Ended,
}

/// Both ends of a request.
pub(super) fn turn<T>() -> (Turn<T>, Waiting<T>) {
    let decided = Arc::new(AtomicBool::new(false));
    let (tell, answer) = oneshot::channel();
    let turn = Turn {
        decided: Arc::clone(&decided),
        answer: tell,
    };
    (turn, Waiting { decided, answer })
}

impl<T> Turn<T> {
    /// Where the answer goes, if it is to be done: nobody may have waited that long. To be asked first.
    pub(in crate::control) fn begin(self) -> Option<oneshot::Sender<T>> {
        let gone = self.decided.swap(true, Ordering::AcqRel) || self.answer.is_closed();
        (!gone).then_some(self.answer)
    }
}

impl<T> Waiting<T> {
    /// Waits for the turn to come, not longer than this, and then for the answer.
    pub(super) async fn answer(mut self, patience: Duration) -> Outcome<T> {
        let answer = match timeout(patience, &mut self.answer).await {
            Ok(answer) => answer,
            Err(_) if !self.decided.swap(true, Ordering::AcqRel) => return Outcome::NotBegun,
            // It has begun.
            Err(_) => self.answer.await,
        };
        answer.map_or(Outcome::Ended, Outcome::Answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn what_has_begun_is_waited_for_and_nothing_else_is_done() {
        let (turn, waiting) = turn();
        turn.begin().unwrap().send(1).unwrap();
        assert_eq!(waiting.answer(SOON).await, Outcome::Answered(1));
        // Begun in time, answered late.
        let (turn, waiting) = super::turn();
        let answer = turn.begin().unwrap();
        let late = tokio::spawn(async move {
            tokio::time::sleep(5 * SOON).await;
            answer.send(2)
        });
        assert_eq!(waiting.answer(SOON).await, Outcome::Answered(2));
        late.await.unwrap().unwrap();
        // Not begun in time, so never.
        let (turn, waiting) = super::turn::<u8>();
        assert_eq!(waiting.answer(SOON).await, Outcome::NotBegun);
        assert!(turn.begin().is_none());
        // Who asked is gone; who should do it is.
        let (turn, waiting) = super::turn::<u8>();
        drop(waiting);
        assert!(turn.begin().is_none());
        let (turn, waiting) = super::turn::<u8>();
        drop(turn);
        assert_eq!(waiting.answer(SOON).await, Outcome::Ended);
    }
}
