//! What the two ends of a causeway agree on.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aead;
pub mod bundle;
pub mod drop_reason;
pub mod esp;
pub mod framing;
pub mod identity;
pub mod join;
pub mod lane;
pub mod message;
pub mod replay;
pub mod sa;
pub mod session;
pub mod spi;
pub mod stations;
mod tls;
pub mod unbundle;
pub mod wire;

pub use drop_reason::DropReason;
pub use sa::{InboundSa, OutboundSa};
pub use spi::Spi;
