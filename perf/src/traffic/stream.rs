//! What the frames of a test look like.

use std::net::Ipv4Addr;

use causeway_ebpf::{
    ethernet::{HEADER_LEN, TAG_LEN, TPID_CUSTOMER},
    perf::{self, Shape, Stamp},
};

use super::{Link, link::LinkInfo};
use crate::{
    error::{Error, Result},
    sizes::{FCS, FrameSizes},
};

/// Addresses for tests of network devices (RFC 2544, appendix C.2.2).
pub(super) const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
pub(super) const DESTINATION: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

const TTL: u8 = 64;
pub(super) const PROTOCOL_UDP: u8 = 17;
const ETHERTYPE_IPV4: u16 = 0x0800;

/// Frames of one source, all to one destination.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Source address.
    pub(crate) source: [u8; 6],
    /// Destination address.
    pub(crate) destination: [u8; 6],
    /// VLAN of the tag, 1 to 4094.
    pub(crate) vlan: Option<u16>,
    /// Sizes of the frames, in turn.
    pub(crate) sizes: FrameSizes,
    /// UDP flows, which take turns; at least 1.
    pub(crate) flows: u16,
}

/// A frame but for its [`Stamp`].
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The frame without its FCS; source port, checksum and stamp are zeros.
    pub(crate) frame: Vec<u8>,
    /// What of its headers depends on its size.
    pub(crate) shape: Shape,
    /// Where the UDP header starts.
    udp: usize,
}

impl Stream {
    /// The smallest frame, FCS included, that holds the stamp.
    pub(crate) fn smallest(&self) -> usize {
        perf::udp_offset(self.tags()) + perf::UDP_LEN + perf::PAYLOAD_LEN + FCS
    }

    /// VLAN tags of each frame.
    pub(crate) fn tags(&self) -> usize {
        usize::from(self.vlan.is_some())
    }

    /// Whether its frames can be sent at `link`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if they are too small for what they have to say, or too large for the interface, or it is down.
    pub(crate) fn fits(&self, link: &Link, info: &LinkInfo) -> Result {
        let (smallest, largest) = (
            self.smallest(),
            info.mtu + HEADER_LEN + self.tags() * TAG_LEN + FCS,
        );
        let sizes = self.sizes.cycle();
        let problem = if !info.is_up {
            format!("{link} is down: `ip link set {} up`", link.interface)
        } else if let Some(size) = sizes.iter().find(|s| **s < smallest) {
            format!(
                "a test frame has at least {smallest} bytes here, not {size}: its stamp needs them"
            )
        } else if let Some(size) = sizes.iter().find(|s| **s > largest) {
            format!(
                "a frame of {size} bytes does not fit {link}, whose MTU is {}: at most {largest}",
                info.mtu
            )
        } else {
            return Ok(());
        };
        Err(Error::Usage(problem))
    }

    /// Frames of `size` bytes, FCS included, of which the caller has checked that they are not below
    /// [`smallest`](Self::smallest).
    pub(crate) fn template(&self, size: usize) -> Template {
        let udp = perf::udp_offset(self.tags());
        let mut frame = [&self.destination[..], &self.source].concat();
        if let Some(vlan) = self.vlan {
            frame.extend_from_slice(&TPID_CUSTOMER.to_be_bytes());
            frame.extend_from_slice(&vlan.to_be_bytes());
        }
        frame.extend_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
        let behind_ethernet = size - FCS - frame.len();
        let ip = ipv4_header(behind_ethernet as u16);
        frame.extend_from_slice(&ip);
        let udp_length = (behind_ethernet - perf::IPV4_LEN) as u16;
        frame.extend_from_slice(&[0; 2]);
        frame.extend_from_slice(&perf::DESTINATION_PORT.to_be_bytes());
        frame.extend_from_slice(&udp_length.to_be_bytes());
        frame.resize(size - FCS, 0);
        // The pseudo header has the length too (RFC 768).
        let sum = sum_of(&SOURCE.octets())
            + sum_of(&DESTINATION.octets())
            + u32::from(PROTOCOL_UDP)
            + u32::from(udp_length) * 2
            + u32::from(perf::DESTINATION_PORT);
        let shape = Shape {
            length: frame.len() as u32,
            sum,
            ip_length: [ip[2], ip[3]],
            ip_checksum: [ip[10], ip[11]],
            udp_length: udp_length.to_be_bytes(),
            padding: [0; 2],
        };
        Template { frame, shape, udp }
    }
}

impl Template {
    /// Makes it the frame that `stamp` says.
    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        let udp = &mut self.frame[self.udp..];
        udp[..2].copy_from_slice(&perf::source_port(stamp.flow).to_be_bytes());
        udp[6..8].copy_from_slice(&stamp.checksum(self.shape.sum).to_be_bytes());
        udp[perf::UDP_LEN..][..perf::PAYLOAD_LEN].copy_from_slice(&stamp.to_bytes());
    }
}

/// The header of an IPv4 packet with our addresses (RFC 791), its checksum included.
fn ipv4_header(length: u16) -> [u8; perf::IPV4_LEN] {
    let mut header = [0; perf::IPV4_LEN];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[8] = TTL;
    header[9] = PROTOCOL_UDP;
    header[12..16].copy_from_slice(&SOURCE.octets());
    header[16..20].copy_from_slice(&DESTINATION.octets());
    let checksum = !fold(sum_of(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// The sum of the 16-bit words of an even number of bytes.
pub(crate) fn sum_of(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum()
}

/// The sum in 16 bits, with its carries (RFC 1071).
pub(crate) fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::perf::{is_test_frame, udp_offset};

    use super::*;

    #[test]
    fn frames_have_their_size_and_right_checksums() {
        for vlan in [None, Some(100)] {
            let stream = Stream {
                source: [2; 6],
                destination: [4; 6],
                vlan,
                sizes: FrameSizes::Imix,
                flows: 1,
            };
            for size in [stream.smallest(), 594, 1_518, 9_220] {
                let mut template = stream.template(size);
                template.stamp(Stamp {
                    flow: 77,
                    sequence: 0x1234_5678_9abc,
                    timestamp: 0xfedc_ba98_7654_3210,
                });
                let frame = &template.frame;
                assert_eq!(frame.len(), size - FCS);
                assert!(is_test_frame(&frame[..]));
                let ip = udp_offset(stream.tags()) - perf::IPV4_LEN;
                assert_eq!(fold(sum_of(&frame[ip..][..20])), 0xffff);
                let udp_length = (frame.len() - ip - 20) as u32;
                let udp = sum_of(&frame[ip + 12..]) + u32::from(PROTOCOL_UDP) + udp_length;
                assert_eq!(fold(udp), 0xffff, "{size} bytes, VLAN {vlan:?}");
            }
        }
        let untagged = Stream {
            source: [2; 6],
            destination: [4; 6],
            vlan: None,
            sizes: FrameSizes::Imix,
            flows: 1,
        };
        assert_eq!(untagged.smallest(), 64);
    }
}
