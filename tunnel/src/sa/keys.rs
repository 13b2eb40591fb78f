//! The secret of an SA, and the form in which an operator may have it.

use crate::Spi;
use crate::aead::{Cipher, Key, Library};
use std::net::IpAddr;
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
    library: Library,
    #[cfg(feature = "measure")]
    unprotected: bool,
    keymat: Zeroizing<[u8; MAX_KEYMAT]>,
}

/// The keying material has another length than the cipher's [`Cipher::keymat_len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cipher} takes {} bytes of keying material, not {given}", cipher.keymat_len())]
pub struct KeymatLength {
    pub(super) cipher: Cipher,
    pub(super) given: usize,
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
            library: Library::default(),
            #[cfg(feature = "measure")]
            unprotected: false,
            keymat: Zeroizing::new([0; MAX_KEYMAT]),
        };
        keys.keymat[..keymat.len()].copy_from_slice(keymat);
        Ok(keys)
    }

    /// The same keys, for `library` to compute with instead of the default.
    #[must_use]
    pub fn with_library(self, library: Library) -> Self {
        Self { library, ..self }
    }

    /// **No protection at all**: datagrams of the same form and length, in the clear, with a tag
    /// of zeros. For the perf harness, to measure what everything but the cipher costs, on the
    /// real lanes.
    ///
    /// The appliance cannot be brought to it. It is no [`Cipher`], so configuration files,
    /// options and the Hello of a peer have no word for it; the only way here is this call,
    /// which nobody but the harness makes; and without the feature `measure`, as when the
    /// appliance is built by itself, neither the call nor what it does is compiled.
    #[cfg(feature = "measure")]
    #[must_use]
    pub fn unprotected(self) -> Self {
        Self {
            unprotected: true,
            ..self
        }
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
    /// Versions that know no 64-bit sequence numbers (4.0 for one) decrypt with it but
    /// call the ICV incorrect, because they leave the high half out of what it covers.
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

    /// The key, ready for use.
    pub(super) fn expand(&self) -> Key {
        #[cfg(feature = "measure")]
        if self.unprotected {
            return Key::Null;
        }
        let bytes = &self.keymat[..self.cipher.key_len()];
        Key::new(self.library, self.cipher, bytes)
    }

    pub(super) fn salt(&self) -> [u8; SALT_LEN] {
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
