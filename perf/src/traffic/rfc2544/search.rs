//! Binary search for the largest load that a device carries (RFC 2544, section 26.1).

use crate::error::Result;

/// Part of the largest value below which the search gives up.
const SMALLEST: f64 = 1e-4;

/// The largest value up to `max` that passes, to within `resolution` (a part of it); none if hardly anything does.
///
/// # Errors
///
/// Those of `passes`.
pub(super) fn largest(
    max: f64,
    resolution: f64,
    mut passes: impl FnMut(f64) -> Result<bool>,
) -> Result<Option<f64>> {
    if passes(max)? {
        return Ok(Some(max));
    }
    let (mut passed, mut failed) = (0.0, max);
    while failed - passed > resolution * failed && failed > SMALLEST * max {
        let middle = (passed + failed) / 2.0;
        if passes(middle)? {
            passed = middle;
        } else {
            failed = middle;
        }
    }
    Ok((passed > 0.0).then_some(passed))
}

/// What became of a load that was tried.
pub(super) enum Verdict {
    /// All trials that it takes went well.
    Passed,
    /// Too many went wrong.
    Failed,
    /// Another trial decides.
    Undecided,
}

/// Counts trials of one load: `trials` have to pass, and `retries` may fail and be repeated.
pub(super) struct Jury {
    pub(super) trials: u32,
    pub(super) retries: u32,
}

impl Jury {
    /// After one more trial.
    pub(super) fn hear(&mut self, passed: bool) -> Verdict {
        let left = if passed {
            &mut self.trials
        } else {
            &mut self.retries
        };
        match (passed, left.checked_sub(1)) {
            (true, Some(0) | None) => Verdict::Passed,
            (false, None) => Verdict::Failed,
            (_, Some(less)) => {
                *left = less;
                Verdict::Undecided
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_or_nothing() {
        assert_eq!(
            largest(1e6, 0.01, |_| Ok(true)).expect("no error"),
            Some(1e6)
        );
        assert_eq!(largest(1e6, 0.01, |_| Ok(false)).expect("no error"), None);
    }

    #[test]
    fn retries_are_for_the_whole_load() {
        let verdict = |trials, retries, results: &[bool]| {
            let mut jury = Jury { trials, retries };
            results
                .iter()
                .map(|passed| match jury.hear(*passed) {
                    Verdict::Passed => 'p',
                    Verdict::Failed => 'f',
                    Verdict::Undecided => '-',
                })
                .collect::<String>()
        };
        assert_eq!(verdict(1, 0, &[true]), "p");
        assert_eq!(verdict(1, 0, &[false]), "f");
        assert_eq!(verdict(2, 1, &[true, false, true]), "--p");
        assert_eq!(verdict(3, 1, &[true, false, true, false]), "---f");
    }

    proptest! {
        #[test]
        fn a_threshold_is_found(max in 1e3_f64..1e8, part in 0.01_f64..1.5, resolution in 0.001_f64..0.2) {
            let threshold = max * part;
            let mut calls = 0;
            let found = largest(max, resolution, |rate| {
                calls += 1;
                Ok(rate <= threshold)
            });
            let found = found.expect("no error").expect("some rate passes");
            prop_assert!(found <= threshold && found >= threshold.min(max) * (1.0 - 2.0 * resolution));
            prop_assert!(calls < 30, "{calls}");
        }
    }
}
