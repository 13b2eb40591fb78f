//! What `causeway status` shows.

mod neighbours;
mod prometheus;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::neighbours::{AnnouncingStatus, SnoopingStatus};

/// How things are. The JSON form of `causeway status --json`; times are in seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process number.
    pub pid: u32,
    /// `site` or `cloud`.
    pub role: String,
    /// Since the start.
    pub uptime_s: f64,
    /// Our public key.
    pub public_key: String,
    /// Where we listen, if we do.
    pub listen: Option<String>,
    /// The libraries that compute the cipher.
    #[serde(default)]
    pub aead: AeadStatus,
    /// The LAN port.
    pub lan: LanStatus,
    /// The uplink.
    pub uplink: UplinkStatus,
    /// The other ends.
    pub peers: Vec<PeerStatus>,
    /// Stations by name (`[VLAN/]MAC`).
    pub stations: BTreeMap<String, StationStatus>,
    /// Multicast groups by name (`[VLAN/]MAC`), and the peers that somebody listens behind.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// What was learnt of addresses.
    #[serde(default)]
    pub snooping: SnoopingStatus,
    /// What the LAN is told of stations.
    #[serde(default)]
    pub announcing: AnnouncingStatus,
    /// The workers.
    pub workers: Vec<WorkerStatus>,
    /// Frames by verdict of the XDP program.
    pub verdicts: BTreeMap<String, u64>,
    /// What the XDP program told of stations that are not where they should be.
    #[serde(default)]
    pub sightings: BTreeMap<String, u64>,
    /// Frames by verdict of the uplink's XDP program; empty without one.
    pub uplink_verdicts: BTreeMap<String, u64>,
    /// Drops in user space by reason, of all workers.
    pub drops: BTreeMap<String, u64>,
    /// At a cloud end: stations that were seen and that no site hears of, by reason.
    #[serde(default)]
    pub not_advertised: BTreeMap<String, u64>,
    /// What arrived at the QUIC socket.
    pub quic: BTreeMap<String, u64>,
    /// What is wrong in the segment and hurts until somebody mends it.
    #[serde(default)]
    pub alarms: Vec<AlarmStatus>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// What is wrong with a station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlarmStatus {
    /// What it is, in a word: `duplicate_station`.
    pub kind: String,
    /// The station (`[VLAN/]MAC`).
    pub station: String,
    /// The peer that it lives behind.
    pub peer: String,
    /// For how long.
    pub since_s: f64,
    /// How long ago it was last noticed.
    pub last_s: f64,
    /// How often it was noticed: not each frame is.
    pub count: u64,
    /// What is wrong and what to do.
    pub text: String,
    /// The last frames that showed it, the newest first.
    pub frames: Vec<String>,
}

/// The libraries that compute the cipher.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AeadStatus {
    /// Seals what we send.
    pub seal: String,
    /// Opens what we receive.
    pub open: String,
    /// Why it is these.
    pub why: String,
    /// Bytes of UDP payload of the datagrams that were measured.
    pub datagram_bytes: usize,
    /// What each library took for one, by its name; empty if nothing was measured.
    pub measured: BTreeMap<String, AeadTimes>,
}

/// What a library took for a datagram, in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AeadTimes {
    /// To seal it.
    pub seal_ns: f64,
    /// To open it.
    pub open_ns: f64,
}

/// The LAN port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LanStatus {
    /// The interface.
    pub interface: String,
    /// Its MAC address.
    pub mac: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// `driver` or `generic`: where the XDP program runs.
    pub xdp: String,
    /// `zero-copy` or `copy`.
    pub copy_mode: String,
    /// Whether it receives promiscuously by our doing.
    pub promiscuous: bool,
    /// What it receives by our doing beside what is for its own address.
    #[serde(default)]
    pub rx_filter: String,
    /// What it was asked for as: the interface, `bridge:BRIDGE` or `tap:NAME`.
    #[serde(default)]
    pub port: String,
    /// Whether VLAN tags are taken out of frames before we see them: `off`, or how it stands.
    #[serde(default)]
    pub vlan_stripping: String,
    /// Frames that it dropped instead of sending them, ours and the host's, since we started.
    pub tx_dropped: u64,
    /// The host's own addresses there, which stay reachable.
    pub own_addresses: Vec<String>,
}

/// The uplink.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UplinkStatus {
    /// `udp` or `xdp`.
    pub kind: String,
    /// Why it is that.
    pub why: String,
    /// Generic receive offload at the interfaces that datagrams for the kernel's sockets arrive at, as far as
    /// they are known. Empty with AF_XDP.
    pub gro: BTreeMap<String, String>,
    /// The largest UDP payload that the search for the path MTU goes to, in bytes; 0: an older release does not tell.
    #[serde(default)]
    pub max_udp_payload: u16,
    /// AF_XDP on it, if that is used.
    pub xdp: Option<UplinkXdpStatus>,
}

/// AF_XDP on the uplink.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UplinkXdpStatus {
    /// The interface.
    pub interface: String,
    /// Its MAC address.
    pub mac: String,
    /// `driver` or `generic`: where the XDP program runs.
    pub xdp: String,
    /// `zero-copy` or `copy`.
    pub copy_mode: String,
    /// Frames that it dropped instead of sending them, ours and the kernel's, since we started.
    pub tx_dropped: u64,
    /// Its receive queues that a worker serves.
    pub queues: u32,
    /// How many rules in the device bring each lane to its worker's queue, and why there are no more.
    pub flow_rules: String,
    /// The ways to the peers' addresses.
    pub next_hops: Vec<NextHopStatus>,
}

/// The way to a peer's address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NextHopStatus {
    /// The peer's address.
    pub remote: String,
    /// The address of ours that it asked, if that is known.
    pub local: Option<String>,
    /// The way, by AF_XDP; `null`: through the socket.
    pub next_hop: Option<String>,
    /// Why there is none.
    pub why_not: Option<String>,
}

/// One other end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its public key.
    pub public_key: String,
    /// What we dial, if we do.
    pub address: Option<String>,
    /// `up`, `dialling` or `waiting`.
    pub state: String,
    /// The session, if there is one.
    pub session: Option<SessionStatus>,
    /// Sessions since the start, rekeys included.
    pub sessions: u64,
    /// Sending lanes that are dead now.
    pub lanes_dead: u64,
    /// How often sending lanes were moved since the start.
    pub lane_moves: u64,
    /// Why the last session or attempt ended.
    pub last_error: Option<String>,
    /// Stations that are learnt from it, or at a cloud end advertised to it.
    #[serde(default)]
    pub learning: LearningStatus,
    /// Times that a multicast group was not kept, because the peer has more than its share: it gets all multicast.
    #[serde(default)]
    pub groups_refused: u64,
    /// Frames accepted for it.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames of it that were injected.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
}

/// A session with a peer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Age.
    pub age_s: f64,
    /// Whether it was we who dialled.
    pub dialled: bool,
    /// Where the peer is.
    pub remote: String,
    /// Round trip of the control connection.
    pub rtt_s: f64,
    /// Largest UDP payload that passes, in bytes.
    pub path_mtu: u16,
    /// Cipher of the data path.
    pub cipher: String,
    /// The peer's program.
    pub software: String,
    /// Sending lanes by worker.
    pub tx_lanes: Vec<LaneStatus>,
    /// Receiving lanes.
    pub rx_lanes: Vec<LaneStatus>,
}

impl SessionStatus {
    /// Whether the peer tells that of all our lanes nothing has arrived.
    pub fn is_unheard(&self) -> bool {
        let mut lanes = self.tx_lanes.iter();
        !self.tx_lanes.is_empty() && lanes.all(|lane| lane.heard == Some(0))
    }
}

/// A lane.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LaneStatus {
    /// The SPI, in hexadecimal.
    pub spi: String,
    /// The worker at this end.
    pub worker: usize,
    /// Where its datagrams go; `null` for a receiving lane and while it is not known.
    pub path: Option<String>,
    /// Datagrams sent, or the highest sequence number received.
    pub sequence: u64,
    /// Of a sending lane, the highest sequence number that the peer has received; `null` while it does not tell.
    pub heard: Option<u64>,
    /// Datagrams that have arrived: here on a receiving lane, of a sending lane at the peer, if it tells.
    #[serde(default)]
    pub received: Option<u64>,
    /// Of a sending lane, the address that the peer sees its datagrams come from, if it tells.
    #[serde(default)]
    pub seen_at: Option<String>,
    /// For how long a sending lane has been dead; `null` if it is not.
    pub dead_s: Option<f64>,
    /// How often it was moved, over all sessions.
    pub moves: u64,
    /// At a listening end: the lane of the peer at whose address its datagrams go in, if it was moved there.
    pub detour: Option<u8>,
}

/// Where a station lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StationStatus {
    /// `home` or `away`.
    pub place: String,
    /// The peer it lives behind, or that granted it to us.
    pub peer: String,
    /// Its IP addresses, as far as frames have told.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// `configured`, `added` or `learnt`; at a cloud end `granted`; in a list also `removed`.
    #[serde(default)]
    pub origin: String,
    /// Since it is there, as far as this process knows.
    #[serde(default)]
    pub age_s: f64,
    /// Whether it moved too often and stays until it is cleared.
    #[serde(default)]
    pub frozen: bool,
}

/// What is learnt from a peer, or at a cloud end advertised to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LearningStatus {
    /// The ranges, `[VLANS/]MAC/BITS`.
    pub ranges: Vec<String>,
    /// Stations that the cloud has seen within them.
    pub seen: usize,
    /// Stations that were not taken, by reason: how often.
    pub refused: BTreeMap<String, u64>,
}

/// One worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Core it is pinned to.
    pub cpu: Option<usize>,
    /// Its UDP address.
    pub uplink: String,
}
