//! From the uplink to the LAN port: open, check replay, unbundle, check the sender's right, inject.
//!
//! Datagrams come from the uplink ([`crate::uplink`]), those of a socket in runs, those of AF_XDP each in a chunk of its
//! own; [`WanToLan::run`] and [`WanToLan::datagram_apart`] find
//! their security association by SPI, whose lane opens and unbundles them; [`admit()`] asks of every
//! frame whether this peer may say this; then it goes to the TX ring of the LAN port
//! ([`crate::sys::xsk`]), with the foreign source address it came with.

mod admit;
mod inject;
mod lanes;
mod lie;

use std::time::Instant;

use causeway_tunnel::{
    DropReason, Frame,
    lane::{Beginning, Deliver, Received},
};

pub use self::lie::Pending;
use self::lie::{Apart, InRun, Lie};
pub use self::{
    admit::admit,
    inject::FrameSink,
    lanes::{InboundLane, InboundLanes, LearntPath},
};
use self::{inject::Injection, lanes::claimed_spi};
pub(crate) use self::{
    inject::reason,
    lanes::{by_lane, same_lane},
};
use crate::{
    clamp_mss::Clamp,
    counters::WorkerCounters,
    flood::FloodGate,
    snoop::{self, Snoop},
    stations::{Ends, PeerIndex, StationTable},
    sys::xsk::XskPort,
    uplink::Arrival,
};

/// One batch on its way from the uplink to the LAN.
pub struct WanToLan<'a, P = XskPort> {
    /// Who lives where.
    pub stations: &'a StationTable,
    /// Who may send to us.
    pub lanes: &'a mut InboundLanes,
    /// The way out.
    pub port: &'a mut P,
    /// What is let through of each peer's broadcast and multicast, by peer index.
    pub floods: &'a mut [FloodGate],
    /// What the control plane sees of it.
    pub snoop: &'a mut Snoop,
    /// What lowers the MSS of TCP, if anything does.
    pub clamp: Option<&'a mut Clamp>,
    /// This worker's counters.
    pub counters: &'a WorkerCounters,
    /// When the batch began.
    pub now: Instant,
}

impl<P: FrameSink> WanToLan<'_, P> {
    /// Takes one datagram. Returns the path of its sender if that is new: only the newest
    /// authenticated datagram of a lane moves it, a replayed or delayed one does not.
    #[inline]
    pub fn datagram(
        &mut self,
        datagram: &mut [u8],
        from: impl Into<Arrival>,
    ) -> Option<LearntPath> {
        let (mut learnt, size) = (None, datagram.len());
        self.run(datagram, size, from, &mut |news| learnt = Some(news));
        learnt
    }

    /// As [`Self::datagram`] of each datagram of a run of one sender, all but the last of
    /// `segment_size` bytes; new paths go to `learn`.
    #[inline]
    pub fn run(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        from: impl Into<Arrival>,
        learn: &mut impl FnMut(LearntPath),
    ) {
        let from = from.into();
        by_lane(run, |rest| self.lane(rest, segment_size, from, learn));
    }

    /// As [`Self::run`] of the datagrams at the start of the run that are of one lane; returns how many bytes they have.
    #[inline]
    pub fn lane(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        from: Arrival,
        learn: &mut impl FnMut(LearntPath),
    ) -> usize {
        let segment_size = segment_size.max(1);
        let (taken, dropped) = match self.open(run, InRun(segment_size), from) {
            Ok((taken, learnt, _)) => {
                learnt.into_iter().for_each(learn);
                (taken, None)
            }
            Err(reason) => (same_lane(run, segment_size), Some(reason)),
        };
        // An empty datagram is one too.
        let datagrams = taken.div_ceil(segment_size).max(1) as u64;
        self.counters.wan_rx_datagrams.add(datagrams);
        if let Some(reason) = dropped {
            self.counters.drops[reason.index()].add(datagrams);
        }
        taken
    }

    /// As [`Self::datagram`] of one that lies apart from the one before it, for which `before` was returned. Returns the
    /// beginning of a frame at its end for the next call, or for [`Self::put_aside`], unless it is the `last` for now.
    #[inline]
    pub fn datagram_apart<'d>(
        &mut self,
        before: Option<Pending<'_>>,
        datagram: &'d mut [u8],
        last: bool,
        from: Arrival,
        learn: &mut impl FnMut(LearntPath),
    ) -> Option<Pending<'d>> {
        self.counters.wan_rx_datagrams.add(1);
        let spi = claimed_spi(datagram, datagram.len());
        let before = before.and_then(|pending| match spi == Some(pending.spi) {
            true => Some(pending.beginning),
            false => {
                self.put_aside(Some(pending));
                None
            }
        });
        match self.open(datagram, Apart { before, last }, from) {
            Ok((_, learnt, beginning)) => {
                learnt.into_iter().for_each(learn);
                let pending = |(spi, beginning)| Pending { spi, beginning };
                spi.zip(beginning).map(pending)
            }
            Err(reason) => {
                self.counters.drop_one(reason);
                None
            }
        }
    }

    /// What was returned for a datagram goes to its lane, which keeps a copy: nothing of the lane comes right behind it.
    #[inline]
    pub fn put_aside(&mut self, pending: Option<Pending<'_>>) {
        if let Some(Pending { spi, beginning }) = pending
            && let Some(inbound) = self.lanes.get_mut(&u32::from_be_bytes(spi))
        {
            inbound.lane.put_aside(beginning, self.now);
        }
    }

    /// Opens datagrams of one lane: as many bytes as it returns, up to one that claims to be of another.
    ///
    /// # Errors
    ///
    /// Why all of them are dropped. What is wrong with one of them is counted here.
    fn open<'r>(
        &mut self,
        run: &'r mut [u8],
        lie: impl Lie,
        from: Arrival,
    ) -> Result<(usize, Option<LearntPath>, Option<Beginning<'r>>), DropReason> {
        let spi = claimed_spi(run, lie.first(run)).ok_or(DropReason::MalformedDatagram)?;
        let inbound = self
            .lanes
            .get_mut(&u32::from_be_bytes(spi))
            .ok_or(DropReason::UnknownSpi)?;
        let (peer, stations, counters) = (inbound.peer, self.stations, self.counters);
        let begins = inbound.lane.highest() == 0;
        let (border, now) = (&mut inbound.border, self.now);
        // Behind a border stations are looked up in another VLAN than the one that a frame comes with.
        let soon = (border.is_none() && stations.wants_prefetch()).then_some(stations);
        let mut injection = Injection {
            peer,
            port: &mut *self.port,
            flood: &mut self.floods[usize::from(peer)],
            snoop: &mut *self.snoop,
            clamp: self.clamp.as_deref_mut(),
            ecn: from.ecn,
            counters,
            now,
        };
        let (mut frames, mut bytes) = (0, 0);
        let injected = stations.injected.as_deref();
        let injected = injected.map(|sources| (sources, sources.step(now)));
        let changes = injection.changes();
        let mut take = |head: &[u8], tail: &[u8], alone: bool| {
            let (ends, header) = Ends::parse(head).ok_or(DropReason::BadFrameLength)?;
            admit(ends, peer, stations)?;
            if let Some((sources, step)) = injected {
                sources.note(ends.source, step);
            }
            let (group, kind) = (ends.to_group(), snoop::kind(head, tail, &header));
            match group || changes || kind.is_some() {
                false => injection.plain(head, tail),
                true => injection.any(head, tail, alone, group, kind),
            }
        };
        // Its parts one by one: what goes to a function as a whole stands in memory, and is put there each time.
        let deliver = |Frame { head, tail, alone }: Frame<'_>| {
            let (mut here, mut behind) = (head, tail);
            if let Some(border) = border {
                match border.enter(head, tail) {
                    Ok(parts) => (here, behind) = parts,
                    Err(reason) => return counters.drop_one(reason),
                }
            }
            match take(here, behind, alone) {
                Ok(()) => {
                    frames += 1;
                    bytes += (head.len() + tail.len()) as u64;
                }
                Err(reason) => counters.drop_one(reason),
            }
        };
        let (mut opened, mut newest) = (0, false);
        let mut verdict = |verdict: Result<Received, DropReason>| match verdict {
            Ok(received) => {
                opened += 1;
                newest |= received.newest;
            }
            Err(reason) => counters.drop_one(reason),
        };
        let mut to = Foreseen { soon, deliver };
        let lane = &mut inbound.lane;
        let (taken, beginning) = lie.receive(lane, run, now, &mut to, &mut verdict);
        counters.lan_tx_frames.add(frames);
        let of_peer = &counters.peers[usize::from(peer)];
        of_peer.rx_frames.add(frames);
        of_peer.rx_bytes.add(bytes);
        of_peer.rx_datagrams.add(opened);
        inbound.received.add(opened);
        if !newest {
            return Ok((taken, None, beginning));
        }
        inbound.highest.set(inbound.lane.highest());
        if !inbound.learns_path || inbound.path == Some(from.path) {
            return Ok((taken, None, beginning));
        }
        inbound.path = Some(from.path);
        let (remote_lane, generation) = (inbound.remote_lane, inbound.generation);
        if begins {
            self.outdate(peer, remote_lane, generation);
        }
        let path = from.path;
        let learnt = LearntPath {
            peer,
            remote_lane,
            path,
        };
        Ok((taken, Some(learnt), beginning))
    }

    /// From here on the sender uses a later security association: a datagram of an earlier one that
    /// somebody held back says nothing of where the sender is.
    fn outdate(&mut self, peer: PeerIndex, remote_lane: u8, generation: u64) {
        for earlier in self.lanes.values_mut() {
            let same = earlier.peer == peer && earlier.remote_lane == remote_lane;
            earlier.learns_path &= !(same && earlier.generation < generation);
        }
    }
}

/// What takes the frames of a peer, and has what is looked up for those to come prefetched, if that is worth it.
struct Foreseen<'a, F> {
    soon: Option<&'a StationTable>,
    deliver: F,
}

impl<F: FnMut(Frame<'_>)> Deliver for Foreseen<'_, F> {
    #[inline]
    fn looks_ahead(&self) -> bool {
        self.soon.is_some()
    }

    #[inline]
    fn foresee(&self, beginning: &[u8]) {
        let Some(stations) = self.soon else { return };
        if let (Some(ends), Some(injected)) = (stations.prefetch(beginning), &stations.injected) {
            injected.prefetch(ends.source);
        }
    }

    #[inline]
    fn deliver(&mut self, frame: Frame<'_>) {
        (self.deliver)(frame);
    }
}
