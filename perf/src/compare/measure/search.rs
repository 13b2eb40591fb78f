//! The highest rate that loses at most so much.

use crate::error::Result;

/// A trial that loses up to this many times what it may is repeated once: a hiccup of the machine is not the peer's.
const NARROWLY: f64 = 5.0;

/// Frames at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trial {
    /// Frames sent, those that the first link refused included.
    pub(crate) offered: u64,
    /// Frames that arrived, sooner or later.
    pub(crate) delivered: u64,
    /// Seconds of sending.
    pub(crate) seconds: f64,
}

impl Trial {
    /// The part that was lost.
    pub(crate) fn loss(&self) -> f64 {
        1.0 - self.delivered as f64 / self.offered.max(1) as f64
    }

    /// Frames per second that were asked for.
    pub(crate) fn offered_per_s(&self) -> f64 {
        self.offered as f64 / self.seconds
    }

    /// Frames per second that arrived.
    pub(crate) fn delivered_per_s(&self) -> f64 {
        self.delivered as f64 / self.seconds
    }
}

/// What the generator sends of what it is asked for, at least; below that it can do no more.
const KEPT: f64 = 0.95;

/// Where to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// The first rate that is tried.
    pub(crate) top: f64,
    /// While that passes, it is doubled, up to this.
    pub(crate) most: f64,
    /// Bisections below the first rate that does not pass.
    pub(crate) steps: u32,
}

/// Looks for the trial with the most frames that loses at most `limit`, of those up to the range's top and, if that
/// passes, above it as far as the generator can; none if even the slowest loses more.
///
/// # Errors
///
/// A trial fails.
pub(crate) fn highest(
    limit: f64,
    range: Range,
    mut trial: impl FnMut(f64) -> Result<Trial>,
) -> Result<Option<Trial>> {
    let (mut low, mut high, mut rate) = (0.0, None, range.top);
    let mut best = None::<Trial>;
    let mut left = range.steps;
    loop {
        let mut result = trial(rate)?;
        if result.loss() > limit && result.loss() <= NARROWLY * limit {
            result = trial(rate)?;
        }
        if result.loss() <= limit {
            low = rate;
            if best.is_none_or(|best| best.delivered_per_s() < result.delivered_per_s()) {
                best = Some(result);
            }
            let at_most = rate >= range.most || result.offered_per_s() < KEPT * rate;
            if high.is_none() && at_most {
                return Ok(best);
            }
        } else {
            high = Some(rate);
        }
        rate = match high {
            None => (rate * 2.0).min(range.most),
            Some(_) if left == 0 => return Ok(best),
            Some(high) => {
                left -= 1;
                f64::midpoint(low, high)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses nothing up to `capacity`, and all above that.
    fn pipe(capacity: f64) -> impl FnMut(f64) -> Result<Trial> {
        move |rate| {
            Ok(Trial {
                offered: rate as u64,
                delivered: rate.min(capacity) as u64,
                seconds: 1.0,
            })
        }
    }

    fn up_to(top: f64, steps: u32) -> Range {
        let most = top;
        Range { top, most, steps }
    }

    #[test]
    fn finds_the_capacity() {
        let found = highest(0.01, up_to(100_000.0, 7), pipe(40_000.0)).expect("trials");
        let found = found.expect("a rate").delivered_per_s();
        assert!((39_000.0..=40_000.0).contains(&found), "{found}");
    }

    #[test]
    fn goes_on_above_a_top_that_passes() {
        let range = Range {
            top: 10_000.0,
            most: 1e9,
            steps: 7,
        };
        let found = highest(0.01, range, pipe(55_000.0)).expect("trials");
        let found = found.expect("a rate").delivered_per_s();
        assert!((54_000.0..=55_000.0).contains(&found), "{found}");
    }

    #[test]
    fn ends_where_the_generator_does() {
        let mut trials = 0;
        let range = Range {
            top: 10_000.0,
            most: 1e9,
            steps: 7,
        };
        let found = highest(0.01, range, |rate| {
            trials += 1;
            let frames = rate.min(30_000.0) as u64;
            Ok(Trial {
                offered: frames,
                delivered: frames,
                seconds: 1.0,
            })
        });
        assert_eq!(found.expect("trials").map(|t| t.delivered), Some(30_000));
        assert_eq!(trials, 3);
    }

    #[test]
    fn stops_at_the_top_or_finds_nothing() {
        let mut trials = 0;
        let mut count = pipe(1e9);
        let found = highest(0.0, up_to(1_000.0, 7), |rate| {
            trials += 1;
            count(rate)
        });
        assert_eq!(found.expect("trials").map(|t| t.offered), Some(1_000));
        assert_eq!(trials, 1);
        assert_eq!(
            highest(0.01, up_to(1_000.0, 7), pipe(0.0)).expect("trials"),
            None
        );
    }

    #[test]
    fn a_narrow_failure_gets_a_second_chance() {
        let losses = [3, 0, 60, 0];
        let mut trials = losses.iter();
        let found = highest(0.01, up_to(100.0, 1), |_| {
            let lost = trials.next().copied().unwrap_or(100);
            Ok(Trial {
                offered: 100,
                delivered: 100 - lost,
                seconds: 1.0,
            })
        });
        assert_eq!(found.expect("trials").map(|t| t.delivered), Some(100));
        assert_eq!(trials.as_slice(), [60, 0]);
    }
}
