//! Datagrams that came in on one worker's queue of the uplink and are for another.
//!
//! The device spreads datagrams over its receive queues as it likes; what a security association has
//! received is its own worker's to know. So a datagram goes to that worker (the last byte of its SPI), in a
//! copy and through a queue that neither side waits for. On the normal way, where queue and worker
//! agree, nothing here is touched but for a look at whether the own queue is empty.

use std::{io, os::fd::OwnedFd, sync::Arc};

use causeway_tunnel::DropReason;
use crossbeam::queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};

use crate::{counters::WorkerCounters, uplink::Path};

/// Datagrams that wait for a worker at most: what two full batches bring.
const ROOM: usize = 512;

/// A datagram for another worker, and where it came from.
struct Parcel {
    datagram: Vec<u8>,
    from: Path,
}

/// Where other workers leave what is for this one, and what wakes it.
pub struct Mailbox {
    parcels: ArrayQueue<Parcel>,
    pub(super) wake: Arc<OwnedFd>,
}

impl Mailbox {
    /// One for each of `workers` workers.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `eventfd`.
    pub fn for_workers(workers: usize) -> io::Result<Arc<[Self]>> {
        let one = |_| {
            Ok(Self {
                parcels: ArrayQueue::new(ROOM),
                wake: Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?),
            })
        };
        (0..workers).map(one).collect()
    }

    /// Lends up to `limit` of those that wait to `visit`; returns their number.
    pub(super) fn empty(&self, limit: usize, mut visit: impl FnMut(&mut [u8], Path)) -> usize {
        let mut taken = 0;
        while taken < limit && !self.parcels.is_empty() {
            let Some(mut parcel) = self.parcels.pop() else {
                break;
            };
            visit(&mut parcel.datagram, parcel.from);
            taken += 1;
        }
        taken
    }
}

/// One worker's way to the others, for a batch; they are woken when it is dropped.
pub(super) struct Exchange<'a> {
    mailboxes: &'a [Mailbox],
    own: usize,
    counters: &'a WorkerCounters,
    /// Workers that something was left for, a bit each.
    wake: u64,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(mailboxes: &'a [Mailbox], own: u8, counters: &'a WorkerCounters) -> Self {
        Self {
            mailboxes,
            own: usize::from(own),
            counters,
            wake: 0,
        }
    }

    /// The other worker that the datagram is for, by its SPI; `None`: ours, or nobody's, as we shall see.
    #[inline]
    pub(super) fn owner(&self, datagram: &[u8]) -> Option<usize> {
        let worker = usize::from(*datagram.get(3)?);
        (worker != self.own && worker < self.mailboxes.len()).then_some(worker)
    }

    /// Leaves a copy of the datagram for `worker`, or counts why not.
    #[cold]
    pub(super) fn hand_over(&mut self, worker: usize, datagram: &[u8], from: Path) {
        let parcel = Parcel {
            datagram: datagram.to_vec(),
            from,
        };
        if self.mailboxes[worker].parcels.push(parcel).is_ok() {
            self.counters.wan_handed_over.add(1);
        } else {
            self.counters.wan_rx_datagrams.add(1);
            self.counters.drop_one(DropReason::HandoverFull);
        }
        self.wake |= 1 << worker;
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        for worker in (0..self.mailboxes.len()).filter(|w| self.wake >> w & 1 == 1) {
            // EAGAIN means that the counter is full of wake-ups already.
            let _ = rustix::io::write(&*self.mailboxes[worker].wake, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: usize = 3;

    fn from() -> Path {
        Path {
            remote: ([192, 0, 2, 7], 4_500).into(),
            local: None,
        }
    }

    /// The ESP datagram number `number` for that worker.
    fn datagram(worker: u8, number: u8) -> [u8; 6] {
        [0x81, 0, 0, worker, number, 0]
    }

    #[test]
    fn only_what_is_for_another_is_handed_over() {
        let mailboxes = Mailbox::for_workers(4).unwrap();
        let counters = WorkerCounters::new(1);
        let exchange = Exchange::new(&mailboxes, 1, &counters);
        let owners = [0, 1, 2, 3, 4, 255].map(|w| exchange.owner(&datagram(w, 0)));
        assert_eq!(owners, [Some(0), None, Some(2), Some(3), None, None]);
        assert_eq!(exchange.owner(&[0x81, 0, 0]), None);
    }

    #[test]
    fn it_arrives_in_order_and_wakes_its_worker_once_a_batch() {
        let mailboxes = Mailbox::for_workers(4).unwrap();
        let counters = WorkerCounters::new(1);
        let mut exchange = Exchange::new(&mailboxes, 0, &counters);
        for number in 0..9 {
            exchange.hand_over(WORKER, &datagram(3, number), from());
        }
        let woken = |worker: usize| {
            let mut count = [0; 8];
            rustix::io::read(&*mailboxes[worker].wake, &mut count)
                .map(|_| u64::from_ne_bytes(count))
        };
        assert!(woken(WORKER).is_err(), "not before the batch is over");
        drop(exchange);
        assert_eq!(woken(WORKER), Ok(1));
        assert!(woken(2).is_err());
        let mut got = Vec::new();
        let visit = |datagram: &mut [u8], path| {
            assert_eq!(path, from());
            got.push(datagram[4]);
        };
        assert_eq!(mailboxes[WORKER].empty(7, visit), 7);
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(mailboxes[WORKER].empty(7, |_, _| {}), 2);
        assert_eq!(mailboxes[WORKER].empty(7, |_, _| {}), 0);
        assert_eq!(counters.wan_handed_over.get(), 9);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let mailboxes = Mailbox::for_workers(4).unwrap();
        let counters = WorkerCounters::new(1);
        let mut exchange = Exchange::new(&mailboxes, 0, &counters);
        for _ in 0..ROOM + 5 {
            exchange.hand_over(WORKER, &datagram(3, 0), from());
        }
        assert_eq!(counters.wan_handed_over.get(), ROOM as u64);
        assert_eq!(counters.drops[DropReason::HandoverFull.index()].get(), 5);
        assert_eq!(counters.wan_rx_datagrams.get(), 5);
    }
}
