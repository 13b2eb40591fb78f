//! Frames in memory through the data path of each core, without NIC or kernel.
//!
//! Each round measures every series once, and beside it what bounds it: ESP alone on the same
//! datagrams, and a copy of the same frames. So what disturbs the machine disturbs all of them alike;
//! the figures are medians of the rounds.

mod figure;
mod ipsec_mb;
mod workers;

use std::{num::NonZero, time::Duration};

use crate::datapath::{Protection, Receiver, Sender, Series};
use causeway_ebpf::MAX_STATIONS;
use causeway_tunnel::aead::{Cipher, Library};
use clap::{Args, value_parser};

use self::{
    figure::{Figure, Round, Times, table},
    ipsec_mb::IpsecMb,
    workers::Workers,
};
use crate::{
    error::Result,
    output::JsonOption,
    progress::Progress,
    seconds::up_to_an_hour,
    sizes::{self, FCS, FrameSizes},
};

/// Rounds that count; one before them warms up. Many and short: a virtual machine's pace may change
/// several times a second, and what is compared is to be measured at the same pace.
const ROUNDS: usize = 31;

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
    /// Stations that frames are for, one after the other, 1 to 65536; each number is measured by itself
    #[arg(long, value_name = "N", num_args = 1.., default_value = "256",
        value_parser = value_parser!(u32).range(1..=i64::from(MAX_STATIONS)))]
    stations: Vec<u32>,
    /// Workers, each on a core of its own with lanes of its own
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZero<usize>,
    /// Seconds of measurement for each line of the report
    #[arg(long, value_name = "S", default_value = "2", value_parser = up_to_an_hour)]
    seconds: Duration,
    /// Measure libipsec-mb on such datagrams too, as a limit from outside (DPDK's dpdk-test-crypto-perf)
    #[arg(long)]
    ipsec_mb: bool,
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
    stations: usize,
    protection: Protection,
    rounds: Vec<Round>,
}

impl<S: Series> Measured<S> {
    fn new(sizes: FrameSizes, stations: usize, protection: Protection, workers: &Workers) -> Self {
        let lengths: Vec<_> = sizes.cycle().iter().map(|size| size - FCS).collect();
        let series = (0..workers.count()).map(|_| S::new(&lengths, protection, stations));
        Self {
            series: series.collect(),
            sizes,
            stations,
            protection,
            rounds: Vec::new(),
        }
    }

    /// Of several workers, the first one alone has half of the `time`.
    fn round(&mut self, workers: &Workers, time: Duration) -> Result<Round> {
        if workers.count() == 1 {
            let times = self.times(workers, time)?;
            return Ok(Round { times, alone: None });
        }
        Ok(Round {
            alone: Some(self.times(&workers.first(), time / 2)?),
            times: self.times(workers, time / 2)?,
        })
    }

    /// Half of the `time` is the path's.
    fn times(&mut self, workers: &Workers, time: Duration) -> Result<Times> {
        let series = &mut self.series[..workers.count()];
        Ok(Times {
            path: workers.ns_per_frame(series, time / 2, S::path)?,
            aead: match self.protection {
                Protection::Aead(..) => Some(workers.ns_per_frame(series, time / 4, S::esp)?),
                Protection::None => None,
            },
            copy: workers.ns_per_frame(series, time / 4, S::copy)?,
        })
    }

    fn figure(&self, reference_hz: Option<f64>, outside: &IpsecMb) -> Figure {
        let protection = self.protection;
        let datagrams_per_frame = self.series[0].datagrams_per_frame();
        let mut figure = Figure::new(
            S::DIRECTION,
            (self.sizes, self.stations),
            protection,
            self.series.len(),
            &self.rounds,
            reference_hz,
        );
        figure.set_ipsec_mb(outside, datagrams_per_frame);
        figure
    }

    /// The limit from outside, which is that of a cipher.
    fn outside(&self, asked: bool) -> Result<IpsecMb> {
        match self.protection {
            Protection::Aead(cipher, _) if asked => IpsecMb::measure(cipher, S::DIRECTION),
            _ => Ok(IpsecMb::not_asked()),
        }
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
            for n in options.stations.iter().map(|n| *n as usize) {
                out.push(Measured::<Sender>::new(sizes, n, protection, &workers));
                back.push(Measured::<Receiver>::new(sizes, n, protection, &workers));
            }
        }
    }
    measure(&mut out, &mut back, &workers, options.seconds)?;
    let hz = crate::machine::reference_hz();
    let mut figures = Vec::new();
    describe(&out, hz, options.ipsec_mb, &mut figures)?;
    describe(&back, hz, options.ipsec_mb, &mut figures)?;
    output.print(table(&figures))?;
    for figure in &figures {
        output.push(figure);
    }
    output.finish()
}

/// The figures of what was measured, with the limit from outside if it is `asked` for.
fn describe<S: Series>(
    all: &[Measured<S>],
    hz: Option<f64>,
    asked: bool,
    figures: &mut Vec<Figure>,
) -> Result {
    let mut known: Option<(Protection, IpsecMb)> = None;
    for measured in all {
        // Sizes of one protection come one behind the other.
        let outside = match known.take() {
            Some((of, outside)) if of == measured.protection => outside,
            _ => {
                let outside = measured.outside(asked)?;
                if let (true, Err(reason)) = (asked, &outside.0) {
                    eprintln!("causeway-perf: no figure of libipsec-mb: {reason}");
                }
                outside
            }
        };
        figures.push(measured.figure(hz, &outside));
        known = Some((measured.protection, outside));
    }
    Ok(())
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
