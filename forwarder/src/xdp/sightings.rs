//! What the lan program tells: the ring buffer of sightings.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
};

use aya::maps::{MapData, RingBuf};
use causeway_ebpf::{Sighting, SightingCounter};

use super::{LanProgram, XdpError, sums};

/// The reading end of the ring buffer. Its descriptor is readable when there is something to read.
pub struct Sightings(RingBuf<MapData>);

impl Sightings {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }
}

/// The oldest that was not read yet, again and again.
impl Iterator for Sightings {
    type Item = Sighting;

    fn next(&mut self) -> Option<Sighting> {
        loop {
            // An entry that is none of ours is not ours to understand.
            if let Some(sighting) = Sighting::from_bytes(&self.0.next()?) {
                return Some(sighting);
            }
        }
    }
}

impl AsFd for Sightings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sightings").field(&self.as_fd()).finish()
    }
}

impl LanProgram {
    /// What the program sees, to be read by whoever asks first; `None` for everybody after that.
    pub fn sightings(&mut self) -> Option<Sightings> {
        self.sightings.take()
    }

    /// What became of frames to be told of, by [`SightingCounter::index`], over all CPUs.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn sighting_counters(&self) -> Result<[u64; SightingCounter::COUNT], XdpError> {
        sums(&self.sighting_counters)
    }
}
