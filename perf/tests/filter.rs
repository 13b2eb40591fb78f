//! The program as a user runs it, with the XDP program in the kernel: needs root, and no interface.

mod schema;

use std::{collections::BTreeSet, process::Command};

const FILTER: &str = env!("CARGO_BIN_EXE_causeway-perf");

/// That each frame had its verdict the program checks itself, by the kernel's counters.
#[test]
fn every_verdict_of_both_ends_has_its_figures() {
    let arguments = [
        "filter",
        "--stations",
        "3",
        "--frames",
        "1",
        "--seconds",
        "0.01",
        "--json",
    ];
    let output = Command::new(FILTER).args(arguments).output();
    let output = output.expect("the program");
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    schema::assert_documented(&report);
    let results = report["results"].as_array().expect("an array");
    for result in results {
        let number = |name: &str| result[name].as_f64().expect("a number");
        assert_eq!(
            (&result["test"], &result["stations"]),
            (&"filter".into(), &3.into())
        );
        for name in ["ns_per_frame", "once_ns"] {
            let (min, max) = (
                number(&format!("{name}_min")),
                number(&format!("{name}_max")),
            );
            assert!(
                0.0 <= min && min <= number(name) && number(name) <= max && max > 0.0,
                "{result}"
            );
        }
        assert_eq!((number("rounds"), number("frames")), (7.0, 7.0));
    }
    let all: BTreeSet<_> = causeway_ebpf::Verdict::ALL
        .iter()
        .map(|v| v.label())
        .collect();
    let verdicts = |role: &str| -> BTreeSet<_> {
        let of_role = results.iter().filter(|r| r["role"] == role);
        of_role
            .map(|r| r["verdict"].as_str().expect("a text"))
            .collect()
    };
    // Those of `--flood arp|none` and of a doctor at work: the program is measured as it is without.
    let set = BTreeSet::from(["flood_policy", "probe"]);
    let without = |missing: &[&'static str]| &(&all - &set) - &missing.iter().copied().collect();
    assert_eq!(verdicts("site"), without(&["not_granted", "local"]));
    assert_eq!(verdicts("cloud"), without(&["foreign"]));
    let table = String::from_utf8_lossy(&output.stderr);
    assert!(
        table.contains("foreign") && table.contains("ns once"),
        "{table}"
    );
}

#[test]
fn without_the_rights_it_says_what_it_needs() {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-bpf,-sys_admin,-net_admin,-perfmon", FILTER])
        .args(["filter", "--stations", "1"])
        .output();
    let output = output.expect("setpriv, of util-linux");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{text}");
    assert!(text.contains("run as root"), "{text}");
}

#[test]
fn impossible_requests_are_refused_with_the_possible() {
    for (arguments, words) in [
        (["--stations", "0"], "1..=65536"),
        (["--stations", "65537"], "1..=65536"),
        (["--frames", "0"], "1..=256"),
        (["--seconds", "0"], "0.01 to 3600"),
        (
            ["--json", "/nonesuch/report.json"],
            "cannot write --json /nonesuch/report.json",
        ),
    ] {
        let output = Command::new(FILTER).arg("filter").args(arguments).output();
        let output = output.expect("the program");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}
