//! The knobs of the workers, seen where they act: CPU time, scheduling policy, the device's counters.

use std::{fs, time::Duration};

use crate::{
    cli::{FAILED, assert_refused},
    lab::{Lab, PATIENCE, within},
};

/// The first worker's folder in /proc.
fn worker(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut folders = tasks.map(|task| task.unwrap().path().to_str().unwrap().to_owned());
    let is_worker =
        |folder: &String| fs::read_to_string(format!("{folder}/comm")).unwrap() == "worker-0\n";
    folders.find(is_worker).expect("worker-0")
}

/// A field of proc_pid_stat(5), by its number there.
fn stat(folder: &str, field: usize) -> u64 {
    let text = fs::read_to_string(format!("{folder}/stat")).unwrap();
    let after_name = text.rsplit_once(')').unwrap().1;
    after_name
        .split_whitespace()
        .nth(field - 3)
        .unwrap()
        .parse()
        .unwrap()
}

/// Nanoseconds that a thread has run (Documentation/scheduler/sched-stats.rst).
fn cpu_time(folder: &str) -> Duration {
    let text = fs::read_to_string(format!("{folder}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The cores that a thread may run on (proc_pid_status(5)).
fn cores(folder: &str) -> String {
    let text = fs::read_to_string(format!("{folder}/status")).unwrap();
    let field = { text.lines() }.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    field.unwrap().trim().to_owned()
}

/// CPU time of an idle worker of the site in three seconds.
fn cpu_time_when_idle(arguments: &[&str]) -> Duration {
    let lab = Lab::running_alone(&[], arguments);
    let folder = worker(lab.status("site").pid);
    let before = cpu_time(&folder);
    std::thread::sleep(Duration::from_secs(3));
    let used = cpu_time(&folder) - before;
    lab.dc_reaches("10.77.0.50");
    used
}

/// 5 % of a core: what is stated, under 1 %, with room for a machine that does other things.
const IDLE: Duration = Duration::from_millis(150);

#[test]
fn a_worker_that_sleeps_uses_no_cpu_time() {
    for arguments in [&[][..], &["--idle", "adaptive"], &["--idle", "sleep"]] {
        let used = cpu_time_when_idle(arguments);
        assert!(used < IDLE, "{arguments:?}: {used:?}");
    }
}

#[test]
fn a_worker_that_spins_uses_what_it_gets() {
    let used = cpu_time_when_idle(&["--idle", "spin"]);
    assert!(used > 4 * IDLE, "{used:?}");
}

#[test]
fn workers_run_under_sched_fifo_if_told_to() {
    let policy = |lab: &Lab| {
        let folder = worker(lab.status("site").pid);
        (stat(&folder, 41), stat(&folder, 40))
    };
    let (other, fifo) = (libc::SCHED_OTHER as u64, libc::SCHED_FIFO as u64);
    let lab = Lab::running(&[], &["--sched-fifo", "7"]);
    assert_eq!(policy(&lab), (fifo, 7));
    lab.dc_reaches("10.77.0.50");
    lab.stop("site", "TERM");
    lab.start("site", &[]);
    assert_eq!(policy(&lab), (other, 0));
    lab.stop("site", "TERM");

    let key = lab.dir().join("site.key").to_str().unwrap().to_owned();
    let peer = "cloud=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@203.0.113.2:24500";
    let causeway = env!("CARGO_BIN_EXE_causeway");
    let run = ["setpriv", "--bounding-set", "-sys_nice", causeway, "run"];
    let more = [
        "--role", "site", "--lan", "lan", "--key", &key, "--peer", peer, "--log", "error",
    ];
    let all = [&run[..], &more, &["--sched-fifo", "7"]].concat();
    let refused = lab.command("site", &all).output().unwrap();
    let words = ["--sched-fifo 7", "run as root or with CAP_SYS_NICE"];
    assert_refused(&refused, FAILED, &words);
}

/// A veth is on no NUMA node: nothing is near to it.
#[test]
fn workers_run_where_they_are_told_to() {
    let usable = core_affinity::get_core_ids().unwrap();
    let core = usable.last().unwrap().id.to_string();
    let all = cores("/proc/self");
    assert_ne!(all, core, "this test needs two cores");
    let lab = Lab::running(&[], &["--cpus", &core]);
    assert_eq!(cores(&worker(lab.status("cloud").pid)), core);
    lab.dc_reaches("10.77.0.50");
    lab.stop("site", "TERM");
    lab.start("site", &[]);
    assert_eq!(cores(&worker(lab.status("site").pid)), all);
}

/// All at once: they do not get into each other's way, and what is said of them is right.
#[test]
fn it_carries_with_every_knob_turned() {
    let knobs = [
        "--idle",
        "spin",
        "--ring-size",
        "512",
        "--umem-frames",
        "1500",
        "--huge-pages",
        "off",
        "--tx-budget",
        "64",
        "--xdp-send-buffer",
        "131072",
        "--busy-poll",
        "64",
        "--batch",
        "32",
        "--cpus",
        "0",
    ];
    let lab = Lab::running(&[], &knobs);
    lab.dc_reaches("10.77.0.50");
    assert_eq!(cores(&worker(lab.status("site").pid)), "0");
    let log = lab.log("site");
    assert!(log.contains("napi_defer_hard_irqs"), "{log}");
}

/// In copy mode the kernel takes a frame that the device refuses, and tells nobody but the device's counter.
#[test]
fn frames_that_the_device_refuses_show_in_the_status() {
    let lab = Lab::running(&[], &[]);
    lab.dc_reaches("10.77.0.50");
    assert_eq!(lab.status("cloud").lan.tx_dropped, 0);
    // Its far end: the cloud's port loses its carrier.
    lab.exec("new", &["ip", "link", "set", "cloud", "down"]);
    let counted = || {
        lab.succeeds("dc", &["ping", "-q", "-c", "1", "-W", "1", "10.77.0.50"]);
        lab.status("cloud").lan.tx_dropped > 0
    };
    assert!(within(PATIENCE, counted));
    let ask = [env!("CARGO_BIN_EXE_causeway"), "status"];
    assert!(lab.exec("cloud", &ask).contains("tx_dropped "));
}
