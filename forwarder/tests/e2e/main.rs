//! End-to-end tests: both ends of the real program between two LANs of network namespaces
//! (`scripts/lab`), judged by other people's programs. They need root.

#![allow(clippy::unwrap_used)]

mod attack;
mod carry;
mod cli;
mod configuration;
mod dialling;
mod dishonest;
mod gro;
mod hostile;
mod insider;
mod lab;
mod lifecycle;
mod machine;
mod pings;
mod rekey;
mod running;
mod segment;
mod uplink;
