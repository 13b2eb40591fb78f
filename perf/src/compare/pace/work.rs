//! A fixed piece of work, to see how fast a CPU is just now: its clock, its caches and memory, and its way into the kernel.

use std::{
    hint::black_box,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    cores,
    error::{Error, Result},
};

/// Bytes of each buffer: beyond the second cache of a core.
const BUFFER: usize = 4 << 20;

/// Copies of a buffer.
const COPIES: usize = 8;

/// Multiplications, each of which waits for the one before.
const SPINS: u64 = if cfg!(debug_assertions) {
    400_000
} else {
    4_000_000
};

/// Writes to a pipe, each with its read.
const CALLS: usize = 5_000;

/// Bytes of each.
const MESSAGE: usize = 64;

/// The work, with what it works on: made once, as new memory would cost more than its use.
pub(super) struct Work {
    from: Vec<u8>,
    to: Vec<u8>,
    pipe: (PipeReader, PipeWriter),
}

impl Work {
    /// # Errors
    ///
    /// No more files.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            from: vec![1; BUFFER],
            to: vec![2; BUFFER],
            pipe: pipe().map_err(Error::failed("cannot make a pipe"))?,
        })
    }

    /// Does it on this CPU; seconds of CPU time that it took. What waits beside it, and what the hypervisor took from it, is
    /// not in them.
    ///
    /// # Errors
    ///
    /// We may not run there.
    pub(super) fn on(&mut self, cpu: usize) -> Result<f64> {
        cores::pin(cpu)?;
        let start = cpu_time();
        self.compute();
        self.copy();
        self.call()?;
        Ok(cpu_time() - start)
    }

    fn compute(&self) {
        let mut x = u64::from(self.from[0]);
        for n in 0..SPINS {
            x = black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n);
        }
    }

    fn copy(&mut self) {
        for _ in 0..COPIES {
            self.to.copy_from_slice(black_box(&self.from));
            black_box(&mut self.to);
        }
    }

    fn call(&mut self) -> Result {
        let (reader, writer) = &mut self.pipe;
        let mut message = [0; MESSAGE];
        for _ in 0..CALLS {
            let done = writer.write_all(&message);
            done.and_then(|()| reader.read_exact(&mut message))
                .map_err(Error::failed("a pipe broke"))?;
        }
        Ok(())
    }
}

/// CPU time of this thread in seconds.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_time() {
        let mut work = Work::new().expect("a pipe");
        let cpu = cores::allowed()[0];
        let time = work.on(cpu).expect("we may");
        assert!(time > 0.0 && time < 10.0, "{time}");
        assert_eq!(work.from, work.to);
    }
}
