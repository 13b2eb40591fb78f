//! The XDP lan program in the kernel: the verdict table through BPF test-run, a full station
//! table, attachment, and what is left after `kill -9` (nothing).
//!
//! Needs root, as does every use of BPF. All network devices are in namespaces of the tests'
//! own. `CAUSEWAY_BPF_OBJECT` names another build of the object to test than the embedded one.

mod attachment;
mod lab;
mod sightings;
mod socket;
mod tables;
mod uplink;
mod verdicts;
mod watched;

use causeway::xdp::LanProgram;
use causeway_ebpf::{Role, Verdict, cases};

/// Loads the program; with a message for those who forgot to be root.
fn load() -> LanProgram {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test loads BPF programs and needs root: \
         run `sudo -E env PATH=$PATH cargo test -p causeway --test xdp_verdicts`"
    );
    let program = match std::env::var_os("CAUSEWAY_BPF_OBJECT") {
        Some(path) => LanProgram::load_object(&std::fs::read(path).expect("the object")),
        None => LanProgram::load(),
    };
    program.unwrap_or_else(|error| panic!("{error}"))
}

/// Loads the program with the tables of the verdict table's cases.
fn load_world(role: Role) -> LanProgram {
    let mut program = load();
    program.configure(&cases::config(role)).expect("configure");
    for (station, place) in cases::stations(role) {
        program.set_station(station, place).expect("add a station");
    }
    let addresses = [cases::OWN_V4.into(), cases::OWN_V6.into()];
    program
        .set_own_addresses(addresses)
        .expect("set own addresses");
    program.set_probes(&[cases::PROBE]).expect("set probes");
    program
}

/// Runs the program on `frame` once: the action, and the one verdict that was counted.
fn run(program: &mut LanProgram, frame: &[u8]) -> (u32, Verdict) {
    let before = program.counters().expect("counters");
    let outcome = program.test_run(frame, 1).expect("test run");
    let after = program.counters().expect("counters");
    let moved = |verdict: &Verdict| after[verdict.index()] - before[verdict.index()];
    let counted: Vec<_> = Verdict::ALL
        .iter()
        .filter(|verdict| moved(verdict) > 0)
        .collect();
    assert_eq!(
        Verdict::ALL.iter().map(moved).sum::<u64>(),
        1,
        "counted {counted:?}"
    );
    (outcome.action, *counted[0])
}
