//! What is flooded, and how much of it: broadcast and multicast on their way over the border.
//!
//! Both directions ask the same: an end that keeps its own floods back does not take another's word for it.
//! What hosts cannot do without (ARP, neighbour discovery, DHCP) has a limit of its own, so that no storm of
//! anything else starves it, and each VLAN has its own limits.

mod bucket;
mod by_vlan;
mod fair;

use std::{sync::Arc, time::Instant};

use causeway_ebpf::{FloodPolicy, ethernet::EthernetHeader, flood::is_bpdu, kind::Kind};
use causeway_tunnel::DropReason;

pub use self::{
    bucket::TokenBucket,
    by_vlan::ByVlan,
    fair::{FairBucket, PARTS},
};
use crate::multicast::{Audience, Groups};

/// What may be flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodRule {
    /// Which frames.
    pub policy: FloodPolicy,
    /// How many a second in each VLAN, of what is essential and of everything else.
    pub rate: u32,
}

impl FloodRule {
    /// What the XDP program keeps back: nothing that a worker answers itself, or knows more of, as
    /// of `groups`.
    pub fn in_driver(self, groups: &Groups) -> FloodPolicy {
        match self.policy {
            FloodPolicy::All => FloodPolicy::All,
            _ if groups.is_used() => FloodPolicy::EssentialAndMulticast,
            _ => FloodPolicy::Essential,
        }
    }
}

/// Where floods of one sender pass: the LAN, or a peer.
#[derive(Debug)]
pub struct FloodGate {
    policy: FloodPolicy,
    essential: ByVlan,
    other: ByVlan,
    groups: Arc<Groups>,
}

impl FloodGate {
    /// A gate by this rule.
    pub fn new(rule: FloodRule, now: Instant) -> Self {
        Self {
            policy: rule.policy,
            essential: ByVlan::new(rule.rate, now),
            other: ByVlan::new(rule.rate, now),
            groups: Arc::default(),
        }
    }

    /// Who listens to which group, from now on.
    pub fn set_groups(&mut self, groups: &Arc<Groups>) {
        self.groups = Arc::clone(groups);
    }

    /// Lets a frame to a group pass, by its first 128 bytes, or not; tells whom it is for.
    ///
    /// # Errors
    ///
    /// [`DropReason::LinkLocal`] for a BPDU in disguise, [`DropReason::FloodPolicy`],
    /// [`DropReason::FloodLimit`], [`DropReason::BadFrameLength`] if it ends in its header.
    pub fn pass(&mut self, frame: &[u8], now: Instant) -> Result<Audience, DropReason> {
        let header = EthernetHeader::parse(frame).ok_or(DropReason::BadFrameLength)?;
        if is_bpdu(frame, &header) {
            return Err(DropReason::LinkLocal);
        }
        let audience = self.groups.audience(frame);
        if audience == Audience::Policy && !self.policy.allows(frame, &header) {
            return Err(DropReason::FloodPolicy);
        }
        let kind = Kind::of(frame, &header);
        let limit = match kind.is_some_and(Kind::is_essential) {
            true => &mut self.essential,
            false => &mut self.other,
        };
        match limit.take(header.vlan, now) {
            true => Ok(audience),
            false => Err(DropReason::FloodLimit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use causeway_ebpf::cases::frames::{arp_request, dot1q, frame, tcp};

    use super::*;

    const OK: Result<Audience, DropReason> = Ok(Audience::Policy);
    const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const GROUP: [u8; 6] = [1, 0, 0x5e, 1, 2, 3];

    fn gate(policy: FloodPolicy, rate: u32) -> FloodGate {
        FloodGate::new(FloodRule { policy, rate }, Instant::now())
    }

    #[test]
    fn a_storm_starves_neither_arp_nor_another_vlan() {
        let (mut gate, now) = (gate(FloodPolicy::All, 100), Instant::now());
        let storm = tcp(GROUP, HOST, &[dot1q(7)]);
        let passed = (0..1_000).filter(|_| gate.pass(&storm, now).is_ok());
        assert_eq!(passed.count(), 10);
        assert_eq!(gate.pass(&storm, now), Err(DropReason::FloodLimit));
        let arp = arp_request(HOST, &[dot1q(7)], [192, 0, 2, 1]);
        assert_eq!(gate.pass(&arp, now), OK);
        assert_eq!(gate.pass(&tcp(GROUP, HOST, &[]), now), OK);
        let arps = (0..1_000).filter(|_| gate.pass(&arp, now + Duration::from_secs(1)).is_ok());
        assert_eq!(arps.count(), 10);
    }

    #[test]
    fn policy_and_disguised_bpdus() {
        let now = Instant::now();
        let (multicast, arp) = (tcp(GROUP, HOST, &[]), arp_request(HOST, &[], [0; 4]));
        let policy = Err(DropReason::FloodPolicy);
        for (kept, of_multicast, of_arp) in [
            (FloodPolicy::Essential, policy, OK),
            (FloodPolicy::Nothing, policy, policy),
        ] {
            let mut gate = gate(kept, 100);
            assert_eq!(gate.pass(&multicast, now), of_multicast, "{kept:?}");
            assert_eq!(gate.pass(&arp, now), of_arp, "{kept:?}");
        }
        let bpdu = frame(GROUP, HOST, &[dot1q(7)], 38, &[0x42, 0x42, 3, 0, 0]);
        let mut all = gate(FloodPolicy::All, 100);
        assert_eq!(all.pass(&bpdu, now), Err(DropReason::LinkLocal));
        assert_eq!(all.pass(&arp[..13], now), Err(DropReason::BadFrameLength));
    }
}
