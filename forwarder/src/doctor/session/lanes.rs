//! The lanes of the doctor's session: two of ours, and those of the peer, which all come to the second.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::UdpSocket,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    esp,
    lane::{Run, RunLimits, RxLane, TxLane},
    message::{Heard, HeardLane, Lanes as LanesMessage, Message, SeenAt},
    sa::{Limits, SaKeys},
    session::Session,
    spi::Spi,
};
use tokio::time::interval;

use super::Failed;
use crate::{
    status::LaneStatus,
    sys::{readable::Readable, sockopt},
    uplink::{Arrival, Path, UdpUplink, bind, wildcard},
};

/// How often the peer is told what has arrived.
const REPORT: Duration = Duration::from_secs(1);

/// Lanes of a peer at most.
const MOST_LANES: u8 = 64;

/// The UDP sockets that lanes of ours leave by, for one peer after the other.
pub struct Sockets(Vec<(RefCell<UdpUplink>, Readable)>);

impl Sockets {
    /// One for each of so many lanes.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn open(count: u8) -> io::Result<Self> {
        let open = |_| {
            let socket = UdpUplink::new(bind(wildcard(0), false)?)?;
            let watched = Readable::new(socket.as_fd().try_clone_to_owned()?)?;
            Ok((RefCell::new(socket), watched))
        };
        (0..count).map(open).collect::<io::Result<_>>().map(Self)
    }

    /// One at a port that QUIC has already, and so for all lanes of ours.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub(super) fn beside(quic: &UdpSocket) -> io::Result<Self> {
        let socket = bind(quic.local_addr()?, true)?;
        // Number 0 of the group is QUIC, number 1 is this: the order of binding.
        sockopt::attach_reuseport_selector(quic.as_fd())?;
        let socket = UdpUplink::new(socket)?;
        let watched = Readable::new(socket.as_fd().try_clone_to_owned()?)?;
        Ok(Self(vec![(RefCell::new(socket), watched)]))
    }

    /// Their number.
    pub(super) fn count(&self) -> u8 {
        self.0.len() as u8
    }
}

/// All lanes.
pub(super) struct Lanes<'a> {
    /// Where the peer is, if we have dialled it.
    path: Option<Path>,
    /// By lane of ours.
    sockets: &'a [(RefCell<UdpUplink>, Readable)],
    send: RefCell<Vec<TxLane>>,
    receive: RefCell<HashMap<u32, Receiving>>,
    /// What the peer has told last of each lane of ours, and when.
    told: RefCell<Told>,
}

/// What the peer tells.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) at: Option<Instant>,
    /// By lane of ours.
    pub(super) lanes: Vec<Option<HeardLane>>,
}

/// A lane of the peer's.
struct Receiving {
    lane: RxLane,
    number: u8,
    received: u64,
    /// Where the newest came from.
    from: Option<Path>,
    /// Since [`Lanes::watch`].
    watched: Watched,
}

/// What came in since it is watched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    /// The largest datagram.
    pub(super) largest: usize,
    pub(super) bytes: usize,
    /// When the first and the last came.
    pub(super) time: Option<(Instant, Instant)>,
}

impl<'a> Lanes<'a> {
    /// Agrees with the peer on lanes and keys.
    pub(super) async fn open(session: &Session, sockets: &'a Sockets) -> Result<Self, Failed> {
        let (count, sockets) = (sockets.count(), &sockets.0);
        let theirs = session.hello().lanes;
        if !(1..=MOST_LANES).contains(&theirs) {
            let why = format!("the peer announces {theirs} lanes; 1 to {MOST_LANES} are possible");
            return Err(Failed::Here(why));
        }
        let receive = receiving(session, theirs, count - 1)?;
        let spis = receive.values().map(|r| (r.number, r.lane.spi()));
        let mut spis: Vec<_> = spis.collect();
        spis.sort_unstable_by_key(|(number, _)| *number);
        let spis = spis.into_iter().map(|(_, spi)| spi.into()).collect();
        let lanes = Message::Lanes(LanesMessage { spis });
        session.send(&lanes).await.map_err(Failed::Session)?;
        let told = Told {
            at: None,
            lanes: vec![None; usize::from(count)],
        };
        Ok(Self {
            path: session.is_dialer().then(|| Path {
                remote: session.remote_address(),
                local: None,
            }),
            sockets,
            send: RefCell::new(sending(session, count).await?),
            receive: RefCell::new(receive),
            told: RefCell::new(told),
        })
    }

    /// Takes what comes, from the peer and at the sockets, and tells it, until the session is over.
    pub(super) async fn work(&self, session: &Session) -> Failed {
        let sockets = self.sockets.iter();
        let listen = futures_util::future::join_all(sockets.map(|socket| self.listen(socket)));
        tokio::select! {
            _ = listen => Failed::Here("a UDP socket cannot be read".into()),
            error = self.hear(session) => error,
            error = self.report(session) => error,
        }
    }

    async fn listen(&self, (socket, watched): &(RefCell<UdpUplink>, Readable)) -> io::Result<()> {
        loop {
            let receive = |_: &_| {
                let take =
                    |run: &mut [u8], size: usize, arrival: Arrival| self.take(run, size, arrival);
                match socket.borrow_mut().receive(take) {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            };
            watched.read(receive).await?;
        }
    }

    fn take(&self, run: &mut [u8], size: usize, arrival: Arrival) {
        let now = Instant::now();
        for datagram in run.chunks_mut(size) {
            let length = datagram.len();
            let Ok(spi) = esp::claimed_spi(datagram) else {
                continue;
            };
            let mut all = self.receive.borrow_mut();
            let Some(receiving) = all.get_mut(&u32::from(spi)) else {
                continue;
            };
            if receiving.lane.receive(datagram, now, &mut |_| {}).is_ok() {
                receiving.received += 1;
                receiving.from = Some(arrival.path);
                let watched = &mut receiving.watched;
                watched.largest = watched.largest.max(length);
                watched.bytes += length;
                watched.time = Some((watched.time.map_or(now, |(first, _)| first), now));
            }
        }
    }

    async fn hear(&self, session: &Session) -> Failed {
        loop {
            match session.recv().await {
                Ok(Message::Heard(heard)) => {
                    let send = self.send.borrow();
                    let mut told = self.told.borrow_mut();
                    told.at = Some(Instant::now());
                    for lane in heard.lanes {
                        let ours = send.iter().position(|s| u32::from(s.spi()) == lane.spi);
                        if let Some(ours) = ours {
                            told.lanes[ours] = Some(lane);
                        }
                    }
                }
                // What it grants and allows is for the appliance.
                Ok(_) => {}
                Err(error) => return Failed::Session(error),
            }
        }
    }

    async fn report(&self, session: &Session) -> Failed {
        let mut ticks = interval(REPORT);
        loop {
            ticks.tick().await;
            let of = |receiving: &Receiving| HeardLane {
                spi: receiving.lane.spi().into(),
                highest: receiving.lane.highest(),
                received: Some(receiving.received),
                from: receiving.from.map(|path| SeenAt::from(path.remote)),
            };
            let lanes = self.receive.borrow().values().map(of).collect();
            if let Err(error) = session.send(&Message::Heard(Heard { lanes })).await {
                return Failed::Session(error);
            }
        }
    }

    /// Where what carries this SPI goes: to the peer that we have dialled, or to where its lane of that worker comes from.
    fn path(&self, spi: Spi) -> Option<Path> {
        let of_worker = || {
            let all = self.receive.borrow();
            let lane = all.values().find(|r| r.number == spi.worker())?;
            lane.from
        };
        self.path.or_else(of_worker)
    }

    /// Sends a dummy of this many bytes on a lane, if it is known where to; gives the last sequence number.
    pub(super) fn send(&self, lane: usize, size: usize) -> u64 {
        let mut send = self.send.borrow_mut();
        let Some(path) = self.path(send[lane].spi()) else {
            return send[lane].sequence();
        };
        let mut socket = self.sockets[lane].0.borrow_mut();
        let mut out = |run: Run<'_>| {
            // What the kernel refuses, because it is too long for the link, say, has not arrived.
            let _ = socket.send(&run, &path);
        };
        // Of so few no key is worn.
        let _ = send[lane].dummy(size, Instant::now(), &mut out);
        send[lane].sequence()
    }

    /// Begins watching anew what comes in.
    pub(super) fn watch(&self) {
        let mut all = self.receive.borrow_mut();
        all.values_mut()
            .for_each(|r| r.watched = Watched::default());
    }

    /// What has come in since, of all lanes together.
    pub(super) fn watched(&self) -> Watched {
        let all = self.receive.borrow();
        let mut sum = Watched::default();
        for watched in all.values().map(|r| r.watched) {
            sum.largest = sum.largest.max(watched.largest);
            sum.bytes += watched.bytes;
            sum.time = match (sum.time, watched.time) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
        }
        sum
    }

    pub(super) fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        let sockets = self.sockets.iter();
        let addresses = sockets.map(|(socket, _)| socket.borrow().local_address());
        addresses.map(|a| a.map_or(0, |a| a.port())).collect()
    }

    /// Our lanes, as a running appliance shows them.
    pub(super) fn sending(&self) -> Vec<LaneStatus> {
        let (send, told) = (self.send.borrow(), self.told.borrow());
        let lanes = send.iter().zip(&told.lanes).enumerate();
        let of = |(worker, (lane, told)): (usize, (&TxLane, &Option<HeardLane>))| LaneStatus {
            spi: lane.spi().to_string(),
            worker,
            path: self.path(lane.spi()).map(|path| path.remote.to_string()),
            sequence: lane.sequence(),
            heard: told.map(|t| t.highest),
            received: told.and_then(|t| t.received),
            seen_at: told.and_then(|t| Some(t.seen_at()?.to_string())),
            ..LaneStatus::default()
        };
        lanes.map(of).collect()
    }

    /// The peer's lanes, by their number.
    pub(super) fn receiving(&self) -> Vec<LaneStatus> {
        let all = self.receive.borrow();
        let mut all: Vec<_> = all.values().collect();
        all.sort_unstable_by_key(|r| r.number);
        let of = |r: &&Receiving| LaneStatus {
            spi: r.lane.spi().to_string(),
            worker: usize::from(r.lane.spi().worker()),
            sequence: r.lane.highest(),
            received: Some(r.received),
            ..LaneStatus::default()
        };
        all.iter().map(of).collect()
    }
}

fn receiving(session: &Session, lanes: u8, worker: u8) -> Result<HashMap<u32, Receiving>, Failed> {
    let mut all = HashMap::new();
    while all.len() < usize::from(lanes) {
        let mut random = [0; 4];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| Failed::Here(format!("the kernel has no random numbers: {e}")))?;
        let spi = Spi::new(u32::from_ne_bytes(random), worker);
        let keys = keys(session, spi, !session.is_dialer())?;
        let receiving = Receiving {
            lane: RxLane::new(spi, &keys, Limits::default(), Instant::now()),
            number: all.len() as u8,
            received: 0,
            from: None,
            watched: Watched::default(),
        };
        all.entry(u32::from(spi)).or_insert(receiving);
    }
    Ok(all)
}

async fn sending(session: &Session, count: u8) -> Result<Vec<TxLane>, Failed> {
    let odd = |why: &str| Failed::Here(format!("the peer {why}: are both ends of one release?"));
    let Message::Lanes(lanes) = session.recv().await.map_err(Failed::Session)? else {
        return Err(odd("did not name its lanes after Hello"));
    };
    if lanes.spis.len() != usize::from(count) || lanes.spis[1..].contains(&lanes.spis[0]) {
        return Err(odd("does not name a lane of its own for each of ours"));
    }
    let lane = |spi: &u32| {
        let spi = Spi::try_from(*spi).map_err(|_| odd("names a lane badly"))?;
        let keys = keys(session, spi, session.is_dialer())?;
        let run = RunLimits {
            max_segments: 1,
            max_bytes: 0,
        };
        let (limits, now) = (Limits::default(), Instant::now());
        Ok(TxLane::new(spi, &keys, limits, now, 1_200, run))
    };
    lanes.spis.iter().map(lane).collect()
}

fn keys(session: &Session, spi: Spi, sender_is_dialer: bool) -> Result<SaKeys, Failed> {
    let cipher = session.cipher();
    let material = session.keying_material(spi.into(), sender_is_dialer, cipher.keymat_len());
    SaKeys::new(cipher, &material).map_err(|e| Failed::Here(e.to_string()))
}
