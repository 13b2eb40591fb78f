//! Options whose value is one of a few words.

use causeway_ebpf::FloodPolicy;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal,)+ })+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
        pub enum $name {
            $(
                $(#[doc = $variant_doc])+
                #[value(name = $word)]
                #[serde(rename = $word)]
                $variant,
            )+
        }
    )+ };
}

words! {
    /// Which end of the tunnel.
    RoleName {
        /// On the old LAN.
        Site = "site",
        /// Beside the moved VMs.
        Cloud = "cloud",
    }
    /// How datagrams leave.
    UplinkKind {
        /// The program decides.
        Auto = "auto",
        /// A kernel UDP socket.
        Udp = "udp",
        /// AF_XDP, beside the socket.
        Xdp = "xdp",
    }
    /// Ciphers of the data path.
    CipherName {
        /// AES-GCM with a 256-bit key.
        Aes256Gcm = "aes-256-gcm",
        /// AES-GCM with a 128-bit key.
        Aes128Gcm = "aes-128-gcm",
    }
    /// What is flooded.
    FloodName {
        /// Broadcast and multicast of every kind.
        All = "all",
        /// ARP, neighbour discovery and DHCP.
        Arp = "arp",
        /// Nothing.
        None = "none",
    }
    /// What a worker does when there is nothing to do.
    IdleStrategy {
        /// It never sleeps, and never gives its core away.
        Spin = "spin",
        /// It spins for a while after the last work, if work has come that soon lately and nobody else
        /// wants the core, or if requests were answered that soon; else it sleeps.
        Adaptive = "adaptive",
        /// It sleeps at once.
        Sleep = "sleep",
    }
    /// Libraries that compute the cipher.
    AeadName {
        /// Whichever is faster, measured at the start.
        Auto = "auto",
        /// The crate ring.
        Ring = "ring",
        /// AWS-LC, by the crate aws-lc-rs.
        AwsLc = "aws-lc",
    }
    /// How the LAN port comes to receive frames that are not for its own address.
    RxFilterName {
        /// It receives all.
        Promisc = "promisc",
        /// Its device has a filter for each station that is away.
        UnicastList = "unicast-list",
    }
    /// A switch.
    OnOff {
        /// On.
        On = "on",
        /// Off.
        Off = "off",
    }
    /// A switch of the machine's.
    OnKeep {
        /// On, for as long as the program runs.
        On = "on",
        /// As it is found.
        Keep = "keep",
    }
    /// A switch that can be left to the program.
    AutoOnOff {
        /// The program decides.
        Auto = "auto",
        /// On.
        On = "on",
        /// Off.
        Off = "off",
    }
}

impl FloodName {
    /// As data path and XDP program call it.
    pub const fn policy(self) -> FloodPolicy {
        match self {
            Self::All => FloodPolicy::All,
            Self::Arp => FloodPolicy::Essential,
            Self::None => FloodPolicy::Nothing,
        }
    }
}
