//! Every case of the uplink's table, in the kernel.

use std::os::fd::AsFd;

use causeway::xdp::{UplinkProgram, XdpError};
use causeway_ebpf::{
    UplinkVerdict,
    cases::{self, uplink},
    ethernet,
};

use crate::{lab, socket};

/// The program with the tables of the cases.
fn load() -> UplinkProgram {
    let program = match std::env::var_os("CAUSEWAY_BPF_OBJECT") {
        Some(path) => UplinkProgram::load_object(&std::fs::read(path).expect("the object")),
        None => UplinkProgram::load(),
    };
    let mut program = program.unwrap_or_else(|error| panic!("{error} (needs root)"));
    program.configure(&uplink::config()).expect("configure");
    program.add_port(uplink::PORT).expect("add a port");
    let addresses = [cases::OWN_V4.into(), cases::OWN_V6.into()];
    program.set_addresses(addresses).expect("set addresses");
    program
}

/// Runs the program on `frame` once: the action, and the one verdict that was counted.
fn run(program: &mut UplinkProgram, frame: &[u8]) -> (u32, UplinkVerdict) {
    let before = program.counters().expect("counters");
    let outcome = program.test_run(frame, 1).expect("test run");
    let after = program.counters().expect("counters");
    let moved = |verdict: &&UplinkVerdict| after[verdict.index()] - before[verdict.index()];
    assert_eq!(UplinkVerdict::ALL.iter().map(|v| moved(&v)).sum::<u64>(), 1);
    let counted = UplinkVerdict::ALL.iter().find(|v| moved(v) == 1);
    (outcome.action, *counted.expect("one of them"))
}

fn run_cases(program: &mut UplinkProgram, socket: bool) {
    for case in uplink::cases() {
        let name = &case.name;
        if case.frame.len() < ethernet::HEADER_LEN {
            let refused = program.test_run(&case.frame, 1);
            assert!(
                matches!(refused, Err(XdpError::TestRun { .. })),
                "{name}: {refused:?}"
            );
            continue;
        }
        let expected = match case.expected {
            UplinkVerdict::Esp if !socket => UplinkVerdict::NoSocket,
            expected => expected,
        };
        let (action, verdict) = run(program, &case.frame);
        assert_eq!(verdict, expected, "{name}: {:02x?}", case.frame);
        assert_eq!(action, expected.action().code(), "{name}");
    }
}

#[test]
fn every_case_without_a_socket_is_the_kernels() {
    run_cases(&mut load(), false);
}

#[test]
fn every_case_with_a_socket() {
    lab::in_namespace(|_| {
        let socket = socket::bind(lab::LAN, 0);
        let mut program = load();
        program
            .set_socket(0, &socket.as_fd())
            .expect("an AF_XDP socket");
        run_cases(&mut program, true);
    });
}

#[test]
fn addresses_and_ports_are_followed() {
    let mut program = load();
    let esp = uplink::esp(4, &[], 60);
    assert_eq!(run(&mut program, &esp).1, UplinkVerdict::NoSocket);
    program.set_addresses([cases::OWN_V6.into()]).expect("set");
    assert_eq!(run(&mut program, &esp).1, UplinkVerdict::Other);
    let esp = uplink::esp(6, &[], 60);
    assert_eq!(run(&mut program, &esp).1, UplinkVerdict::NoSocket);
    for port in 1..64 {
        program.add_port(port).expect("room for 64");
    }
    program.add_port(64).expect_err("full");
}

/// A bridge's driver has no XDP: attached there or nowhere, it is nowhere.
#[test]
fn what_the_driver_does_not_take_is_not_attached_elsewhere() {
    crate::lab::in_namespace(|namespace| {
        namespace.ip(&["link", "add", "br0", "type", "bridge"]);
        let mut program = load();
        let error = program.attach_in_driver("br0").expect_err("no driver");
        assert!(error.to_string().contains("driver mode"), "{error}");
        assert_eq!(namespace.xdp_mode("br0"), None);
        program.attach_in_driver(crate::lab::LAN).expect("a veth");
        assert_eq!(namespace.xdp_mode(crate::lab::LAN), Some(1));
    });
}
