//! Holds the documentation to the program: every flag, counter and reason has its line in
//! OPERATIONS.md and every line has its counter, and the examples of configuration pass `check-config`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use causeway::{control::alarm_kinds, counters::WorkerCounters};
use causeway_ebpf::{SightingCounter, UplinkVerdict, Verdict};
use causeway_tunnel::{DropReason, session::SessionCounter};

const OPERATIONS: &str = include_str!("../OPERATIONS.md");
const README: &str = include_str!("../../README.md");

/// The words in code style that begin the rows of the tables under a heading.
fn documented(heading: &str) -> BTreeSet<&'static str> {
    rows(heading).into_keys().collect()
}

/// Those rows by their first word in code style, without what follows it (`--peer NAME=…`).
fn rows(heading: &str) -> BTreeMap<&'static str, &'static str> {
    let mut lines = OPERATIONS.lines();
    assert!(
        lines.any(|line| line == heading),
        "OPERATIONS.md has no {heading}"
    );
    lines
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| {
            let word = line.strip_prefix("| `")?.split(['`', ' ']).next()?;
            Some((word, line))
        })
        .collect()
}

fn causeway(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "causeway {args:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The flags that `--help` shows, each with its default if it has one.
fn flags(command: &str) -> Vec<(String, Option<String>)> {
    let help = causeway(&[command, "--help"]);
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in help.lines().map(str::trim_start) {
        if line.starts_with("--") {
            let flag = line.split_whitespace().next().unwrap();
            flags.push((flag.to_owned(), String::new()));
        } else if let Some((_, text)) = flags.last_mut() {
            text.push_str(line);
            text.push(' ');
        }
    }
    assert!(!flags.is_empty(), "{help}");
    flags
        .into_iter()
        .map(|(flag, text)| {
            let default = text.split_once("[default: ").and_then(|(_, d)| {
                let words: Vec<_> = d.split_once(']')?.0.split_whitespace().collect();
                Some(words.join(" "))
            });
            (flag, default)
        })
        .collect()
}

#[test]
fn every_flag_stands_with_its_default() {
    for command in ["run", "status", "station", "doctor", "keygen", "pubkey"] {
        let heading = match command {
            "run" => "## The flags of `causeway run`",
            _ => "## The other commands",
        };
        let rows = rows(heading);
        let flags = flags(command);
        for (flag, default) in &flags {
            let row = rows.get(flag.as_str());
            let row = row.unwrap_or_else(|| panic!("{heading} lacks {flag}"));
            let default = default.as_deref().unwrap_or_default();
            assert!(row.contains(default), "default {default} lacks in: {row}");
        }
        if command == "run" {
            let known: BTreeSet<_> = flags.iter().map(|(flag, _)| flag.as_str()).collect();
            assert_eq!(documented(heading), known);
        }
    }
}

#[test]
fn every_verdict_reason_and_counter_stands_and_no_other() {
    let labels = |labels: Vec<&'static str>| labels.into_iter().collect::<BTreeSet<_>>();
    let verdicts = Verdict::ALL.iter().map(|v| v.label()).collect();
    assert_eq!(documented("## Verdicts at the lan port"), labels(verdicts));
    let counters = SightingCounter::ALL.iter().map(|c| c.label()).collect();
    assert_eq!(documented("## Sightings at the lan port"), labels(counters));
    let verdicts = UplinkVerdict::ALL.iter().map(|v| v.label()).collect();
    assert_eq!(documented("## Verdicts at the uplink"), labels(verdicts));
    let reasons = DropReason::ALL.iter().map(|r| r.label()).collect();
    assert_eq!(documented("## Drops in user space"), labels(reasons));
    let counters = SessionCounter::ALL.iter().map(|c| c.label()).collect();
    assert_eq!(documented("## At the QUIC socket"), labels(counters));
    let alarms = alarm_kinds().map(|(label, _)| label).collect();
    assert_eq!(documented("## Alarms"), labels(alarms));
    let counters = WorkerCounters::new(0);
    let counters = counters.by_name().map(|(name, _)| name).collect();
    assert_eq!(documented("## Counters of a worker"), labels(counters));
}

/// A folder that is gone when the test is over, however it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("causeway-docs-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The blocks of a language in a document.
fn blocks(document: &'static str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let parts = document.split(fence.as_str()).skip(1);
    parts
        .map(|part| part.split_once("\n```").expect("the block ends").0)
        .collect()
}

#[test]
fn the_examples_of_configuration_are_right() {
    for (name, document, least) in [("readme", README, 2), ("operations", OPERATIONS, 1)] {
        let folder = Folder::new(name);
        let (site, cloud) = (folder.file("site.key"), folder.file("cloud.key"));
        let site_public = causeway(&["keygen", "--out", &site]);
        let cloud_public = causeway(&["keygen", "--out", &cloud]);
        let examples = blocks(document, "toml");
        assert!(examples.len() >= least, "{name}: {}", examples.len());
        for example in examples {
            let is_site = example.contains("role = \"site\"");
            let key = if is_site { &site } else { &cloud };
            let text = example
                .replace("SITE_PUBLIC_KEY", site_public.trim())
                .replace("CLOUD_PUBLIC_KEY", cloud_public.trim())
                .replace("/etc/causeway/old-lan.key", key);
            let file = folder.file("old-lan.toml");
            fs::write(&file, text).unwrap();
            let answer = causeway(&["check-config", "--config", &file]);
            let role = if is_site { "ok: site" } else { "ok: cloud" };
            assert!(answer.starts_with(role), "{answer}");
        }
    }
}

/// The files that README.md and OPERATIONS.md point to are there.
#[test]
fn links_lead_to_files() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for (document, folder) in [(README, ""), (OPERATIONS, "forwarder")] {
        let targets = document
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|t| !t.starts_with('#') && !t.contains("://")) {
            let path = target.split('#').next().unwrap();
            assert!(root.join(folder).join(path).exists(), "{target}");
        }
    }
}
