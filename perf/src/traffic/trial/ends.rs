//! The two ends of a trial at work.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Load, Ports, Seen};
use crate::{
    cores,
    error::{Error, Result},
    interrupt,
    traffic::{
        Link, Stream,
        account::Account,
        counter::FrameCounter,
        generator::{Generator, Remote},
        live::{self, LiveGenerator},
        options::GeneratorKind,
        sink::Sink,
    },
};

/// How often to look whether all frames have come.
const TICK: Duration = Duration::from_millis(5);

/// Longest time between Ctrl-C and the end of live frames.
const SLICE: Duration = Duration::from_secs(2);

/// What left the sending port.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) frames: u64,
    pub(super) refused: u64,
    pub(super) elapsed: Duration,
}

/// What came to the receiving port.
pub(super) struct Arrived {
    pub(super) received: u64,
    pub(super) dropped: u64,
    pub(super) seen: Option<Seen>,
}

/// A generator, and the sink that can keep up with it.
enum Pair {
    Sockets(Box<(Generator, Sink)>),
    Kernel(Box<(LiveGenerator, FrameCounter)>),
}

/// Both ends.
pub(super) struct Ends {
    pair: Pair,
    ports: Ports,
    stream: Stream,
}

impl Ends {
    pub(super) fn open(ports: &Ports, stream: &Stream, kind: GeneratorKind) -> Result<Self> {
        let (tx, rx) = (&ports.tx, &ports.rx);
        let pair = match kind {
            GeneratorKind::AfXdp => {
                Pair::Sockets(Box::new((Generator::open(tx, stream)?, Sink::open(rx)?)))
            }
            GeneratorKind::Live => Pair::Kernel(Box::new((
                LiveGenerator::open(tx, stream)?,
                FrameCounter::attach(rx)?,
            ))),
        };
        Ok(Self {
            pair,
            ports: ports.clone(),
            stream: stream.clone(),
        })
    }

    /// Sends, and waits up to `settle` for what is missing then.
    pub(super) fn run(&mut self, load: Load, settle: Duration) -> Result<(Sent, Arrived)> {
        interrupt::check()?;
        announce(&self.ports.rx, &self.stream)?;
        let result = match &mut self.pair {
            Pair::Sockets(pair) => sockets(&mut pair.0, &mut pair.1, &self.ports, load, settle),
            Pair::Kernel(pair) => kernel(&mut pair.0, &pair.1, &self.ports, load, settle),
        };
        // What a signal cut short is no result.
        interrupt::check()?;
        result
    }
}

fn sockets(
    generator: &mut Generator,
    sink: &mut Sink,
    ports: &Ports,
    load: Load,
    settle: Duration,
) -> Result<(Sent, Arrived)> {
    // What of an earlier trial came after its end is not this one's.
    sink.drain(&Mutex::new(Account::new()), &AtomicBool::new(true));
    let account = Mutex::new(Account::of_trial(generator.next()));
    let (dropped_before, refused_before) = (sink.dropped()?, ports.tx.info()?.tx_dropped);
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            cores::pin(ports.rx_cpu)?;
            sink.drain(&account, &stop);
            Result::Ok(())
        });
        let sender = scope.spawn(|| {
            cores::pin(ports.cpu)?;
            let generated = generator.run(load.rate, load.limit, &Remote::default());
            let refused = ports.tx.info()?.tx_dropped.saturating_sub(refused_before);
            Ok(Sent {
                frames: generated.frames.saturating_sub(refused),
                refused,
                elapsed: generated.elapsed,
            })
        });
        let sent = sender.join().expect("the generator does not panic");
        let sent = sent.and_then(|sent: Sent| {
            wait_for(sent.frames, settle, || Ok(look(&account).counts().received))?;
            Ok(sent)
        });
        stop.store(true, Ordering::Relaxed);
        receiver.join().expect("the sink does not panic")?;
        sent
    })?;
    let dropped = sink.dropped()?.saturating_sub(dropped_before);
    Ok((sent, arrived(&mut look(&account), dropped)))
}

fn look(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arrived(account: &mut Account, dropped: u64) -> Arrived {
    let counts = account.counts();
    Arrived {
        received: counts.received,
        dropped,
        seen: Some(Seen {
            counts,
            latency: account.latency().clone(),
        }),
    }
}

fn kernel(
    generator: &mut LiveGenerator,
    counter: &FrameCounter,
    ports: &Ports,
    load: Load,
    settle: Duration,
) -> Result<(Sent, Arrived)> {
    let before = counter.counts()?.frames;
    let received = || Ok(counter.counts()?.frames - before);
    let time = load.limit.time.ok_or_else(|| {
        Error::Usage(
            "live frames are sent for a time, not by number: use --generator af-xdp".into(),
        )
    })?;
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            cores::pin(ports.cpu)?;
            send_live(generator, load.rate, time)
        });
        sender.join().expect("the generator does not panic")
    })?;
    wait_for(sent.frames, settle, received)?;
    let arrived = Arrived {
        received: received()?,
        dropped: 0,
        seen: None,
    };
    Ok((sent, arrived))
}

/// In slices: what the kernel has begun ends only with its slice.
fn send_live(generator: &mut LiveGenerator, rate: Option<f64>, time: Duration) -> Result<Sent> {
    let mut all = Sent::default();
    let mut left = time;
    while !left.is_zero() {
        let slice = left.min(SLICE);
        let sent = match rate {
            // It may give up before its time: what it did not send then is late, not fast.
            Some(rate) => {
                let sent = generator.paced(rate, slice)?;
                live::Sent {
                    elapsed: sent.elapsed.max(slice),
                    ..sent
                }
            }
            None => generator.saturate(slice)?,
        };
        all.frames += sent.frames;
        all.refused += sent.refused;
        all.elapsed += sent.elapsed;
        left -= slice;
    }
    Ok(all)
}

/// Until all have come, or `settle` is over, or a signal came.
fn wait_for(all: u64, settle: Duration, received: impl Fn() -> Result<u64>) -> Result {
    let end = Instant::now() + settle;
    while received()? < all && Instant::now() < end && !interrupt::raised() {
        thread::sleep(TICK);
    }
    Ok(())
}

/// A frame from the station that the test's frames go to: what is tested may be a bridge that learns.
fn announce(link: &Link, stream: &Stream) -> Result {
    let back = Stream {
        source: stream.destination,
        destination: stream.source,
        ..stream.clone()
    };
    let frame = back.template(back.smallest()).frame;
    let index = link.info()?.index;
    let sent = link.inside(|| {
        let socket = causeway::sys::packet::open(index)?;
        std::io::Write::write_all(&mut std::fs::File::from(socket), &frame)
    })?;
    sent.map_err(Error::failed(format!("cannot send at {link}")))
}
