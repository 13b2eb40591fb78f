//! The comparison as a user runs it, small: records, whereabouts of frames, and that nothing is left.

mod schema;

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The tests share the CPUs of the rig: one at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// causeway's binary of the same profile, built if need be.
fn causeway() -> PathBuf {
    let us = Path::new(env!("CARGO_BIN_EXE_causeway-perf"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--package", "causeway"]);
    if us
        .parent()
        .is_some_and(|folder| folder.ends_with("release"))
    {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success());
    us.with_file_name("causeway")
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-perf"));
    command.args(["compare", "--force"]).args(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    child.spawn().expect("the program")
}

/// Namespaces and folders of a run.
fn leftovers(pid: u32) -> Vec<PathBuf> {
    let prefix = format!("cwperf-{pid}-");
    let folders = ["/run/netns", "/run"].map(PathBuf::from);
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let paths = entries.flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&prefix))
    };
    paths.filter(is_ours).collect()
}

fn finish(child: Child) -> Output {
    let pid = child.id();
    let output = child.wait_with_output().expect("its output");
    assert_eq!(leftovers(pid), [] as [PathBuf; 0]);
    output
}

/// The records of a run.
fn records(arguments: &[&str]) -> Vec<Value> {
    let output = finish(start(&[arguments, &["--json"]].concat()));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(report["schema"], "causeway-perf/1");
    schema::assert_documented(&report);
    let results = report["results"].as_array().expect("an array").clone();
    assert!(
        results.iter().all(|r| r["test"] == "compare"),
        "{results:?}"
    );
    results
}

/// The only record of a figure.
fn record<'a>(records: &'a [Value], peer: &str, figure: &str) -> &'a Value {
    let mut found = records
        .iter()
        .filter(|r| r["peer"] == peer && r["figure"] == figure);
    let record = found.next();
    assert!(found.next().is_none(), "{peer} {figure} twice");
    record.unwrap_or_else(|| panic!("no {peer} {figure} in {records:#?}"))
}

#[test]
fn frames_are_accounted_for_and_held_against_the_harness() {
    let _turn = turn();
    let causeway = causeway();
    let peers = ["--peer", "vxlan", "causeway", "--causeway"];
    let short = ["--rounds", "1", "--seconds", "0.2", "--frame-bytes", "64"];
    let what = ["--measure", "frames,rtt,memory,df"];
    let path = [causeway.to_str().expect("UTF-8")];
    let records = records(&[&peers[..], &path, &short, &what].concat());
    for (peer, encrypted, passes) in [("vxlan", false, 0.0), ("causeway", true, 1.0)] {
        let median = |figure: &str| {
            let record = record(&records, peer, figure);
            assert_eq!(record["encrypted"], encrypted);
            assert_eq!(record["runs"], 1);
            assert_eq!(
                (&record["min"], &record["max"]),
                (&record["median"], &record["median"])
            );
            let bounds = [&record["low"], &record["median"], &record["high"]].map(Value::as_f64);
            assert!(bounds.is_sorted(), "{record}");
            assert!(record["pace"].as_f64() > Some(0.0), "{record}");
            record["median"]
                .as_f64()
                .unwrap_or_else(|| panic!("a number: {record}"))
        };
        let frames = record(&records, peer, "frames_per_s");
        let version = frames["version"].as_str().expect("a text");
        let word = if encrypted { "causeway " } else { "Linux " };
        assert!(version.starts_with(word), "{version}");
        assert!(frames["tool"].is_null());
        let tool = &record(&records, peer, "df_1500_passes")["tool"];
        assert!(
            tool.as_str().is_some_and(|tool| tool.starts_with("ping ")),
            "{tool}"
        );
        assert!(median("frames_per_s") > 0.0);
        assert_eq!(median("frames_unaccounted"), 0.0, "{peer}");
        assert!(median("offered_frames_per_s") >= 0.5 * median("frames_per_s"));
        assert!(median("rtt_load_frames_per_s") > 0.0);
        // No verdict on how many: others may keep the CPU.
        assert!(
            (0.0..1.0).contains(&median("rtt_idle_lost_ratio")),
            "{peer}"
        );
        let parts = ["user", "system", "softirq"].map(|part| {
            let part = median(&format!("cpu_{part}_s_per_million_frames"));
            assert!(part >= 0.0);
            part
        });
        let cpu = median("cpu_s_per_million_frames");
        assert!(
            (parts.iter().sum::<f64>() - cpu).abs() <= 1e-9 * cpu,
            "{parts:?} {cpu}"
        );
        assert!(
            0.0 < median("rtt_idle_p50_s") && median("rtt_idle_p50_s") <= median("rtt_idle_p99_s")
        );
        // On a busy machine a load may lose pings; with half of them gone there is no median.
        let lost = median("rtt_load_lost_ratio");
        let loaded = record(&records, peer, "rtt_load_p50_s");
        assert_eq!(
            loaded["median"].as_f64() > Some(0.0),
            lost <= 0.5,
            "{loaded} {lost}"
        );
        assert_eq!(loaded["reason"].is_string(), lost > 0.5);
        assert_eq!(median("df_1500_passes"), passes, "{peer}");
        assert_eq!(median("rss_bytes") > 0.0, peer == "causeway");
        let frames = record(&records, peer, "frames_per_s");
        assert_eq!(
            (&frames["frame_bytes"], &frames["frame_sizes"]),
            (&64.into(), &"64".into())
        );
        assert!(frames["ceiling"].as_f64() > Some(0.0), "{frames}");
        assert!(frames["limited_by_harness"].is_boolean());
        assert_eq!(
            record(&records, peer, "df_1500_passes")["ceiling"],
            Value::Null
        );
    }
}

#[test]
fn rates_with_little_loss_are_found() {
    let _turn = turn();
    let short = ["--rounds", "1", "--seconds", "0.2", "--frame-bytes", "64"];
    let what = ["--peer", "bridge", "--measure", "frames,loss"];
    let records = records(&[&what[..], &short].concat());
    let median = |figure| {
        let median = record(&records, "bridge", figure)["median"].as_f64();
        median.unwrap_or_else(|| panic!("{figure} has no number"))
    };
    assert_eq!(
        record(&records, "bridge", "frames_per_s")["encrypted"],
        false
    );
    assert!(median("frames_per_s") > 0.0 && median("offered_frames_per_s") > 0.0);
    // A bridge counts all that it drops.
    assert_eq!(median("frames_unaccounted"), 0.0);
    // How fast is up to the machine, but the stricter rate was searched below the other.
    let (one, tenth) = (
        median("frames_per_s_loss_1pct"),
        median("frames_per_s_loss_01pct"),
    );
    assert!(0.0 <= tenth && tenth <= 1.05 * one, "{tenth} {one}");
    for figure in ["frames_per_s_loss_1pct", "frames_per_s_loss_01pct"] {
        let record = record(&records, "bridge", figure);
        assert_eq!(record["frame_bytes"], 64);
        assert!(record["ceiling"].as_f64() > Some(0.0), "{record}");
    }
}

#[test]
fn tcp_flows_and_a_killed_end_comes_back() {
    let _turn = turn();
    let causeway = causeway();
    let path = causeway.to_str().expect("UTF-8");
    let peers = ["--peer", "causeway", "--causeway", path, "--rounds", "1"];
    let what = ["--measure", "tcp,recovery", "--seconds", "0.2"];
    let records = records(&[&peers[..], &what].concat());
    let median = |figure| record(&records, "causeway", figure)["median"].as_f64();
    for figure in [
        "tcp1_bits_per_s",
        "tcp4_bits_per_s",
        "tcp1_reverse_bits_per_s",
    ] {
        assert!(median(figure) > Some(1e6), "{figure} {:?}", median(figure));
    }
    assert!(median("cpu_s_per_gb") > Some(0.0));
    assert!(median("recovery_s") > Some(0.0));
}

#[test]
fn endurance_accounts_for_every_frame() {
    let _turn = turn();
    let causeway = causeway();
    let path = causeway.to_str().expect("UTF-8");
    let peers = ["--peer", "causeway", "--causeway", path, "--rounds", "1"];
    let what = ["--measure", "endurance", "--endurance-seconds", "3"];
    let uplink = ["--frame-bytes", "64", "--uplink-offloads=gro"];
    let records = records(&[&peers[..], &what, &uplink].concat());
    let median = |figure| {
        let median = record(&records, "causeway", figure)["median"].as_f64();
        median.unwrap_or_else(|| panic!("{figure} has no number: {records:?}"))
    };
    assert_eq!(median("endurance_frames_unaccounted"), 0.0);
    assert!(median("endurance_s") >= 3.0);
    assert!(median("endurance_frames_per_s") > 0.0);
    assert!(median("endurance_silence_s") < median("endurance_s"));
    assert!(median("endurance_rss_bytes") > 1e6);
    assert!(median("endurance_rss_growth_bytes") < median("endurance_rss_bytes"));
    assert!(median("endurance_after_ratio") > 0.0);
}

/// A comparison at a terminal that asks for vpncloud, with this answer; `cargo` is our own, and cannot install. What it showed, and how it ended.
fn at_a_terminal(answer: &str) -> (String, Option<i32>) {
    let folder = std::env::temp_dir().join(format!("cwperf-test-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let cargo = folder.join("cargo");
    fs::write(&cargo, "#!/bin/sh\necho no network >&2; exit 1\n").expect("ours");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("ours");
    let us = env!("CARGO_BIN_EXE_causeway-perf");
    let compare = format!(
        "PATH={}:$PATH exec {us} compare --force --peer vpncloud-aes256 --cache /nonesuch",
        folder.display()
    );
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &compare, "/dev/null"]);
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux");
    let mut shown = String::new();
    let mut terminal = child.stdout.take().expect("its output");
    let mut bytes = [0; 1_024];
    while !shown.contains("[y/N]") {
        let count = terminal.read(&mut bytes).expect("more");
        assert!(count > 0, "it did not ask: {shown}");
        shown += &String::from_utf8_lossy(&bytes[..count]);
    }
    let mut keys = child.stdin.take().expect("its input");
    keys.write_all(answer.as_bytes()).expect("it reads");
    let _ = terminal.read_to_string(&mut shown);
    drop(keys);
    let status = child.wait().expect("it ends");
    fs::remove_dir_all(&folder).expect("ours");
    (shown, status.code())
}

#[test]
fn whoever_sits_at_the_terminal_is_asked() {
    let _turn = turn();
    let remedy = "cargo install --locked --root /nonesuch vpncloud@";
    let (shown, code) = at_a_terminal("n\n");
    assert!(
        shown.contains(remedy) && !shown.contains("installing"),
        "{shown}"
    );
    assert!(shown.contains("vpncloud-aes256 is absent"), "{shown}");
    assert_eq!(code, Some(0), "{shown}");
    let (shown, code) = at_a_terminal("y\n");
    assert!(
        shown.contains("installing: cargo install") && shown.contains("no network"),
        "{shown}"
    );
    assert_eq!(code, Some(0), "{shown}");
    // Ctrl-C, without Enter.
    let (shown, code) = at_a_terminal("\x03");
    assert!(shown.contains("interrupted"), "{shown}");
    assert_eq!(code, Some(130), "{shown}");
}

#[test]
fn an_interrupted_comparison_leaves_nothing() {
    let _turn = turn();
    let child = start(&["--peer", "bridge", "--measure", "frames,tcp"]);
    let end = Instant::now() + Duration::from_secs(20);
    while leftovers(child.id()).len() < 3 {
        assert!(Instant::now() < end, "no rig was built");
        thread::sleep(Duration::from_millis(10));
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it runs");
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("interrupted; nothing is left behind"), "{log}");
}

#[test]
fn impossible_requests_are_refused_at_once() {
    for (arguments, code, words) in [
        (
            &["--peer", "nonesuch"][..],
            2,
            "there are: causeway, causeway-xdp, causeway-aes128, bridge",
        ),
        (&["--frame-bytes", "1519"], 2, "at most 1518 bytes"),
        (&["--frame-bytes", "many"], 2, "64 to 9220 bytes"),
        (&["--seconds", "0"], 2, "0.2 to 9 seconds"),
        (&["--rounds", "0"], 2, "1..=100"),
        (&["--cpus", "0,0"], 2, "two different CPUs"),
        (&["--cpus", "0,1023"], 2, "we may not use [1023]"),
        (&["--measure", "nonesuch"], 2, "recovery"),
        (&["--uplink-offloads=some"], 2, "none, gro, all"),
        (&["--endurance-seconds", "0"], 2, "0.01 to 3600"),
        (
            &["--peer", "causeway", "--causeway", "/nonesuch"],
            77,
            "cargo build --release -p causeway",
        ),
    ] {
        let output = finish(start(arguments));
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {log}");
        assert!(log.contains(words), "{arguments:?}: {log}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_absent_peer_is_reported_with_its_remedy() {
    let _turn = turn();
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-perf"));
    command.args([
        "compare",
        "--force",
        "--json",
        "--peer",
        "vpncloud-aes256",
        "--rounds",
        "1",
    ]);
    command.args(["--measure", "df", "--cache", "/nonesuch"]);
    let output = command.output().expect("the program");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    let results = report["results"].as_array().expect("an array");
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["figure"], "absent");
    let reason = results[0]["reason"].as_str().expect("a text");
    assert!(
        reason.contains("cargo install --locked --root /nonesuch vpncloud@"),
        "{reason}"
    );
}
