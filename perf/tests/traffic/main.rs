//! Test traffic between network namespaces: what the program counts, against what the kernel counts.
//!
//! Needs root. No test depends on how fast the machine is.

mod accounts;
mod endings;
mod lab;
mod rfc2544;
#[path = "../schema/mod.rs"]
mod schema;
mod soak;
mod surface;

/// A station behind what is tested.
const TO: &str = "02:00:00:00:00:02";
