//! What DHCP for IPv4 says of addresses: RFC 2131 and 2132.
//!
//! DHCP for IPv6 need not be read: a client asks whether an address is free before it uses it (RFC 8415,
//! section 18.2.10.1), and that is neighbour discovery.

use std::net::Ipv4Addr;

use causeway_ebpf::{ethernet::EthernetHeader, packet::Packet as _};

const UDP_HEADER: usize = 8;

const OP: usize = 0;
const CLIENT_ADDRESS: usize = 12;
const YOUR_ADDRESS: usize = 16;
const CLIENT_MAC: usize = 28;
const MAGIC: usize = 236;
const OPTIONS: usize = 240;

/// What marks options as those of DHCP (RFC 2131, section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];

const PAD: u8 = 0;
const END: u8 = 255;
const REQUESTED_ADDRESS: u8 = 50;
const MESSAGE_TYPE: u8 = 53;

const REQUEST: u8 = 3;
const ACK: u8 = 5;

/// What is said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dhcp {
    /// The client has the address and wants to keep it.
    Has(Ipv4Addr),
    /// The client wants the address.
    Wants(Ipv4Addr),
    /// A server gives the client with this MAC address the address.
    Gives([u8; 6], Ipv4Addr),
}

impl Dhcp {
    /// Reads a request or an acknowledgement. A request is the client's own word: its hardware address is who sends
    /// the frame. One by way of a relay is none.
    pub fn parse(frame: &[u8], header: &EthernetHeader) -> Option<Self> {
        let ihl = 4 * usize::from(frame.get(header.len)? & 0x0f);
        let message = frame.get(header.len + ihl + UDP_HEADER..)?;
        // Hardware type Ethernet, with addresses of 6 bytes.
        let [op, 1, 6] = message.load(OP)? else {
            return None;
        };
        if message.load(MAGIC)? != COOKIE {
            return None;
        }
        let options = message.get(OPTIONS..)?;
        let client: [u8; 6] = message.load(CLIENT_MAC)?;
        let address = |at| Some(Ipv4Addr::from(message.load::<4>(at)?));
        match (op, option(options, MESSAGE_TYPE)?) {
            (1, &[REQUEST]) if client == header.source => match address(CLIENT_ADDRESS)? {
                Ipv4Addr::UNSPECIFIED => {
                    let wanted = option(options, REQUESTED_ADDRESS)?;
                    Some(Self::Wants(Ipv4Addr::from(*wanted.first_chunk()?)))
                }
                has => Some(Self::Has(has)),
            },
            (2, &[ACK]) => match address(YOUR_ADDRESS)? {
                // To one that has only asked for other parameters.
                Ipv4Addr::UNSPECIFIED => None,
                given => Some(Self::Gives(client, given)),
            },
            _ => None,
        }
    }
}

/// The value of an option.
fn option(options: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = options;
    loop {
        match *rest {
            [PAD, ..] => rest = &rest[1..],
            [END, ..] => return None,
            [code, length, ..] => {
                let end = 2 + usize::from(length);
                if code == wanted {
                    return rest.get(2..end);
                }
                rest = rest.get(end..)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::frames::dhcp_discover;

    use super::*;

    const VM: [u8; 6] = [0, 0x50, 0x56, 0, 0, 0x50];
    /// Ethernet, IPv4 and UDP.
    const MESSAGE: usize = 14 + 20 + 8;

    /// A message made of a DISCOVER.
    fn message(op: u8, options: &[u8], addresses: &[(usize, [u8; 4])]) -> Vec<u8> {
        let mut frame = dhcp_discover(VM, &[]);
        frame.truncate(MESSAGE + OPTIONS);
        frame[MESSAGE] = op;
        for (at, address) in addresses {
            frame[MESSAGE + at..][..4].copy_from_slice(address);
        }
        frame.extend(options);
        frame
    }

    fn parse(frame: &[u8]) -> Option<Dhcp> {
        Dhcp::parse(frame, &EthernetHeader::parse(frame)?)
    }

    #[test]
    fn a_clients_request_and_a_servers_answer_are_read() {
        let address = [10, 77, 0, 100];
        let selecting = [0, 53, 1, 3, 12, 2, b'v', b'm', 50, 4, 10, 77, 0, 100, 255];
        let wants = Dhcp::Wants(address.into());
        assert_eq!(parse(&message(1, &selecting, &[])), Some(wants));
        let renewing = message(1, &[53, 1, 3, 255], &[(CLIENT_ADDRESS, address)]);
        assert_eq!(parse(&renewing), Some(Dhcp::Has(address.into())));
        let ack = message(2, &[53, 1, 5, 255], &[(YOUR_ADDRESS, address)]);
        assert_eq!(parse(&ack), Some(Dhcp::Gives(VM, address.into())));
    }

    #[test]
    fn everything_else_is_none() {
        let address = [10, 77, 0, 100];
        let nak = message(2, &[53, 1, 6, 255], &[(YOUR_ADDRESS, address)]);
        assert_eq!(parse(&nak), None);
        assert_eq!(parse(&message(2, &[53, 1, 5, 255], &[])), None);
        assert_eq!(parse(&dhcp_discover(VM, &[])), None);
        // No end, an option longer than the message, none at all, a client that is not the sender.
        for options in [&[53, 1, 3][..], &[50, 200, 1], &[53], &[]] {
            assert_eq!(parse(&message(1, options, &[])), None, "{options:?}");
        }
        let mut relayed = message(1, &[53, 1, 3, 255], &[(CLIENT_ADDRESS, address)]);
        relayed[6] = 2;
        assert_eq!(parse(&relayed), None);
        let whole = message(1, &[53, 1, 3, 255], &[(CLIENT_ADDRESS, address)]);
        for length in 0..MESSAGE + OPTIONS + 3 {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }
}
