//! What is sent when, and what is noted of it.
//!
//! 1. Dummies on each lane, until the peer says that it has received on them, for [`SETTLE`] at most.
//! 2. A hundred small ones on each lane, and as many asked for: what is lost of those is loss.
//! 3. On the first lane, dummies that become longer and longer, until none arrives: the path MTU for ESP. A few are
//!    asked for. `sizes` has it.
//! 4. The path is filled for a moment, by QUIC; and a long train at once is asked for.
//! 5. Behind a NAT: nothing is sent on the second lane for as long as the appliance would be silent there, and
//!    then the peer is asked to send to it.
//!
//! Less than 1 MB goes each way; of a peer with more than 20 lanes and jumbo frames less than 2 MB comes.

use std::time::{Duration, Instant};

use causeway_tunnel::{
    message::{FEATURE_TRAINS, Message, Train as TrainMessage},
    session::{Filled, Session},
    wire::MIN_ESP,
};
use tokio::time::sleep;

use super::{Failed, Measured, Outlived, Train, lanes::Lanes, sizes};
use crate::{doctor::route::local_address, status::SessionStatus};

/// How long the first datagrams may take to be heard: the appliance has three opening keepalives in less.
const SETTLE: Duration = Duration::from_millis(5_100);
/// Between two of them.
const OPENING: Duration = Duration::from_millis(250);

/// Datagrams of a lane to see what is lost, their size, and the pause between two.
const MANY: u64 = 100;
pub(super) const SMALL: usize = 100;
const PACE: Duration = Duration::from_millis(5);
/// The peer is asked for so many at a time.
const AT_ONCE: u64 = 10;

/// Bytes that fill the path, there and back, and for how long at most.
pub(super) const FILL: usize = 500_000;
const FILL_TIME: Duration = Duration::from_secs(2);

/// How long an answer may take beyond the round trip.
pub(super) const SLACK: Duration = Duration::from_millis(150);

/// How long what seems to be lost is waited for: jitter, a worker that has just begun to sleep, are no loss.
const LATE: Duration = Duration::from_millis(500);

/// Plays it.
pub(super) async fn play(
    session: &Session,
    lanes: &Lanes<'_>,
    ceiling: u16,
    silence: Duration,
) -> Result<Measured, Failed> {
    let begun = Instant::now();
    let answers = answers(session);
    let count = lanes.ports().len();
    open(session, lanes, count, begun, answers).await?;
    let mut measured = Measured {
        ports: lanes.ports(),
        ceiling,
        answers,
        ..Measured::default()
    };
    let arrives = |lane: &_| matches!(lane, Some(highest) if *highest > 0);
    let mut sending = lanes.sending();
    let passes = sending.iter().any(|lane| arrives(&lane.heard));
    if passes {
        measured.trains = loss(session, lanes, count, answers).await?;
        // Of what comes next most may be too long for the path.
        sending = lanes.sending();
        measured.largest = sizes::largest(session, lanes, ceiling, answers).await?;
        if answers {
            measured.returned = returned(session, lanes, measured.largest[0]).await?;
        }
    }
    let filled = session.fill(FILL, FILL_TIME).await;
    measured.filled = Some(filled.map_err(Failed::Session)?);
    if !passes {
        // What QUIC finds is all that there is.
        sleep(Duration::from_secs(2)).await;
    }
    measured.session = SessionStatus {
        tx_lanes: sending,
        ..status(session, lanes, begun)
    };
    if answers && passes && is_behind_nat(session, lanes) {
        measured.silence = Some((silence, outlives(session, lanes, silence).await?));
    }
    Ok(measured)
}

pub(super) async fn ask(session: &Session, sizes: Vec<u16>) -> Result<(), Failed> {
    let train = Message::Train(TrainMessage { sizes });
    session.send(&train).await.map_err(Failed::Session)
}

async fn open(
    session: &Session,
    lanes: &Lanes<'_>,
    count: usize,
    begun: Instant,
    answers: bool,
) -> Result<(), Failed> {
    loop {
        for lane in 0..count {
            lanes.send(lane, MIN_ESP);
        }
        if answers {
            // It can answer when it knows where to; of three keepalives of its own all may be lost.
            ask(session, vec![MIN_ESP as u16]).await?;
            told(session, lanes).await?;
        } else {
            sleep(OPENING).await;
        }
        let heard = |lane: &Option<_>| lane.is_some_and(|highest: u64| highest > 0);
        let there = lanes.sending().iter().all(|lane| heard(&lane.heard));
        let back = lanes.receiving().iter().all(|lane| lane.sequence > 0);
        if there && back || begun.elapsed() > SETTLE {
            return Ok(());
        }
    }
}

/// Has the peer know where our last lane is, to which it sends all of its own: a NAT may have forgotten it since.
pub(super) async fn wake(session: &Session, lanes: &Lanes<'_>) {
    lanes.send(lanes.ports().len() - 1, MIN_ESP);
    sleep(session.rtt() + SLACK).await;
}

/// Waits until the peer has told after what was sent until now has arrived, or will not; false: it does not tell.
///
/// One that answers trains tells at once when asked for none, if it is of this release; others do once a second.
pub(super) async fn told(session: &Session, lanes: &Lanes<'_>) -> Result<bool, Failed> {
    sleep(session.rtt() + SLACK).await;
    let from = Instant::now();
    let until = from + Duration::from_millis(2_500);
    if answers(session) {
        ask(session, Vec::new()).await?;
    }
    while lanes.told().at.is_none_or(|at| at < from) {
        if Instant::now() > until {
            return Ok(false);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// Whether the peer sends what it is asked for.
fn answers(session: &Session) -> bool {
    session.hello().features & FEATURE_TRAINS != 0
}

async fn loss(
    session: &Session,
    lanes: &Lanes<'_>,
    count: usize,
    answers: bool,
) -> Result<[Vec<Train>; 2], Failed> {
    // What came before is none of it.
    told(session, lanes).await?;
    let (there, back) = (lanes.sending(), lanes.receiving());
    let asked = many_of(back.len());
    // This is the first of the last lane's.
    wake(session, lanes).await;
    for round in 0..MANY {
        for lane in 0..count - usize::from(round == 0) {
            lanes.send(lane, SMALL);
        }
        if answers && round % AT_ONCE == 0 && round < asked {
            ask(session, vec![SMALL as u16; AT_ONCE as usize]).await?;
        }
        sleep(PACE).await;
    }
    let before = there;
    let mut there = None;
    for pause in [Duration::ZERO, LATE] {
        sleep(pause).await;
        told(session, lanes).await?;
        let after = lanes.sending();
        there = before
            .iter()
            .zip(&after)
            .map(|(before, after)| counts(before, after))
            .collect::<Option<Vec<_>>>();
        if there.iter().flatten().all(|arrived| *arrived >= MANY) {
            break;
        }
    }
    let received = lanes.receiving();
    let asked = if answers { asked } else { 0 };
    let back = back.iter().zip(&received).map(|(before, after)| Train {
        // What got lost at the end leaves no gap in the numbers.
        sent: (after.sequence - before.sequence).max(asked),
        arrived: after.received.unwrap_or(0) - before.received.unwrap_or(0),
    });
    let there = there.unwrap_or_default();
    let there = there.into_iter().map(|arrived| Train {
        sent: MANY,
        arrived,
    });
    Ok([there.collect(), back.collect()])
}

/// How many the peer is asked for on each of its lanes, which are so many.
pub(super) fn many_of(lanes: usize) -> u64 {
    (8 * MANY / lanes as u64 / AT_ONCE * AT_ONCE).clamp(AT_ONCE, MANY)
}

/// How many datagrams of ours arrived between two looks, if the peer counts.
fn counts(before: &crate::status::LaneStatus, after: &crate::status::LaneStatus) -> Option<u64> {
    Some(after.received?.saturating_sub(before.received?))
}

/// What comes back of a long train.
async fn returned(
    session: &Session,
    lanes: &Lanes<'_>,
    size: Option<u16>,
) -> Result<Option<Filled>, Failed> {
    let size = size.unwrap_or(1_200);
    let count = (FILL / usize::from(size) / lanes.receiving().len()).max(1);
    wake(session, lanes).await;
    lanes.watch();
    ask(session, vec![size; count]).await?;
    let until = Instant::now() + FILL_TIME;
    let mut before = 0;
    loop {
        sleep(session.rtt() + SLACK).await;
        let bytes = lanes.watched().bytes;
        if bytes > 0 && bytes == before || Instant::now() > until {
            break;
        }
        before = bytes;
    }
    let watched = lanes.watched();
    Ok(watched.time.map(|(first, last)| Filled {
        bytes: watched.bytes,
        time: last - first,
    }))
}

fn is_behind_nat(session: &Session, lanes: &Lanes<'_>) -> bool {
    if !session.is_dialer() {
        return false;
    }
    let ours = local_address(session.remote_address());
    let seen = lanes.sending().into_iter().zip(lanes.ports());
    let mut seen = seen.filter_map(|(lane, port)| Some((lane.seen_at?, port)));
    ours.is_some_and(|ip| {
        seen.any(|(at, port)| at != std::net::SocketAddr::new(ip, port).to_string())
    })
}

/// Whether the peer still reaches a lane of ours that was silent for so long.
async fn outlives(
    session: &Session,
    lanes: &Lanes<'_>,
    silence: Duration,
) -> Result<Outlived, Failed> {
    // The peer's own keepalives would keep the mapping as well as ours: it sends them when it was silent as long, so it
    // is to begin when we do.
    lanes.watch();
    ask(session, vec![MIN_ESP as u16]).await?;
    wake(session, lanes).await;
    let last = lanes.watched().time.map(|(_, last)| last);
    let begun = last.unwrap_or_else(Instant::now);
    lanes.watch();
    sleep((begun + silence).saturating_duration_since(Instant::now())).await;
    let first = lanes.watched().time.map(|(first, _)| first - begun);
    lanes.watch();
    ask(session, vec![MIN_ESP as u16; 3]).await?;
    sleep(session.rtt() + 2 * SLACK).await;
    Ok(match (lanes.watched().bytes, first) {
        (0, _) => Outlived::No,
        // Its keepalive may be due a little earlier than we look; nothing kept the mapping until then.
        (_, Some(first)) if first < silence.mul_f64(0.95) => Outlived::Disturbed(first),
        _ => Outlived::Yes,
    })
}

/// The session and the peer's lanes.
fn status(session: &Session, lanes: &Lanes<'_>, begun: Instant) -> SessionStatus {
    let software = session.hello().software.escape_debug();
    SessionStatus {
        age_s: begun.elapsed().as_secs_f64(),
        dialled: session.is_dialer(),
        remote: session.remote_address().to_string(),
        rtt_s: session.rtt().as_secs_f64(),
        path_mtu: session.path_mtu(),
        cipher: session.cipher().to_string(),
        software: software.take(64).collect(),
        tx_lanes: Vec::new(),
        rx_lanes: lanes.receiving(),
    }
}
