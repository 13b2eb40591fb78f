//! What a peer can say, and how much of it counts.

use std::time::{Duration, Instant};

use causeway_ebpf::maps::MAX_STATIONS;
use causeway_tunnel::{
    message::Allow,
    stations::{Station as WireStation, Stations},
};

use super::super::{
    super::{StationKey, inbox::from_wire, range::StationRange},
    CloudRegistry, Memory, Origin, PeerRules, Refusal, SiteRegistry,
};

const AGEING: Duration = Duration::from_secs(300);

fn named(vlan: u16, number: u32) -> WireStation {
    let [_, a, b, c] = number.to_be_bytes();
    WireStation {
        vlan,
        mac: [0, 0x50, 0x56, a, b, c],
    }
}

fn cloud(sites: usize) -> CloudRegistry {
    CloudRegistry::new(sites, [2; 6], AGEING)
}

fn update(since: u64, added: Vec<WireStation>, withdrawn: Vec<WireStation>) -> Stations {
    Stations {
        generation: since + 1,
        since,
        more: false,
        added,
        withdrawn,
    }
}

#[test]
fn a_site_that_wants_to_hear_of_everything_hears_of_as_many_as_there_can_be() {
    let (mut cloud, now) = (cloud(1), Instant::now());
    let range = "*/00:50:56:00:00:00/24".parse::<StationRange>();
    let allow = Allow {
        ranges: vec![range.unwrap().into()],
        limit: u32::MAX,
    };
    cloud.allow(0, allow, now);
    let mut sight = |n| cloud.sighted(from_wire(&named(0, n)).unwrap(), now);
    for n in 0..MAX_STATIONS {
        assert!(sight(n).is_ok());
    }
    assert_eq!(sight(MAX_STATIONS), Err(Refusal::LearnLimit));
}

#[test]
fn what_found_no_room_comes_home_when_there_is_some() {
    let (mut cloud, now) = (cloud(2), Instant::now());
    let all = (0..MAX_STATIONS).map(|n| named(1, n)).collect();
    cloud.take(0, 7, update(0, all, vec![]), now).unwrap();
    let one = named(2, 0);
    let changes = cloud.take(1, 8, update(0, vec![one], vec![]), now).unwrap();
    let key = from_wire(&one).unwrap();
    assert_eq!(changes.refused, Some((key, Refusal::TableFull)));
    let gone = update(1, vec![], vec![named(1, 9)]);
    let changes = cloud.take(0, 7, gone, now).unwrap();
    assert_eq!(cloud.get(key).map(|home| home.peer), Some(1));
    assert!(
        changes
            .places
            .iter()
            .any(|(k, place)| *k == key && place.is_some())
    );
}

#[test]
fn a_word_that_the_configuration_says_by_now_is_forgotten() {
    let now = Instant::now();
    let rules = ["cloud0", "cloud1"].map(|name| PeerRules {
        name: name.into(),
        ..PeerRules::default()
    });
    let key = StationKey::new(0, [2, 0, 0, 0, 0, 1]);
    let mut site = SiteRegistry::new(rules.to_vec(), [(key, 1)], [2; 6], AGEING, now);
    let memory = Memory {
        added: vec![(key, 1)],
        ..Memory::default()
    };
    site.restore(&memory, now);
    assert_eq!(
        site.get(key).map(|a| (a.peer, a.origin)),
        Some((1, Origin::Configured))
    );
    assert_eq!(site.memory(), Memory::default());
}

#[test]
fn a_default_gateway_is_not_learnt_whatever_the_ranges() {
    let now = Instant::now();
    let rules = PeerRules {
        ranges: vec!["00:00:00:00:00:00/0".parse().unwrap()],
        learn_limit: 8,
        ..PeerRules::default()
    };
    let (gateway, other) = (named(0, 1), named(0, 2));
    let key = from_wire(&gateway).unwrap();
    let mut site = SiteRegistry::new(vec![rules], [], [2; 6], AGEING, now);
    site.set_gateways(vec![key]);
    let learnt = vec![(key, 0)];
    let memory = Memory {
        learnt,
        ..Memory::default()
    };
    site.restore(&memory, now);
    let advert = update(0, vec![gateway, other], vec![]);
    let changes = site.take(0, 1, advert, now).unwrap();
    assert_eq!(changes.refused, Some((key, Refusal::Gateway)));
    assert_eq!(
        site.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        [from_wire(&other).unwrap()]
    );
}
