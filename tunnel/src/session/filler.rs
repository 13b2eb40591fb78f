//! How fast the path takes datagrams of QUIC's, as its congestion control lets them go.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Session, SessionError};

/// What went of a [`Session::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Bytes of datagrams that were sent.
    pub bytes: usize,
    /// How long that took.
    pub time: Duration,
}

impl Session {
    /// Sends QUIC datagrams of `bytes` in all, which the other end ignores, for as long as `patience` at most. With the
    /// congestion control of QUIC this is what one young connection gets.
    ///
    /// # Errors
    /// Why the session is over.
    pub async fn fill(&self, bytes: usize, patience: Duration) -> Result<Filled, SessionError> {
        let connection = &self.0.connection;
        let lost = |error| match error {
            quinn::SendDatagramError::ConnectionLost(error) => self.0.explain.session(error),
            _ => self.0.explain.protocol("it takes no QUIC datagrams"),
        };
        let (start, room) = (Instant::now(), connection.datagram_send_buffer_space());
        let size = connection.max_datagram_size().unwrap_or(1_000);
        let mut offered = 0;
        while offered < bytes && start.elapsed() < patience {
            // Not above the room: what waits there for longest would go for it.
            if connection.datagram_send_buffer_space() < 2 * size {
                sleep(Duration::from_millis(1)).await;
                continue;
            }
            connection
                .send_datagram(vec![0; size].into())
                .map_err(lost)?;
            offered += size;
        }
        let waiting = || room.saturating_sub(connection.datagram_send_buffer_space());
        while waiting() > 0 && start.elapsed() < patience {
            if let Some(error) = self.close_reason() {
                return Err(error);
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(Filled {
            bytes: offered.saturating_sub(waiting()),
            time: start.elapsed(),
        })
    }
}
