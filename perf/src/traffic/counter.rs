//! A sink at the driver: it counts test frames and drops them, or gives them to a socket.
//!
//! No socket can keep up with what a fast gateway delivers; an XDP program that drops can.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray, XskMap},
    programs::links::FdLink,
};
use causeway::{sys::xsk::XskPort, xdp};
use causeway_ebpf::perf;

use super::{
    Link,
    object::{self, take_map},
};
use crate::error::{Error, Result};

/// Test frames that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Frames.
    pub(crate) frames: u64,
    /// Their bytes, without FCS.
    pub(crate) bytes: u64,
}

/// Counts the test frames that come in at a link, for as long as it lives; others pass.
pub(crate) struct FrameCounter {
    // First to go: the interface is free again before the program is.
    _attached: FdLink,
    _ebpf: Ebpf,
    counts: PerCpuArray<MapData, u64>,
    sockets: XskMap<MapData>,
}

impl FrameCounter {
    /// Starts counting.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`]: no permission, or another XDP program is there.
    pub(crate) fn attach(link: &Link) -> Result<Self> {
        let mut ebpf = object::load(perf::SINK_PROGRAM)?;
        let program = object::program(&mut ebpf, perf::SINK_PROGRAM);
        let attached = link.inside(|| xdp::attach(program, &link.interface))?;
        let (attached, _) = attached.map_err(|e| Error::CannotRun(format!("{link}: {e}")))?;
        Ok(Self {
            _attached: attached,
            counts: take_map(&mut ebpf, perf::COUNTS),
            sockets: take_map(&mut ebpf, perf::SINK_SOCKETS),
            _ebpf: ebpf,
        })
    }

    /// From now on the test frames of a receive queue go to the port, which is bound to it.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`]: there is no such queue.
    pub(crate) fn redirect_to(&mut self, queue: u32, port: &XskPort) -> Result {
        let set = self.sockets.set(queue, port.as_fd(), 0);
        set.map_err(|e| Error::CannotRun(format!("receive queue {queue} cannot be served: {e}")))
    }

    /// What came in until now.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let sum = |index| {
            let values = self.counts.get(&index, 0);
            let values = values.map_err(Error::failed("cannot read the sink's counters"))?;
            Ok(values.iter().sum())
        };
        Ok(Counts {
            frames: sum(0)?,
            bytes: sum(1)?,
        })
    }
}
