//! However it ends, it leaves nothing behind and takes nothing away.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    TO,
    lab::{Background, Lab, command, run},
};

/// Whether a process of this number has left a namespace.
fn namespaces_of(pid: u32) -> bool {
    command(&["ip", "netns", "list"]).contains(&format!("cwperf-{pid}-"))
}

/// A throughput test that takes minutes, once it has begun: in a namespace of its own, or between the ports.
fn long_test(lab: &Lab, more: &[&str]) -> Background {
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let ports = ["rfc2544", "throughput", "--tx", &tx, "--rx", &rx];
    let long = ["--to", TO, "--frame-bytes", "64", "--max-rate", "200fps"];
    let long = [&long[..], &["--trial-seconds", "60"]].concat();
    let background = Background::start_plain(&[&ports[..], &long, more].concat());
    let pid = background.pid();
    let end = Instant::now() + Duration::from_secs(20);
    while !(namespaces_of(pid) || lab.has_xdp("b", "in")) {
        assert!(Instant::now() < end, "it does not start");
        thread::sleep(Duration::from_millis(10));
    }
    background
}

/// A folder that goes at the end, with an older report in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("causeway-perf-endings-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).expect("a new folder");
        fs::write(folder.report(), "older").expect("writable");
        folder
    }

    fn report(&self) -> String {
        let path = self.0.join("report.json");
        path.into_os_string().into_string().expect("UTF-8")
    }

    fn assert_untouched(&self) {
        let text = fs::read_to_string(self.report()).expect("the report");
        let files = fs::read_dir(&self.0).expect("a folder").count();
        assert_eq!((text.as_str(), files), ("older", 1));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn only_a_new_report_replaces_an_older_one() {
    let (lab, folder) = (Lab::with_bridge(), Folder::new());
    let (link, report) = (lab.link("a", "out"), folder.report());
    let generate = ["generate", "--link", &link, "--to", TO, "--frames", "9"];
    let generate = [&generate[..], &["--json", &report]].concat();

    let refused = run(&[&generate[..], &["--generator", "live"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    folder.assert_untouched();
    let (code, _) = long_test(&lab, &["--json", &report]).interrupt();
    assert_eq!(code, Some(130));
    folder.assert_untouched();

    let output = run(&generate);
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&report).expect("the report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["results"][0]["sent"], 9);
    // Of the machine, not of the thread that sends.
    let cpus = thread::available_parallelism().expect("cores").get();
    assert_eq!(report["machine"]["cpus"], cpus);
}

#[test]
fn signals_leave_nothing_behind() {
    let lab = Lab::with_bridge();
    // While it measures its own ceiling in a namespace of its own; and, without that, between the ports.
    for more in [&[][..], &["--no-ceiling", "--warm-up", "0"]] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let background = long_test(&lab, more);
            let pid = background.pid();
            let (code, stdout) = background.end_with(signal);
            assert_eq!(code, Some(130));
            assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
            assert!(!namespaces_of(pid) && !lab.has_xdp("b", "in"));
        }
    }
}

/// Of a killed one nobody cleans up but the next one.
#[test]
fn the_next_test_removes_what_a_killed_one_left() {
    let lab = Lab::with_bridge();
    let killed = long_test(&lab, &[]);
    let pid = killed.pid();
    let (code, _) = killed.end_with(Signal::KILL);
    assert_eq!(code, None);
    // What a comparison leaves, too.
    let keys = PathBuf::from(format!("/run/cwperf-{pid}-7"));
    fs::create_dir(&keys).expect("root");
    fs::create_dir_all("/run/wireguard").expect("root");
    let socket = PathBuf::from(format!("/run/wireguard/wgA{pid}.sock"));
    drop(UnixListener::bind(&socket).expect("root"));
    let of_the_living = format!("/run/cwperf-{}-7", std::process::id());
    fs::create_dir(&of_the_living).expect("root");

    let (code, _) = long_test(&lab, &[]).interrupt();
    assert_eq!(code, Some(130));
    assert!(!namespaces_of(pid) && !keys.exists() && !socket.exists());
    assert!(Path::new(&of_the_living).exists());
    fs::remove_dir(of_the_living).expect("ours");
}
