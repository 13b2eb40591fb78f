//! From a fresh QUIC session to security associations on every worker.
//!
//! Each end installs what it receives on before it tells the other (make before break): when
//! `Lanes` has arrived, everything it names can be sent to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use causeway_tunnel::{
    message::{Bye, ByeReason, Lanes, Message},
    sa::{IpFamily, SaKeys},
    session::{Session, SessionError},
    spi::Spi,
};
use tokio::{sync::oneshot, time::timeout};

use super::{context::Context, event::SessionId};
use crate::{counters::SharedCounter, stations::PeerIndex, worker::Command};

/// The exchange of `Lanes` takes one round trip; this is plenty.
const PATIENCE: Duration = Duration::from_secs(10);

/// Workers of an end, and so lanes of a peer, are at most this many.
const MOST_LANES: u8 = 64;

/// A lane that we receive on.
#[derive(Clone)]
pub(super) struct Receiving {
    pub(super) spi: Spi,
    /// The highest sequence number that its worker has received.
    pub(super) highest: SharedCounter,
    /// How many authentic datagrams it has received.
    pub(super) received: SharedCounter,
    /// The peer's number of the lane.
    pub(super) remote_lane: u8,
    /// Where the newest came from, as far as that is followed: at the listening end.
    pub(super) from: Arc<Mutex<Option<SocketAddr>>>,
}

/// A session that is about to be.
pub(super) struct Candidate {
    pub(super) id: SessionId,
    pub(super) peer: PeerIndex,
    pub(super) session: Session,
}

/// A session whose two ends are ready to receive on all lanes.
pub(super) struct Established {
    pub(super) candidate: Candidate,
    /// What we receive on, by the peer's lane.
    pub(super) receive: Vec<Receiving>,
    /// What we send on, with keys; by worker.
    pub(super) send: Vec<(Spi, SaKeys)>,
}

/// A session that ended before it was one.
pub(super) struct Failed {
    pub(super) peer: PeerIndex,
    pub(super) dialled: bool,
    pub(super) error: String,
    /// Whether it was the peer that gave it up: of several attempts, it keeps one.
    pub(super) given_up: bool,
}

/// Installs what we receive on and exchanges `Lanes`.
pub(super) async fn establish(
    candidate: Candidate,
    context: Arc<Context>,
) -> Result<Box<Established>, Box<Failed>> {
    let mut receive = Vec::new();
    let exchange = exchange(&candidate, &context, &mut receive);
    let result = timeout(PATIENCE, exchange).await;
    let error = match result {
        Ok(Ok(send)) => {
            return Ok(Box::new(Established {
                candidate,
                receive,
                send,
            }));
        }
        Ok(Err(error)) => error,
        Err(_) => {
            "the peer did not name its lanes in time: are both ends of the same version?".into()
        }
    };
    context.remove(&receive.iter().map(|lane| lane.spi).collect::<Vec<_>>());
    let given_up = matches!(
        candidate.session.close_reason(),
        Some(SessionError::ClosedByPeer(_))
    );
    candidate
        .session
        .close(Bye::new(ByeReason::Protocol, error.as_str()))
        .await;
    Err(Box::new(Failed {
        peer: candidate.peer,
        dialled: candidate.session.is_dialer(),
        error,
        given_up,
    }))
}

type Send = Vec<(Spi, SaKeys)>;

async fn exchange(
    candidate: &Candidate,
    context: &Context,
    receive: &mut Vec<Receiving>,
) -> Result<Send, String> {
    let text = |e: SessionError| e.to_string();
    let session = &candidate.session;
    let their_lanes = session.hello().lanes;
    if !(1..=MOST_LANES).contains(&their_lanes) {
        return Err(format!(
            "the peer announces {their_lanes} lanes; 1 to {MOST_LANES} are possible"
        ));
    }
    let ready = install_receive(candidate, context, receive)?;
    for done in ready {
        done.await.map_err(|_| "a worker has ended".to_owned())?;
    }
    let spis = receive.iter().map(|lane| lane.spi.into()).collect();
    session
        .send(&Message::Lanes(Lanes { spis }))
        .await
        .map_err(text)?;
    let lanes = match session.recv().await.map_err(text)? {
        Message::Lanes(lanes) => lanes,
        Message::Bye(bye) => return Err(format!("the peer closed the session: {bye}")),
        _ => return Err("the peer did not name its lanes after Hello".into()),
    };
    send_keys(candidate, context, &lanes)
}

/// Which of so many workers receives a lane of the peer.
pub(super) fn worker_of(remote_lane: u8, workers: usize) -> usize {
    usize::from(remote_lane) % workers
}

/// One security association for each lane of the peer, dealt out to our workers.
fn install_receive(
    candidate: &Candidate,
    context: &Context,
    receive: &mut Vec<Receiving>,
) -> Result<Vec<oneshot::Receiver<()>>, String> {
    let dialled = candidate.session.is_dialer();
    let mut ready = Vec::new();
    for remote_lane in 0..candidate.session.hello().lanes {
        let worker = worker_of(remote_lane, context.workers.len());
        let spi = context.new_spi(worker as u8)?;
        let (highest, received) = (SharedCounter::default(), SharedCounter::default());
        let lane = Receiving {
            spi,
            highest: SharedCounter::clone(&highest),
            received: SharedCounter::clone(&received),
            remote_lane,
            from: Arc::default(),
        };
        receive.push(lane);
        let keys = keys(candidate, context, spi, !dialled)?.with_library(context.libraries.1);
        let (done, is_done) = oneshot::channel();
        context.workers[worker].tell(Command::InstallRx {
            peer: candidate.peer,
            remote_lane,
            spi,
            keys,
            limits: context.limits,
            learns_path: !dialled,
            highest,
            received,
            done,
        });
        ready.push(is_done);
    }
    // What comes in at another worker is theirs to hand over from then on.
    ready.extend(context.publish_live());
    Ok(ready)
}

fn send_keys(candidate: &Candidate, context: &Context, lanes: &Lanes) -> Result<Send, String> {
    if lanes.spis.len() != context.workers.len() {
        return Err(format!(
            "the peer names {} lanes for our {}",
            lanes.spis.len(),
            context.workers.len()
        ));
    }
    let of_lane = |spi: &u32| {
        let spi = Spi::try_from(*spi).map_err(|e| format!("the peer names a lane badly: {e}"))?;
        let keys = keys(candidate, context, spi, candidate.session.is_dialer())?;
        Ok((spi, keys.with_library(context.libraries.0)))
    };
    let send = lanes
        .spis
        .iter()
        .map(of_lane)
        .collect::<Result<Send, String>>()?;
    let mut spis: Vec<_> = send.iter().map(|(spi, _)| *spi).collect();
    spis.sort_unstable();
    spis.dedup();
    if spis.len() != send.len() {
        // Two lanes under one SPI would be two senders with one key.
        return Err("the peer names one lane twice".into());
    }
    Ok(send)
}

fn keys(
    candidate: &Candidate,
    context: &Context,
    spi: Spi,
    sender_is_dialer: bool,
) -> Result<SaKeys, String> {
    let session = &candidate.session;
    let cipher = session.cipher();
    let material = session.keying_material(u32::from(spi), sender_is_dialer, cipher.keymat_len());
    let keys = SaKeys::new(cipher, &material).map_err(|e| e.to_string())?;
    if let Some(log) = &context.sa_log {
        let family = match session.remote_address() {
            SocketAddr::V4(_) => IpFamily::V4,
            SocketAddr::V6(_) => IpFamily::V6,
        };
        log.write(family, spi, &keys);
    }
    Ok(keys)
}
