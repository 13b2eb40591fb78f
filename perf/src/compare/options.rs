//! What the user asks for.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::plan::{Measure, Plan};
use crate::{
    output::JsonOption,
    rig::{Cpus, Uplink},
    seconds::up_to_an_hour,
    sizes::{FCS, FrameSizes},
};

/// The largest frame of a LAN with an MTU of 1,500.
const LARGEST: usize = 1_514 + FCS;

/// What to compare.
#[derive(Args)]
pub(crate) struct Options {
    /// Peers to measure, all if none is named; `--list` shows them
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(super) peer: Vec<String>,
    /// Show the peers, and which programs are missing
    #[arg(long)]
    pub(super) list: bool,
    /// Rounds: each measures every peer once [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// Less of everything: under 5 minutes for two or three peers
    #[arg(long)]
    pub(super) quick: bool,
    /// What to measure [default: all but endurance]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', num_args = 1..)]
    measure: Vec<Measure>,
    /// Seconds of each measurement [default: 2; --quick: 0.5]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Sizes of test frames, FCS included
    #[arg(long, value_name = "N", num_args = 1.., value_parser = frame_bytes,
          default_values_t = [64, 512, 1_400].map(FrameSizes::Fixed))]
    frame_bytes: Vec<FrameSizes>,
    /// The CPU of dc and vm, and that of both gateways [default: the first two]
    #[arg(long, value_name = "HOSTS,GATEWAYS", value_parser = cpus)]
    pub(super) cpus: Option<Cpus>,
    /// What the uplink does for the kernel, for all peers: GRO, or segmentation too; `all` without a value [default: none]
    #[arg(long, value_name = "WHAT", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "all")]
    uplink_offloads: Option<Uplink>,
    /// Seconds of `--measure endurance`, in the first round [default: 600]
    #[arg(long, value_name = "S", value_parser = up_to_an_hour)]
    endurance_seconds: Option<Duration>,
    /// causeway's binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub(super) causeway: Option<PathBuf>,
    /// Install peers that are missing, with apt-get and cargo
    #[arg(long)]
    pub(super) install: bool,
    /// Where crates are installed, and looked for
    #[arg(long, value_name = "DIR", default_value = "/var/cache/causeway-peers")]
    pub(super) cache: PathBuf,
    /// Measure even where other work is going on
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) json: JsonOption,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.2..=9.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("0.2 to 9 seconds are possible".into()),
    }
}

fn frame_bytes(text: &str) -> std::result::Result<FrameSizes, String> {
    let sizes: FrameSizes = text.parse()?;
    if sizes.largest() > LARGEST {
        return Err(format!(
            "the rig's MTU is 1500: frames of at most {LARGEST} bytes with their FCS"
        ));
    }
    Ok(sizes)
}

fn cpus(text: &str) -> std::result::Result<Cpus, String> {
    let parts = text.split_once(',').and_then(|(hosts, gateways)| {
        let hosts = hosts.trim().parse().ok()?;
        let gateways = gateways.trim().parse().ok()?;
        Some(Cpus { hosts, gateways })
    });
    match parts {
        Some(cpus) if cpus.hosts != cpus.gateways => Ok(cpus),
        _ => Err("two different CPUs, such as 0,1".into()),
    }
}

impl Options {
    /// What they say to measure.
    pub(super) fn plan(&self) -> Plan {
        let sizes = self.frame_bytes.clone();
        let mut plan = if self.quick {
            Plan::quick(sizes)
        } else {
            Plan::thorough(sizes)
        };
        if let Some(time) = self.seconds {
            plan = plan.with_time(time);
        }
        if let Some(rounds) = self.rounds {
            plan.rounds = rounds.into();
        }
        if let Some(uplink) = self.uplink_offloads {
            plan.uplink = uplink;
        }
        if let Some(time) = self.endurance_seconds {
            plan.endurance = time;
        }
        if !self.measure.is_empty() {
            plan.measures = self.measure.iter().copied().collect();
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(seconds("0.1").is_err() && seconds("10").is_err() && seconds("x").is_err());
        assert!(frame_bytes("63").is_err() && frame_bytes("1519").is_err());
        assert!(frame_bytes("1518").is_ok() && frame_bytes("imix").is_ok());
        assert!(cpus("1").is_err() && cpus("1,1").is_err() && cpus("0,2").is_ok());
    }
}
