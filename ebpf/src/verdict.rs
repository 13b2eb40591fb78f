//! What became of a frame at the lan port: the counter, the metric label and the word.

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

macro_rules! verdicts {
    ($($(#[doc = $sentence:literal])+ $variant:ident = $label:literal => $action:ident,)+) => {
        /// What became of a frame at the lan port.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verdict {
            $($(#[doc = $sentence])+ $variant,)+
        }

        impl Verdict {
            /// Every verdict, in declaration order.
            pub const ALL: &'static [Verdict] = &[$(Verdict::$variant,)+];

            /// How many verdicts there are: the length of an array of counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The word for logs, `status` and metric labels (`snake_case`, stable).
            pub const fn label(self) -> &'static str {
                match self { $(Verdict::$variant => $label,)+ }
            }

            /// One sentence for an operator.
            pub const fn sentence(self) -> &'static str {
                match self { $(Verdict::$variant => concat!($($sentence),+).trim_ascii(),)+ }
            }

            /// What XDP does with the frame.
            #[inline(always)]
            pub const fn action(self) -> Action {
                match self { $(Verdict::$variant => Action::$action,)+ }
            }

            /// Position of this verdict's counter.
            #[inline(always)]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

verdicts! {
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
    /// Between stations that both live on the old LAN, seen only because the port is promiscuous.
    Foreign = "foreign" => Drop,
    /// The source is no station that the site granted to this cloud end, or it is our own frame
    /// that came back.
    NotGranted = "not_granted" => Drop,
    /// Between stations that both live on the cloud LAN, which delivers it itself.
    Local = "local" => Drop,
    /// Broadcast or multicast: to the forwarder, for the other side.
    Flood = "flood" => Redirect,
    /// For a station on the other side: to the forwarder.
    Tunnel = "tunnel" => Redirect,
    /// Meant for the forwarder, but no worker serves the receive queue that it came in on.
    NoSocket = "no_socket" => Drop,
}

impl core::fmt::Display for Verdict {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn labels_are_unique_snake_case_and_index_matches() {
        for (i, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(verdict.index(), i);
            assert!(
                verdict
                    .label()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(verdict.sentence().ends_with('.'));
            assert!(!verdict.sentence().contains("  "), "{}", verdict.sentence());
            let twins = Verdict::ALL.iter().filter(|v| v.label() == verdict.label());
            assert_eq!(twins.count(), 1, "{verdict}");
        }
    }
}
