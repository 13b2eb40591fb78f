//! Call after call, without silence between them.

use std::time::Duration;

use causeway_ebpf::perf::GeneratorConfig;

use super::{BATCH, FASTER, LONGEST, LiveGenerator, Sent, fastest_after};
use crate::error::Result;

impl LiveGenerator {
    /// As fast as it can for about `time`, up to twice as long: as many runs as the last saturating call's rate makes of it. So there are
    /// none left whose time is over, and the next call follows at once.
    ///
    /// # Errors
    ///
    /// As for [`saturate`](Self::saturate).
    pub(crate) fn sustain(&mut self, time: Duration) -> Result<Sent> {
        let config = GeneratorConfig {
            frames: u64::MAX,
            nanoseconds: (time * 2).min(LONGEST).as_nanos() as u64,
            ..self.config
        };
        let runs = self.fastest / FASTER * time.as_secs_f64();
        let sent = self.send(config, runs, BATCH)?;
        // It ran out, as it was to.
        self.fastest = fastest_after(&Sent {
            ran_out: false,
            ..sent
        });
        Ok(sent)
    }
}

impl Sent {
    /// And what another call sent.
    pub(crate) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.refused += other.refused;
        self.elapsed += other.elapsed;
        self.ran_out |= other.ran_out;
    }
}
