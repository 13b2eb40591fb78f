//! Sessions between two ends over the loopback interface.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod control;
mod garbage;
mod identity;
mod path;
mod restart;
mod support;
