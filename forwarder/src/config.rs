//! The configuration of `causeway run`, put together from flags and file, and checked.

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
        RunOptions, RxFilterName, UplinkKind,
    },
    spec::PeerSpec,
    stations::{Role, StationTable},
    sys::xsk::{LEAST_CHUNKS, MOST_CHUNKS, XskTuning},
    traffic_class::Marking,
    uplink,
    vlans::{self, VlanOptions, Vlans},
};

pub use self::stations::Learning;

/// UDP port that a listening end is reached at unless told otherwise.
pub const DEFAULT_PORT: u16 = 24_500;

/// Sockets in the program's XSKMAP, and worker numbers that fit an SPI, allow this many.
pub const MAX_WORKERS: u8 = 64;

/// Peers of one end: every flooded frame is sent to each.
const MAX_PEERS: usize = 256;

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

fn check_peers(peers: &[PeerSpec]) -> Result<(), ConfigError> {
    if peers.is_empty() {
        return wrong("who is the other end? give --peer NAME=PUBKEY[@HOST:PORT]");
    }
    if peers.len() > MAX_PEERS {
        return wrong(format!(
            "{} peers are more than the possible {MAX_PEERS}",
            peers.len()
        ));
    }
    for (i, peer) in peers.iter().enumerate() {
        for other in &peers[..i] {
            if other.name == peer.name {
                return wrong(format!("two peers are named {}: rename one", peer.name));
            }
            if other.key == peer.key {
                return wrong(format!(
                    "peers {} and {} have the same public key: each end needs its own",
                    other.name, peer.name
                ));
            }
        }
    }
    Ok(())
}

/// An end either listens or dials.
///
/// A dialling end's sockets have a port each, so that the other end can tell lanes and QUIC apart by
/// it: its kernel merges what has the same addresses and ports (UDP_GRO) before the selector sees it.
fn check_direction(listen: Option<SocketAddr>, peers: &[PeerSpec]) -> Result<(), ConfigError> {
    let Some(dialled) = peers.iter().find(|p| p.address.is_some()) else {
        return Ok(());
    };
    if let Some(waits) = peers.iter().find(|p| p.address.is_none()) {
        return wrong(format!(
            "peer {} has an address and peer {} has none: an end either dials all its peers or waits for all of them",
            dialled.name, waits.name
        ));
    }
    match listen {
        Some(_) => wrong(format!(
            "peer {} has an address, so this end dials: leave --listen out, or the address of the peer",
            dialled.name
        )),
        None => Ok(()),
    }
}

fn check_uplink(kind: UplinkKind, interface: Option<&str>, lan: &str) -> Result<(), ConfigError> {
    match interface {
        Some(_) if kind == UplinkKind::Udp => wrong(
            "--uplink-interface is for --uplink xdp and auto: with --uplink udp, the default, the kernel's routes choose, leave it out",
        ),
        Some(name) if name == lan => wrong(format!(
            "--uplink-interface {name} is the LAN port: AF_XDP on both needs two interfaces; name another, or use --uplink udp"
        )),
        _ => Ok(()),
    }
}

/// At the cloud the addresses would be those of the site's hosts, which it does not know.
fn rx_filter(
    role: Role,
    promisc: Option<OnOff>,
    filter: Option<RxFilterName>,
) -> Result<RxFilterKind, ConfigError> {
    match (promisc, filter) {
        (Some(OnOff::Off), Some(_)) => wrong(
            "--promisc off has the LAN port receive what its device does by itself: leave out --rx-filter, or --promisc",
        ),
        (Some(OnOff::On), Some(RxFilterName::UnicastList)) => {
            wrong("--promisc on and --rx-filter unicast-list contradict each other: leave one out")
        }
        (_, Some(RxFilterName::UnicastList)) if role == Role::Cloud => wrong(
            "--rx-filter unicast-list is for the site: the cloud end does not know the addresses of the site's hosts; leave it out",
        ),
        (_, Some(RxFilterName::UnicastList)) => Ok(RxFilterKind::UnicastList),
        (Some(OnOff::Off), None) => Ok(RxFilterKind::Nothing),
        _ => Ok(RxFilterKind::Promiscuous),
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    flag: &str,
    value: T,
    least: T,
    most: T,
) -> Result<T, ConfigError> {
    if value < least || value > most {
        return wrong(format!("{flag} {value} is not between {least} and {most}"));
    }
    Ok(value)
}

fn period(
    flag: &str,
    given: Option<crate::spec::Period>,
    default_ms: u64,
    least_ms: u64,
    most_ms: u64,
) -> Result<Duration, ConfigError> {
    let ms = given.map_or(default_ms, |p| p.0.as_millis() as u64);
    if ms < least_ms || ms > most_ms {
        return wrong(format!(
            "{flag} {ms}ms is not between {least_ms}ms and {most_ms}ms"
        ));
    }
    Ok(Duration::from_millis(ms))
}

fn tuning(o: &RunOptions) -> Result<XskTuning, ConfigError> {
    let ring = ring_size(o.ring_size)?;
    let chunks = |n| within("--umem-frames", n, LEAST_CHUNKS * ring, MOST_CHUNKS * ring);
    let budget = |n| within("--tx-budget", n, 32, ring);
    let bytes = |n| within("--xdp-send-buffer", n, 65_536, 1 << 30);
    Ok(XskTuning {
        chunks: o.umem_frames.map(chunks).transpose()?,
        huge_pages: o.huge_pages.unwrap_or(AutoOnOff::Auto),
        tx_budget: o.tx_budget.map(budget).transpose()?,
        send_buffer: o.xdp_send_buffer.map(bytes).transpose()?,
        busy_poll: match within("--busy-poll", o.busy_poll.unwrap_or(0), 0, 1_024)? {
            0 => None,
            frames => Some(frames),
        },
    })
}

fn ring_size(given: Option<u32>) -> Result<u32, ConfigError> {
    let size = given.unwrap_or(2_048);
    if !size.is_power_of_two() {
        return wrong(format!("--ring-size {size} is not a power of two"));
    }
    within("--ring-size", size, 64, 32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY1: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const KEY2: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn toml(text: &str) -> Result<RunOptions, toml::de::Error> {
        toml::from_str(text)
    }

    fn site() -> RunOptions {
        toml(&format!(
            "role = 'site'\nlan = 'lan0'\nkey = 'k'\npeer = ['cloud={KEY1}@h:1']\n\
             station = ['00:50:56:00:00:50=cloud', '7/00:50:56:00:00:50=cloud']\nworkers = 2"
        ))
        .unwrap()
    }

    #[test]
    fn file_and_flags_make_a_configuration() {
        let flags = RunOptions {
            workers: Some(3),
            peer: vec![format!("other={KEY2}@h2:24500").parse().unwrap()],
            ..RunOptions::default()
        };
        let config = Config::check(flags.or(site())).unwrap();
        assert_eq!(config.workers, Some(3));
        assert_eq!(config.lan, LanSpec::Interface("lan0".into()));
        let names: Vec<_> = config.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["other", "cloud"]);
        assert_eq!(config.stations.len(), 2);
        assert!(config.stations.iter().all(|(_, s)| s.peer == 1));
        assert_eq!(config.rekey_after, Duration::from_secs(120));
        assert_eq!(config.aead, AeadName::Auto);
    }

    #[test]
    fn an_end_either_dials_or_listens() {
        assert_eq!(Config::check(site()).unwrap().listen, None);
        let mut cloud = site();
        cloud.role = Some(RoleName::Cloud);
        cloud.station.clear();
        cloud.peer = vec![format!("site={KEY1}").parse().unwrap()];
        let listen = Config::check(cloud.clone()).unwrap().listen;
        assert_eq!(listen.map(|l| l.port()), Some(DEFAULT_PORT));

        let mut both = site();
        both.listen = Some("192.0.2.1:24500".parse().unwrap());
        let error = Config::check(both).unwrap_err().to_string();
        assert!(error.contains("--listen"), "{error}");
        cloud
            .peer
            .push(format!("other={KEY2}@h:1").parse().unwrap());
        let error = Config::check(cloud).unwrap_err().to_string();
        assert!(error.contains("either dials"), "{error}");
    }

    #[test]
    fn a_flag_replaces_the_files_peer_of_the_same_name() {
        let flags = RunOptions {
            peer: vec![format!("cloud={KEY2}@x:2").parse().unwrap()],
            ..RunOptions::default()
        };
        let merged = flags.or(site());
        assert_eq!(merged.peer.len(), 1);
        assert_eq!(merged.peer[0].address.as_deref(), Some("x:2"));
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused() {
        for bad in [
            "colour = 'red'",
            "role = 'hub'",
            "workers = 'x'",
            "aead = 'openssl'",
            "peer = 'cloud=x'",
            "rekey-after = '5'",
        ] {
            assert!(toml(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_or_contradicts_is_named() {
        type Spoil = fn(&mut RunOptions);
        let cases: [(&str, Spoil); 19] = [
            ("--role", |o| o.role = None),
            ("--lan", |o| o.lan = None),
            ("--key", |o| o.key = None),
            ("--peer", |o| o.peer.clear()),
            ("--workers", |o| o.workers = Some(0)),
            ("--ring-size", |o| o.ring_size = Some(1_000)),
            ("--umem-frames 4095 is not between 4096 and 8192", |o| {
                o.umem_frames = Some(4_095)
            }),
            ("--tx-budget 65 is not between 32 and 64", |o| {
                (o.ring_size, o.tx_budget) = (Some(64), Some(65))
            }),
            ("--xdp-send-buffer", |o| o.xdp_send_buffer = Some(1)),
            ("--busy-poll", |o| o.busy_poll = Some(1_025)),
            ("--sched-fifo 100", |o| o.sched_fifo = Some(100)),
            ("--rekey-after", |o| {
                o.rekey_after = Some("180s".parse().unwrap())
            }),
            ("--uplink-interface is for", |o| {
                o.uplink = Some(UplinkKind::Udp);
                o.uplink_interface = Some("wan0".into());
            }),
            ("--promisc off", |o| {
                (o.promisc, o.rx_filter) = (Some(OnOff::Off), Some(RxFilterName::UnicastList))
            }),
            ("contradict", |o| {
                (o.promisc, o.rx_filter) = (Some(OnOff::On), Some(RxFilterName::UnicastList))
            }),
            ("is the LAN port", |o| {
                o.uplink = Some(UplinkKind::Xdp);
                o.uplink_interface = Some("lan0".into())
            }),
            ("given twice", |o| {
                o.station.push("00:50:56:00:00:50=cloud".parse().unwrap())
            }),
            ("no --peer names", |o| {
                o.station.push("00:50:56:00:00:51=clod".parse().unwrap())
            }),
            ("site's configuration", |o| o.role = Some(RoleName::Cloud)),
        ];
        for (word, spoil) in cases {
            let mut options = site();
            spoil(&mut options);
            let error = Config::check(options).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
