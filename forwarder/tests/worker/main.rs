//! Workers as the appliance runs them, two back to back in one process: an end at the site and
//! one at the cloud, each with a real AF_XDP port behind the real XDP program and a real UDP socket on
//! loopback; the control plane is the test.
//!
//! Needs root.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../netns/mod.rs"]
mod netns;

mod commands;
mod crossing;
mod ends;
mod paths;
mod sleeping;
mod snooping;
mod uplinks;
