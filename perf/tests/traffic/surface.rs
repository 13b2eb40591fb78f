//! What it says to impossible requests, and that it leaves nothing behind.

use std::os::unix::process::CommandExt as _;

use crate::{
    TO,
    lab::{Background, Lab, perf, run},
};

fn refused(arguments: &[&str], code: i32, words: &str) {
    let output = run(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(words), "{arguments:?}: {text}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn impossible_requests_are_refused_at_once() {
    let lab = Lab::new();
    let (out, down) = (lab.link("a", "out"), lab.link("m", "right"));
    lab.ip("m", &["link", "set", "right", "down"]);
    let generate = |more: &[&'static str], words: &str| {
        let link = out.clone();
        refused(
            &[&["generate", "--link", &link, "--frames", "1"][..], more].concat(),
            2,
            words,
        );
    };
    generate(&["--to", "nonsense"], "not a MAC address");
    generate(&[], "--to");
    generate(&["--to", TO, "--vlan", "4095"], "4095");
    generate(&["--to", TO, "--vlan", "5"], "at least 68");
    generate(&["--to", TO, "--frame-bytes", "63"], "64 to");
    generate(&["--to", TO, "--frame-bytes", "2000"], "at most 1518");
    generate(&["--to", TO, "--rate", "fast"], "no rate such as");
    generate(&["--to", TO, "--rate", "999999Mfps"], "more than");
    generate(&["--to", TO, "--cpu", "4095"], "no core 4095");
    generate(&["--to", TO, "--flows", "0"], "--flows");
    generate(&["--to", TO, "--generator", "live"], "--seconds");
    generate(
        &["--to", TO, "--json", "/nonesuch/x.json"],
        "cannot write --json",
    );
    refused(
        &["sink", "--link", "no-such-netns:eth0"],
        2,
        "no-such-netns",
    );
    refused(&["sink", "--link", "nonesuch0"], 2, "nonesuch0");
    refused(&["sink", "--link", &down], 2, "is down");
    let same = ["--tx", &out, "--rx", &out, "--to", TO];
    refused(
        &[&["rfc2544", "throughput"][..], &same].concat(),
        2,
        "sends at one port",
    );
    refused(
        &[&["soak", "--rate", "1kfps", "--seconds", "1"][..], &same].concat(),
        2,
        "sends at one port",
    );
    let left = lab.link("m", "left");
    let ports = ["--tx", &out, "--rx", &left, "--to", TO];
    let live = ["--generator", "live"];
    refused(
        &[&["rfc2544", "latency"][..], &ports, &live].concat(),
        2,
        "af-xdp",
    );
    refused(
        &[&["rfc2544", "back-to-back"][..], &ports, &live].concat(),
        2,
        "af-xdp",
    );
    refused(
        &[&["rfc2544", "throughput", "--resolution", "0"][..], &ports].concat(),
        2,
        "0.01%",
    );
    refused(
        &[&["soak", "--rate", "max", "--seconds", "1"][..], &ports].concat(),
        2,
        "rfc2544 throughput",
    );
    refused(
        &[&["soak", "--rate", "1kfps"][..], &ports].concat(),
        2,
        "--hours",
    );
}

#[test]
fn without_root_or_cores_it_does_not_start() {
    for test in [
        &["generate", "--link", "lo", "--to", TO][..],
        &["sink", "--link", "lo"],
        &[
            "rfc2544",
            "throughput",
            "--tx",
            "lo",
            "--rx",
            "lo",
            "--to",
            TO,
        ],
        &[
            "soak", "--tx", "lo", "--rx", "lo", "--to", TO, "--rate", "1kfps", "--hours", "1",
        ],
    ] {
        let output = perf(test)
            .uid(65_534)
            .gid(65_534)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains("as root") && output.status.code() == Some(77),
            "{text}"
        );
    }
    let lab = Lab::new();
    let (tx, rx) = (lab.link("a", "out"), lab.link("m", "left"));
    let perf = env!("CARGO_BIN_EXE_causeway-perf");
    let line = [
        "taskset",
        "-c",
        "0",
        perf,
        "rfc2544",
        "throughput",
        "--tx",
        &tx,
        "--rx",
        &rx,
        "--to",
        TO,
    ];
    let output = std::process::Command::new(line[0])
        .args(&line[1..])
        .output()
        .expect("taskset");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("too few cores") && output.status.code() == Some(77),
        "{text}"
    );
}

#[test]
fn an_interface_in_use_is_said_to_be() {
    let lab = Lab::new();
    let link = lab.link("m", "left");
    let sink = Background::sink(&link, &[]);
    let output = run(&["sink", "--link", &link, "--seconds", "1"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{text}");
    assert!(
        text.contains("another XDP program") || text.contains("already"),
        "{text}"
    );
    sink.report();
    assert!(!lab.has_xdp("m", "left"));
}
