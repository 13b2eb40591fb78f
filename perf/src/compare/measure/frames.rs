//! Frames of the kernel's generator at dc, counted at the driver of vm.

mod paced;

use std::{
    thread,
    time::{Duration, Instant},
};

use super::cpu::Usage;
use crate::{
    error::{Error, Result},
    interrupt,
    rig::{DC, Rig, VM, text},
    sizes::FrameSizes,
    traffic::{
        Link, Stream,
        counter::FrameCounter,
        live::{LiveGenerator, Sent},
    },
};

/// From the start of a saturation run to its first look: the queues are full by then.
const WARM_UP: Duration = Duration::from_millis(250);

/// From its last look to its end.
const TAIL: Duration = Duration::from_millis(100);

/// How long the first frame of a run may take.
const FIRST: Duration = Duration::from_secs(1);

/// Runs until one is looked at in its middle: on a busy machine we may come late.
const TRIES: u32 = 3;

/// No frame for this long: none is under way any more. A trial of many can only wait less than a run whose frames are
/// accounted for: a peer over TCP may pause for a retransmission.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_FOR_SURE: Duration = Duration::from_millis(300);

/// Longest wait for that.
const DRAIN: Duration = Duration::from_secs(3);

/// Generator and sink of one rig. As long as it lives, the gateways' lan takes frames without socket buffer.
pub(crate) struct Bench<'a> {
    rig: &'a Rig,
    link: Link,
    counter: FrameCounter,
}

/// A saturation run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturated {
    /// Frames that arrived in the window between the two looks.
    pub(crate) frames: u64,
    /// Its seconds.
    pub(crate) seconds: f64,
    /// What the gateways' CPU did in it.
    pub(crate) usage: Usage,
    /// What the generator made in a second of the run, refused frames included: nobody could deliver more.
    pub(crate) offered_per_s: f64,
    /// What was sent in the whole run, and in those before it that could not be looked at.
    pub(crate) sent: Sent,
}

/// How far things were at one moment.
struct Look {
    frames: u64,
    at: Instant,
    usage: Usage,
}

impl Saturated {
    /// Frames per second that arrived.
    pub(crate) fn per_s(&self) -> f64 {
        self.frames as f64 / self.seconds
    }
}

impl<'a> Bench<'a> {
    /// Attaches the sink.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub(crate) fn open(rig: &'a Rig) -> Result<Self> {
        rig.take_raw_frames(true)?;
        // No ARP among the frames that are counted.
        for (host, address, mac) in [(rig.dc(), VM, rig.macs()[1]), (rig.vm(), DC, rig.macs()[0])] {
            let entry = [
                "neigh",
                "replace",
                address,
                "lladdr",
                &text(mac),
                "dev",
                "eth0",
            ];
            host.ip(entry.into_iter().chain(["nud", "permanent"]))?;
        }
        Ok(Self {
            rig,
            link: Link::new(rig.dc().name(), "eth0"),
            counter: FrameCounter::attach(&Link::new(rig.vm().name(), "eth0"))?,
        })
    }

    /// The generator of frames of these sizes, from dc to vm.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub(crate) fn generator(&self, sizes: FrameSizes) -> Result<LiveGenerator> {
        let [source, destination] = self.rig.macs();
        let stream = Stream {
            source,
            destination,
            vlan: None,
            sizes,
            flows: 1,
        };
        LiveGenerator::open(&self.link, &stream)
    }

    /// Test frames that have arrived so far.
    pub(crate) fn count(&self) -> Result<u64> {
        Ok(self.counter.counts()?.frames)
    }

    /// As much as the generator can, for about `time`.
    ///
    /// # Errors
    ///
    /// The kernel refuses; interruption.
    pub(crate) fn saturate(
        &self,
        generator: &mut LiveGenerator,
        time: Duration,
    ) -> Result<Saturated> {
        let before = self.drained(QUIET, None)?;
        let (mut all, mut ran_out) = (Sent::default(), false);
        for _ in 0..TRIES {
            let (sent, window) = self.look_into(generator, time)?;
            all.add(&sent);
            let delivered = self.drained(QUIET_FOR_SURE, None)? - before;
            ran_out = sent.ran_out;
            if ran_out {
                continue; // the window may hold silence
            }
            if let Some([first, last]) = window.filter(|_| delivered > 0) {
                return Ok(Saturated {
                    frames: last.frames - first.frames,
                    seconds: (last.at - first.at).as_secs_f64(),
                    usage: last.usage - first.usage,
                    offered_per_s: sent.offered_per_s(),
                    sent: all,
                });
            }
            if delivered == 0 {
                return Ok(Saturated {
                    frames: 0,
                    seconds: all.elapsed.as_secs_f64(),
                    usage: Usage::default(),
                    offered_per_s: sent.offered_per_s(),
                    sent: all,
                });
            }
        }
        Err(Error::Failed(
            match ran_out {
                true => "the machine is too busy: the generator stopped before the end of each run",
                false => "the machine is too busy: no run could be looked at before it was over",
            }
            .into(),
        ))
    }

    /// One run, and two looks in its middle; no looks if it was over too soon.
    fn look_into(
        &self,
        generator: &mut LiveGenerator,
        time: Duration,
    ) -> Result<(Sent, Option<[Look; 2]>)> {
        let before = self.count()?;
        thread::scope(|scope| {
            let sender = scope.spawn(|| generator.saturate(WARM_UP + time + TAIL));
            let looks = (|| {
                let end = Instant::now() + FIRST;
                while self.count()? == before && Instant::now() < end {
                    interrupt::sleep(Duration::from_millis(5))?;
                }
                interrupt::sleep(WARM_UP)?;
                let first = self.look()?;
                interrupt::sleep(time)?;
                Ok([first, self.look()?])
            })();
            let in_time = !sender.is_finished();
            let sent = joined(sender)?;
            Ok((sent, Some(looks?).filter(|_| in_time)))
        })
    }

    fn look(&self) -> Result<Look> {
        Ok(Look {
            frames: self.count()?,
            at: Instant::now(),
            usage: Usage::now(self.rig.cpus().gateways)?,
        })
    }

    /// What has arrived when nothing more comes for `quiet`, or all has come.
    fn drained(&self, quiet: Duration, all: Option<u64>) -> Result<u64> {
        let end = Instant::now() + DRAIN;
        let (mut last, mut since) = (self.count()?, Instant::now());
        while all != Some(last) && since.elapsed() < quiet && Instant::now() < end {
            interrupt::sleep(Duration::from_millis(10))?;
            let now = self.count()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        let _ = self.rig.take_raw_frames(false);
    }
}

pub(super) fn joined<T>(sender: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    match sender.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
