//! A frame as a lane delivers it.

/// A frame that is complete, in one part or, where it was cut, in two: so that whoever takes it
/// copies each byte once.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The whole frame, or at least its first [`MIN_HEAD`](Self::MIN_HEAD) bytes.
    pub head: &'a [u8],
    /// What comes behind `head`; nothing, mostly.
    pub tail: &'a [u8],
    /// Whether it was all that its datagram carried.
    pub alone: bool,
}

impl<'a> Frame<'a> {
    /// Bytes of the head of a frame in two parts, at least: an Ethernet header is never cut, whatever
    /// its VLAN tags.
    pub const MIN_HEAD: usize = 64;

    /// A frame in one part.
    #[inline]
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self {
            head: bytes,
            tail: &[],
            alone: false,
        }
    }

    /// A frame in two parts.
    #[inline]
    pub const fn halves(head: &'a [u8], tail: &'a [u8]) -> Self {
        Self {
            head,
            tail,
            alone: false,
        }
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "no frame is empty")]
    #[inline]
    pub const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        [self.head, self.tail].concat()
    }
}
