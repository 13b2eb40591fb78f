//! What the perf harness measures in memory, apart from the program, so that benches can run it too.

pub mod datapath;
