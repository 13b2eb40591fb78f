//! A network namespace of a test's own, with one veth pair, gone when the test is.

use std::{
    fs::File,
    net::UdpSocket,
    os::fd::AsFd as _,
    panic::resume_unwind,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The end of the veth pair that programs are attached to.
pub(crate) const LAN: &str = "lan0";
/// Its other end.
pub(crate) const PEER: &str = "lan1";

/// A network namespace with `lan0` and `lan1`, both up.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-xdp-{}-{next}", std::process::id());
        command(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        // One queue on each side: veth runs XDP in its driver only where a device has as many
        // receive queues as its peer has transmit queues.
        let queues = ["numrxqueues", "1", "numtxqueues", "1"];
        let lan = ["link", "add", LAN];
        let peer = ["type", "veth", "peer", "name", PEER];
        namespace.ip(&[&lan[..], &queues, &peer, &queues].concat());
        namespace.ip(&["link", "set", LAN, "up"]);
        namespace.ip(&["link", "set", PEER, "up"]);
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `ip` with these arguments, in the namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        command(&[&["ip", "-n", &self.name][..], arguments].concat())
    }

    /// Has [`PEER`] broadcast an ARP request. The calling thread is in the namespace.
    pub(crate) fn broadcast_from_peer(&self) {
        self.ip(&["address", "replace", "192.0.2.7/24", "dev", PEER]);
        self.ip(&["neighbour", "flush", "dev", PEER]);
        let socket = UdpSocket::bind("192.0.2.7:0").expect("an address of the peer");
        socket
            .send_to(b"discard", "192.0.2.99:9")
            .expect("sent, or waiting for ARP");
    }

    /// How an XDP program is attached to `interface` (`XDP_ATTACHED_*` of linux/if_link.h), if
    /// one is.
    pub(crate) fn xdp_mode(&self, interface: &str) -> Option<u64> {
        let text = self.ip(&["-j", "link", "show", "dev", interface]);
        let links: serde_json::Value = serde_json::from_str(&text).expect("ip -j writes JSON");
        links[0]["xdp"]["mode"].as_u64()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        command(&["ip", "netns", "delete", &self.name]);
    }
}

/// Moves the calling thread into the network namespace `name`.
pub(crate) fn enter(name: &str) {
    let file = File::open(format!("/run/netns/{name}")).expect("the namespace");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
}

/// Runs `test` on a thread of its own in a namespace of its own.
pub(crate) fn in_namespace(test: impl FnOnce(&Namespace) + Send) {
    let namespace = Namespace::new();
    let result = std::thread::scope(|scope| {
        let run = || {
            enter(&namespace.name);
            test(&namespace);
        };
        scope.spawn(run).join()
    });
    drop(namespace);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Waits for what the kernel does a little later.
///
/// It frees a link or a socket with its last descriptor, and while one test starts a program, the
/// fork of this process has copies of all that the others just closed, until it calls exec.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 5 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn command(line: &[&str]) -> String {
    let output = Command::new(line[0]).args(&line[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", line[0]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{}`: {errors} (needs root)",
        line.join(" ")
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
