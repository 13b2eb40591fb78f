//! Letting the probes of `causeway doctor` by.
//!
//! The XDP program drops what is for nobody it knows, or takes it for the other side: an answer to an address
//! that the doctor has made up as well. While the doctor works its addresses are known to the program, and
//! frames to and from them are passed to the host's stack, where the doctor's packet socket sees them. No other
//! frame is treated otherwise than before.

use std::time::{Duration, Instant};

use causeway_ebpf::{StationKey, maps::MAX_PROBES};
use tracing::warn;

use super::Control;
use crate::{spec::MacName, stations::StationTable};

/// A doctor that has been killed says nothing any more.
const LONGEST: Duration = Duration::from_secs(30);

impl Control {
    /// Passes frames to and from `macs` from now on; none: no longer.
    ///
    /// # Errors
    ///
    /// A text that says what cannot be, for who asks.
    pub(super) fn set_probes(&mut self, macs: &[[u8; 6]]) -> Result<(), String> {
        check(macs, self.parts.lan.mac, &self.stations)?;
        let set = self.parts.program.set_probes(macs);
        set.map_err(|e| e.to_string())?;
        self.probes_until = (!macs.is_empty()).then(|| Instant::now() + LONGEST);
        Ok(())
    }

    pub(super) fn end_old_probes(&mut self, now: Instant) {
        if self.probes_until.is_some_and(|until| until <= now) {
            self.probes_until = None;
            if let Err(e) = self.parts.program.set_probes(&[]) {
                warn!("the doctor's probes: {e}");
            }
        }
    }
}

/// What is somebody's cannot be a probe's.
fn check(macs: &[[u8; 6]], own: [u8; 6], stations: &StationTable) -> Result<(), String> {
    if macs.len() > MAX_PROBES as usize {
        return Err(format!("{} probes: {MAX_PROBES} at most", macs.len()));
    }
    let local = |mac: &[u8; 6]| mac[0] & 0b11 == 0b10;
    let somebodys = |mac: &[u8; 6]| {
        // In whatever VLAN: the probes of one run are in one, and addresses are made up again.
        let known = stations.get(StationKey::new(0, *mac)).is_some();
        *mac == own || known || stations.iter().any(|(key, _)| key.mac == *mac)
    };
    match macs.iter().find(|mac| !local(mac) || somebodys(mac)) {
        Some(mac) => Err(format!(
            "{} is no address for a probe: it has to be locally administered and nobody's",
            MacName(*mac)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stations::{Place, Role, Station};

    #[test]
    fn nobodys_addresses_are_taken_and_others_are_not() {
        let own = [0x02, 0, 0, 0, 0, 1];
        let moved = [0x02, 0, 0, 0, 0, 2];
        let mut stations = StationTable::new(Role::Site);
        let place = Place::Away;
        stations.insert(StationKey::new(7, moved), Station { place, peer: 0 });
        let free = [0x0a, 0, 0, 0, 0, 3];
        assert_eq!(check(&[free], own, &stations), Ok(()));
        assert_eq!(check(&[], own, &stations), Ok(()));
        let global = [0x00, 0x50, 0x56, 0, 0, 1];
        let group = [0x03, 0, 0, 0, 0, 1];
        for bad in [own, moved, global, group] {
            let error = check(&[free, bad], own, &stations).unwrap_err();
            assert!(error.contains("locally administered"), "{error}");
        }
        assert!(check(&[free; 65], own, &stations).is_err());
    }
}
