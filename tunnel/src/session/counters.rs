//! What arrived at the QUIC socket and what became of it, as numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! session_counters {
    ($($(#[doc = $sentence:literal])+ $variant:ident = $label:literal,)+) => {
        /// A counter of an [`Endpoint`](super::Endpoint).
        ///
        /// The first group, up to [`DatagramZeroRtt`](Self::DatagramZeroRtt), counts each
        /// datagram that arrives exactly once; the second counts handshakes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SessionCounter {
            $($(#[doc = $sentence])+ $variant,)+
        }

        impl SessionCounter {
            /// Every counter, in declaration order.
            pub const ALL: &'static [SessionCounter] = &[$(SessionCounter::$variant,)+];

            /// How many counters there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The word for `status` and metric labels (`snake_case`, stable).
            pub const fn label(self) -> &'static str {
                match self { $(SessionCounter::$variant => $label,)+ }
            }

            /// One sentence for an operator.
            pub const fn sentence(self) -> &'static str {
                match self { $(SessionCounter::$variant => concat!($($sentence),+).trim_ascii(),)+ }
            }
        }
    };
}

session_counters! {
    /// A plausible QUIC datagram, handed to QUIC.
    Datagram = "quic_datagram",
    /// A packet of a connection that this end never had, or the stateless reset of a restarted peer.
    DatagramStray = "quic_stray",
    /// Shorter than any QUIC packet.
    DatagramRunt = "quic_runt",
    /// QUIC's fixed bit is missing.
    DatagramNotQuic = "quic_no_fixed_bit",
    /// A QUIC version other than 1.
    DatagramVersion = "quic_other_version",
    /// The connection ids of a long header are longer than the datagram or than QUIC allows.
    DatagramHeader = "quic_bad_header",
    /// A client's first packet in a datagram below 1,200 bytes (RFC 9000 section 14.1).
    DatagramShortInitial = "quic_short_initial",
    /// Data before the handshake, which is not used here.
    DatagramZeroRtt = "quic_zero_rtt",

    /// A handshake that a peer began and that led to a session.
    HandshakeAccepted = "handshake_accepted",
    /// A handshake that this end began and that led to a session.
    HandshakeDialed = "handshake_dialed",
    /// A handshake refused because the other end's key is none of our peers'.
    HandshakeStranger = "handshake_stranger",
    /// A handshake that a peer began and that failed for another reason.
    HandshakeFailed = "handshake_failed",
    /// A handshake that a peer began and did not finish in time.
    HandshakeTimeout = "handshake_timeout",
    /// A client asked to prove its address first (Retry), because many handshakes were pending.
    HandshakeRetry = "handshake_retry",
    /// A handshake ignored because too many were pending.
    HandshakeIgnored = "handshake_ignored",
    /// A handshake that this end began and that failed.
    DialFailed = "dial_failed",
}

impl SessionCounter {
    /// Whether this is one of the group that counts each arriving datagram once.
    pub const fn is_datagram(self) -> bool {
        self as usize <= SessionCounter::DatagramZeroRtt as usize
    }
}

impl std::fmt::Display for SessionCounter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// The counters of an endpoint while it runs.
#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; SessionCounter::COUNT]);

impl Counters {
    pub(super) fn add(&self, counter: SessionCounter) {
        self.0[counter as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> CounterSnapshot {
        CounterSnapshot(std::array::from_fn(|i| self.0[i].load(Relaxed)))
    }
}

/// The counters of an endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterSnapshot([u64; SessionCounter::COUNT]);

impl CounterSnapshot {
    /// One counter.
    pub fn get(&self, counter: SessionCounter) -> u64 {
        self.0[counter as usize]
    }

    /// All counters with their values.
    pub fn iter(&self) -> impl Iterator<Item = (SessionCounter, u64)> + '_ {
        SessionCounter::ALL
            .iter()
            .map(|counter| (*counter, self.get(*counter)))
    }

    /// Datagrams that arrived, whatever became of them.
    pub fn datagrams(&self) -> u64 {
        self.iter()
            .filter(|(counter, _)| counter.is_datagram())
            .map(|(_, n)| n)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::SessionCounter;

    #[test]
    fn labels_are_unique_snake_case_and_sentences_end() {
        for (i, counter) in SessionCounter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, i);
            assert!(
                counter
                    .label()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(counter.sentence().ends_with('.'));
            let twins = SessionCounter::ALL
                .iter()
                .filter(|c| c.label() == counter.label());
            assert_eq!(twins.count(), 1, "{counter}");
        }
    }
}
