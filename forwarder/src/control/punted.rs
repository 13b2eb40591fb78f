//! Frames that the workers let us see.

use tracing::trace;

use super::Control;
use crate::worker::Punted;

/// Frames looked at before other events have their turn.
const AT_ONCE: usize = 64;

impl Control {
    /// Looks at what the workers have left.
    pub(super) fn take_punted(&mut self) {
        for _ in 0..AT_ONCE {
            match self.parts.punts.pop() {
                Some(punted) => self.punted(&punted),
                None => return,
            }
        }
        self.parts.punts.ring();
    }

    fn punted(&mut self, punted: &Punted) {
        trace!(
            "{:?} from {:?}, {} bytes",
            punted.kind, punted.origin, punted.length
        );
    }
}
