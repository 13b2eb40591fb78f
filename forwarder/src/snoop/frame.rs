//! The beginning and the end of Ethernet frames of our own.

use causeway_ebpf::ethernet::TPID_CUSTOMER;

pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

/// Bytes of the shortest frame without its FCS (IEEE 802.3): what a switch may want to see.
const SHORTEST: usize = 60;

/// Addresses, and a tag unless the VLAN is 0; the ethertype comes next.
pub(super) fn begin(destination: [u8; 6], source: [u8; 6], vlan: u16) -> Vec<u8> {
    let mut head = Vec::with_capacity(SHORTEST);
    head.extend(destination);
    head.extend(source);
    if vlan != 0 {
        head.extend(TPID_CUSTOMER.to_be_bytes());
        head.extend(vlan.to_be_bytes());
    }
    head
}

/// Fills up a short frame.
pub(super) fn pad(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}
