//! What the two registries make of single happenings.

use std::time::{Duration, Instant};

use causeway_tunnel::stations::{Station as WireStation, Stations};

use super::{
    super::{super::ledger::to_wire, PeerRules, Refusal, SiteRegistry, Verb},
    world::{AGEING, STATIONS, World, station},
};

fn settled(learn_limit: usize) -> World {
    let mut world = World::new(learn_limit);
    world.settle();
    world
}

fn speak(world: &mut World, cloud: usize, number: u8) {
    world.frame(cloud, station(number));
    world.settle();
}

#[test]
fn the_first_frame_makes_a_station_away_and_home() {
    let mut world = settled(8);
    speak(&mut world, 1, 3);
    assert_eq!(world.at_site(station(3)), Some(1));
    assert_eq!(world.at_clouds(station(3)), [1]);
    // The configuration's word goes before.
    speak(&mut world, 1, 0);
    assert_eq!(world.at_clouds(station(0)), [0]);
    // Outside the ranges nothing is learnt.
    speak(&mut world, 1, STATIONS - 1);
    assert_eq!(world.at_site(station(STATIONS - 1)), None);
    world.check();
}

#[test]
fn a_station_moves_with_its_frames_and_back() {
    let mut world = settled(8);
    for cloud in [0, 1, 0, 1] {
        speak(&mut world, cloud, 2);
        assert_eq!(world.at_clouds(station(2)), [cloud]);
        world.check();
    }
}

#[test]
fn a_station_that_lives_twice_is_frozen_until_it_is_cleared() {
    let mut world = settled(8);
    for n in 0..12 {
        world.pass(Duration::from_secs(2));
        speak(&mut world, n % 2, 2);
    }
    assert!(world.is_frozen(station(2)));
    // The fifth move is that of the sixth frame.
    assert_eq!(world.at_clouds(station(2)), [1]);
    world.restart_site(true);
    world.settle();
    assert!(world.is_frozen(station(2)));
    world.command(station(2), Verb::Clear).unwrap();
    world.pass(Duration::from_secs(61));
    speak(&mut world, 0, 2);
    assert_eq!(world.at_clouds(station(2)), [0]);
    world.check();
}

#[test]
fn a_silent_station_comes_home() {
    let mut world = settled(8);
    speak(&mut world, 0, 1);
    speak(&mut world, 0, 2);
    world.pass(AGEING / 2);
    speak(&mut world, 0, 2);
    world.pass(AGEING / 2);
    world.settle();
    assert_eq!(world.at_site(station(1)), None);
    assert_eq!(world.at_site(station(2)), Some(0));
    // Nobody ages what is configured.
    world.pass(3 * AGEING);
    world.settle();
    assert_eq!(world.at_site(station(2)), None);
    assert_eq!(world.at_site(station(0)), Some(0));
    world.check();
}

#[test]
fn restarts_lose_no_learnt_station() {
    let mut world = settled(8);
    speak(&mut world, 0, 1);
    for with_file in [true, false] {
        world.restart_site(with_file);
        world.settle();
        assert_eq!(world.at_clouds(station(1)), [0]);
    }
    world.restart_cloud(0);
    world.settle();
    assert_eq!(world.at_clouds(station(1)), [0]);
    // It is watched all the same: as long as it speaks it stays, and when it falls silent it comes home.
    for _ in 0..9 {
        world.pass(AGEING / 4);
        speak(&mut world, 0, 1);
        assert_eq!(world.at_site(station(1)), Some(0));
    }
    (0..3).for_each(|_| world.pass(AGEING / 2));
    world.settle();
    assert_eq!(world.at_site(station(1)), None);
    world.check();
}

#[test]
fn a_cloud_that_is_gone_keeps_nothing_that_was_learnt() {
    let mut world = settled(8);
    speak(&mut world, 0, 1);
    world.lose(0, (true, true));
    world.pass(AGEING - Duration::from_secs(1));
    assert_eq!(world.at_site(station(1)), Some(0));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.at_site(station(1)), None);
    assert_eq!(world.at_site(station(0)), Some(0));
    world.settle();
    world.check();
}

#[test]
fn no_more_is_learnt_than_the_limit() {
    let mut world = settled(2);
    for number in 1..4 {
        speak(&mut world, 0, number);
    }
    let learnt = (1..4).filter(|n| world.at_site(station(*n)).is_some());
    assert_eq!(learnt.count(), 2);
    world.check();
}

#[test]
fn the_operators_word_stands_until_it_is_cleared() {
    let mut world = settled(8);
    speak(&mut world, 0, 1);
    world.command(station(1), Verb::Remove).unwrap();
    world.settle();
    speak(&mut world, 0, 1);
    assert_eq!(world.at_site(station(1)), None);
    world.restart_site(true);
    world.settle();
    assert_eq!(world.at_site(station(1)), None);
    world.command(station(1), Verb::Clear).unwrap();
    world.settle();
    assert_eq!(world.at_clouds(station(1)), [0]);
    // Configured, moved, removed, and as configured again.
    for (verb, homes) in [
        (Verb::Move(1), vec![1]),
        (Verb::Remove, vec![]),
        (Verb::Clear, vec![0]),
    ] {
        world.command(station(0), verb).unwrap();
        world.settle();
        assert_eq!(world.at_clouds(station(0)), homes, "{verb:?}");
        world.check();
    }
}

#[test]
fn misuse_is_refused_with_what_to_do() {
    let mut world = settled(8);
    speak(&mut world, 1, 2);
    for (number, verb, words) in [
        (
            0,
            Verb::Add(1),
            "is configured behind cloud0 already: `causeway station move",
        ),
        (2, Verb::Add(0), "is learnt behind cloud1 already"),
        (0, Verb::Move(0), "is behind cloud0 already"),
        (
            1,
            Verb::Move(0),
            "causeway station add 00:50:56:00:00:01=cloud0",
        ),
        (1, Verb::Remove, "is no station that is away"),
        (0, Verb::Clear, "neither frozen nor removed"),
    ] {
        let error = world.command(station(number), verb).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    world.command(station(2), Verb::Add(1)).unwrap();
    world.command(station(2), Verb::Remove).unwrap();
    let error = world.command(station(2), Verb::Remove).unwrap_err();
    assert!(error.contains("removed already"), "{error}");
    world.settle();
    world.check();
}

#[test]
fn a_full_table_is_a_named_result() {
    let most = causeway_ebpf::maps::MAX_STATIONS;
    let now = Instant::now();
    let rules = PeerRules {
        name: "cloud".into(),
        ranges: vec!["02:00:00:00:00:00/16".parse().unwrap()],
        learn_limit: most as usize,
    };
    let mut site = SiteRegistry::new(vec![rules], [(station(0), 0)], [2; 6], AGEING, now);
    let advert = |n: u32| {
        let [a, b, c, d] = n.to_be_bytes();
        WireStation {
            vlan: 0,
            mac: [2, 0, a, b, c, d],
        }
    };
    let part = |since, added: Vec<_>| Stations {
        generation: since + 1,
        since,
        more: false,
        added,
        withdrawn: vec![],
    };
    let all = part(0, (0..most).map(advert).collect());
    let changes = site.take(0, 1, all, now).unwrap();
    assert_eq!(changes.places.len(), most as usize - 1);
    assert!(matches!(changes.refused, Some((_, Refusal::TableFull))));
    let more = site.take(0, 1, part(1, vec![advert(most)]), now).unwrap();
    assert!(matches!(more.refused, Some((_, Refusal::LearnLimit))));
    let error = site.command(station(1), Verb::Add(0), now).unwrap_err();
    assert!(error.contains("the table is full"), "{error}");
    // Where there is room again, the next sighting takes it.
    site.command(station(0), Verb::Remove, now).unwrap();
    let last = changes.refused.unwrap().0;
    let again = part(1, vec![to_wire(last)]);
    assert_eq!(site.take(0, 1, again, now).unwrap().places.len(), 1);
    let refused: Vec<_> = site.learning(0).1.iter().collect();
    assert_eq!(refused, [(Refusal::LearnLimit, 1), (Refusal::TableFull, 1)]);
}
