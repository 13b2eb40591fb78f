//! The segment at the start: the configuration, and what the state file has beside it.

use std::time::Instant;

use tracing::{info, warn};

use super::{Keeper, Publisher, Registry, Segment};
use crate::{
    config::Config,
    spec::StationName,
    stations::{
        Role,
        registry::{CloudRegistry, Memory, PeerRules, SiteRegistry},
        state::StateFile,
    },
    vlans::Vlans,
};

impl Segment {
    /// As the configuration has it, and the state file, which is read here, and written if it has to be.
    ///
    /// # Errors
    ///
    /// A text that names the state file and the mend.
    pub fn open(config: &Config, own_mac: [u8; 6]) -> Result<Self, String> {
        let now = Instant::now();
        let rules = &config.learning;
        let mut keeper = None;
        let registry = match config.role {
            Role::Cloud => {
                let sites = config.peers.len();
                let registry = CloudRegistry::new(sites, own_mac, rules.ageing);
                Registry::Cloud(Box::new(registry))
            }
            Role::Site => {
                let configured = config.stations.iter().map(|(key, s)| (key, s.peer));
                let peers = site_rules(config);
                let mut registry = SiteRegistry::new(peers, configured, own_mac, rules.ageing, now);
                registry.set_gateways(config.gateways.site.clone());
                if let Some(path) = &config.state {
                    let names = config.peers.iter().map(|p| p.name.clone()).collect();
                    let (mut file, mut memory) = StateFile::open(path, names)?;
                    note_set_aside(&mut file, &mut memory, &config.vlans);
                    registry.restore(&memory, now);
                    note_state(&registry);
                    file.write(&file.text(&registry.memory()))?;
                    keeper = Some(Keeper::new(file));
                }
                Registry::Site(Box::new(registry))
            }
        };
        Ok(Self {
            registry,
            keeper,
            publisher: Publisher::default(),
            next_age: now,
            listened: now,
            refusal_logged: None,
        })
    }
}

fn site_rules(config: &Config) -> Vec<PeerRules> {
    let rules = &config.learning;
    let of = |(index, peer): (usize, &crate::spec::PeerSpec)| PeerRules {
        name: peer.name.clone(),
        ranges: rules.ranges.get(index).cloned().unwrap_or_default(),
        learn_limit: rules.limit,
    };
    config.peers.iter().enumerate().map(of).collect()
}

/// Says what of the state file waits for another configuration.
fn note_set_aside(file: &mut StateFile, memory: &mut Memory, vlans: &Vlans) {
    if file.set_aside() > 0 {
        warn!(
            "the state file has {} stations behind peers that the configuration does not name: they wait for those to come back",
            file.set_aside()
        );
    }
    let crosses = |station, peer| vlans.to_wire(peer, station).is_some();
    let out = file.keep_aside(memory, crosses);
    if let Some(first) = out.first() {
        warn!(
            "{} stations of the state file are in VLANs that do not cross to their peer now, {} first: see --vlans and --vlan-map; what was added or frozen waits until they do",
            out.len(),
            StationName(*first)
        );
    }
}

/// Says what the state file changes in the configuration.
fn note_state(registry: &SiteRegistry) {
    let memory = registry.memory();
    if !memory.removed.is_empty() {
        warn!(
            "{} stations were removed by `causeway station remove`, {} first: `causeway station clear` takes that back",
            memory.removed.len(),
            StationName(memory.removed[0])
        );
    }
    info!(
        "stations from the state file: {} added, {} learnt, {} frozen",
        memory.added.len(),
        memory.learnt.len(),
        memory.frozen.len()
    );
}
