use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::uplink::Tag;

const PORT: u16 = 24_500;

fn hop(source: IpAddr, tag: Option<Tag>, mtu: usize) -> NextHop {
    NextHop {
        interface: "eth0".into(),
        gateway: None,
        source,
        mac: [2, 0, 0, 0, 0, 1],
        source_mac: [2, 0, 0, 0, 0, 2],
        tag,
        mtu,
    }
}

fn addresses() -> [(IpAddr, IpAddr); 2] {
    let v4 = |last| IpAddr::from(Ipv4Addr::new(198, 51, 100, last));
    let v6 = |last| {
        IpAddr::from(Ipv6Addr::new(
            0x2001, 0xdb8, 0, 0, 0xffff, 0xffff, 0xffff, last,
        ))
    };
    [(v4(1), v4(255)), (v6(1), v6(0xffff))]
}

fn template(source: IpAddr, remote: IpAddr, tag: Option<Tag>, mtu: usize) -> Template {
    let remote = SocketAddr::new(remote, 1_234);
    Template::new(&hop(source, tag, mtu), PORT, remote).unwrap()
}

/// Every word from the IP header's pseudo header on sums to all ones.
fn udp_sum(frame: &[u8], outer: &Outer) -> u16 {
    let udp = outer.payload - UDP_LEN;
    let addresses = sum(&outer.source.to_bytes()) + sum(&outer.destination.to_bytes());
    let length = outer.length + UDP_LEN;
    fold(addresses + u32::from(PROTOCOL_UDP) + length as u32 + sum(&frame[udp..][..length]))
}

#[test]
fn what_is_written_parses_back_and_its_checksums_are_right() {
    let tags = [
        None,
        Some(Tag {
            protocol: 0x8100,
            vlan: 7,
        }),
        Some(Tag {
            protocol: 0x88a8,
            vlan: 4_094,
        }),
    ];
    for (source, remote) in addresses() {
        for tag in tags {
            let mut template = template(source, remote, tag, 1_500);
            for length in [0, 1, 2, 3, 4, 60, 1_451, 1_452, 8_972] {
                let payload: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
                let mut frame = [template.headers(&payload), &payload].concat();
                let header = EthernetHeader::parse(&frame[..]).unwrap();
                assert_eq!(header.vlan, tag.map_or(0, |t| t.vlan));
                let outer = Outer::parse(&frame[..], &header).unwrap();
                assert_eq!((outer.source_port, outer.destination_port), (PORT, 1_234));
                if source.is_ipv6() {
                    assert_eq!(udp_sum(&frame, &outer), 0xFFFF);
                } else {
                    assert_eq!(frame[outer.payload - 2..outer.payload], [0, 0]);
                }
                // As the other end sees it: from our address, to its own.
                let (datagram, Arrival { path, .. }) = datagram_of(&mut frame).unwrap();
                assert_eq!(datagram, payload);
                assert_eq!(path.remote, SocketAddr::new(source, PORT));
                assert_eq!(path.local, Some(remote));
            }
        }
    }
}

/// Set, changed and taken back; the checksums follow, and all else stays.
#[test]
fn the_traffic_class_is_that_of_the_frame() {
    let payload = [5; 40];
    for (source, remote) in addresses() {
        let mut template = template(source, remote, None, 1_500);
        let plain = [template.headers(&payload), &payload].concat();
        for class in [0xB8, 0xFF, 0x03, 0x01, 0] {
            template.set_class(class);
            let mut frame = [template.headers(&payload), &payload].concat();
            assert_eq!(traffic_class::of(&frame), class);
            let header = EthernetHeader::parse(&frame[..]).unwrap();
            let outer = Outer::parse(&frame[..], &header).unwrap();
            if source.is_ipv6() {
                assert_eq!(udp_sum(&frame, &outer), 0xFFFF);
            }
            // It looks at IPv4's checksum.
            let (datagram, arrival) = datagram_of(&mut frame).unwrap();
            assert_eq!((&*datagram, arrival.ecn), (&payload[..], class & 3));
        }
        assert_eq!([template.headers(&payload), &payload].concat(), plain);
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    let [_, (source, remote)] = addresses();
    let mut template = template(source, remote, None, 1_500);
    let zeros = [0; 4];
    let with_zeros = template.headers(&zeros);
    let checksum = [with_zeros[60], with_zeros[61]];
    // What is added to the payload is taken from the checksum: nothing is left of it.
    let payload = [checksum[0], checksum[1], 0, 0];
    assert_eq!(template.headers(&payload)[60..62], [0xFF, 0xFF]);
}

#[test]
fn the_mtu_bounds_the_payload() {
    let [(v4, to4), (v6, to6)] = addresses();
    assert_eq!(template(v4, to4, None, 1_500).max_payload(), 1_472);
    assert_eq!(template(v6, to6, None, 1_500).max_payload(), 1_452);
    let tag = Some(Tag {
        protocol: 0x8100,
        vlan: 7,
    });
    assert_eq!(template(v4, to4, tag, 1_500).max_payload(), 1_472);
    assert_eq!(template(v4, to4, None, 20).max_payload(), 0);
    let mixed = Template::new(&hop(v4, None, 1_500), PORT, SocketAddr::new(to6, 1));
    assert!(mixed.is_none());
}

#[test]
fn damaged_ipv4_headers_name_nobody() {
    let [(source, remote), _] = addresses();
    let payload = [5; 40];
    let frame = [
        template(source, remote, None, 1_500).headers(&payload),
        &payload,
    ]
    .concat();
    assert!(datagram_of(&mut frame.clone()).is_some());
    for at in 14..34 {
        for bit in 0..8 {
            let mut damaged = frame.clone();
            damaged[at] ^= 1 << bit;
            assert!(datagram_of(&mut damaged).is_none(), "byte {at}, bit {bit}");
        }
    }
    for length in 0..frame.len() {
        assert!(datagram_of(&mut frame[..length].to_vec()).is_none());
    }
}

/// What scapy makes of the frames: it computes the checksums anew, and they do not change.
#[test]
fn scapy_agrees_on_every_field() {
    let script = "import sys\n\
        from scapy.layers.l2 import Ether\n\
        from scapy.layers.inet import IP, UDP\n\
        from scapy.layers.inet6 import IPv6\n\
        for line in sys.stdin:\n\
        \x20   raw = bytes.fromhex(line)\n\
        \x20   frame = Ether(raw)\n\
        \x20   ip = frame.getlayer(IP) or frame.getlayer(IPv6)\n\
        \x20   if ip.version == 4:\n\
        \x20       assert (ip.flags, ip.id, ip.ttl, ip[UDP].chksum) == ('DF', 0, 64, 0), ip.summary()\n\
        \x20       del ip.chksum\n\
        \x20   else:\n\
        \x20       assert ip.hlim == 64 and ip[UDP].chksum, ip.summary()\n\
        \x20       del ip[UDP].chksum\n\
        \x20       del ip.plen\n\
        \x20   del ip[UDP].len\n\
        \x20   assert bytes(frame) == raw, frame.show(dump=True)\n\
        \x20   print(ip.src, ip[UDP].sport, ip.dst, ip[UDP].dport)\n";
    let mut lines = String::new();
    for (source, remote) in addresses() {
        for tag in [
            None,
            Some(Tag {
                protocol: 0x8100,
                vlan: 7,
            }),
        ] {
            for length in [4, 61, 1_200] {
                let payload: Vec<u8> = (0..length).map(|i| (i * 13) as u8).collect();
                let mut template = template(source, remote, tag, 1_500);
                let frame = [template.headers(&payload), &payload].concat();
                lines.extend(frame.iter().map(|byte| format!("{byte:02x}")));
                lines.push('\n');
            }
        }
    }
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    // Debian's scapy belongs to Debian's Python.
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "is python3-scapy installed?");
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), 12, "{answers}");
    assert!(
        answers.starts_with("198.51.100.1 24500 198.51.100.255 1234"),
        "{answers}"
    );
}
