//! A command that runs beside the test.

use std::{
    io::Read,
    process::{Child, Command},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{shown, within};

/// A running command. It is killed when the value is dropped.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// Waits for its end and gives its standard output; it must have succeeded.
    pub(crate) fn output(mut self) -> String {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The next line of its standard output; it must come.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.0.as_mut().unwrap().stdout.as_mut().unwrap();
        let mut byte = [0];
        // Byte by byte: what is read ahead would be missing from `output`.
        while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Has it end by SIGINT and gives the rest of its standard output.
    pub(crate) fn interrupt(self) -> String {
        self.signal(Signal::INT);
        self.output()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.0.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// Its exit code if it ends within that time.
    pub(crate) fn exit_code(&mut self, patience: Duration) -> Option<i32> {
        let child = self.0.as_mut().unwrap();
        within(patience, || child.try_wait().unwrap().is_some());
        child.try_wait().unwrap()?.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
