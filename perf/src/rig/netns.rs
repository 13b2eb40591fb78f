//! Network namespaces that go, with all that runs in them, when their owner does.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use super::leftovers::remove_leftovers;
use super::{leftovers::own_name, tool::Tool};
use crate::error::{Error, Result};

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A network namespace of ours.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, without IPv6 (its neighbour discovery would be traffic that nobody sent) and with `lo` up.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub(crate) fn create(name: &str) -> Result<Self> {
        let name = own_name(name);
        Tool::new("ip").args(["netns", "add", &name]).run()?;
        let namespace = Self { name };
        namespace
            .tool("sysctl")
            .arg("-qw")
            .args(["all", "default"].map(|of| format!("net.ipv6.conf.{of}.disable_ipv6=1")))
            .run()?;
        namespace.ip(["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// As `ip netns` lists it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A program inside.
    pub(crate) fn tool(&self, program: impl AsRef<std::ffi::OsStr>) -> Tool {
        Tool::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(program)
    }

    /// A program inside, on one CPU.
    pub(crate) fn tool_on(&self, cpu: usize, program: impl AsRef<std::ffi::OsStr>) -> Tool {
        let tool = self.tool("taskset").args(["-c", &cpu.to_string()]);
        tool.arg(program)
    }

    /// `ip` with these arguments, about this namespace.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub(crate) fn ip<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        Tool::new("ip")
            .args(["-n", &self.name])
            .args(arguments)
            .run()
    }

    /// Writes a file below /sys/class/net/INTERFACE of this namespace.
    ///
    /// # Errors
    ///
    /// There is none, or the kernel does not take the value.
    pub(crate) fn set_sys(&self, interface: &str, file: &str, value: &str) -> Result {
        let script = format!("echo {value} >/sys/class/net/{interface}/{file}");
        self.tool("sh").args(["-c", &script]).run().map(drop)
    }

    /// The processes inside.
    pub(crate) fn pids(&self) -> Vec<i32> {
        pids(&self.name)
    }

    /// Kills all that runs inside, children of children too, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// Something does not go.
    pub(crate) fn kill_all(&self) -> Result {
        kill_all(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!(
                "causeway-perf: namespace {} is left behind: {error}",
                self.name
            );
        }
    }
}

/// Removes a namespace and all that runs in it.
///
/// # Errors
///
/// Something does not go.
pub(super) fn remove(name: &str) -> Result {
    kill_all(name)?;
    Tool::new("ip").args(["netns", "del", name]).run().map(drop)
}

fn pids(name: &str) -> Vec<i32> {
    let list = Tool::new("ip").args(["netns", "pids", name]).run();
    let list = list.unwrap_or_default();
    list.lines()
        .filter_map(|pid| pid.trim().parse().ok())
        .collect()
}

fn kill_all(name: &str) -> Result {
    let end = Instant::now() + PATIENCE;
    loop {
        let pids = pids(name);
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(Error::Failed(format!(
                "processes {pids:?} in namespace {name} survive SIGKILL"
            )));
        }
        for pid in pids.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use super::*;

    #[test]
    fn nothing_survives_its_namespace() {
        let namespace = Namespace::create("test").expect("root and ip");
        let path = format!("/run/netns/{}", namespace.name());
        let script = "sleep 600 & sleep 600";
        let (null, tool) = (process::Stdio::null, namespace.tool("sh"));
        let mut child = tool
            .args(["-c", script])
            .spawn(null(), null(), null())
            .expect("sh");
        while namespace.pids().len() < 2 {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(fs::exists(&path).expect("/run/netns"));
        drop(namespace);
        assert!(!fs::exists(&path).expect("/run/netns"));
        assert!(!child.wait().expect("a child").success());
    }
}
