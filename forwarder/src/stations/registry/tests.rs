//! Both ends' registries on a virtual wire, with virtual time.

mod agree;
mod learning;
mod limits;
mod world;
