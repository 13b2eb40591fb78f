//! Options that are a time in seconds.

use std::time::Duration;

const HOUR: f64 = 3_600.0;
const MONTH: f64 = 31.0 * 24.0 * HOUR;

/// From a hundredth to a month.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    up_to(MONTH, text)
}

/// From a hundredth to an hour: for one line of a report.
pub(crate) fn up_to_an_hour(text: &str) -> Result<Duration, String> {
    up_to(HOUR, text)
}

/// Seconds, or 0 for none.
pub(crate) fn or_none(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => seconds(text),
    }
}

/// Hours, up to a month.
pub(crate) fn hours(text: &str) -> Result<Duration, String> {
    let hours: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    seconds(&(hours * HOUR).to_string())
}

fn up_to(most: f64, text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.01..=most).contains(&seconds) {
        return Err(format!("0.01 to {most} seconds are possible"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(hours("0.5"), Ok(Duration::from_secs(1_800)));
        assert_eq!(or_none("0"), Ok(Duration::ZERO));
        assert!(seconds("3601").is_ok() && up_to_an_hour("3601").is_err());
        for text in ["0", "-1", "NaN", "inf", "x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
