//! Damaged and made-up frames, with all that looks into frames switched on: nothing panics, and each is counted.

use std::{net::IpAddr, sync::Arc};

use causeway::{
    bindings::{Address, Known, Neighbours},
    clamp_mss::{Clamp, ClampMss},
    counters::WorkerCounters,
    multicast::{Groups, Memberships, PeerSet},
    snoop::Snoop,
    traffic_class::{self, Marking},
    worker::{Origin, Punts},
};
use causeway_ebpf::cases::{
    self,
    frames::{arp_request, dhcp_discover, frame, solicitation},
};

use crate::{pair::OneWay, vlans::way, *};

const FRAMES: usize = 20_000;

/// Numbers that are the same in each run (Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = { self.0 }
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Frames that something of ours looks into.
fn seeds() -> Vec<Vec<u8>> {
    let syn = |ethertype, header: &[u8]| {
        let tcp = [
            1, 2, 3, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 2, 1, 0, 9, 9, 0, 0, 1, 2, 4, 0x23, 0, 1, 1,
            0, 3, 3, 7, 0,
        ];
        frame(MOVED, STRANGER, &[], ethertype, &[header, &tcp].concat())
    };
    let ipv4 = [
        0x45, 0xba, 0, 52, 0, 0, 0, 0, 64, 6, 1, 2, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    let ipv6 = [
        &[0x6b, 0xa0, 0, 0, 0, 40, 60, 64][..],
        &[0xfd; 32],
        &[6, 0, 1, 4, 0, 0, 0, 0],
    ];
    let igmp = [
        0x46, 0xc0, 0, 48, 0, 1, 0, 0, 1, 2, 0, 0, 192, 0, 2, 7, 224, 0, 0, 22, 0x94, 4, 0, 0,
        0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 2, 3, 3, 1, 0, 0, 232, 1, 2, 4, 9, 9, 9, 9,
    ];
    let mld = [
        &[0x60, 0, 0, 0, 0, 36, 0, 1, 0xfe, 0x80][..],
        &[0; 30],
        &[
            58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0xff, 5,
        ],
        &[7; 14],
    ];
    let mut seeds: Vec<_> = cases::all().into_iter().map(|case| case.frame).collect();
    for _ in 0..20 {
        seeds.extend([
            arp_request(STRANGER, &[], [192, 0, 2, 9]),
            solicitation(STRANGER, &[], [0xfd; 16]),
            dhcp_discover(STRANGER, &[]),
            syn(0x0800, &ipv4),
            syn(0x86dd, &ipv6.concat()),
            frame(MULTICAST, STRANGER, &[], 0x0800, &igmp),
            frame(MULTICAST, STRANGER, &[], 0x86dd, &mld.concat()),
            frame(MULTICAST, STRANGER, &[], 38, &[0x42, 0x42, 3, 0, 0]),
        ]);
    }
    seeds.retain(|seed| seed.len() >= 14);
    seeds
}

fn damaged(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    const MACS: [[u8; 6]; 6] = [
        MOVED,
        MOVED_TOO,
        MOVED_TAGGED,
        STRANGER,
        BROADCAST,
        MULTICAST,
    ];
    let mut frame = seeds[numbers.below(seeds.len())].clone();
    if numbers.below(8) > 0 {
        let (to, from) = (numbers.one_of(&MACS), numbers.one_of(&MACS[..4]));
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
    }
    for _ in 0..numbers.one_of(&[0, 0, 0, 1, 1, 2, 3]) {
        let [high, low] = (numbers.one_of(&[0, 0, 10, 10, 20, 4_095, 0xe00a]) as u16).to_be_bytes();
        let tag = numbers.one_of(&[[0x81, 0, high, low], [0x88, 0xa8, high, low]]);
        frame.splice(12..12, tag);
    }
    for _ in 0..numbers.one_of(&[0, 0, 1, 2, 8]) {
        // Where headers are, mostly.
        let most = numbers.one_of(&[frame.len(), frame.len().min(64)]);
        let at = numbers.below(most);
        frame[at] = numbers.one_of(&[0, 1, 0xff, numbers.0 as u8]);
    }
    match numbers.below(6) {
        0 => frame.truncate(numbers.below(frame.len() + 1)),
        1 => frame.resize(frame.len() + numbers.below(3_000), 7),
        _ => {}
    }
    frame
}

/// An end's part that answers for whom it knows; who asks for 192.0.2.9 or fdfd:… is answered, or not.
fn snoop(punts: &mut Vec<Punts>) -> Snoop {
    let (queue, mut workers) = Punts::for_workers(1, 1).unwrap();
    punts.push(queue);
    let mut snoop = Snoop::new(workers.remove(0), true);
    let known = [[192, 0, 2, 9].into(), [0xfd; 16].into()]
        .into_iter()
        .flat_map(|ip: IpAddr| {
            [(0, MOVED), (10, MOVED_TAGGED)].map(|(vlan, mac)| {
                let router = Some(false);
                (
                    Address {
                        segment: 0,
                        vlan,
                        ip,
                    },
                    Known { mac, router },
                )
            })
        });
    snoop.set_neighbours(Arc::new(Neighbours::new(known)));
    snoop
}

fn drops(counters: &WorkerCounters) -> u64 {
    counters.drops.iter().map(|n| n.get()).sum()
}

fn everything_on(from: Role, to: Role, punts: &mut Vec<Punts>) -> OneWay {
    let mut way = match from {
        Role::Site => way(from, to, &["a=0:10"], &[]),
        Role::Cloud => way(from, to, &[], &["a=0:10"]),
    };
    // At the site the station is an untagged one.
    let at_site = match from {
        Role::Site => &mut way.from,
        Role::Cloud => &mut way.to,
    };
    at_site.insert(StationKey::new(0, MOVED_TAGGED), Station::away(0));
    way.snoops = [snoop(punts), snoop(punts)];
    way.clamp = Clamp::new(ClampMss::Auto, 2);
    if let Some(clamp) = &mut way.clamp {
        clamp.set_datagram_size(0, 1_452);
    }
    way.marking = Marking {
        dscp: true,
        ecn: true,
    };
    let mut peers = PeerSet::default();
    peers.insert(0);
    let list = [(StationKey::new(0, MULTICAST), peers)];
    let groups = Arc::new(Groups::new(list, true).with_snooped([], [(10, Some(0))], []));
    way.flood.set_groups(&groups);
    way.floods[0].set_groups(&groups);
    way
}

#[test]
fn damaged_frames_are_counted_one_by_one_and_nothing_panics() {
    let seeds = seeds();
    let mut numbers = Numbers(1);
    for (from, to) in [(Role::Site, Role::Cloud), (Role::Cloud, Role::Site)] {
        let mut punts = Vec::new();
        let mut way = everything_on(from, to, &mut punts);
        let mut memberships = Memberships::new(1);
        let (mut crossed, mut arrived, mut answers) = (0, 0, 0);
        for _ in 0..FRAMES {
            let frame = damaged(&mut numbers, &seeds);
            way.ecn = numbers.one_of(&[0, 0, traffic_class::ECT_1, traffic_class::CE]);
            way.now += std::time::Duration::from_millis(1);
            memberships.hear(&frame, 0, Origin::Peer(0), way.now);
            let counts = |way: &OneWay| {
                let sent = way
                    .sender
                    .peers
                    .iter()
                    .map(|p| p.tx_frames.get())
                    .sum::<u64>();
                (
                    sent,
                    drops(&way.sender),
                    way.receiver.peers[0].rx_frames.get(),
                    drops(&way.receiver),
                )
            };
            let before = counts(&way);
            let out = way.cross(std::slice::from_ref(&frame));
            let after = counts(&way);
            let (sent, kept) = (after.0 - before.0, after.1 - before.1);
            assert!(
                (1..=2).contains(&(sent + kept)),
                "{sent} sent, {kept} dropped: {frame:02x?}"
            );
            let (got, refused) = (after.2 - before.2, after.3 - before.3);
            assert_eq!(
                (got + refused, out.len() as u64),
                (sent, got),
                "{frame:02x?}"
            );
            (crossed, arrived) = (crossed + sent, arrived + got);
            way.snoops[0].finish(|answer| {
                assert!(answer.len() >= 60);
                answers += 1;
            });
        }
        assert_eq!(way.sender.lan_rx_frames.get(), FRAMES as u64);
        // Enough of each for the test to mean something.
        assert!(
            crossed > 500 && arrived > 100,
            "{from:?}: {crossed}, {arrived}"
        );
        assert!(answers > 10 || from == Role::Cloud, "{answers}");
        let sums = [&way.sender, &way.receiver]
            .map(|c| (c.mss_clamped.get(), c.ecn_marked.get(), c.punted.get()));
        assert!(
            sums[0].0 > 5 && sums[1].1 > 5 && sums[1].2 > 5,
            "{from:?}: {sums:?}"
        );
        assert!(punts.iter_mut().all(|queue| queue.pop().is_some()));
        memberships.age(way.now);
    }
}
