//! Copies of frames that the control plane wants to see, from the workers.
//!
//! Each worker has a queue of its own to the control plane, with room for every copy made beforehand; they
//! have one bell in common, rung once a batch and only if something was left. Nobody waits: a frame that is
//! one too many, because the queue is full or because too many have come in this second, goes its way without
//! having been seen, and is counted. So a flood of ARP costs a worker and the control plane no more
//! than `RATE` and `ALL_PARTS` say. It hides nothing of other peers unless several flood at once, and nothing of other
//! stations while it comes from a few: each has a part of its own.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    time::Instant,
};

use causeway_tunnel::Frame;
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    counters::WorkerCounters,
    flood::{FairBucket, PARTS, TokenBucket},
    snoop::Kind,
    stations::PeerIndex,
    sys::readable::Readable,
};

/// Bytes of a frame that the control plane gets to see.
const SEEN: usize = 512;

/// Copies of one worker that wait at most.
const ROOM: usize = 512;

/// So many places of the queue are kept for those who have not yet had their part.
const KEPT: usize = 128;

/// Copies per second that a worker makes of frames from the LAN, and as many of frames from peers: one side's
/// flood does not hide what the other has to say. Bursts are a tenth of it.
const RATE: u32 = 2_000;

/// Copies per second of each part besides. A part belongs to one peer, or to some of its stations, or to some of the LAN's.
const EACH: u32 = 20;

/// Copies per second that the parts of one peer, or those of the LAN, take together; and at once, so that whoever floods from
/// many addresses leaves half of the kept places.
const ALL_PARTS: u32 = 500;
const AT_ONCE: u32 = KEPT as u32 / 2;

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From our LAN port.
    Lan,
    /// From this peer, whose right to send it was checked.
    Peer(PeerIndex),
}

/// The beginning of a frame that went its way.
#[derive(Clone, Debug)]
pub struct Punted {
    /// What it is about.
    pub kind: Kind,
    /// Where it came from.
    pub origin: Origin,
    /// Bytes of the frame, which may be more than are here.
    pub length: usize,
    bytes: [u8; SEEN],
}

impl Punted {
    /// Its first 512 bytes, or all if it is shorter.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[..self.length.min(SEEN)]
    }

    fn new(kind: Kind, origin: Origin, frame: Frame<'_>) -> Self {
        let mut bytes = [0; SEEN];
        let of_head = frame.head.len().min(SEEN);
        let of_tail = frame.tail.len().min(SEEN - of_head);
        bytes[..of_head].copy_from_slice(&frame.head[..of_head]);
        bytes[of_head..of_head + of_tail].copy_from_slice(&frame.tail[..of_tail]);
        Self {
            kind,
            origin,
            length: frame.len(),
            bytes,
        }
    }
}

/// A worker's end.
///
/// By default to nobody: then nothing is copied.
#[derive(Default)]
pub struct Punt(Option<Queue>);

struct Queue {
    copies: Producer<Punted>,
    bell: Arc<OwnedFd>,
    /// Whether something was left since the bell was rung.
    left: bool,
    of_lan: FairBucket,
    of_peers: FairBucket,
    /// What all parts of one may take together: of the LAN, and behind it of each peer.
    all_parts: Vec<TokenBucket>,
    /// Parts that each peer has.
    of_each_peer: usize,
}

impl Punt {
    /// The part that frames from there belong to, of the senders that have this hash.
    pub fn part(&self, origin: Origin, sender: u64) -> usize {
        let sender = sender as usize;
        match (origin, &self.0) {
            (Origin::Peer(peer), Some(queue)) => {
                usize::from(peer) * queue.of_each_peer + sender % queue.of_each_peer
            }
            _ => sender % PARTS,
        }
    }

    /// Leaves a copy for the control plane, or counts why not.
    pub fn leave(
        &mut self,
        kind: Kind,
        origin: Origin,
        part: usize,
        frame: Frame<'_>,
        now: Instant,
        counters: &WorkerCounters,
    ) {
        let Some(queue) = &mut self.0 else { return };
        let (bucket, whose) = match origin {
            Origin::Lan => (&mut queue.of_lan, 0),
            Origin::Peer(peer) => (&mut queue.of_peers, 1 + usize::from(peer)),
        };
        let all = queue.all_parts.get_mut(whose);
        let own = bucket.take_own(part, now) && all.is_some_and(|all| all.take(now));
        let allowed = own || queue.copies.slots() > KEPT && bucket.take_common(now);
        if !allowed {
            return counters.punt_limited.add(1);
        }
        match queue.copies.push(Punted::new(kind, origin, frame)) {
            Ok(()) => {
                queue.left = true;
                counters.punted.add(1);
            }
            Err(_) => counters.punt_full.add(1),
        }
    }

    /// Wakes the control plane if something was left: once a batch.
    #[inline]
    pub fn ring(&mut self) {
        if let Some(queue) = self.0.as_mut().filter(|queue| queue.left) {
            queue.left = false;
            ring(&queue.bell);
        }
    }
}

fn ring(bell: &OwnedFd) {
    // EAGAIN means that the counter is full of wake-ups already.
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// The control plane's end of all queues.
pub struct Punts {
    queues: Vec<Consumer<Punted>>,
    /// Whose turn it is to be first.
    turn: usize,
    bell: Arc<OwnedFd>,
}

impl Punts {
    /// For this many workers, and frames from this many peers; the workers' ends in their order.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `eventfd`.
    pub fn for_workers(workers: usize, peers: usize) -> io::Result<(Self, Vec<Punt>)> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let (bell, now) = (Arc::new(bell), Instant::now());
        let queue = |_| {
            let (copies, queue) = RingBuffer::new(ROOM);
            let punt = Punt(Some(Queue {
                copies,
                bell: Arc::clone(&bell),
                left: false,
                of_lan: FairBucket::new(RATE, EACH, now),
                of_peers: FairBucket::new(RATE, EACH, now),
                all_parts: (0..=peers)
                    .map(|_| TokenBucket::with_burst(ALL_PARTS, AT_ONCE, now))
                    .collect(),
                of_each_peer: (PARTS / peers.max(1)).max(1),
            }));
            (queue, punt)
        };
        let (queues, punts) = (0..workers).map(queue).unzip();
        let turn = 0;
        Ok((Self { queues, turn, bell }, punts))
    }

    /// What becomes readable when a worker has left something.
    ///
    /// # Errors
    ///
    /// What the kernel answers to epoll. Outside of a runtime it panics.
    pub fn bell(&self) -> io::Result<Bell> {
        Ok(Bell(Readable::new(
            self.bell.as_fd().try_clone_to_owned()?,
        )?))
    }

    /// The next copy, of each worker in turn.
    pub fn pop(&mut self) -> Option<Punted> {
        let workers = self.queues.len();
        for step in 0..workers {
            let worker = (self.turn + step) % workers;
            if let Ok(punted) = self.queues[worker].pop() {
                self.turn = (worker + 1) % workers;
                return Some(punted);
            }
        }
        None
    }

    /// Rings the bell: who stops before the queues are empty wants to be woken again.
    pub fn ring(&self) {
        ring(&self.bell);
    }
}

/// What the workers ring.
pub struct Bell(Readable);

impl Bell {
    /// Waits until it is rung.
    ///
    /// # Errors
    ///
    /// What the kernel answers to epoll or to `read`.
    pub async fn rung(&self) -> io::Result<()> {
        let silence = |bell: &OwnedFd| Ok(rustix::io::read(bell, &mut [0_u8; 8])?);
        self.0.read(silence).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
