//! Which probe is sent when: no sockets and no clock, frames and `now` in, frames out.
//!
//! 1. A P2 to each target, then a P0 to each: P2 before any frame that could teach the switch a foreign address.
//! 2. P0 again where nobody answered at all. If nobody ever does, P0 once untagged and in VLANs whose frames come in,
//!    and that is the end: no frame with a foreign source is sent for nothing.
//! 3. P2, P1 and P3, in this order, each until it is answered or has been tried a few times, at targets that
//!    have answered something.
//! 4. If neither P1 nor P3 was answered, P0 again: a switch may shut a port that shows a foreign source.
//!
//! Never more than [`MOST_FRAMES`] frames, whatever is lost.

mod elsewhere;
mod tally;

use std::{
    collections::{BTreeMap, VecDeque},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::probe::{Arp, Kind, Mac, Probe};

/// Frames that are sent at most.
pub const MOST_FRAMES: usize = 20;
/// Targets that are asked at most.
pub const MOST_TARGETS: usize = 3;
/// How often a kind is sent at most to those who answer. With 3 answers of 10 lost, 1 silence in 400 is chance.
const TRIES: usize = 5;
/// How often each target is asked with the port's own addresses, while nobody answers.
const ROUNDS: usize = 3;
/// How long frames of other VLANs are waited for, once nobody has answered.
const LISTEN: Duration = Duration::from_millis(1_500);
/// Frames kept for the question whether the port is still alive.
const LAST: usize = 2;
/// How long an answer is waited for before the next attempt, at least and at most: 16 times what the slowest
/// answer took so far. A later one counts as well, if its probe can be told.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(300));
/// How long more answers to a probe are waited for at the end.
const LINGER: Duration = Duration::from_millis(100);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this frame.
    Send(Vec<u8>),
    /// Nothing until then, unless something is heard.
    Wait(Instant),
    /// All has been asked.
    Done,
}

/// How far the probes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    Start,
    /// So many P0 have gone to each target.
    Rounds(usize),
    /// So many P0 have gone to other VLANs last; more may be heard of.
    Elsewhere(usize),
    /// This kind, until it was tried so often at those who answer; 0: that is not said yet.
    Asking(Kind, usize),
    /// So many last P0 have been sent.
    Last(usize),
    End,
}

/// The course of the probes.
#[derive(Debug)]
pub struct Plan {
    own: Mac,
    vlan: u16,
    targets: Vec<Ipv4Addr>,
    /// Addresses made up, one for each frame.
    macs: Vec<Mac>,
    probes: Vec<Probe>,
    stage: Stage,
    /// To be sent now, one right after the other.
    queue: VecDeque<(Kind, Ipv4Addr, u16)>,
    /// VLANs whose frames came in, and how many.
    heard: BTreeMap<u16, u64>,
    /// When the newest was sent, and how long the slowest answer to a newest one took.
    sent: Instant,
    slowest: Option<Duration>,
    /// Until when the last ones may be answered, and how many they are.
    open: Option<(Instant, usize)>,
    /// Until when other VLANs are listened for.
    listened: Option<Instant>,
    done: Option<Instant>,
}

impl Plan {
    /// Probes from the port `own` in VLAN `vlan` (0: untagged) to `targets`, of which [`MOST_TARGETS`] are asked,
    /// with addresses out of `macs`: [`MOST_FRAMES`] of them, all different.
    pub fn new(own: Mac, vlan: u16, targets: &[Ipv4Addr], macs: Vec<Mac>) -> Self {
        assert!(macs.len() >= MOST_FRAMES, "an address for each frame");
        let mut few: Vec<Ipv4Addr> = Vec::new();
        for target in targets {
            if few.len() < MOST_TARGETS && !few.contains(target) {
                few.push(*target);
            }
        }
        Self {
            own,
            vlan,
            targets: few,
            macs,
            probes: Vec::new(),
            stage: Stage::Start,
            queue: VecDeque::new(),
            heard: BTreeMap::new(),
            sent: Instant::now(),
            slowest: None,
            open: None,
            listened: None,
            done: None,
        }
    }

    /// What was sent, and what came of it.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// VLANs whose frames came in, the busiest first; 0: untagged.
    pub fn heard(&self) -> Vec<u16> {
        elsewhere::busiest(&self.heard)
    }

    /// Another's frame has come in, in this VLAN (0: untagged), or is known to.
    pub fn overhear(&mut self, vlan: u16) {
        *self.heard.entry(vlan).or_default() += 1;
    }

    /// Takes an ARP packet that has arrived at the port in this VLAN.
    ///
    /// Answers to P0 and to P1 look alike: one is taken for the newest probe that lacks one.
    pub fn hear(&mut self, arp: &Arp, vlan: u16, now: Instant) {
        let own = self.own;
        let newest_first = self.probes.iter_mut().rev();
        if arp.is_reply {
            let matching = newest_first.filter(|p| arp.answers(p, own));
            let probe = matching.min_by_key(|p| (p.vlan != vlan, p.answered()));
            if let Some(probe) = probe {
                if probe.vlan != vlan {
                    probe.strays.push(vlan);
                    return;
                }
                probe.answers.push(arp.source);
                let took = now.saturating_duration_since(self.sent);
                self.slowest = self.slowest.max(Some(took));
            }
        } else {
            let probe = { newest_first }.find(|p| arp.is(p, own));
            probe.into_iter().for_each(|p| p.returned += 1);
        }
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Instant) -> Step {
        if let Some((until, count)) = self.open {
            let last = &self.probes[self.probes.len() - count..];
            if now < until && !last.iter().all(Probe::answered) {
                return Step::Wait(until);
            }
            self.open = None;
        }
        while self.queue.is_empty() && self.stage != Stage::End {
            if let Some(until) = self.advance(now) {
                return Step::Wait(until);
            }
        }
        if let Some((kind, target, vlan)) = self.queue.pop_front() {
            return self.send(kind, target, vlan, now);
        }
        match *self.done.get_or_insert(now + LINGER) {
            until if now < until => Step::Wait(until),
            _ => Step::Done,
        }
    }

    fn send(&mut self, kind: Kind, target: Ipv4Addr, vlan: u16, now: Instant) -> Step {
        let mac = match kind {
            Kind::P0 => self.own,
            _ => self.macs[self.probes.len()],
        };
        let probe = Probe::new(kind, mac, target, vlan);
        let frame = probe.frame(self.own);
        self.probes.push(probe);
        self.sent = now;
        if self.queue.is_empty() {
            let count = match self.stage {
                Stage::Rounds(_) => self.targets.len(),
                Stage::Elsewhere(sent) => sent,
                _ => 1,
            };
            let patience = self.slowest.map_or(PATIENCE.1, |slowest| 16 * slowest);
            self.open = Some((now + patience.clamp(PATIENCE.0, PATIENCE.1), count));
        }
        Step::Send(frame)
    }

    /// Fills the queue, or goes on to the next stage, or says until when there is nothing to do but to listen.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        let alive = self.alive();
        self.stage = match self.stage {
            Stage::Start if self.targets.is_empty() => Stage::End,
            Stage::Start => {
                self.ask_all(Kind::P2);
                self.ask_all(Kind::P0);
                Stage::Rounds(1)
            }
            // At last, it may be.
            Stage::Rounds(_) | Stage::Elsewhere(_) if !alive.is_empty() => {
                Stage::Asking(Kind::P2, 0)
            }
            Stage::Rounds(ROUNDS) => Stage::Elsewhere(0),
            Stage::Elsewhere(_) if self.probes.iter().any(Probe::answered) => Stage::End,
            Stage::Elsewhere(_) => {
                self.ask_elsewhere();
                let until = *self.listened.get_or_insert(now + LISTEN);
                match self.queue.len() {
                    0 if now < until => return Some(until),
                    0 => Stage::End,
                    sent => Stage::Elsewhere(sent),
                }
            }
            Stage::Rounds(n) => {
                self.ask_all(Kind::P0);
                Stage::Rounds(n + 1)
            }
            Stage::Asking(kind, 0) => Stage::Asking(kind, self.share(kind, &alive)),
            Stage::Asking(kind, most) => {
                let tried = self.tried(kind, &alive);
                if !self.answered(kind) && tried < most {
                    let target = alive[tried % alive.len()];
                    self.queue.push_back((kind, target, self.vlan));
                    self.stage
                } else {
                    after(kind)
                }
            }
            Stage::Last(n) => {
                let sent_out = self.answered(Kind::P1) || self.answered(Kind::P3);
                let lives = n > 0 && self.probes.last().is_some_and(Probe::answered);
                if sent_out || lives || n == LAST {
                    Stage::End
                } else {
                    self.queue.push_back((Kind::P0, alive[0], self.vlan));
                    Stage::Last(n + 1)
                }
            }
            Stage::End => Stage::End,
        };
        None
    }

    fn ask_all(&mut self, kind: Kind) {
        let asked = self.targets.iter().map(|t| (kind, *t, self.vlan));
        self.queue.extend(asked);
    }

    /// P0 in the VLANs that the LAN may be in rather.
    fn ask_elsewhere(&mut self) {
        let others = elsewhere::others(&self.probes, &self.heard);
        // Something is left for P1 and P3, should somebody answer late.
        let room = MOST_FRAMES.saturating_sub(2 + LAST + self.probes.len());
        let targets = self.targets.iter();
        let all = targets.flat_map(|t| others.iter().map(|vlan| (Kind::P0, *t, *vlan)));
        self.queue.extend(all.take(room));
    }
}

/// What comes after a kind of probe.
fn after(kind: Kind) -> Stage {
    match kind {
        Kind::P2 => Stage::Asking(Kind::P1, 0),
        Kind::P1 => Stage::Asking(Kind::P3, 0),
        Kind::P0 | Kind::P3 => Stage::Last(0),
    }
}

#[cfg(test)]
mod tests;
