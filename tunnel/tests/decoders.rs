//! Programs of other people open our datagrams, and we open theirs.
//!
//! They are needed: where scapy or tshark is missing, these tests fail.

mod common;

use causeway_tunnel::aead::Cipher;
use causeway_tunnel::lane::{Run, RxLane, TxLane};
use causeway_tunnel::sa::{IpFamily, SaKeys};
use causeway_tunnel::wire::NextHeader;
use common::*;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const CIPHERS: [Cipher; 2] = [Cipher::Aes256Gcm, Cipher::Aes128Gcm];
/// Sequence numbers without and with a high half, and the step between the two.
const FIRST: [u64; 4] = [1, u32::MAX as u64, 1 << 32, 0x0123_4567_89ab_cdef];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Asks the scapy script each of `requests`. Debian's scapy belongs to Debian's Python.
fn scapy(requests: &[String]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decoders/scapy_esp.py");
    let mut python = Command::new("/usr/bin/python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3: install the package python3");
    let mut stdin = python.stdin.take().expect("piped");
    // All at once, then the end of file: the answers fit into the pipe meanwhile.
    let text = requests.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = python.wait_with_output().expect("scapy's answers");
    let _ = writer.join().expect("the writer does not panic");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "scapy failed; if it is missing, install the package python3-scapy:\n{errors}"
    );
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .expect("hex")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(answers.len(), requests.len(), "{errors}");
    answers
}

/// A lone frame, a bundle of three, a frame in two halves, a dummy, from sequence `first` on.
fn datagrams(cipher: Cipher, first: u64, now: Instant) -> Vec<Vec<u8>> {
    let mut lane = TxLane::new(spi(), &keys(cipher), ENDLESS, now, 256, RUN);
    lane.skip_to(first);
    let mut out = Vec::new();
    let mut send = |run: Run<'_>| out.extend(datagrams_of(run, 256, RUN));
    for batch in [&[60][..], &[14, 61, 62], &[300]] {
        for &length in batch {
            lane.push(&frame(length, length), now, &mut send)
                .expect("the key is fresh");
        }
        lane.flush(&mut send);
    }
    lane.keepalive(now, &mut send).expect("the key is fresh");
    out
}

/// Each cipher, with each of the first sequence numbers.
fn cases() -> impl Iterator<Item = (Cipher, u64)> {
    CIPHERS
        .into_iter()
        .flat_map(|cipher| FIRST.map(|first| (cipher, first)))
}

/// What is to come out of `datagrams`, in the script's words.
fn payloads() -> [String; 5] {
    let bundled = |length| [&(length as u16).to_be_bytes()[..], &frame(length, length)].concat();
    let bundle = [&[0, 0][..], &bundled(14), &bundled(61), &bundled(62)].concat();
    let large = bundled(300);
    [
        format!("143 {}", hex(&frame(60, 60))),
        format!("253 {}", hex(&bundle)),
        // 222 bytes of payload: the offset, the length, 218 bytes; then the other 82.
        format!("253 0000{}", hex(&large[..220])),
        format!("253 0052{}", hex(&large[220..])),
        "59 -".to_owned(),
    ]
}

#[test]
fn scapy_opens_our_datagrams() {
    let now = Instant::now();
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for (cipher, first) in cases() {
        let key = hex(keys(cipher).key_and_salt());
        let datagrams = datagrams(cipher, first, now);
        for ((datagram, sequence), payload) in datagrams.iter().zip(first..).zip(payloads()) {
            let high = sequence >> 32;
            requests.push(format!("open {key} {high} {}", hex(datagram)));
            requests.push(format!("open {key} {} {}", high ^ 1, hex(datagram)));
            expected.extend([payload, "refused".to_owned()]);
        }
    }
    assert_eq!(scapy(&requests), expected);
}

#[test]
fn we_open_scapys_datagrams() {
    let now = Instant::now();
    let bundle = [&[0, 0, 0, 15][..], &frame(2, 15), &[0, 16], &frame(3, 16)].concat();
    let payloads = [
        (NextHeader::Ethernet, hex(&frame(1, 77))),
        (NextHeader::Bundle, hex(&bundle)),
        (NextHeader::Dummy, "-".to_owned()),
    ];
    let mut requests = Vec::new();
    for (cipher, first) in cases() {
        let (key, spi) = (hex(keys(cipher).key_and_salt()), u32::from(spi()));
        for ((next_header, payload), sequence) in payloads.iter().zip(first..) {
            let number = *next_header as u8;
            requests.push(format!("seal {key} {spi} {sequence} {number} {payload}"));
        }
    }
    let answers = scapy(&requests);
    for ((cipher, first), answers) in cases().zip(answers.chunks(payloads.len())) {
        let mut lane = RxLane::new(spi(), &keys(cipher), ENDLESS, now);
        let received: Vec<_> = answers
            .iter()
            .map(|d| receive(&mut lane, &unhex(d), now))
            .collect();
        let expected = [(Ok(1), vec![1]), (Ok(2), vec![2, 3]), (Ok(0), vec![])];
        assert_eq!(received, expected, "{cipher} from {first}");
        assert_eq!(lane.highest(), first + 2);
    }
}

/// A file that is gone when the test is over, however it ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const PORT: u16 = 24_500;

/// A capture file of `datagrams` in UDP over IPv4 or IPv6, link type "raw IP".
fn capture(family: IpFamily, datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4, zone, accuracy, snap length, LINKTYPE_RAW.
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 65_535, 101_u32] {
        file.extend(word.to_be_bytes());
    }
    for datagram in datagrams {
        let packet = udp(family, datagram);
        for word in [0, 0, packet.len() as u32, packet.len() as u32] {
            file.extend(word.to_be_bytes());
        }
        file.extend(packet);
    }
    file
}

fn udp(family: IpFamily, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 8) as u16;
    let header = match family {
        IpFamily::V4 => [
            &[0x45, 0][..],
            &(length + 20).to_be_bytes(),
            &[0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
        ]
        .concat(),
        IpFamily::V6 => {
            let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
            let first = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[17, 64]].concat();
            [&first[..], &address(1), &address(2)].concat()
        }
    };
    let ports = [
        PORT.to_be_bytes(),
        PORT.to_be_bytes(),
        length.to_be_bytes(),
        [0, 0],
    ]
    .concat();
    [&header[..], &ports, payload].concat()
}

/// What tshark makes of a capture, in full, with the line of our SA log.
fn tshark(name: &str, capture: &[u8], sa_line: &str) -> String {
    let file = format!("{name}-{}.pcap", std::process::id());
    let file = Scratch(Path::new(env!("CARGO_TARGET_TMPDIR")).join(file));
    std::fs::write(&file.0, capture).expect("the target directory is writable");
    let output = Command::new("tshark")
        .arg("-r")
        .arg(&file.0)
        .args(["-V", "-d", &format!("udp.port=={PORT},udpencap")])
        .args(["-o", "esp.enable_encryption_decode:TRUE"])
        .args(["-o", "esp.enable_authentication_check:TRUE"])
        .args(["-o", &format!("uat:esp_sa:{sa_line}")])
        .output()
        .expect("tshark: install the package tshark");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("tshark writes UTF-8")
}

/// An ARP request, so that tshark has something to recognise inside.
fn arp() -> Vec<u8> {
    let mut frame = unhex("ffffffffffff02000000000108060001080006040001");
    frame.extend(unhex("020000000001c000020a000000000000c0000214"));
    frame.resize(60, 0);
    frame
}

/// tshark judges the ICV as if sequence numbers had 32 bits, so it calls ours
/// incorrect; scapy, which knows RFC 4106's associated data for 64 bits, verifies it.
#[test]
fn tshark_shows_the_inner_ethernet_frame() {
    let now = Instant::now();
    let families = [IpFamily::V4, IpFamily::V6];
    let cases = families.into_iter().flat_map(|f| CIPHERS.map(|c| (f, c)));
    for ((family, cipher), first) in cases.zip(FIRST) {
        let keys = keys(cipher);
        let mut lane = TxLane::new(spi(), &keys, ENDLESS, now, 1_452, RUN);
        lane.skip_to(first);
        let mut out = Vec::new();
        lane.push(&arp(), now, &mut |_: Run<'_>| {})
            .expect("the key is fresh");
        lane.flush(&mut |run: Run<'_>| out.extend(datagrams_of(run, 1_452, RUN)));

        let line = keys.wireshark_line(family, spi());
        let shown = tshark(
            &format!("{family:?}-{cipher}"),
            &capture(family, &out),
            &line,
        );
        for expected in [
            "ESP SPI: 0x00001001",
            &format!("ESP Sequence: {}", first as u32),
            &format!("ESP IV: {}", hex(&first.to_be_bytes())),
            &format!("ESP ICV: {}", hex(&out[0][80..])),
            "Pad: 0102",
            "Next header: Ethernet",
            "Ethernet II, Src: 02:00:00:00:00:01",
            "Target IP address: 192.0.2.20",
        ] {
            assert!(shown.contains(expected), "no {expected:?} in\n{shown}");
        }
    }
}

/// The proof that the line of the SA log is what opened it.
#[test]
fn tshark_without_the_right_key_shows_nothing() {
    let now = Instant::now();
    let cipher = Cipher::Aes256Gcm;
    let mut lane = TxLane::new(spi(), &keys(cipher), ENDLESS, now, 1_452, RUN);
    let mut out = Vec::new();
    lane.push(&arp(), now, &mut |_: Run<'_>| {})
        .expect("the key is fresh");
    lane.flush(&mut |run: Run<'_>| out.extend(datagrams_of(run, 1_452, RUN)));

    let other = SaKeys::new(cipher, &[0xff; 36]).expect("36 bytes");
    let capture = capture(IpFamily::V4, &out);
    let shown = tshark(
        "other-key",
        &capture,
        &other.wireshark_line(IpFamily::V4, spi()),
    );
    assert!(shown.contains("ESP SPI: 0x00001001"), "{shown}");
    assert!(
        !shown.contains("192.0.2.20") && !shown.contains("02:00:00:00:00:01"),
        "{shown}"
    );
}
