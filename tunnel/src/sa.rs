//! Security associations: one key, one direction, one lane.
//!
//! No key has two senders and no sequence number is used twice, so no nonce
//! ever repeats. The limits that keep AES-GCM safe are enforced here, at both
//! ends, whatever the session above does or fails to do.

mod keys;

pub use keys::{IpFamily, KeymatLength, SALT_LEN, SaKeys};

use crate::aead::{Key, NONCE_LEN};
use crate::replay::ReplayWindow;
use crate::{DropReason, Spi};
use std::time::{Duration, Instant};

/// When a key is worn: the hard stop, far behind the rekeying of a healthy session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most datagrams under one key (RFC 9001 section 6.6 has 2^28 for packets of 2^11 bytes).
    pub datagrams: u64,
    /// The longest that one key is used.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            datagrams: 1 << 28,
            lifetime: Duration::from_secs(180),
        }
    }
}

/// What both directions have: the key and what wears it.
struct Sa {
    spi: Spi,
    key: Key,
    salt: [u8; SALT_LEN],
    datagrams: u64,
    /// None if the clock cannot count as far as the lifetime.
    expires: Option<Instant>,
}

impl Sa {
    fn new(spi: Spi, keys: &SaKeys, limits: Limits, now: Instant) -> Self {
        Self {
            spi,
            key: keys.expand(),
            salt: keys.salt(),
            datagrams: limits.datagrams,
            expires: now.checked_add(limits.lifetime),
        }
    }

    /// Salt, then the IV (RFC 4106 section 4).
    #[inline]
    fn nonce(&self, sequence: u64) -> [u8; NONCE_LEN] {
        // Put together in registers: who reads it a moment later waits for bytes that were written in other parts.
        let salt = u128::from(u32::from_le_bytes(self.salt));
        let iv = u128::from(u64::from_le_bytes(sequence.to_be_bytes()));
        let bytes = (salt | iv << (8 * SALT_LEN)).to_le_bytes();
        *bytes.first_chunk::<NONCE_LEN>().expect("16 bytes")
    }

    /// SPI, then the 64-bit extended sequence number (RFC 4106 section 5, figure 3).
    #[inline]
    fn associated_data(&self, sequence: u64) -> [u8; 12] {
        let mut data = [0; 12];
        data[..4].copy_from_slice(&self.spi.to_be_bytes());
        data[4..].copy_from_slice(&sequence.to_be_bytes());
        data
    }

    #[inline]
    fn check_age(&self, now: Instant) -> Result<(), DropReason> {
        match self.expires {
            Some(expires) if now >= expires => Err(DropReason::KeyWorn),
            _ => Ok(()),
        }
    }
}

/// The sender's half of an SA: the key and the sequence numbers it gives out.
pub struct OutboundSa {
    sa: Sa,
    sequence: u64,
}

impl OutboundSa {
    /// A fresh SA that may seal from `now` on until `limits`. One sender per key.
    pub fn new(spi: Spi, keys: &SaKeys, limits: Limits, now: Instant) -> Self {
        Self {
            sa: Sa::new(spi, keys, limits, now),
            sequence: 0,
        }
    }

    /// The SPI that leads each datagram.
    #[inline]
    pub const fn spi(&self) -> Spi {
        self.sa.spi
    }

    /// The last sequence number given out, 0 before the first.
    #[inline]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Leaves out sequence numbers so that the next is `next`. They only ever
    /// go up: a smaller number changes nothing.
    pub fn skip_to(&mut self, next: u64) {
        self.sequence = self.sequence.max(next.saturating_sub(1));
    }

    /// Whether `datagrams` more may be sealed, starting now.
    ///
    /// # Errors
    /// [`DropReason::KeyWorn`] if that would pass the hard limit, or the age is reached.
    #[inline]
    pub fn admit(&self, now: Instant, datagrams: u64) -> Result<(), DropReason> {
        self.sa.check_age(now)?;
        if datagrams > self.sa.datagrams.saturating_sub(self.sequence) {
            return Err(DropReason::KeyWorn);
        }
        Ok(())
    }

    /// Gives out the next sequence number; never past the hard limit.
    #[inline]
    pub(crate) fn next_sequence(&mut self) -> Result<u64, DropReason> {
        if self.sequence >= self.sa.datagrams {
            return Err(DropReason::KeyWorn);
        }
        self.sequence += 1;
        Ok(self.sequence)
    }

    /// Encrypts `text` in place under `sequence`, which came from
    /// [`next_sequence`](Self::next_sequence) just now, and returns the ICV.
    #[inline]
    pub(crate) fn seal(&self, sequence: u64, text: &mut [u8]) -> [u8; crate::wire::ESP_ICV] {
        let sa = &self.sa;
        sa.key
            .seal(sa.nonce(sequence), &sa.associated_data(sequence), text)
    }
}

/// The receiver's half of an SA: the key and the replay window.
pub struct InboundSa {
    sa: Sa,
    window: ReplayWindow,
}

impl InboundSa {
    /// A fresh SA that opens datagrams from `now` on until `limits`.
    pub fn new(spi: Spi, keys: &SaKeys, limits: Limits, now: Instant) -> Self {
        Self {
            sa: Sa::new(spi, keys, limits, now),
            window: ReplayWindow::default(),
        }
    }

    /// The SPI that the sender puts first in each datagram.
    #[inline]
    pub const fn spi(&self) -> Spi {
        self.sa.spi
    }

    /// The highest authentic sequence number so far, 0 before the first.
    #[inline]
    pub const fn highest(&self) -> u64 {
        self.window.highest()
    }

    /// What can be said before the tag is verified: the key's age, and the replay window.
    #[inline]
    pub(crate) fn check(&self, sequence: u64, now: Instant) -> Result<(), DropReason> {
        self.sa.check_age(now)?;
        self.window.check(sequence)
    }

    /// Verifies and decrypts `text_and_icv` in place and marks `sequence` as seen.
    #[inline]
    pub(crate) fn open(
        &mut self,
        sequence: u64,
        text_and_icv: &mut [u8],
    ) -> Result<(), DropReason> {
        let sa = &self.sa;
        let data = sa.associated_data(sequence);
        let opened = sa.key.open(sa.nonce(sequence), &data, text_and_icv);
        opened.map_err(|_| DropReason::BadTag)?;
        // Only now: a forged number must not pass for a worn key, nor move the window.
        if sequence > sa.datagrams {
            return Err(DropReason::KeyWorn);
        }
        self.window.update(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
