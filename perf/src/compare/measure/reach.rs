//! Waiting until traffic flows.

use std::time::{Duration, Instant};

use crate::{
    error::Result,
    rig::{Rig, VM},
};

/// Whether vm answers dc within `limit`.
///
/// # Errors
///
/// ping does not run; interruption.
pub(crate) fn flows_within(rig: &Rig, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        let tool = rig.dc().tool_on(rig.cpus().hosts, "ping");
        let tool = tool.args(["-n", "-c", "5", "-i", "0.05", "-W", "0.2", VM]);
        let text = tool.answer_within(Duration::from_secs(10))?;
        if text.contains("bytes from") {
            return Ok(true);
        }
    }
    Ok(false)
}
