//! A lab of the test's own, removed again however the test ends.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use causeway::status::Status;

use crate::running::Running;

/// Most tests wait most of the time, so they run side by side. Those that load the machine or measure times have it to
/// themselves: with two cores they would only test the scheduler. One that wants that waits for all that have begun, and
/// who comes later for it: those that only wait, for minutes, keep nobody waiting.
static TURNS: RwLock<()> = RwLock::new(());

enum Turn {
    None,
    Shared {
        _turn: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _turn: RwLockWriteGuard<'static, ()>,
    },
}

impl Turn {
    fn shared() -> Self {
        let _turn = TURNS.read().unwrap_or_else(PoisonError::into_inner);
        Self::Shared { _turn }
    }

    fn alone() -> Self {
        let _turn = TURNS.write().unwrap_or_else(PoisonError::into_inner);
        Self::Alone { _turn }
    }
}

/// How long something that takes no time may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// MAC addresses of the lab's hosts (see the drawing in scripts/lab).
pub(crate) const DC: &str = "02:77:00:00:00:01";
pub(crate) const VM1: &str = "00:50:56:00:00:50";

pub(crate) struct Lab {
    name: String,
    _turn: Turn,
}

impl Lab {
    /// Builds the namespaces; `options` are those of `scripts/lab up`.
    pub(crate) fn up(options: &[&str]) -> Self {
        Self::build(Turn::shared(), options)
    }

    fn build(turn: Turn, options: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "end-to-end tests make network namespaces: run them as root (sudo scripts/test)"
        );
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e{}-{number}", std::process::id());
        let lab = Self { name, _turn: turn };
        lab.script("up", options);
        lab
    }

    /// Builds the namespaces and starts both ends with more arguments for `causeway run`.
    pub(crate) fn running(options: &[&str], arguments: &[&str]) -> Self {
        Self::up(options).started(arguments)
    }

    /// The same while no other test has a lab but those of [`Self::running_beside_all`]: for one that loads the machine or measures times.
    pub(crate) fn running_alone(options: &[&str], arguments: &[&str]) -> Self {
        Self::build(Turn::alone(), options).started(arguments)
    }

    /// The same beside any other test: for one that takes minutes and next to no time of a core.
    pub(crate) fn running_beside_all(options: &[&str], arguments: &[&str]) -> Self {
        Self::build(Turn::None, options).started(arguments)
    }

    fn started(self, arguments: &[&str]) -> Self {
        self.start("both", arguments);
        self.wait_for_session();
        self
    }

    /// Starts `site`, `cloud` or `both`; returns when they answer `causeway status`.
    pub(crate) fn start(&self, end: &str, arguments: &[&str]) {
        let mut all = vec![
            "--bin",
            env!("CARGO_BIN_EXE_causeway"),
            "--keep-log",
            end,
            "--",
        ];
        all.extend(arguments);
        self.script("start", &all);
    }

    /// As [`Self::start`], of an end whose configuration has no stations.
    pub(crate) fn start_without_stations(&self, end: &str, arguments: &[&str]) {
        let binary = env!("CARGO_BIN_EXE_causeway");
        let options = ["--bin", binary, "--no-stations", "--keep-log", end, "--"];
        self.script("start", &[&options, arguments].concat());
    }

    /// The public key of an end.
    pub(crate) fn public_key(&self, end: &str) -> String {
        let file = self.dir().join(format!("{end}.pub"));
        let key = std::fs::read_to_string(file).unwrap();
        key.trim().to_owned()
    }

    /// Stops an end with a signal; returns when it is gone.
    pub(crate) fn stop(&self, end: &str, signal: &str) {
        self.script("stop", &["--signal", signal, end]);
    }

    /// Runs a command in a namespace and wants it to succeed; gives its standard output.
    pub(crate) fn exec(&self, namespace: &str, command: &[&str]) -> String {
        let output = self.command(namespace, command).output().unwrap();
        assert!(
            output.status.success(),
            "{command:?} in {namespace}: {}",
            shown(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Wants three pings of `address` from dc to be answered.
    pub(crate) fn dc_reaches(&self, address: &str) {
        let ping = ["ping", "-q", "-c", "3", "-i", "0.1", "-W", "2", address];
        self.exec("dc", &ping);
    }

    /// An iperf3 server in a namespace, which listens now and ends after one client: to a second, one that has not quite
    /// done with the first says that it is busy.
    pub(crate) fn serve_iperf3(&self, namespace: &str) -> Running {
        let server = self.spawn(namespace, &["iperf3", "--server", "--one-off"]);
        let sockets = ["ss", "-Hltn", "sport = :5201"];
        let listens = || !self.exec(namespace, &sockets).is_empty();
        assert!(within(PATIENCE, listens), "iperf3 does not listen");
        server
    }

    /// Has dc serve DHCP (dnsmasq) for as long as the value lives, and vm2 get a lease of it (udhcpc), which must succeed.
    pub(crate) fn vm2_gets_a_lease_of_dc(&self) -> Running {
        let server = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--interface=eth0",
            "--bind-interfaces",
            "--dhcp-range=10.77.0.100,10.77.0.120,60",
            "--dhcp-leasefile=/dev/null",
            "--user=root",
            "--pid-file=",
        ];
        let server = self.spawn("dc", &server);
        let client = [
            "busybox",
            "udhcpc",
            "-i",
            "eth0",
            "-n",
            "-q",
            "-t",
            "20",
            "-T",
            "1",
            "-s",
            "/bin/true",
        ];
        self.exec("vm2", &client);
        server
    }

    /// Whether a command in a namespace succeeds.
    pub(crate) fn succeeds(&self, namespace: &str, command: &[&str]) -> bool {
        self.command(namespace, command)
            .output()
            .unwrap()
            .status
            .success()
    }

    /// Starts a command in a namespace; it is killed when the value is dropped.
    pub(crate) fn spawn(&self, namespace: &str, command: &[&str]) -> Running {
        let mut command = self.command(namespace, command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command.stdin(Stdio::null()))
    }

    /// Starts `causeway run` in a namespace, beside the ends that [`Self::start`] starts; its log is that of `log`.
    pub(crate) fn run(
        &self,
        namespace: &str,
        log: &str,
        prefix: &[&str],
        arguments: &[&str],
    ) -> Running {
        let all = [prefix, &[env!("CARGO_BIN_EXE_causeway"), "run"], arguments].concat();
        let file = std::fs::File::create(self.dir().join(format!("{log}.log"))).unwrap();
        let mut command = self.command(namespace, &all);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Running::start(command.stderr(file))
    }

    /// `causeway status --json` of whatever runs in a namespace, once it answers.
    pub(crate) fn status_when_up(&self, namespace: &str) -> Status {
        let ask = [env!("CARGO_BIN_EXE_causeway"), "status"];
        assert!(
            within(PATIENCE, || self.succeeds(namespace, &ask)),
            "no causeway in {namespace}"
        );
        self.status(namespace)
    }

    /// A new key pair in the lab's folder: the private key's file, and the public key.
    pub(crate) fn keygen(&self, name: &str) -> (String, String) {
        let file = self.dir().join(format!("{name}.key"));
        let made = Command::new(env!("CARGO_BIN_EXE_causeway"))
            .args(["keygen", "--out"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        (
            file.to_str().unwrap().to_owned(),
            String::from_utf8(made.stdout).unwrap().trim().to_owned(),
        )
    }

    /// A command in a namespace, not started.
    pub(crate) fn command(&self, namespace: &str, command: &[&str]) -> Command {
        let mut exec = Command::new("ip");
        exec.args(["netns", "exec", &format!("{}-{namespace}", self.name)]);
        exec.args(command);
        exec
    }

    /// `causeway status --json` of an end.
    pub(crate) fn status(&self, end: &str) -> Status {
        let json = self.exec(end, &[env!("CARGO_BIN_EXE_causeway"), "status", "--json"]);
        serde_json::from_str(&json).unwrap()
    }

    /// The log of an end so far.
    pub(crate) fn log(&self, end: &str) -> String {
        std::fs::read_to_string(self.dir().join(format!("{end}.log"))).unwrap_or_default()
    }

    /// The prefix of its namespaces.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the lab keeps keys and logs.
    pub(crate) fn dir(&self) -> PathBuf {
        PathBuf::from("/run/causeway-lab").join(&self.name)
    }

    pub(crate) fn wait_for_session(&self) {
        let up = |end| self.status(end).peers.iter().all(|p| p.state == "up");
        let ready = || {
            // The listening end can send once it has learnt where to.
            let cloud = self.status("cloud");
            let session = cloud.peers[0].session.as_ref();
            up("site") && session.is_some_and(|s| s.tx_lanes.iter().all(|l| l.path.is_some()))
        };
        assert!(
            within(PATIENCE, ready),
            "no session\nsite:\n{}\ncloud:\n{}",
            self.log("site"),
            self.log("cloud")
        );
    }

    /// Frames that the test's Python program sends from one host and another receives. See frames.py.
    pub(crate) fn frames(&self, arguments: &[&str]) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/frames.py");
        let mut all = vec![
            "/usr/bin/env".to_owned(),
            "python3".into(),
            script.into(),
            self.name.clone(),
        ];
        all.extend(arguments.iter().map(|a| (*a).to_owned()));
        let output = Command::new(&all[0]).args(&all[1..]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn script(&self, verb: &str, arguments: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lab");
        let mut command = Command::new(script);
        command
            .arg(verb)
            .args(arguments)
            .env("LAB", &self.name)
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "scripts/lab {verb} {arguments:?}: {}",
            shown(&output)
        );
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("site:\n{}\ncloud:\n{}", self.log("site"), self.log("cloud"));
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lab");
        let removed = Command::new(script)
            .arg("down")
            .env("LAB", &self.name)
            .output();
        if let Ok(output) = removed
            && !output.status.success()
        {
            eprintln!("lab {} is not removed: {}", self.name, shown(&output));
        }
    }
}

/// Asks again and again until the answer is yes; false if it never was.
pub(crate) fn within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
