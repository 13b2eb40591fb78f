//! What an authenticated peer may say.

use causeway_tunnel::DropReason;

use crate::stations::{Ends, PeerIndex, Place, Role, StationTable};

/// Decides whether a frame of an authenticated peer may enter the LAN, by whom it is from and for.
///
/// # Errors
///
/// The reason to drop it.
// Out of line, its callers would put away and fetch again what they have in registers, for each frame.
#[inline(always)]
pub fn admit(
    ends: impl Into<Ends>,
    peer: PeerIndex,
    stations: &StationTable,
) -> Result<(), DropReason> {
    let ends = ends.into();
    if ends.from_group() {
        return Err(DropReason::SpoofedSource);
    }
    if ends.to_link() {
        return Err(DropReason::LinkLocal);
    }
    let Ends {
        source,
        destination,
    } = ends;
    let group = ends.to_group();
    match stations.role {
        Role::Site => {
            let granted = stations
                .get(source)
                .is_some_and(|s| s.place == Place::Away && s.peer == peer);
            if !granted {
                return Err(DropReason::SpoofedSource);
            }
            // Away, behind this peer or another: it must not go back out.
            match stations.get(destination) {
                Some(s) if !group && s.place == Place::Away => Err(DropReason::SplitHorizon),
                _ => Ok(()),
            }
        }
        Role::Cloud => {
            // The site speaks for everybody but the stations it moved to us.
            if stations.get(source).is_some_and(|s| s.place == Place::Home) {
                return Err(DropReason::SpoofedSource);
            }
            match stations.get(destination) {
                Some(s) if s.place == Place::Home && s.peer == peer => Ok(()),
                _ if group => Ok(()),
                _ => Err(DropReason::SplitHorizon),
            }
        }
    }
}
