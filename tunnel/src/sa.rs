//! Security associations: one key, one direction, one lane.
//!
//! No key has two senders and no sequence number is used twice, so no nonce
//! ever repeats. The limits that keep AES-GCM safe are enforced here, at both
//! ends, whatever the session above does or fails to do.

use crate::aead::{Cipher, Key, NONCE_LEN};
use crate::replay::ReplayWindow;
use crate::{DropReason, Spi};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Bytes of salt behind the key in the keying material (RFC 4106 section 8.1).
pub const SALT_LEN: usize = 4;
const MAX_KEYMAT: usize = 32 + SALT_LEN;

impl Cipher {
    /// Bytes of keying material an SA takes from the session: the key, then the salt.
    pub const fn keymat_len(self) -> usize {
        self.key_len() + SALT_LEN
    }
}

/// The secret of one SA: key and salt. Zeroed when dropped, never shown.
pub struct SaKeys {
    cipher: Cipher,
    keymat: Zeroizing<[u8; MAX_KEYMAT]>,
}

/// The keying material has another length than the cipher's [`Cipher::keymat_len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cipher} takes {} bytes of keying material, not {given}", cipher.keymat_len())]
pub struct KeymatLength {
    cipher: Cipher,
    given: usize,
}

impl SaKeys {
    /// The keys in `keymat`: the key, then the 4-byte salt (KEYMAT of RFC 4106 section 8.1).
    ///
    /// # Errors
    /// [`KeymatLength`] unless there are exactly [`Cipher::keymat_len`] bytes.
    pub fn new(cipher: Cipher, keymat: &[u8]) -> Result<Self, KeymatLength> {
        if keymat.len() != cipher.keymat_len() {
            return Err(KeymatLength {
                cipher,
                given: keymat.len(),
            });
        }
        let mut keys = Self {
            cipher,
            keymat: Zeroizing::new([0; MAX_KEYMAT]),
        };
        keys.keymat[..keymat.len()].copy_from_slice(keymat);
        Ok(keys)
    }

    /// The cipher that the key is for.
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Key and salt, as Wireshark and scapy take them. For the SA log only.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.keymat[..self.cipher.keymat_len()]
    }

    /// This SA as a line of Wireshark's `esp_sa` table, without a line end.
    ///
    /// Whoever has this line can read the lane: for an operator's SA log only.
    pub fn wireshark_line(&self, family: IpFamily, spi: Spi) -> String {
        use std::fmt::Write;
        let protocol = match family {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
        };
        let mut hex = Zeroizing::new(String::with_capacity(2 * MAX_KEYMAT));
        for byte in self.key_and_salt() {
            write!(hex, "{byte:02x}").expect("a String takes all that memory holds");
        }
        let cipher = "AES-GCM with 16 octet ICV [RFC4106]";
        format!(
            r#""{protocol}","*","*","{spi}","{cipher}","0x{}","NULL","""#,
            *hex
        )
    }

    fn key(&self) -> &[u8] {
        &self.keymat[..self.cipher.key_len()]
    }

    fn salt(&self) -> [u8; SALT_LEN] {
        let salt = &self.key_and_salt()[self.cipher.key_len()..];
        salt.try_into().expect("keymat_len is key_len and SALT_LEN")
    }
}

/// The outer IP version of a lane, which Wireshark's table wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpFamily {
    /// Internet Protocol version 4.
    V4,
    /// Internet Protocol version 6.
    V6,
}

impl From<IpAddr> for IpFamily {
    /// What is on the wire: a dual-stack socket's IPv4-mapped address is IPv4.
    fn from(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

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
            key: Key::new(keys.cipher, keys.key()),
            salt: keys.salt(),
            datagrams: limits.datagrams,
            expires: now.checked_add(limits.lifetime),
        }
    }

    /// Salt, then the IV (RFC 4106 section 4).
    #[inline]
    fn nonce(&self, sequence: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..SALT_LEN].copy_from_slice(&self.salt);
        nonce[SALT_LEN..].copy_from_slice(&sequence.to_be_bytes());
        nonce
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
mod tests {
    use super::*;

    fn keys(cipher: Cipher) -> SaKeys {
        let keymat: Vec<u8> = (0..cipher.keymat_len() as u8).collect();
        SaKeys::new(cipher, &keymat).unwrap()
    }

    #[test]
    fn keying_material_has_one_length() {
        for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Gcm] {
            for given in [0, cipher.key_len(), cipher.keymat_len() + 1] {
                let error = SaKeys::new(cipher, &vec![1; given]).err();
                assert_eq!(error, Some(KeymatLength { cipher, given }));
            }
        }
        let error = KeymatLength {
            cipher: Cipher::Aes128Gcm,
            given: 7,
        };
        assert_eq!(
            error.to_string(),
            "aes-128-gcm takes 20 bytes of keying material, not 7"
        );
    }

    #[test]
    fn wireshark_line_is_the_tables_form() {
        let line = keys(Cipher::Aes128Gcm).wireshark_line(IpFamily::V4, Spi::new(0x1000, 1));
        assert_eq!(
            line,
            r#""IPv4","*","*","0x00001001","AES-GCM with 16 octet ICV [RFC4106]","0x000102030405060708090a0b0c0d0e0f10111213","NULL","""#
        );
    }

    #[test]
    fn mapped_addresses_are_ipv4_on_the_wire() {
        let families = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]
            .map(|text| IpFamily::from(text.parse::<IpAddr>().unwrap()));
        assert_eq!(families, [IpFamily::V4, IpFamily::V4, IpFamily::V6]);
    }

    #[test]
    fn sequence_numbers_never_go_back_nor_past_the_limit() {
        let limits = Limits {
            datagrams: 12,
            ..Limits::default()
        };
        let mut sa = OutboundSa::new(
            Spi::new(1 << 20, 0),
            &keys(Cipher::Aes256Gcm),
            limits,
            Instant::now(),
        );
        assert_eq!(sa.next_sequence(), Ok(1));
        sa.skip_to(10);
        assert_eq!(sa.next_sequence(), Ok(10));
        sa.skip_to(3);
        assert_eq!(sa.next_sequence(), Ok(11));
        assert_eq!(sa.next_sequence(), Ok(12));
        assert_eq!(sa.next_sequence(), Err(DropReason::KeyWorn));
        sa.skip_to(u64::MAX);
        assert_eq!(sa.next_sequence(), Err(DropReason::KeyWorn));
    }

    #[test]
    fn an_endless_lifetime_does_not_overflow() {
        let limits = Limits {
            lifetime: Duration::MAX,
            ..Limits::default()
        };
        let now = Instant::now();
        let sa = OutboundSa::new(Spi::new(1 << 20, 0), &keys(Cipher::Aes256Gcm), limits, now);
        assert_eq!(sa.admit(now + Duration::from_secs(1 << 31), 1), Ok(()));
    }
}
