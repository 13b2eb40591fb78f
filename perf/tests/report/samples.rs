//! The files to read, and the program that reads them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

pub(crate) const SAMPLES: [&str; 5] = ["compare", "filter", "pipeline", "rfc2544", "traffic"];

pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/report/{name}.json"))
}

pub(crate) fn samples() -> Vec<PathBuf> {
    SAMPLES.map(sample).into()
}

pub(crate) fn program(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-perf"));
    let output = command.args(arguments).args(files).output();
    output.expect("the program")
}

/// The page of these files, from standard output.
pub(crate) fn page(files: &[PathBuf]) -> String {
    let output = program(&["report", "--out", "-"], files);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A folder of its own for a test, gone at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("causeway-perf-report-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a new folder");
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// A file as `--json` writes it, with these results.
    pub(crate) fn results(&self, name: &str, results: Value) -> PathBuf {
        let object = json!({"schema": "causeway-perf/1", "results": results});
        self.file(name, object.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn records(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(sample(name)).expect("a sample");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    file["results"].as_array().expect("an array").clone()
}
