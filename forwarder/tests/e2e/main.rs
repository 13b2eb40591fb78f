//! End-to-end tests: both ends of the real program between two LANs of network namespaces
//! (`scripts/lab`), judged by other people's programs. They need root.

#![allow(clippy::unwrap_used)]

mod carry;
mod lab;
mod lifecycle;
mod rekey;
mod segment;
