//! The generator: what it is told, where it is, and when the next frame's turn comes.

use super::Stamp;

/// What the generator is to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Frames to send; further runs do nothing.
    pub frames: u64,
    /// Nanoseconds after the first frame at which it ends, whatever is left.
    pub nanoseconds: u64,
    /// Time from one frame to the next in nanoseconds, times 2 to the [`PERIOD_SHIFT`]; 0 is as
    /// fast as can be.
    pub period: u64,
    /// Interface to send at.
    pub ifindex: u32,
    /// VLAN tags of the frames: 0 or 1.
    pub tags: u32,
    /// Flows, which take turns; at least 1.
    pub flows: u32,
    /// Shapes, which take turns; 1 to [`MAX_SHAPES`].
    pub shapes: u32,
}

impl GeneratorConfig {
    /// The configuration as the map holds it.
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let longs = [self.frames, self.nanoseconds, self.period];
        for (to, from) in bytes.chunks_exact_mut(8).zip(longs) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        let words = [self.ifindex, self.tags, self.flows, self.shapes];
        for (to, from) in bytes[24..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        bytes
    }
}

/// Fractional bits of [`GeneratorConfig::period`].
pub const PERIOD_SHIFT: u32 = 20;
/// Sizes that can take turns.
pub const MAX_SHAPES: u32 = 12;
/// How often a run looks at the clock for its turn before it gives up: some 50 microseconds.
pub const LOOKS: u32 = 2_048;

/// What of a frame's headers depends on its size; the 16-bit numbers as they are sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the frame, without FCS.
    pub length: u32,
    /// Sum for [`Stamp::checksum`].
    pub sum: u32,
    /// Total length of IPv4.
    pub ip_length: [u8; 2],
    /// Header checksum of IPv4.
    pub ip_checksum: [u8; 2],
    /// Length of UDP.
    pub udp_length: [u8; 2],
    /// Zeros.
    pub padding: [u8; 2],
}

impl Shape {
    /// The shape as the map holds it.
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.length.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.sum.to_ne_bytes());
        let rest = [self.ip_length, self.ip_checksum, self.udp_length];
        for (to, from) in bytes[8..].chunks_exact_mut(2).zip(rest) {
            to.copy_from_slice(&from);
        }
        bytes
    }
}

/// What the generator has done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorState {
    /// When the first frame was sent, on CLOCK_MONOTONIC in nanoseconds; 0 is not yet.
    pub start: u64,
    /// When the last one was.
    pub last: u64,
    /// Frames sent.
    pub frames: u64,
    /// When the next is due, after the start, in units of the period.
    pub due: u64,
    /// Sequence number of the next.
    pub sequence: u64,
    /// Flow of the next.
    pub flow: u32,
    /// Shape of the next.
    pub shape: u32,
}

/// What a run is to do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is nothing left to send.
    Over,
    /// It is too early.
    Wait,
    /// To send the frame that was due at `timestamp`.
    Send {
        /// On CLOCK_MONOTONIC in nanoseconds.
        timestamp: u64,
    },
}

impl GeneratorState {
    /// The state before the first frame, as the map holds it.
    pub const CLEAR: [u8; 48] = [0; 48];

    /// What the map holds.
    pub fn from_bytes(bytes: &[u8; 48]) -> Self {
        let long = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("8 of 48"));
        let word = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("4 of 48"));
        Self {
            start: long(0),
            last: long(8),
            frames: long(16),
            due: long(24),
            sequence: long(32),
            flow: word(40),
            shape: word(44),
        }
    }

    /// Whose turn it is at `now`. The first call starts the schedule.
    #[inline(always)]
    pub fn turn(&mut self, config: &GeneratorConfig, now: u64) -> Turn {
        if self.start == 0 {
            self.start = now;
        }
        let elapsed = now - self.start;
        let due = self.due >> PERIOD_SHIFT;
        if self.frames >= config.frames || elapsed >= config.nanoseconds {
            Turn::Over
        } else if elapsed < due {
            Turn::Wait
        } else if config.period == 0 {
            Turn::Send { timestamp: now }
        } else {
            let timestamp = self.start + due;
            Turn::Send { timestamp }
        }
    }

    /// The stamp of the frame that is sent at `now`; then the next one is the next.
    #[inline(always)]
    pub fn advance(&mut self, config: &GeneratorConfig, now: u64, timestamp: u64) -> Stamp {
        let stamp = Stamp {
            flow: self.flow as u16,
            sequence: self.sequence,
            timestamp,
        };
        self.last = now;
        self.frames += 1;
        self.due += config.period;
        self.flow += 1;
        if self.flow >= config.flows {
            self.flow = 0;
            self.sequence += 1;
        }
        self.shape += 1;
        if self.shape >= config.shapes {
            self.shape = 0;
        }
        stamp
    }
}
