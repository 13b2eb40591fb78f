//! What is measured of a peer.

mod samples;

pub(crate) use self::samples::Samples;
pub(super) use self::samples::Summary;

/// What the harness by itself, over a bare veth, says about a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// No peer can have more.
    Most,
    /// No peer can have less.
    Least,
    /// Nothing.
    None,
}

/// Figures whose values scatter alike, relative to their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Of TCP.
    Tcp,
    /// Of test frames.
    Frames,
    /// Middle round trips.
    RoundTrip,
    /// Late ones.
    Late,
    /// CPU time for so much traffic.
    Cpu,
    /// What waits for timers rather than for the CPU.
    Timer,
    /// Not a matter of chance, or of no size: counts, bytes, yes or no.
    Fixed,
}

macro_rules! figures {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal, $unit:literal, $bound:ident, $kind:ident;)+) => {
        /// One figure of a peer, in the order of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Figure {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Figure {
            /// As results have it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its unit.
            pub(crate) fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)+ }
            }

            /// What the harness's own value of it is.
            pub(crate) fn bound(self) -> Bound {
                match self { $(Self::$variant => Bound::$bound,)+ }
            }

            /// How its values scatter.
            pub(crate) fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }
        }
    };
}

figures! {
    /// TCP from dc to vm, one connection.
    Tcp1 = "tcp1_bits_per_s", "bit/s", Most, Tcp;
    /// From vm to dc.
    Tcp1Reverse = "tcp1_reverse_bits_per_s", "bit/s", Most, Tcp;
    /// Four connections.
    Tcp4 = "tcp4_bits_per_s", "bit/s", Most, Tcp;
    /// From vm to dc.
    Tcp4Reverse = "tcp4_reverse_bits_per_s", "bit/s", Most, Tcp;
    /// Frames delivered while the generator gives what it can.
    Saturation = "frames_per_s", "1/s", Most, Frames;
    /// Frames that the generator made in that run.
    Offered = "offered_frames_per_s", "1/s", None, Frames;
    /// Frames delivered at the highest rate that loses at most one in a hundred.
    Loss1Percent = "frames_per_s_loss_1pct", "1/s", Most, Frames;
    /// One in a thousand.
    Loss01Percent = "frames_per_s_loss_01pct", "1/s", Most, Frames;
    /// Frames of saturation runs whose whereabouts no counter tells.
    Unaccounted = "frames_unaccounted", "frames", None, Fixed;
    /// Round trip without other traffic.
    RttIdleP50 = "rtt_idle_p50_s", "s", Least, RoundTrip;
    /// Its 99th percentile.
    RttIdleP99 = "rtt_idle_p99_s", "s", Least, Late;
    /// Part of those pings that was not answered.
    RttIdleLost = "rtt_idle_lost_ratio", "1", None, Fixed;
    /// Round trip beside half of the load that the peer can take.
    RttLoadP50 = "rtt_load_p50_s", "s", Least, RoundTrip;
    /// Its 99th percentile.
    RttLoadP99 = "rtt_load_p99_s", "s", Least, Late;
    /// Part of those pings that was not answered.
    RttLoadLost = "rtt_load_lost_ratio", "1", None, Fixed;
    /// That load, as it was sent.
    RttLoad = "rtt_load_frames_per_s", "1/s", None, Frames;
    /// CPU time of the gateways' CPU for 10^9 bytes of TCP.
    CpuPerGb = "cpu_s_per_gb", "s/GB", None, Cpu;
    /// Of it in programs.
    CpuPerGbUser = "cpu_user_s_per_gb", "s/GB", None, Cpu;
    /// Of it in system calls.
    CpuPerGbSystem = "cpu_system_s_per_gb", "s/GB", None, Cpu;
    /// Of it in the kernel's network work.
    CpuPerGbSoftirq = "cpu_softirq_s_per_gb", "s/GB", None, Cpu;
    /// CPU time of the gateways' CPU for a million delivered frames, at saturation.
    CpuPerMillion = "cpu_s_per_million_frames", "s/10^6", None, Cpu;
    /// Of it in programs.
    CpuPerMillionUser = "cpu_user_s_per_million_frames", "s/10^6", None, Cpu;
    /// Of it in system calls.
    CpuPerMillionSystem = "cpu_system_s_per_million_frames", "s/10^6", None, Cpu;
    /// Of it in the kernel's network work.
    CpuPerMillionSoftirq = "cpu_softirq_s_per_million_frames", "s/10^6", None, Cpu;
    /// Memory of all processes in both gateways.
    Rss = "rss_bytes", "bytes", None, Fixed;
    /// Whether a full-size packet passes that must not be cut: 1 or 0.
    Df = "df_1500_passes", "bool", None, Fixed;
    /// Time until traffic flows after the far end was killed, from its new start.
    Recovery = "recovery_s", "s", None, Timer;
    /// How long it was saturated without a break.
    EnduranceTime = "endurance_s", "s", None, Fixed;
    /// Frames delivered meanwhile.
    EnduranceRate = "endurance_frames_per_s", "1/s", None, Fixed;
    /// Of those sent, how many no counter tells of.
    EnduranceUnaccounted = "endurance_frames_unaccounted", "frames", None, Fixed;
    /// The longest time between two looks at the sink without a frame.
    EnduranceSilence = "endurance_silence_s", "s", None, Fixed;
    /// Memory of all processes in both gateways in the first tenth of it, on average.
    EnduranceRss = "endurance_rss_bytes", "bytes", None, Fixed;
    /// How much more that was in its last tenth.
    EnduranceGrowth = "endurance_rss_growth_bytes", "bytes", None, Fixed;
    /// Part of the frames of a slow load after it that arrived: 1 where no ring is stuck.
    EnduranceAfter = "endurance_after_ratio", "1", None, Fixed;
}

impl Figure {
    /// Whether it is a rate of frames that arrived: no more than the generator gives.
    pub(crate) fn is_frame_rate(self) -> bool {
        matches!(
            self,
            Self::Saturation | Self::Loss1Percent | Self::Loss01Percent
        )
    }
}
