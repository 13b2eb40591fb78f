//! placeholder
pub mod xdp;
