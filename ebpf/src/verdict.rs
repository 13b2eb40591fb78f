//! What became of a frame at the lan port or at the uplink: the counter, the metric label and the word.

/// What XDP does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// To the AF_XDP socket of its receive queue.
    Redirect,
    /// To the host's own network stack.
    Pass,
    /// Nowhere.
    Drop,
}

impl Action {
    /// The return code of an XDP program (`enum xdp_action` in linux/bpf.h).
    #[inline(always)]
    pub const fn code(self) -> u32 {
        match self {
            Action::Drop => 1,
            Action::Pass => 2,
            Action::Redirect => 4,
        }
    }
}

/// An enum whose variants are counters: in order, with a label and a sentence each.
macro_rules! counters {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $sentence:literal])+ $variant:ident = $label:literal,)+
    }) => {
        $(#[doc = $about])+
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $sentence])+ $variant,)+
        }

        impl $name {
            /// Every one, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// How many there are: the length of an array of counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The word for logs, `status` and metric labels (`snake_case`, stable).
            pub const fn label(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }

            /// One sentence for an operator.
            pub const fn sentence(self) -> &'static str {
                match self { $($name::$variant => concat!($($sentence),+).trim_ascii(),)+ }
            }

            /// Position of its counter.
            #[inline(always)]
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}
pub(crate) use counters;

/// Counters, each with what XDP does with the frame.
macro_rules! verdicts {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $sentence:literal])+ $variant:ident = $label:literal => $action:ident,)+
    }) => {
        counters! {
            $(#[doc = $about])+
            $name { $($(#[doc = $sentence])+ $variant = $label,)+ }
        }

        impl $name {
            /// What XDP does with the frame.
            #[inline(always)]
            pub const fn action(self) -> Action {
                match self { $($name::$variant => Action::$action,)+ }
            }
        }
    };
}

verdicts! {
    /// What became of a frame at the lan port.
    Verdict {
        /// The frame ends inside its headers, or its source is a group address.
        Malformed = "malformed" => Drop,
        /// A protocol of this link (STP, LLDP, LACP, pause, 802.1X, CDP), which never crosses: for the host.
        LinkLocal = "link_local" => Pass,
        /// The source is this lan port itself or a station that was moved away: our own frame came
        /// back, or the moved machine still runs here.
        Reflection = "reflection" => Drop,
        /// For the lan port's own MAC address: for the host.
        OwnMac = "own_mac" => Pass,
        /// ARP or neighbour discovery for one of the host's own addresses: for the host.
        OwnAddress = "own_address" => Pass,
        /// To or from a MAC address that `causeway doctor` made up for its probes: for it to see.
        Probe = "probe" => Pass,
        /// Between stations that both live on the old LAN, seen only because the port is promiscuous.
        Foreign = "foreign" => Drop,
        /// The source is no station that the site granted to this cloud end, or it is our own frame
        /// that came back.
        NotGranted = "not_granted" => Drop,
        /// Between stations that both live on the cloud LAN, which delivers it itself.
        Local = "local" => Drop,
        /// Broadcast or multicast: to the forwarder, for the other side.
        Flood = "flood" => Redirect,
        /// Broadcast or multicast that the flood policy keeps here.
        FloodPolicy = "flood_policy" => Drop,
        /// For a station on the other side: to the forwarder.
        Tunnel = "tunnel" => Redirect,
        /// Meant for the forwarder, but no worker serves the receive queue that it came in on.
        NoSocket = "no_socket" => Drop,
    }
}

verdicts! {
    /// What became of a frame at the uplink. Nothing is dropped there: what is not taken is the kernel's.
    UplinkVerdict {
        /// An ESP datagram for one of our ports: to the worker of the receive queue.
        Esp = "esp" => Redirect,
        /// For one of our ports, and QUIC (or too short to be ESP): to the kernel's socket.
        Quic = "quic" => Pass,
        /// An ESP datagram for one of our ports, in a frame longer than the AF_XDP sockets take: to
        /// the kernel's socket.
        TooLong = "too_long" => Pass,
        /// A UDP fragment, IPv4 options or IPv6 extension headers: to the kernel, which puts
        /// together what is for us.
        Irregular = "irregular" => Pass,
        /// Everything else: to the kernel.
        Other = "other" => Pass,
        /// An ESP datagram for one of our ports, and no worker serves the receive queue: to the
        /// kernel's socket.
        NoSocket = "no_socket" => Pass,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, vec::Vec};

    use super::{Action, UplinkVerdict, Verdict};
    use crate::sighting::SightingCounter;

    fn check(labels: Vec<&str>, sentences: Vec<&str>, indexes: Vec<usize>) {
        let lower = |label: &&str| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(labels.iter().all(lower), "{labels:?}");
        let count = labels.len();
        assert_eq!(labels.into_iter().collect::<HashSet<_>>().len(), count);
        for sentence in sentences {
            assert!(
                sentence.ends_with('.') && !sentence.contains("  "),
                "{sentence}"
            );
        }
        assert!(indexes.into_iter().eq(0..count));
    }

    #[test]
    fn labels_are_unique_snake_case_and_index_matches() {
        let all = Verdict::ALL.iter();
        check(
            all.clone().map(|v| v.label()).collect(),
            all.clone().map(|v| v.sentence()).collect(),
            all.map(|v| v.index()).collect(),
        );
        let all = UplinkVerdict::ALL.iter();
        check(
            all.clone().map(|v| v.label()).collect(),
            all.clone().map(|v| v.sentence()).collect(),
            all.map(|v| v.index()).collect(),
        );
        let all = SightingCounter::ALL.iter();
        check(
            all.clone().map(|c| c.label()).collect(),
            all.clone().map(|c| c.sentence()).collect(),
            all.map(|c| c.index()).collect(),
        );
    }

    #[test]
    fn the_uplink_drops_nothing() {
        let drops = UplinkVerdict::ALL
            .iter()
            .any(|v| v.action() == Action::Drop);
        assert!(!drops);
    }
}
