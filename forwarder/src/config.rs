//! The configuration of `causeway run`, put together from flags and file, and checked.

mod checks;
mod stations;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use causeway_ebpf::LanConfig;
use causeway_tunnel::{aead::Cipher, identity::PrivateKey};

use crate::{
    clamp_mss::ClampMss,
    flood::FloodRule,
    gateways::{self, Gateways},
    keys,
    lan_port::{LanSpec, RxFilterKind},
    multicast::{self, Groups},
    options::{
        AeadName, AutoOnOff, CipherName, FloodName, IdleStrategy, OnKeep, OnOff, RoleName,
        RunOptions, UplinkKind,
    },
    spec::PeerSpec,
    stations::{Role, StationTable},
    sys::xsk::XskTuning,
    traffic_class::Marking,
    uplink,
    vlans::{self, VlanOptions, Vlans},
};

use self::checks::{
    check_direction, check_peers, check_uplink, period, ring_size, rx_filter, tuning, within,
};
pub use self::stations::Learning;

/// UDP port that a listening end is reached at unless told otherwise.
pub const DEFAULT_PORT: u16 = 24_500;

/// Sockets in the program's XSKMAP, and worker numbers that fit an SPI, allow this many.
pub const MAX_WORKERS: u8 = 64;

/// A configuration that cannot be run; the text says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

fn wrong<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(text.into()))
}

/// A checked configuration. Everything that can be known without looking at the machine is right.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which end we are.
    pub role: Role,
    /// The LAN port.
    pub lan: LanSpec,
    /// Where to listen, if at all.
    pub listen: Option<SocketAddr>,
    /// The private key's file.
    pub key: PathBuf,
    /// The other ends.
    pub peers: Vec<PeerSpec>,
    /// Stations behind peers.
    pub stations: StationTable,
    /// Which VLANs cross to which peer.
    pub vlans: Vlans,
    /// Stations that may be learnt.
    pub learning: Learning,
    /// Where what is said and learnt of stations is kept.
    pub state: Option<PathBuf>,
    /// How datagrams leave.
    pub uplink: UplinkKind,
    /// The uplink's interface, where it is named.
    pub uplink_interface: Option<String>,
    /// Whether GRO is turned on where datagrams arrive.
    pub uplink_gro: bool,
    /// Number of workers; `None`: one for each queue.
    pub workers: Option<u8>,
    /// Cores for them; shorter than their number means: in turn.
    pub cpus: Vec<usize>,
    /// Cipher of the data path.
    pub cipher: Cipher,
    /// Library that computes it.
    pub aead: AeadName,
    /// Soft limit of a key's age.
    pub rekey_after: Duration,
    /// QUIC keep-alive interval.
    pub keep_alive: Duration,
    /// Idle time after which a lane sends a dummy.
    pub lane_keepalive: Duration,
    /// Where to write keys.
    pub sa_log: Option<PathBuf>,
    /// What the LAN port receives.
    pub rx_filter: RxFilterKind,
    /// Whether to complete partial checksums.
    pub finish_checksums: AutoOnOff,
    /// What the segment size of TCP connections is lowered to.
    pub clamp_mss: ClampMss,
    /// What of frames' traffic class the outer header gets.
    pub marking: Marking,
    /// What is flooded, and how much of it.
    pub flood: FloodRule,
    /// The segment's gateways.
    pub gateways: Gateways,
    /// Whether to answer for stations of the other side.
    pub arp_suppress: bool,
    /// Groups that go to some peers only, and whether others are snooped.
    pub groups: Groups,
    /// What a worker does when there is nothing to do.
    pub idle: IdleStrategy,
    /// LAN frames per batch.
    pub batch: usize,
    /// Entries of the AF_XDP rings.
    pub ring_size: u32,
    /// What else is set of the AF_XDP ports.
    pub tuning: XskTuning,
    /// Priority of the workers under SCHED_FIFO, if that is wanted.
    pub sched_fifo: Option<u8>,
    /// Ceiling of the path MTU search, in bytes of the IP packet.
    pub max_path_mtu: Option<u16>,
    /// Name of the control socket.
    pub control: String,
}

impl Config {
    /// Flags, completed by the file if there is one.
    ///
    /// # Errors
    ///
    /// A text that names the option and what it wants.
    pub fn load(flags: RunOptions, file: Option<&Path>) -> Result<Self, ConfigError> {
        match file {
            Some(path) => Self::check(flags.or(read(path)?)),
            None => Self::check(flags),
        }
    }

    fn check(o: RunOptions) -> Result<Self, ConfigError> {
        let tuning = tuning(&o)?;
        let role = match o.role {
            Some(RoleName::Site) => Role::Site,
            Some(RoleName::Cloud) => Role::Cloud,
            None => return wrong("which end is this? give --role site or --role cloud"),
        };
        let learning = stations::learning(role, &o, o.native_vlan)?;
        let Some(lan) = o.lan.filter(|l| !l.interface().is_empty()) else {
            return wrong("which interface is the LAN? give --lan IF");
        };
        let Some(key) = o.key else {
            return wrong(
                "where is the private key? give --key FILE (causeway keygen --out FILE makes one)",
            );
        };
        check_peers(&o.peer)?;
        check_direction(o.listen, &o.peer)?;
        let uplink = o.uplink.unwrap_or(UplinkKind::Udp);
        check_uplink(uplink, o.uplink_interface.as_deref(), &lan.interface())?;
        let listen = o.listen.or_else(|| {
            let waits = o.peer.iter().any(|p| p.address.is_none());
            waits.then(|| uplink::wildcard(DEFAULT_PORT))
        });
        let vlan_options = VlanOptions {
            native: o.native_vlan,
            allowed: &o.vlans,
            maps: &o.vlan_map,
        };
        let vlans = vlans::plan(role, &o.peer, vlan_options)?;
        stations::check_wire_ranges(&o.peer, &learning, &vlans)?;
        let snooping = o.multicast_snooping == Some(OnOff::On);
        let groups = multicast::spec::groups(&o.peer, &o.multicast, snooping, &vlans)?;
        let (site, local) = (&o.gateway_mac, &o.local_gateway);
        let gateways = gateways::check(role, site, local, o.site_routes, &vlans)?;
        Ok(Self {
            stations: stations::stations(role, &o.peer, &o.station, &vlans)?,
            learning,
            state: o.state,
            vlans,
            groups,
            role,
            lan,
            listen,
            key,
            uplink,
            uplink_interface: o.uplink_interface,
            uplink_gro: o.uplink_gro != Some(OnKeep::Keep),
            workers: o
                .workers
                .map(|n| within("--workers", n, 1, MAX_WORKERS))
                .transpose()?,
            cpus: o.cpus.map(|c| c.0).unwrap_or_default(),
            cipher: match o.cipher {
                Some(CipherName::Aes128Gcm) => Cipher::Aes128Gcm,
                Some(CipherName::Aes256Gcm) | None => Cipher::Aes256Gcm,
            },
            aead: o.aead.unwrap_or(AeadName::Auto),
            rekey_after: period("--rekey-after", o.rekey_after, 120_000, 2_000, 170_000)?,
            keep_alive: period("--keep-alive", o.keep_alive, 200, 20, 10_000)?,
            lane_keepalive: period("--lane-keepalive", o.lane_keepalive, 10_000, 500, 60_000)?,
            sa_log: o.sa_log,
            rx_filter: rx_filter(role, o.promisc, o.rx_filter)?,
            finish_checksums: o.finish_checksums.unwrap_or(AutoOnOff::Auto),
            clamp_mss: o.clamp_mss.unwrap_or_default(),
            marking: Marking {
                dscp: o.copy_dscp == Some(OnOff::On),
                ecn: o.copy_ecn == Some(OnOff::On),
            },
            flood: FloodRule {
                policy: o.flood.unwrap_or(FloodName::All).policy(),
                rate: o.flood_limit.unwrap_or(10_000),
            },
            gateways,
            arp_suppress: o.arp_suppress != Some(OnOff::Off),
            idle: o.idle.unwrap_or(IdleStrategy::Adaptive),
            batch: within("--batch", o.batch.unwrap_or(256), 1, 4_096)?,
            tuning,
            ring_size: ring_size(o.ring_size)?,
            sched_fifo: o
                .sched_fifo
                .map(|n| within("--sched-fifo", n, 1, 99))
                .transpose()?,
            max_path_mtu: o
                .max_path_mtu
                .map(|mtu| within("--max-path-mtu", mtu, 1_280, 9_216))
                .transpose()?,
            control: o.control.unwrap_or_else(|| "causeway".into()),
            peers: o.peer,
        })
    }
}

impl Config {
    /// What the XDP program is told of the LAN port with this address.
    pub fn of_lan(&self, mac: [u8; 6]) -> LanConfig {
        LanConfig::new(self.role, mac).with_flood(self.flood.in_driver(&self.groups))
    }

    /// The private key of the configuration, which is nobody else's.
    ///
    /// # Errors
    ///
    /// A key file that cannot be used, and our own public key given as that of a peer.
    pub fn private_key(&self) -> Result<PrivateKey, ConfigError> {
        let key = keys::read(&self.key).map_err(|e| ConfigError(e.to_string()))?;
        match self.peers.iter().find(|p| p.key == key.public()) {
            None => Ok(key),
            Some(peer) => wrong(format!(
                "peer {} has our own public key: give the key that `causeway pubkey` prints at the other end",
                peer.name
            )),
        }
    }
}

fn read(path: &Path) -> Result<RunOptions, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError(format!("cannot read {}: {e}", path.display())))?;
    toml::from_str(&text).map_err(|e| {
        // Of a value the error says what is wrong with it, but not whose it is: the line does.
        let number = e
            .span()
            .map_or(0, |s| text[..s.start].matches('\n').count());
        let line = text.lines().nth(number).unwrap_or_default().trim();
        let (path, number) = (path.display(), number + 1);
        ConfigError(format!("{path} line {number} ({line}): {}", e.message()))
    })
}

#[cfg(test)]
mod tests;
