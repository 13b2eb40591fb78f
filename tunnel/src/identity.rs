//! Who an end is: one Ed25519 key pair (RFC 8032), pinned by the other end.
//!
//! Keys are written as WireGuard writes its keys: standard base64 of 32 bytes, 44
//! characters. The private key is the RFC 8032 seed; there are no certificates and
//! nothing expires.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// Bytes of a private and of a public key.
pub const KEY_LEN: usize = 32;

/// DER of `OneAsymmetricKey` version 1 for id-Ed25519 up to the seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// DER of `SubjectPublicKeyInfo` for id-Ed25519 up to the key (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why a text is no key. The texts name what was found, never the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but white space.
    #[error("the key is empty: make one with `causeway keygen`")]
    Empty,
    /// A key of another program or in another notation.
    #[error(
        "this looks like {0}: a causeway key is 44 characters of base64, as `causeway keygen` makes it"
    )]
    LooksLike(&'static str),
    /// Some character is not base64, or the padding is wrong.
    #[error(
        "the key is not base64: it must be 44 characters of A-Z, a-z, 0-9, + and / that end in ="
    )]
    NotBase64,
    /// Base64, but of another number of bytes.
    #[error("the key has {0} bytes and must have 32: was it cut or typed twice?")]
    WrongLength(usize),
    /// 32 zero bytes, which is a placeholder and no key.
    #[error("the key is all zeros, a placeholder: make one with `causeway keygen`")]
    AllZeros,
}

/// An Ed25519 private key: the 32-byte seed, overwritten when dropped.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<[u8; KEY_LEN]>);

impl PrivateKey {
    /// A new key from the operating system's random number generator.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give.
    pub fn generate() -> PrivateKey {
        let mut seed = Zeroizing::new([0; KEY_LEN]);
        SystemRandom::new()
            .fill(&mut *seed)
            .expect("getrandom(2) works on every kernel we run on");
        PrivateKey(seed)
    }

    /// The key whose RFC 8032 seed is `seed`.
    pub fn from_bytes(seed: [u8; KEY_LEN]) -> PrivateKey {
        PrivateKey(Zeroizing::new(seed))
    }

    /// The RFC 8032 seed.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The public half, to be given to the other end.
    pub fn public(&self) -> PublicKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*self.0).expect("the seed has 32 bytes");
        let mut public = [0; KEY_LEN];
        public.copy_from_slice(pair.public_key().as_ref());
        PublicKey(public)
    }

    /// The text for a key file: 44 characters of base64. (There is no `Display`, so that a
    /// private key cannot slip into a log.)
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    /// PKCS#8 version 1 (RFC 8410 section 7), which is what TLS libraries read. The caller zeroizes it.
    pub fn to_pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from([&PKCS8_PREFIX[..], &self.0[..]].concat())
    }
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    /// Reads the base64 text; white space around it is ignored.
    fn from_str(text: &str) -> Result<PrivateKey, KeyError> {
        parse_key(text).map(PrivateKey)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// An Ed25519 public key: the identity of an end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// The key with these bytes (RFC 8032 section 5.1.2).
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> PublicKey {
        PublicKey(bytes)
    }

    /// The bytes of RFC 8032 section 5.1.2.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The `SubjectPublicKeyInfo` that a TLS raw public key (RFC 7250) carries.
    pub fn to_spki(&self) -> CertificateDer<'static> {
        CertificateDer::from([&SPKI_PREFIX[..], &self.0[..]].concat())
    }

    /// The key in a `SubjectPublicKeyInfo`; `None` if that is no Ed25519 key.
    pub fn from_spki(der: &[u8]) -> Option<PublicKey> {
        let key = der.strip_prefix(&SPKI_PREFIX)?;
        key.try_into().ok().map(PublicKey)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads the base64 text; white space around it is ignored.
    fn from_str(text: &str) -> Result<PublicKey, KeyError> {
        parse_key(text).map(|bytes| PublicKey(*bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

fn parse_key(text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some(other) = other_notation(text) {
        return Err(KeyError::LooksLike(other));
    }
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError::NotBase64)?);
    let key: [u8; KEY_LEN] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| KeyError::WrongLength(bytes.len()))?;
    if key == [0; KEY_LEN] {
        return Err(KeyError::AllZeros);
    }
    Ok(Zeroizing::new(key))
}

/// What people paste instead of a key. 64 hexadecimal digits are valid base64 too (of 48 bytes),
/// so this comes before decoding.
fn other_notation(text: &str) -> Option<&'static str> {
    if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
        return Some("an OpenSSH public key");
    }
    if text.starts_with("-----BEGIN OPENSSH") {
        return Some("an OpenSSH private key");
    }
    if text.starts_with("-----BEGIN") {
        return Some("a PEM key or certificate");
    }
    if text.len() == 2 * KEY_LEN && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some("a hexadecimal key");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 section 7.1, test 1.
    const SEED: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ];
    const PUBLIC: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];

    #[test]
    fn public_key_is_the_one_of_rfc_8032() {
        assert_eq!(PrivateKey::from_bytes(SEED).public().as_bytes(), &PUBLIC);
    }

    #[test]
    fn base64_round_trip_ignores_white_space_around() {
        let key = PrivateKey::generate();
        let again: PrivateKey = format!("  {}\n", *key.to_base64()).parse().unwrap();
        assert_eq!(key.as_bytes(), again.as_bytes());
        assert_eq!(key.to_base64().len(), 44);
        let public = key.public();
        assert_eq!(public.to_string().parse(), Ok(public));
    }

    #[test]
    fn spki_round_trip_and_refusal_of_other_algorithms() {
        let public = PublicKey::from_bytes(PUBLIC);
        let mut spki = public.to_spki().to_vec();
        assert_eq!(PublicKey::from_spki(&spki), Some(public));
        assert_eq!(PublicKey::from_spki(&spki[..43]), None);
        spki[8] = 0x6e; // id-X25519
        assert_eq!(PublicKey::from_spki(&spki), None);
    }

    #[test]
    fn pkcs8_is_read_by_ring() {
        let der = PrivateKey::from_bytes(SEED).to_pkcs8();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
        assert_eq!(pair.public_key().as_ref(), PUBLIC);
    }

    #[test]
    fn wrong_texts_are_told_apart() {
        let error = |text: &str| text.parse::<PublicKey>().unwrap_err();
        assert_eq!(error(" \n"), KeyError::Empty);
        assert_eq!(error("not a key!"), KeyError::NotBase64);
        assert_eq!(error("YWJj"), KeyError::WrongLength(3));
        assert_eq!(error(&STANDARD.encode([7; 33])), KeyError::WrongLength(33));
        assert_eq!(error(&STANDARD.encode([0; 32])), KeyError::AllZeros);
        assert_eq!(
            error(&"ab".repeat(32)),
            KeyError::LooksLike("a hexadecimal key")
        );
        let ssh = error("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@here");
        assert_eq!(ssh, KeyError::LooksLike("an OpenSSH public key"));
        assert!(matches!(
            error("-----BEGIN PRIVATE KEY-----"),
            KeyError::LooksLike(_)
        ));
    }

    #[test]
    fn debug_shows_no_private_key() {
        let key = PrivateKey::from_bytes(SEED);
        assert_eq!(format!("{key:?}"), "PrivateKey(redacted)");
    }
}
