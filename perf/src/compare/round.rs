//! One peer, once: a rig of its own, all measurements, and nothing left.

mod cpu;
mod load;

use std::time::Duration;

use super::{
    figures::{Figure, Samples},
    measure::{
        df,
        frames::Bench,
        memory, reach, recovery, rtt,
        tcp::{Direction, Server},
    },
    peer::{Peer, Setup},
    plan::{Measure, Plan},
    programs::Programs,
};
use crate::{
    error::{Error, Result},
    progress::Progress,
    rig::{Cpus, Rig, Side},
};

/// How long a peer may take until traffic flows.
const START: Duration = Duration::from_secs(45);

/// What a round needs.
pub(crate) struct Round<'a> {
    /// What to measure.
    pub(crate) plan: &'a Plan,
    /// Where.
    pub(crate) cpus: Cpus,
    /// With which programs.
    pub(crate) programs: &'a Programs,
    /// Its number, from 0.
    pub(crate) number: usize,
    /// Where to say what is going on.
    pub(crate) progress: &'a mut Progress,
}

/// A peer that runs.
struct Running<'a> {
    peer: &'a mut dyn Peer,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.peer.stop();
    }
}

impl Round<'_> {
    /// The harness by itself: generator to sink over a bare veth.
    ///
    /// # Errors
    ///
    /// It does not work; interruption.
    pub(crate) fn ceiling(&mut self, samples: &mut Samples) -> Result {
        self.progress.say("bare veth: the harness by itself");
        let rig = Rig::bare(self.cpus)?;
        let on = Setup {
            rig: &rig,
            programs: self.programs,
        };
        if !reach::flows_within(&rig, START)? {
            return Err(Error::Failed("no ping passes a bare veth".into()));
        }
        self.traffic("bare veth", None, &on, samples)
    }

    /// A peer.
    ///
    /// # Errors
    ///
    /// It does not start, or a measurement fails; what was measured before is in `samples`.
    pub(crate) fn peer(&mut self, peer: &mut dyn Peer, samples: &mut Samples) -> Result {
        let name = peer.name();
        self.progress.say(format!("{name}: start"));
        let rig = Rig::build(self.cpus, peer.kernel_work(), self.plan.uplink)?;
        let on = Setup {
            rig: &rig,
            programs: self.programs,
        };
        let running = Running { peer };
        running.peer.prepare(&on)?;
        running.peer.start(&on, Side::B)?;
        running.peer.start(&on, Side::A)?;
        if !reach::flows_within(&rig, START)? {
            let words = rig.gateways().iter().map(|gateway| gateway.last_words());
            return Err(Error::Failed(format!(
                "no ping passes within {} s of its start{}",
                START.as_secs(),
                words.collect::<String>()
            )));
        }
        let passes = self.does(Measure::Df) && df::passes(&rig)?;
        self.traffic(name, Some(&*running.peer), &on, samples)?;
        if self.does(Measure::Df) {
            let passes = passes && df::passes(&rig)?;
            samples.add(Figure::Df, None, f64::from(u8::from(passes)));
        }
        if self.does(Measure::Memory) {
            samples.add(Figure::Rss, None, memory::resident(&rig) as f64);
        }
        if self.does(Measure::Recovery) && self.number < self.plan.recoveries {
            self.progress.say(format!("{name}: kill and restart"));
            self.recovery(running.peer, &on, samples)?;
        }
        Ok(())
    }

    fn does(&self, measure: Measure) -> bool {
        self.plan.measures.contains(&measure)
    }

    fn traffic(
        &mut self,
        name: &str,
        peer: Option<&dyn Peer>,
        on: &Setup<'_>,
        samples: &mut Samples,
    ) -> Result {
        if self.does(Measure::Rtt) {
            self.progress.say(format!("{name}: round trips"));
            let times = rtt::round_trips(on.rig, self.plan.time)?;
            load::add_round_trips(samples, load::IDLE, &times);
        }
        if self.does(Measure::Tcp) {
            self.progress.say(format!("{name}: TCP"));
            self.tcp(peer, on.rig, samples)?;
        }
        let by_frames = [Measure::Frames, Measure::Loss, Measure::Rtt];
        if by_frames.into_iter().any(|measure| self.does(measure)) {
            let bench = Bench::open(on.rig)?;
            let mut load = None;
            for &sizes in &self.plan.sizes {
                let rate = self.frames(name, peer, on, &bench, sizes, samples)?;
                load = load.or(rate);
            }
            if let Some((sizes, rate)) = load.filter(|_| self.does(Measure::Rtt)) {
                self.progress
                    .say(format!("{name}: round trips beside half load"));
                self.loaded(on.rig, &bench, sizes, rate / 2.0, samples)?;
            }
        }
        Ok(())
    }

    fn tcp(&self, peer: Option<&dyn Peer>, rig: &Rig, samples: &mut Samples) -> Result {
        let server = Server::start(rig)?;
        for (figure, streams, direction) in [
            (Figure::Tcp1, 1, Direction::Out),
            (Figure::Tcp1Reverse, 1, Direction::Back),
            (Figure::Tcp4, 4, Direction::Out),
            (Figure::Tcp4Reverse, 4, Direction::Back),
        ] {
            let transfer = server.transfer(streams, direction, self.plan.time)?;
            samples.add(figure, None, transfer.bits_per_s);
            if let Some(peer) = peer.filter(|_| figure == Figure::Tcp1) {
                let gigabytes = transfer.bytes / 1e9;
                cpu::add(samples, cpu::PER_GB, None, peer, transfer.usage, gigabytes);
            }
        }
        Ok(())
    }

    fn recovery(&self, peer: &mut dyn Peer, on: &Setup<'_>, samples: &mut Samples) -> Result {
        if !peer.is_process() {
            samples.add_nothing(Figure::Recovery, None, "nothing to kill");
            return Ok(());
        }
        let limit = self.plan.recovery_limit;
        match recovery::recover(peer, on, limit)? {
            Some(time) => samples.add(Figure::Recovery, None, time.as_secs_f64()),
            None => {
                let reason = format!("never in {} s", limit.as_secs());
                samples.add_nothing(Figure::Recovery, None, reason);
            }
        }
        Ok(())
    }
}
