//! The path of an end that listens: it waits to be dialled, for who is awaited.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use causeway_tunnel::{message::Role, session::SessionError};

use super::{CAUSEWAY, CLOUD, ESP, drops, rules};
use crate::{
    insider::{Insider, hello},
    lab::{Lab, PATIENCE, shown},
};

/// A configuration of the cloud, that is dialled by these, and the doctor's exit code and words with it.
fn doctor_of_cloud(lab: &Lab, peers: &[(&str, String)], more: &str) -> (Option<i32>, String) {
    let key = lab.dir().join("cloud.key");
    let peers: Vec<_> = peers
        .iter()
        .map(|(name, key)| format!("\"{name}={key}\""))
        .collect();
    let text = format!(
        "role = \"cloud\"\nlan = \"lan\"\nkey = \"{}\"\nlisten = \"{CLOUD}\"\npeer = [{}]\n{more}\n",
        key.display(),
        peers.join(", ")
    );
    let file = lab.dir().join("cloud.toml");
    std::fs::write(&file, text).unwrap();
    let all = [
        "timeout",
        "60",
        CAUSEWAY,
        "doctor",
        "--target",
        "10.77.0.50",
        "--config",
    ];
    let all = [&all[..], &[file.to_str().unwrap()]].concat();
    let output = lab.command("cloud", &all).output().unwrap();
    (output.status.code(), shown(&output))
}

/// An end that is dialled waits for the call, and measures the same.
#[test]
fn an_end_that_listens_waits_to_be_dialled() {
    let lab = Lab::up(&["--queues", "2"]);
    lab.start("both", &["--station-ageing", "60s"]);
    lab.wait_for_session();
    lab.stop("cloud", "TERM");
    let peers = [("site", lab.public_key("site"))];
    let ask = || doctor_of_cloud(&lab, &peers, "");
    let (code, text) = ask();
    for words in [
        "site: one with our key came up at 198.51.100.2:",
        "ESP datagrams of 1472 bytes of UDP payload arrive there and back",
        "datagrams went on 1 lanes, 0 of them",
        // There may be keepalives among those that come.
        "0 of 100 there; 0 of 10",
    ] {
        assert!(text.contains(words), "no {words}: {text}");
    }
    assert_eq!(code, Some(0), "{text}");
    drops(&lab, &format!("udp sport 24500 {ESP}"));
    let (code, text) = ask();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILING  ESP passes"), "{text}");
    drops(&lab, "udp dport 24500");
    let (code, text) = ask();
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("nobody with its key has dialled 203.0.113.2:24500"),
        "{text}"
    );
    rules(&lab, "");
    lab.start("cloud", &[]);
    lab.wait_for_session();
    lab.dc_reaches("10.77.0.50");
    // Beside it nobody is dialled, as it dials nobody.
    let (_, text) = doctor_of_cloud(&lab, &peers, "control = \"other\"");
    let words = "unknown  path                  site: a causeway on this machine works with";
    assert!(text.contains(words), "{text}");
    assert!(!text.contains("site: no address"), "{text}");
}

/// Nor does it wait for longer because somebody calls who is not awaited: a peer that has been measured, a stranger.
#[test]
fn who_is_not_awaited_keeps_no_listening_end_waiting() {
    let lab = Lab::up(&[]);
    lab.start("both", &[]);
    lab.wait_for_session();
    lab.stop("cloud", "TERM");
    let (_, absent) = lab.keygen("absent");
    let peers = [("site", lab.public_key("site")), ("absent", absent)];
    let stranger = Insider::stranger(&lab, "site", "198.51.100.2:0", hello(Role::Site));
    let ended = AtomicBool::new(false);
    let (code, text) = std::thread::scope(|scope| {
        let knocks = scope.spawn(|| {
            let mut refused = 0;
            while !ended.load(Ordering::Relaxed) {
                let outcome = stranger.dial();
                refused += u32::from(matches!(outcome, Err(SessionError::KeyRefused { .. })));
                std::thread::sleep(Duration::from_millis(200));
            }
            refused
        });
        let begun = Instant::now();
        let examined = doctor_of_cloud(&lab, &peers, "vlans = [\"site=10\", \"absent=20\"]");
        ended.store(true, Ordering::Relaxed);
        assert!(begun.elapsed() < 2 * PATIENCE, "{examined:?}");
        assert!(knocks.join().unwrap() > 10);
        examined
    });
    assert_eq!(code, Some(3), "{text}");
    for words in [
        "site: one with our key came up at 198.51.100.2:",
        "absent: nobody with its key has dialled 203.0.113.2:24500",
    ] {
        assert!(text.contains(words), "no {words}: {text}");
    }
}
