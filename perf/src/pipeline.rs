//! Frames in memory through the data path of one core, without NIC or kernel.
//!
//! Each round measures every series once, and beside it the bare cipher on the same datagrams, so
//! that what disturbs the machine disturbs all of them alike; the figures are medians of the rounds.

mod receiver;
mod sender;
mod world;

use std::time::Duration;

use causeway_tunnel::{aead::Cipher, wire};
use clap::Args;
use serde::Serialize;

use self::{receiver::Receiver, sender::Sender};
use crate::{
    error::Result,
    interrupt,
    output::{JsonOption, Spread, Table},
};

/// Rounds that count; one before them warms up.
const ROUNDS: usize = 7;

/// Bytes of UDP payload: what IPv6 and UDP leave of 1,500.
const DATAGRAM: usize = 1_452;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Lengths of the frames, without FCS: each is measured by itself
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [64, 512, 1_514], value_parser = frame_bytes)]
    frame_bytes: Vec<usize>,
    /// Ciphers: aes-256-gcm, aes-128-gcm
    #[arg(long, value_name = "CIPHER", num_args = 1.., default_values_t = [Cipher::Aes256Gcm])]
    cipher: Vec<Cipher>,
    /// Seconds of measurement for each line of the report
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    #[command(flatten)]
    json: JsonOption,
}

fn frame_bytes(text: &str) -> std::result::Result<usize, String> {
    let bytes = text
        .parse()
        .map_err(|_| "not a number of bytes".to_owned())?;
    if !wire::is_frame_length(bytes) {
        return Err(format!(
            "a frame has {} (its Ethernet header) to {} bytes",
            wire::MIN_FRAME,
            wire::MAX_FRAME
        ));
    }
    Ok(bytes)
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.01..=3_600.0).contains(&seconds) {
        return Err("0.01 to 3600 seconds are possible".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Frames, and the time they took.
#[derive(Clone, Copy, Default)]
struct Sample {
    frames: u64,
    time: Duration,
}

impl Sample {
    fn ns_per_frame(self) -> f64 {
        self.time.as_nanos() as f64 / self.frames as f64
    }
}

/// One direction with one frame length and one cipher.
trait Series {
    /// The word in the report.
    const DIRECTION: &'static str;

    /// The whole path for about this long.
    fn path(&mut self, time: Duration) -> Sample;

    /// The cipher alone, on datagrams as the path has them, for about this long.
    fn aead(&mut self, time: Duration) -> Sample;
}

/// A series, and what its rounds gave: ns per frame of the path, and of the cipher.
struct Measured<S> {
    series: S,
    frame_bytes: usize,
    cipher: Cipher,
    rounds: Vec<(f64, f64)>,
}

impl<S: Series> Measured<S> {
    fn new(series: S, frame_bytes: usize, cipher: Cipher) -> Self {
        Self {
            series,
            frame_bytes,
            cipher,
            rounds: Vec::new(),
        }
    }

    fn round(&mut self, time: Duration, counts: bool) {
        let path = self.series.path(time).ns_per_frame();
        let aead = self.series.aead(time).ns_per_frame();
        if counts {
            self.rounds.push((path, aead));
        }
    }

    fn figure(&self) -> Figure {
        let path = Spread::of(self.rounds.iter().map(|(path, _)| *path));
        let share = Spread::of(self.rounds.iter().map(|(path, aead)| aead / path));
        let frames_per_s = 1e9 / path.median;
        Figure {
            test: "pipeline",
            direction: S::DIRECTION,
            frame_bytes: self.frame_bytes,
            datagram_bytes: DATAGRAM,
            cipher: self.cipher.name(),
            aead: "ring",
            workers: 1,
            rounds: self.rounds.len(),
            frames_per_s,
            gbit_per_s: frames_per_s * self.frame_bytes as f64 * 8.0 / 1e9,
            ns_per_frame: path.median,
            ns_per_frame_min: path.min,
            ns_per_frame_max: path.max,
            aead_share: share.median,
            aead_share_min: share.min,
            aead_share_max: share.max,
        }
    }
}

/// One line of the report.
#[derive(Serialize)]
struct Figure {
    test: &'static str,
    direction: &'static str,
    frame_bytes: usize,
    datagram_bytes: usize,
    cipher: &'static str,
    /// The library that does the cipher's arithmetic.
    aead: &'static str,
    workers: usize,
    rounds: usize,
    frames_per_s: f64,
    /// Of the frames' own bytes: without FCS, preamble or the tunnel's overhead.
    gbit_per_s: f64,
    ns_per_frame: f64,
    ns_per_frame_min: f64,
    ns_per_frame_max: f64,
    /// Part of the time that the bare cipher takes for the same datagrams.
    aead_share: f64,
    aead_share_min: f64,
    aead_share_max: f64,
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
    let mut output = options.json.open()?;
    let mut out = Vec::new();
    let mut back = Vec::new();
    for &cipher in &options.cipher {
        for &bytes in &options.frame_bytes {
            out.push(Measured::new(Sender::new(bytes, cipher), bytes, cipher));
            back.push(Measured::new(Receiver::new(bytes, cipher), bytes, cipher));
        }
    }
    let slice = options.seconds / (2 * ROUNDS as u32);
    for round in 0..=ROUNDS {
        for (out, back) in out.iter_mut().zip(&mut back) {
            interrupt::check()?;
            out.round(slice, round > 0);
            back.round(slice, round > 0);
        }
    }
    let figures = out.iter().map(Measured::figure);
    let figures: Vec<_> = figures.chain(back.iter().map(Measured::figure)).collect();
    output.print(table(&figures))?;
    for figure in &figures {
        output.push(figure);
    }
    output.finish()
}

fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new(&[
        "direction",
        "bytes",
        "cipher",
        "frames/s",
        "Gb/s",
        "ns/frame",
        "min-max",
        "AEAD",
        "min-max",
    ]);
    for f in figures {
        let percent = |share: f64| format!("{:.0}%", share * 100.0);
        table.row(vec![
            f.direction.into(),
            f.frame_bytes.to_string(),
            f.cipher.into(),
            format!("{:.0}", f.frames_per_s),
            format!("{:.2}", f.gbit_per_s),
            format!("{:.1}", f.ns_per_frame),
            format!("{:.1}-{:.1}", f.ns_per_frame_min, f.ns_per_frame_max),
            percent(f.aead_share),
            format!(
                "{}-{}",
                percent(f.aead_share_min),
                percent(f.aead_share_max)
            ),
        ]);
    }
    table
}
