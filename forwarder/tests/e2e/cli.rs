//! The command line without a network: keys and help. Each refusal is one line that names the mend.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::lab::shown;

pub(crate) const KEY1: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Exit codes: what was given cannot be used; what was tried has failed.
pub(crate) const USAGE: i32 = 2;
pub(crate) const FAILED: i32 = 1;

pub(crate) fn causeway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
pub(crate) fn stdout(arguments: &[&str]) -> String {
    let output = causeway(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The command ended with that code and one line on standard error, which has all the words.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", shown(output));
    assert!(
        text.starts_with("causeway: ") && text.lines().count() == 1,
        "{text}"
    );
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

/// A folder that goes when the test does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("causeway-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file's name, as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> String {
        fs::write(self.0.join(name), text).unwrap();
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &str) -> u32 {
    fs::metadata(Path::new(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn keygen_makes_a_private_file_and_never_overwrites_one() {
    let folder = Folder::new("cli-keygen");
    let file = folder.file("site.key");
    let public = stdout(&["keygen", "--out", &file]);
    assert_eq!(public.trim().len(), 44);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(stdout(&["pubkey", "--key", &file]), public);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        !text.contains(public.trim()),
        "the file has the private key"
    );

    assert_refused(
        &causeway(&["keygen", "--out", &file]),
        FAILED,
        &[&file, "not overwritten", "name another file"],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // Nor what a link points to, and nothing where there is no folder.
    let link = folder.file("link.key");
    std::os::unix::fs::symlink(folder.file("nothing"), &link).unwrap();
    assert_refused(
        &causeway(&["keygen", "--out", &link]),
        FAILED,
        &["not overwritten"],
    );
    let nowhere = folder.file("no/such/folder/key");
    assert_refused(
        &causeway(&["keygen", "--out", &nowhere]),
        FAILED,
        &[&nowhere, "No such file or directory"],
    );
}

#[test]
fn a_key_file_that_cannot_be_used_is_refused_with_the_mend() {
    let folder = Folder::new("cli-keys");
    let good = folder.file("good.key");
    stdout(&["keygen", "--out", &good]);
    let text = fs::read_to_string(&good).unwrap();
    let missing = folder.file("missing.key");
    let cases = [
        (
            missing.clone(),
            vec![missing.as_str(), "causeway keygen --out"],
        ),
        (
            folder.write("640", &text, 0o640),
            vec!["can be read by others", "mode 0640", "chmod 600"],
        ),
        (
            folder.write("644", &text, 0o644),
            vec!["can be read by others", "mode 0644", "chmod 600"],
        ),
        (
            folder.write("604", &text, 0o604),
            vec!["can be read by others", "mode 0604", "chmod 600"],
        ),
        (
            folder.write("620", &text, 0o620),
            vec!["mode 0620", "chmod 600"],
        ),
        (
            folder.write("empty", "", 0o600),
            vec!["the key is empty", "causeway keygen"],
        ),
        (
            folder.write("text", "no key at all\n", 0o600),
            vec!["not base64", "44 characters"],
        ),
        (folder.write("cut", &text[..40], 0o600), vec!["key"]),
        (
            folder.write("pem", "-----BEGIN PRIVATE KEY-----\n", 0o600),
            vec!["PEM"],
        ),
        (
            folder.write("binary", "\0\x01\u{80}", 0o600),
            vec!["not base64"],
        ),
        (folder.file(""), vec!["is not a regular file"]),
        ("/dev/null".into(), vec!["is not a regular file"]),
    ];
    for (file, words) in cases {
        assert_refused(&causeway(&["pubkey", "--key", &file]), FAILED, &words);
        let peer = format!("cloud={KEY1}@192.0.2.1:24500");
        for verb in ["check-config", "run"] {
            let arguments = [
                verb, "--role", "site", "--lan", "lo", "--key", &file, "--peer", &peer,
            ];
            assert_refused(&causeway(&arguments), USAGE, &words);
        }
        assert!(
            !causeway(&["pubkey", "--key", &file])
                .stderr
                .windows(20)
                .any(|w| w == &text.as_bytes()[..20])
        );
    }
}

/// What the command line itself is wrong about is told by the parser, in its form: the option and the mend.
#[test]
fn a_wrong_flag_names_the_option() {
    for (arguments, words) in [
        (&["run", "--colour", "red"][..], ["--colour", "Usage"]),
        (
            &["run", "--role", "hub"],
            ["hub", "possible values: site, cloud"],
        ),
        (
            &["run", "--listen", "24500"],
            ["--listen", "invalid socket address"],
        ),
        (&["run", "--peer", "cloud"], ["--peer", "NAME=PUBKEY"]),
        (
            &["run", "--rekey-after", "5"],
            ["--rekey-after", "such as 200ms, 120s or 5m"],
        ),
        (&["keygen"], ["--out", "required"]),
        (
            &["status", "--json", "--prometheus"],
            ["--prometheus", "cannot be used with"],
        ),
        (&["dance"], ["dance", "--help"]),
        (&[], ["Usage", "Commands"]),
    ] {
        let output = causeway(arguments);
        assert_eq!(output.status.code(), Some(USAGE), "{}", shown(&output));
        let text = String::from_utf8(output.stderr).unwrap();
        for word in words {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
    }
}

/// Every option says in `--help` what happens without it, but for those that have to be given or switch something on.
#[test]
fn help_mentions_defaults() {
    let wanted = [
        "help",
        "version",
        "config",
        "role",
        "lan",
        "key",
        "peer",
        "station",
        "sa-log",
        "out",
        "json",
        "prometheus",
        "vlan-map",
        "allow",
        "multicast",
        "gateway-mac",
        "site-routes",
    ];
    for verb in [
        "keygen",
        "pubkey",
        "run",
        "check-config",
        "status",
        "doctor",
    ] {
        let help = stdout(&[verb, "--help"]);
        let mut options = Vec::<(String, String)>::new();
        for line in help.lines() {
            if let Some((_, rest)) = line
                .trim_start()
                .split_once("--")
                .filter(|(before, _)| before.len() <= 4)
            {
                let name = rest.split([' ', '=']).next().unwrap();
                options.push((name.to_owned(), String::new()));
            }
            if let Some((_, text)) = options.last_mut() {
                text.push_str(line);
            }
        }
        assert!(options.len() >= 2, "{help}");
        for (name, text) in options {
            assert!(
                wanted.contains(&name.as_str()) || text.contains("[default: "),
                "{verb} --{name}: {text}"
            );
        }
    }
}

#[test]
fn status_says_when_nobody_answers() {
    let output = causeway(&["status", "--control", "causeway-that-does-not-run"]);
    assert_refused(
        &output,
        FAILED,
        &[
            "no causeway answers",
            "causeway-that-does-not-run",
            "is it running?",
            "ip netns exec",
        ],
    );
}
