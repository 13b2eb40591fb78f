//! Sightings: frames that the program drops and that the control plane should know of.
//!
//! At the cloud end a frame of a station that nobody granted: perhaps one to learn. At the site a frame
//! from a station that is away: perhaps ours that came back, perhaps the machine still runs here. The
//! program tells of it in a ring buffer, with the start of the frame, and sees to it that a flood of such
//! frames costs user space next to nothing: each station has a pause between two entries that grows, and
//! all of a CPU together have a [`Budget`].

use crate::{
    ethernet::EthernetHeader,
    maps::{LanConfig, StationKey},
    packet::Packet,
    verdict::{Verdict, counters},
};

/// Bytes of a frame that an entry holds.
pub const HEAD_LEN: usize = 128;

/// What was seen.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SightingKind {
    /// The cloud end: the source is no station that was granted to it.
    Unknown = 1,
    /// The site: the source is a station that is away, and not watched.
    Returned = 2,
    /// The site: the source is a station that is away, and we have just injected this frame.
    Ours = 3,
    /// The site: the source is a station that is away, and we have not injected this frame.
    NotOurs = 4,
}

impl SightingKind {
    const fn from_value(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Unknown),
            2 => Some(Self::Returned),
            3 => Some(Self::Ours),
            4 => Some(Self::NotOurs),
            _ => None,
        }
    }
}

/// An entry of the ring buffer. No padding: the kernel would tell user space what was there before.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    station: StationKey,
    kind: u8,
    reserved: u8,
    captured: u16,
    length: u32,
    head: [u8; HEAD_LEN],
}

const _: () = assert!(size_of::<Sighting>() == 16 + HEAD_LEN);

impl Sighting {
    /// Bytes of an entry before the frame's.
    pub const HEAD_AT: usize = 16;

    /// The entry without the frame's bytes, of which there are `length`.
    #[inline(always)]
    pub const fn prefix(kind: SightingKind, station: StationKey, length: u32) -> SightingPrefix {
        SightingPrefix {
            station,
            kind: kind as u8,
            reserved: 0,
            captured: if length < HEAD_LEN as u32 {
                length as u16
            } else {
                HEAD_LEN as u16
            },
            length,
        }
    }

    /// The entry for a frame.
    pub fn of(kind: SightingKind, station: StationKey, frame: &[u8]) -> Self {
        let prefix = Self::prefix(kind, station, frame.len() as u32);
        let mut head = [0; HEAD_LEN];
        for (to, from) in head.iter_mut().zip(frame) {
            *to = *from;
        }
        Self {
            station,
            kind: prefix.kind,
            reserved: 0,
            captured: prefix.captured,
            length: prefix.length,
            head,
        }
    }

    /// The entry that the ring buffer holds, or `None` if it is none of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [v0, v1, m0, m1, m2, m3, m4, m5] = *bytes.first_chunk()?;
        let [kind, reserved, c0, c1, l0, l1, l2, l3] = *bytes.get(8..)?.first_chunk()?;
        SightingKind::from_value(kind)?;
        Some(Self {
            station: StationKey::new(u16::from_ne_bytes([v0, v1]), [m0, m1, m2, m3, m4, m5]),
            kind,
            reserved,
            captured: u16::from_ne_bytes([c0, c1]).min(HEAD_LEN as u16),
            length: u32::from_ne_bytes([l0, l1, l2, l3]),
            head: *bytes.get(Self::HEAD_AT..)?.first_chunk()?,
        })
    }

    /// The source of the frame.
    pub const fn station(&self) -> StationKey {
        self.station
    }

    /// What was seen.
    pub const fn kind(&self) -> SightingKind {
        match SightingKind::from_value(self.kind) {
            Some(kind) => kind,
            // Checked when it was made.
            None => SightingKind::Unknown,
        }
    }

    /// Bytes of the whole frame.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// The start of the frame.
    pub fn head(&self) -> &[u8] {
        self.head
            .get(..usize::from(self.captured))
            .unwrap_or(&self.head)
    }
}

/// What stands before the frame's bytes in a [`Sighting`], for the kernel to write at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SightingPrefix {
    station: StationKey,
    kind: u8,
    reserved: u8,
    captured: u16,
    length: u32,
}

const _: () = assert!(size_of::<SightingPrefix>() == Sighting::HEAD_AT);

/// What is to be told of a frame that had `verdict`, if anything, and of whom.
///
/// Of a stranger only if somebody wants to hear of any: each entry costs the program and user space time.
/// Of a station that is watched, the frame decides which kind of [`Returned`](SightingKind::Returned) it is: see
/// [`injected`](crate::injected). Nothing of the lan port's own frames: those alone can have its address.
#[inline(always)]
pub fn sighting_of<P: Packet + ?Sized>(
    packet: &P,
    config: &LanConfig,
    verdict: Verdict,
) -> Option<(SightingKind, StationKey)> {
    let kind = match verdict {
        Verdict::NotGranted if config.strangers() => SightingKind::Unknown,
        Verdict::Reflection => SightingKind::Returned,
        _ => return None,
    };
    let header = EthernetHeader::parse(packet)?;
    (header.source != *config.mac()).then(|| (kind, header.source_station()))
}

/// Pause after the first entry for a station, in nanoseconds: 10 ms. Each is twice the one before.
const FIRST_PAUSE: u64 = 10_000_000;
/// The longest pause: a second.
const LONGEST_PAUSE: u64 = 1_000_000_000;
/// A station that was not told of for this long is as good as new: 16 s.
const FORGOTTEN: u64 = 16_000_000_000;

/// When a station was last told of.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    at: u64,
    pause: u64,
}

impl Told {
    /// It is told of for the first time, at `now` (nanoseconds of any clock that does not jump).
    #[inline(always)]
    pub const fn first(now: u64) -> Self {
        Self {
            at: now,
            pause: FIRST_PAUSE,
        }
    }

    /// Whether it may be told of again at `now`, and what is to be remembered then.
    #[inline(always)]
    pub const fn again(&self, now: u64) -> Option<Self> {
        // CPUs read the clock a moment apart.
        let since = now.saturating_sub(self.at);
        if since < self.pause {
            return None;
        }
        if since >= FORGOTTEN {
            return Some(Self::first(now));
        }
        let doubled = 2 * self.pause;
        let pause = if doubled < LONGEST_PAUSE {
            doubled
        } else {
            LONGEST_PAUSE
        };
        Some(Self { at: now, pause })
    }

    /// The key of the table of these: kinds have pauses of their own. A VID has 12 bits.
    #[inline(always)]
    pub const fn key(kind: SightingKind, station: StationKey) -> StationKey {
        StationKey::new(station.vlan | (kind as u16) << 12, station.mac)
    }
}

/// What a CPU may tell: [`Budget::ENTRIES`] in each 134 ms.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    window: u64,
    spent: u64,
}

impl Budget {
    /// Entries in a window of 2^27 ns: about 950 a second and CPU.
    pub const ENTRIES: u64 = 128;

    /// A CPU that has told nothing: what the kernel's map begins with.
    pub const fn new() -> Self {
        Self {
            window: 0,
            spent: 0,
        }
    }

    /// The budget after one more entry at `now`, in nanoseconds; `None` if it is spent.
    #[inline(always)]
    pub const fn spend(&self, now: u64) -> Option<Self> {
        let window = now >> 27;
        if self.window != window {
            return Some(Self { window, spent: 1 });
        }
        if self.spent >= Self::ENTRIES {
            return None;
        }
        Some(Self {
            window,
            spent: self.spent + 1,
        })
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

counters! {
    /// What the program did about frames to be told of.
    SightingCounter {
        /// Entries for the control plane.
        Told = "told",
        /// Frames not looked at, because a CPU had told enough of others for the moment.
        Skipped = "skipped",
        /// Entries that found no room, because the control plane did not read fast enough.
        Lost = "lost",
        /// Frames of watched stations that came back: we had injected them.
        Ours = "ours",
        /// Frames of watched stations that we had not injected: a station lives twice.
        NotOurs = "not_ours",
    }
}
