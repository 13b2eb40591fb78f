//! Datagrams that came in at one worker and are for another.
//!
//! The uplink's device spreads datagrams over its receive queues as it likes, and a peer may send those of
//! one lane to the socket of another; what a security association has received is its own worker's to know.
//! So a datagram goes to that worker (the last byte of its SPI) in a copy, through a queue that neither side
//! waits for. On the normal way, where queue and worker agree, nothing here is touched but for a look at
//! whether something has come.
//!
//! Between each two workers and in each direction there is a queue of one writer and one reader, and one for
//! the way back of the buffers: no atomic read-modify-write for a datagram, and no allocation once the buffers
//! are there. A sender has at most [`POOL`] of them. Only what carries an SPI that the other worker receives on
//! ([`LiveSpis`]) is handed over: an SPI that somebody made up costs the others nothing.

use std::{
    collections::HashSet,
    hash::BuildHasherDefault,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use causeway_tunnel::DropReason;
use crossbeam::utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    counters::WorkerCounters,
    stations::KeyHasher,
    uplink::{Arrival, Path},
};

/// Datagrams of one worker that wait for one other at most: what two full batches bring.
const ROOM: usize = 512;

/// Datagrams of one worker that are on their way to others, or back as empty buffers, at most.
const POOL: usize = 2 * ROOM;

/// The SPIs that any worker of ours receives on.
pub type LiveSpis = HashSet<u32, BuildHasherDefault<KeyHasher>>;

/// A datagram for another worker, and where it came from.
struct Parcel {
    bytes: Vec<u8>,
    from: Arrival,
}

/// What one worker and one other have in common.
struct Link {
    outgoing: Producer<Box<Parcel>>,
    /// Our buffers, when the other has done with them.
    returned: Consumer<Box<Parcel>>,
    incoming: Consumer<Box<Parcel>>,
    /// The other's buffers, when we have.
    give_back: Producer<Box<Parcel>>,
}

/// How a worker is told that something was left for it.
struct Bell {
    /// A bit for each worker that has left something since the owner last looked.
    senders: CachePadded<AtomicU64>,
    wake: Arc<OwnedFd>,
}

/// A worker's ways to all others and from them.
pub struct Mailbox {
    own: usize,
    /// By worker; none to itself.
    links: Vec<Option<Link>>,
    bells: Arc<[Bell]>,
    live: Arc<LiveSpis>,
    /// Buffers at hand, and how many there are wherever they are.
    #[expect(
        clippy::vec_box,
        reason = "they come from queues of pointers and go to such"
    )]
    spare: Vec<Box<Parcel>>,
    made: usize,
    /// Workers that something was left for in this batch, a bit each.
    to_ring: u64,
    /// Workers whose queue to us is not known to be empty, a bit each.
    to_empty: u64,
    /// Whose turn it is to be first.
    turn: u32,
}

impl Mailbox {
    /// One for each of `workers` workers, in their order.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `eventfd`.
    pub fn for_workers(workers: usize) -> io::Result<Vec<Self>> {
        let bell = |_| {
            Ok(Bell {
                senders: CachePadded::default(),
                wake: Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?),
            })
        };
        let bells: Arc<[Bell]> = (0..workers).map(bell).collect::<io::Result<_>>()?;
        let alone = |own| Self {
            own,
            links: (0..workers).map(|_| None).collect(),
            bells: Arc::clone(&bells),
            live: Arc::default(),
            spare: Vec::with_capacity(POOL),
            made: 0,
            to_ring: 0,
            to_empty: 0,
            turn: 0,
        };
        let mut all: Vec<Self> = (0..workers).map(alone).collect();
        for a in 0..workers {
            for b in 0..a {
                let (at_a, at_b) = link();
                (all[a].links[b], all[b].links[a]) = (Some(at_a), Some(at_b));
            }
        }
        Ok(all)
    }

    /// What wakes this worker.
    pub(super) fn wake(&self) -> &Arc<OwnedFd> {
        &self.bells[self.own].wake
    }

    /// From now on these are the SPIs to hand over.
    pub(super) fn set_live(&mut self, live: Arc<LiveSpis>) {
        self.live = live;
    }

    /// The other worker that the datagram is for, by its SPI. `None`: ours or nobody's, as we shall see.
    #[inline]
    pub(super) fn owner(&self, datagram: &[u8]) -> Option<usize> {
        let worker = usize::from(*datagram.get(3)?);
        if worker == self.own || worker >= self.links.len() {
            return None;
        }
        let spi = u32::from_be_bytes(*datagram.first_chunk()?);
        self.live.contains(&spi).then_some(worker)
    }

    /// Leaves a copy of the datagram for `worker`, or counts why not. It is told by [`Self::ring`].
    pub(super) fn hand_over(
        &mut self,
        worker: usize,
        datagram: &[u8],
        from: Arrival,
        counters: &WorkerCounters,
    ) {
        if self.leave(worker, datagram, from) {
            counters.wan_handed_over.add(1);
            self.to_ring |= 1 << worker;
        } else {
            counters.wan_rx_datagrams.add(1);
            counters.drop_one(DropReason::HandoverFull);
        }
    }

    fn leave(&mut self, worker: usize, datagram: &[u8], from: Arrival) -> bool {
        let Some(mut parcel) = self.buffer() else {
            return false;
        };
        parcel.bytes.clear();
        parcel.bytes.extend_from_slice(datagram);
        parcel.from = from;
        let Some(link) = &mut self.links[worker] else {
            return false;
        };
        match link.outgoing.push(parcel) {
            Ok(()) => true,
            Err(rtrb::PushError::Full(parcel)) => {
                self.spare.push(parcel);
                false
            }
        }
    }

    /// An empty buffer: one at hand, one that has come back, or a new one if there may be more.
    fn buffer(&mut self) -> Option<Box<Parcel>> {
        if self.spare.is_empty() {
            for link in self.links.iter_mut().flatten() {
                while let Ok(parcel) = link.returned.pop() {
                    self.spare.push(parcel);
                }
            }
        }
        if self.spare.is_empty() && self.made < POOL {
            self.made += 1;
            return Some(Box::new(Parcel {
                bytes: Vec::new(),
                from: Path {
                    remote: ([0; 4], 0).into(),
                    local: None,
                }
                .into(),
            }));
        }
        self.spare.pop()
    }

    /// Tells the workers that something was left for: once a batch.
    pub(super) fn ring(&mut self) {
        for worker in bits(std::mem::take(&mut self.to_ring)) {
            let bell = &self.bells[worker];
            // Another's bit that is still there: it has rung, or is about to, and the worker has not
            // looked since; when it looks it finds ours as well.
            if bell.senders.fetch_or(1 << self.own, Ordering::AcqRel) == 0 {
                // EAGAIN means that the counter is full of wake-ups already.
                let _ = rustix::io::write(&*bell.wake, &1_u64.to_ne_bytes());
            }
        }
    }

    /// Lends up to `limit` datagrams that others have left to `visit`; returns their number.
    pub(super) fn empty(
        &mut self,
        limit: usize,
        mut visit: impl FnMut(&mut [u8], Arrival),
    ) -> usize {
        let senders = &self.bells[self.own].senders;
        if senders.load(Ordering::Relaxed) != 0 {
            self.to_empty |= senders.swap(0, Ordering::AcqRel);
        }
        let mut taken = 0;
        let turn = self.turn;
        self.turn = (turn + 1) % u64::BITS;
        for after in bits(self.to_empty.rotate_right(turn)) {
            let worker = (after + turn as usize) % u64::BITS as usize;
            let Some(link) = &mut self.links[worker] else {
                continue;
            };
            while taken < limit {
                let Ok(mut parcel) = link.incoming.pop() else {
                    self.to_empty &= !(1 << worker);
                    break;
                };
                visit(&mut parcel.bytes, parcel.from);
                taken += 1;
                // It has room for all buffers that the other has.
                let _ = link.give_back.push(parcel);
            }
        }
        taken
    }
}

/// The two ends of a link.
fn link() -> (Link, Link) {
    let ((to_b, from_a), (to_a, from_b)) = (RingBuffer::new(ROOM), RingBuffer::new(ROOM));
    let ((back_to_a, a_returned), (back_to_b, b_returned)) =
        (RingBuffer::new(POOL), RingBuffer::new(POOL));
    let a = Link {
        outgoing: to_b,
        returned: a_returned,
        incoming: from_b,
        give_back: back_to_b,
    };
    let b = Link {
        outgoing: to_a,
        returned: b_returned,
        incoming: from_a,
        give_back: back_to_a,
    };
    (a, b)
}

/// The numbers of the bits that are set.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let lowest = set.trailing_zeros();
        set &= set - 1;
        Some(lowest as usize)
    })
}

#[cfg(test)]
mod tests;
