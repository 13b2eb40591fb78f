//! The XDP programs of the forwarder, as an object for it to embed.
//!
//! Built for BPF by `scripts/build-ebpf`; see this package's README.md.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod shell;
#[cfg(target_arch = "bpf")]
mod sight;
#[cfg(target_arch = "bpf")]
mod uplink_shell;

#[cfg(not(target_arch = "bpf"))]
fn main() -> std::process::ExitCode {
    eprintln!("these are XDP programs for the kernel: build them with scripts/build-ebpf");
    std::process::ExitCode::FAILURE
}
