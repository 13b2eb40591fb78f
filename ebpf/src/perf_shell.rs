//! The kernel's side of the perf harness: its programs and their maps.
#![allow(
    unsafe_code,
    reason = "pointers from the kernel; maps and entry points are symbols"
)]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS},
    helpers::{bpf_ktime_get_ns, bpf_redirect},
    macros::{map, xdp},
    maps::{Array, DevMap, PerCpuArray, XskMap},
    programs::XdpContext,
};
use causeway_ebpf::{
    maps::MAX_LAN_QUEUES,
    perf::{
        GeneratorConfig, GeneratorState, PAYLOAD_LEN, Stamp, UDP_LEN, is_test_frame, source_port,
        udp_offset,
    },
};

use crate::kernel::Frame;

#[map]
static GENERATOR: Array<GeneratorConfig> = Array::with_max_entries(1, 0);

#[map]
static STATE: Array<GeneratorState> = Array::with_max_entries(1, 0);

#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

#[map]
static SINK_SOCKETS: XskMap = XskMap::with_max_entries(MAX_LAN_QUEUES, 0);

#[map]
static FORWARD_TO: DevMap = DevMap::with_max_entries(1, 0);

/// Stamps the frame of a test run and sends it. One run at a time.
#[xdp]
fn perf_generate(ctx: XdpContext) -> u32 {
    try_generate(&ctx).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn try_generate(ctx: &XdpContext) -> Option<u32> {
    let config = GENERATOR.get(0)?;
    let state = STATE.get_ptr_mut(0)?;
    // SAFETY: user space does one run at a time, and nobody else touches the map meanwhile.
    let GeneratorState { sequence, flow } = unsafe { (*state).advance(config.flows) };
    let stamp = Stamp {
        flow: flow as u16,
        sequence,
        // SAFETY: it only reads the clock.
        timestamp: unsafe { bpf_ktime_get_ns() },
    };
    // Constants, which the verifier understands better than a number of a map.
    match config.tags {
        0 => write::<{ udp_offset(0) }>(ctx, stamp, config.sum)?,
        _ => write::<{ udp_offset(1) }>(ctx, stamp, config.sum)?,
    }
    // SAFETY: it only notes the interface for the caller of this program.
    Some(unsafe { bpf_redirect(config.ifindex, 0) } as u32)
}

/// Writes the stamp behind the UDP header at `UDP`, and its port and checksum into it.
#[inline(always)]
fn write<const UDP: usize>(ctx: &XdpContext, stamp: Stamp, sum: u32) -> Option<()> {
    let udp = ctx.data() + UDP;
    if udp + UDP_LEN + PAYLOAD_LEN > ctx.data_end() {
        return None;
    }
    let port = source_port(stamp.flow).to_be_bytes();
    // SAFETY: inside the frame, as just checked; bytes have no alignment. So for the next two.
    unsafe { *(udp as *mut [u8; 2]) = port };
    // SAFETY: as above.
    unsafe { *((udp + 6) as *mut [u8; 2]) = stamp.checksum(sum).to_be_bytes() };
    // SAFETY: as above.
    unsafe { *((udp + UDP_LEN) as *mut [u8; PAYLOAD_LEN]) = stamp.to_bytes() };
    Some(())
}

/// Counts a test frame and gives it to the queue's socket, or drops it; passes all others.
#[xdp]
fn perf_sink(ctx: XdpContext) -> u32 {
    if !is_test_frame(&Frame::of(&ctx)) {
        return XDP_PASS;
    }
    count(0, 1);
    count(1, (ctx.data_end() - ctx.data()) as u64);
    SINK_SOCKETS
        .redirect(ctx.rx_queue_index(), u64::from(XDP_DROP))
        .unwrap_or(XDP_DROP)
}

#[inline(always)]
fn count(index: u32, n: u64) {
    if let Some(counter) = COUNTS.get_ptr_mut(index) {
        // SAFETY: the element is this CPU's own and XDP is not preempted by itself there
        // (bpf_prog_run_xdp runs with bottom halves off), so nobody else accesses it.
        unsafe { *counter += n };
    }
}

/// Sends every frame out at the other interface.
#[xdp]
fn perf_forward(_: XdpContext) -> u32 {
    FORWARD_TO
        .redirect(0, u64::from(XDP_ABORTED))
        .unwrap_or(XDP_ABORTED)
}
