//! Dialling a peer until it answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use causeway_tunnel::{
    identity::PublicKey,
    session::{Endpoint, Session, SessionError},
};
use tokio::{net::lookup_host, sync::mpsc, task::JoinSet, time::sleep};

use super::event::Event;
use crate::stations::PeerIndex;

/// Pause between the starts of two attempts: it doubles from the first to the second of these.
///
/// The ceiling is what a peer that comes back has to wait for us at most, so it is below a second;
/// attempts that are under way go on beside the next, so that a long round trip is no obstacle.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(800));

/// Pause after a peer refused us or presented another key: somebody has to change a configuration.
const PAUSE_REFUSED: Duration = Duration::from_secs(2);

/// Attempts under way at once; the next waits for one to end.
const ATTEMPTS: usize = 8;

/// Whom to dial.
pub(super) struct Target {
    pub(super) peer: PeerIndex,
    pub(super) key: PublicKey,
    /// `HOST:PORT`, resolved anew for each attempt.
    pub(super) address: String,
}

/// Dials until one attempt succeeds; tells of every one that fails.
pub(super) async fn until_answered(
    endpoint: &Arc<Endpoint>,
    target: &Target,
    events: &mpsc::Sender<Event>,
) -> Session {
    let mut attempts = JoinSet::new();
    let mut pause = PAUSE.0;
    for round in 0.. {
        if attempts.len() < ATTEMPTS {
            let (endpoint, key) = (Arc::clone(endpoint), target.key);
            let address = target.address.clone();
            attempts.spawn(async move { attempt(&endpoint, &key, &address, round).await });
        }
        let wait = sleep(pause);
        tokio::pin!(wait);
        pause = (pause * 2).min(PAUSE.1);
        loop {
            tokio::select! {
                () = &mut wait => break,
                Some(ended) = attempts.join_next() => match ended {
                    Ok(Ok(session)) => return session,
                    Ok(Err(failure)) => {
                        if failure.needs_mending {
                            pause = PAUSE_REFUSED;
                        }
                        let event = Event::DialFailed { peer: target.peer, error: failure.text };
                        // The receiver is gone only while the program stops.
                        let _ = events.send(event).await;
                    }
                    Err(_) => {}
                },
            }
        }
    }
    unreachable!("the rounds do not end")
}

struct Failure {
    text: String,
    needs_mending: bool,
}

async fn attempt(
    endpoint: &Endpoint,
    key: &PublicKey,
    address: &str,
    round: usize,
) -> Result<Session, Failure> {
    let address = resolve(address, round).await?;
    endpoint.dial(address, key).await.map_err(|e| Failure {
        needs_mending: needs_mending(&e),
        text: e.to_string(),
    })
}

/// Whether there is somebody, but it will not do without a change of configuration or version.
pub(super) fn needs_mending(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::WrongKey { .. }
            | SessionError::KeyRefused { .. }
            | SessionError::Stranger { .. }
            | SessionError::NotExpected { .. }
            | SessionError::NotCauseway(_)
            | SessionError::QuicVersion(_)
            | SessionError::Version { .. }
            | SessionError::SameRole { .. }
    )
}

/// The addresses of a name take turns.
async fn resolve(name: &str, round: usize) -> Result<SocketAddr, Failure> {
    let failure = |text: String| Failure {
        text,
        needs_mending: false,
    };
    let addresses: Vec<_> = lookup_host(name)
        .await
        .map_err(|e| {
            failure(format!(
                "cannot resolve {name}: {e}; check the name in --peer and the resolver"
            ))
        })?
        .collect();
    match addresses.len() {
        0 => Err(failure(format!(
            "{name} has no address; check the name in --peer"
        ))),
        n => Ok(addresses[round % n]),
    }
}
