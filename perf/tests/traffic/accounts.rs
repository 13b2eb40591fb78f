//! Generator and sink: every frame is accounted for.

use std::{
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use causeway::sys::{packet, sockopt};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    TO,
    lab::{Background, Lab, number, parse, results},
};

/// Sends, slowly enough for any machine if nothing else is asked for; returns the generator's record.
fn generate(lab: &Lab, more: &[&str]) -> serde_json::Value {
    let link = lab.link("a", "out");
    let rate = if more.contains(&"--rate") {
        &[][..]
    } else {
        &["--rate", "1kfps"]
    };
    let arguments = [&["generate", "--link", &link, "--to", TO][..], rate].concat();
    results(&[&arguments[..], more].concat()).remove(0)
}

#[test]
fn all_frames_of_all_flows_and_sizes_come() {
    let lab = Lab::with_bridge();
    for vlan in [&[][..], &["--vlan", "7"]] {
        let (size, bytes) = if vlan.is_empty() {
            ("imix", 362)
        } else {
            ("68", 68)
        };
        let sink = Background::sink(&lab.link("b", "in"), &[]);
        let more = ["--frames", "600", "--flows", "7", "--frame-bytes", size];
        let sent = generate(&lab, &[&more[..], vlan].concat());
        assert_eq!(sent["test"], "generate");
        assert_eq!((&sent["sent"], &sent["refused"]), (&600.into(), &0.into()));
        assert_eq!(
            (&sent["frame_bytes"], &sent["frame_sizes"]),
            (&bytes.into(), &size.into())
        );
        let came = sink.report();
        assert_eq!(
            (&came["test"], &came["received"]),
            (&"sink".into(), &600.into()),
            "{came}"
        );
        assert_eq!(came["flows"], 7);
        for none in [
            "lost",
            "reordered",
            "duplicated",
            "corrupted",
            "too_late",
            "dropped_at_sink",
            "latency_negative",
        ] {
            assert_eq!(came[none], 0, "{none}: {came}");
        }
        let quantiles = ["p50", "p90", "p99", "p999", "max"];
        let quantiles = quantiles.map(|q| number(&came, &format!("latency_{q}_s")));
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{came}");
        assert_eq!(came["latency_frames"], 600);
        assert_eq!(came["latency_cdf"].as_array().map(Vec::len), Some(102));
        assert!(number(&came, "frames_per_s") > 0.0 && number(&came, "gbit_per_s") > 0.0);
    }
}

/// The kernel's own counters say how many it led astray, and how many it sent twice.
#[test]
fn lost_and_duplicated_are_what_the_kernel_says() {
    let lab = Lab::with_faults(true);
    let sink = Background::sink(&lab.link("b", "in"), &[]);
    generate(&lab, &["--frames", "960", "--flows", "3"]);
    let came = sink.report();
    let (astray, passed) = (lab.sent_at("m", "astray"), lab.sent_at("m", "right"));
    assert_eq!((astray, passed), (60, 960));
    assert_eq!(came["received"], 960 - astray);
    // No loss can be seen but before a frame that came; each flow's first frame is among the lost.
    assert_eq!(came["lost"], astray);
    assert_eq!(came["duplicated"], passed - (960 - astray));
    assert_eq!(
        (&came["reordered"], &came["corrupted"]),
        (&0.into(), &0.into())
    );
}

/// The test itself is the switch, which swaps each tenth frame with its successor and spoils each twentieth.
#[test]
fn reordered_and_corrupted_are_what_a_switch_did() {
    let lab = Lab::new();
    let sink = Background::sink(&lab.link("b", "in"), &[]);
    let frames = 500;
    thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let switch = scope.spawn({
            let lab = &lab;
            move || switch(lab, frames, ready)
        });
        is_ready.recv().expect("a switch");
        generate(
            &lab,
            &["--frames", &frames.to_string(), "--frame-bytes", "128"],
        );
        switch.join().expect("it saw all frames");
    });
    let came = sink.report();
    assert_eq!(came["corrupted"], frames / 20);
    assert_eq!(
        (&came["received"], &came["lost"]),
        (&(frames - frames / 20).into(), &(frames / 20).into())
    );
    assert_eq!(
        (&came["reordered"], &came["duplicated"]),
        (&(frames / 10).into(), &0.into()),
        "{came}"
    );
}

fn switch(lab: &Lab, frames: usize, ready: std::sync::mpsc::Sender<()>) {
    let namespace =
        std::fs::File::open(format!("/run/netns/{}", lab.netns("m"))).expect("a namespace");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root");
    let [left, right] = ["left", "right"].map(|name| {
        let any = rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::DGRAM,
            None,
        );
        let index = rustix::net::netdevice::name_to_index(any.expect("a socket"), name);
        packet::open(index.expect("the interface")).expect("CAP_NET_RAW")
    });
    sockopt::force_receive_buffer(left.as_fd(), 64 << 20).expect("CAP_NET_ADMIN");
    ready.send(()).expect("the test waits");
    let send = |frame: &[u8]| {
        rustix::net::send(&right, frame, SendFlags::empty()).expect("room");
    };
    let end = Instant::now() + Duration::from_secs(30);
    let (mut seen, mut held) = (0, None::<Vec<u8>>);
    let mut buffer = vec![0; 2_048];
    while seen < frames {
        assert!(Instant::now() < end, "{seen} of {frames} frames came");
        let length = match rustix::net::recv(&left, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN) => {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let frame = &mut buffer[..length];
        // Only test frames, by their port.
        if length < 60 || frame[36..38] != [0, 9] {
            continue;
        }
        seen += 1;
        match seen % 20 {
            3 | 13 => held = Some(frame.to_vec()),
            8 => {
                frame[100] ^= 0x10;
                send(frame);
            }
            _ => send(frame),
        }
        if matches!(seen % 20, 4 | 14) {
            send(&held.take().expect("the one before"));
        }
    }
}

/// As fast as it goes: what the sink has no room for is not lost without a trace.
#[test]
fn at_saturation_the_counts_add_up() {
    let lab = Lab::new();
    let sink = Background::sink(&lab.link("m", "left"), &[]);
    let sent = generate(&lab, &["--rate", "max", "--frames", "60000"]);
    let came = sink.report();
    let all = number(&sent, "sent") + number(&sent, "refused");
    assert_eq!(all, 60_000.0);
    let accounted = number(&came, "received") + number(&came, "dropped_at_sink");
    assert_eq!(accounted, number(&sent, "sent"), "{sent} {came}");
}

#[test]
fn live_frames_are_counted() {
    let lab = Lab::new();
    let sink = Background::sink(&lab.link("m", "left"), &["--count-only"]);
    let link = lab.link("a", "out");
    let arguments = [
        "generate",
        "--link",
        &link,
        "--to",
        TO,
        "--generator",
        "live",
        "--seconds",
        "0.2",
    ];
    for rate in ["max", "2kfps"] {
        let sent = results(&[&arguments[..], &["--rate", rate]].concat()).remove(0);
        assert_eq!(sent["generator"], "live");
        assert!(number(&sent, "sent") > 0.0, "{sent}");
    }
    let came = sink.report();
    let left = lab.sent_at("a", "out");
    // The kernel counts the frames of the redirect, too.
    assert_eq!(
        (&came["received"], &came["count_only"]),
        (&left.into(), &true.into())
    );
}

/// Ctrl-C is how a generator without an end ends: with a report that is right to the frame.
#[test]
fn ctrl_c_at_the_generator_loses_no_count() {
    let lab = Lab::new();
    let sink = Background::sink(&lab.link("m", "left"), &[]);
    let link = lab.link("a", "out");
    let arguments = [
        "generate", "--link", &link, "--to", TO, "--rate", "200kbps", "--flows", "2",
    ];
    let generator = Background::start(&arguments);
    let end = Instant::now() + Duration::from_secs(30);
    while lab.sent_at("a", "out") < 20 {
        assert!(Instant::now() < end, "nothing is sent");
        thread::sleep(Duration::from_millis(10));
    }
    let (code, stdout) = generator.interrupt();
    assert_eq!(code, Some(0));
    let sent = parse(&stdout).remove(0);
    let came = sink.report();
    assert!(number(&sent, "sent") >= 20.0);
    assert_eq!(
        (&came["received"], &came["lost"]),
        (&sent["sent"], &0.into())
    );
    assert_eq!(number(&sent, "asked_frames_per_s"), 200_000.0 / 512.0);
}
