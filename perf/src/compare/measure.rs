//! The measurements, each by itself.

pub(crate) mod account;
pub(crate) mod counters;
pub(crate) mod cpu;
pub(crate) mod df;
pub(crate) mod endurance;
pub(crate) mod frames;
pub(crate) mod memory;
pub(crate) mod reach;
pub(crate) mod recovery;
pub(crate) mod rtt;
pub(crate) mod search;
pub(crate) mod tcp;
