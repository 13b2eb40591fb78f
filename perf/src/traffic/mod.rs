//! Test traffic: frames that say which they are, what makes them, and what counts them.
//!
//! [`stream`] says what the frames of a test look like (their layout is `causeway_ebpf::perf`'s), [`link`] where
//! they go in and come out. [`live`] makes them in the kernel, faster than any socket, and [`counter`] counts them
//! at the driver; [`forward`] is the shortest way between two interfaces, to compare with.

pub(crate) mod counter;
pub(crate) mod forward;
pub(crate) mod link;
pub(crate) mod live;
pub(crate) mod object;
pub(crate) mod stream;
#[cfg(test)]
mod tests;

pub(crate) use link::Link;
pub(crate) use stream::Stream;
