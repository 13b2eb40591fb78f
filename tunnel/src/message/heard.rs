//! What has arrived on each lane, so that the sender notices one that fails alone.

use minicbor::{Decode, Encode};

/// How far the sender of this message has received on the lanes of the session.
///
/// An end that does not know the message ignores it, and one that never hears it cannot tell
/// dead lanes from others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heard {
    /// The lanes that the sender of this message receives on; some may be left out.
    #[n(0)]
    pub lanes: Vec<HeardLane>,
}

/// One lane. On the wire: an array of the two, to which later versions may append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct HeardLane {
    /// The SPI of the lane, as [`Lanes`](super::Lanes) has it.
    #[n(0)]
    pub spi: u32,
    /// The highest authentic sequence number so far, 0 if there was none.
    #[n(1)]
    pub highest: u64,
}
