//! Which stations at home were heard of late, for their ageing.

use std::num::NonZero;

use causeway_ebpf::{Place, StationEntry, StationKey};

use super::{LanProgram, XdpError, error::failed_call};

/// Entries that one call of the kernel brings: 64 kB.
const BATCH: NonZero<u32> = NonZero::new(4_096).expect("not zero");

impl LanProgram {
    /// The stations at home from which a frame came, or which were entered, since this was last asked
    /// (since the start, the first time).
    ///
    /// A frame is noticed by its source at the cloud end's LAN port, crossing or not; at the site nothing is at
    /// home. The program writes to a station's entry once between two such questions, so that the hot path pays a
    /// comparison. A frame that comes while the question is answered may count for the next time as well; so a
    /// station is found silent at the second question after its last frame at the latest. With
    /// 65,536 stations it takes 16 calls of the kernel, a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`XdpError::NotConfigured`], [`XdpError::Call`] or [`XdpError::Map`] if the kernel refuses.
    pub fn heard(&mut self) -> Result<Vec<StationKey>, XdpError> {
        let config = self.lan_config.ok_or(XdpError::NotConfigured)?;
        let (asked, next) = (self.epoch, self.epoch.wrapping_add(1));
        self.epoch = next;
        // First: what comes from now on is the next time's too.
        self.configure(&config)?;
        let mut heard = Vec::new();
        let visited = self.all_stations.visit(BATCH, |key, value| {
            let entry = StationEntry::from_bytes(value);
            let recent = entry.epoch == asked || entry.epoch == next;
            if recent && entry.place() == Some(Place::Home) {
                heard.push(StationKey::from_bytes(key));
            }
        });
        visited.map_err(failed_call("read the stations"))?;
        Ok(heard)
    }
}
