//! How often was asked, and who has answered.

use std::net::Ipv4Addr;

use super::{LAST, MOST_FRAMES, Plan, TRIES};
use crate::doctor::probe::{Kind, Probe};

impl Plan {
    /// How often a kind may be tried at those who answer, so that something is left for the kinds after it.
    pub(super) fn share(&self, kind: Kind, alive: &[Ipv4Addr]) -> usize {
        let kinds = match kind {
            Kind::P2 => 3,
            Kind::P1 => 2,
            Kind::P0 | Kind::P3 => 1,
        };
        let room = MOST_FRAMES.saturating_sub(LAST + self.probes.len());
        let most = self.tried(kind, alive) + room / kinds;
        most.clamp(1, TRIES)
    }

    pub(super) fn tried(&self, kind: Kind, at: &[Ipv4Addr]) -> usize {
        let tried = |p: &&Probe| p.kind == kind && at.contains(&p.target);
        self.probes.iter().filter(tried).count()
    }

    pub(super) fn answered(&self, kind: Kind) -> bool {
        self.probes.iter().any(|p| p.kind == kind && p.answered())
    }

    /// Targets that have answered something, in the VLAN that was named.
    pub(super) fn alive(&self) -> Vec<Ipv4Addr> {
        let answered = |target: &&Ipv4Addr| {
            let mut of = self.probes.iter().filter(|p| p.target == **target);
            of.any(|p| p.vlan == self.vlan && p.answered())
        };
        self.targets.iter().filter(answered).copied().collect()
    }
}
