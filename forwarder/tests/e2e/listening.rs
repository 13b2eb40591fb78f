//! What a host hears, in tcpdump's words.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    lab::{Lab, PATIENCE, within},
    running::Running,
};

/// A tcpdump at a host's `eth0`, of what arrives there. It ends when the value is dropped.
pub(crate) struct Listening {
    words: PathBuf,
    _tcpdump: Running,
}

impl Listening {
    /// Returns when it hears.
    pub(crate) fn start(lab: &Lab, host: &str, filter: &str) -> Self {
        Self::at(lab, host, "eth0", filter)
    }

    /// The same at another interface.
    pub(crate) fn at(lab: &Lab, host: &str, interface: &str, filter: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let words = lab.dir().join(format!("heard{number}"));
        let log = lab.dir().join(format!("heard{number}.log"));
        let to_file = "exec tcpdump -l -n -e -t -i \"$2\" -Q in \"$3\" >\"$0\" 2>\"$1\"";
        let [w, l] = [&words, &log].map(|path| path.to_str().unwrap());
        let command = ["sh", "-c", to_file, w, l, interface, filter];
        let tcpdump = lab.spawn(host, &command);
        let hears = || fs::read_to_string(&log).is_ok_and(|l| l.contains("listening on"));
        assert!(within(PATIENCE, hears), "tcpdump {filter}");
        Self {
            words,
            _tcpdump: tcpdump,
        }
    }

    /// What it has heard so far.
    pub(crate) fn heard(&self) -> String {
        fs::read_to_string(&self.words).unwrap()
    }

    /// Waits until it has heard a line with all of these words.
    #[track_caller]
    pub(crate) fn expect(&self, words: &[&str]) {
        let is_it = |line: &str| words.iter().all(|word| line.contains(word));
        let heard = within(PATIENCE, || self.heard().lines().any(is_it));
        assert!(heard, "{words:?} lack in\n{}", self.heard());
    }
}
