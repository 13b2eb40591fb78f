//! Running other programs: apart from the terminal's Ctrl-C, which is for us alone, and with an error that tells.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    error::{Error, Result},
    interrupt,
};

/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// How long a program that is to end may take for it.
const GRACE: Duration = Duration::from_secs(2);

/// A program with its arguments.
pub(crate) struct Tool {
    command: Command,
    words: Vec<String>,
}

impl Tool {
    /// A program without arguments so far.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        command.process_group(0).stdin(Stdio::null());
        let words = vec![program.as_ref().to_string_lossy().into_owned()];
        Self { command, words }
    }

    /// One more argument.
    #[must_use]
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.words
            .push(argument.as_ref().to_string_lossy().into_owned());
        self.command.arg(argument);
        self
    }

    /// More arguments.
    #[must_use]
    pub(crate) fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Starts it: output, error and input go where the caller says.
    ///
    /// # Errors
    ///
    /// There is no such program.
    pub(crate) fn spawn(
        mut self,
        stdin: impl Into<Stdio>,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Result<Child> {
        self.command.stdin(stdin).stdout(stdout).stderr(stderr);
        let what = format!("cannot start {}", self.words.join(" "));
        self.command.spawn().map_err(Error::failed(what))
    }

    /// Runs it to its end, which comes soon: not even an interruption ends it before. For steps that
    /// build and remove.
    ///
    /// # Errors
    ///
    /// It cannot be started, or fails; with the last line that it said.
    pub(crate) fn run(mut self) -> Result<String> {
        let what = format!("cannot run {}", self.words.join(" "));
        let output = self.output().map_err(Error::failed(what))?;
        self.text(&output)
    }

    /// As [`Tool::run`], for whoever has words of its own for what goes wrong.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(crate) fn output(&mut self) -> io::Result<Output> {
        self.command.output()
    }

    /// Runs it to its end, which must come within `limit`. An interruption ends it.
    ///
    /// # Errors
    ///
    /// As for [`Tool::run`]; it takes too long; [`Error::Interrupted`].
    pub(crate) fn run_within(mut self, limit: Duration) -> Result<String> {
        let output = self.output_within(limit)?;
        self.text(&output)
    }

    /// As [`Tool::run_within`], for a program whose exit code does not mean that it failed: what it wrote.
    ///
    /// # Errors
    ///
    /// It cannot be started; it takes too long; [`Error::Interrupted`].
    pub(crate) fn answer_within(mut self, limit: Duration) -> Result<String> {
        let output = self.output_within(limit)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn output_within(&mut self, limit: Duration) -> Result<Output> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("cannot run {}", self.words.join(" "));
        let mut child = self.command.spawn().map_err(Error::failed(what))?;
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let ended = await_end(&mut child, limit);
        if !matches!(ended, Ok(true)) {
            end(&mut child);
        }
        let status = child.wait().map_err(Error::failed("cannot wait"))?;
        let (stdout, stderr) = (stdout(), stderr());
        match ended {
            Ok(true) => Ok(Output {
                status,
                stdout,
                stderr,
            }),
            Ok(false) => Err(Error::Failed(format!(
                "`{}` did not end within {} s",
                self.words.join(" "),
                limit.as_secs()
            ))),
            Err(error) => Err(error),
        }
    }

    fn text(&self, output: &Output) -> Result<String> {
        let stdout = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(stdout.into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = last_line(&stderr).or_else(|| last_line(&stdout));
        Err(Error::Failed(format!(
            "`{}`: {}",
            self.words.join(" "),
            said.map_or_else(|| output.status.to_string(), Into::into)
        )))
    }
}

/// A program that runs until this goes.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The last line that is not empty.
pub(crate) fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// Ends it and its children, which would hold our pipes: apt's and cargo's clean up first.
fn end(child: &mut Child) {
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    let end = Instant::now() + GRACE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::sleep(GLANCE);
    }
    // Those too that outlive their parent.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Whether it ended within `limit`.
fn await_end(child: &mut Child, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let status = child.try_wait().map_err(Error::failed("cannot wait"))?;
        if status.is_some() {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        interrupt::sleep(GLANCE)?;
    }
}

/// Reads a pipe on a thread, so that the program never waits for us.
fn collect<R: Read + Send + 'static>(pipe: Option<R>) -> impl FnOnce() -> Vec<u8> {
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    });
    move || reader.join().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_failure() {
        let shell = |script: &str| Tool::new("sh").arg("-c").arg(script);
        assert_eq!(shell("echo yes").run().expect("runs"), "yes\n");
        let error = shell("echo first >&2; echo last >&2; exit 3").run();
        assert_eq!(
            error.expect_err("fails").to_string(),
            "`sh -c echo first >&2; echo last >&2; exit 3`: last"
        );
        let error = Tool::new("no-such-program").run().expect_err("no program");
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }

    #[test]
    fn limits() {
        let sleep = |time| Tool::new("sleep").arg(time);
        assert!(sleep("0").run_within(Duration::from_secs(60)).is_ok());
        let error = sleep("60").run_within(Duration::from_millis(20));
        assert!(
            error
                .expect_err("too long")
                .to_string()
                .contains("did not end")
        );
    }

    /// Or its children would hold the pipes: this test would take an hour.
    #[test]
    fn children_of_children_end_too() {
        let start = Instant::now();
        for script in [
            "sleep 3600 & sleep 3600",
            "trap '' TERM; sleep 3600 & sleep 3600; sleep 3600",
        ] {
            let tool = Tool::new("sh").args(["-c", script]);
            let error = tool.run_within(Duration::from_millis(100));
            assert!(error.is_err());
        }
        assert!(start.elapsed() < Duration::from_secs(600));
    }
}
