//! What is known of addresses and told of stations.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What was learnt of addresses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SnoopingStatus {
    /// Addresses known, of stations and of other hosts.
    pub addresses: usize,
    /// Times that an address was not taken because the table was full.
    pub full: u64,
    /// Times that a station was not believed because it does not live where that was said.
    pub not_theirs: u64,
}

/// What the LAN is told of stations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AnnouncingStatus {
    /// Stations of which it is being told.
    pub waiting: usize,
    /// Frames sent for that since the start.
    pub frames: u64,
    /// Stations of which it was not told because too many waited.
    #[serde(default)]
    pub missed: u64,
}

/// One line.
pub(super) fn write(
    out: &mut String,
    snooping: &SnoopingStatus,
    announcing: &AnnouncingStatus,
) -> std::fmt::Result {
    write!(out, "\n{} addresses known", snooping.addresses)?;
    if snooping.full > 0 {
        write!(out, ", {} not taken for want of room", snooping.full)?;
    }
    if snooping.not_theirs > 0 {
        write!(out, ", {} not believed", snooping.not_theirs)?;
    }
    write!(
        out,
        "; {} frames sent to announce stations",
        announcing.frames
    )?;
    if announcing.waiting > 0 {
        write!(out, ", {} stations to go", announcing.waiting)?;
    }
    if announcing.missed > 0 {
        write!(
            out,
            ", {} not announced for want of room",
            announcing.missed
        )?;
    }
    writeln!(out)
}
