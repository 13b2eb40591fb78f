//! What the two ends of a causeway agree on.
//!
//! # The way of a frame
//!
//! The half of the crate that frames travel through is *sans-IO*: bytes and `now` in,
//! bytes out. It has no socket, no clock and no thread; whoever calls it has those.
//!
//! ```text
//!  frames of a batch                                              frames
//!       │ push, flush                                                ▲ deliver
//!  ┌────▼─────── lane::TxLane ──────┐        ┌──── lane::RxLane ─────┴────────┐
//!  │ bundle   into the open datagram│        │ join      halves of cut frames │
//!  │ sa       next sequence number  │        │ unbundle  frames of a datagram │
//!  │ esp      header, padding       │        │ esp       padding, next header │
//!  │ aead     seal in place         │        │ aead      open in place        │
//!  └────┬───────────────────────────┘        │ replay    seen before?         │
//!       │ lane::Run: equal datagrams         └────▲───────────────────────────┘
//!       └──── UDP, one send with GSO ─────────────┘ lane::RxLane, run by run
//! ```
//!
//! Out: [`TxLane::push`](lane::TxLane::push) copies the frame, once, to its final
//! place in the outgoing buffer ([`bundle`]). A datagram that is full is sealed there
//! ([`esp::seal`]); as many as one send takes are handed out as a [`lane::Run`], unless the sink lends memory for
//! each ([`lane::DatagramSink`]).
//! [`flush`](lane::TxLane::flush) ends the batch, so that no frame waits for another.
//!
//! In: the datagram's SPI names its lane ([`esp::claimed_spi`]). Datagrams come in runs, one behind the other, as the
//! kernel merged them. [`RxLane::receive_run`](lane::RxLane::receive_run) opens each where it lies ([`esp::open`])
//! and delivers its whole frames from there ([`unbundle`]). A frame that was cut within the run is delivered from there
//! too, in two parts ([`Frame`]), or in one after its first bytes were moved to the others. Of one that was cut between
//! runs, or of which a datagram is late, the half that came first waits in a buffer that is used again ([`join`]); it is
//! delivered as two parts where the other follows in order, and joined in that buffer where not.
//! Nothing is allocated per frame or per datagram.
//!
//! # The way of a key
//!
//! The other half is asynchronous and makes what lanes need. A [`session::Endpoint`] dials or
//! accepts a QUIC connection; TLS proves the pinned keys of both ends ([`identity`]); a
//! [`session::Session`] is there when both [`message::Hello`]s were said. Then each end chooses
//! an [`Spi`] for each lane of the other, asks the session for its
//! [`keying_material`](session::Session::keying_material), has a [`lane::RxLane`] ready, and tells the SPIs
//! in [`message::Lanes`]; what it is told becomes its [`lane::TxLane`]s. The site names its
//! [`stations`]. A rekey is a new session beside the old one. Frames never cross in a session.
//!
//! Every refusal has a word: [`DropReason`] for frames and datagrams of lanes,
//! [`session::SessionCounter`] at the QUIC socket. The bytes on the wire are in
//! `PROTOCOL.md` beside this crate's manifest; their numbers are in [`wire`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aead;
pub mod bundle;
pub mod drop_reason;
pub mod esp;
pub mod frame;
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
pub use frame::Frame;
pub use sa::{InboundSa, OutboundSa};
pub use spi::Spi;
