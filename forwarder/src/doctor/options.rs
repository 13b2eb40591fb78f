//! The arguments of `causeway doctor`.

use std::net::Ipv4Addr;

use clap::Args;

use super::platform::Platform;
use crate::{
    lan_port::LanSpec,
    spec::{CpuList, PeerSpec},
};

/// The arguments of `causeway doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Network interface in the LAN that is stretched, or that of a causeway that runs with `bridge:BRIDGE` or `tap:NAME`
    #[arg(long, value_name = "IF|bridge:BRIDGE|tap:NAME")]
    pub lan: LanSpec,

    /// A host in that LAN to ask by ARP, such as its gateway; repeatable, three are asked [default: whom the host knows or hears there]
    #[arg(long, value_name = "IP")]
    pub target: Vec<Ipv4Addr>,

    /// Another end to be reached: a handshake with a key made up for it shows whether UDP passes and who answers; repeatable [default: none]
    #[arg(long, value_name = "NAME=PUBKEY@HOST:PORT")]
    pub peer: Vec<PeerSpec>,

    /// VLAN that the probes are tagged with, 1 to 4094, where the port is a trunk [default: untagged]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,

    /// Cores that workers will be pinned to, as for `causeway run` [default: those of a causeway that runs at this port, or not pinned]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<CpuList>,

    /// What the port is plugged into: whose settings are named [default: by the machine's firmware and the driver]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "PLATFORM")]
    pub platform: Option<Platform>,

    /// Name of the control socket of a causeway that runs at this port
    #[arg(long, value_name = "NAME", default_value = "causeway")]
    pub control: String,

    /// Everything, as JSON
    #[arg(long)]
    pub json: bool,
}
