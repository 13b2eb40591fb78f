//! A generator in the kernel: BPF test-run with live frames.
//!
//! The kernel runs a program over and over on one frame, and sends what it redirects
//! (Documentation/bpf/bpf_prog_run.rst). No system call, no copy and no socket buffer for a frame: several
//! times what sockets reach, so that it is the gateway that is measured. The program keeps the schedule too: a
//! run waits for its frame's turn, as one call costs some 20 ms.
//!
//! It works on the calling thread's CPU; on a veth that includes the receiving end's driver, as its
//! receive work runs where the frame was sent.

mod sustain;

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{TestRun as _, TestRunAttrs, TestRunOptions},
};
use causeway_ebpf::perf::{self, GeneratorConfig, GeneratorState, PERIOD_SHIFT};

use super::{
    Link, Stream,
    object::{self, take_map},
};
use crate::{
    error::{Error, Result},
    interrupt,
};

/// Frames that the kernel hands to the driver at once, at most.
const BATCH: f64 = 64.0;

/// Longest that a paced frame waits for others of its batch, in seconds.
const BATCH_TIME: f64 = 50e-6;

/// More frames per second than this the kernel does not make: it bounds the runs of a call.
pub(crate) const MOST_FRAMES_PER_S: f64 = 2e7;

/// How much faster than the last time a saturating call may be: that one may have been disturbed. Runs that find the time
/// over cost some 40 ns.
const FASTER: f64 = 4.0;

/// A saturating call may always be as fast as this: it is little to wait for, 40 ms for each second.
const LEAST_FRAMES_PER_S: f64 = 1e6;

/// The shortest that a run waits for its turn before it gives up, in seconds: [`perf::LOOKS`] at 5 ns.
const SHORTEST_WAIT: f64 = perf::LOOKS as f64 * 5e-9;

/// How long a paced call may be kept from its CPU, beside as long again as it takes.
const LATEST: Duration = Duration::from_secs(1);

/// Longest call: it cannot be interrupted.
const LONGEST: Duration = Duration::from_secs(10);

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    /// Frames that the link took.
    pub(crate) frames: u64,
    /// Frames that the link refused: its queue was full.
    pub(crate) refused: u64,
    /// From the first to the last.
    pub(crate) elapsed: Duration,
    /// Whether the runs of a saturating call were used up before its time was over: there is silence at its end.
    pub(crate) ran_out: bool,
}

impl Sent {
    /// Frames made in a second, those that the link refused included.
    pub(crate) fn offered_per_s(&self) -> f64 {
        self.frames_per_s() + self.refused as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Frames taken in a second.
    pub(crate) fn frames_per_s(&self) -> f64 {
        self.frames as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends the frames of a stream at a link.
pub(crate) struct LiveGenerator {
    link: Link,
    ebpf: Ebpf,
    longest_frame: Vec<u8>,
    /// Frames per second that the next saturating call may reach.
    fastest: f64,
    /// What does not change from call to call.
    config: GeneratorConfig,
    configs: Array<MapData, [u8; 40]>,
    states: Array<MapData, [u8; 48]>,
}

impl LiveGenerator {
    /// Prepares to send `stream` at `link`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the interface is missing, down, or too small for the frames,
    /// [`Error::CannotRun`] if the kernel refuses.
    pub(crate) fn open(link: &Link, stream: &Stream) -> Result<Self> {
        let info = link.info()?;
        stream.fits(link, &info)?;
        let mut ebpf = object::load(perf::GENERATE_PROGRAM)?;
        let mut shapes: Array<_, [u8; 16]> = take_map(&mut ebpf, perf::SHAPES);
        let sizes = stream.sizes.cycle();
        for (index, &size) in (0..perf::MAX_SHAPES).zip(sizes) {
            let shape = stream.template(size).shape;
            let set = shapes.set(index, shape.to_bytes(), 0);
            set.map_err(Error::failed("cannot configure the generator"))?;
        }
        Ok(Self {
            link: link.clone(),
            fastest: MOST_FRAMES_PER_S,
            longest_frame: stream.template(stream.sizes.largest()).frame,
            config: GeneratorConfig {
                ifindex: info.index,
                tags: stream.tags() as u32,
                flows: u32::from(stream.flows),
                shapes: sizes.len() as u32,
                ..GeneratorConfig::default()
            },
            configs: take_map(&mut ebpf, perf::GENERATOR),
            states: take_map(&mut ebpf, perf::STATE),
            ebpf,
        })
    }

    /// As fast as it can, for `time` of at most 10 seconds. A first, short call warms up, and spares the next the search
    /// for how many runs it takes.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`] if the kernel refuses, [`Error::Interrupted`].
    pub(crate) fn saturate(&mut self, time: Duration) -> Result<Sent> {
        let config = GeneratorConfig {
            frames: u64::MAX,
            nanoseconds: time.min(LONGEST).as_nanos() as u64,
            ..self.config
        };
        let runs = self.fastest * time.min(LONGEST).as_secs_f64();
        let sent = self.send(config, runs, BATCH)?;
        self.fastest = fastest_after(&sent);
        Ok(sent)
    }

    /// At `frames_per_s` for `time` of at most 10 seconds, on an absolute schedule: what is late is sent later, not
    /// left out, and stamped with the time at which it was due.
    ///
    /// # Errors
    ///
    /// As for [`saturate`](Self::saturate).
    pub(crate) fn paced(&mut self, frames_per_s: f64, time: Duration) -> Result<Sent> {
        let time = time.min(LONGEST).as_secs_f64();
        let frames = (frames_per_s * time).round().max(1.0);
        let config = GeneratorConfig {
            frames: frames as u64,
            // By then it is a generator that cannot keep up.
            nanoseconds: (time * 2e9) as u64 + LATEST.as_nanos() as u64,
            period: (1e9 / frames_per_s * f64::from(1 << PERIOD_SHIFT)) as u64,
            ..self.config
        };
        let runs = frames + 2.0 * time / SHORTEST_WAIT;
        self.send(config, runs, (frames_per_s * BATCH_TIME).clamp(1.0, BATCH))
    }

    /// Runs the program in the link's namespace, and looks what the link did with the frames.
    fn send(&mut self, config: GeneratorConfig, runs: f64, batch: f64) -> Result<Sent> {
        interrupt::check()?;
        let link = self.link.clone();
        let before = link.info()?;
        let state = link.inside(|| self.run(config, runs as u32, batch as u32))??;
        let after = link.info()?;
        interrupt::check()?;
        let refused = after.tx_dropped.saturating_sub(before.tx_dropped);
        let ran_out = config.period == 0 && state.frames >= u64::from(runs as u32);
        Ok(Sent {
            frames: state.frames.saturating_sub(refused),
            refused,
            elapsed: elapsed(&state, &config),
            ran_out,
        })
    }

    fn run(&mut self, config: GeneratorConfig, runs: u32, batch: u32) -> Result<GeneratorState> {
        let refused = |e: &dyn std::fmt::Display| {
            let link = &self.link;
            Error::CannotRun(format!(
                "the kernel sends no live frames at {link} (Linux 5.18 or newer can): {e}"
            ))
        };
        let configured = self.configs.set(0, config.to_bytes(), 0);
        configured.map_err(|e| refused(&e))?;
        let cleared = self.states.set(0, GeneratorState::CLEAR, 0);
        cleared.map_err(|e| refused(&e))?;
        let options = TestRunOptions {
            data_in: Some(&self.longest_frame),
            repeat: runs,
            attrs: TestRunAttrs::new().xdp_live_frames(batch),
            ..TestRunOptions::new()
        };
        let run = object::program(&mut self.ebpf, perf::GENERATE_PROGRAM).test_run(options);
        // A signal on this very thread ends the call with EINTR.
        run.map_err(|e| {
            if interrupt::raised() {
                Error::Interrupted
            } else {
                refused(&e)
            }
        })?;
        let state = self.states.get(&0, 0).map_err(|e| refused(&e))?;
        Ok(GeneratorState::from_bytes(&state))
    }
}

/// Frames per second that the saturating call after `sent` may reach.
fn fastest_after(sent: &Sent) -> f64 {
    match sent.ran_out {
        true => MOST_FRAMES_PER_S,
        false => (sent.offered_per_s() * FASTER).clamp(LEAST_FRAMES_PER_S, MOST_FRAMES_PER_S),
    }
}

/// From the first frame to the last, and the time that belongs to the last.
fn elapsed(state: &GeneratorState, config: &GeneratorConfig) -> Duration {
    let time = Duration::from_nanos(state.last - state.start);
    let due = Duration::from_nanos(state.due >> PERIOD_SHIFT);
    if config.period == 0 {
        time
    } else {
        time.max(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_call_does_not_starve_the_next() {
        let sent = |frames, ran_out| Sent {
            frames,
            refused: frames,
            elapsed: Duration::from_secs(2),
            ran_out,
        };
        assert_eq!(fastest_after(&sent(2_000_000, false)), 8e6);
        assert_eq!(fastest_after(&sent(0, false)), LEAST_FRAMES_PER_S);
        assert_eq!(fastest_after(&sent(90_000_000, false)), MOST_FRAMES_PER_S);
        assert_eq!(fastest_after(&sent(2_000, true)), MOST_FRAMES_PER_S);
    }
}
