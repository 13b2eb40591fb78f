//! `causeway station`: the stations of a running appliance.

use clap::{Args, Subcommand};

use super::{Failure, print_line};
use crate::{
    control::api::{self, ListedStation, StationAnswer, StationRequest},
    spec::{StationName, StationSpec},
};

#[derive(Debug, Args)]
pub(super) struct StationArgs {
    /// Name of the control socket that the appliance was started with
    #[arg(long, value_name = "NAME", default_value = "causeway", global = true)]
    control: String,

    #[command(subcommand)]
    verb: StationVerb,
}

#[derive(Debug, Subcommand)]
enum StationVerb {
    /// Show where stations live, and who says so
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// At the site: a station was moved behind a peer
    Add {
        /// The station and the peer
        #[arg(value_name = "[VLAN/]MAC=PEER")]
        station: StationSpec,
    },
    /// At the site: a station lives at home again, also if the configuration says otherwise or a cloud has seen it
    Remove {
        /// The station
        #[arg(value_name = "[VLAN/]MAC")]
        station: StationName,
    },
    /// At the site: a station lives behind another peer from now on
    Move {
        /// The station
        #[arg(value_name = "[VLAN/]MAC")]
        station: StationName,
        /// Where it lives now
        #[arg(value_name = "PEER")]
        peer: String,
    },
    /// Tell the LAN once more where stations live, as after a move: when a switch was replaced, say
    Announce {
        /// The station; without it, all that are away
        #[arg(value_name = "[VLAN/]MAC")]
        station: Option<StationName>,
    },
    /// At the site: a station that is frozen, because it moved too often, may move again; one that was removed may come back; an alarm ends
    Clear {
        /// The station
        #[arg(value_name = "[VLAN/]MAC")]
        station: StationName,
    },
}

/// Asks, and prints the answer.
pub(super) fn station(args: StationArgs) -> Result<(), Failure> {
    let json = matches!(args.verb, StationVerb::List { json: true });
    let request = request(args.verb);
    match api::ask_stations(&args.control, &request).map_err(Failure::running)? {
        StationAnswer::List(stations) if json => {
            let json = serde_json::to_string_pretty(&stations).map_err(Failure::running)?;
            print_line(&json)
        }
        StationAnswer::List(stations) => print_line(table(&stations).trim_end()),
        StationAnswer::Announced(stations) => {
            print_line(&format!("{stations} station(s) are being announced"))
        }
        StationAnswer::Done { pending: true, .. } => print_line(
            "done, and the state file is not written yet: its disk is slow; if that fails `causeway status` warns",
        ),
        StationAnswer::Done { kept: true, .. } => print_line("done"),
        StationAnswer::Done { kept: false, .. } => {
            print_line("done, until causeway restarts: with --state FILE it would be kept")
        }
    }
}

fn request(verb: StationVerb) -> StationRequest {
    match verb {
        StationVerb::List { .. } => StationRequest::List,
        StationVerb::Add { station } => StationRequest::Add {
            station: station.station.to_string(),
            peer: station.peer,
        },
        StationVerb::Remove { station } => StationRequest::Remove {
            station: station.to_string(),
        },
        StationVerb::Move { station, peer } => StationRequest::Move {
            station: station.to_string(),
            peer,
        },
        StationVerb::Announce { station } => StationRequest::Announce {
            station: station.map(|s| s.to_string()),
        },
        StationVerb::Clear { station } => StationRequest::Clear {
            station: station.to_string(),
        },
    }
}

fn table(stations: &[ListedStation]) -> String {
    if stations.is_empty() {
        return "no stations".into();
    }
    let line = |s: &ListedStation| format!("{:<22} {}\n", s.station, s.status);
    stations.iter().map(line).collect()
}
