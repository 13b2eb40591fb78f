//! Taps (Documentation/networking/tuntap.rst): made, released, opened.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsRawFd,
};

use libc::{c_char, c_short, c_ulong};

/// The character device that taps are opened by.
pub const DEVICE: &str = "/dev/net/tun";

/// Opens the tap of this name, which is made if it is not there; whole Ethernet frames are read and written. A tap that
/// is not [persistent](set_persistent) goes when the file is closed.
///
/// # Errors
///
/// ENOENT, EACCES: no [`DEVICE`]; EPERM without CAP_NET_ADMIN, if it must be made or is somebody else's; EBUSY if
/// it is open elsewhere; EINVAL if a device of this name is no such tap, or has several queues.
pub fn open(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    let mut ifr_name: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    // The last byte stays zero.
    if name.is_empty() || name.len() >= ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI;
    let mut request = libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: flags as c_short,
        },
    };
    // SAFETY: the kernel reads and writes the request, whose name ends with a zero and which lives until the
    // call returns.
    let rc = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    answer(rc).map(|()| file)
}

/// Has the open tap stay when its file is closed, or go with it.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_persistent(tap: &File, stay: bool) -> io::Result<()> {
    set(tap, NumberCommand(libc::TUNSETPERSIST as _), stay.into())
}

/// From now on only this user may open the tap, and who has CAP_NET_ADMIN.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_owner(tap: &File, uid: u32) -> io::Result<()> {
    set(tap, NumberCommand(libc::TUNSETOWNER as _), uid.into())
}

/// A command that takes a number in place of a pointer (drivers/net/tun.c, `__tun_chr_ioctl`).
struct NumberCommand(c_ulong);

fn set(tap: &File, command: NumberCommand, value: c_ulong) -> io::Result<()> {
    // SAFETY: such a command takes a number.
    let rc = unsafe { libc::ioctl(tap.as_raw_fd(), command.0 as _, value) };
    answer(rc)
}

fn answer(rc: libc::c_int) -> io::Result<()> {
    match rc {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
