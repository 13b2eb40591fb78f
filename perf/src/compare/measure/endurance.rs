//! Saturation for minutes: whether frames still arrive at its end as at its beginning, and memory stays what it was.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    frames::{Bench, joined},
    memory,
};
use crate::{
    error::Result,
    interrupt,
    rig::Rig,
    traffic::live::{LiveGenerator, Sent},
};

/// One call of the generator: between two there is a pause of some 20 ms.
const CALL: Duration = Duration::from_secs(2);

/// The first, which finds how fast it is.
const FIRST_CALL: Duration = Duration::from_millis(100);

/// Time between two looks at the sink and at the memory.
const LOOK: Duration = Duration::from_millis(250);

/// The load after it, far below what any peer can take, and how long it lasts.
const SLOW: f64 = 1_000.0;
const SLOW_FOR: Duration = Duration::from_secs(1);

/// What it came to.
pub(crate) struct Endured {
    /// All frames.
    pub(crate) sent: Sent,
    /// Frames that arrived while it went on.
    pub(crate) frames: u64,
    /// How long it went on.
    pub(crate) seconds: f64,
    /// The longest time in which no look found a new frame, in seconds.
    pub(crate) silence: f64,
    /// Of the gateways.
    pub(crate) memory: Memory,
}

/// Resident memory in the course of a run.
#[derive(Default)]
pub(crate) struct Memory(Vec<f64>);

impl Memory {
    /// Bytes in the first tenth, on average.
    pub(crate) fn first(&self) -> f64 {
        mean(&self.0[..self.tenth()])
    }

    /// Bytes that the last tenth has more.
    pub(crate) fn growth(&self) -> f64 {
        mean(&self.0[self.0.len() - self.tenth()..]) - self.first()
    }

    fn tenth(&self) -> usize {
        self.0.len().div_ceil(10)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// All that the generator can, for `time`; `passed` is told how much of it is over.
///
/// # Errors
///
/// The kernel refuses; interruption.
pub(crate) fn saturate(
    bench: &Bench<'_>,
    rig: &Rig,
    generator: &mut LiveGenerator,
    time: Duration,
    passed: impl Fn(Duration),
) -> Result<Endured> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| calls(generator, time, &over));
        let watched = watch(bench, rig, passed, &|| sender.is_finished());
        over.store(true, Ordering::Relaxed);
        let sent = joined(sender)?;
        Ok(Endured { sent, ..watched? })
    })
}

/// Call after call.
fn calls(generator: &mut LiveGenerator, time: Duration, over: &AtomicBool) -> Result<Sent> {
    let end = Instant::now() + time;
    let mut all = generator.saturate(FIRST_CALL)?;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || over.load(Ordering::Relaxed) {
            return Ok(all);
        }
        all.add(&generator.sustain(left.min(CALL))?);
    }
}

/// Looks until it is over.
fn watch(
    bench: &Bench<'_>,
    rig: &Rig,
    passed: impl Fn(Duration),
    is_over: &dyn Fn() -> bool,
) -> Result<Endured> {
    let (start, begin) = (Instant::now(), bench.count()?);
    let (mut last, mut heard, mut silence) = (begin, start, Duration::ZERO);
    let mut memory = Memory::default();
    // At least once: it may be over at once.
    loop {
        memory.0.push(memory::resident(rig) as f64);
        interrupt::sleep(LOOK)?;
        let is_over = is_over();
        let (count, now) = (bench.count()?, Instant::now());
        if count != last {
            (last, heard) = (count, now);
        } else if !is_over {
            silence = silence.max(now - heard);
        }
        passed(now - start);
        if is_over {
            return Ok(Endured {
                sent: Sent::default(),
                frames: last - begin,
                seconds: (now - start).as_secs_f64(),
                silence: silence.as_secs_f64(),
                memory,
            });
        }
    }
}

/// The part of a slow load that arrives: less than 1 where a ring is stuck, or part of one.
///
/// # Errors
///
/// The kernel refuses; interruption.
pub(crate) fn slow_load(bench: &Bench<'_>, generator: &mut LiveGenerator) -> Result<f64> {
    let trial = bench.trial(generator, SLOW, SLOW_FOR)?;
    Ok(1.0 - trial.loss())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_from_tenth_to_tenth() {
        let memory = |values: &[f64]| Memory(values.to_vec());
        assert_eq!(memory(&[5.0]).growth(), 0.0);
        let rising: Vec<_> = (0..20).map(f64::from).collect();
        let rising = memory(&rising);
        assert_eq!((rising.first(), rising.growth()), (0.5, 18.0));
        let peak: Vec<_> = [1.0; 10].into_iter().chain([9.0]).chain([1.0; 9]).collect();
        assert_eq!(memory(&peak).growth(), 0.0);
    }
}
