//! Attached to a veth: the mode, who is in the way, and that nothing stays behind.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use causeway::xdp::{AttachMode, XdpError};
use causeway_ebpf::{Role, Verdict};

use crate::{
    lab::{self, LAN, Namespace, PEER, wait_until},
    load, load_world,
};

/// In the environment of a process that a test starts from its own binary: the namespace to work in.
const CHILD: &str = "CAUSEWAY_TEST_CHILD";

#[test]
fn attached_frames_are_counted_and_detached_ones_are_not() {
    lab::in_namespace(|namespace| {
        let mut program = load_world(Role::Site);
        assert_eq!(program.attach(LAN).expect("attach"), AttachMode::Driver);
        assert_eq!(
            namespace.xdp_mode(LAN),
            Some(1),
            "1 is the driver, 2 generic"
        );
        let flooded = |program: &causeway::xdp::LanProgram| {
            program.counters().expect("counters")[Verdict::NoSocket.index()]
        };
        let before = flooded(&program);
        namespace.broadcast_from_peer();
        wait_until("a broadcast is counted", || flooded(&program) > before);

        program.detach();
        wait_until("the program is detached", || {
            namespace.xdp_mode(LAN).is_none()
        });
        let before = flooded(&program);
        namespace.broadcast_from_peer();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(flooded(&program), before);

        program.attach(LAN).expect("attach again");
        drop(program);
        wait_until("the program is detached", || {
            namespace.xdp_mode(LAN).is_none()
        });
    });
}

#[test]
fn another_program_in_the_way_is_named() {
    lab::in_namespace(|namespace| {
        let mut first = load_world(Role::Site);
        first.attach(LAN).expect("attach");
        let mut second = load_world(Role::Site);
        let error = second.attach(LAN).expect_err("occupied");
        assert!(matches!(error, XdpError::Occupied { .. }), "{error}");
        assert!(
            error.to_string().contains("ip link set dev lan0 xdp off"),
            "{error}"
        );
        first.detach();
        wait_until("the program is detached", || {
            namespace.xdp_mode(LAN).is_none()
        });
        second.attach(LAN).expect("free");
    });
}

#[test]
fn a_driver_without_xdp_gets_generic_mode() {
    lab::in_namespace(|namespace| {
        namespace.ip(&["link", "add", "bridge0", "type", "bridge"]);
        let mut program = load_world(Role::Site);
        assert_eq!(
            program.attach("bridge0").expect("attach"),
            AttachMode::Generic
        );
        assert_eq!(namespace.xdp_mode("bridge0"), Some(2));
    });
}

#[test]
fn a_driver_with_multi_buffer_xdp_takes_it_at_the_mtu_of_jumbo_frames() {
    lab::in_namespace(|namespace| {
        namespace.ip(&["link", "set", LAN, "mtu", "9000"]);
        namespace.ip(&["link", "set", PEER, "mtu", "9000"]);
        let mut program = load_world(Role::Site);
        assert_eq!(program.attach(LAN).expect("attach"), AttachMode::Driver);
        assert_eq!(namespace.xdp_mode(LAN), Some(1));
    });
}

#[test]
fn attaching_needs_a_configuration_and_an_interface() {
    let mut program = load();
    let error = program.attach("lo").expect_err("unconfigured");
    assert!(matches!(error, XdpError::NotConfigured), "{error}");
    let mut program = load_world(Role::Site);
    for name in ["nonesuch", "", "nul\0"] {
        let error = program.attach(name).expect_err("no interface");
        assert!(matches!(error, XdpError::NoInterface { .. }), "{error}");
    }
}

#[test]
fn after_kill_9_nothing_is_attached() {
    if let Ok(namespace) = std::env::var(CHILD) {
        attach_and_wait(&namespace);
    }
    let namespace = Namespace::new();
    let mut child = this_test_binary("after_kill_9_nothing_is_attached")
        .env(CHILD, namespace.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test binary");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let attached = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("attached"));
    assert!(attached, "the child did not attach: {:?}", child.wait());
    assert_eq!(namespace.xdp_mode(LAN), Some(1));

    child.kill().expect("SIGKILL");
    child.wait().expect("the child");
    wait_until("the program of a killed process is detached", || {
        namespace.xdp_mode(LAN).is_none()
    });
}

/// What the process does that is killed.
fn attach_and_wait(namespace: &str) -> ! {
    lab::enter(namespace);
    let mut program = load_world(Role::Site);
    program.attach(LAN).expect("attach");
    println!("attached");
    loop {
        std::thread::park();
    }
}

#[test]
fn without_capabilities_the_error_names_them() {
    if std::env::var(CHILD).is_ok() {
        return load_and_say_why_not();
    }
    let child = this_test_binary("without_capabilities_the_error_names_them");
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(child.get_program())
        .args(child.get_args())
        .env(CHILD, "")
        .output()
        .expect("setpriv, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("give the process CAP_BPF, CAP_NET_ADMIN"),
        "{text}"
    );
}

/// What the process does that has no capabilities.
fn load_and_say_why_not() {
    let error = causeway::xdp::LanProgram::load().expect_err("no capabilities");
    println!("{error}");
}

/// This test binary, to run one test of it again as a process of its own. The test knows by
/// [`CHILD`] that it is that process.
fn this_test_binary(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("its own path"));
    command.args(["--exact", "--nocapture", &format!("attachment::{test}")]);
    command
}
