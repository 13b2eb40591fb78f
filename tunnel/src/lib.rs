//! What the two ends of a causeway agree on.
#![forbid(unsafe_code)]
pub mod drop_reason;
pub mod framing;
pub mod identity;
pub mod message;
pub mod stations;
pub use drop_reason::DropReason;
