//! A network namespace of a test's own with veth pairs, gone when the test is, and a packet
//! socket to be the LAN at a pair's far end.
#![allow(dead_code, reason = "each test binary uses its part")]

mod packet;

use std::{
    fs::File,
    os::fd::AsFd as _,
    panic::resume_unwind,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub(crate) use self::packet::PacketSocket;

/// How long to wait for what should take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace. Its only device is loopback, which is up.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes network namespaces and AF_XDP sockets and needs root: \
             run `sudo -E env PATH=$PATH cargo test -p causeway`"
        );
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-unit-{}-{next}", std::process::id());
        command(&["ip", "netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// `ip` with these arguments, in the namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        command(&[&["ip", "-n", &self.name][..], arguments].concat())
    }

    /// Adds a veth pair, both ends up and silent, with one queue each, so that veth runs XDP in its
    /// driver.
    pub(crate) fn veth(&self, a: &str, b: &str) {
        let queues = ["numrxqueues", "1", "numtxqueues", "1"];
        let (add, peer) = (["link", "add", a], ["type", "veth", "peer", "name", b]);
        self.ip(&[&add[..], &queues, &peer, &queues].concat());
        for end in [a, b] {
            self.ip(&["link", "set", end, "up"]);
        }
    }

    /// MAC address of a device.
    pub(crate) fn mac(&self, device: &str) -> [u8; 6] {
        let link = self.link(device);
        let text = link["address"].as_str().expect("an address");
        let bytes = text.split(':').map(|b| u8::from_str_radix(b, 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("hexadecimal");
        bytes.try_into().expect("6 bytes")
    }

    /// Frames that the kernel dropped for the device on the way out.
    pub(crate) fn tx_dropped(&self, device: &str) -> u64 {
        let dropped = &self.link(device)["stats64"]["tx"]["dropped"];
        dropped.as_u64().expect("ip -s counts drops")
    }

    fn link(&self, device: &str) -> serde_json::Value {
        let text = self.ip(&["-j", "-s", "link", "show", "dev", device]);
        let links: serde_json::Value = serde_json::from_str(&text).expect("ip -j writes JSON");
        links[0].clone()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        command(&["ip", "netns", "delete", &self.name]);
    }
}

/// Runs `test` on a thread of its own in a namespace of its own.
pub(crate) fn in_namespace(test: impl FnOnce(&Namespace) + Send) {
    let namespace = Namespace::new();
    let result = std::thread::scope(|scope| {
        let run = || {
            let file = File::open(format!("/run/netns/{}", namespace.name)).expect("just made");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("setns");
            // The kernel's own neighbour discovery would mix with the tests' frames.
            std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").expect("sysctl");
            test(&namespace);
        };
        scope.spawn(run).join()
    });
    drop(namespace);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Waits for what another thread or the kernel does a little later.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
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
