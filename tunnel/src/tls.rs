//! TLS 1.3 for the session: raw public keys on both sides (RFC 7250), pinned; the key exchange
//! X25519MLKEM768 and nothing else, so that recorded traffic stays closed to a quantum computer.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme, version,
};
use zeroize::Zeroize;

use crate::identity::{PrivateKey, PublicKey};

/// Application protocol (RFC 7301).
pub(crate) const ALPN: &[u8] = b"causeway";

/// A name for rustls, which wants one; it is neither sent nor checked.
pub(crate) const SERVER_NAME: &str = "causeway";

/// The keys that may dial us. Clones share one set.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedKeys(Arc<RwLock<HashSet<PublicKey>>>);

impl TrustedKeys {
    pub(crate) fn replace(&self, keys: impl IntoIterator<Item = PublicKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys.into_iter().collect();
    }

    fn contains(&self, key: &PublicKey) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    }
}

/// The key that the other end presented in one handshake, trusted or not. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presented(Arc<OnceLock<PublicKey>>);

impl Presented {
    pub(crate) fn get(&self) -> Option<PublicKey> {
        self.0.get().copied()
    }
}

/// Which keys a handshake accepts.
#[derive(Debug)]
enum Pinned {
    Exactly(PublicKey),
    AnyOf(TrustedKeys),
}

#[derive(Debug)]
struct PinnedVerifier {
    pinned: Pinned,
    presented: Presented,
}

impl PinnedVerifier {
    fn verify_key(&self, spki: &CertificateDer<'_>) -> Result<(), Error> {
        let key = PublicKey::from_spki(spki).ok_or(CertificateError::BadEncoding)?;
        // A handshake presents one key; a second would be rustls's mistake and changes nothing.
        let _ = self.presented.0.set(key);
        let trusted = match &self.pinned {
            Pinned::Exactly(pinned) => *pinned == key,
            Pinned::AnyOf(keys) => keys.contains(&key),
        };
        match trusted {
            true => Ok(()),
            // Sent to the peer as the TLS alert access_denied.
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_signature(
        message: &[u8],
        spki: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(spki.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signature, &signature_algorithms())
    }
}

fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_key(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for PinnedVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify_key(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Raw public keys have no dates, so a wrong clock must not stop a handshake: rustls's own
/// provider panics before 1970, where an appliance without a battery-backed clock starts.
#[derive(Debug)]
struct AnyTime;

impl TimeProvider for AnyTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(
            std::time::UNIX_EPOCH.elapsed().unwrap_or_default(),
        ))
    }
}

fn signature_algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    })
}

/// The suite of QUIC's Initial packets, fixed by RFC 9001 section 5.2 and never negotiated here.
fn initial_suite() -> rustls::quic::Suite {
    cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|suite| suite.quic_suite())
        .expect("aws-lc-rs has AES-128-GCM for QUIC")
}

/// Our key in the form that rustls wants, made once.
#[derive(Clone, Debug)]
pub(crate) struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    pub(crate) fn new(identity: &PrivateKey) -> TlsIdentity {
        let mut der = identity.to_pkcs8();
        let key = aws_lc_rs::sign::any_eddsa_type(&der)
            .expect("every seed of 32 bytes is an Ed25519 key");
        der.zeroize();
        TlsIdentity(Arc::new(CertifiedKey::new(
            vec![identity.public().to_spki()],
            key,
        )))
    }
}

/// For one dial that accepts exactly the key `expect`.
pub(crate) fn client_config(
    identity: &TlsIdentity,
    expect: PublicKey,
    presented: Presented,
) -> Arc<QuicClientConfig> {
    let verifier = PinnedVerifier {
        pinned: Pinned::Exactly(expect),
        presented,
    };
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(AnyTime))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the suite is one of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
            identity.0.clone(),
        )));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    // Each session is a full handshake: resumption would skip the peer's signature.
    config.resumption = Resumption::disabled();
    let quic = QuicClientConfig::with_initial(Arc::new(config), initial_suite());
    Arc::new(quic.expect("the initial suite is AES-128-GCM"))
}

/// For one accepted handshake that accepts any key of `trusted`.
pub(crate) fn server_config(
    identity: &TlsIdentity,
    trusted: TrustedKeys,
    presented: Presented,
) -> Arc<QuicServerConfig> {
    let verifier = PinnedVerifier {
        pinned: Pinned::AnyOf(trusted),
        presented,
    };
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(AnyTime))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the suite is one of TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
            identity.0.clone(),
        )));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let quic = QuicServerConfig::with_initial(Arc::new(config), initial_suite());
    Arc::new(quic.expect("the initial suite is AES-128-GCM"))
}
