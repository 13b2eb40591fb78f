//! How a device spreads what it receives over its queues: channels, receive side scaling (RSS), and what of a UDP
//! datagram the hash is made of (ethtool(8), `-l`, `-x`, `-n`).

use std::io;

use super::{
    exchange,
    rules::{GET_FIELDS, Request},
};

/// `ETHTOOL_GCHANNELS`, `ETHTOOL_GRSSH`.
const GET_CHANNELS: u32 = 0x3c;
const GET_RSS: u32 = 0x46;

/// `UDP_V4_FLOW`, `UDP_V6_FLOW`.
const UDP_IPV4: u32 = 0x02;
const UDP_IPV6: u32 = 0x06;

/// `RXH_L4_B_0_1` and `RXH_L4_B_2_3`: source and destination port.
const PORTS: u64 = 1 << 6 | 1 << 7;

/// `ETH_RSS_HASH_TOP`: Toeplitz, the one function whose key can be too poor for anything.
const TOEPLITZ: u8 = 1;

/// A table or key beyond this, in entries and bytes, is no device's that we know.
const MOST: u32 = 1 << 16;

/// Words of `struct ethtool_rxfh` in front of the table and the key.
const HEADER: usize = 6;

/// Queues that receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Of now.
    pub now: u32,
    /// That the device could have.
    pub most: u32,
}

/// The channels of the device that receive.
///
/// # Errors
///
/// EOPNOTSUPP if its driver does not tell; ENODEV if there is no such device.
pub fn channels(device: &str) -> io::Result<Channels> {
    // struct ethtool_channels: the command, the most of rx, tx, other, combined, and the same of now.
    let mut words = [0; 9];
    words[0] = GET_CHANNELS;
    // SAFETY: the nine words are all of the structure.
    unsafe { exchange(device, &mut words)? };
    let [_, rx, _, _, combined, rx_now, _, _, combined_now] = words;
    Ok(Channels {
        now: rx_now.saturating_add(combined_now),
        most: rx.saturating_add(combined),
    })
}

/// Receive side scaling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The queue of each value of the hash. Empty: the device has no such table.
    pub table: Vec<u32>,
    /// Whether the hash is the same whatever comes: Toeplitz with a key of zeros.
    pub is_constant: bool,
}

/// The device's table.
///
/// # Errors
///
/// EOPNOTSUPP if it has none or its driver does not tell; ENODEV if there is no such device.
pub fn rss(device: &str) -> io::Result<Rss> {
    // struct ethtool_rxfh: the command, a context, the lengths of table and key, the hash function in the first
    // byte of a word, one more, and what is asked for. With lengths of zero the kernel tells them.
    let mut lengths = [0; HEADER];
    lengths[0] = GET_RSS;
    // SAFETY: with lengths of zero the kernel reads and writes the header alone.
    unsafe { exchange(device, &mut lengths)? };
    let (entries, key) = (lengths[2], lengths[3]);
    if entries > MOST || key > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut words = vec![0; HEADER + entries as usize + key.div_ceil(4) as usize];
    (words[0], words[2], words[3]) = (GET_RSS, entries, key);
    // SAFETY: behind the header is room for as many entries and bytes of the key as the lengths say. Lengths that are others
    // by now are refused (net/ethtool/ioctl.c, `ethtool_get_rxfh`).
    unsafe { exchange(device, &mut words)? };
    Ok(read(&words))
}

/// Reads the structure as the kernel has filled it; as many entries as it says are there.
fn read(words: &[u32]) -> Rss {
    let [function, ..] = words[4].to_ne_bytes();
    let (table, key) = words[HEADER..].split_at(words[2] as usize);
    Rss {
        table: table.to_vec(),
        is_constant: function == TOEPLITZ && !key.is_empty() && key.iter().all(|word| *word == 0),
    }
}

/// Whether the ports of UDP take part in the hash, over IPv6 or else IPv4.
///
/// # Errors
///
/// EOPNOTSUPP if the driver does not tell; ENODEV if there is no such device.
pub fn hashes_udp_ports(device: &str, ipv6: bool) -> io::Result<bool> {
    let mut request = Request::new(GET_FIELDS);
    request.set_kind(if ipv6 { UDP_IPV6 } else { UDP_IPV4 });
    request.send(device)?;
    Ok(request.data() & PORTS == PORTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// include/uapi/linux/ethtool.h, `struct ethtool_rxfh`.
    #[test]
    fn the_table_is_in_front_of_the_key() {
        let toeplitz = u32::from_ne_bytes([TOEPLITZ, 0, 0, 0]);
        let xor = u32::from_ne_bytes([2, 0, 0, 0]);
        let answer = |function, key: u32| read(&[GET_RSS, 0, 3, 8, function, 0, 0, 1, 0, 0, key]);
        let rss = answer(toeplitz, 7);
        assert_eq!((&rss.table[..], rss.is_constant), (&[0, 1, 0][..], false));
        assert!(answer(toeplitz, 0).is_constant && !answer(xor, 0).is_constant);
    }

    #[test]
    fn what_has_no_queues_to_choose_from_says_so() {
        for device in ["lo", "nosuch0"] {
            let refused = |e: io::Error| e.raw_os_error().unwrap();
            let expected = match device {
                "lo" => libc::EOPNOTSUPP,
                _ => libc::ENODEV,
            };
            assert_eq!(refused(channels(device).unwrap_err()), expected);
            assert_eq!(refused(rss(device).unwrap_err()), expected);
            assert_eq!(
                refused(hashes_udp_ports(device, false).unwrap_err()),
                expected
            );
        }
    }
}
