//! Why a frame or a datagram was dropped in user space.
//!
//! One enum is the counter, the metric label and the word in the log. (What the
//! XDP program decides before user space has its own list, `causeway_ebpf::Verdict`.)

macro_rules! drop_reasons {
    ($($(#[doc = $sentence:literal])+ $variant:ident = $label:literal,)+) => {
        /// Why a frame or a datagram was dropped in user space.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DropReason {
            $($(#[doc = $sentence])+ $variant,)+
        }

        impl DropReason {
            /// Every reason, in declaration order.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)+];

            /// How many reasons there are: the length of an array of counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The word for logs, `status` and metric labels (`snake_case`, stable).
            pub const fn label(self) -> &'static str {
                match self { $(DropReason::$variant => $label,)+ }
            }

            /// One sentence for an operator.
            pub const fn sentence(self) -> &'static str {
                match self { $(DropReason::$variant => concat!($($sentence),+).trim_ascii(),)+ }
            }

            /// Position of this reason's counter.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    // LAN to WAN.
    /// The frame is shorter than an Ethernet header or longer than 9,216 bytes.
    BadFrameLength = "bad_frame_length",
    /// The destination is no station behind a peer (it was when the XDP program looked).
    NoStation = "no_station",
    /// The source is no station that this end may speak for.
    SourceNotOurs = "source_not_ours",
    /// The VLAN does not cross to the peer, or from it (`--vlans`, `--vlan-map`, `--native-vlan`).
    VlanNotAllowed = "vlan_not_allowed",
    /// There is no session with the peer that the frame should go to.
    NoSession = "no_session",
    /// The peer's address for this lane is not known yet: nothing authentic has come from it.
    NoPath = "no_path",
    /// Broadcast or multicast that the flood policy keeps back.
    FloodPolicy = "flood_policy",
    /// Multicast to a group that nobody listens to behind any peer.
    NoListener = "no_listener",
    /// Broadcast or multicast above the flood limit of its VLAN.
    FloodLimit = "flood_limit",
    /// A question (ARP, neighbour solicitation) for a station of the other side, which was answered here in its name.
    AnsweredNearby = "answered_nearby",
    /// A question for an address of which it is known that its owner lives on this LAN.
    NeighbourAtHome = "neighbour_at_home",
    /// A question for an address that is not known, or whether one is free, which crossed a moment ago.
    AskedLately = "asked_lately",
    /// The security association reached its hard limit of datagrams or age and no new session came.
    KeyWorn = "key_worn",
    /// The kernel refused the datagram or its send buffer stayed full.
    UplinkFull = "uplink_full",

    // WAN to LAN: datagrams.
    /// Shorter than the smallest ESP datagram, or not a multiple of 4 bytes.
    MalformedDatagram = "malformed_datagram",
    /// The security parameters index belongs to no security association of ours.
    UnknownSpi = "unknown_spi",
    /// It came in on another worker's queue, and its own worker had too many of such waiting.
    HandoverFull = "handover_full",
    /// The sequence number was seen before.
    Replayed = "replayed",
    /// The sequence number is older than the replay window.
    TooOld = "too_old",
    /// The integrity check failed: forged, damaged, or encrypted with another key.
    BadTag = "bad_tag",
    /// Authentic, but its next header or its padding is none that we know.
    UnknownPayload = "unknown_payload",
    /// Authentic, but the bundle's offsets or lengths contradict each other.
    MalformedBundle = "malformed_bundle",
    /// A cut frame whose other part was lost or came too late.
    Incomplete = "incomplete",

    // WAN to LAN: frames.
    /// The source address is no station granted to the peer that sent the frame.
    SpoofedSource = "spoofed_source",
    /// The destination is not on this LAN: it would go back to a peer (split horizon).
    SplitHorizon = "split_horizon",
    /// A link-local protocol (STP, LLDP, LACP, pause), which never crosses.
    LinkLocal = "link_local",
    /// The path has marked the datagram for congestion (ECN), and the packet in it cannot tell of that: dropping it does.
    CongestionMarked = "congestion_marked",
    /// The frame is larger than the LAN port can send.
    LanMtu = "lan_mtu",
    /// The LAN port's transmit ring or frame memory stayed full.
    LanFull = "lan_full",
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::DropReason;

    #[test]
    fn labels_are_unique_snake_case_and_index_matches() {
        for (i, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), i);
            assert!(
                reason
                    .label()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(reason.sentence().ends_with('.'));
            let twins = DropReason::ALL
                .iter()
                .filter(|r| r.label() == reason.label());
            assert_eq!(twins.count(), 1, "{reason}");
        }
    }
}
