//! The XDP side of causeway: what becomes of a frame before it costs any memory.
//!
//! A frame reaches the lan port; the driver runs `causeway_lan` (this package's binary, built
//! for BPF) on it, which asks [`lan_verdict`]:
//!
//! ```text
//!  frame ─▶ EthernetHeader::parse ─▶ lan_verdict ─┬─ Redirect ─▶ AF_XDP socket of the rx queue
//!            (Packet: bounds-checked   (Tables:   ├─ Pass ─────▶ the host's own network stack
//!             loads)                    stations, └─ Drop ─────▶ nothing: no memory was spent
//!                                       addresses)
//! ```
//!
//! and counts the [`Verdict`] in a per-CPU counter, exactly one for each frame. Of some that it drops it
//! tells the control plane ([`sighting`]). Where the uplink
//! has AF_XDP as well, `causeway_uplink` asks [`uplink_verdict`] there: ESP datagrams for our ports go
//! to a worker, QUIC and everything else to the kernel.
//!
//! This library is `no_std`, without `unsafe`, and the same for the kernel, for the forwarder
//! (which fills the [`maps`] and parses frames with the same [`EthernetHeader`]) and for
//! the tests: the table of cases runs on the host and in the kernel.
//!
//! [`perf`] is what the programs of the perf harness share with it.
//!
//! # Features
//!
//! `cases`: the module `cases`, the verdict table as data. For tests; needs std.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "cases"))]
extern crate std;

#[cfg(any(test, feature = "cases"))]
pub mod cases;
pub mod ethernet;
pub mod flood;
pub mod injected;
pub mod kind;
pub mod lan;
pub mod maps;
pub mod neighbour;
pub mod outer;
pub mod packet;
pub mod perf;
pub mod sighting;
pub mod uplink;
pub mod verdict;

pub use ethernet::EthernetHeader;
pub use flood::FloodPolicy;
pub use lan::{Tables, lan_verdict};
pub use maps::{LanConfig, MAX_STATIONS, Place, Role, StationEntry, StationKey, UplinkConfig};
pub use outer::Outer;
pub use packet::Packet;
pub use sighting::{Sighting, SightingCounter, SightingKind, sighting_of};
pub use uplink::{UplinkTables, uplink_verdict};
pub use verdict::{Action, UplinkVerdict, Verdict};
