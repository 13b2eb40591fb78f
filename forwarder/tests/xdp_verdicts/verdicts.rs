//! Every case of the verdict table, in the kernel.

use causeway::xdp::{LanProgram, XdpError};
use causeway_ebpf::{Action, Role, Verdict, cases, ethernet};

use std::os::fd::AsFd;

use crate::{lab, load_world, run, socket};

/// Runs every case of one end; `socket` says whether receive queue 0 has one.
fn run_cases(program: &mut LanProgram, role: Role, socket: bool) {
    for case in cases::all().into_iter().filter(|case| case.role == role) {
        let name = &case.name;
        if case.frame.len() < ethernet::HEADER_LEN {
            // The kernel runs no frame without an Ethernet header, and no driver delivers one.
            let refused = program.test_run(&case.frame, 1);
            assert!(
                matches!(refused, Err(XdpError::TestRun { .. })),
                "{name}: {refused:?}"
            );
            assert_eq!(case.expected, Verdict::Malformed, "{name}");
            continue;
        }
        let redirected = case.expected.action() == Action::Redirect;
        let expected = if redirected && !socket {
            Verdict::NoSocket
        } else {
            case.expected
        };
        let (action, verdict) = run(program, &case.frame);
        assert_eq!(verdict, expected, "{name}: {:02x?}", case.frame);
        assert_eq!(action, expected.action().code(), "{name}");
    }
}

#[test]
fn every_case_without_a_socket() {
    for role in [Role::Site, Role::Cloud] {
        run_cases(&mut load_world(role), role, false);
    }
}

#[test]
fn every_case_with_a_socket() {
    lab::in_namespace(|_| {
        let socket = socket::bind(lab::LAN, 0);
        for role in [Role::Site, Role::Cloud] {
            let mut program = load_world(role);
            program
                .set_socket(0, &socket.as_fd())
                .expect("an AF_XDP socket");
            run_cases(&mut program, role, true);
        }
    });
}

#[test]
fn what_the_flood_policy_keeps_stays() {
    for (policy, case) in cases::floods() {
        let mut program = load_world(case.role);
        let config = cases::config(case.role).with_flood(policy);
        program.configure(&config).expect("a configuration");
        // There is no socket.
        let expected = match case.expected.action() {
            Action::Redirect => Verdict::NoSocket,
            _ => case.expected,
        };
        let (_, verdict) = run(&mut program, &case.frame);
        assert_eq!(verdict, expected, "{policy:?}, {}", case.name);
    }
}

#[test]
fn a_closed_socket_is_no_socket() {
    lab::in_namespace(|_| {
        let mut program = load_world(Role::Site);
        let broadcast = cases::frames::dhcp_discover(cases::STRANGER, &[]);
        let socket = socket::bind(lab::LAN, 0);
        program
            .set_socket(0, &socket.as_fd())
            .expect("an AF_XDP socket");
        assert_eq!(run(&mut program, &broadcast).1, Verdict::Flood);
        drop(socket);
        lab::wait_until("the socket is gone", || {
            run(&mut program, &broadcast).1 == Verdict::NoSocket
        });
    });
}

#[test]
fn sockets_have_to_fit_the_map() {
    lab::in_namespace(|_| {
        let mut program = load_world(Role::Site);
        let socket = socket::bind(lab::LAN, 0);
        let error = program
            .set_socket(64, &socket.as_fd())
            .expect_err("64 queues end at 63");
        assert!(
            matches!(
                error,
                XdpError::NoQueue {
                    queue: 64,
                    most: 64
                }
            ),
            "{error}"
        );
        let file = std::fs::File::open("/dev/null").expect("/dev/null");
        let error = program.set_socket(0, &file).expect_err("no socket");
        assert!(matches!(error, XdpError::Map { .. }), "{error}");
    });
}
