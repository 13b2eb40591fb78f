//! End-to-end tests: both ends of the real program between two LANs of network namespaces
//! (`scripts/lab`), judged by other people's programs. They need root.

#![allow(clippy::unwrap_used)]

mod announce;
mod attack;
mod carry;
mod clamp;
mod cli;
mod configuration;
mod dead_lanes;
mod dialling;
mod dishonest;
mod doctor;
mod doctor_path;
mod duplicates;
mod flows;
mod gateway;
mod gro;
mod hostile;
mod insider;
mod lab;
mod lanes;
mod lifecycle;
mod listening;
mod machine;
mod marks;
mod moves;
mod one_way;
mod pings;
mod ports;
mod rekey;
mod running;
mod segment;
mod stalled_queue;
mod stations;
mod suppress;
mod tagged;
mod three_ends;
mod tuning;
mod uplink;
mod vlans;
