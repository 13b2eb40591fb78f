//! Reading counters when nothing is under way any more.

use std::time::{Duration, Instant};

use super::Ledger;
use crate::{
    compare::{
        measure::{counters::Counters, frames::Bench},
        peer::{Peer, Setup},
    },
    error::Result,
    interrupt,
    sizes::FrameSizes,
    traffic::live::Sent,
};

/// Counters that did not change for so long tell all: causeway reads the kernel's four times a second, and on a busy machine
/// a frame, or that reading, may be late by a few times as much.
const UNCHANGED: Duration = Duration::from_millis(1_500);

/// The same before a run: what came before it may still be under way.
const UNCHANGED_BEFORE: Duration = Duration::from_millis(500);

/// The longest wait for that: frames that are nobody's may come for ever.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time between two readings.
const PAUSE: Duration = Duration::from_millis(100);

/// Does `work`, which sends frames of these sizes, and follows them: what it sent is accounted for by the counters from
/// before to after it.
///
/// # Errors
///
/// `work` fails; a gateway does not answer; interruption.
pub(crate) fn followed<T>(
    bench: &Bench<'_>,
    peer: Option<&dyn Peer>,
    on: &Setup<'_>,
    sizes: FrameSizes,
    work: impl FnOnce() -> Result<(Sent, T)>,
) -> Result<(T, Ledger)> {
    let read = || Ok((bench.count()?, Counters::read(peer, on)?));
    let (arrived, before) = settled(read, UNCHANGED_BEFORE, |_| false)?;
    let (sent, result) = work()?;
    let ledger = |(now, after): &(u64, Counters)| {
        Ledger::new(sent, sizes, now.saturating_sub(arrived), &before, after)
    };
    // Where all frames are found nothing can be missing any more.
    let after = settled(read, UNCHANGED, |after| ledger(after).unaccounted() == 0)?;
    Ok((result, ledger(&after)))
}

/// What is read when it has not changed for a while, or is `complete`.
fn settled<T: PartialEq>(
    mut read: impl FnMut() -> Result<T>,
    unchanged: Duration,
    complete: impl Fn(&T) -> bool,
) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut since) = (read()?, Instant::now());
    while !complete(&last) && since.elapsed() < unchanged && Instant::now() < end {
        interrupt::sleep(PAUSE)?;
        let now = read()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_counters_are_waited_for() {
        let mut readings = [1, 1, 2, 5, 9].into_iter();
        let mut read = || Ok(readings.next().unwrap_or(9));
        let complete = |value: &i32| *value == 9;
        let value = settled(&mut read, UNCHANGED, complete).expect("no error");
        assert_eq!((value, readings.len()), (9, 0));
    }

    #[test]
    fn counters_that_stay_as_they_are_tell_all_that_they_will() {
        let mut readings = [1, 2].into_iter();
        let read = || Ok(readings.next().unwrap_or(2));
        let value = settled(read, PAUSE * 2, |_| false).expect("no error");
        assert_eq!(value, 2);
    }
}
