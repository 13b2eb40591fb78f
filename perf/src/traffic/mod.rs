//! Test traffic: frames that say which they are, what makes them, and what counts them.
//!
//! [`stream`] says what the frames of a test look like (their layout is `causeway_ebpf::perf`'s), [`link`] where
//! they go in and come out. [`live`] makes them in the kernel, faster than any socket, and [`counter`] counts them
//! at the driver; [`forward`] is the shortest way between two interfaces, to compare with.

mod account;
mod bare;
mod clock;
pub(crate) mod counter;
pub(crate) mod forward;
mod frame;
pub(crate) mod generate;
mod generator;
mod latency;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod object;
mod options;
mod preflight;
mod rate;
pub(crate) mod receive;
pub(crate) mod rfc2544;
mod schedule;
mod sink;
pub(crate) mod soak;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
mod trial;
mod window;

pub(crate) use link::Link;
pub(crate) use stream::Stream;
