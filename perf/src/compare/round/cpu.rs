//! CPU time of the gateways for a unit of work.

use crate::{
    compare::{
        figures::{Figure, Samples},
        measure::cpu::Usage,
        peer::Peer,
    },
    sizes::FrameSizes,
};

/// Figures of all CPU time, of programs, system calls and softirqs.
type Figures = [Figure; 4];

pub(super) const PER_GB: Figures = [
    Figure::CpuPerGb,
    Figure::CpuPerGbUser,
    Figure::CpuPerGbSystem,
    Figure::CpuPerGbSoftirq,
];

pub(super) const PER_MILLION: Figures = [
    Figure::CpuPerMillion,
    Figure::CpuPerMillionUser,
    Figure::CpuPerMillionSystem,
    Figure::CpuPerMillionSoftirq,
];

pub(super) fn add(
    samples: &mut Samples,
    figures: Figures,
    sizes: Option<FrameSizes>,
    peer: &dyn Peer,
    usage: Usage,
    units: f64,
) {
    if !peer.has_own_cpu() {
        samples.add_nothing(figures[0], sizes, "on the generator's CPU");
        return;
    }
    let parts = [usage.total(), usage.user, usage.system, usage.softirq];
    for (figure, seconds) in figures.into_iter().zip(parts) {
        samples.add(figure, sizes, seconds / units);
    }
}
