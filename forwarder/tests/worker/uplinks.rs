//! The two kinds of uplink, and what AF_XDP on it leaves to the socket.

use std::{net::SocketAddr, os::fd::AsFd as _, sync::Arc, time::Duration};

use causeway::{
    sys::xsk::{XskConfig, XskPort, XskTuning},
    uplink::{self, NextHop, NextHops, Tag, Target, UdpUplink, Uplink, XdpUplink},
    worker::Command,
    xdp::UplinkProgram,
};
use causeway_ebpf::{UplinkConfig, UplinkVerdict};

use crate::{
    ends::{End, Ends},
    netns::{Namespace, in_namespace, wait_until},
    sleeping::sleeps_in_a_second,
};

const DEVICES: [&str; 2] = ["up0", "up1"];
const MAX_FRAME: usize = 1_522;

/// What the two ends are connected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Sockets on loopback.
    Sockets,
    /// AF_XDP ports at the two ends of a wire, over IPv4. The sockets are still connected by loopback.
    Xdp4,
    /// The same over IPv6.
    Xdp6,
}

type Made = (Uplink, Option<UplinkProgram>);

impl Wire {
    pub(crate) fn uplinks(self, namespace: &Namespace) -> [Made; 2] {
        let addresses = match self {
            Self::Sockets => ["127.0.0.1:0"; 2],
            Self::Xdp4 => ["192.0.2.1:0", "192.0.2.2:0"],
            Self::Xdp6 => ["[2001:db8::1]:0", "[2001:db8::2]:0"],
        };
        let addresses = addresses.map(|a| a.parse::<SocketAddr>().unwrap());
        if self == Self::Sockets {
            return addresses.map(|address| (socket(address).into(), None));
        }
        let [a, b] = DEVICES;
        namespace.veth(a, b);
        for (device, address) in DEVICES.iter().zip(addresses) {
            let ip = address.ip();
            std::fs::write(
                format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"),
                "0",
            )
            .unwrap();
            let (prefix, nodad) = if ip.is_ipv6() {
                (64, "nodad")
            } else {
                (24, "noprefixroute")
            };
            namespace.ip(&[
                "address",
                "add",
                &format!("{ip}/{prefix}"),
                "dev",
                device,
                nodad,
            ]);
        }
        let made = [0, 1].map(|i| with_port(namespace, DEVICES[i], socket(addresses[i])));
        made.map(|(uplink, program)| (uplink, Some(program)))
    }
}

fn socket(address: SocketAddr) -> UdpUplink {
    UdpUplink::new(uplink::bind(address, false).unwrap()).unwrap()
}

fn with_port(namespace: &Namespace, device: &str, udp: UdpUplink) -> (Uplink, UplinkProgram) {
    let address = udp.local_address().unwrap();
    let port = XskPort::open(&XskConfig {
        interface: device.into(),
        queue: 0,
        ring_size: 512,
        max_frame: MAX_FRAME,
        tuning: XskTuning::default(),
    });
    let port = port.expect("an AF_XDP socket");
    let mut program = UplinkProgram::load().expect("CAP_BPF");
    let config = UplinkConfig::new(namespace.mac(device), MAX_FRAME as u16);
    program.configure(&config).unwrap();
    program.add_port(address.port()).unwrap();
    program.set_addresses([address.ip()]).unwrap();
    program.set_socket(0, &port.as_fd()).unwrap();
    program.attach(device).expect("attach");
    let xdp = XdpUplink::new(port, address.port(), MAX_FRAME);
    (Uplink::new(udp, Some(xdp)), program)
}

/// The way from one end to the other over the wire: as the path is set, and as it is learnt.
pub(crate) fn next_hops(namespace: &Namespace, from: &End, to: &End) -> Arc<NextHops> {
    next_hops_of(namespace, from, to, 1_500, None)
}

fn next_hops_of(
    namespace: &Namespace,
    from: &End,
    to: &End,
    mtu: usize,
    tag: Option<Tag>,
) -> Arc<NextHops> {
    let first = from.address.ip() < to.address.ip();
    let [own, other] = if first {
        DEVICES
    } else {
        [DEVICES[1], DEVICES[0]]
    };
    let hop = NextHop {
        interface: own.into(),
        gateway: None,
        source: from.address.ip(),
        mac: namespace.mac(other),
        source_mac: namespace.mac(own),
        tag,
        mtu,
    };
    let targets = [None, Some(from.address.ip())].map(|local| Target {
        remote: to.address.ip(),
        local,
    });
    Arc::new(targets.map(|target| (target, Ok(hop.clone()))).into())
}

const NEVER: Duration = Duration::from_secs(600);

/// A frame from site to cloud; waits for, and checks, how many datagrams AF_XDP sent and received of it, and
/// how many were sent at all.
fn cross(ends: &mut Ends, number: u32, length: usize, expected: [u64; 3]) {
    let count = |ends: &Ends| {
        let (site, cloud) = (ends.site.counters(), ends.cloud.counters());
        [&site.wan_xdp_tx, &cloud.wan_xdp_rx, &site.wan_tx_datagrams].map(|c| c.get())
    };
    let before = count(ends);
    let frame = ends.site.frame(number, length);
    ends.site.send(&frame);
    ends.cloud.expect(&frame);
    let since = |ends: &Ends| {
        let after = count(ends);
        [0, 1, 2].map(|i| after[i] - before[i])
    };
    wait_until("it is counted", || since(ends) == expected);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(since(ends), expected, "no more comes");
}

fn opened(namespace: &Namespace, wire: Wire) -> Ends {
    let ends = Ends::over(namespace, wire, NEVER);
    wait_until("the opening keepalives are over", || {
        [&ends.site, &ends.cloud]
            .iter()
            .all(|e| e.counters().keepalives.get() == 3)
    });
    ends
}

#[test]
fn without_a_next_hop_the_socket_sends() {
    in_namespace(|namespace| {
        let mut ends = opened(namespace, Wire::Xdp4);
        cross(&mut ends, 1, 100, [1, 1, 1]);
        // Through loopback now, where no program steers.
        ends.site.tell(Command::NextHops(Arc::default()));
        cross(&mut ends, 2, 100, [0, 0, 1]);
        let target = Target {
            remote: ends.cloud.address.ip(),
            local: None,
        };
        let unresolved = [(target, Err("not resolved".to_owned()))].into();
        ends.site.tell(Command::NextHops(Arc::new(unresolved)));
        cross(&mut ends, 3, 100, [0, 0, 1]);
        ends.use_next_hops(namespace);
        cross(&mut ends, 4, 1_514, [2, 2, 2]);
    });
}

#[test]
fn datagrams_above_the_mtu_go_through_the_socket() {
    in_namespace(|namespace| {
        let mut ends = opened(namespace, Wire::Xdp4);
        // 1,452 bytes of payload are one too many for an MTU of 1,479.
        let hops = next_hops_of(namespace, &ends.site, &ends.cloud, 1_479, None);
        ends.site.tell(Command::NextHops(hops));
        cross(&mut ends, 1, 1_514, [0, 0, 2]);
        cross(&mut ends, 2, 100, [1, 1, 1]);
    });
}

/// As where the route leaves by a VLAN on the NIC: tagged on the wire, and steered all the same.
#[test]
fn tags_are_written_and_looked_through() {
    for wire in [Wire::Xdp4, Wire::Xdp6] {
        in_namespace(|namespace| {
            let mut ends = opened(namespace, wire);
            let tag = Tag {
                protocol: 0x8100,
                vlan: 7,
            };
            let hops = next_hops_of(namespace, &ends.site, &ends.cloud, 1_500, Some(tag));
            ends.site.tell(Command::NextHops(hops));
            cross(&mut ends, 1, 1_514, [2, 2, 2]);
            // Without the program the kernel sees it as well.
            ends.cloud.steers.as_mut().unwrap().detach();
            let mut capture = std::process::Command::new("timeout")
                .args(["5", "tcpdump", "-nei", "up1", "-c", "1", "vlan 7 and udp"])
                .spawn()
                .expect("timeout, tcpdump");
            wait_until("a tagged datagram", || {
                ends.site.send(&ends.site.frame(2, 100));
                matches!(capture.try_wait(), Ok(Some(status)) if status.success())
            });
        });
    }
}

/// What the program does not steer arrives at the socket: here, all of it.
#[test]
fn what_the_kernel_gets_is_received_too() {
    in_namespace(|namespace| {
        let mut ends = opened(namespace, Wire::Xdp6);
        let program = ends.cloud.steers.as_mut().unwrap();
        program.set_addresses([]).unwrap();
        let passed = |ends: &Ends| {
            let counters = ends.cloud.steers.as_ref().unwrap().counters().unwrap();
            counters[UplinkVerdict::Other.index()]
        };
        let before = passed(&ends);
        cross(&mut ends, 1, 100, [1, 0, 1]);
        assert!(passed(&ends) > before);
    });
}

/// What the device had not taken when it went is not offered for ever.
#[test]
fn without_the_device_the_worker_sleeps_again() {
    in_namespace(|namespace| {
        let mut ends = opened(namespace, Wire::Xdp4);
        cross(&mut ends, 1, 100, [1, 1, 1]);
        namespace.ip(&["link", "set", "up0", "down"]);
        let before = ends.site.counters().wan_xdp_tx.get();
        for number in 2..20 {
            ends.site.send(&ends.site.frame(number, 100));
        }
        wait_until("they are in the ring", || {
            ends.site.counters().wan_xdp_tx.get() > before
        });
        namespace.ip(&["link", "delete", "up0"]);
        assert!(
            sleeps_in_a_second(&ends.site) > 60,
            "they are offered again"
        );
        ends.site.tell(Command::CloseUplinkXdp);
        assert!(sleeps_in_a_second(&ends.site) < 30);
    });
}
