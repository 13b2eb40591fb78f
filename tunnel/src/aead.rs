//! The authenticated cipher: AES-GCM with a 96-bit nonce and a 128-bit tag.
//!
//! The only module of the packet half that knows which [`Library`] does the
//! arithmetic. Everything above says key, nonce, associated data.

mod key;

pub(crate) use key::Key;

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

/// Whose code does the arithmetic. Each end chooses for itself: what they compute is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Library {
    /// The crate ring.
    #[default]
    Ring,
    /// AWS-LC, by the crate aws-lc-rs; rustls uses it for the control session, whatever this says.
    AwsLc,
}

impl Library {
    /// Every library, the default first.
    pub const ALL: [Self; 2] = [Self::Ring, Self::AwsLc];

    /// The name in reports and logs: the crate's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::AwsLc => "aws-lc-rs",
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is no library's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown AEAD library {0:?}: use \"ring\" or \"aws-lc\"")]
pub struct UnknownLibrary(pub String);

impl FromStr for Library {
    type Err = UnknownLibrary;

    /// Takes `aws-lc` beside the crate's name.
    fn from_str(name: &str) -> Result<Self, UnknownLibrary> {
        match name {
            "ring" => Ok(Self::Ring),
            "aws-lc" | "aws-lc-rs" => Ok(Self::AwsLc),
            _ => Err(UnknownLibrary(name.to_owned())),
        }
    }
}

/// The tag did not verify. Deliberately says nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagMismatch;

#[cfg(test)]
mod tests;
