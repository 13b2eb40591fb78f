//! A peer that cannot be reached, or not like this: the log, `last_error` and the warnings name the mend, the program
//! goes on, and finds the peer once it is there.

use std::time::{Duration, Instant};

use causeway_tunnel::message::Role;
use rustix::process::Signal;

use crate::{
    insider::{CLOUD, Insider, hello, socket, unix_time},
    lab::{Lab, PATIENCE, within},
    running::Running,
};

/// A clock that has not been set (Debian package faketime); the loader knows what $LIB is here.
const FAKETIME: [&str; 4] = [
    "env",
    "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1",
    "FAKETIME=@2001-02-03 04:05:06",
    "DONT_FAKE_MONOTONIC=1",
];

/// A site that a test starts with a peer of its choice, in the place of the lab's.
struct Site<'a> {
    lab: &'a Lab,
    process: Running,
}

impl<'a> Site<'a> {
    fn dialling(lab: &'a Lab, prefix: &[&str], address: &str) -> Self {
        let public = std::fs::read_to_string(lab.dir().join("cloud.pub")).unwrap();
        let key = lab.dir().join("site.key");
        let peer = format!("cloud={}@{address}", public.trim());
        let arguments = [
            "--role",
            "site",
            "--lan",
            "lan",
            "--key",
            key.to_str().unwrap(),
            "--peer",
            &peer,
        ];
        let process = lab.run("site", "site", prefix, &arguments);
        lab.status_when_up("site");
        Self { lab, process }
    }

    /// The log warns once, and the status has the same words as last error and among the warnings.
    #[track_caller]
    fn assert_told(&self, words: &[&str]) {
        let has_all = |text: &str| words.iter().all(|word| text.contains(word));
        let told = || {
            let status = self.lab.status("site");
            status.peers[0].last_error.as_deref().is_some_and(has_all)
                && status
                    .warnings
                    .iter()
                    .any(|w| w.starts_with("no session with peer cloud: ") && has_all(w))
        };
        assert!(
            within(PATIENCE, told),
            "{words:?}\n{:?}\n{}",
            self.lab.status("site").warnings,
            self.lab.log("site")
        );
        let log = self.lab.log("site");
        assert!(
            log.lines().any(|l| l.contains(" WARN ") && has_all(l)),
            "{words:?}\n{log}"
        );
        assert_eq!(self.lab.status("site").peers[0].state, "dialling");
    }

    /// SIGTERM ends it promptly and well, whatever it waits for.
    #[track_caller]
    fn assert_stops(mut self) {
        let asked = Instant::now();
        self.process.signal(Signal::TERM);
        let code = self.process.exit_code(PATIENCE);
        assert!(
            code == Some(0) && asked.elapsed() < Duration::from_secs(2),
            "{code:?} after {:?}",
            asked.elapsed()
        );
    }
}

/// The lab's keys, made by a start of both ends.
fn lab_with_keys() -> Lab {
    let lab = Lab::running(&[], &[]);
    lab.stop("both", "TERM");
    lab
}

#[test]
fn a_peer_that_does_not_answer_is_dialled_until_it_does() {
    let lab = lab_with_keys();
    let site = Site::dialling(&lab, &[], CLOUD);
    site.assert_told(&[
        "no answer within 5 s from 203.0.113.2:24500",
        "is causeway running there",
        "UDP port 24500",
    ]);
    let pid = lab.status("site").pid;
    lab.start("cloud", &[]);
    assert!(
        within(PATIENCE, || lab.status("site").peers[0].state == "up"),
        "{}",
        lab.log("site")
    );
    let status = lab.status("site");
    assert_eq!(
        (
            status.pid,
            &status.peers[0].last_error,
            status.warnings.len()
        ),
        (pid, &None, 0)
    );
    site.assert_stops();
    lab.stop("cloud", "TERM");
    let site = Site::dialling(&lab, &[], "203.0.113.99:24500");
    site.assert_stops();
}

#[test]
fn a_name_that_does_not_resolve_is_named_and_a_silent_resolver_stops_nothing() {
    let lab = lab_with_keys();
    let site = Site::dialling(&lab, &[], "nowhere.invalid:24500");
    site.assert_told(&[
        "cannot resolve nowhere.invalid:24500",
        "check the name in --peer and the resolver",
    ]);
    site.assert_stops();

    let _silent = socket(&lab, "path", "198.51.100.1:53");
    let file = lab.dir().join("resolv.conf");
    std::fs::write(&file, "nameserver 198.51.100.1\n").unwrap();
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let site = Site::dialling(
        &lab,
        &["sh", "-c", mount, file.to_str().unwrap()],
        "gw.example.net:24500",
    );
    std::thread::sleep(Duration::from_millis(500));
    site.assert_stops();
}

#[test]
fn two_ends_of_the_same_role_tell_each_other() {
    let lab = lab_with_keys();
    let (key, site_key) = (
        lab.dir().join("cloud.key"),
        std::fs::read_to_string(lab.dir().join("site.pub")).unwrap(),
    );
    let peer = format!("site={}", site_key.trim());
    let arguments = [
        "--role",
        "site",
        "--lan",
        "lan",
        "--key",
        key.to_str().unwrap(),
        "--peer",
        &peer,
        "--listen",
        CLOUD,
    ];
    let _other = lab.run("cloud", "cloud", &[], &arguments);
    lab.status_when_up("cloud");
    let site = Site::dialling(&lab, &[], CLOUD);
    let words = [
        "has the role site like this end",
        "--role site, the other with --role cloud",
    ];
    site.assert_told(&words);
    let log = || lab.log("cloud");
    assert!(
        within(PATIENCE, || words.iter().all(|w| log().contains(w))),
        "{}",
        log()
    );
    site.assert_stops();
}

#[test]
fn another_protocol_version_names_the_mend() {
    let lab = lab_with_keys();
    let words = [
        "speaks control protocol version 2 and this end 1",
        "install the same causeway release on both ends",
    ];
    let newer = |role| causeway_tunnel::message::Hello {
        version: 2,
        ..hello(role)
    };
    let cloud = Insider::new(&lab, "cloud", CLOUD, newer(Role::Cloud));
    let site = Site::dialling(&lab, &[], CLOUD);
    site.assert_told(&words);
    site.assert_stops();
    drop(cloud);
    lab.start("cloud", &[]);
    let site = Insider::new(&lab, "site", "198.51.100.2:0", newer(Role::Site));
    let _session = site.dial();
    assert!(
        within(PATIENCE, || words
            .iter()
            .all(|w| lab.log("cloud").contains(w))),
        "{}",
        lab.log("cloud")
    );
}

/// Nothing depends on the clocks; but times in the logs of both ends do not compare.
#[test]
fn clocks_that_are_wrong_are_warned_of() {
    let lab = lab_with_keys();
    for (skew, words) in [(3_650_i64, "s ahead of ours"), (-7_250, "s behind ours")] {
        let told = causeway_tunnel::message::Hello {
            unix_time: unix_time().checked_add_signed(skew).unwrap(),
            ..hello(Role::Cloud)
        };
        let cloud = Insider::new(&lab, "cloud", CLOUD, told);
        let site = Site::dialling(&lab, &[], CLOUD);
        let _session = cloud.accept();
        let seconds = skew.unsigned_abs() / 100;
        let warned = |text: &str| {
            text.contains(words) && text.contains(&format!(" {seconds}")) && text.contains("NTP")
        };
        assert!(
            within(PATIENCE, || lab
                .status("site")
                .warnings
                .iter()
                .any(|w| warned(w))),
            "{:?}",
            lab.status("site").warnings
        );
        assert!(
            lab.log("site")
                .lines()
                .any(|l| l.contains(" WARN ") && warned(l)),
            "{}",
            lab.log("site")
        );
        site.assert_stops();
    }
    lab.start("cloud", &[]);
    let site = Site::dialling(&lab, &FAKETIME, CLOUD);
    assert!(
        within(PATIENCE, || lab.status("site").peers[0].state == "up"),
        "{}",
        lab.log("site")
    );
    let unset = "the system clock is not set (before 2024)";
    let warning = lab
        .status("site")
        .warnings
        .into_iter()
        .find(|w| w.contains(unset))
        .unwrap();
    assert!(warning.contains("timedatectl set-ntp true"), "{warning}");
    assert!(
        lab.log("site")
            .lines()
            .any(|l| l.contains(" WARN ") && l.contains(unset)),
        "{}",
        lab.log("site")
    );
    assert!(
        lab.status("cloud")
            .warnings
            .iter()
            .any(|w| w.contains("s behind ours")),
        "{:?}",
        lab.status("cloud").warnings
    );
    site.assert_stops();
}
