//! Attaching: in the driver where it can be, else in the network stack.

use std::{fmt, fs, path::Path};

use aya::programs::{ProgramError, Xdp, XdpMode, links::FdLink};

use super::error::{EPERM, XdpError, chain, errno, too_old};

const ENODEV: i32 = 19;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;

const DOING: &str = "attach the XDP program";

/// Frames that one page holds beside what XDP needs of it: 4,096 less 256 bytes of headroom,
/// 320 of `skb_shared_info` and the 14 of the Ethernet header. Drivers differ by a few bytes. More takes
/// a driver with multi-buffer XDP, which the programs are made for (`xdp.frags`).
const PAGE_MTU: u32 = 3_506;

/// Where in the receive path the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachMode {
    /// In the driver, before the kernel spends any memory on a frame.
    Driver,
    /// In the network stack, on a finished socket buffer: works everywhere, but slowly.
    Generic,
}

impl AttachMode {
    const fn xdp_mode(self) -> XdpMode {
        match self {
            AttachMode::Driver => XdpMode::Driver,
            AttachMode::Generic => XdpMode::Skb,
        }
    }
}

impl fmt::Display for AttachMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttachMode::Driver => "driver",
            AttachMode::Generic => "generic",
        })
    }
}

/// Attaches `program` to `interface`, in the driver, or where that cannot be (with a warning) in the
/// network stack. The link's descriptor holds it there.
///
/// # Errors
///
/// As for [`LanProgram::attach`](super::LanProgram::attach).
pub fn attach(program: &mut Xdp, interface: &str) -> Result<(FdLink, AttachMode), XdpError> {
    let (refusal, hint) = match attach_in(program, interface, AttachMode::Driver) {
        Ok(link) => return Ok((link, AttachMode::Driver)),
        Err(AttachError::Final(error)) => return Err(error),
        Err(AttachError::Refused { reason, errno }) => (reason, hint(interface, errno)),
    };
    match attach_in(program, interface, AttachMode::Generic) {
        Ok(link) => {
            tracing::warn!(
                interface,
                driver = driver(interface),
                reason = refusal,
                "the driver does not take the XDP program, it runs in generic mode, which is \
                 slow{hint}",
            );
            Ok((link, AttachMode::Generic))
        }
        Err(AttachError::Final(error)) => Err(error),
        Err(AttachError::Refused { reason, .. }) => Err(XdpError::Attach {
            interface: interface.to_owned(),
            reason: format!("driver mode: {refusal}; generic mode: {reason}"),
            hint,
        }),
    }
}

/// Attaches `program` to `interface` in the driver, or not at all.
///
/// # Errors
///
/// As for [`LanProgram::attach`](super::LanProgram::attach).
pub(super) fn attach_in_driver(program: &mut Xdp, interface: &str) -> Result<FdLink, XdpError> {
    attach_in(program, interface, AttachMode::Driver).map_err(|error| match error {
        AttachError::Final(error) => error,
        AttachError::Refused { reason, errno } => XdpError::Attach {
            interface: interface.to_owned(),
            reason: format!("driver mode: {reason}"),
            hint: hint(interface, errno),
        },
    })
}

enum AttachError {
    /// Another mode would not help.
    Final(XdpError),
    /// This mode does not work here, for the reason that the kernel gives.
    Refused { reason: String, errno: Option<i32> },
}

fn attach_in(program: &mut Xdp, interface: &str, mode: AttachMode) -> Result<FdLink, AttachError> {
    // Before an interface's name meets the kernel: `attach` panics on a NUL in it.
    if interface.contains('\0') {
        return Err(AttachError::Final(no_interface(interface)));
    }
    let id = program
        .attach(interface, mode.xdp_mode())
        .map_err(|error| explain(&error, interface))?;
    let link = program
        .take_link(id)
        .map_err(|error| explain(&error, interface))?;
    FdLink::try_from(link).map_err(|_| {
        AttachError::Final(XdpError::NoLink {
            interface: interface.to_owned(),
        })
    })
}

fn explain(error: &ProgramError, interface: &str) -> AttachError {
    let errno = errno(error);
    match (error, errno) {
        (_, Some(EPERM)) => AttachError::Final(XdpError::Permission { doing: DOING }),
        (ProgramError::UnknownInterface { .. }, _) | (_, Some(ENODEV)) => {
            AttachError::Final(no_interface(interface))
        }
        // EEXIST: a program in the other of the two modes (net/core/dev.c, dev_xdp_attach).
        (_, Some(EBUSY | EEXIST)) => AttachError::Final(XdpError::Occupied {
            interface: interface.to_owned(),
        }),
        _ => match too_old(DOING) {
            Some(error) => AttachError::Final(error),
            None => AttachError::Refused {
                reason: chain(error),
                errno,
            },
        },
    }
}

fn no_interface(interface: &str) -> XdpError {
    XdpError::NoInterface {
        interface: interface.to_owned(),
    }
}

/// The name of the interface's driver, for a message.
fn driver(interface: &str) -> String {
    let link = Path::new("/sys/class/net")
        .join(interface)
        .join("device/driver");
    fs::read_link(link)
        .ok()
        .and_then(|target| Some(target.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "unknown (no hardware device)".to_owned())
}

/// What to try when a driver refuses with `errno`, after a separator; empty if nobody knows.
fn hint(interface: &str, errno: Option<i32>) -> String {
    // drivers/net/veth.c, veth_xdp_set: fewer receive queues than the peer has transmit queues.
    if errno == Some(ENOSPC) {
        return format!(
            "; a veth needs as many receive queues as its peer has transmit queues: lower those of \
             the peer, or raise {interface}'s, with `ethtool -L`"
        );
    }
    let path = Path::new("/sys/class/net").join(interface).join("mtu");
    let mtu = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok());
    match mtu {
        Some(mtu) if mtu > PAGE_MTU => format!(
            "; its MTU of {mtu} is more than a driver without multi-buffer XDP takes: try \
             `ip link set dev {interface} mtu {PAGE_MTU}` or less"
        ),
        _ => String::new(),
    }
}
