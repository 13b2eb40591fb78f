//! Which frames of one flow have come: what is lost, late, reordered or there twice.
//!
//! The bitmap is that of RFC 6479: a ring of bits, of which whole words are cleared as the flow goes on.

/// How far behind the newest frame one is still recognised.
pub(crate) const WINDOW: u64 = 65_536;

const WORDS: usize = (WINDOW / 64) as usize;

/// What a frame is to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Newer than all before it.
    InOrder,
    /// Its sequence number is smaller than one that came before (RFC 4737, section 3), and it is new.
    Reordered,
    /// It has been here already.
    Duplicate,
    /// So far behind that nobody knows whether it is new: counted apart, and lost.
    TooLate,
    /// Of an earlier trial.
    Stale,
}

/// One flow.
pub(crate) struct Window {
    /// The first sequence number that counts.
    base: u64,
    /// The largest that came, plus one.
    next: u64,
    /// How many different ones came.
    unique: u64,
    /// A bit for each of the `WINDOW` numbers below `next`.
    bits: Box<[u64]>,
}

impl Window {
    /// Of a flow whose first frame has the number `base`.
    pub(crate) fn starting_at(base: u64) -> Self {
        Self {
            base,
            next: base,
            unique: 0,
            bits: vec![0; WORDS].into_boxed_slice(),
        }
    }

    /// A frame has come.
    pub(crate) fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence < self.base {
            return Arrival::Stale;
        }
        if sequence >= self.next {
            self.advance(sequence + 1);
            self.set(sequence);
            return Arrival::InOrder;
        }
        if self.next - sequence > WINDOW {
            return Arrival::TooLate;
        }
        if self.is_set(sequence) {
            return Arrival::Duplicate;
        }
        self.set(sequence);
        Arrival::Reordered
    }

    /// How many different frames came.
    #[cfg(test)]
    pub(crate) fn unique(&self) -> u64 {
        self.unique
    }

    /// How many are missing before the newest.
    pub(crate) fn missing(&self) -> u64 {
        self.next - self.base - self.unique
    }

    /// Forgets what was where the numbers up to `next` get their bits.
    fn advance(&mut self, next: u64) {
        let mut at = self.next;
        self.next = next;
        if next - at >= WINDOW {
            self.bits.fill(0);
            return;
        }
        while at < next {
            if at.is_multiple_of(64) && next - at >= 64 {
                self.bits[word(at)] = 0;
                at += 64;
            } else {
                self.bits[word(at)] &= !bit(at);
                at += 1;
            }
        }
    }

    fn set(&mut self, sequence: u64) {
        self.bits[word(sequence)] |= bit(sequence);
        self.unique += 1;
    }

    fn is_set(&self, sequence: u64) -> bool {
        self.bits[word(sequence)] & bit(sequence) != 0
    }
}

fn word(sequence: u64) -> usize {
    (sequence % WINDOW / 64) as usize
}

fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Remembers everything.
    struct Model {
        base: u64,
        next: u64,
        seen: HashSet<u64>,
    }

    impl Model {
        fn arrive(&mut self, sequence: u64) -> Arrival {
            if sequence < self.base {
                return Arrival::Stale;
            }
            if sequence < self.next && self.next - sequence > WINDOW {
                return Arrival::TooLate;
            }
            if !self.seen.insert(sequence) {
                return Arrival::Duplicate;
            }
            let reordered = sequence < self.next;
            self.next = self.next.max(sequence + 1);
            if reordered {
                Arrival::Reordered
            } else {
                Arrival::InOrder
            }
        }
    }

    #[test]
    fn the_edge_of_the_window() {
        let mut window = Window::starting_at(0);
        assert_eq!(window.arrive(WINDOW), Arrival::InOrder);
        assert_eq!(window.arrive(0), Arrival::TooLate);
        assert_eq!(window.arrive(1), Arrival::Reordered);
        assert_eq!(window.arrive(1), Arrival::Duplicate);
        assert_eq!((window.unique(), window.missing()), (2, WINDOW - 1));
    }

    #[test]
    fn frames_of_an_earlier_trial_do_not_count() {
        let mut window = Window::starting_at(100);
        assert_eq!(window.arrive(99), Arrival::Stale);
        assert_eq!(window.arrive(100), Arrival::InOrder);
        assert_eq!((window.unique(), window.missing()), (1, 0));
    }

    proptest! {
        #[test]
        fn as_if_everything_were_remembered(
            base in 0_u64..200,
            steps in prop::collection::vec(
                prop_oneof![
                    8 => -3_i64..6,
                    2 => -300_i64..300,
                    1 => -70_000_i64..70_000,
                ],
                1..400,
            ),
        ) {
            let mut window = Window::starting_at(base);
            let mut model = Model { base, next: base, seen: HashSet::new() };
            let mut at = base;
            for step in steps {
                at = at.saturating_add_signed(step);
                prop_assert_eq!(window.arrive(at), model.arrive(at), "frame {}", at);
                prop_assert_eq!(window.unique(), model.seen.len() as u64);
                let missing = model.next - model.base - model.seen.len() as u64;
                prop_assert_eq!(window.missing(), missing);
            }
        }
    }
}
