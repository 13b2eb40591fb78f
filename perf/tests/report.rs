//! The page that `causeway-perf report` makes: as a parser of HTML reads it, as a browser shows it on a phone and on a
//! desk, in light and in dark; and what it says to files that it cannot read.
//!
//! The files in report/ are made up, in the form that the other tests write. The one of `pipeline` is also measured here.

#[path = "report/browser.rs"]
mod browser;
#[path = "report/document.rs"]
mod document;
#[path = "report/odd.rs"]
mod odd;
#[path = "report/samples.rs"]
mod samples;

use std::{fs, path::Path};

use browser::{Browser, View};
use document::Document;
use samples::{Folder, page, program, records, sample, samples};
use serde_json::json;

#[test]
fn the_page_is_valid_and_complete() {
    let text = page(&samples());
    let document = Document::parse(&text);
    assert_eq!(document.errors, Vec::<String>::new());
    let shown = document.text();
    for record in records("compare") {
        let peer = record["peer"].as_str().expect("a name");
        assert!(shown.contains(peer), "{peer}");
    }
    for words in [
        "n2n is absent: edge is not installed",
        "Frame rate at saturation, 1,400 bytes",
        "Frame rate, at most 0.1\u{a0}% lost, 64 bytes",
        "TCP, four streams, other way",
        "Round trip under load, 99\u{a0}%",
        "Gateways' CPU per gigabyte",
        "Gateways' CPU per million frames",
        "Traffic again after a crash",
        "never in 60 s",
        "1,500 bytes with DF pass",
        "Memory",
        "Throughput (26.1)",
        "Latency (26.2)",
        "Frame loss (26.3)",
        "Back-to-back frames (26.4)",
        "harness ceiling",
        "Throughput, LAN to WAN (seal)",
        "Time per frame, WAN to LAN (open)",
        "aes-128-gcm, aws-lc-rs",
        "no cipher",
        "Time per frame by verdict: site",
        "broadcast arp",
        "Soak passed after 3,600 s: 359,999,980 received, 20 lost",
        "from_the_future",
        "a test that this version does not know",
        "Intel(R) Xeon(R) Platinum 8375C",
        "25.0\u{a0}GB, virtual",
        "6.18.5",
        "causeway-perf compare --rounds 5 --json compare.json",
        "IMIX",
    ] {
        assert!(shown.contains(words), "{words}");
    }
    // Bars and their values: the best on top, wherever it stood in the file.
    let place = |words: &str| shown.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(place("plain bridge: 387\u{a0}k frames/s") < place("fastd null: 40.0\u{a0}k frames/s"));
    assert!(place("XDP redirect: 302\u{a0}k frames/s \u{2020}") > 0);
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let text = page(&samples());
    for outside in ["http:", "https:", "//", "url(", "@import", "javascript:"] {
        assert!(!text.contains(outside), "{outside}");
    }
    let document = Document::parse(&text);
    for element in ["script", "link", "img", "iframe", "object", "image", "use"] {
        assert_eq!(document.count(element), 0, "{element}");
    }
    for attribute in ["src", "href", "xlink:href", "style", "onload"] {
        assert_eq!(document.attributes(attribute), 0, "{attribute}");
    }
    let drawings = document.count("figure");
    assert!(drawings >= 30, "{drawings}");
    assert_eq!(
        document.attributes("viewBox") - document.count("li svg"),
        drawings
    );
}

#[test]
fn the_same_files_give_the_same_page() {
    assert_eq!(page(&samples()), page(&samples()));
}

#[test]
fn texts_of_files_stay_texts() {
    let folder = Folder::new("texts");
    let nasty = "<script>alert('1')</script>\"onload=\"x & </title></style>";
    let mut results = records("compare");
    for record in &mut results {
        record["peer"] = nasty.into();
        record["unit"] = nasty.into();
    }
    results.push(json!({"test": nasty, nasty: nasty}));
    results.push(json!({"test": "pipeline", "cipher": nasty, "direction": nasty, "frame_bytes": 64, "ns_per_frame": 9}));
    let file = folder.results("<b>.json", results.into());
    let output = program(&["report", "--out", "-", "--title", nasty], &[file]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let document = Document::parse(&text);
    assert_eq!(document.errors, Vec::<String>::new());
    assert_eq!(document.count("script") + document.count("b.json"), 0);
    assert_eq!(document.attributes("onload"), 0);
    assert!(document.text().matches(nasty).count() > 20);
}

#[test]
fn a_measured_file_becomes_a_page() {
    let folder = Folder::new("measured");
    let json = folder.0.join("pipeline.json");
    let path = json.to_str().expect("UTF-8");
    let output = program(
        &[
            "pipeline",
            "--frame-bytes",
            "64",
            "512",
            "--seconds",
            "0.05",
            "--json",
            path,
        ],
        &[],
    );
    assert!(output.status.success(), "{output:?}");
    let out = folder.0.join("page.html");
    let arguments = [
        "report",
        "--title",
        "Measured",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    for _ in ["a new file", "and over the page that is there"] {
        let output = program(&arguments, std::slice::from_ref(&json));
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("4 records of 1 file"));
    }
    let document = Document::parse(&fs::read_to_string(&out).expect("the page"));
    assert_eq!(document.errors, Vec::<String>::new());
    let shown = document.text();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    for words in [
        "Measured",
        "Frame rate, LAN to WAN (seal)",
        "aes-256-gcm, ring",
        "pipeline.json, written 20",
        kernel.trim(),
    ] {
        assert!(shown.contains(words), "{words}");
    }
    assert_eq!(
        shown.contains("This was a debug build"),
        cfg!(debug_assertions)
    );
}

#[test]
fn two_runs_of_one_test_are_told_apart() {
    let shown = Document::parse(&page(&[
        sample("compare"),
        sample("traffic"),
        sample("compare"),
    ]))
    .text();
    for words in [
        "SoftEther (file 1)",
        "SoftEther (file 3)",
        "n2n (file 3) is absent",
    ] {
        assert!(shown.contains(words), "{words}");
    }
    assert!(!shown.contains("(file 2)"));
}

/// Looks at the page as people do. The pictures stay in target/tmp for who wants to see them.
#[test]
fn a_browser_shows_it_on_a_phone_and_on_a_desk_in_light_and_dark() {
    let folder = Folder::new("browser");
    let file = folder.file("page.html", page(&samples()));
    let browser = Browser::find();
    for (width, height) in [(390, 844), (1280, 900)] {
        for dark in [false, true] {
            let view = View {
                width,
                height,
                dark,
            };
            let seen = browser.look(&file, &folder.0, view);
            let size = seen.picture_size();
            assert_eq!(size, (width, height), "{view:?}");
            let number = |name: &str| seen.facts[name].as_f64().expect("a number");
            assert_eq!(number("client_width"), f64::from(width), "{view:?}");
            assert!(
                number("scroll_width") <= f64::from(width),
                "{view:?}: {}",
                seen.facts
            );
            assert!(
                number("drawings") >= 30.0 && number("least_letter") >= 9.0,
                "{view:?}: {}",
                seen.facts
            );
            assert_eq!(seen.facts["cut_off"], json!([]), "{view:?}");
            assert_eq!(seen.facts["overlapping"], json!([]), "{view:?}");
            let paper = if dark {
                "rgb(20, 24, 29)"
            } else {
                "rgb(255, 255, 255)"
            };
            assert_eq!(seen.facts["paper"], paper, "{view:?}");
            let name = format!("report-{width}-{}.png", if dark { "dark" } else { "light" });
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::write(kept, &seen.picture).expect("a file");
        }
    }
}
