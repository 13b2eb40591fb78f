//! Network namespaces in a row, and the program as a user runs it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_causeway-perf");

/// The program with these arguments.
pub(crate) fn perf(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    perf(arguments).output().expect("the program")
}

/// Runs it with `--json`: its results.
pub(crate) fn results(arguments: &[&str]) -> Vec<Value> {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    parse(&output.stdout)
}

pub(crate) fn parse(stdout: &[u8]) -> Vec<Value> {
    let report: Value = serde_json::from_slice(stdout).expect("JSON alone");
    assert_eq!(report["schema"], "causeway-perf/1");
    crate::schema::assert_documented(&report);
    report["results"].as_array().expect("an array").clone()
}

/// A number of a record.
pub(crate) fn number(record: &Value, name: &str) -> f64 {
    let number = record[name].as_f64();
    number.unwrap_or_else(|| panic!("{name} in {record}"))
}

/// Runs a command that has to succeed; returns what it says.
pub(crate) fn command(line: &[&str]) -> String {
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

/// The program in the background, with `--json`.
pub(crate) struct Background {
    /// None once it has ended.
    child: Option<Child>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Background {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_plain(&[arguments, &["--json"]].concat())
    }

    /// Without `--json`, or with one of the caller's.
    pub(crate) fn start_plain(arguments: &[&str]) -> Self {
        // Whoever runs the tests may ignore them, as nohup does.
        let mut child = Command::new("env")
            .args(["--default-signal=HUP,INT,TERM", PROGRAM])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Self {
            child: Some(child),
            stderr,
        }
    }

    /// A sink that is ready.
    pub(crate) fn sink(link: &str, more: &[&str]) -> Self {
        let mut sink = Self::start(&[&["sink", "--link", link][..], more].concat());
        sink.wait_for("receiving at");
        sink
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Until it says so.
    pub(crate) fn wait_for(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("UTF-8");
            assert!(read > 0, "it ended before it said: {words}");
        }
    }

    /// Ctrl-C: its exit code, and its output.
    pub(crate) fn interrupt(self) -> (Option<i32>, Vec<u8>) {
        self.end_with(Signal::INT)
    }

    /// The same by another signal.
    pub(crate) fn end_with(mut self, signal: Signal) -> (Option<i32>, Vec<u8>) {
        let child = self.child.take().expect("it runs");
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("it runs");
        // What it still says must not block it.
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("UTF-8");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), output.stdout)
    }

    /// Ctrl-C at a sink: its one record.
    pub(crate) fn report(self) -> Value {
        let (code, stdout) = self.interrupt();
        assert_eq!(code, Some(0));
        parse(&stdout).remove(0)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// However many tests run side by side, two at most load the cores.
static TURNS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

/// Namespaces `a`, `m` and `b`, joined `a:out - m:left` and `m:right - b:in`; in `m` nothing forwards yet.
pub(crate) struct Lab {
    pub(crate) prefix: String,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let turn = TURNS[number as usize % TURNS.len()].lock();
        let lab = Self {
            _turn: turn.unwrap_or_else(PoisonError::into_inner),
            prefix: format!("traffic-test-{}-{number}", std::process::id()),
        };
        for end in ["a", "m", "b"] {
            command(&["ip", "netns", "add", &lab.netns(end)]);
            for scope in ["all", "default"] {
                let setting = format!("net.ipv6.conf.{scope}.disable_ipv6=1");
                command(&[
                    "ip",
                    "netns",
                    "exec",
                    &lab.netns(end),
                    "sysctl",
                    "-qw",
                    &setting,
                ]);
            }
        }
        lab.veth(("a", "out"), ("m", "left"));
        lab.veth(("m", "right"), ("b", "in"));
        lab
    }

    /// The middle is a plain bridge.
    pub(crate) fn with_bridge() -> Self {
        let lab = Self::new();
        lab.ip("m", &["link", "add", "br0", "type", "bridge"]);
        lab.ip("m", &["link", "set", "br0", "up"]);
        for port in ["left", "right"] {
            lab.ip("m", &["link", "set", port, "master", "br0"]);
        }
        lab
    }

    /// A veth takes frames of XDP only with NAPI, which GRO brings.
    pub(crate) fn take_live_frames(&self) {
        let netns = self.netns("m");
        command(&[
            "ip", "netns", "exec", &netns, "ethtool", "-K", "left", "gro", "on",
        ]);
    }

    /// The middle redirects frames from left to right, but of each 16 of a flow one goes astray, and, if so asked,
    /// another one goes twice.
    pub(crate) fn with_faults(duplicate: bool) -> Self {
        let lab = Self::new();
        lab.veth(("m", "astray"), ("m", "nowhere"));
        lab.tc(&["qdisc", "add", "dev", "left", "clsact"]);
        lab.filter(
            "1",
            Some("0x00"),
            &["mirred", "egress", "redirect", "dev", "astray"],
        );
        if duplicate {
            let twice = "mirred egress mirror dev right action mirred egress redirect dev right";
            lab.filter("2", Some("0x01"), &twice.split(' ').collect::<Vec<_>>());
        }
        lab.filter("3", None, &["mirred", "egress", "redirect", "dev", "right"]);
        lab
    }

    /// An action for frames whose sequence number ends so (4 bits), or all.
    fn filter(&self, priority: &str, ending: Option<&str>, action: &[&str]) {
        // Behind IPv4, UDP, magic and flow: the last byte of the sequence number.
        let these = [
            "match",
            "u8",
            ending.unwrap_or("0"),
            if ending.is_some() { "0x0f" } else { "0" },
            "at",
            "37",
        ];
        let add = [
            "filter", "add", "dev", "left", "ingress", "prio", priority, "protocol", "ip", "u32",
        ];
        self.tc(&[&add[..], &these, &["action"], action].concat());
    }

    fn tc(&self, arguments: &[&str]) {
        command(&[&["tc", "-n", &self.netns("m")], arguments].concat());
    }

    pub(crate) fn ip(&self, end: &str, arguments: &[&str]) -> String {
        command(&[&["ip", "-n", &self.netns(end)], arguments].concat())
    }

    pub(crate) fn netns(&self, end: &str) -> String {
        format!("{}-{end}", self.prefix)
    }

    /// An interface as the program's options name it.
    pub(crate) fn link(&self, end: &str, interface: &str) -> String {
        format!("{}:{interface}", self.netns(end))
    }

    fn veth(&self, a: (&str, &str), b: (&str, &str)) {
        let queues = ["numrxqueues", "1", "numtxqueues", "1"];
        let netns = self.netns(b.0);
        let (add, peer) = (
            ["link", "add", a.1],
            ["type", "veth", "peer", "name", b.1, "netns", &netns],
        );
        self.ip(a.0, &[&add[..], &queues, &peer, &queues].concat());
        for (end, interface) in [a, b] {
            self.ip(end, &["link", "set", interface, "up"]);
        }
    }

    /// Frames that left at an interface.
    pub(crate) fn sent_at(&self, end: &str, interface: &str) -> u64 {
        let text = self.ip(end, &["-j", "-s", "link", "show", "dev", interface]);
        let links: Value = serde_json::from_str(&text).expect("ip -j writes JSON");
        links[0]["stats64"]["tx"]["packets"]
            .as_u64()
            .expect("a count")
    }

    /// Whether an XDP program is attached.
    pub(crate) fn has_xdp(&self, end: &str, interface: &str) -> bool {
        self.ip(end, &["link", "show", "dev", interface])
            .contains("xdp")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for end in ["a", "m", "b"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.netns(end)])
                .status();
        }
    }
}
