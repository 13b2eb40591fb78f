//! The perf harness of causeway: measures it and what one would use instead, and says what it measured on.
//!
//! | test | what | module |
//! |---|---|---|
//! | `pipeline` | the data path of a core in memory | `pipeline`, over [`datapath`] |
//! | `filter` | the XDP program of the LAN port | `filter` |
//! | `generate`, `sink` | test traffic, made and accounted for | `traffic` |
//! | `rfc2544`, `soak` | whatever is between two ports | `traffic::rfc2544`, `traffic::soak` |
//! | `compare` | causeway and its peers, in turns on one `rig` | `compare` |
//! | `report` | one page of what the others wrote | `report` |
//!
//! All of them take their time seriously (`progress`, `interrupt`, `cores`), count frame sizes as RFC 2544 does
//! (`sizes`), and tell their figures as tables and as JSON (`output`), with what `machine` says of the machine.

pub mod cli;
mod compare;
mod cores;
pub mod datapath;
mod error;
mod filter;
mod interrupt;
mod machine;
mod output;
mod pipeline;
mod progress;
mod report;
mod rig;
mod seconds;
mod sizes;
mod traffic;
