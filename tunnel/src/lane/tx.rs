//! The sending end of a lane.

use super::{DatagramSink, Run, RunLimits};
use crate::bundle::Bundle;
use crate::sa::{Limits, OutboundSa, SaKeys};
use crate::wire::{
    self, ALIGNMENT, BUNDLE_OFFSET, ESP_HEADER, FRAME_LENGTH, MAX_DATAGRAM_SIZE, MIN_ESP,
    NextHeader,
};
use crate::{DropReason, Spi, esp};
use std::time::Instant;

/// A lone frame stands behind the two fields of a bundle that it does not need.
const LONE_SHIFT: usize = BUNDLE_OFFSET + FRAME_LENGTH;

/// Packs frames into datagrams, seals them, and hands them out: one by one in memory that the sink
/// lends, or in runs in the lane's own.
///
/// [`push`](Self::push) each frame of a batch, then [`flush`](Self::flush) once, with the same sink.
/// A frame is copied once, to its place in the outgoing buffer, and encrypted there.
/// No frame crosses a flush, so a lane that falls silent owes nothing.
pub struct TxLane {
    sa: OutboundSa,
    limits: RunLimits,
    buffer: Box<[u8]>,
    /// Size of this run's datagrams, and of the next run's.
    size: usize,
    next_size: usize,
    /// Datagrams sealed in this run, and the most that a run takes.
    sealed: usize,
    segments: usize,
    /// What is in the open datagram.
    bundle: Bundle,
    /// Whether that stands in memory of the sink's; else it stands behind the sealed ones.
    lent: bool,
}

impl TxLane {
    /// A lane with a fresh SA. `datagram_size` is in bytes of UDP payload and is
    /// brought to what the format allows ([`wire::datagram_size`]). A run holds at
    /// least one datagram, whatever `run` says.
    pub fn new(
        spi: Spi,
        keys: &SaKeys,
        limits: Limits,
        now: Instant,
        datagram_size: usize,
        run: RunLimits,
    ) -> Self {
        let mut lane = Self {
            sa: OutboundSa::new(spi, keys, limits, now),
            limits: run,
            buffer: vec![0; run.max_bytes.max(MAX_DATAGRAM_SIZE)].into(),
            size: 0,
            next_size: wire::datagram_size(datagram_size),
            sealed: 0,
            segments: 1,
            bundle: Bundle::default(),
            lent: false,
        };
        lane.begin_run();
        lane
    }

    /// The SPI of the lane's datagrams.
    pub fn spi(&self) -> Spi {
        self.sa.spi()
    }

    /// The sequence number of the last datagram sealed, 0 before the first: how
    /// many datagrams the key has sealed, unless some were [skipped](Self::skip_to).
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sa.sequence()
    }

    /// Leaves out sequence numbers so that the next is `next`; never goes back.
    /// The receiver takes it as loss.
    pub fn skip_to(&mut self, next: u64) {
        self.sa.skip_to(next);
    }

    /// Sets the bytes of UDP payload per datagram, from the next run on (after a
    /// flush: from the next datagram on). Brought to what the format allows.
    pub fn set_datagram_size(&mut self, size: usize) {
        self.next_size = wire::datagram_size(size);
        if self.is_empty() {
            self.begin_run();
        }
    }

    /// The size that [`set_datagram_size`](Self::set_datagram_size) settled on.
    pub fn datagram_size(&self) -> usize {
        self.next_size
    }

    /// Appends `frame`. Each datagram is sealed as it fills, and each run goes to `out` as it fills,
    /// or each datagram in memory lent. What is left waits for the next frame or for [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`DropReason::BadFrameLength`] unless it is 14 to 9,216 bytes long,
    /// [`DropReason::KeyWorn`] if the key may not seal all the datagrams that the
    /// frame needs. Either way nothing of the frame is taken.
    #[inline]
    pub fn push(
        &mut self,
        frame: &[u8],
        now: Instant,
        out: &mut impl DatagramSink,
    ) -> Result<(), DropReason> {
        if !wire::is_frame_length(frame.len()) {
            return Err(DropReason::BadFrameLength);
        }
        // The datagram that is open was admitted with its first frame.
        let fits = FRAME_LENGTH + frame.len() <= self.bundle.room(self.size);
        if self.bundle.is_empty() || !fits {
            self.sa.admit(now, self.datagrams_for(frame.len()))?;
        }
        if !self.bundle.can_begin(self.size) {
            self.close(out);
        }
        let (bundle, datagram) = self.open_datagram(out);
        let mut taken = bundle.begin(datagram, frame);
        while taken < frame.len() {
            self.close(out);
            let (bundle, datagram) = self.open_datagram(out);
            taken += bundle.resume(datagram, &frame[taken..]);
        }
        Ok(())
    }

    /// Seals what is open and hands out the rest: the end of a batch.
    #[inline]
    pub fn flush(&mut self, out: &mut impl DatagramSink) {
        if self.sealed == 0 && self.bundle.is_single() {
            return self.send_lone_frame(out);
        }
        let mut end = self.sealed * self.size;
        if !self.bundle.is_empty() {
            let length = self.seal_bundle(out);
            if self.lent {
                return self.send_lent(length, out);
            }
            end += length;
        }
        if end > 0 {
            self.hand_out(end, out);
        }
    }

    /// Sends a sign of life: a dummy, or what is open if there is something.
    ///
    /// # Errors
    /// [`DropReason::KeyWorn`] if the key may seal no more.
    pub fn keepalive(
        &mut self,
        now: Instant,
        out: &mut impl DatagramSink,
    ) -> Result<(), DropReason> {
        if !self.is_empty() {
            self.flush(out);
            return Ok(());
        }
        self.dummy(MIN_ESP, now, out)
    }

    /// Sends a dummy of this many bytes of UDP payload, brought to a multiple of 4 from [`MIN_ESP`] to
    /// [`MAX_DATAGRAM_SIZE`], whatever the size of other datagrams; after what is open, if there is something.
    ///
    /// # Errors
    /// [`DropReason::KeyWorn`] if the key may seal no more.
    pub fn dummy(
        &mut self,
        size: usize,
        now: Instant,
        out: &mut impl DatagramSink,
    ) -> Result<(), DropReason> {
        self.flush(out);
        self.sa.admit(now, 1)?;
        let size = size.clamp(MIN_ESP, MAX_DATAGRAM_SIZE);
        let payload = esp::payload_capacity(size - size % ALIGNMENT);
        // Padding follows; the smallest has no payload at all.
        let payload = if size < MIN_ESP + ALIGNMENT {
            0
        } else {
            payload
        };
        self.buffer[ESP_HEADER..][..payload].fill(0);
        let length = seal(&mut self.sa, &mut self.buffer, payload, NextHeader::Dummy);
        out.send_run(Run {
            bytes: &self.buffer[..length],
            segment_size: length,
        });
        self.begin_run();
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.sealed == 0 && self.bundle.is_empty()
    }

    /// The most datagrams that remain to be sealed with a frame of `length` more
    /// bytes in the lane, the open one included.
    fn datagrams_for(&self, length: usize) -> u64 {
        let room = if self.bundle.can_begin(self.size) {
            self.bundle.room(self.size)
        } else {
            0
        };
        let behind = (FRAME_LENGTH + length).saturating_sub(room);
        // The next run may begin within the frame, with smaller datagrams.
        let each = esp::payload_capacity(self.size.min(self.next_size)) - BUNDLE_OFFSET;
        1 + behind.div_ceil(each) as u64
    }

    /// The open datagram; if there is nothing in it yet, whose memory that is is decided now. A run that
    /// was begun goes out before anything else does.
    #[inline]
    fn open_datagram<'a>(
        &'a mut self,
        out: &'a mut impl DatagramSink,
    ) -> (&'a mut Bundle, &'a mut [u8]) {
        if self.bundle.is_empty() {
            self.lent = self.sealed == 0 && out.lend(self.size);
        }
        let datagram = match self.lent {
            true => &mut out.lent()[..self.size],
            false => &mut self.buffer[self.sealed * self.size..][..self.size],
        };
        (&mut self.bundle, datagram)
    }

    /// Seals the open datagram, which is full, and hands it out, or the run if that is full too.
    fn close(&mut self, out: &mut impl DatagramSink) {
        let length = self.seal_bundle(out);
        debug_assert_eq!(length, self.size, "segments are equal");
        if self.lent {
            return self.send_lent(length, out);
        }
        self.sealed += 1;
        if self.sealed == self.segments {
            self.hand_out(self.sealed * self.size, out);
        }
    }

    /// Seals the open datagram as a bundle. Returns its length.
    #[inline]
    fn seal_bundle(&mut self, out: &mut impl DatagramSink) -> usize {
        let bundle = std::mem::take(&mut self.bundle);
        let datagram = match self.lent {
            true => out.lent(),
            false => &mut self.buffer[self.sealed * self.size..],
        };
        let payload = bundle.finish(datagram);
        seal(&mut self.sa, datagram, payload, NextHeader::Bundle)
    }

    /// Sends the only frame of the run, or of a datagram in memory lent, as next header 143. In a run its
    /// bytes stay where they are: the ESP header covers the two fields that only a bundle needs. A datagram in
    /// memory lent begins where that does, so the frame moves up.
    fn send_lone_frame(&mut self, out: &mut impl DatagramSink) {
        let payload = std::mem::take(&mut self.bundle).single_len();
        out.lone_frame();
        if self.lent {
            let datagram = out.lent();
            let from = ESP_HEADER + LONE_SHIFT;
            datagram.copy_within(from..from + payload, ESP_HEADER);
            let length = seal(&mut self.sa, datagram, payload, NextHeader::Ethernet);
            return self.send_lent(length, out);
        }
        let datagram = &mut self.buffer[LONE_SHIFT..];
        let length = seal(&mut self.sa, datagram, payload, NextHeader::Ethernet);
        out.send_run(Run {
            bytes: &datagram[..length],
            segment_size: length,
        });
        self.begin_run();
    }

    #[inline]
    fn send_lent(&mut self, length: usize, out: &mut impl DatagramSink) {
        out.send_lent(length);
        if self.size != self.next_size {
            self.begin_run();
        }
    }

    fn hand_out(&mut self, end: usize, out: &mut impl DatagramSink) {
        out.send_run(Run {
            bytes: &self.buffer[..end],
            segment_size: self.size.min(end),
        });
        self.begin_run();
    }

    /// An empty run, with datagrams of the size that was set last.
    fn begin_run(&mut self) {
        self.sealed = 0;
        self.size = self.next_size;
        let fit = (self.limits.max_bytes / self.size).max(1);
        self.segments = self.limits.max_segments.clamp(1, fit);
    }
}

/// Seals what was admitted before its datagram was opened. Returns the datagram's length.
#[inline]
fn seal(sa: &mut OutboundSa, datagram: &mut [u8], payload: usize, next: NextHeader) -> usize {
    esp::seal(sa, datagram, payload, next).expect("admitted before it was opened")
}
