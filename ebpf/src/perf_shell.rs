//! The kernel's side of the perf harness: its programs and their maps.
#![allow(
    unsafe_code,
    reason = "pointers from the kernel; maps and entry points are symbols"
)]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS},
    helpers::{bpf_ktime_get_ns, bpf_redirect, bpf_xdp_adjust_tail},
    macros::{map, xdp},
    maps::{Array, DevMap, PerCpuArray, XskMap},
    programs::XdpContext,
};
use causeway_ebpf::{
    maps::MAX_LAN_QUEUES,
    perf::{
        GeneratorConfig, GeneratorState, IPV4_LEN, LOOKS, MAX_SHAPES, PAYLOAD_LEN, Shape, Stamp,
        Turn, UDP_LEN, is_test_frame, source_port, udp_offset,
    },
};

use crate::kernel::Frame;

#[map]
static GENERATOR: Array<GeneratorConfig> = Array::with_max_entries(1, 0);

#[map]
static SHAPES: Array<Shape> = Array::with_max_entries(MAX_SHAPES, 0);

#[map]
static STATE: Array<GeneratorState> = Array::with_max_entries(1, 0);

#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

#[map]
static SINK_SOCKETS: XskMap = XskMap::with_max_entries(MAX_LAN_QUEUES, 0);

#[map]
static FORWARD_TO: DevMap = DevMap::with_max_entries(1, 0);

/// Sends the frame of a test run when its turn comes. One run at a time.
#[xdp]
fn perf_generate(ctx: XdpContext) -> u32 {
    try_generate(&ctx).unwrap_or(XDP_DROP)
}

#[inline(always)]
fn try_generate(ctx: &XdpContext) -> Option<u32> {
    let config = GENERATOR.get(0)?;
    let state = STATE.get_ptr_mut(0)?;
    // SAFETY: user space does one run at a time, and nobody else writes the map meanwhile.
    let state = unsafe { &mut *state };
    let (now, timestamp) = turn(config, state)?;
    let shape = SHAPES.get(state.shape)?;
    let stamp = state.advance(config, now, timestamp);
    set_length(ctx, shape.length)?;
    // Constants, which the verifier understands better than a number of a map.
    match config.tags {
        0 => write::<{ udp_offset(0) }>(ctx, stamp, shape)?,
        _ => write::<{ udp_offset(1) }>(ctx, stamp, shape)?,
    }
    // SAFETY: it only notes the interface for the caller of this program.
    Some(unsafe { bpf_redirect(config.ifindex, 0) } as u32)
}

/// Waits for the next frame's turn: the time, and the time at which it was due.
#[inline(always)]
fn turn(config: &GeneratorConfig, state: &mut GeneratorState) -> Option<(u64, u64)> {
    for _ in 0..LOOKS {
        // SAFETY: it only reads the clock.
        let now = unsafe { bpf_ktime_get_ns() };
        match state.turn(config, now) {
            Turn::Send { timestamp } => return Some((now, timestamp)),
            Turn::Over => return None,
            Turn::Wait => {}
        }
    }
    None
}

/// Cuts the frame of a test run, which is as long as the longest, to `length`.
#[inline(always)]
fn set_length(ctx: &XdpContext, length: u32) -> Option<()> {
    let excess = length as i32 - (ctx.data_end() - ctx.data()) as i32;
    if excess == 0 {
        return Some(());
    }
    // SAFETY: the context is the kernel's; pointers into the frame are taken afterwards.
    let result = unsafe { bpf_xdp_adjust_tail(ctx.ctx, excess) };
    (result == 0).then_some(())
}

/// Writes what differs from frame to frame into the headers, of which UDP's is at `UDP`.
#[inline(always)]
fn write<const UDP: usize>(ctx: &XdpContext, stamp: Stamp, shape: &Shape) -> Option<()> {
    let start = ctx.data();
    if start + UDP + UDP_LEN + PAYLOAD_LEN > ctx.data_end() {
        return None;
    }
    let put = |offset: usize, bytes: [u8; 2]| {
        // SAFETY: all offsets here are below the end that was just checked; bytes have no alignment.
        unsafe { *((start + offset) as *mut [u8; 2]) = bytes };
    };
    put(UDP - IPV4_LEN + 2, shape.ip_length);
    put(UDP - IPV4_LEN + 10, shape.ip_checksum);
    put(UDP, source_port(stamp.flow).to_be_bytes());
    put(UDP + 4, shape.udp_length);
    put(UDP + 6, stamp.checksum(shape.sum).to_be_bytes());
    // SAFETY: it ends where the check above says that the frame does not end before.
    unsafe { *((start + UDP + UDP_LEN) as *mut [u8; PAYLOAD_LEN]) = stamp.to_bytes() };
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
