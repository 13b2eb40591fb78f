//! What rounds come to: a line of the table, a record of the JSON object.

use super::ipsec_mb::IpsecMb;
use crate::datapath::{DATAGRAM, Protection};
use serde::Serialize;

use crate::{
    output::{Spread, Table},
    sizes::FrameSizes,
};

/// What one round gave.
pub(super) struct Round {
    pub(super) times: Times,
    /// Of one worker while the others rest; none where there are no others.
    pub(super) alone: Option<Times>,
}

/// Nanoseconds per frame and worker.
pub(super) struct Times {
    pub(super) path: f64,
    /// ESP alone; none where there is no cipher.
    pub(super) aead: Option<f64>,
    pub(super) copy: f64,
}

/// One line of the report.
#[derive(Serialize)]
pub(super) struct Figure {
    test: &'static str,
    direction: &'static str,
    frame_bytes: u64,
    frame_sizes: String,
    /// That frames are for, one after the other.
    stations: usize,
    datagram_bytes: usize,
    cipher: &'static str,
    /// The library that does the cipher's arithmetic.
    aead: &'static str,
    workers: usize,
    rounds: usize,
    /// Of all workers together, as Gb/s is.
    frames_per_s: f64,
    /// Of the frames with their FCS: without preamble and gap, and without the tunnel's overhead.
    gbit_per_s: f64,
    /// Of one worker, as everything below is.
    ns_per_frame: f64,
    ns_per_frame_min: f64,
    ns_per_frame_max: f64,
    /// Of the time stamp counter, not of the core, which may run faster or slower.
    cycles_per_frame: Option<f64>,
    reference_hz: Option<f64>,
    /// Part of the time that ESP takes by itself for the same datagrams.
    aead_share: Option<f64>,
    aead_share_min: Option<f64>,
    aead_share_max: Option<f64>,
    aead_ns_per_frame: Option<f64>,
    /// Part of the time that a copy of the frames takes.
    memcpy_share: f64,
    memcpy_share_min: f64,
    memcpy_share_max: f64,
    memcpy_ns_per_frame: f64,
    /// Frames per second over those of one worker alone; of ESP alone the same, which is what the cores give.
    scaling: Option<f64>,
    aead_scaling: Option<f64>,
    /// Time that libipsec-mb takes for the same datagrams, and its part of the path's time.
    ipsec_mb_ns_per_frame: Option<f64>,
    ipsec_mb_share: Option<f64>,
    /// Why there is none.
    ipsec_mb_reason: Option<String>,
}

impl Figure {
    pub(super) fn new(
        direction: &'static str,
        (sizes, stations): (FrameSizes, usize),
        protection: Protection,
        workers: usize,
        rounds: &[Round],
        reference_hz: Option<f64>,
    ) -> Self {
        let spread = |value: fn(&Times) -> f64| Spread::of(rounds.iter().map(|r| value(&r.times)));
        let path = spread(|r| r.path);
        let copy = spread(|r| r.copy / r.path);
        let aead = |value: fn(&Times, f64) -> f64| {
            let values = rounds.iter().map(|r| Some(value(&r.times, r.times.aead?)));
            values.collect::<Option<Vec<_>>>().map(Spread::of)
        };
        let scaling = |value: fn(&Times) -> Option<f64>| {
            let ratio =
                |r: &Round| Some(workers as f64 * value(r.alone.as_ref()?)? / value(&r.times)?);
            let ratios: Option<Vec<_>> = rounds.iter().map(ratio).collect();
            ratios.map(|ratios| Spread::of(ratios).median)
        };
        let share = aead(|round, aead| aead / round.path);
        let frames_per_s = 1e9 / path.median * workers as f64;
        Self {
            test: "pipeline",
            direction,
            frame_bytes: sizes.mean().round() as u64,
            frame_sizes: sizes.to_string(),
            stations,
            datagram_bytes: DATAGRAM,
            cipher: protection.cipher(),
            aead: protection.library(),
            workers,
            rounds: rounds.len(),
            frames_per_s,
            gbit_per_s: frames_per_s * sizes.mean() * 8.0 / 1e9,
            ns_per_frame: path.median,
            ns_per_frame_min: path.min,
            ns_per_frame_max: path.max,
            cycles_per_frame: reference_hz.map(|hz| path.median * hz / 1e9),
            reference_hz,
            aead_share: share.map(|s| s.median),
            aead_share_min: share.map(|s| s.min),
            aead_share_max: share.map(|s| s.max),
            aead_ns_per_frame: aead(|_, aead| aead).map(|s| s.median),
            memcpy_share: copy.median,
            memcpy_share_min: copy.min,
            memcpy_share_max: copy.max,
            memcpy_ns_per_frame: spread(|r| r.copy).median,
            scaling: scaling(|t| Some(t.path)),
            aead_scaling: scaling(|t| t.aead),
            ipsec_mb_ns_per_frame: None,
            ipsec_mb_share: None,
            ipsec_mb_reason: None,
        }
    }

    /// Adds the limit from outside. It is that of full datagrams, as nearly all are.
    pub(super) fn set_ipsec_mb(&mut self, outside: &IpsecMb, datagrams_per_frame: f64) {
        match &outside.0 {
            Ok(ns) => {
                let ns = ns * datagrams_per_frame;
                self.ipsec_mb_ns_per_frame = Some(ns);
                self.ipsec_mb_share = Some(ns / self.ns_per_frame);
            }
            Err(reason) => self.ipsec_mb_reason = Some(reason.clone()),
        }
    }
}

pub(super) fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new(&[
        "direction",
        "bytes",
        "stations",
        "cipher",
        "library",
        "frames/s",
        "Gb/s",
        "ns/frame",
        "min-max",
        "cycles",
        "AEAD",
        "min-max",
        "memcpy",
        "ipsec-mb",
        "scaling",
        "AEAD's",
    ]);
    let times = |scaling: Option<f64>| scaling.map(|s| format!("{s:.2}"));
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    for f in figures {
        let range = f.aead_share_min.zip(f.aead_share_max);
        table.row(vec![
            f.direction.into(),
            f.frame_sizes.clone(),
            f.stations.to_string(),
            f.cipher.into(),
            f.aead.into(),
            format!("{:.0}", f.frames_per_s),
            format!("{:.2}", f.gbit_per_s),
            format!("{:.1}", f.ns_per_frame),
            format!("{:.1}-{:.1}", f.ns_per_frame_min, f.ns_per_frame_max),
            or_dash(f.cycles_per_frame.map(|c| format!("{c:.0}"))),
            or_dash(f.aead_share.map(percent)),
            or_dash(range.map(|(min, max)| format!("{}-{}", percent(min), percent(max)))),
            percent(f.memcpy_share),
            or_dash(f.ipsec_mb_share.map(percent)),
            or_dash(times(f.scaling)),
            or_dash(times(f.aead_scaling)),
        ]);
    }
    table
}
