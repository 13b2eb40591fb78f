//! Whether a full-size packet passes that must not be cut.

use std::time::Duration;

use crate::{
    error::Result,
    rig::{Rig, VM},
};

/// ICMP payload that makes an IPv4 packet of 1,500 bytes.
const PAYLOAD: &str = "1472";

/// Pings with the DF bit set: one answer of several is enough.
///
/// # Errors
///
/// ping does not run.
pub(crate) fn passes(rig: &Rig) -> Result<bool> {
    let tool = rig.dc().tool_on(rig.cpus().hosts, "ping");
    let tool = tool.args([
        "-n", "-M", "do", "-s", PAYLOAD, "-c", "3", "-i", "0.2", "-W", "1", VM,
    ]);
    let text = tool.answer_within(Duration::from_secs(10))?;
    Ok(text.contains("bytes from"))
}
