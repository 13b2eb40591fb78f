//! Offloads of a device, by the ioctl of ethtool (include/uapi/linux/ethtool.h): generic receive offload,
//! VLAN tags, and features by name; and which queue takes what.

mod features;
mod rss;
mod rules;

pub use self::{
    features::{Feature, feature, turn_off},
    rss::{Channels, Rss, channels, hashes_udp_ports, rss},
    rules::{Rule, UdpFlow, insert_rule, remove_rule, rules},
};

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use libc::c_char;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A command for which the kernel reads and writes a `struct ethtool_value` and nothing else.
#[derive(Clone, Copy)]
struct ValueCommand(u32);

/// `ETHTOOL_GGRO` and `ETHTOOL_SGRO`: whether the kernel merges what arrives, asked and set.
const GET_GRO: ValueCommand = ValueCommand(0x2b);
const SET_GRO: ValueCommand = ValueCommand(0x2c);

/// `ETHTOOL_GFLAGS` and `ETHTOOL_SFLAGS`, and three of the flags they tell and set.
const GET_FLAGS: ValueCommand = ValueCommand(0x25);
const SET_FLAGS: ValueCommand = ValueCommand(0x26);
const FLAG_TX_VLAN: u32 = 1 << 7;
const FLAG_RX_VLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// What a device does to frames before anybody sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// It joins TCP segments (large receive offload).
    pub lro: bool,
    /// It takes VLAN tags out of frames.
    pub rx_vlan: bool,
}

/// Whether the device has GRO on.
///
/// # Errors
///
/// ENODEV if there is no such device; EINVAL if its name is none.
pub fn gro(device: &str) -> io::Result<bool> {
    call(device, GET_GRO, 0).map(|data| data != 0)
}

/// What the device does to frames that it receives.
///
/// # Errors
///
/// As [`gro`]; EOPNOTSUPP if the driver does not tell.
pub fn flags(device: &str) -> io::Result<Flags> {
    let flags = call(device, GET_FLAGS, 0)?;
    Ok(Flags {
        lro: flags & FLAG_LRO != 0,
        rx_vlan: flags & FLAG_RX_VLAN != 0,
    })
}

/// Turns GRO of the device on or off.
///
/// # Errors
///
/// EPERM without CAP_NET_ADMIN; EOPNOTSUPP if the device does not let it be changed; as [`gro`].
pub fn set_gro(device: &str, on: bool) -> io::Result<()> {
    call(device, SET_GRO, on.into()).map(drop)
}

/// Has the device take VLAN tags out of the frames that it receives, or leave them in.
///
/// # Errors
///
/// EOPNOTSUPP or EINVAL if its driver does not let it be changed ("fixed"); as [`set_gro`].
pub fn set_strips_vlan(device: &str, on: bool) -> io::Result<()> {
    let flags = call(device, GET_FLAGS, 0)? & !FLAG_RX_VLAN;
    call(device, SET_FLAGS, flags | if on { FLAG_RX_VLAN } else { 0 }).map(drop)
}

/// Whether VLAN tags of frames that are sent to the device travel beside them.
///
/// # Errors
///
/// As [`gro`].
pub fn sends_vlan_beside(device: &str) -> io::Result<bool> {
    call(device, GET_FLAGS, 0).map(|flags| flags & FLAG_TX_VLAN != 0)
}

fn call(device: &str, command: ValueCommand, data: u32) -> io::Result<u32> {
    let mut value = [command.0, data];
    // SAFETY: two words are a `struct ethtool_value`, all that the kernel uses for such a command.
    unsafe { exchange(device, &mut value)? };
    Ok(value[1])
}

/// Hands a structure of the command in its first word to the kernel, which answers in its place.
///
/// # Safety
///
/// The kernel reads and writes what the command says, and as many elements as numbers in the words say: all of that must lie
/// within the words.
unsafe fn exchange(device: &str, words: &mut [u32]) -> io::Result<()> {
    let mut name: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    // The last byte stays zero.
    if device.is_empty() || device.len() >= name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in name.iter_mut().zip(device.bytes()) {
        *to = from as c_char;
    }
    let pointer: *mut u32 = words.as_mut_ptr();
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: pointer.cast(),
        },
    };
    let socket: OwnedFd = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: the kernel reads the request, whose name ends with a zero, and reads and writes the words
    // that it points to and, by the caller's promise, nothing behind them; both live until the call returns.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &mut request) };
    match rc {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_and_what_is_none_is_refused() {
        assert!(gro("lo").is_ok());
        assert!(!flags("lo").unwrap().lro);
        assert!(sends_vlan_beside("lo").is_ok());
        let errno = |device| gro(device).unwrap_err().raw_os_error();
        assert_eq!(errno("nosuch0"), Some(libc::ENODEV));
        assert_eq!(errno(""), None);
        assert_eq!(errno("a-name-of-16-byt"), None);
    }
}
