//! Where the forwarder touches the kernel directly.
//!
//! This module and what lies below it is the only place of this crate with
//! `unsafe` code. Each file gives a safe face to one interface that has none in
//! the libraries used: AF_XDP rings, a few socket options, ioctls of ethtool and taps,
//! epoll by tokio, BPF maps.
#![allow(unsafe_code)]

pub mod bpf;
pub mod ethtool;
pub mod marked;
pub mod membership;
pub mod packet;
pub mod prefetch;
pub mod readable;
pub mod sched;
pub mod sockopt;
pub mod tun;
pub mod xsk;
