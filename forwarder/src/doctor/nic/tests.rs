//! Each fault of a device and its mend.

use super::{
    super::check::{Verdict, asked::mend},
    *,
};

pub(in crate::doctor) fn device() -> Device {
    Device {
        name: "ens1".into(),
        index: 2,
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 1_500,
        queues: 4,
        is_virtual: false,
        is_up: true,
        numa_node: None,
        tx_dropped: 0,
    }
}

#[test]
fn what_the_device_does_to_frames() {
    let check = |lro, rx_vlan, tagged| {
        let flags = Some(Flags { lro, rx_vlan });
        let of = Offloads {
            flags,
            tagged,
            ..Offloads::default()
        };
        offloads(&device(), &of)
    };
    assert_eq!(
        mend(&check(true, false, false)),
        Some("`ethtool -K ens1 lro off`")
    );
    assert_eq!(
        mend(&check(false, true, true)),
        Some("`ethtool -K ens1 rxvlan off`")
    );
    assert_eq!(mend(&check(false, true, false)), None);
    let silent = offloads(&device(), &Offloads::default());
    assert!(matches!(silent.verdict, Verdict::Unknown { .. }));
    let virtual_one = Device {
        is_virtual: true,
        ..device()
    };
    let tagged = Offloads {
        flags: Some(Flags {
            lro: false,
            rx_vlan: true,
        }),
        tagged: true,
        ..Offloads::default()
    };
    assert_eq!(mend(&offloads(&virtual_one, &tagged)), None);
}

#[test]
fn merging_in_the_device_matters_where_it_outlives_xdp() {
    let check = |on, fixed, attached| {
        let of = Offloads {
            flags: Some(Flags {
                lro: false,
                rx_vlan: false,
            }),
            merging: Some(Feature { on, fixed }),
            attached,
            ..Offloads::default()
        };
        offloads(&device(), &of)
    };
    assert_eq!(mend(&check(false, true, true)), None);
    assert_eq!(mend(&check(true, false, false)), None, "it ends with XDP");
    assert_eq!(
        mend(&check(true, false, true)),
        Some("`ethtool -K ens1 rx-gro-hw off`")
    );
    let fixed = check(true, true, false);
    assert!(
        mend(&fixed).unwrap().contains("guest_tso4=off"),
        "{fixed:?}"
    );
}

#[test]
fn what_the_driver_can() {
    let check = |bits| xdp(&device(), &Ok(XdpFeatures(bits)));
    assert!(mend(&check(0)).is_some());
    let seen = format!("{:?}", check(netdev::BASIC));
    assert!(
        seen.contains("copy mode") && seen.contains("3,500"),
        "{seen}"
    );
    let seen = format!(
        "{:?}",
        check(netdev::BASIC | netdev::ZERO_COPY | netdev::MULTI_BUFFER)
    );
    assert!(
        seen.contains("zero-copy") && seen.contains("any MTU"),
        "{seen}"
    );
    let old = xdp(&device(), &Err("x".into()));
    assert!(matches!(old.verdict, Verdict::Unknown { .. }));
}

#[test]
fn sizes_and_the_cable() {
    assert!(matches!(mtu(&device()).verdict, Verdict::Ok { .. }));
    let small = Device {
        mtu: 1_400,
        ..device()
    };
    assert!(matches!(mtu(&small).verdict, Verdict::Unknown { .. }));
    let jumbo = Device {
        mtu: 9_195,
        ..device()
    };
    assert_eq!(mend(&mtu(&jumbo)), Some("`ip link set ens1 mtu 9194`"));
    assert!(
        mend(&queues(
            &Device {
                queues: 65,
                ..device()
            },
            None
        ))
        .is_some()
    );
    assert!(mend(&queues(&device(), None)).is_none() && mend(&carrier(&device(), "1\n")).is_none());
    assert!(mend(&carrier(&device(), "0\n")).is_some());
}

#[test]
fn queues_are_told_beside_those_that_could_be() {
    let few = queues(&device(), Some(Channels { now: 4, most: 16 }));
    assert!(format!("{few:?}").contains("4 of 16 possible"), "{few:?}");
}

#[test]
fn merging_below_a_device_is_named() {
    let of = Offloads {
        flags: Some(Flags {
            lro: false,
            rx_vlan: false,
        }),
        merging_below: vec!["eth0".into()],
        ..Offloads::default()
    };
    assert_eq!(
        mend(&offloads(&device(), &of)),
        Some("`ethtool -K eth0 gro off lro off`")
    );
}
