//! The appliance: two LANs made one segment over an encrypted UDP path.
//!
//! # The way of a frame
//!
//! Site to cloud:
//!
//! 1. `causeway_ebpf` (in the kernel, at the driver of the LAN port): its verdict sends frames for
//!    moved stations and broadcasts to the AF_XDP socket of their queue, lets the host's own pass, and drops
//!    the rest: with promiscuous mode that is most.
//! 2. [`sys::xsk`]: the AF_XDP port lends the worker what its RX ring holds.
//! 3. [`worker`]: the pinned thread that runs both directions, batch by batch.
//! 4. [`lan_to_wan`]: which peer it is for; into the open bundle of the lane to that peer
//!    (`causeway_tunnel::lane`), which seals every datagram as it fills and the rest at the end of the batch.
//!    Where there are rules for that peer, [`vlans`] has it cross in the VLAN that they name, or not at all.
//!    Broadcast and multicast pass [`flood`] first, and [`multicast`] knows who listens.
//! 5. [`uplink`]: runs of datagrams to the kernel's UDP, one call for up to 64 kB (GSO); or, with AF_XDP on
//!    the uplink too, past the kernel: each behind headers made here ([`uplink::headers`]).
//!
//! And back: [`uplink`] (GRO, or AF_XDP behind the verdict of the uplink's program) → [`wan_to_lan`]: security association by SPI, replay check, open, unbundle,
//! may this peer say this? → [`sys::xsk`], where the frame leaves with the source address it came with.
//!
//! Cloud to site is the same with the tables turned: [`stations`] are *home* there, and what a granted
//! station sends to anybody but its neighbours crosses. A frame has one way out, and each one that is
//! dropped has a reason: `causeway_ebpf::Verdict` in the kernel (the uplink's program drops nothing), `causeway_tunnel::DropReason` here,
//! both in [`counters`] and [`status`].
//!
//! # Who decides
//!
//! [`control`] owns the truth (peers, sessions, stations) in one thread and hands workers keys and
//! snapshots over a channel between batches. Workers neither lock nor log, and never wait.
//! [`appliance`] opens it all: [`preflight`] and [`device`] look at the machine, [`xdp`] loads and attaches
//! the program last. [`cli`], [`options`], [`config`] and [`spec`] are how it is told what to do;
//! [`snoop`] reads what it learns the stations' addresses ([`bindings`]) from; [`aead`] picks the library that does the cipher; [`routes`] asks the kernel for the ways to the peers; [`status`] is how it tells, [`doctor`] says what the switch does to it, and [`sa_log`] shows the keys to whoever debugs.
//!
//! `OPERATIONS.md` beside this crate's manifest explains every option and counter to operators.
//!
//! `unsafe` code is in [`sys`] alone.

pub mod aead;
pub mod appliance;
pub mod bindings;
pub mod checksum;
pub mod clamp_mss;
pub mod cli;
pub mod config;
pub mod control;
pub mod counters;
pub mod device;
pub mod doctor;
pub mod flood;
pub mod gateways;
pub mod keys;
pub mod lan_port;
pub mod lan_to_wan;
pub mod multicast;
pub mod options;
pub mod preflight;
pub mod routes;
pub mod sa_log;
pub mod snoop;
pub mod spec;
pub mod stations;
pub mod status;
pub mod summary;
pub mod sys;
pub mod traffic_class;
pub mod uplink;
pub mod vlans;
pub mod wan_to_lan;
pub mod worker;
pub mod xdp;
