//! Which stations the cloud end may advertise by itself.

use minicbor::{Decode, Encode};

/// The ranges of addresses that a site is willing to learn from the receiver of this message, in place of any
/// that it sent before. Sent by a site at the beginning of each session, before its stations.
///
/// A cloud end that does not know the message ignores it, and advertises nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Allow {
    /// What may be advertised; nothing if there is none.
    #[n(0)]
    pub ranges: Vec<AllowedRange>,
    /// How many stations at once the site takes from the receiver.
    #[n(1)]
    pub limit: u32,
}

/// A range of VLANs and addresses. On the wire: an array of the four, to which later versions may append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AllowedRange {
    /// First VLAN identifier, 0 for untagged.
    #[n(0)]
    pub first_vlan: u16,
    /// Last VLAN identifier.
    #[n(1)]
    pub last_vlan: u16,
    /// A MAC address of the range.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub mac: [u8; 6],
    /// How many bits at its start all addresses of the range have, 0 to 48.
    #[n(3)]
    pub bits: u8,
}
