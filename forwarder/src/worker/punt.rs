//! Copies of frames that the control plane wants to see, from the workers.
//!
//! Each worker has a queue of its own to the control plane, with room for every copy made beforehand; they
//! have one bell in common, rung once a batch and only if something was left. Nobody waits: a frame that is
//! one too many, because the queue is full or because too many have come in this second, goes its way without
//! having been seen, and is counted. So a flood of ARP costs a worker and the control plane no more
//! than `RATE` says.

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
    counters::WorkerCounters, flood::TokenBucket, snoop::Kind, stations::PeerIndex,
    sys::readable::Readable,
};

/// Bytes of a frame that the control plane gets to see.
const SEEN: usize = 512;

/// Copies of one worker that wait at most.
const ROOM: usize = 256;

/// Copies per second that a worker makes of frames from the LAN, and as many of frames from peers: one side's
/// flood does not hide what the other has to say. Bursts are a tenth of it.
const RATE: u32 = 2_000;

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
    of_lan: TokenBucket,
    of_peers: TokenBucket,
}

impl Punt {
    /// Leaves a copy for the control plane, or counts why not.
    pub fn leave(
        &mut self,
        kind: Kind,
        origin: Origin,
        frame: Frame<'_>,
        now: Instant,
        counters: &WorkerCounters,
    ) {
        let Some(queue) = &mut self.0 else { return };
        let bucket = match origin {
            Origin::Lan => &mut queue.of_lan,
            Origin::Peer(_) => &mut queue.of_peers,
        };
        if !bucket.take(now) {
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
    /// For this many workers; their ends in their order.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `eventfd`.
    pub fn for_workers(workers: usize) -> io::Result<(Self, Vec<Punt>)> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let (bell, now) = (Arc::new(bell), Instant::now());
        let queue = |_| {
            let (copies, queue) = RingBuffer::new(ROOM);
            let punt = Punt(Some(Queue {
                copies,
                bell: Arc::clone(&bell),
                left: false,
                of_lan: TokenBucket::new(RATE, now),
                of_peers: TokenBucket::new(RATE, now),
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
mod tests {
    use std::time::Duration;

    use super::*;

    fn leave(punt: &mut Punt, number: u8, origin: Origin, now: Instant, counters: &WorkerCounters) {
        let bytes = [number; 600];
        let (head, tail) = bytes.split_at(100);
        punt.leave(Kind::Arp, origin, Frame::halves(head, tail), now, counters);
    }

    #[test]
    fn copies_come_with_their_origin_and_cut_to_size() {
        let (mut punts, mut workers) = Punts::for_workers(2).unwrap();
        let (now, counters) = (Instant::now(), WorkerCounters::new(1));
        leave(&mut workers[1], 7, Origin::Peer(3), now, &counters);
        leave(&mut workers[0], 8, Origin::Lan, now, &counters);
        leave(&mut workers[1], 9, Origin::Lan, now, &counters);
        let all: Vec<_> = std::iter::from_fn(|| punts.pop()).collect();
        let seen: Vec<_> = all.iter().map(|p| (p.frame()[0], p.origin)).collect();
        let lan = |n| (n, Origin::Lan);
        assert_eq!(seen, [lan(8), (7, Origin::Peer(3)), lan(9)]);
        assert!(
            all.iter()
                .all(|p| p.length == 600 && p.frame().len() == SEEN)
        );
        assert_eq!(counters.punted.get(), 3);
    }

    #[test]
    fn one_sides_flood_is_counted_and_hides_nothing_of_the_other() {
        let (mut punts, mut workers) = Punts::for_workers(1).unwrap();
        let (now, counters) = (Instant::now(), WorkerCounters::new(1));
        for _ in 0..1_000 {
            leave(&mut workers[0], 1, Origin::Lan, now, &counters);
        }
        let burst = u64::from(RATE / 10);
        assert_eq!(counters.punted.get(), burst);
        assert_eq!(counters.punt_limited.get(), 1_000 - burst);
        leave(&mut workers[0], 2, Origin::Peer(0), now, &counters);
        assert_eq!(counters.punted.get(), burst + 1);
        // Nobody takes them out: the queue fills up, which costs the worker nothing.
        for ms in 0..100 {
            let now = now + Duration::from_millis(ms);
            leave(&mut workers[0], 3, Origin::Peer(0), now, &counters);
        }
        assert_eq!(counters.punted.get(), ROOM as u64);
        assert!(counters.punt_full.get() > 0);
        assert_eq!(std::iter::from_fn(|| punts.pop()).count(), ROOM);
    }

    #[tokio::test]
    async fn the_bell_is_heard_once_for_a_batch() {
        let (mut punts, mut workers) = Punts::for_workers(1).unwrap();
        let bell = punts.bell().unwrap();
        let counters = WorkerCounters::new(1);
        let soon = Duration::from_millis(20);
        workers[0].ring();
        assert!(tokio::time::timeout(soon, bell.rung()).await.is_err());
        leave(&mut workers[0], 1, Origin::Lan, Instant::now(), &counters);
        workers[0].ring();
        bell.rung().await.unwrap();
        assert!(punts.pop().is_some());
        assert!(tokio::time::timeout(soon, bell.rung()).await.is_err());
        punts.ring();
        bell.rung().await.unwrap();
    }
}
