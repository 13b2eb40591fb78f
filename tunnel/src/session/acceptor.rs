//! Takes the handshakes of others, each in a task of its own.

use std::sync::Arc;

use quinn::Incoming;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Session;
use super::counters::SessionCounter;
use super::error::SessionError;
use super::handshake::Handshaker;

/// Sessions and refusals that wait to be taken.
pub(super) const ACCEPT_QUEUE: usize = 64;

/// Runs every handshake in a task of its own, so that none waits for another.
pub(super) async fn accept_loop(
    shared: Arc<Handshaker>,
    accepted: mpsc::Sender<Result<Session, SessionError>>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            incoming = shared.quinn.accept() => {
                let Some(incoming) = incoming else { return };
                if let Some(incoming) = admit(&shared, incoming, handshakes.len()) {
                    handshakes.spawn(handshake(shared.clone(), incoming, accepted.clone()));
                }
            }
            Some(_) = handshakes.join_next() => {}
        }
    }
}

/// Decides by the number of pending handshakes whether one more may begin.
fn admit(shared: &Handshaker, incoming: Incoming, pending: usize) -> Option<Incoming> {
    if pending >= shared.options.max_pending {
        shared.counters.add(SessionCounter::HandshakeIgnored);
        incoming.ignore();
        return None;
    }
    if pending >= shared.options.retry_above && !incoming.remote_address_validated() {
        shared.counters.add(SessionCounter::HandshakeRetry);
        if incoming.retry().is_err() {
            tracing::debug!("a client without a validated address cannot be asked to retry");
        }
        return None;
    }
    Some(incoming)
}

async fn handshake(
    shared: Arc<Handshaker>,
    incoming: Incoming,
    accepted: mpsc::Sender<Result<Session, SessionError>>,
) {
    let result = shared.accept(incoming).await;
    shared.counters.add(match &result {
        Ok(_) => SessionCounter::HandshakeAccepted,
        Err(SessionError::Stranger { .. }) => SessionCounter::HandshakeStranger,
        Err(SessionError::Stalled { .. }) => SessionCounter::HandshakeTimeout,
        Err(_) => SessionCounter::HandshakeFailed,
    });
    match result {
        // The endpoint may be gone: then the session ends here.
        Ok(session) => drop(accepted.send(Ok(session)).await),
        // Strangers must not be able to fill the queue before a peer: a refusal can be dropped.
        Err(error) if accepted.capacity() > ACCEPT_QUEUE / 2 => {
            drop(accepted.try_send(Err(error)));
        }
        Err(error) => tracing::debug!(%error, "a handshake failed"),
    }
}
