//! What the kernel offers for BPF maps and the library does not: whole maps in few calls, and arrays in
//! our own memory.

use std::{
    io,
    num::NonZero,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::AtomicU64,
};

use aya::maps::MapData;

/// `BPF_MAP_LOOKUP_BATCH` of `enum bpf_cmd` (include/uapi/linux/bpf.h), from Linux 5.6 on.
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// The member `batch` of `union bpf_attr` there.
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// A hash map with keys of 8 and values of 4 bytes, to be read as a whole.
#[derive(Debug)]
pub struct WholeMap(OwnedFd);

impl WholeMap {
    /// That map.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if its keys or values have other sizes, or what the kernel answers when it is
    /// asked for them or for another descriptor.
    pub fn new(map: &MapData) -> io::Result<Self> {
        let info = map.info().map_err(io::Error::other)?;
        if (info.key_size(), info.value_size()) != (8, 4) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        map.fd().as_fd().try_clone_to_owned().map(Self)
    }

    /// Visits all entries, `batch` of them with each call of the kernel.
    ///
    /// What is entered or removed meanwhile may be visited or not.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `bpf(BPF_MAP_LOOKUP_BATCH)`: ENOSPC if `batch` is less than the longest chain of the
    /// hash table, EINVAL for another kind of map.
    pub fn visit(
        &self,
        batch: NonZero<u32>,
        visit: impl FnMut([u8; 8], [u8; 4]),
    ) -> io::Result<()> {
        visit_batches(self.0.as_fd(), batch, visit)
    }
}

fn visit_batches(
    map: BorrowedFd<'_>,
    batch: NonZero<u32>,
    mut visit: impl FnMut([u8; 8], [u8; 4]),
) -> io::Result<()> {
    let room = batch.get() as usize;
    let (mut keys, mut values) = (vec![[0; 8]; room], vec![[0; 4]; room]);
    let (mut from, mut to) = (0_u32, 0_u32);
    let mut begun = false;
    loop {
        let mut attr = BatchAttr {
            in_batch: if begun { address(&mut from) } else { 0 },
            out_batch: address(&mut to),
            keys: address(keys.as_mut_ptr()),
            values: address(values.as_mut_ptr()),
            count: batch.get(),
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: the kernel reads and writes `attr`, `from` and `to`, and writes up to `count` keys and values
        // of the sizes that the map was made with, which are those of the vectors' elements (`WholeMap::new`).
        let rc = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_BATCH,
                ptr::from_mut(&mut attr),
                size_of::<BatchAttr>(),
            )
        };
        let result = match rc {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        let ended = matches!(&result, Err(e) if e.raw_os_error() == Some(libc::ENOENT));
        if !ended {
            result?;
        }
        let found = attr.count as usize;
        for (key, value) in keys.iter().zip(&values).take(found) {
            visit(*key, *value);
        }
        if ended {
            return Ok(());
        }
        (from, begun) = (to, true);
    }
}

fn address<T>(of: *mut T) -> u64 {
    of.expose_provenance() as u64
}

/// Words of a BPF array map made with `BPF_F_MMAPABLE`, which the kernel's programs read.
#[derive(Debug)]
pub struct SharedWords {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: it is memory that is accessed by atomic operations only.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// The first `words` words of the map.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `mmap`: EINVAL if the map is shorter, ENOTSUPP if it was not made for it.
    pub fn map(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        // SAFETY: the kernel chooses the place, so nothing that exists is covered.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, words })
    }
}

impl std::ops::Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is that long, page-aligned and there until this is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        let bytes = self.words * size_of::<AtomicU64>();
        // SAFETY: it is our mapping, and nobody borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
