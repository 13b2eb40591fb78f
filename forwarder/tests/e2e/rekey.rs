//! New keys while traffic flows.

use std::time::{Duration, Instant};

use crate::lab::{DC, Lab, PATIENCE, VM1, within};

/// Make before break: a session every two seconds, and not one frame lost, doubled or out of order.
/// One end sends and receives by AF_XDP, the other through its kernel.
#[test]
fn rekeying_costs_no_frame() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &["--rekey-after", "2s", "--uplink", "udp"]);
    lab.start("site", &["--rekey-after", "2s", "--uplink", "xdp"]);
    lab.wait_for_session();
    let before = lab.status("site").peers[0].sessions;
    // The hosts' multicast reports before the first session had nowhere to go.
    let drops = |end| lab.status(end).drops;
    let dropped_before = ["site", "cloud"].map(drops);
    let began = Instant::now();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/frames.py");
    let run = |from: &str, to: &str, src: &str, dst: &str| {
        let args = [
            script,
            lab.name(),
            from,
            to,
            "--src",
            src,
            "--dst",
            dst,
            "--count",
            "8000",
            "--pause",
            "0.001",
        ];
        std::process::Command::new("python3")
            .args(args)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [run("dc", "vm1", DC, VM1), run("vm1", "dc", VM1, DC)];
    for child in both {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for line in [
            "sent 8000",
            "received 8000",
            "duplicated 0",
            "damaged 0",
            "reordered 0",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");
        }
    }
    let sessions = lab.status("site").peers[0].sessions - before;
    let seconds = began.elapsed().as_secs();
    assert!(sessions >= 3, "{sessions} sessions in {seconds} s");
    assert_eq!(["site", "cloud"].map(drops), dropped_before);
}

/// Old security associations are kept for a grace period and then forgotten, with the workers too.
#[test]
fn a_session_that_is_replaced_is_closed_at_both_ends() {
    let lab = Lab::running(&[], &["--rekey-after", "2s"]);
    let sessions = |end| lab.status(end).peers[0].sessions;
    assert!(within(PATIENCE, || sessions("site") >= 3 && sessions("cloud") >= 3));
    for end in ["site", "cloud"] {
        let status = lab.status(end);
        assert_eq!(status.peers[0].state, "up");
        assert_eq!(status.peers[0].last_error, None, "{end}");
        assert!(status.peers[0].session.as_ref().unwrap().age_s < 10.0);
    }
    // A rekey is everyday business: no warning in either log.
    std::thread::sleep(Duration::from_millis(300));
    for end in ["site", "cloud"] {
        let log = lab.log(end);
        let warnings = log
            .lines()
            .filter(|l| l.contains(" WARN ") && !l.contains("keys are written"));
        assert_eq!(warnings.count(), 0, "{end}:\n{log}");
    }
}
