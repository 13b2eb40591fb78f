//! The kernel's side of sightings: the ring buffer, the limits on what goes there, and what tells our own
//! frames from others'.
#![allow(unsafe_code, reason = "maps, helpers and their pointers")]

use aya_ebpf::{
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_xdp_load_bytes},
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
    programs::XdpContext,
};
use causeway_ebpf::{
    EthernetHeader, Packet, Sighting, SightingCounter, SightingKind, StationKey,
    injected::{self, Bucket, WINDOW_LEN, Window},
    maps::{MAX_TOLD, MAX_WATCHED, SIGHTINGS_BYTES},
    sighting::{Budget, HEAD_LEN, SightingPrefix, Told},
};

use crate::{kernel::Frame, shell::map_key};

#[map]
static SIGHTINGS: RingBuf = RingBuf::with_byte_size(SIGHTINGS_BYTES, 0);

#[map]
static SIGHTING_COUNTERS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(SightingCounter::COUNT as u32, 0);

#[map]
static SIGHTING_BUDGET: PerCpuArray<Budget> = PerCpuArray::with_max_entries(1, 0);

/// [`Told::key`] to [`Told`]. The oldest are forgotten when it is full. As with the stations the key is
/// one number.
#[map]
static TOLD: LruHashMap<u64, Told> = LruHashMap::with_max_entries(MAX_TOLD, 0);

#[map]
static WATCHED: HashMap<u64, u8> = HashMap::with_max_entries(MAX_WATCHED, 0);

/// User space has it in its memory (BPF_F_MMAPABLE, include/uapi/linux/bpf.h).
#[map]
static INJECTED: Array<Bucket> = Array::with_max_entries(injected::ELEMENTS, 1 << 10);

/// Tells the control plane of the frame, unless it was told enough.
#[inline(always)]
pub(crate) fn tell(ctx: &XdpContext, frame: &Frame<'_>, kind: SightingKind, station: StationKey) {
    let kind = match kind {
        SightingKind::Returned if WATCHED.get_ptr(&map_key(station)).is_some() => {
            recognise(ctx, frame)
        }
        kind => kind,
    };
    // SAFETY: the helper has no arguments. The clock's grain, a few milliseconds, is fine enough here.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(budget) = SIGHTING_BUDGET.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the element is this CPU's own, and XDP is not preempted by itself there.
    let spent = unsafe { (*budget).spend(now) };
    let Some(spent) = spent else {
        return count(SightingCounter::Skipped);
    };
    if !is_due(Told::key(kind, station), now) {
        return;
    }
    // SAFETY: as above.
    unsafe { *budget = spent };
    count(match write(ctx, frame, kind, station) {
        Some(()) => SightingCounter::Told,
        None => SightingCounter::Lost,
    });
}

/// Whether the frame of a watched station is one that we injected. Counted for each frame.
#[inline(always)]
fn recognise(ctx: &XdpContext, frame: &Frame<'_>) -> SightingKind {
    if is_injected(ctx, frame) == Some(true) {
        count(SightingCounter::Ours);
        SightingKind::Ours
    } else {
        count(SightingCounter::NotOurs);
        SightingKind::NotOurs
    }
}

#[inline(always)]
fn is_injected(ctx: &XdpContext, frame: &Frame<'_>) -> Option<bool> {
    let header = EthernetHeader::parse(frame)?;
    let mut window: Window = [0; WINDOW_LEN / 8];
    let rest = frame.length().saturating_sub(header.len).min(WINDOW_LEN);
    if rest > 0 {
        // SAFETY: at most WINDOW_LEN bytes are written, and as many as the frame has behind its header
        // are read. A failure leaves zeros.
        unsafe {
            bpf_xdp_load_bytes(
                ctx.ctx,
                header.len as u32,
                window.as_mut_ptr().cast(),
                rest as u32,
            )
        };
    }
    let digest = injected::digest(&header, &window);
    let generation = read(INJECTED.get_ptr(injected::GENERATION_AT)?, 0) as u16;
    let bucket = INJECTED.get_ptr(injected::bucket_of(digest))?;
    for way in 1..injected::WAYS {
        // Out at once: the verifier would follow every combination of answers.
        if injected::is_noted(read(bucket, way), digest, generation) {
            return Some(true);
        }
    }
    Some(false)
}

/// A word that user space may be writing just now.
#[inline(always)]
fn read(bucket: *const Bucket, way: usize) -> u64 {
    // SAFETY: the callers' numbers lie within the bucket; an aligned word is read as a whole.
    unsafe { bucket.cast::<u64>().add(way).read_volatile() }
}

/// Whether the station's pause is over; a new one begins then.
#[inline(always)]
fn is_due(key: StationKey, now: u64) -> bool {
    let key = map_key(key);
    let Some(told) = TOLD.get_ptr_mut(&key) else {
        // What cannot be remembered is told once more: the budget is the bound.
        let _ = TOLD.insert(&key, &Told::first(now), 0);
        return true;
    };
    // SAFETY: other CPUs may write at the same time, and the element may become another station's: at
    // worst a pause is too short or too long.
    match unsafe { (*told).again(now) } {
        Some(next) => {
            // SAFETY: as above.
            unsafe { *told = next };
            true
        }
        None => false,
    }
}

/// Writes the entry; `None` if the ring is full.
#[inline(always)]
fn write(
    ctx: &XdpContext,
    frame: &Frame<'_>,
    kind: SightingKind,
    station: StationKey,
) -> Option<()> {
    let length = frame.length();
    let mut entry = SIGHTINGS.reserve::<Sighting>(0)?;
    let at = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted, and begins with the prefix's fields.
    unsafe {
        at.cast::<SightingPrefix>()
            .write(Sighting::prefix(kind, station, length as u32));
    }
    // SAFETY: the frame's bytes lie there in the entry.
    let head = unsafe { at.cast::<u8>().add(Sighting::HEAD_AT) };
    // SAFETY: HEAD_LEN bytes of the entry. What the frame does not fill must not tell of what was there.
    unsafe { head.cast::<[u64; HEAD_LEN / 8]>().write([0; HEAD_LEN / 8]) };
    let captured = length.min(HEAD_LEN);
    if captured > 0 {
        // SAFETY: at most HEAD_LEN bytes are written, and as many as the frame has are read. A failure
        // leaves zeros.
        unsafe { bpf_xdp_load_bytes(ctx.ctx, 0, head.cast(), captured as u32) };
    }
    entry.submit(0);
    Some(())
}

#[inline(always)]
fn count(counter: SightingCounter) {
    if let Some(counter) = SIGHTING_COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the element is this CPU's own, and XDP is not preempted by itself there.
        unsafe { *counter += 1 };
    }
}
