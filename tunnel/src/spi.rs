//! Security parameters indexes, laid out so that a packet filter can steer by them.

use std::fmt;

/// The bit that QUIC's first byte always has and an SPI's first byte never has
/// (RFC 9000 section 17.2), so that both can share one UDP port.
const QUIC_FIXED_BIT: u32 = 0x40 << 24;

/// The last SPI that RFC 4303 section 2.1 reserves; 0 would also be the
/// non-ESP marker of RFC 3948 section 2.2.
const LAST_RESERVED: u32 = 255;

/// A security parameters index: 4 bytes that name one lane to its receiver.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-----------+---------------+---------------+---------------+
/// |r|0|                 random                    |    worker     |
/// +-+-+-----------+---------------+---------------+---------------+
/// ```
///
/// The zero is where QUIC has its fixed bit. The last byte is the receiving
/// worker, so that one instruction of BPF steers a datagram to its socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spi(u32);

impl Spi {
    /// An SPI of the receiving `worker` from 32 `random` bits, of which 23 are used.
    pub const fn new(random: u32, worker: u8) -> Self {
        let upper = random & !QUIC_FIXED_BIT & !LAST_RESERVED;
        // All random bits zero would be a reserved value: any other will do.
        let upper = if upper == 0 { 1 << 31 } else { upper };
        Self(upper | worker as u32)
    }

    /// Index of the worker that receives this lane.
    #[inline]
    pub const fn worker(self) -> u8 {
        self.0 as u8
    }

    /// The four bytes as they lead a datagram.
    #[inline]
    pub const fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// The number is no SPI of ours: reserved, or with QUIC's fixed bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:#010x} is not an SPI: 0 to 255 are reserved and bit 0x40 of the first byte is QUIC's")]
pub struct InvalidSpi(pub u32);

impl TryFrom<u32> for Spi {
    type Error = InvalidSpi;

    fn try_from(number: u32) -> Result<Self, InvalidSpi> {
        if number <= LAST_RESERVED || number & QUIC_FIXED_BIT != 0 {
            return Err(InvalidSpi(number));
        }
        Ok(Self(number))
    }
}

impl From<Spi> for u32 {
    fn from(spi: Spi) -> u32 {
        spi.0
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spi({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserved_numbers_and_quics_bit_are_refused() {
        for number in [
            0,
            1,
            255,
            0x4000_0000,
            0x7fff_ffff,
            0xc000_0100,
            0x4500_0001,
        ] {
            assert_eq!(Spi::try_from(number), Err(InvalidSpi(number)));
        }
        for number in [256, 0x1001, 0x3fff_ffff, 0x8000_0000, 0xbfff_ffff] {
            assert_eq!(Spi::try_from(number).map(u32::from), Ok(number));
        }
    }

    #[test]
    fn shows_as_hex() {
        let spi = Spi::new(0x1234_5678, 7);
        assert_eq!(
            (spi.to_string(), format!("{spi:?}")),
            ("0x12345607".into(), "Spi(0x12345607)".into())
        );
    }

    proptest! {
        #[test]
        fn every_random_number_makes_a_valid_spi(random in prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), Just(0x4000_00ff)], worker: u8) {
            let spi = Spi::new(random, worker);
            prop_assert_eq!(spi.worker(), worker);
            prop_assert_eq!(Spi::try_from(u32::from(spi)), Ok(spi));
            prop_assert_eq!(spi.to_be_bytes()[0] & 0x40, 0);
        }
    }
}
