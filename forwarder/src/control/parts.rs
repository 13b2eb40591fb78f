//! What an appliance is made of, opened.

use std::{net::SocketAddr, os::unix::net::UnixListener, sync::Arc};

use causeway_tunnel::{identity::PublicKey, session::Endpoint};
use tokio::sync::mpsc;

use super::{Hellos, Segment};
use crate::{
    aead::Libraries,
    appliance::UplinkPort,
    config::Config,
    device::Device,
    lan_port::{LanPort, RxFilter},
    sa_log::SaLog,
    sys::xsk::CopyMode,
    vlans::Stripping,
    wan_to_lan::LearntPath,
    worker::{Punts, WorkerHandle},
    xdp::{AttachMode, LanProgram},
};

/// The opened parts of an appliance that the control plane takes over.
pub struct Parts {
    /// The checked configuration.
    pub config: Config,
    /// Our public key.
    pub public_key: PublicKey,
    /// The QUIC endpoint.
    pub endpoint: Arc<Endpoint>,
    /// What its Hellos say.
    pub hellos: Arc<Hellos>,
    /// What seals and opens datagrams.
    pub libraries: Libraries,
    /// The XDP program on the LAN port.
    pub program: LanProgram,
    /// The LAN port's device.
    pub lan: Device,
    /// What was made to be it.
    pub lan_port: LanPort,
    /// Where the XDP program runs.
    pub attach_mode: AttachMode,
    /// How the kernel moves frames of the LAN port.
    pub copy_mode: CopyMode,
    /// What it receives beside what is for its own address, for as long as this lives.
    pub rx_filter: RxFilter,
    /// Its VLAN tags, left in for as long as this lives.
    pub stripping: Stripping,
    /// The workers.
    pub workers: Vec<WorkerHandle>,
    /// Their UDP addresses.
    pub uplinks: Vec<SocketAddr>,
    /// AF_XDP on the uplink, if it is used.
    pub uplink: Option<UplinkPort>,
    /// Why it is, or is not.
    pub uplink_why: String,
    /// The largest UDP payload that the search for the path MTU goes to.
    pub max_udp_payload: u16,
    /// Paths learnt by workers.
    pub learnt: mpsc::UnboundedReceiver<LearntPath>,
    /// Frames that workers let us see.
    pub punts: Punts,
    /// The stations of the segment.
    pub segment: Segment,
    /// The control socket.
    pub control_socket: UnixListener,
    /// Where keys are logged.
    pub sa_log: Option<SaLog>,
}
