//! What the two ends of a causeway agree on.
#![forbid(unsafe_code)]
pub mod drop_reason;
pub use drop_reason::DropReason;
