//! The arguments of `causeway doctor`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use causeway_tunnel::{aead::Cipher, identity::PrivateKey};
use clap::Args;

use super::platform::Platform;
use crate::{
    config::{Config, ConfigError},
    keys,
    lan_port::LanSpec,
    options::RunOptions,
    spec::{CpuList, PeerSpec},
    stations::Role,
};

/// The arguments of `causeway doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Network interface in the LAN that is stretched; `bridge:BRIDGE`: causeway's port in it, or the bridge until there is one; `tap:NAME`: causeway's tap [default: that of the file]
    #[arg(
        long,
        required_unless_present = "config",
        value_name = "IF|bridge:BRIDGE|tap:NAME"
    )]
    pub lan: Option<LanSpec>,

    /// The configuration file of the causeway that is to run here: its LAN port is examined, and the path to its peers by a session with its key, unless it runs already; flags win [default: none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The private key of the causeway that is to run here: the path to each `--peer` is examined by a session with it, unless it is in use [default: that of the file]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// A host in that LAN to ask by ARP, such as its gateway; repeatable, three are asked [default: whom the host knows or hears there; with `--vlan`, whom it hears in that VLAN]
    #[arg(long, value_name = "IP")]
    pub target: Vec<Ipv4Addr>,

    /// Another end to be reached: without a key of ours, a handshake with one made up for it shows whether UDP passes and who answers; repeatable [default: those of the file]
    #[arg(long, value_name = "NAME=PUBKEY@HOST:PORT")]
    pub peer: Vec<PeerSpec>,

    /// VLAN that the probes are tagged with, 1 to 4094, where the port is a trunk [default: untagged]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,

    /// Cores that workers will be pinned to, as for `causeway run` [default: those of a causeway that runs at this port, else of the file, or not pinned]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<CpuList>,

    /// What the port is plugged into: whose settings are named [default: by the machine's firmware and the driver]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "PLATFORM")]
    pub platform: Option<Platform>,

    /// Name of the control socket of a causeway that runs at this port [default: causeway, or that of the file]
    #[arg(long, value_name = "NAME")]
    pub control: Option<String>,

    /// Everything, as JSON
    #[arg(long)]
    pub json: bool,
}

/// What is to be examined, by flags and file.
#[derive(Debug)]
pub struct Wanted {
    /// The LAN port.
    pub lan: LanSpec,
    /// The other ends.
    pub peers: Vec<PeerSpec>,
    /// The control socket of a causeway that may run.
    pub control: String,
    /// How many workers there will be, if that was said.
    pub workers: Option<u8>,
    /// Cores that workers will be pinned to.
    pub cpus: Vec<usize>,
    /// Who we are to the other ends, if we may be that.
    pub own: Option<Own>,
}

/// The end whose key we have.
#[derive(Debug)]
pub struct Own {
    /// The key.
    pub key: PrivateKey,
    /// Its file.
    pub file: PathBuf,
    /// Which end it is, if that was said.
    pub role: Option<Role>,
    /// The cipher that it is configured for.
    pub cipher: Cipher,
    /// Ceiling of the path MTU, in bytes of the IP packet, if there is one.
    pub max_path_mtu: Option<u16>,
    /// After which silence its lanes send a dummy.
    pub lane_keepalive: Duration,
    /// Where it listens, if it does.
    pub listen: Option<SocketAddr>,
}

impl Wanted {
    /// Puts flags and file together.
    ///
    /// # Errors
    ///
    /// A configuration or a key file that cannot be used; the text says what to change.
    pub fn load(args: &DoctorArgs) -> Result<Self, ConfigError> {
        if let Some(file) = &args.config {
            let flags = RunOptions {
                lan: args.lan.clone(),
                key: args.key.clone(),
                peer: args.peer.clone(),
                control: args.control.clone(),
                cpus: args.cpus.clone(),
                ..RunOptions::default()
            };
            return Self::of_config(Config::load(flags, Some(file))?);
        }
        let own = |file: &PathBuf| {
            let key = keys::read(file).map_err(|e| ConfigError(e.to_string()))?;
            Ok(Own {
                key,
                file: file.clone(),
                role: None,
                cipher: Cipher::Aes256Gcm,
                max_path_mtu: None,
                lane_keepalive: LANE_KEEPALIVE,
                listen: None,
            })
        };
        let lan = args.lan.clone();
        Ok(Self {
            lan: lan
                .ok_or_else(|| ConfigError("which port? give --lan IF or --config FILE".into()))?,
            peers: args.peer.clone(),
            control: args.control.clone().unwrap_or_else(|| "causeway".into()),
            workers: None,
            cpus: args.cpus.clone().map(|list| list.0).unwrap_or_default(),
            own: args.key.as_ref().map(own).transpose()?,
        })
    }

    fn of_config(config: Config) -> Result<Self, ConfigError> {
        let own = Own {
            key: config.private_key()?,
            file: config.key,
            role: Some(config.role),
            cipher: config.cipher,
            max_path_mtu: config.max_path_mtu,
            lane_keepalive: config.lane_keepalive,
            listen: config.listen,
        };
        Ok(Self {
            lan: config.lan,
            peers: config.peers,
            control: config.control,
            workers: config.workers,
            cpus: config.cpus,
            own: Some(own),
        })
    }
}

/// What `causeway run` has by default.
const LANE_KEEPALIVE: Duration = Duration::from_secs(10);
