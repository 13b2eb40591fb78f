//! `check-config`: what it takes, and how it names what is wrong.

use std::process::Output;

use crate::{
    cli::{Folder, KEY1, USAGE, assert_refused, causeway, stdout},
    lab::shown,
};

/// A configuration file and what `check-config` makes of it.
struct Configuration {
    folder: Folder,
    key: String,
    own: String,
}

impl Configuration {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let key = folder.file("site.key");
        let own = stdout(&["keygen", "--out", &key]).trim().to_owned();
        Self { folder, key, own }
    }

    fn text(&self, more: &str) -> String {
        let key = &self.key;
        format!(
            "role = 'site'\nlan = 'eth7'\nkey = '{key}'\npeer = ['cloud={KEY1}@gw.example.net:24500']\n{more}"
        )
    }

    fn check(&self, text: &str, flags: &[&str]) -> Output {
        let file = self.folder.write("site.toml", text, 0o644);
        causeway(&[&["check-config", "--config", &file], flags].concat())
    }
}

#[test]
fn check_config_takes_file_and_flags_and_touches_nothing() {
    let it = Configuration::new("cli-config");
    let text = it
        .text("station = ['00:50:56:00:00:50=cloud', '7/00:50:56:00:00:50=cloud']\nworkers = 2\n");
    let ok = |flags: &[&str]| {
        let output = it.check(&text, flags);
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let own = &it.own;
    assert_eq!(
        ok(&[]),
        format!("ok: site with 1 peer(s), 2 station(s), lan port eth7, public key {own}\n")
    );
    // A flag wins over the file; peers and stations of both are put together.
    let more = ok(&["--lan", "eth8", "--station", "00:50:56:00:00:51=cloud"]);
    assert!(
        more.contains("lan port eth8") && more.contains("3 station(s)"),
        "{more}"
    );
    let replaced = format!("cloud={KEY1}@other.example.net:1");
    assert!(ok(&["--peer", &replaced]).contains("1 peer(s)"));
}

#[test]
fn check_config_names_file_line_and_mend() {
    let it = Configuration::new("cli-config-bad");
    let key2 = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let own_as_peer = format!("peer = ['cloud={}@h:1']", it.own);
    let cases: [(String, &[&str]); 15] = [
        (
            it.text("colour = 'red'\n"),
            &["site.toml line 5", "unknown field `colour`"],
        ),
        (
            it.text("\n\n  rekey_after = '5s'\n"),
            &["site.toml line 7", "unknown field `rekey_after`"],
        ),
        (
            it.text("rekey-after = '5'\n"),
            &["site.toml line 5", "not a time such as"],
        ),
        (
            it.text("workers = 'x'\n"),
            &["site.toml line 5 (workers = 'x'): "],
        ),
        (
            it.text("station = ['00:50:56=cloud']\n"),
            &["site.toml line 5", "not a MAC address such as"],
        ),
        (
            it.text("role = 'site'\n"),
            &["site.toml line 5", "duplicate key"],
        ),
        (
            it.text("cipher = 'rot13'\n"),
            &["site.toml line 5", "aes-256-gcm"],
        ),
        (it.text("batch = \n"), &["site.toml line 5"]),
        (
            it.text("workers = 65\n"),
            &["--workers 65 is not between 1 and 64"],
        ),
        (
            it.text("rekey-after = '180s'\n"),
            &["--rekey-after", "between"],
        ),
        (
            it.text("station = ['00:50:56:00:00:50=clod']\n"),
            &["behind peer clod, which no --peer names"],
        ),
        (
            it.text("")
                .replace("']", &format!("', 'cloud={key2}@h:1']")),
            &["two peers are named cloud: rename one"],
        ),
        (
            it.text("").replace("']", &format!("', 'b={KEY1}@h:1']")),
            &["the same public key", "each end needs its own"],
        ),
        (
            it.text("").replace(KEY1, "short="),
            &["site.toml line 4", "public key of peer cloud"],
        ),
        (
            it.text("")
                .lines()
                .filter(|l| !l.starts_with("peer"))
                .map(|l| format!("{l}\n"))
                .collect::<String>()
                + &own_as_peer,
            &[
                "peer cloud has our own public key",
                "causeway pubkey",
                "at the other end",
            ],
        ),
    ];
    for (text, words) in cases {
        assert_refused(&it.check(&text, &[]), USAGE, words);
    }
    let missing = it.folder.file("missing.toml");
    let output = causeway(&["check-config", "--config", &missing]);
    assert_refused(&output, USAGE, &["cannot read", &missing]);
    for (flag, word) in [
        ("role", "--role site or --role cloud"),
        ("lan", "--lan IF"),
        ("key", "causeway keygen --out"),
        ("peer", "--peer NAME=PUBKEY"),
    ] {
        let text: String = it
            .text("")
            .lines()
            .filter(|l| !l.starts_with(flag))
            .map(|l| format!("{l}\n"))
            .collect();
        assert_refused(&it.check(&text, &[]), USAGE, &[word]);
    }
}
