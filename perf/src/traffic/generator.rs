//! The generator with a socket: AF_XDP, paced on an absolute schedule or as fast as the port takes frames.
//!
//! A paced frame's time stamp is the time at which it was due. When the generator (or what it sends through) falls
//! behind, the frames that wait are as old as they really are: no omission is coordinated with what is measured.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use causeway::sys::xsk::{TransmitError, XskConfig, XskPort, XskTuning};
use causeway_ebpf::perf::Stamp;

use super::{
    Link, Stream,
    clock::{nanos, now_ns},
    schedule::Schedule,
    stream::Template,
};
use crate::{
    error::{Error, Result},
    interrupt,
    sizes::FCS,
};

/// Frames of one call to the kernel, at most.
const BATCH: u64 = 64;

/// Entries of the TX ring.
const RING: u32 = 2_048;

/// A sleep may end later by this much; what is nearer is waited for awake.
const SPIN: Duration = Duration::from_micros(100);

/// How long after its end a paced run may send what is late.
const GRACE: Duration = Duration::from_millis(50);

/// How long to wait until the device has sent what it was given.
const DRAIN: Duration = Duration::from_secs(1);

/// How much, at most. Without either, until it is stopped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    /// This many frames, however long they take.
    pub(crate) frames: Option<u64>,
    /// For this long.
    pub(crate) time: Option<Duration>,
}

/// What others may see and say while it runs.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    /// Raised to end it.
    pub(crate) stop: AtomicBool,
    /// Frames up to now.
    pub(crate) frames: AtomicU64,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Generated {
    /// Frames that the port took.
    pub(crate) frames: u64,
    /// Their bytes, FCS included.
    pub(crate) bytes: u64,
    /// How often the port had no room, so that a frame had to wait.
    pub(crate) waits: u64,
    /// From when the first frame was due.
    pub(crate) elapsed: Duration,
    /// The longest that a frame was given to the port after it was due.
    pub(crate) late: Duration,
}

/// Sends the frames of a stream through an AF_XDP socket.
pub(crate) struct Generator {
    port: XskPort,
    /// A frame for each place in the cycle of sizes.
    templates: Vec<Template>,
    /// Whose turn it is.
    template: usize,
    flow: usize,
    /// The next sequence number of each flow.
    next: Vec<u64>,
}

impl Generator {
    /// Opens a socket on queue 0 of `link`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the frames do not fit the link, [`Error::CannotRun`] if the kernel refuses.
    pub(crate) fn open(link: &Link, stream: &Stream) -> Result<Self> {
        stream.fits(link, &link.info()?)?;
        let config = XskConfig {
            interface: link.interface.clone(),
            queue: 0,
            ring_size: RING,
            max_frame: stream.sizes.largest() - FCS,
            tuning: XskTuning::default(),
        };
        let port = link.inside(|| XskPort::open(&config))?;
        let sizes = stream.sizes.cycle().iter();
        Ok(Self {
            port: port.map_err(|e| Error::CannotRun(e.to_string()))?,
            templates: sizes.map(|size| stream.template(*size)).collect(),
            template: 0,
            flow: 0,
            next: vec![0; usize::from(stream.flows)],
        })
    }

    /// The number that the next frame of each flow will have.
    pub(crate) fn next(&self) -> &[u64] {
        &self.next
    }

    /// Sends: at `frames_per_s`, or as fast as it can. A signal ends it like [`Remote::stop`].
    pub(crate) fn run(&mut self, rate: Option<f64>, limit: Limit, remote: &Remote) -> Generated {
        let start = now_ns();
        let mut generated = match rate {
            Some(rate) => self.paced(&Schedule::new(start, rate), start, limit, remote),
            None => self.saturate(start, limit, remote),
        };
        self.drain();
        let mut elapsed = Duration::from_nanos(now_ns() - start);
        if let Some(rate) = rate {
            // The last frame's period belongs to it.
            elapsed = elapsed.max(Duration::from_secs_f64(generated.frames as f64 / rate));
        }
        generated.elapsed = elapsed;
        generated
    }

    fn paced(
        &mut self,
        schedule: &Schedule,
        start: u64,
        limit: Limit,
        remote: &Remote,
    ) -> Generated {
        let mut done = Generated::default();
        let (mut all, mut end) = (limit.frames.unwrap_or(u64::MAX), u64::MAX);
        if let Some(time) = limit.time {
            all = all.min(schedule.due(start + nanos(time).saturating_sub(1)));
            end = start + nanos(time + GRACE);
        }
        while done.frames < all && !stopped(remote) {
            let now = now_ns();
            if now >= end {
                break;
            }
            let due = schedule.due(now).min(all) - done.frames;
            if due == 0 {
                wait(schedule.time_of(done.frames).saturating_sub(now));
                continue;
            }
            for _ in 0..due.min(BATCH) {
                let time = schedule.time_of(done.frames);
                if !self.send(time, &mut done) {
                    break;
                }
                let late = Duration::from_nanos(now.saturating_sub(time));
                done.late = done.late.max(late);
            }
            self.port.flush();
            remote.frames.store(done.frames, Ordering::Relaxed);
        }
        done
    }

    fn saturate(&mut self, start: u64, limit: Limit, remote: &Remote) -> Generated {
        let mut done = Generated::default();
        let all = limit.frames.unwrap_or(u64::MAX);
        let end = limit.time.map_or(u64::MAX, |time| start + nanos(time));
        while done.frames < all && !stopped(remote) {
            let now = now_ns();
            if now >= end {
                break;
            }
            for _ in 0..BATCH.min(all - done.frames) {
                if !self.send(now, &mut done) {
                    break;
                }
            }
            self.port.flush();
            remote.frames.store(done.frames, Ordering::Relaxed);
        }
        done
    }

    /// Gives the next frame to the port; false: there is no room for it, and it stays the next.
    fn send(&mut self, timestamp: u64, done: &mut Generated) -> bool {
        let template = &mut self.templates[self.template];
        template.stamp(Stamp {
            flow: self.flow as u16,
            sequence: self.next[self.flow],
            timestamp,
        });
        match self.port.transmit(&template.frame) {
            Ok(()) => {}
            Err(TransmitError::Full) => {
                done.waits += 1;
                return false;
            }
            Err(error) => unreachable!("the stream fits the port: {error:?}"),
        }
        done.frames += 1;
        done.bytes += (template.frame.len() + FCS) as u64;
        self.next[self.flow] += 1;
        self.flow = (self.flow + 1) % self.next.len();
        self.template = (self.template + 1) % self.templates.len();
        true
    }

    /// Until the device has sent all, or takes nothing any more.
    fn drain(&mut self) {
        let end = now_ns() + nanos(DRAIN);
        while self.port.has_unsent() && now_ns() < end {
            self.port.flush();
        }
    }
}

fn stopped(remote: &Remote) -> bool {
    remote.stop.load(Ordering::Relaxed) || interrupt::raised()
}

/// Waits for about this long, at most: short enough to see a signal.
fn wait(left_ns: u64) {
    let left = Duration::from_nanos(left_ns);
    match left.checked_sub(SPIN) {
        Some(time) if !time.is_zero() => std::thread::sleep(time.min(Duration::from_millis(50))),
        _ => std::hint::spin_loop(),
    }
}
