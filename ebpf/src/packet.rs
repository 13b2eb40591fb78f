//! Bounds-checked loads from a frame, in the kernel and in user space.

/// A frame whose bytes can be loaded where they exist.
///
/// The parser knows frames only through this trait. The XDP program implements it over the
/// pointers `data` and `data_end`, user space over a slice.
pub trait Packet {
    /// The `N` bytes that start `offset` bytes into the frame, or `None` if the frame ends
    /// before their end.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Bytes of the frame.
    fn length(&self) -> usize;

    /// The big-endian 16-bit number at `offset`.
    #[inline(always)]
    fn load_u16(&self, offset: usize) -> Option<u16> {
        self.load(offset).map(u16::from_be_bytes)
    }
}

impl Packet for [u8] {
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Packet;

    #[test]
    fn loads_end_with_the_frame() {
        let frame: &[u8] = &[1, 2, 3, 4];
        assert_eq!(frame.load(0), Some([1, 2, 3, 4]));
        assert_eq!(frame.length(), 4);
        assert_eq!(frame.load_u16(2), Some(0x0304));
        assert_eq!(frame.load::<2>(3), None);
        assert_eq!(frame.load::<1>(4), None);
        assert_eq!(frame.load::<0>(4), Some([]));
        assert_eq!(frame.load::<0>(5), None);
        assert_eq!(frame.load::<1>(usize::MAX), None);
    }
}
