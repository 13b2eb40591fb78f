//! Connection ids and stateless-reset tokens that outlive the process.
//!
//! Both come from the private key, so that an end that was killed and started again still
//! recognises the connection ids that it gave out before, and answers packets to them with a
//! stateless reset (RFC 9000 section 10.3) that the peer believes: the peer redials at once,
//! and does not wait for its idle timeout.

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};

use crate::identity::PrivateKey;

const NONCE_LEN: usize = 6;
const TAG_LEN: usize = 6;
/// Bytes of every connection id that this end gives out.
pub(super) const CONNECTION_ID_LEN: usize = NONCE_LEN + TAG_LEN;

const SALT: &[u8] = b"causeway session v1";
const RESET_INFO: &[u8] = b"stateless reset";
const CONNECTION_ID_INFO: &[u8] = b"connection id";

/// HMAC-SHA-256 key = HKDF-SHA-256 (RFC 5869) of the private key, with `info` for its purpose.
fn derive(identity: &PrivateKey, info: &[u8]) -> hmac::Key {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(identity.as_bytes());
    let info = [info];
    let okm = secret
        .expand(&info, hmac::HMAC_SHA256)
        .expect("one hash is below HKDF's limit");
    hmac::Key::from(okm)
}

/// Makes stateless-reset tokens: the first 16 bytes of HMAC-SHA-256 of the connection id.
pub(super) struct ResetKey(hmac::Key);

impl ResetKey {
    pub(super) fn new(identity: &PrivateKey) -> ResetKey {
        ResetKey(derive(identity, RESET_INFO))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(hmac::sign(&self.0, data).as_ref());
    }

    fn signature_len(&self) -> usize {
        hmac::HMAC_SHA256.digest_algorithm().output_len()
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        hmac::verify(&self.0, data, signature).map_err(|_| CryptoError)
    }
}

/// Makes connection ids of 6 random bytes and 6 bytes of HMAC-SHA-256 over them, so that packets
/// with invented ids are told apart without a table.
#[derive(Clone, Debug)]
pub(super) struct ConnectionIds {
    key: hmac::Key,
    random: SystemRandom,
}

impl ConnectionIds {
    pub(super) fn new(identity: &PrivateKey) -> ConnectionIds {
        ConnectionIds {
            key: derive(identity, CONNECTION_ID_INFO),
            random: SystemRandom::new(),
        }
    }

    /// Whether this key made `id`, in this process or an earlier one.
    pub(super) fn made(&self, id: &[u8]) -> bool {
        let Some((nonce, tag)) = id.split_first_chunk::<NONCE_LEN>() else {
            return false;
        };
        *tag == self.tag(nonce)
    }

    fn tag(&self, nonce: &[u8; NONCE_LEN]) -> [u8; TAG_LEN] {
        let full = hmac::sign(&self.key, nonce);
        *full
            .as_ref()
            .first_chunk()
            .expect("a SHA-256 tag has 32 bytes")
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .expect("getrandom(2) works on every kernel we run on");
        ConnectionId::new(&[nonce, self.tag(&nonce)].concat())
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.made(id) {
            Ok(())
        } else {
            Err(InvalidCid)
        }
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_LEN
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_again_after_a_restart_and_to_nobody_else() {
        let identity = PrivateKey::generate();
        let before = ConnectionIds::new(&identity).generate_cid();
        assert!(ConnectionIds::new(&identity).made(&before));
        assert!(!ConnectionIds::new(&PrivateKey::generate()).made(&before));
        assert!(!ConnectionIds::new(&identity).made(&before[..11]));
        for bit in 0..8 * CONNECTION_ID_LEN {
            let mut flipped = before.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!ConnectionIds::new(&identity).made(&flipped));
        }
    }

    #[test]
    fn reset_tokens_survive_a_restart_and_differ_by_id_and_key() {
        let identity = PrivateKey::from_bytes([7; 32]);
        let token = |identity: &PrivateKey, id: &[u8]| {
            let key = ResetKey::new(identity);
            let mut out = vec![0; key.signature_len()];
            key.sign(id, &mut out);
            key.verify(id, &out).unwrap();
            assert!(key.verify(b"other", &out).is_err());
            out
        };
        assert_eq!(token(&identity, b"id"), token(&identity, b"id"));
        assert_ne!(token(&identity, b"id"), token(&identity, b"id2"));
        assert_ne!(
            token(&identity, b"id"),
            token(&PrivateKey::from_bytes([8; 32]), b"id")
        );
    }
}
