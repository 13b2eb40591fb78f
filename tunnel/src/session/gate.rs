//! Looks at each arriving datagram before QUIC does, and refuses what cannot be for us.
//!
//! Only the parts of a header that every QUIC version or version 1 fixes are read (RFC 8999,
//! RFC 9000 section 17), nothing is decrypted, and nothing is answered.

use super::connection_id::{CONNECTION_ID_LEN, ConnectionIds};
use super::counters::SessionCounter;

const LONG_HEADER: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;
const VERSION_1: u32 = 1;
const VERSION_NEGOTIATION: u32 = 0;
/// RFC 9000 section 17.2: version 1 has connection ids of at most 20 bytes.
const MAX_CONNECTION_ID_LEN: usize = 20;
/// RFC 9000 section 7.2: a client invents at least 8 bytes for the server's id.
const MIN_INVENTED_ID_LEN: usize = 8;
/// RFC 9000 section 14.1.
const MIN_INITIAL_DATAGRAM: usize = 1200;
/// RFC 9000 section 10.3: a stateless reset has at least 5 bytes before the 16 of its token; no
/// protected packet is shorter.
const MIN_DATAGRAM: usize = 21;

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Count it and hand it to QUIC.
    Pass(SessionCounter),
    /// Count it and forget it.
    Drop(SessionCounter),
}

/// Judges one datagram.
pub(super) fn judge(datagram: &[u8], ours: &ConnectionIds) -> Verdict {
    let Some(first) = datagram
        .first()
        .copied()
        .filter(|_| datagram.len() >= MIN_DATAGRAM)
    else {
        return Verdict::Drop(SessionCounter::DatagramRunt);
    };
    if first & FIXED_BIT == 0 {
        return Verdict::Drop(SessionCounter::DatagramNotQuic);
    }
    if first & LONG_HEADER != 0 {
        return judge_long_header(first, datagram, ours);
    }
    // A stateless reset looks like a packet for a random id, so strangers have to pass here;
    // QUIC looks the last 16 bytes up among the tokens of its peers.
    match ours.made(&datagram[1..1 + CONNECTION_ID_LEN]) {
        true => Verdict::Pass(SessionCounter::Datagram),
        false => Verdict::Pass(SessionCounter::DatagramStray),
    }
}

fn judge_long_header(first: u8, datagram: &[u8], ours: &ConnectionIds) -> Verdict {
    let Some((version, destination)) = version_and_destination(datagram) else {
        return Verdict::Drop(SessionCounter::DatagramHeader);
    };
    let known = ours.made(destination);
    match version {
        VERSION_1 => {}
        VERSION_NEGOTIATION if known => return Verdict::Pass(SessionCounter::Datagram),
        _ => return Verdict::Drop(SessionCounter::DatagramVersion),
    }
    const INITIAL: u8 = 0;
    const ZERO_RTT: u8 = 1;
    match (first >> 4) & 3 {
        ZERO_RTT => Verdict::Drop(SessionCounter::DatagramZeroRtt),
        _ if known => Verdict::Pass(SessionCounter::Datagram),
        INITIAL if destination.len() < MIN_INVENTED_ID_LEN => {
            Verdict::Drop(SessionCounter::DatagramHeader)
        }
        INITIAL if datagram.len() < MIN_INITIAL_DATAGRAM => {
            Verdict::Drop(SessionCounter::DatagramShortInitial)
        }
        INITIAL => Verdict::Pass(SessionCounter::Datagram),
        // Handshake and Retry packets carry an id that their receiver chose.
        _ => Verdict::Drop(SessionCounter::DatagramStray),
    }
}

/// The version and destination connection id of a long header (RFC 8999 section 5.1), if both
/// connection ids have a lawful length and lie within the datagram.
fn version_and_destination(datagram: &[u8]) -> Option<(u32, &[u8])> {
    let (version, rest) = datagram.get(1..)?.split_first_chunk()?;
    let (destination, rest) = connection_id(rest)?;
    connection_id(rest)?;
    Some((u32::from_be_bytes(*version), destination))
}

fn connection_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let length = usize::from(*length);
    if length > MAX_CONNECTION_ID_LEN {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quinn::ConnectionIdGenerator;

    use super::SessionCounter as C;
    use super::Verdict::{Drop, Pass};
    use super::*;
    use crate::identity::PrivateKey;

    fn ids() -> ConnectionIds {
        ConnectionIds::new(&PrivateKey::from_bytes([3; 32]))
    }

    fn long(first: u8, version: u32, destination: &[u8], length: usize) -> Vec<u8> {
        let mut datagram = vec![first];
        datagram.extend(version.to_be_bytes());
        datagram.push(destination.len() as u8);
        datagram.extend(destination);
        datagram.extend([4, 1, 2, 3, 4]);
        datagram.resize(length, 0);
        datagram
    }

    #[test]
    fn each_rule() {
        let ids = ids();
        let ours = ids.clone().generate_cid();
        let theirs = [9; 8];
        let mut short = [&[0x40][..], &ours, &[0; 20]].concat();
        for (what, datagram, verdict) in [
            ("empty", vec![], Drop(C::DatagramRunt)),
            ("20 bytes", vec![0x40; 20], Drop(C::DatagramRunt)),
            ("ESP", vec![0x10; 100], Drop(C::DatagramNotQuic)),
            (
                "long header, no fixed bit",
                long(0x80, 1, &theirs, 1200),
                Drop(C::DatagramNotQuic),
            ),
            (
                "first Initial",
                long(0xc0, 1, &theirs, 1200),
                Pass(C::Datagram),
            ),
            (
                "short Initial",
                long(0xc0, 1, &theirs, 1199),
                Drop(C::DatagramShortInitial),
            ),
            (
                "server's Initial",
                long(0xc0, 1, &ours, 60),
                Pass(C::Datagram),
            ),
            (
                "short id",
                long(0xc0, 1, &theirs[..7], 1200),
                Drop(C::DatagramHeader),
            ),
            (
                "longest id",
                long(0xc0, 1, &[9; 20], 1200),
                Pass(C::Datagram),
            ),
            (
                "too long id",
                long(0xc0, 1, &[9; 21], 1200),
                Drop(C::DatagramHeader),
            ),
            (
                "version 2",
                long(0xc0, 0x6b33_43cf, &theirs, 1200),
                Drop(C::DatagramVersion),
            ),
            (
                "negotiation for us",
                long(0xc0, 0, &ours, 60),
                Pass(C::Datagram),
            ),
            (
                "negotiation",
                long(0xc0, 0, &theirs, 60),
                Drop(C::DatagramVersion),
            ),
            (
                "0-RTT",
                long(0xd0, 1, &ours, 1200),
                Drop(C::DatagramZeroRtt),
            ),
            ("our Handshake", long(0xe0, 1, &ours, 60), Pass(C::Datagram)),
            (
                "other Handshake",
                long(0xe0, 1, &theirs, 1200),
                Drop(C::DatagramStray),
            ),
            (
                "other Retry",
                long(0xf0, 1, &theirs, 60),
                Drop(C::DatagramStray),
            ),
            ("cut id", vec![0xff; 30], Drop(C::DatagramHeader)),
            ("data", short.clone(), Pass(C::Datagram)),
            ("reset", vec![0x40; 21], Pass(C::DatagramStray)),
        ] {
            assert_eq!(judge(&datagram, &ids), verdict, "{what}");
        }
        short[5] ^= 1;
        assert_eq!(judge(&short, &ids), Pass(C::DatagramStray));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            judge(&bytes, &ids());
        }
    }
}
