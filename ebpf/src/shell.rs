//! The kernel's side: pointers, maps and helper calls around [`lan_verdict`].
//!
//! What is `unsafe` in this package is in the shells and in `kernel`.
#![allow(unsafe_code, reason = "maps and entry points are symbols")]

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP},
    macros::{map, xdp},
    maps::{Array, HashMap, PerCpuArray, XskMap},
    programs::XdpContext,
};
use causeway_ebpf::{
    Action, LanConfig, MAX_STATIONS, Place, StationEntry, StationKey, Tables, Verdict, lan_verdict,
    maps::{AddressKey, MAX_LAN_QUEUES, MAX_OWN_ADDRESSES, MAX_PROBES, probe_key},
    sighting_of,
};

use crate::{kernel::Frame, sight};

/// [`StationKey`] to [`StationEntry`]. The key's bytes are handled as one number, which the compiler
/// stores at once: piece by piece it would misalign accesses to the stack.
#[map]
static STATIONS: HashMap<u64, StationEntry> = HashMap::with_max_entries(MAX_STATIONS, 0);

#[map]
static OWN_ADDRESSES: HashMap<AddressKey, u8> = HashMap::with_max_entries(MAX_OWN_ADDRESSES, 0);

/// A `probe_key` each.
#[map]
static PROBES: HashMap<u64, u8> = HashMap::with_max_entries(MAX_PROBES, 0);

#[map]
static CONFIG: Array<LanConfig> = Array::with_max_entries(1, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Verdict::COUNT as u32, 0);

#[map]
static LAN_SOCKETS: XskMap = XskMap::with_max_entries(MAX_LAN_QUEUES, 0);

/// The program of the lan port.
#[xdp(frags)]
fn causeway_lan(ctx: XdpContext) -> u32 {
    match try_lan(&ctx) {
        Ok(action) => action.code(),
        Err(NotConfigured) => XDP_ABORTED,
    }
}

/// There is no configuration: impossible, as an array's elements always exist.
struct NotConfigured;

#[inline(always)]
fn try_lan(ctx: &XdpContext) -> Result<Action, NotConfigured> {
    let config = CONFIG.get(0).ok_or(NotConfigured)?;
    let frame = Frame::of(ctx);
    let verdict = match lan_verdict(&frame, config, &Maps) {
        verdict if verdict.action() == Action::Redirect => redirect(ctx, verdict),
        verdict => verdict,
    };
    count(verdict);
    if let Some((kind, station)) = sighting_of(&frame, config, verdict) {
        sight::tell(ctx, &frame, kind, station);
    }
    Ok(verdict.action())
}

/// Redirects to the socket of the frame's receive queue; without one the frame is dropped.
#[inline(always)]
fn redirect(ctx: &XdpContext, verdict: Verdict) -> Verdict {
    match LAN_SOCKETS.redirect(ctx.rx_queue_index(), u64::from(XDP_DROP)) {
        Ok(_) => verdict,
        Err(_) => Verdict::NoSocket,
    }
}

#[inline(always)]
fn count(verdict: Verdict) {
    if let Some(counter) = COUNTERS.get_ptr_mut(verdict as u32) {
        // SAFETY: the element is this CPU's own and XDP is not preempted by itself there
        // (bpf_prog_run_xdp runs with bottom halves off), so nobody else accesses it.
        unsafe { *counter += 1 };
    }
}

/// A station's key as the maps have it, put together in registers: what the compiler stores piece by
/// piece would be misaligned on the stack.
#[inline(always)]
pub(crate) fn map_key(StationKey { vlan, mac }: StationKey) -> u64 {
    let [a, b, c, d, e, f] = mac.map(u64::from);
    let mac = a | b << 8 | c << 16 | d << 24 | e << 32 | f << 40;
    u64::from_le(u64::from(vlan.to_le()) | mac << 16)
}

/// The kernel maps as the verdict's tables.
struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn place(&self, key: &StationKey) -> Option<Place> {
        // SAFETY: user space replaces a value while we read it at worst by another whole one:
        // it is an aligned u32, and an element is freed only after an RCU grace period or reused
        // for another station, which is what the entry's removal meant anyway.
        unsafe { STATIONS.get(map_key(*key)) }?.place()
    }

    #[inline(always)]
    fn hears_at_home(&self, key: &StationKey, epoch: u16) -> bool {
        let Some(entry) = STATIONS.get_ptr_mut(map_key(*key)) else {
            return false;
        };
        // SAFETY: as above.
        let before = unsafe { *entry };
        if before.place() != Some(Place::Home) {
            return false;
        }
        // Once in an epoch: between CPUs the line stays shared.
        if before.epoch != epoch {
            // SAFETY: an aligned u16 of an element that is ours or, at worst, another station's by now
            // (see StationEntry).
            unsafe { (*entry).epoch = epoch };
        }
        true
    }

    #[inline(always)]
    fn is_own_address(&self, address: &AddressKey) -> bool {
        OWN_ADDRESSES.get_ptr(address).is_some()
    }

    #[inline(always)]
    fn is_probe(&self, mac: &[u8; 6]) -> bool {
        PROBES.get_ptr(&probe_key(mac)).is_some()
    }
}
