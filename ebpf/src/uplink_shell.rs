//! The kernel's side of the uplink: maps and helper calls around [`uplink_verdict`].
#![allow(unsafe_code, reason = "maps and entry points are symbols")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    macros::{map, xdp},
    maps::{Array, HashMap, PerCpuArray, XskMap},
    programs::XdpContext,
};
use causeway_ebpf::{
    Action, UplinkConfig, UplinkTables, UplinkVerdict,
    maps::{AddressKey, MAX_OWN_ADDRESSES, MAX_UPLINK_PORTS, MAX_UPLINK_QUEUES},
    uplink_verdict,
};

use crate::kernel::Frame;

#[map]
static UPLINK_CONFIG: Array<UplinkConfig> = Array::with_max_entries(1, 0);

#[map]
static UPLINK_PORTS: HashMap<u32, u8> = HashMap::with_max_entries(MAX_UPLINK_PORTS, 0);

#[map]
static UPLINK_OWN: HashMap<AddressKey, u8> = HashMap::with_max_entries(MAX_OWN_ADDRESSES, 0);

#[map]
static UPLINK_COUNTERS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(UplinkVerdict::COUNT as u32, 0);

#[map]
static UPLINK_SOCKETS: XskMap = XskMap::with_max_entries(MAX_UPLINK_QUEUES, 0);

/// The program of the uplink.
#[xdp(frags)]
fn causeway_uplink(ctx: XdpContext) -> u32 {
    match try_uplink(&ctx) {
        Ok(action) => action.code(),
        Err(NotConfigured) => XDP_ABORTED,
    }
}

/// There is no configuration: impossible, as an array's elements always exist.
struct NotConfigured;

#[inline(always)]
fn try_uplink(ctx: &XdpContext) -> Result<Action, NotConfigured> {
    let config = UPLINK_CONFIG.get(0).ok_or(NotConfigured)?;
    let verdict = match uplink_verdict(&Frame::of(ctx), config, &Maps) {
        UplinkVerdict::Esp => redirect(ctx),
        verdict => verdict,
    };
    count(verdict);
    Ok(verdict.action())
}

/// Redirects to the socket of the frame's receive queue; without one the frame is the kernel's.
#[inline(always)]
fn redirect(ctx: &XdpContext) -> UplinkVerdict {
    match UPLINK_SOCKETS.redirect(ctx.rx_queue_index(), u64::from(XDP_PASS)) {
        Ok(_) => UplinkVerdict::Esp,
        Err(_) => UplinkVerdict::NoSocket,
    }
}

#[inline(always)]
fn count(verdict: UplinkVerdict) {
    if let Some(counter) = UPLINK_COUNTERS.get_ptr_mut(verdict as u32) {
        // SAFETY: the element is this CPU's own and XDP is not preempted by itself there
        // (bpf_prog_run_xdp runs with bottom halves off), so nobody else accesses it.
        unsafe { *counter += 1 };
    }
}

/// The kernel maps as the verdict's tables.
struct Maps;

impl UplinkTables for Maps {
    #[inline(always)]
    fn is_our_port(&self, port: u16) -> bool {
        UPLINK_PORTS.get_ptr(u32::from(port)).is_some()
    }

    #[inline(always)]
    fn is_our_address(&self, address: &AddressKey) -> bool {
        UPLINK_OWN.get_ptr(address).is_some()
    }
}
