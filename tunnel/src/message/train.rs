//! Asking the other end for datagrams, to see what arrives of them.

use minicbor::{Decode, Encode};

/// The sender would like a dummy of each of these sizes, in this order, one right after the other, on each lane that
/// the receiver of this message sends on.
///
/// An end that does not know the message ignores it, and one that does may leave out as much as it likes.
/// [`FEATURE_TRAINS`] in its [`Hello`](super::Hello) says that it does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Train {
    /// Bytes of UDP payload, brought to what a dummy can have: a multiple of 4, from 36 to 9,000.
    ///
    /// Empty: the sender would like a [`Heard`](super::Heard) now; earlier releases send it within the second anyway.
    #[n(0)]
    pub sizes: Vec<u16>,
}

/// Bit of [`Hello::features`](super::Hello::features): sends [`Train`]s when asked.
pub const FEATURE_TRAINS: u64 = 1;
