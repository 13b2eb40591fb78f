//! What the two ends of a causeway agree on.
#![forbid(unsafe_code)]

pub mod aead;
pub mod bundle;
pub mod drop_reason;
pub mod esp;
pub mod join;
pub mod lane;
pub mod replay;
pub mod sa;
pub mod spi;
pub mod unbundle;
pub mod wire;

pub use drop_reason::DropReason;
pub use sa::{InboundSa, OutboundSa};
pub use spi::Spi;
