//! The appliance's data path with memory at both ends, instead of port and socket.
//!
//! A [`Sender`] takes a batch of frames through [`causeway::lan_to_wan`] into runs of datagrams; a
//! [`Receiver`] takes datagrams through [`causeway::wan_to_lan`] into frames. Beside the whole path each
//! can run what bounds it: its datagrams through ESP alone, and a bare copy of its frames.

mod receiver;
mod sender;
mod world;

use std::{
    ops::AddAssign,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    aead::{Cipher, Library},
    sa::SaKeys,
};

pub use self::{receiver::Receiver, sender::Sender};

/// Stations that frames are for unless told otherwise: one for each frame of a batch.
pub const STATIONS: usize = 256;

/// Bytes of UDP payload: what IPv6 and UDP leave of 1,500.
pub const DATAGRAM: usize = 1_452;

/// What protects the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A cipher, and whose code does it.
    Aead(Cipher, Library),
    /// Nothing: everything else of the path is the same ([`SaKeys::unprotected`]).
    None,
}

impl Protection {
    /// The cipher in reports.
    pub const fn cipher(self) -> &'static str {
        match self {
            Self::Aead(cipher, _) => cipher.name(),
            Self::None => "none",
        }
    }

    /// The library in reports.
    pub const fn library(self) -> &'static str {
        match self {
            Self::Aead(_, library) => library.name(),
            Self::None => "none",
        }
    }

    fn keys(self) -> SaKeys {
        let keymat = [0x5a; 36];
        let keys = |cipher: Cipher| {
            SaKeys::new(cipher, &keymat[..cipher.keymat_len()])
                .expect("as long as the cipher wants")
        };
        match self {
            Self::Aead(cipher, library) => keys(cipher).with_library(library),
            Self::None => keys(Cipher::default()).unprotected(),
        }
    }
}

/// Frames, and the time they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// How many.
    pub frames: u64,
    /// All together.
    pub time: Duration,
}

impl Sample {
    fn since(start: Instant, frames: usize) -> Self {
        Self {
            time: start.elapsed(),
            frames: frames as u64,
        }
    }
}

impl AddAssign for Sample {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.time += other.time;
    }
}

/// One direction of the path, with one kind of frames and one protection.
pub trait Series: Send + Sized {
    /// The word in the report.
    const DIRECTION: &'static str;

    /// With frames of these `lengths` in turn, without FCS, for as many `stations`, one after the other: 1 to
    /// [`MAX_STATIONS`](causeway_ebpf::MAX_STATIONS).
    fn new(lengths: &[usize], protection: Protection, stations: usize) -> Self;

    /// Datagrams that a frame comes to, the last of a batch included, which is not full.
    fn datagrams_per_frame(&self) -> f64;

    /// The whole path, for a batch or a few.
    fn path(&mut self) -> Sample;

    /// ESP alone, on datagrams as the path has them: the cipher, header and trailer.
    fn esp(&mut self) -> Sample;

    /// A copy of the frames to where the path would put their bytes, and nothing else.
    fn copy(&mut self) -> Sample;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps<S: Series>(protection: Protection, stations: usize) {
        for lengths in [&[60][..], &[60, 590, 1_514], &[9_216]] {
            let mut series = S::new(lengths, protection, stations);
            for step in [S::path, S::esp, S::copy, S::path] {
                let sample = step(&mut series);
                assert!(sample.frames > 0 && !sample.time.is_zero(), "{lengths:?}");
                assert_eq!(sample.frames % lengths.len() as u64, 0, "whole turns");
            }
        }
    }

    /// Path asserts by itself that every frame comes out.
    #[test]
    fn every_protection_carries_every_frame() {
        let aead = |library| Protection::Aead(Cipher::Aes128Gcm, library);
        for protection in [Library::Ring, Library::AwsLc]
            .map(aead)
            .into_iter()
            .chain([Protection::None])
        {
            for stations in [1, STATIONS, causeway_ebpf::MAX_STATIONS as usize] {
                steps::<Sender>(protection, stations);
                steps::<Receiver>(protection, stations);
            }
        }
    }
}
