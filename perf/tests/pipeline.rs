//! The program as a user runs it: its report, and what it says to impossible requests.

use std::process::{Command, Output};

fn pipeline(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-perf"));
    let output = command.arg("pipeline").args(arguments).output();
    output.expect("the program")
}

#[test]
fn json_holds_every_figure_and_the_table_goes_to_stderr() {
    let sizes = ["--frame-bytes", "14", "9216"];
    let ciphers = ["--cipher", "aes-256-gcm", "aes-128-gcm"];
    let output = pipeline(&[&sizes[..], &ciphers, &["--seconds", "0.05", "--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(report["schema"], "causeway-perf/1");
    for text in [
        "/kernel",
        "/machine/cpu",
        "/versions/causeway",
        "/versions/ring",
    ] {
        let text = report.pointer(text).and_then(|v| v.as_str());
        assert!(text.is_some_and(|t| !t.is_empty()), "{report}");
    }
    assert!(report["cpu_flags"].is_array());
    assert_eq!(report["command"][1], "pipeline");

    let results = report["results"].as_array().expect("an array");
    assert_eq!(results.len(), 2 * 2 * 2);
    for result in results {
        let number = |name: &str| result[name].as_f64().expect("a number");
        assert_eq!(
            (&result["test"], &result["aead"]),
            (&"pipeline".into(), &"ring".into())
        );
        assert_eq!(number("workers"), 1.0);
        let ns = number("ns_per_frame");
        assert!(number("ns_per_frame_min") <= ns && ns <= number("ns_per_frame_max"));
        assert!((number("frames_per_s") * ns / 1e9 - 1.0).abs() < 1e-6);
        let gbit = number("frames_per_s") * number("frame_bytes") * 8.0 / 1e9;
        assert!((number("gbit_per_s") / gbit - 1.0).abs() < 1e-6);
        assert!(number("aead_share") > 0.0);
    }
    let directions = results.iter().filter(|r| r["direction"] == "lan_to_wan");
    assert_eq!(directions.count(), 4);
    let table = String::from_utf8_lossy(&output.stderr);
    let lines = table.lines().filter(|l| l.contains("_to_"));
    assert_eq!(lines.count(), 8, "{table}");
}

#[test]
fn json_goes_to_a_file_too() {
    let file = std::env::temp_dir().join(format!("causeway-perf-{}.json", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let output = pipeline(&["--frame-bytes", "64", "--seconds", "0.01", "--json", path]);
    let text = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    assert!(output.status.success(), "{output:?}");
    assert!(text.expect("the file").contains("\"frames_per_s\""));
    assert!(String::from_utf8_lossy(&output.stdout).contains("lan_to_wan"));
}

#[test]
fn impossible_requests_are_refused_with_the_possible() {
    for (arguments, words) in [
        (
            &["--frame-bytes", "13"][..],
            "14 (its Ethernet header) to 9216 bytes",
        ),
        (
            &["--frame-bytes", "64", "9217"],
            "14 (its Ethernet header) to 9216 bytes",
        ),
        (&["--frame-bytes", "many"], "not a number of bytes"),
        (&["--frame-bytes"], "--frame-bytes"),
        (&["--cipher", "rot13"], "aes-256-gcm"),
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
