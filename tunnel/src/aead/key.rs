//! A key of either library.

use super::{Cipher, Library, NONCE_LEN, TAG_LEN, TagMismatch};
use aws_lc_rs::aead as aws_lc;
use ring::aead as ring_aead;

const KEY_LEN: &str = "the caller gives key_len bytes";
const TOO_LONG: &str = "a datagram is far below GCM's 64 GiB";

/// A key, expanded and ready to seal and open.
///
/// Which library it is of is asked once per datagram, and the answer is always the same: next to
/// the cipher that costs nothing, and lanes need no type parameter for it. Sealing and opening
/// are not inlined: with the code of two libraries in them, the loops over frames around them
/// got slower by up to a tenth.
#[allow(
    clippy::large_enum_variant,
    reason = "ring's key schedule stands in the SA itself: no pointer to follow"
)]
pub(crate) enum Key {
    Ring(ring_aead::LessSafeKey),
    AwsLc(aws_lc::LessSafeKey),
    /// No cipher at all; see [`SaKeys::unprotected`](crate::sa::SaKeys::unprotected).
    #[cfg(feature = "measure")]
    Null,
}

impl Key {
    /// Expands `bytes`, of which there must be [`Cipher::key_len`].
    pub(crate) fn new(library: Library, cipher: Cipher, bytes: &[u8]) -> Self {
        match library {
            Library::Ring => {
                let algorithm = match cipher {
                    Cipher::Aes256Gcm => &ring_aead::AES_256_GCM,
                    Cipher::Aes128Gcm => &ring_aead::AES_128_GCM,
                };
                let key = ring_aead::UnboundKey::new(algorithm, bytes).expect(KEY_LEN);
                Self::Ring(ring_aead::LessSafeKey::new(key))
            }
            Library::AwsLc => {
                let algorithm = match cipher {
                    Cipher::Aes256Gcm => &aws_lc::AES_256_GCM,
                    Cipher::Aes128Gcm => &aws_lc::AES_128_GCM,
                };
                let key = aws_lc::UnboundKey::new(algorithm, bytes).expect(KEY_LEN);
                Self::AwsLc(aws_lc::LessSafeKey::new(key))
            }
        }
    }

    /// Encrypts `text` in place and returns the tag over it and `associated`.
    ///
    /// A nonce must never be used twice with one key: see [`crate::sa::OutboundSa`].
    #[inline(never)]
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG_LEN] {
        match self {
            Self::Ring(key) => {
                let nonce = ring_aead::Nonce::assume_unique_for_key(nonce);
                let associated = ring_aead::Aad::from(associated);
                let tag = key.seal_in_place_separate_tag(nonce, associated, text);
                tag_bytes(tag.expect(TOO_LONG).as_ref())
            }
            Self::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let associated = aws_lc::Aad::from(associated);
                let tag = key.seal_in_place_separate_tag(nonce, associated, text);
                tag_bytes(tag.expect(TOO_LONG).as_ref())
            }
            #[cfg(feature = "measure")]
            Self::Null => [0; TAG_LEN],
        }
    }

    /// Verifies the tag at the end of `text_and_tag` and decrypts what is before it, in place.
    ///
    /// # Errors
    /// [`TagMismatch`] if the tag is wrong or missing; the bytes are then worthless.
    #[inline(never)]
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        text_and_tag: &mut [u8],
    ) -> Result<(), TagMismatch> {
        let verified = match self {
            Self::Ring(key) => {
                let nonce = ring_aead::Nonce::assume_unique_for_key(nonce);
                let associated = ring_aead::Aad::from(associated);
                key.open_in_place(nonce, associated, text_and_tag).is_ok()
            }
            Self::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let associated = aws_lc::Aad::from(associated);
                key.open_in_place(nonce, associated, text_and_tag).is_ok()
            }
            #[cfg(feature = "measure")]
            Self::Null => text_and_tag.ends_with(&[0; TAG_LEN]),
        };
        if verified { Ok(()) } else { Err(TagMismatch) }
    }
}

#[inline]
fn tag_bytes(tag: &[u8]) -> [u8; TAG_LEN] {
    tag.try_into().expect("GCM tags have 16 bytes")
}
