//! Features (offloads) of a device by the names that `ethtool -k` shows them under, with less of an alias.

use std::io;

use super::exchange;

const GET_STRING_SET_INFO: u32 = 0x37;
const GET_STRINGS: u32 = 0x1b;
const GET_FEATURES: u32 = 0x3a;
const SET_FEATURES: u32 = 0x3b;

/// `ETH_SS_FEATURES`: the set of strings that are names of features.
const FEATURES: u32 = 4;

/// `ETH_GSTRING_LEN`, in words.
const NAME_WORDS: usize = 32 / 4;

/// More features than a kernel will ever have; it says how many there are, and we reserve room for these.
const MOST: usize = 4_096;

/// Turns the named features of a device off; those that the kernel does not know are left out.
///
/// # Errors
///
/// EPERM without CAP_NET_ADMIN; ENODEV if there is no such device.
pub fn turn_off(device: &str, names: &[&str]) -> io::Result<()> {
    let known = feature_names(device)?;
    let blocks = known.len().div_ceil(32);
    // struct ethtool_sfeatures: the command, the number of blocks, and of each which bits are meant, and
    // which of them are to be set.
    let mut words = vec![0; 2 + 2 * blocks];
    (words[0], words[1]) = (SET_FEATURES, blocks as u32);
    for (bit, _) in known
        .iter()
        .enumerate()
        .filter(|(_, name)| names.contains(&name.as_str()))
    {
        words[2 + 2 * (bit / 32)] |= 1 << (bit % 32);
    }
    // More than zero: some had been asked for and were not on, or cannot be turned; nobody minds here.
    // SAFETY: the kernel reads as many blocks as the second word says, and there are as many.
    unsafe { exchange(device, &mut words) }
}

/// How a feature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// It is on.
    pub on: bool,
    /// The driver lets nobody change it.
    pub fixed: bool,
}

/// The feature of this name; `None` if the kernel has none.
///
/// # Errors
///
/// ENODEV if there is no such device.
pub fn feature(device: &str, name: &str) -> io::Result<Option<Feature>> {
    let known = feature_names(device)?;
    let Some(bit) = known.iter().position(|known| known == name) else {
        return Ok(None);
    };
    let blocks = known.len().div_ceil(32);
    // struct ethtool_gfeatures: the command, the number of blocks, and of each which bits can be changed, are
    // asked for, are on, and can never be changed.
    let mut words = vec![0; 2 + 4 * blocks];
    (words[0], words[1]) = (GET_FEATURES, blocks as u32);
    // SAFETY: the kernel writes no more blocks than the second word says, and there are as many.
    unsafe { exchange(device, &mut words)? };
    let is = |which: usize| words[2 + 4 * (bit / 32) + which] & 1 << (bit % 32) != 0;
    Ok(Some(Feature {
        on: is(2),
        fixed: !is(0) || is(3),
    }))
}

fn feature_names(device: &str) -> io::Result<Vec<String>> {
    // struct ethtool_sset_info: the command, a gap, a mask of 64 bits, and a length for each bit of it.
    let mut info = [GET_STRING_SET_INFO, 0, 0, 0, 0];
    // The mask lies in memory as any 64-bit number.
    let mask = (1_u64 << FEATURES).to_ne_bytes();
    for (word, bytes) in info[2..4].iter_mut().zip(mask.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    // SAFETY: one bit is set in the mask, so the kernel writes one length behind it, for which there is a word.
    unsafe { exchange(device, &mut info)? };
    let count = info[4] as usize;
    if count > MOST {
        return Err(io::Error::other("more features than there can be"));
    }
    // struct ethtool_gstrings: the command, which set, its length, and the names.
    let mut strings = vec![0; 3 + MOST * NAME_WORDS];
    (strings[0], strings[1], strings[2]) = (GET_STRINGS, FEATURES, count as u32);
    // SAFETY: the kernel writes as many names as it has, whatever we say (net/ethtool/ioctl.c, `ethtool_get_strings`): as
    // many as it has just said, a constant of its, for which there is room.
    unsafe { exchange(device, &mut strings)? };
    let name = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    Ok(strings[3..]
        .chunks_exact(NAME_WORDS)
        .take(count)
        .map(name)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_the_names_that_ethtool_shows() {
        let names = feature_names("lo").unwrap();
        for name in [
            "tx-checksum-ip-generic",
            "tx-vlan-hw-insert",
            "tx-tcp-segmentation",
        ] {
            assert!(names.iter().any(|n| n == name), "{names:?}");
        }
        assert!(feature_names("nosuch0").is_err());
    }

    #[test]
    fn a_feature_is_on_or_off_and_may_be_fixed() {
        let of = |name| feature("lo", name).unwrap();
        // lo is the one device whose frames are always whole (drivers/net/loopback.c).
        let on = |feature: Option<Feature>| feature.map(|f| (f.on, f.fixed));
        assert_eq!(on(of("loopback")), Some((true, true)));
        assert_eq!(on(of("rx-gro-hw")), Some((false, true)));
        assert_eq!(on(of("tx-tcp-segmentation")), Some((true, false)));
        assert_eq!(of("no-such-feature"), None);
        assert!(feature("nosuch0", "loopback").is_err());
    }
}
