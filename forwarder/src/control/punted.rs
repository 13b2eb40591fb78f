//! Frames that the workers let us see.

use std::time::Instant;

use super::Control;
use crate::{snoop::Kind, worker::Punted};

/// Frames looked at before other events have their turn.
const AT_ONCE: usize = 64;

impl Control {
    /// Looks at what the workers have left.
    pub(super) fn take_punted(&mut self) {
        let now = Instant::now();
        for _ in 0..AT_ONCE {
            match self.parts.punts.pop() {
                Some(punted) => self.punted(&punted, now),
                None => return,
            }
        }
        self.parts.punts.ring();
    }

    fn punted(&mut self, punted: &Punted, now: Instant) {
        self.one_way_saw(punted, now);
        match punted.kind {
            Kind::Arp | Kind::Nd | Kind::Dhcp4 => self.snoop(punted, now),
            Kind::Igmp | Kind::Mld => self.hear_members(punted, now),
            Kind::Dhcp6 => {}
        }
    }
}
