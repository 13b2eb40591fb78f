//! The path beside a running appliance, by what it counts.

use std::time::Duration;

use super::{CLOUD, ESP, configure, doctor, masquerades, rules};
use crate::lab::{Lab, PATIENCE, within};

#[test]
fn beside_a_running_appliance_its_counters_tell() {
    let lab = Lab::up(&[]);
    masquerades(&lab, "random");
    lab.start("both", &[]);
    lab.wait_for_session();
    configure(&lab, &[("cloud", CLOUD)], "");
    let verdict = |name: &str| -> String {
        let text = String::from_utf8(doctor(&lab, &[]).stdout).unwrap();
        let words = |line: &&str| {
            line.split_whitespace()
                .skip(1)
                .collect::<Vec<_>>()
                .join(" ")
                .starts_with(name)
        };
        text.lines().find(words).unwrap_or_default().to_owned()
    };
    #[track_caller]
    fn becomes(verdict: impl Fn(&str) -> String, name: &str, words: [&str; 2]) {
        let is = || {
            std::thread::sleep(Duration::from_millis(300));
            let line = verdict(name);
            line.starts_with(words[0]) && line.contains(words[1])
        };
        assert!(within(2 * PATIENCE, is), "{words:?}: {}", verdict(name));
    }
    let nat = ["ok", "it changes the address to 203.0.113.1 and the ports"];
    becomes(verdict, "NAT cloud", nat);
    becomes(
        verdict,
        "NAT mapping",
        ["ok", "one peer (cloud) cannot show"],
    );
    assert!(verdict("ESP passes").starts_with("ok "));
    let masquerade = "table ip nat {\nchain out {\ntype nat hook postrouting priority 100\nip saddr 198.51.100.2 masquerade random\n}\n}";
    let drops = |matches: &str| {
        let chain = "type filter hook forward priority 0";
        let drops =
            format!("table inet doctor {{\nchain forward {{\n{chain}\n{matches} drop\n}}\n}}");
        rules(&lab, &format!("{masquerade}\n{drops}"));
    };
    drops("meta length > 1400");
    becomes(
        verdict,
        "path MTU",
        [
            "unknown",
            "larger datagrams are lost on the way without a word",
        ],
    );
    drops(&format!("udp dport 24500 {ESP} numgen random mod 100 < 20"));
    let flood = [
        "ping",
        "-q",
        "-i",
        "0.005",
        "-c",
        "600",
        "-W",
        "1",
        "10.77.0.50",
    ];
    lab.succeeds("dc", &flood);
    becomes(verdict, "loss", ["FAILING", "there, and"]);
    drops(&format!("udp dport 24500 {ESP}"));
    becomes(
        verdict,
        "ESP passes",
        [
            "FAILING",
            "nothing arrives at 203.0.113.2:24500, though QUIC does",
        ],
    );
}
