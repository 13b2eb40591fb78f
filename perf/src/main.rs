//! The perf harness of causeway: where labs, traffic and reports of measurements will be.
//!
//! No frame travels through it yet. What there is to measure with so far: the way of a frame through
//! the tunnel without network, `cargo bench -p causeway-tunnel --bench datapath`; and the whole in
//! network namespaces, with throughput and the time to recover from a crash, `scripts/demo`.

fn main() {}
