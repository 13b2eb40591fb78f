//! What to measure, how often and how long.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;

use crate::{rig::Uplink, sizes::FrameSizes};

/// One kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Measure {
    /// TCP with one and four connections, both ways; CPU for a gigabyte.
    Tcp,
    /// Frames at saturation, with their whereabouts; CPU for a million.
    Frames,
    /// The highest rates that lose at most 1 % and 0.1 %.
    Loss,
    /// Round trips, idle and beside half load.
    Rtt,
    /// Memory of the gateways' processes.
    Memory,
    /// Whether a 1,500-byte packet passes that must not be cut.
    Df,
    /// Traffic again after the far end was killed and restarted.
    Recovery,
    /// Saturation for minutes: no frame unaccounted for, memory flat, no ring stuck. Not among all.
    Endurance,
}

impl Measure {
    /// What is measured where nothing is asked for: all that takes seconds rather than minutes.
    fn usual() -> BTreeSet<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|measure| *measure != Self::Endurance).collect()
    }
}

/// The plan of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What to measure.
    pub(crate) measures: BTreeSet<Measure>,
    /// How often each peer is measured.
    pub(crate) rounds: usize,
    /// Of each measurement.
    pub(crate) time: Duration,
    /// Of each trial of a search.
    pub(crate) trial: Duration,
    /// Of each search.
    pub(crate) steps: u32,
    /// Sizes of test frames.
    pub(crate) sizes: Vec<FrameSizes>,
    /// Those for which rates are searched.
    pub(crate) loss_sizes: Vec<FrameSizes>,
    /// After this a peer has not recovered.
    pub(crate) recovery_limit: Duration,
    /// In how many rounds recovery is measured.
    pub(crate) recoveries: usize,
    /// How long a peer is saturated for endurance.
    pub(crate) endurance: Duration,
    /// Offloads of the uplink.
    pub(crate) uplink: Uplink,
}

impl Plan {
    /// The usual one: about 70 seconds for each peer and round.
    pub(crate) fn thorough(sizes: Vec<FrameSizes>) -> Self {
        Self {
            measures: Measure::usual(),
            rounds: 3,
            time: Duration::from_secs(2),
            trial: Duration::from_millis(500),
            steps: 7,
            loss_sizes: sizes.clone(),
            sizes,
            recovery_limit: Duration::from_secs(60),
            recoveries: usize::MAX,
            endurance: Duration::from_secs(600),
            uplink: Uplink::None,
        }
    }

    /// The short one: about 20 seconds.
    pub(crate) fn quick(sizes: Vec<FrameSizes>) -> Self {
        Self {
            time: Duration::from_millis(500),
            trial: Duration::from_millis(250),
            steps: 5,
            loss_sizes: sizes.iter().copied().take(1).collect(),
            recovery_limit: Duration::from_secs(15),
            recoveries: 1,
            ..Self::thorough(sizes)
        }
    }

    /// With measurements of this length.
    pub(crate) fn with_time(self, time: Duration) -> Self {
        let trial = (time / 4).clamp(Duration::from_millis(100), Duration::from_secs(1));
        Self {
            time,
            trial,
            ..self
        }
    }
}
