//! Files that are not as they should be, and places where a page must not go.

use std::{fs, path::Path};

use serde_json::json;

use super::{
    document::Document,
    samples::{Folder, SAMPLES, page, program, records, sample},
};

#[test]
fn what_is_missing_or_odd_does_not_stop_it() {
    let folder = Folder::new("odd");
    let tests = [
        "compare",
        "pipeline",
        "filter",
        "sink",
        "generate",
        "soak",
        "rfc2544_throughput",
    ];
    let tests = tests.into_iter().chain([
        "rfc2544_latency",
        "rfc2544_frame_loss",
        "rfc2544_back_to_back",
    ]);
    let mut results = vec![json!({}), json!({"test": 7})];
    for test in tests {
        results.push(json!({"test": test}));
        for odd in [
            json!(null),
            json!(0),
            json!(-1),
            json!(1e308),
            json!(1e-308),
            json!("text"),
            json!([[0, 0], [1, 2], 3]),
        ] {
            let mut record = json!({"test": test});
            for known in results_members() {
                record[known] = odd.clone();
            }
            results.push(record.clone());
            record["figure"] = "frames_per_s".into();
            record["direction"] = "lan_to_wan".into();
            record["verdict"] = "pass".into();
            results.push(record);
        }
    }
    let text = page(&[folder.results("odd.json", results.into())]);
    let document = Document::parse(&text);
    assert_eq!(document.errors, Vec::<String>::new());
    for wrong in ["NaN", "inf ", "Infinity"] {
        assert!(!text.contains(wrong), "{wrong}");
    }
}

/// Every member of every record of the samples.
fn results_members() -> Vec<String> {
    let mut members: Vec<String> = Vec::new();
    for record in SAMPLES.iter().flat_map(|name| records(name)) {
        members.extend(record.as_object().expect("a record").keys().cloned());
    }
    members.sort();
    members.dedup();
    members.retain(|name| name != "test");
    members
}

#[test]
fn what_is_no_result_is_refused_with_its_name() {
    let folder = Folder::new("refused");
    let cut = &fs::read(sample("filter")).expect("a sample")[..500];
    for (file, words) in [
        (folder.0.join("nonesuch.json"), "cannot read it"),
        (folder.0.clone(), "cannot read it"),
        (folder.file("empty.json", ""), "this is not JSON"),
        (folder.file("cut.json", cut), "this is not JSON"),
        (folder.file("binary.json", [0xff, 0x00]), "this is not JSON"),
        (folder.file("array.json", "[1]"), "no member \"schema\""),
        (
            folder.file("other.json", r#"{"schema": "causeway-perf/2"}"#),
            "this program reads \"causeway-perf/1\"",
        ),
        (
            folder.results("none.json", json!([])),
            "\"results\" are empty",
        ),
        (
            folder.file("without.json", r#"{"schema": "causeway-perf/1"}"#),
            "\"results\" are empty",
        ),
        (
            folder.results("text.json", json!("text")),
            "not as \"causeway-perf/1\" should be",
        ),
        (
            folder.results("numbers.json", json!([1])),
            "not as \"causeway-perf/1\" should be",
        ),
    ] {
        let out = folder.0.join("page.html");
        let arguments = ["report", "--out", out.to_str().expect("UTF-8")];
        let output = program(&arguments, &[sample("filter"), file.clone()]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let name = file.to_str().expect("UTF-8");
        assert!(text.contains(name) && text.contains(words), "{text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        assert!(!out.exists(), "{text}");
    }
}

#[test]
fn only_a_page_is_overwritten() {
    let folder = Folder::new("out");
    let input = folder.results("in.json", json!([{"test": "filter"}]));
    let linked = folder.0.join("link.html");
    std::os::unix::fs::symlink(&input, &linked).expect("a link");
    for (out, words) in [
        (folder.0.as_path(), "not a regular file"),
        (Path::new("/dev/null"), "not a regular file"),
        (&input, "one of the files to read"),
        (&linked, "one of the files to read"),
        (
            Path::new("/nonesuch/page.html"),
            "cannot write --out /nonesuch/page.html",
        ),
    ] {
        let before = fs::read(&input).expect("the input");
        let arguments = ["report", "--out", out.to_str().expect("UTF-8")];
        let output = program(&arguments, std::slice::from_ref(&input));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(fs::read(&input).expect("the input"), before);
    }
    assert_eq!(program(&["report"], &[]).status.code(), Some(2));
}
