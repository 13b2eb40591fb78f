//! The session's settings and what QUIC makes of them.

use std::sync::Arc;
use std::time::Duration;

use quinn::{
    EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, ValidationTokenConfig,
};

use super::connection_id::{ConnectionIds, ResetKey};
use super::error::SessionError;
use crate::identity::PrivateKey;

/// RFC 9000 section 14: what every path must carry, in bytes of UDP payload.
pub const MIN_UDP_PAYLOAD: u16 = 1200;

/// The largest UDP payload that QUIC's max_udp_payload_size can say, in bytes.
pub const MAX_UDP_PAYLOAD: u16 = 65_527;

/// Receive window of the control stream: more than two of the largest messages.
const STREAM_WINDOW: u32 = 4 << 20;

/// Settings of an [`Endpoint`](super::Endpoint).
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Interval of heartbeats. A peer that is up again after a crash is noticed within it.
    pub keep_alive: Duration,
    /// Silence after which a session is given up.
    pub idle_timeout: Duration,
    /// How long a handshake may take, our own and others'.
    pub handshake_timeout: Duration,
    /// Assumed round-trip time before one is measured; the first packets are repeated after
    /// three times this.
    pub initial_rtt: Duration,
    /// Largest UDP payload to send and to accept, in bytes, [`MIN_UDP_PAYLOAD`] to
    /// [`MAX_UDP_PAYLOAD`]: the link's MTU less 28 (IPv4) or 48 (IPv6).
    pub max_udp_payload: u16,
    /// Interval of full-size datagrams that notice when the path's MTU has shrunk.
    pub path_probe_interval: Duration,
    /// How long after the path's MTU has shrunk its new value is searched.
    pub black_hole_cooldown: Duration,
    /// Pending handshakes of others above which a client must first prove its address (Retry).
    pub retry_above: usize,
    /// Pending handshakes of others above which more are ignored.
    pub max_pending: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        SessionOptions {
            keep_alive: Duration::from_millis(200),
            idle_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            initial_rtt: Duration::from_millis(100),
            max_udp_payload: 1472,
            path_probe_interval: Duration::from_secs(1),
            black_hole_cooldown: Duration::from_secs(2),
            retry_above: 16,
            max_pending: 256,
        }
    }
}

impl SessionOptions {
    pub(super) fn endpoint_config(
        &self,
        identity: &PrivateKey,
    ) -> Result<EndpointConfig, SessionError> {
        let ids = ConnectionIds::new(identity);
        let mut config = EndpointConfig::new(Arc::new(ResetKey::new(identity)));
        config
            .cid_generator(move || Box::new(ids.clone()))
            // The bit that tells QUIC from ESP on a shared port.
            .grease_quic_bit(false)
            .supported_versions(vec![1])
            .max_udp_payload_size(self.max_udp_payload)
            .map_err(|_| {
                SessionError::Socket(format!(
                    "the largest UDP payload is {} bytes and must be {MIN_UDP_PAYLOAD} to {MAX_UDP_PAYLOAD}",
                    self.max_udp_payload
                ))
            })?;
        Ok(config)
    }

    /// `streams`: how many bidirectional streams the other end may open.
    pub(super) fn transport_config(&self, streams: u32) -> Result<TransportConfig, SessionError> {
        let idle = IdleTimeout::try_from(self.idle_timeout)
            .map_err(|_| SessionError::Socket("the idle timeout is too long".into()))?;
        let mut config = TransportConfig::default();
        config
            .max_concurrent_bidi_streams(streams.into())
            .max_concurrent_uni_streams(0u32.into())
            .stream_receive_window(STREAM_WINDOW.into())
            .receive_window(STREAM_WINDOW.into())
            .max_idle_timeout(Some(idle))
            .initial_rtt(self.initial_rtt)
            .initial_mtu(MIN_UDP_PAYLOAD)
            .min_mtu(MIN_UDP_PAYLOAD)
            .mtu_discovery_config(Some(self.mtu_discovery()))
            .datagram_receive_buffer_size(Some(usize::from(u16::MAX)));
        Ok(config)
    }

    fn mtu_discovery(&self) -> MtuDiscoveryConfig {
        let mut config = MtuDiscoveryConfig::default();
        config
            .upper_bound(self.max_udp_payload)
            // Every byte counts for the data path, and a step of the search costs one packet.
            .minimum_change(1)
            .interval(Duration::from_secs(60))
            .black_hole_cooldown(self.black_hole_cooldown);
        config
    }

    /// Tokens for later connections are of no use: a handshake is never worth shortening.
    pub(super) fn validation_tokens() -> ValidationTokenConfig {
        let mut config = ValidationTokenConfig::default();
        config.sent(0);
        config
    }
}
