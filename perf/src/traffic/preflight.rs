//! What is looked at before anything is touched: said at once, with what to do.

use std::fs;

use super::{Link, rate::MOST_FRAMES};
use crate::{
    error::{Error, Result},
    sizes::FrameSizes,
};

/// Only root may do what these tests do.
///
/// # Errors
///
/// [`Error::CannotRun`].
pub(crate) fn root() -> Result {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::CannotRun(
        "this test needs AF_XDP sockets and XDP programs: run it as root (sudo)".into(),
    ))
}

/// Two ports are two.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn two_ports(tx: &Link, rx: &Link) -> Result {
    if tx != rx {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--tx and --rx are both {tx}: the tester sends at one port and receives at another"
    )))
}

/// Whether a schedule, and the link as far as it tells its speed, can have this rate.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn rate(link: &Link, frames_per_s: f64, sizes: &FrameSizes) -> Result {
    let most = link_speed(link).map_or(MOST_FRAMES, |bits| sizes.line_rate(bits));
    // Two crystals differ by 200 millionths at most (IEEE 802.3).
    if frames_per_s <= most * 1.0002 {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{frames_per_s:.0} frames/s of {sizes} bytes are more than {link} can send: at most {most:.0}"
    )))
}

/// Bits a second of a link with hardware, in this process's own namespace. A veth says 10 Gb/s for nothing.
fn link_speed(link: &Link) -> Option<f64> {
    let device = format!("/sys/class/net/{}", link.interface);
    let is_here = link.netns.is_none() && fs::exists(format!("{device}/device")).ok()?;
    let speed = fs::read_to_string(format!("{device}/speed")).ok()?;
    let megabits = speed.trim().parse::<f64>().ok()?;
    (is_here && megabits > 0.0).then_some(megabits * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_above_all_wires_is_refused() {
        let link: Link = "nonesuch0".parse().expect("a name");
        assert!(rate(&link, 1e6, &FrameSizes::Imix).is_ok());
        assert!(rate(&link, 1e12, &FrameSizes::Imix).is_err());
    }
}
