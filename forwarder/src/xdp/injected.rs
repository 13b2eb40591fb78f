//! The notes of injected frames, by which the lan program knows our own frames from others'.

use std::{
    collections::HashSet,
    hash::BuildHasherDefault,
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

use causeway_ebpf::{
    EthernetHeader, StationKey,
    injected::{self, ELEMENTS, GENERATION_AT, WAYS},
};

use crate::{stations::KeyHasher, sys::bpf::SharedWords};

/// Stations whose injected frames are noted: their keys as numbers.
pub type Watched = HashSet<u64, BuildHasherDefault<KeyHasher>>;

/// The table of notes, in the memory of the kernel's program too.
#[derive(Debug)]
pub struct Injected(SharedWords);

impl Injected {
    pub(super) fn map(array: BorrowedFd<'_>) -> io::Result<Self> {
        SharedWords::map(array, ELEMENTS as usize * WAYS).map(Self)
    }

    /// The next generation begins: notes of the one before the last count no more.
    pub fn begin_generation(&self) {
        self.0[GENERATION_AT as usize * WAYS].fetch_add(1, Release);
    }

    fn generation(&self) -> u16 {
        self.0[GENERATION_AT as usize * WAYS].load(Acquire) as u16
    }
}

/// A worker's way to note what it injects.
#[derive(Clone, Debug)]
pub struct Recorder {
    table: Arc<Injected>,
    watched: Arc<Watched>,
}

impl Recorder {
    /// One that notes the frames of these stations.
    pub fn new(table: Arc<Injected>, watched: Arc<Watched>) -> Self {
        Self { table, watched }
    }

    /// Notes a frame in two parts, if its source is watched. To be called before it is sent: it may be back
    /// at once.
    pub fn note(&self, head: &[u8], tail: &[u8]) {
        let Some(header) = EthernetHeader::parse(head) else {
            return;
        };
        if !self.watches(header.source_station()) {
            return;
        }
        if let Some(digest) = injected::digest_of(head, tail) {
            let note = injected::note(digest, self.table.generation());
            let bucket = &self.table.0[injected::bucket_of(digest) as usize * WAYS..][..WAYS];
            // Where two workers meet here, one note may be lost: they are two cores on one station.
            let count = bucket[0].load(Relaxed);
            bucket[injected::next_way(count)].store(note, Relaxed);
            bucket[0].store((count + 1) % (WAYS as u64 - 1), Relaxed);
        }
    }

    fn watches(&self, station: StationKey) -> bool {
        self.watched.contains(&u64::from(station))
    }
}
