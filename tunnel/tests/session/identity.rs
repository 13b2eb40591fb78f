//! Who gets a session, and what the others are told.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use causeway_tunnel::identity::PrivateKey;
use causeway_tunnel::message::{ByeReason, Hello, Role};
use causeway_tunnel::session::{SessionCounter, SessionError, SessionOptions};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group, sign::any_eddsa_type};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::support::*;

#[tokio::test]
async fn both_ends_know_each_others_keys_and_hellos() {
    for bind in [V4, V6] {
        let (site, cloud) = pair(bind);
        let (dialed, accepted) = connect(&site, &cloud).await;
        assert_eq!(dialed.peer(), cloud.public());
        assert_eq!(accepted.peer(), site.public());
        assert!(dialed.is_dialer() && !accepted.is_dialer());
        assert_eq!(dialed.hello().role, Role::Cloud);
        assert_eq!(accepted.hello().role, Role::Site);
        assert_eq!(dialed.remote_address(), cloud.addr());
        assert_eq!(accepted.remote_address(), site.addr());
        assert_eq!(accepted.local_ip(), Some(cloud.addr().ip()));
        assert_eq!(
            cloud
                .endpoint
                .counters()
                .get(SessionCounter::HandshakeAccepted),
            1
        );
        assert_eq!(
            site.endpoint
                .counters()
                .get(SessionCounter::HandshakeDialed),
            1
        );
    }
}

#[tokio::test]
async fn dual_stack_sockets_show_ipv4_addresses_as_such() {
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let cloud = End::new("[::]:0", a.clone(), &[&b], hello(Role::Cloud));
    let site = End::new(V4, b, &[&a], hello(Role::Site));
    let addr = format!("127.0.0.1:{}", cloud.addr().port())
        .parse()
        .unwrap();
    let (_dialed, accepted) = connect_to(&site, &cloud, addr).await;
    assert_eq!(accepted.remote_address(), site.addr());
}

#[tokio::test]
async fn a_stranger_is_refused_and_both_ends_say_what_to_do() {
    let (site, cloud) = pair(V4);
    let stranger = End::new(V4, PrivateKey::generate(), &[&cloud.key], hello(Role::Site));
    let (dialed, accepted) = tokio::join!(stranger.dial(&cloud), cloud.accept());

    let error = dialed.unwrap_err();
    assert_eq!(
        error,
        SessionError::KeyRefused {
            addr: cloud.addr(),
            ours: stranger.public()
        }
    );
    let mend = format!(
        "refused our key: add our public key {} as a --peer there",
        stranger.public()
    );
    assert!(error.to_string().ends_with(&mend), "{error}");

    let error = accepted.unwrap_err();
    let (addr, presented) = (stranger.addr(), stranger.public());
    assert_eq!(error, SessionError::Stranger { addr, presented });
    assert!(
        error.to_string().contains(&presented.to_string()),
        "{error}"
    );
    let counters = cloud.endpoint.counters();
    assert_eq!(counters.get(SessionCounter::HandshakeStranger), 1);
    assert_eq!(counters.get(SessionCounter::HandshakeAccepted), 0);
    connect(&site, &cloud).await;

    // Trusted from now on, without a restart.
    cloud.endpoint.set_trusted([stranger.public()]);
    connect(&stranger, &cloud).await;
    assert!(matches!(
        site.dial(&cloud).await,
        Err(SessionError::KeyRefused { .. })
    ));
}

#[tokio::test]
async fn a_dialer_refuses_another_key_than_the_pinned_one_and_prints_both() {
    let (site, cloud) = pair(V6);
    let expected = PrivateKey::generate().public();
    let dial = site.endpoint.dial(cloud.addr(), &expected);
    let (dialed, accepted) = tokio::join!(within(dial), cloud.accept());
    let error = dialed.unwrap_err();
    let (addr, presented) = (cloud.addr(), cloud.public());
    assert_eq!(
        error,
        SessionError::WrongKey {
            addr,
            expected,
            presented
        }
    );
    let text = error.to_string();
    assert!(
        text.contains(&expected.to_string()) && text.contains(&presented.to_string()),
        "{text}"
    );
    let error = accepted.unwrap_err();
    assert_eq!(
        error,
        SessionError::NotExpected {
            addr: site.addr(),
            ours: cloud.public()
        }
    );
}

#[tokio::test]
async fn silence_names_the_port() {
    let (site, cloud) = pair_with(
        V4,
        SessionOptions {
            handshake_timeout: Duration::from_millis(300),
            ..Default::default()
        },
    );
    let silent = UdpSocket::bind(V4).unwrap();
    let addr = silent.local_addr().unwrap();
    let error = within(site.endpoint.dial(addr, &cloud.public()))
        .await
        .unwrap_err();
    let text = format!(
        "no answer within 0.3 s from {addr}: is causeway running there, and does \
                        UDP port {} reach it?",
        addr.port()
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(site.endpoint.counters().get(SessionCounter::DialFailed), 1);
}

#[tokio::test]
async fn ipv6_from_an_ipv4_socket_is_explained() {
    let (site, cloud) = pair(V4);
    let addr = "[::1]:24500".parse().unwrap();
    let error = site.endpoint.dial(addr, &cloud.public()).await.unwrap_err();
    assert!(error.to_string().contains("listen on [::]"), "{error}");
}

#[tokio::test]
async fn other_versions_and_equal_roles_are_told_apart() {
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let newer = |role| Hello {
        version: 2,
        ..hello(role)
    };

    let cloud = End::new(V4, a.clone(), &[&b], newer(Role::Cloud));
    let site = End::new(V4, b.clone(), &[&a], hello(Role::Site));
    let (dialed, _) = tokio::join!(site.dial(&cloud), cloud.accept());
    let version = SessionError::Version {
        addr: cloud.addr(),
        theirs: 2,
    };
    assert_eq!(dialed.unwrap_err(), version);

    let cloud = End::new(V4, a.clone(), &[&b], hello(Role::Cloud));
    let site = End::new(V4, b.clone(), &[&a], newer(Role::Site));
    let (_, accepted) = tokio::join!(site.dial(&cloud), cloud.accept());
    assert_eq!(
        accepted.unwrap_err(),
        SessionError::Version {
            addr: site.addr(),
            theirs: 2
        }
    );

    let site = End::new(V4, b.clone(), &[&a], hello(Role::Cloud));
    let (dialed, accepted) = tokio::join!(site.dial(&cloud), cloud.accept());
    let error = dialed.unwrap_err();
    assert_eq!(
        error,
        SessionError::SameRole {
            addr: cloud.addr(),
            role: Role::Cloud
        }
    );
    let accepted = accepted.unwrap_err();
    assert_eq!(
        accepted,
        SessionError::SameRole {
            addr: site.addr(),
            role: Role::Cloud
        }
    );

    let site = End::new(
        V4,
        b.clone(),
        &[&a],
        Hello {
            lanes: 0,
            ..hello(Role::Site)
        },
    );
    let (dialed, accepted) = tokio::join!(site.dial(&cloud), cloud.accept());
    assert!(
        matches!(accepted, Err(SessionError::Protocol { .. })),
        "{accepted:?}"
    );
    let closed = dialed.unwrap().closed().await;
    let SessionError::ClosedByPeer(bye) = closed else {
        panic!("{closed}")
    };
    assert_eq!(bye.reason(), ByeReason::Protocol);
}

/// A client that accepts any server.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Dials with a QUIC client of our making: a trusted key, but other TLS parameters.
pub async fn dial_with(
    cloud: &End,
    key: &PrivateKey,
    group: &'static dyn SupportedKxGroup,
    alpn: &[u8],
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let provider = CryptoProvider {
        kx_groups: vec![group],
        ..default_provider()
    };
    let signer = any_eddsa_type(&key.to_pkcs8()).unwrap();
    let certified = Arc::new(CertifiedKey::new(vec![key.public().to_spki()], signer));
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
    tls.alpn_protocols = vec![alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let client = quinn::Endpoint::client(V4.parse().unwrap()).unwrap();
    within(client.connect_with(config, cloud.addr(), "any").unwrap()).await
}

#[tokio::test]
async fn only_x25519mlkem768_is_spoken() {
    let (site, cloud) = pair(V4);
    let hybrid = dial_with(&cloud, &site.key, kx_group::X25519MLKEM768, b"causeway");
    let (dialed, accepted) = tokio::join!(async { hybrid.await.map(drop) }, cloud.accept());
    dialed.expect("the hybrid group alone is enough");
    assert!(
        matches!(accepted, Err(SessionError::ClosedByPeer(_))),
        "it went without a Hello"
    );
    for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::MLKEM768] {
        let (dialed, accepted) = tokio::join!(
            dial_with(&cloud, &site.key, group, b"causeway"),
            cloud.accept()
        );
        assert!(
            matches!(dialed, Err(quinn::ConnectionError::ConnectionClosed(_))),
            "{dialed:?}"
        );
        let error = accepted.unwrap_err().to_string();
        assert!(error.contains("X25519MLKEM768"), "{error}");
    }
    let failed = cloud
        .endpoint
        .counters()
        .get(SessionCounter::HandshakeFailed);
    assert_eq!(failed, 4);
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let (site, cloud) = pair(V4);
    let dial = dial_with(&cloud, &site.key, kx_group::X25519MLKEM768, b"h3");
    let (dialed, accepted) = tokio::join!(dial, cloud.accept());
    assert!(dialed.is_err());
    assert!(
        matches!(accepted, Err(SessionError::NotCauseway(_))),
        "{accepted:?}"
    );
}

#[tokio::test]
async fn an_unusable_mtu_is_refused_at_once() {
    let socket = UdpSocket::bind(V4).unwrap();
    let options = SessionOptions {
        max_udp_payload: 1199,
        ..Default::default()
    };
    let key = PrivateKey::generate();
    let endpoint =
        causeway_tunnel::session::Endpoint::new(socket, &key, [], options, |_| hello(Role::Site));
    assert!(
        endpoint
            .unwrap_err()
            .to_string()
            .contains("must be 1200 to 65527")
    );
}
