//! Frames in memory through the data path of each core, without NIC or kernel.
//!
//! Each round measures every series once, and beside it what bounds it: ESP alone on the same
//! datagrams, and a copy of the same frames. So what disturbs the machine disturbs all of them alike;
//! the figures are medians of the rounds.

mod figure;
mod workers;

use std::{num::NonZero, time::Duration};

use crate::datapath::{Protection, Receiver, Sender, Series};
use causeway_tunnel::aead::{Cipher, Library};
use clap::Args;

use self::{
    figure::{Figure, Round, table},
    workers::Workers,
};
use crate::{
    error::Result,
    output::JsonOption,
    progress::Progress,
    seconds::up_to_an_hour,
    sizes::{self, FCS, FrameSizes},
};

/// Rounds that count; one before them warms up.
const ROUNDS: usize = 7;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Frame sizes, FCS included, or imix: each is measured by itself [default: those of RFC 2544, and imix]
    #[arg(long, value_name = "SIZE", num_args = 1..)]
    frame_bytes: Vec<FrameSizes>,
    /// Ciphers: aes-256-gcm, aes-128-gcm, none (crypto off)
    #[arg(long, value_name = "CIPHER", num_args = 1.., default_value = "aes-256-gcm")]
    cipher: Vec<CipherOrNone>,
    /// Libraries that do the cipher: ring, aws-lc-rs
    #[arg(long, value_name = "LIBRARY", num_args = 1.., default_value = "ring")]
    aead: Vec<Library>,
    /// Workers, each on a core of its own with lanes of its own
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZero<usize>,
    /// Seconds of measurement for each line of the report
    #[arg(long, value_name = "S", default_value = "2", value_parser = up_to_an_hour)]
    seconds: Duration,
    #[command(flatten)]
    json: JsonOption,
}

/// Only here has no cipher a name: see `SaKeys::unprotected`.
#[derive(Clone, Copy)]
struct CipherOrNone(Option<Cipher>);

impl std::str::FromStr for CipherOrNone {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        if name == "none" {
            return Ok(Self(None));
        }
        let cipher = name.parse().map(|cipher| Self(Some(cipher)));
        cipher
            .map_err(|error: causeway_tunnel::aead::UnknownCipher| format!("{error}, or \"none\""))
    }
}

impl Options {
    fn sizes(&self) -> Vec<FrameSizes> {
        if self.frame_bytes.is_empty() {
            let fixed = sizes::RFC2544.into_iter();
            return fixed.chain([FrameSizes::Imix]).collect();
        }
        self.frame_bytes.clone()
    }

    /// Each cipher by each library; without a cipher there is no library.
    fn protections(&self) -> Vec<Protection> {
        let mut all = Vec::new();
        for cipher in &self.cipher {
            match cipher.0 {
                None => all.push(Protection::None),
                Some(cipher) => {
                    let libraries = self.aead.iter();
                    all.extend(libraries.map(|library| Protection::Aead(cipher, *library)));
                }
            }
        }
        all
    }
}

/// A series of each worker, and what its rounds gave.
struct Measured<S> {
    series: Vec<S>,
    sizes: FrameSizes,
    protection: Protection,
    rounds: Vec<Round>,
}

impl<S: Series> Measured<S> {
    fn new(sizes: FrameSizes, protection: Protection, workers: &Workers) -> Self {
        let lengths: Vec<_> = sizes.cycle().iter().map(|size| size - FCS).collect();
        let series = (0..workers.count()).map(|_| S::new(&lengths, protection));
        Self {
            series: series.collect(),
            sizes,
            protection,
            rounds: Vec::new(),
        }
    }

    /// Half of the `time` is the path's.
    fn round(&mut self, workers: &Workers, time: Duration) -> Result<Round> {
        let series = &mut self.series;
        Ok(Round {
            path: workers.ns_per_frame(series, time / 2, S::path)?,
            aead: match self.protection {
                Protection::Aead(..) => Some(workers.ns_per_frame(series, time / 4, S::esp)?),
                Protection::None => None,
            },
            copy: workers.ns_per_frame(series, time / 4, S::copy)?,
        })
    }

    fn figure(&self, reference_hz: Option<f64>) -> Figure {
        let (sizes, protection) = (self.sizes, self.protection);
        let workers = self.series.len();
        Figure::new(
            S::DIRECTION,
            sizes,
            protection,
            workers,
            &self.rounds,
            reference_hz,
        )
    }
}

/// Measures and reports.
///
/// # Errors
///
/// One line that says what is wrong.
pub(crate) fn run(options: &Options) -> Result {
    if cfg!(debug_assertions) {
        eprintln!("causeway-perf: a debug build: figures mean nothing, build with --release");
    }
    let workers = Workers::new(options.workers)?;
    let mut output = options.json.open()?;
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for protection in options.protections() {
        for sizes in options.sizes() {
            out.push(Measured::<Sender>::new(sizes, protection, &workers));
            back.push(Measured::<Receiver>::new(sizes, protection, &workers));
        }
    }
    measure(&mut out, &mut back, &workers, options.seconds)?;
    let hz = crate::machine::reference_hz();
    let figures = out.iter().map(|m| m.figure(hz));
    let figures: Vec<_> = figures.chain(back.iter().map(|m| m.figure(hz))).collect();
    output.print(table(&figures))?;
    for figure in &figures {
        output.push(figure);
    }
    output.finish()
}

fn measure(
    out: &mut [Measured<Sender>],
    back: &mut [Measured<Receiver>],
    workers: &Workers,
    seconds: Duration,
) -> Result {
    let slice = seconds / ROUNDS as u32;
    let progress = Progress::new(((ROUNDS + 1) * out.len()) as u64);
    for round in 0..=ROUNDS {
        for (out, back) in out.iter_mut().zip(back.iter_mut()) {
            progress.say(match round {
                0 => "warming up".into(),
                _ => format!("round {round} of {ROUNDS}"),
            });
            let (sent, received) = (out.round(workers, slice)?, back.round(workers, slice)?);
            if round > 0 {
                out.rounds.push(sent);
                back.rounds.push(received);
            }
            progress.step();
        }
    }
    Ok(())
}
