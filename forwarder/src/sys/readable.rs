//! Waiting in a task until a file descriptor of ours is readable.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// A file descriptor that the runtime's epoll watches.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Has the runtime watch `fd`, which must be non-blocking. Outside of a runtime it panics.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `epoll_ctl`.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an OwnedFd stays open and keeps its number until it is dropped, which AsyncFd does after it
        // has taken it from epoll; it is lent out by reference only.
        let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// Waits until `read` gives something but [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    ///
    /// That of `read`, or what the kernel answers to epoll.
    pub async fn read<T>(&self, mut read: impl FnMut(&OwnedFd) -> io::Result<T>) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(result) = ready.try_io(|fd| read(fd.get_ref())) {
                return result;
            }
        }
    }
}
