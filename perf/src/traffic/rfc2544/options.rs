//! Options of all four tests.

use std::time::Duration;

use clap::Args;

use crate::{
    output::JsonOption,
    seconds::{or_none, seconds},
    sizes::{self, FrameSizes},
    traffic::{
        Link,
        options::{GeneratorKind, StreamOptions, ratio},
        rate::Rate,
    },
};

/// Between which ports, what, and how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Interface of the tester that sends
    #[arg(long, value_name = "[NETNS:]IF")]
    pub(super) tx: Link,
    /// Interface of the tester that receives
    #[arg(long, value_name = "[NETNS:]IF")]
    pub(super) rx: Link,
    #[command(flatten)]
    pub(super) stream: StreamOptions,
    /// Sizes of the frames with FCS, each by itself [default: 64 128 256 512 1024 1280 1518 imix]
    #[arg(long, value_name = "N", num_args = 1..)]
    frame_bytes: Vec<FrameSizes>,
    /// What makes the frames
    #[arg(long, value_enum, default_value = "af-xdp")]
    pub(super) generator: GeneratorKind,
    /// The rate of 100 % [default: what the generator reaches at --tx]
    #[arg(long, value_name = "RATE")]
    pub(super) max_rate: Option<Rate>,
    /// Length of a trial; RFC 2544 asks for 60 (latency: 120)
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(super) trial_seconds: Duration,
    /// Traffic before the first trial of each size, at half the rate
    #[arg(long, value_name = "S", default_value = "1", value_parser = or_none)]
    pub(super) warm_up: Duration,
    /// How long to wait for frames that are missing; less if none is
    #[arg(long, value_name = "S", default_value = "2", value_parser = or_none)]
    pub(super) settle: Duration,
    /// Trials that have to pass [default: 1; back-to-back: 5 searches. RFC 2544: 20 for latency, 50 for back-to-back]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) trials: Option<u32>,
    /// Trials of a rate that may fail and be repeated
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) retries: u32,
    /// Part of the frames that may be lost, such as 0.001 or 0.1%
    #[arg(long, value_name = "RATIO", default_value = "0", value_parser = ratio)]
    pub(super) loss: f64,
    /// Where a search ends, as a part of what it found
    #[arg(long, value_name = "RATIO", default_value = "1%", value_parser = resolution)]
    pub(super) resolution: f64,
    /// Don't measure what the harness reaches by itself, over a bare veth
    #[arg(long)]
    pub(super) no_ceiling: bool,
    /// Core that sends [default: the first]
    #[arg(long, value_name = "N")]
    pub(super) cpu: Option<usize>,
    /// Core that receives [default: the second]
    #[arg(long, value_name = "N")]
    pub(super) rx_cpu: Option<usize>,
    #[command(flatten)]
    pub(super) json: JsonOption,
}

fn resolution(text: &str) -> Result<f64, String> {
    ratio(text).and_then(|value| {
        if value >= 1e-4 {
            Ok(value)
        } else {
            Err("at least 0.01% is possible".into())
        }
    })
}

impl Common {
    /// The sizes to test. The default leaves out what a VLAN tag makes too large for a stamp.
    pub(super) fn sizes(&self, smallest: usize) -> Vec<FrameSizes> {
        if !self.frame_bytes.is_empty() {
            return self.frame_bytes.clone();
        }
        if smallest <= sizes::MIN {
            return [&sizes::RFC2544[..], &[FrameSizes::Imix]].concat();
        }
        let sizes = sizes::RFC2544.iter().map(|size| match size {
            FrameSizes::Fixed(size) => FrameSizes::Fixed((*size).max(smallest)),
            FrameSizes::Imix => FrameSizes::Imix,
        });
        sizes.collect()
    }
}
