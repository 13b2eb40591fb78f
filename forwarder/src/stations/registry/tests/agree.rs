//! Whatever happens, both ends' tables agree when it is over, and no station has two homes.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{
    super::Verb,
    world::{CLOUDS, STATIONS, World, station},
};

#[derive(Clone, Debug)]
enum Happening {
    Frame(usize, u8),
    Command(u8, Verb),
    Pass(u64),
    Dial(usize),
    Establish(bool),
    Lose(usize, bool, bool),
    Deliver(usize, bool),
    RestartSite(bool),
    RestartCloud(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let verb = prop_oneof![
        (0..CLOUDS as u16).prop_map(Verb::Add),
        Just(Verb::Remove),
        (0..CLOUDS as u16).prop_map(Verb::Move),
        Just(Verb::Clear),
    ];
    prop_oneof![
        8 => (0..CLOUDS, 0..STATIONS).prop_map(|(c, s)| Frame(c, s)),
        3 => (0..STATIONS, verb).prop_map(|(s, v)| Command(s, v)),
        3 => prop_oneof![0..3_u64, 20..400_u64].prop_map(Pass),
        2 => (0..CLOUDS).prop_map(Dial),
        4 => any::<bool>().prop_map(Establish),
        1 => (0..CLOUDS, any::<bool>(), any::<bool>()).prop_map(|(c, s, t)| Lose(c, s, t)),
        12 => (0..CLOUDS, any::<bool>()).prop_map(|(c, s)| Deliver(c, s)),
        1 => any::<bool>().prop_map(RestartSite),
        1 => (0..CLOUDS).prop_map(RestartCloud),
    ]
}

fn happen(world: &mut World, happening: Happening) {
    match happening {
        Happening::Frame(cloud, number) => world.frame(cloud, station(number)),
        // Misuse is refused, and that is all.
        Happening::Command(number, verb) => drop(world.command(station(number), verb)),
        Happening::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
        Happening::Dial(cloud) => world.dial(cloud),
        Happening::Establish(at_site) => world.establish(at_site),
        Happening::Lose(cloud, site, other) => world.lose(cloud, (site, other)),
        Happening::Deliver(cloud, to_site) => drop(world.deliver(cloud, to_site)),
        Happening::RestartSite(with_file) => world.restart_site(with_file),
        Happening::RestartCloud(cloud) => world.restart_cloud(cloud),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn both_ends_agree_when_it_is_over(
        learn_limit in 1..6_usize,
        happenings in vec(happening(), 1..120),
    ) {
        let mut world = World::new(learn_limit);
        world.settle();
        for each in happenings {
            happen(&mut world, each);
        }
        world.settle();
        world.check();
    }

    /// Whatever was before, a VM that speaks is reachable where it speaks: unless the operator or the configuration
    /// has a word on it, or it is frozen.
    #[test]
    fn a_station_that_speaks_is_reachable(
        happenings in vec(happening(), 1..80),
        number in 1..STATIONS - 1,
        cloud in 0..CLOUDS,
    ) {
        let mut world = World::new(6);
        world.settle();
        for each in happenings {
            match each {
                Happening::Command(..) => {}
                each => happen(&mut world, each),
            }
        }
        // The longest that it is not advertised again.
        world.settle();
        world.pass(Duration::from_secs(60));
        world.settle();
        world.frame(cloud, station(number));
        world.settle();
        world.check();
        if !world.is_frozen(station(number)) {
            prop_assert_eq!(world.at_site(station(number)), Some(cloud));
            prop_assert_eq!(world.at_clouds(station(number)), [cloud]);
        }
    }
}
