//! XDP redirect between two interfaces: the shortest way that the kernel has.

use aya::{Ebpf, maps::DevMap, programs::links::FdLink};
use causeway::xdp;
use causeway_ebpf::perf;

use super::{
    Link,
    object::{self, take_map},
};
use crate::error::{Error, Result};

/// Every frame that comes in at one of two links leaves at the other, for as long as this lives.
pub(crate) struct Forwarder {
    _ways: [(FdLink, Ebpf); 2],
}

impl Forwarder {
    /// Connects two interfaces of one namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if an interface is missing, [`Error::CannotRun`] if the kernel refuses.
    pub(crate) fn attach(a: &Link, b: &Link) -> Result<Self> {
        Ok(Self {
            _ways: [one_way(a, b)?, one_way(b, a)?],
        })
    }
}

fn one_way(from: &Link, to: &Link) -> Result<(FdLink, Ebpf)> {
    let index = to.info()?.index;
    let mut ebpf = object::load(perf::FORWARD_PROGRAM)?;
    let mut target: DevMap<_> = take_map(&mut ebpf, perf::FORWARD_TO);
    let program = object::program(&mut ebpf, perf::FORWARD_PROGRAM);
    let refused = |e: &dyn std::fmt::Display| Error::CannotRun(format!("{from}: {e}"));
    let attached = from.inside(|| {
        target.set(0, index, None, 0).map_err(|e| refused(&e))?;
        xdp::attach(program, &from.interface).map_err(|e| refused(&e))
    })?;
    let (attached, _) = attached?;
    Ok((attached, ebpf))
}
