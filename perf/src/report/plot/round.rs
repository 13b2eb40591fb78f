//! Round numbers, for axes to be marked with.

use crate::report::quantity::digits;

/// 1, 2 or 5 times a power of ten, not less than `least`.
pub(super) fn round_step(least: f64) -> f64 {
    round_numbers()
        .find(|v| *v >= least * (1.0 - 1e-9))
        .unwrap_or(least)
}

/// 1, 2 and 5 times the powers of ten.
pub(super) fn round_numbers() -> impl DoubleEndedIterator<Item = f64> {
    (-30..=31).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| tidy(digit * 10_f64.powi(power))))
}

pub(super) fn is_power_of_ten(value: f64) -> bool {
    let power = value.log10();
    (power - power.round()).abs() < 1e-6
}

/// Without the last digits, which arithmetic made: 0.3 instead of 0.30000000000000004.
pub(super) fn tidy(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

/// With as many decimals as the step has.
pub(super) fn in_steps(value: f64, step: f64) -> String {
    match step.log10() {
        power if power >= -1e-9 => digits(tidy(value)),
        power => format!("{value:.0$}", (-power).ceil() as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_their_texts() {
        for (least, step) in [(0.07, 0.1), (1.0, 1.0), (2.1, 5.0), (51_000.0, 100_000.0)] {
            assert_eq!(round_step(least), step);
        }
        assert_eq!(in_steps(0.1 + 0.2, 0.1), "0.3");
        assert_eq!(in_steps(1.0, 0.05), "1.00");
        assert_eq!(in_steps(150_000.0, 50_000.0), "150,000");
        assert!(is_power_of_ten(1e-6) && !is_power_of_ten(2e-6));
    }
}
