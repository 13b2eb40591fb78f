//! The program as a user runs it: its report, and what it says to impossible requests.

mod schema;

use std::process::{Command, Output};

fn pipeline(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-perf"));
    let output = command.arg("pipeline").args(arguments).output();
    output.expect("the program")
}

/// The records of a run that is short enough for a debug build.
fn results(arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = pipeline(&[arguments, &["--seconds", "0.05", "--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    schema::assert_documented(&report);
    let results = report["results"].as_array().expect("an array").clone();
    let table = String::from_utf8_lossy(&output.stderr);
    let lines = table.lines().filter(|l| l.contains("_to_"));
    assert_eq!(lines.count(), results.len(), "{table}");
    results
}

fn number(result: &serde_json::Value, name: &str) -> f64 {
    let number = result[name].as_f64();
    number.unwrap_or_else(|| panic!("no number {name}: {result}"))
}

/// What holds of every record, whatever the machine.
fn check(result: &serde_json::Value, mean_bytes: f64) {
    let number = |name| number(result, name);
    let (ns, workers) = (number("ns_per_frame"), number("workers"));
    assert_eq!(result["test"], "pipeline");
    assert!(number("ns_per_frame_min") <= ns && ns <= number("ns_per_frame_max"));
    assert!((number("frames_per_s") * ns / 1e9 / workers - 1.0).abs() < 1e-6);
    let gbit = number("frames_per_s") * mean_bytes * 8.0 / 1e9;
    assert!((number("gbit_per_s") / gbit - 1.0).abs() < 1e-6);
    assert!(number("memcpy_share") > 0.0 && number("memcpy_ns_per_frame") > 0.0);
    if let Some(hz) = result["reference_hz"].as_f64() {
        assert!((number("cycles_per_frame") / (ns * hz / 1e9) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn each_cipher_by_each_library_and_none() {
    let ciphers = ["--cipher", "aes-256-gcm", "aes-128-gcm", "none"];
    let libraries = ["--aead", "ring", "aws-lc-rs"];
    let sizes = ["--frame-bytes", "64", "9220"];
    let results = results(&[&sizes[..], &ciphers, &libraries].concat());
    assert_eq!(results.len(), 2 * 2 * (2 * 2 + 1));
    for result in &results {
        check(result, number(result, "frame_bytes"));
        let encrypted = result["cipher"] != "none";
        assert_eq!(encrypted, result["aead"] != "none");
        assert_eq!(encrypted, result["aead_share"].is_f64(), "{result}");
    }
    for library in ["ring", "aws-lc-rs", "none"] {
        assert!(results.iter().any(|r| r["aead"] == library), "{library}");
    }
    let directions = results.iter().filter(|r| r["direction"] == "lan_to_wan");
    assert_eq!(directions.count(), 10);
}

/// Seven of 64, four of 594 and one of 1,518 bytes are 4,342 in 12.
#[test]
fn a_mix_of_sizes() {
    let results = results(&["--frame-bytes", "imix"]);
    assert_eq!(results.len(), 2);
    for result in &results {
        assert_eq!(
            (&result["frame_sizes"], &result["frame_bytes"]),
            (&"imix".into(), &362.into())
        );
        check(result, 4_342.0 / 12.0);
    }
}

/// More of them than a core's caches hold, to the most that there may be.
#[test]
fn any_number_of_stations() {
    let results = results(&["--frame-bytes", "64", "--stations", "1", "5000", "65536"]);
    let stations: Vec<_> = results.iter().map(|r| number(r, "stations")).collect();
    assert_eq!(stations, [1.0, 5_000.0, 65_536.0, 1.0, 5_000.0, 65_536.0]);
    results.iter().for_each(|result| check(result, 64.0));
}

#[test]
fn as_many_workers_as_cores_and_no_more() {
    let cores = std::thread::available_parallelism().expect("cores").get();
    let workers = cores.to_string();
    let results = results(&["--frame-bytes", "512", "--workers", &workers]);
    for result in &results {
        assert_eq!(number(result, "workers"), cores as f64);
        check(result, 512.0);
    }
    let output = pipeline(&["--workers", "100000"]);
    assert_eq!(output.status.code(), Some(77));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("ask for at most that many --workers"),
        "{text}"
    );
}

/// A core that something else works on: said, and measured all the same.
#[test]
fn a_busy_core_is_noticed() {
    let mut other = Command::new("taskset")
        .args(["-c", "0", "sh", "-c", "while :; do :; done"])
        .spawn()
        .expect("taskset");
    let output = pipeline(&["--frame-bytes", "64", "--seconds", "0.01"]);
    other.kill().expect("ours");
    other.wait().expect("ours");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("busy with something else"), "{text}");
}

#[test]
fn json_goes_to_a_file_too() {
    let file = std::env::temp_dir().join(format!("causeway-perf-{}.json", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let output = pipeline(&["--frame-bytes", "64", "--seconds", "0.01", "--json", path]);
    let text = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("lan_to_wan"));
    let report: serde_json::Value = serde_json::from_str(&text.expect("the file")).expect("JSON");
    assert_eq!(report["schema"], "causeway-perf/1");
    for text in [
        "/kernel",
        "/machine/cpu",
        "/versions/causeway",
        "/versions/ring",
        "/versions/aws_lc_rs",
    ] {
        let text = report.pointer(text).and_then(|v| v.as_str());
        assert!(text.is_some_and(|t| !t.is_empty()), "{report}");
    }
    assert!(report["cpu_flags"].is_array());
    assert_eq!(report["command"][1], "pipeline");
}

#[test]
fn impossible_requests_are_refused_with_the_possible() {
    let sizes = "64 to 9220 bytes with its FCS";
    for (arguments, words) in [
        (&["--frame-bytes", "63"][..], sizes),
        (&["--frame-bytes", "64", "9221"], sizes),
        (&["--frame-bytes", "many"], "\"imix\""),
        (&["--frame-bytes"], "--frame-bytes"),
        (&["--cipher", "rot13"], "\"aes-128-gcm\", or \"none\""),
        (&["--aead", "openssl"], "\"ring\" or \"aws-lc\""),
        (&["--aead", "none"], "\"ring\" or \"aws-lc\""),
        (&["--workers", "0"], "--workers"),
        (&["--stations", "0"], "1..=65536"),
        (&["--stations", "65537"], "1..=65536"),
        (&["--seconds", "0"], "0.01 to 3600"),
        (&["--seconds", "NaN"], "0.01 to 3600"),
        (
            &["--json", "/nonesuch/report.json"],
            "cannot write --json /nonesuch/report.json",
        ),
    ] {
        let output = pipeline(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && text.contains(words),
            "{arguments:?}: {text}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
