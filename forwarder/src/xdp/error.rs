//! What can go wrong with the XDP program, each with its mend.

use std::{error::Error, io};

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, XdpError as AyaXdpError},
    util::KernelVersion,
};

/// What the kernel answers to a process that lacks a capability.
pub(super) const EPERM: i32 = 1;

/// The oldest kernel that has all that the data path needs: XDP programs for frames in several buffers
/// (`BPF_F_XDP_HAS_FRAGS` and `bpf_xdp_get_buff_len`, 5.18).
pub(super) const OLDEST_KERNEL: (u8, u8) = (5, 18);

/// Why the XDP program cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XdpError {
    /// The process may not use BPF.
    #[error(
        "not permitted to {doing}: run as root, or give the process CAP_BPF, CAP_NET_ADMIN and \
         CAP_NET_RAW (systemd: AmbientCapabilities=)"
    )]
    Permission {
        /// What was tried.
        doing: &'static str,
    },

    /// The kernel lacks something that only newer ones have.
    #[error(
        "cannot {doing}: this kernel is older than Linux {}.{}: use a newer one",
        OLDEST_KERNEL.0, OLDEST_KERNEL.1
    )]
    KernelTooOld {
        /// What was tried.
        doing: &'static str,
    },

    /// The kernel refused the program or a map.
    #[error("the kernel refused the XDP program: {}", chain(.0.as_ref()))]
    Load(#[source] Box<EbpfError>),

    /// The object is not the one this code was written for.
    #[error("the BPF object lacks `{missing}`: rebuild it with scripts/build-ebpf")]
    Object {
        /// Name of the program or map.
        missing: &'static str,
    },

    /// The program does not know its role and the lan port's address yet.
    #[error("the XDP program has no configuration yet: configure it before attaching it")]
    NotConfigured,

    /// There is no such interface in this network namespace.
    #[error("no interface `{interface}` here: see `ip link` for those there are")]
    NoInterface {
        /// The name looked for.
        interface: String,
    },

    /// The interface has an XDP program already.
    #[error(
        "{interface} has another XDP program: see `bpftool net show dev {interface}`; stop the \
         process that holds it, or remove it with `ip link set dev {interface} xdp off`"
    )]
    Occupied {
        /// The interface.
        interface: String,
    },

    /// The kernel could not attach the program, neither in the driver nor in the stack.
    #[error("cannot attach the XDP program to {interface} ({reason}){hint}")]
    Attach {
        /// The interface.
        interface: String,
        /// The kernel's words.
        reason: String,
        /// What to try, after a separator; may be empty.
        hint: String,
    },

    /// The kernel attached the program in the old way, which outlives the process.
    #[error(
        "the kernel attached the XDP program to {interface} without a bpf_link: remove it with \
         `ip link set dev {interface} xdp off` and use a kernel from Linux 5.9 on"
    )]
    NoLink {
        /// The interface.
        interface: String,
    },

    /// The station table is full.
    #[error("the station table is full ({most} stations): remove some before adding others")]
    StationsFull {
        /// Stations that it holds.
        most: u32,
    },

    /// The set of own addresses is full.
    #[error("the host has more than {most} addresses on its ports: remove some")]
    OwnAddressesFull {
        /// Addresses that it holds.
        most: u32,
    },

    /// The receive queue's number is too large.
    #[error(
        "receive queue {queue} is too many, {most} can be served: \
         lower them with `ethtool -L <interface> combined {most}`"
    )]
    NoQueue {
        /// The queue asked for.
        queue: u32,
        /// Queues that can have a socket.
        most: u32,
    },

    /// The kernel refused an operation on a map.
    #[error("cannot {doing} in the XDP program: {}", chain(.source))]
    Map {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: MapError,
    },

    /// The kernel refused a call that is about a map.
    #[error("cannot {doing} of the XDP program: {source}")]
    Call {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },

    /// The kernel refused a test run.
    #[error("cannot run the XDP program on a frame of {length} bytes: {}", chain(.source))]
    TestRun {
        /// Bytes of the frame.
        length: usize,
        /// The kernel's answer.
        source: ProgramError,
    },
}

/// For `map_err`: a failed operation on a map.
pub(super) fn failed(doing: &'static str) -> impl Fn(MapError) -> XdpError {
    move |source| match errno(&source) {
        Some(EPERM) => XdpError::Permission { doing },
        _ => XdpError::Map { doing, source },
    }
}

/// For `map_err`: a call that is about a map.
pub(super) fn failed_call(doing: &'static str) -> impl Fn(io::Error) -> XdpError {
    move |source| XdpError::Call { doing, source }
}

/// For `map_err`: what the kernel means by refusing to load a program.
pub fn load_error(error: impl Into<EbpfError>) -> XdpError {
    const DOING: &str = "load the XDP program";
    let error = error.into();
    if errno(&error) == Some(EPERM) {
        return XdpError::Permission { doing: DOING };
    }
    too_old(DOING).unwrap_or_else(|| XdpError::Load(Box::new(error)))
}

/// The likely reason of a failure that nothing else explains, if the kernel is too old.
pub(super) fn too_old(doing: &'static str) -> Option<XdpError> {
    let (major, minor) = OLDEST_KERNEL;
    let current = KernelVersion::current().ok()?;
    (current < KernelVersion::new(major, minor, 0)).then_some(XdpError::KernelTooOld { doing })
}

/// The system's error number at the bottom of an error's chain of sources.
pub(super) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        if let Some(AyaXdpError::NetlinkError(netlink)) = error.downcast_ref() {
            return netlink.raw_os_error();
        }
        next = error.source();
    }
    None
}

/// An error with its sources, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let words = error.to_string();
        if !line.contains(&words) {
            line = format!("{line}: {words}");
        }
        next = error.source();
    }
    line
}
