use super::*;

fn pair() -> (UdpUplink, UdpUplink, Path) {
    let a = UdpUplink::new(bind("127.0.0.1:0".parse().unwrap(), false).unwrap()).unwrap();
    let b = UdpUplink::new(bind(wildcard(0), false).unwrap()).unwrap();
    let port = b.local_address().unwrap().port();
    let remote = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    (
        a,
        b,
        Path {
            remote,
            local: None,
        },
    )
}

fn receive_all(b: &mut UdpUplink, want: usize) -> Vec<(Vec<u8>, Path)> {
    let mut got = Vec::new();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while got.len() < want && std::time::Instant::now() < deadline {
        b.receive(|run, size, path| {
            let datagrams = run.chunks(size);
            got.extend(datagrams.map(|d| (d.to_vec(), path.path)));
        });
    }
    got
}

#[test]
fn a_run_arrives_as_its_datagrams_and_answers_find_their_way() {
    let (mut a, mut b, path) = pair();
    let bytes: Vec<u8> = (0..1_000 * 20 + 77).map(|i| (i / 1_000) as u8).collect();
    let run = Run {
        bytes: &bytes,
        segment_size: 1_000,
    };
    a.send(&run, &path).unwrap();
    let got = receive_all(&mut b, 21);
    let lengths: Vec<usize> = got.iter().map(|(d, _)| d.len()).collect();
    assert_eq!(lengths, [[1_000; 20].as_slice(), &[77]].concat());
    assert_eq!(
        got.iter().flat_map(|(d, _)| d.clone()).collect::<Vec<_>>(),
        bytes
    );

    let back = got[0].1;
    assert_eq!(back.local, Some(Ipv4Addr::LOCALHOST.into()));
    b.send(
        &Run {
            bytes: b"answer",
            segment_size: 1_000,
        },
        &back,
    )
    .unwrap();
    let answer = receive_all(&mut a, 1);
    assert_eq!(answer[0].0, b"answer");
    assert_eq!(answer[0].1.remote, path.remote);
}

/// Over IPv4, by a socket of either family, and IPv6; one datagram, and several at once.
#[test]
fn a_traffic_class_leaves_and_its_ecn_field_arrives() {
    for (from, to) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::]:0", "127.0.0.1:0"),
        ("[::1]:0", "[::1]:0"),
    ] {
        let open =
            |address: &str| UdpUplink::new(bind(address.parse().unwrap(), false).unwrap()).unwrap();
        let (a, mut b) = (open(from), open(to));
        let remote = b.local_address().unwrap();
        let path = Path {
            remote,
            local: Some(remote.ip()),
        };
        for (class, length) in [(0xBB, 100), (0xB8, 250), (0x02, 250), (0x01, 300)] {
            let run = Run {
                bytes: &[7; 300][..length],
                segment_size: 100,
            };
            a.send_marked(&run, &path, class).unwrap();
            let mut got: Vec<Vec<u8>> = Vec::new();
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while got.concat().len() < length && std::time::Instant::now() < deadline {
                b.receive(|run, size, arrival| {
                    assert_eq!(arrival.ecn, class & 3, "{from} {class:#x}");
                    got.extend(run.chunks(size).map(<[u8]>::to_vec));
                });
            }
            assert_eq!(got.concat(), run.bytes);
            assert!(got.iter().all(|datagram| datagram.len() <= 100));
        }
    }
}

#[test]
fn reuseport_selector_steers_quic_esp_and_runts() {
    let any = bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
    let address = any.local_addr().unwrap();
    let mut group = vec![UdpUplink::new(any).unwrap()];
    for _ in 0..2 {
        group.push(UdpUplink::new(bind(address, true).unwrap()).unwrap());
    }
    sockopt::attach_reuseport_selector(group[0].as_fd()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases: [(&[u8], usize); 5] = [
        (&[0xC0, 0, 0, 1, 9], 0),
        (&[0x40, 0, 0, 1, 9], 0),
        (&[0x80, 0, 7, 0, 9], 1),
        (&[0x01, 0, 7, 1, 9], 2),
        (&[0x01], 0),
    ];
    for (payload, socket) in cases {
        sender.send_to(payload, address).unwrap();
        assert_eq!(
            receive_all(&mut group[socket], 1)[0].0,
            payload,
            "{payload:?}"
        );
    }
}
