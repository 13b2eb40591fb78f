//! What the two ends of a causeway agree on.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
pub mod drop_reason;
pub mod framing;
pub mod identity;
pub mod message;
pub mod session;
pub mod stations;
mod tls;
pub use drop_reason::DropReason;
