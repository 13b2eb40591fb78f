//! One peer, once: a rig of its own, all measurements, and nothing left.

mod attempt;
mod cpu;
mod endurance;
mod load;

use std::time::Duration;

use super::{
    figures::{Figure, Samples},
    measure::{
        df, memory, reach, recovery, rtt,
        tcp::{Direction, Server},
    },
    pace::Pace,
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
    /// The machine's, beside which trials are done.
    pub(crate) pace: &'a mut Pace,
    /// Where to say what is going on.
    pub(crate) progress: &'a mut Progress,
    /// What failed of the present peer.
    pub(super) troubles: Vec<String>,
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
        self.troubles.clear();
        self.traffic("bare veth", None, &on, samples)?;
        match self.troubles.is_empty() {
            true => Ok(()),
            false => Err(Error::Failed(format!(
                "the harness by itself: {}",
                self.troubles.join("; ")
            ))),
        }
    }

    /// A peer; what failed of it, if something did.
    ///
    /// # Errors
    ///
    /// It does not start; interruption. What was measured before is in `samples`.
    pub(crate) fn peer(
        &mut self,
        peer: &mut dyn Peer,
        samples: &mut Samples,
    ) -> Result<Vec<String>> {
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
        self.troubles.clear();
        self.all(name, running.peer, &on, samples)?;
        Ok(std::mem::take(&mut self.troubles))
    }

    /// All measurements of a peer that runs.
    fn all(
        &mut self,
        name: &str,
        peer: &mut dyn Peer,
        on: &Setup<'_>,
        samples: &mut Samples,
    ) -> Result {
        let (rig, does_df) = (on.rig, self.does(Measure::Df));
        let df = attempt::plain(&[Figure::Df]);
        let mut passed = None;
        if does_df {
            self.attempt(rig, samples, &df, |_, _| {
                passed = Some(df::passes(rig)?);
                Ok(())
            })?;
        }
        self.traffic(name, Some(&*peer), on, samples)?;
        if let Some(passed) = passed {
            self.attempt(rig, samples, &df, |_, samples| {
                let passes = passed && df::passes(rig)?;
                samples.add(Figure::Df, None, f64::from(u8::from(passes)));
                Ok(())
            })?;
        }
        if self.does(Measure::Endurance) && self.number == 0 {
            self.endurance(name, &*peer, on, samples)?;
        }
        if self.does(Measure::Memory) {
            samples.add(Figure::Rss, None, memory::resident(rig) as f64);
        }
        if self.does(Measure::Recovery) && self.number < self.plan.recoveries {
            self.progress.say(format!("{name}: kill and restart"));
            let kind = attempt::plain(&[Figure::Recovery]);
            self.attempt(rig, samples, &kind, |round, samples| {
                round.recovery(peer, on, samples)
            })?;
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
        let rig = on.rig;
        if self.does(Measure::Rtt) {
            self.progress.say(format!("{name}: round trips"));
            let kind = attempt::plain(&load::IDLE);
            self.attempt(rig, samples, &kind, |round, samples| {
                let time = round.plan.time;
                let times = round.pace.steady(|| rtt::round_trips(rig, time))?;
                load::add_round_trips(samples, load::IDLE, &times);
                Ok(())
            })?;
        }
        if self.does(Measure::Tcp) {
            self.progress.say(format!("{name}: TCP"));
            let kind = attempt::plain(&attempt::TCP);
            self.attempt(rig, samples, &kind, |round, samples| {
                round.tcp(peer, rig, samples)
            })?;
        }
        let by_frames = [Measure::Frames, Measure::Loss, Measure::Rtt];
        match by_frames.into_iter().any(|measure| self.does(measure)) {
            true => self.by_frames(name, peer, on, samples),
            false => Ok(()),
        }
    }

    fn tcp(&mut self, peer: Option<&dyn Peer>, rig: &Rig, samples: &mut Samples) -> Result {
        let server = Server::start(rig)?;
        for (figure, streams, direction) in [
            (Figure::Tcp1, 1, Direction::Out),
            (Figure::Tcp1Reverse, 1, Direction::Back),
            (Figure::Tcp4, 4, Direction::Out),
            (Figure::Tcp4Reverse, 4, Direction::Back),
        ] {
            let time = self.plan.time;
            let transfer = || server.transfer(streams, direction, time);
            let transfer = self.pace.steady(transfer)?;
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
