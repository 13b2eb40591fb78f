//! Which library computes the data path's AES-GCM: as told, or the faster one, measured at the start.

use std::time::{Duration, Instant};

use causeway_tunnel::{
    InboundSa, OutboundSa,
    aead::{Cipher, Library},
    esp,
    sa::{Limits, SaKeys},
    spi::Spi,
    wire::{self, NextHeader},
};

use crate::options::AeadName;

/// Datagrams that are sealed, then opened, in one round: so many that reading the clock does not count,
/// so few that they stay in a core's own cache.
const BURST: usize = 32;

/// The best of so many rounds counts: what disturbs one of them is no property of the library. All
/// together take some 2 ms.
const ROUNDS: usize = 32;

/// What the other library's time must be below, as part of the default's: less is not worth a change.
const WORTHWHILE: f64 = 0.95;

/// What one library took for a datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Whose code.
    pub library: Library,
    /// Nanoseconds to seal a datagram.
    pub seal_ns: f64,
    /// Nanoseconds to open one.
    pub open_ns: f64,
}

/// The libraries that seal and open.
#[derive(Clone, Debug, PartialEq)]
pub struct Libraries {
    /// Seals what we send.
    pub seal: Library,
    /// Opens what we receive.
    pub open: Library,
    /// Bytes of UDP payload of the datagrams that were measured.
    pub datagram: usize,
    /// One for each library, the default first; empty if nothing was measured.
    pub measured: Vec<Measured>,
}

impl Libraries {
    /// As `aead` says; where it leaves it to us, measures both with `cipher` and datagrams of the size
    /// that is nearest to `datagram`.
    pub fn choose(aead: AeadName, cipher: Cipher, datagram: usize) -> Self {
        let datagram = wire::datagram_size(datagram);
        let of = |seal, open, measured| Self {
            seal,
            open,
            datagram,
            measured,
        };
        match aead {
            AeadName::Ring => of(Library::Ring, Library::Ring, Vec::new()),
            AeadName::AwsLc => of(Library::AwsLc, Library::AwsLc, Vec::new()),
            AeadName::Auto => {
                let measured = measure(cipher, datagram);
                let seal = faster(&measured, |m| m.seal_ns);
                let open = faster(&measured, |m| m.open_ns);
                of(seal, open, measured)
            }
        }
    }

    /// Why they are these: a few words for people.
    pub fn why(&self) -> String {
        if self.measured.is_empty() {
            return "as --aead says".into();
        }
        let of = |m: &Measured| {
            let (library, seal, open) = (m.library, m.seal_ns, m.open_ns);
            format!("{library} seals in {seal:.0} ns, opens in {open:.0} ns")
        };
        let each: Vec<_> = self.measured.iter().map(of).collect();
        format!("{} bytes: {}", self.datagram, each.join("; "))
    }
}

/// The library with the least `time`; the default, which is the first, unless another is clearly faster.
fn faster(measured: &[Measured], time: fn(&Measured) -> f64) -> Library {
    let default = measured.first().map_or(f64::INFINITY, time);
    let others = measured
        .iter()
        .skip(1)
        .filter(|m| time(m) < default * WORTHWHILE);
    let best = others.min_by(|a, b| time(a).total_cmp(&time(b)));
    best.map_or(Library::default(), |m| m.library)
}

/// Times every library, in turns: a change of the machine's pace meets all of them.
fn measure(cipher: Cipher, datagram: usize) -> Vec<Measured> {
    let mut libraries: Vec<_> = Library::ALL
        .iter()
        .map(|l| (*l, Trial::new(*l, cipher, datagram)))
        .collect();
    for _ in 0..ROUNDS {
        libraries.iter_mut().for_each(|(_, trial)| trial.round());
    }
    let ns = |best: Duration| best.as_nanos() as f64 / BURST as f64;
    let measured = libraries.into_iter().map(|(library, trial)| Measured {
        library,
        seal_ns: ns(trial.seal),
        open_ns: ns(trial.open),
    });
    measured.collect()
}

/// One library at work, and its best times for a burst.
struct Trial {
    tx: OutboundSa,
    rx: InboundSa,
    burst: Vec<Vec<u8>>,
    seal: Duration,
    open: Duration,
}

impl Trial {
    /// Under a key that is no secret and protects nothing.
    fn new(library: Library, cipher: Cipher, datagram: usize) -> Self {
        let (now, spi, limits) = (Instant::now(), Spi::new(0, 0), Limits::default());
        let keymat = vec![0x5a; cipher.keymat_len()];
        let keys = SaKeys::new(cipher, &keymat).expect("as long as the cipher wants");
        let keys = keys.with_library(library);
        Self {
            tx: OutboundSa::new(spi, &keys, limits, now),
            rx: InboundSa::new(spi, &keys, limits, now),
            burst: vec![vec![0x5a; datagram]; BURST],
            seal: Duration::MAX,
            open: Duration::MAX,
        }
    }

    fn round(&mut self) {
        let start = Instant::now();
        for datagram in &mut self.burst {
            let payload = esp::payload_capacity(datagram.len());
            let sealed = esp::seal(&mut self.tx, datagram, payload, NextHeader::Bundle);
            debug_assert_eq!(sealed, Ok(datagram.len()));
        }
        self.seal = self.seal.min(start.elapsed());
        let start = Instant::now();
        for datagram in &mut self.burst {
            let opened = esp::open(&mut self.rx, datagram, start);
            debug_assert!(opened.is_ok(), "it was sealed a moment ago");
        }
        self.open = self.open.min(start.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(times: [(f64, f64); 2]) -> Vec<Measured> {
        let of = |(library, (seal_ns, open_ns)): (&Library, (f64, f64))| Measured {
            library: *library,
            seal_ns,
            open_ns,
        };
        Library::ALL.iter().zip(times).map(of).collect()
    }

    #[test]
    fn the_default_stays_unless_another_is_clearly_faster() {
        for (ring, aws_lc, chosen) in [
            (300.0, 400.0, Library::Ring),
            (300.0, 300.0, Library::Ring),
            (300.0, 286.0, Library::Ring),
            (300.0, 284.0, Library::AwsLc),
        ] {
            let measured = measured([(ring, 1.0), (aws_lc, 1.0)]);
            assert_eq!(faster(&measured, |m| m.seal_ns), chosen, "{ring} {aws_lc}");
        }
    }

    #[test]
    fn sealing_and_opening_are_chosen_apart() {
        let measured = measured([(300.0, 200.0), (200.0, 300.0)]);
        assert_eq!(faster(&measured, |m| m.seal_ns), Library::AwsLc);
        assert_eq!(faster(&measured, |m| m.open_ns), Library::Ring);
    }

    #[test]
    fn auto_measures_every_library_and_says_so() {
        for (cipher, asked, size) in [
            (Cipher::Aes256Gcm, 1_472, 1_472),
            (Cipher::Aes128Gcm, 0, wire::MIN_DATAGRAM_SIZE),
            (Cipher::Aes256Gcm, 70_000, wire::MAX_DATAGRAM_SIZE),
        ] {
            let libraries = Libraries::choose(AeadName::Auto, cipher, asked);
            assert_eq!(libraries.datagram, size);
            let of: Vec<_> = libraries.measured.iter().map(|m| m.library).collect();
            assert_eq!(of, Library::ALL);
            let plausible = |ns: f64| 1.0 < ns && ns < 1e9;
            assert!(
                libraries
                    .measured
                    .iter()
                    .all(|m| plausible(m.seal_ns) && plausible(m.open_ns))
            );
            let why = libraries.why();
            assert!(
                why.contains("ring seals in") && why.contains("aws-lc-rs seals in"),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_told_is_not_measured() {
        for (aead, library) in [
            (AeadName::Ring, Library::Ring),
            (AeadName::AwsLc, Library::AwsLc),
        ] {
            let libraries = Libraries::choose(aead, Cipher::Aes256Gcm, 1_472);
            assert_eq!((libraries.seal, libraries.open), (library, library));
            assert!(libraries.measured.is_empty() && libraries.why().contains("--aead"));
        }
    }
}
