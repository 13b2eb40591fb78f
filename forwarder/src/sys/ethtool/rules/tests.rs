use super::*;

/// Bytes in hexadecimal, and where they are.
type Pieces = &'static [(usize, &'static str)];

/// What ethtool 6.1 hands to the kernel for `-N eth0 flow-type ... action QUEUE loc 1023`, from the second member
/// of `struct ethtool_rxnfc` that means something (its `fs`, at byte 16) to `location`: pieces that are not zero,
/// and where they are.
const BY_ETHTOOL: [(&str, u32, Pieces); 4] = [
    // udp4 dst-port 24500 action 3
    (
        "to 24500",
        3,
        &[
            (16, "02"),
            (30, "5fb4"),
            (102, "ffff"),
            (168, "03"),
            (176, "ff03"),
        ],
    ),
    // udp4 src-ip 192.0.2.7 src-port 40001 dst-port 24500 action 2
    (
        "192.0.2.7:40001 to 24500",
        2,
        &[
            (16, "02"),
            (20, "c0000207"),
            (28, "9c415fb4"),
            (92, "ffffffff"),
            (100, "ffffffff"),
            (168, "02"),
            (176, "ff03"),
        ],
    ),
    // udp6 dst-port 24501 action 1
    (
        "IPv6 to 24501",
        1,
        &[
            (16, "06"),
            (54, "5fb5"),
            (126, "ffff"),
            (168, "01"),
            (176, "ff03"),
        ],
    ),
    // udp6 src-ip 2001:db8::7 src-port 40001 dst-port 24500 action 0
    (
        "[2001:db8::7]:40001 to 24500",
        0,
        &[
            (16, "06"),
            (20, "20010db8000000000000000000000007"),
            (52, "9c415fb4"),
            (92, "ffffffffffffffffffffffffffffffff"),
            (124, "ffffffff"),
            (176, "ff03"),
        ],
    ),
];

/// Where the last member of the rule ends.
const END: usize = 180;

/// A flow as the cases name it: `[IPv6 | SENDER] to PORT`.
fn flow(name: &str) -> UdpFlow {
    let (from, to) = name.split_once("to ").unwrap();
    let from = from.trim().parse().ok();
    UdpFlow {
        to: to.parse().unwrap(),
        from,
        ipv6: name.starts_with("IPv6") || from.is_some_and(|f: SocketAddr| f.is_ipv6()),
    }
}

fn bytes(request: &Request) -> Vec<u8> {
    let words = request.0[..END / 4].iter();
    words.flat_map(|word| word.to_ne_bytes()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

#[test]
fn rules_are_laid_out_as_ethtool_does() {
    for (name, queue, pieces) in BY_ETHTOOL {
        let mut expected = vec![0; END];
        expected[0] = 0x32;
        for (at, piece) in pieces {
            let piece = unhex(piece);
            expected[*at..at + piece.len()].copy_from_slice(&piece);
        }
        let mut request = Request::new(INSERT);
        flow(name).fill(&mut request);
        request.set_queue(queue);
        request.0[PLACE] = 1_023;
        assert_eq!(bytes(&request), expected, "{name}");
    }
}

#[test]
fn rules_are_read_as_they_were_written_and_others_are_none_of_ours() {
    for (name, queue, _) in BY_ETHTOOL {
        let mut written = Request::new(INSERT);
        flow(name).fill(&mut written);
        written.set_queue(queue);
        assert_eq!(UdpFlow::of(&written), Some(flow(name)), "{name}");
        // What is not masked means nothing.
        let (address, ports) = if flow(name).ipv6 { (16, 32) } else { (4, 8) };
        written.set_bytes(VALUES + address, &[9; 4]);
        assert_eq!(UdpFlow::of(&written), Some(flow(name)), "{name}");
        // A rule that says more or less: of one destination, of some ports, of a VLAN, of TCP.
        for (at, value) in [
            (MASKS + address, 0xff),
            (MASKS + ports + 3, 0xfe),
            (MASKS + ports + 4, 0xff),
            (144, 0xff),
            (16, 0x01),
            (16 + 3, 0x80),
        ] {
            let mut other = Request(written.0.clone());
            other.set_bytes(at, &[value]);
            assert_eq!(UdpFlow::of(&other), None, "{name}: {at}");
        }
    }
}

#[test]
fn no_more_is_asked_for_than_there_is_room_for() {
    let refused = |mut request: Request| {
        let error = request.send("lo").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    };
    let mut list = Request::new(LIST);
    list.0[RULE_COUNT] = MOST as u32 + 1;
    refused(list);
    let mut short = Request::new(LIST);
    short.0.pop();
    refused(short);
    // ETHTOOL_GREGS: its answer is as long as the device likes.
    refused(Request::new(0x04));
}

#[test]
fn a_device_without_rules_says_so() {
    let flow = flow("to 24500");
    let errno = |device| insert_rule(device, &flow, 0).unwrap_err().raw_os_error();
    assert_eq!(errno("lo"), Some(libc::EOPNOTSUPP));
    assert_eq!(errno("nosuch0"), Some(libc::ENODEV));
    assert_eq!(
        rules("lo").unwrap_err().raw_os_error(),
        Some(libc::EOPNOTSUPP)
    );
    let removed = remove_rule("lo", 0).unwrap_err().raw_os_error();
    assert_eq!(removed, Some(libc::EOPNOTSUPP));
}
