//! The words of the rig: its sides, its CPUs, and what its kernel does where.

use clap::ValueEnum;

/// One of the two gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// On the old LAN, beside dc.
    A,
    /// The far end, beside vm.
    B,
}

impl Side {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    /// `A` or `B`.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
        }
    }

    /// The opposite.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 1 or 2.
    pub(crate) fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Address of its uplink.
    pub(crate) fn wan(self) -> &'static str {
        match self {
            Self::A => "192.168.77.1",
            Self::B => "192.168.77.2",
        }
    }
}

/// Which CPU does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// Generator, sink, dc and vm.
    pub(crate) hosts: usize,
    /// Both gateways.
    pub(crate) gateways: usize,
}

/// Where the kernel does a gateway's receive work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelWork {
    /// On the CPU of who sends: for gateways that are programs.
    OnSender,
    /// On the gateways' CPU, by RPS: for gateways that are the kernel itself.
    OnGateways,
}

/// What the two ends of the uplink do for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Uplink {
    /// Nothing: each packet crosses by itself, and is received by itself.
    None,
    /// Each packet crosses by itself, and the receiving end merges those of a flow, as the driver of a network card does.
    Gro,
    /// Segmentation too, which a veth need not do: 64 kB of datagrams may cross at once, and are never apart.
    All,
}

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// A MAC address as `ip` writes it.
pub(crate) fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_local_and_unicast() {
        assert_eq!(text([2, 0xcf, 0, 0x1f, 7, 1]), "02:cf:00:1f:07:01");
    }
}
