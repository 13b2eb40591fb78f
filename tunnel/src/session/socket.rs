//! The UDP socket as QUIC sees it: without the datagrams that [`gate`](super::gate) refuses.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::connection_id::ConnectionIds;
use super::counters::Counters;
use super::gate::{Verdict, judge};

#[derive(Debug)]
pub(super) struct GatedSocket {
    pub(super) inner: Arc<dyn AsyncUdpSocket>,
    pub(super) ours: ConnectionIds,
    pub(super) counters: Arc<Counters>,
}

impl GatedSocket {
    /// Takes the refused datagrams out of one buffer, which holds several of `meta.stride` bytes
    /// each (the last one may be shorter) if the kernel merged them (GRO).
    fn sift(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let stride = meta.stride.max(1);
        let mut kept = 0;
        let mut start = 0;
        loop {
            let end = (start + stride).min(meta.len);
            match judge(&buffer[start..end], &self.ours) {
                Verdict::Drop(reason) => self.counters.add(reason),
                Verdict::Pass(counter) => {
                    self.counters.add(counter);
                    if kept != start {
                        buffer.copy_within(start..end, kept);
                    }
                    kept += end - start;
                }
            }
            start = end;
            if start >= meta.len {
                break;
            }
        }
        meta.len = kept;
    }
}

impl AsyncUdpSocket for GatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for (buffer, meta) in bufs.iter_mut().zip(meta).take(received) {
            self.sift(buffer, meta);
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PrivateKey;
    use crate::session::counters::SessionCounter as C;
    use quinn::Runtime;

    #[tokio::test]
    async fn refused_datagrams_leave_a_merged_buffer_and_the_rest_stay_in_order() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = GatedSocket {
            inner: quinn::TokioRuntime.wrap_udp_socket(udp).unwrap(),
            ours: ConnectionIds::new(&PrivateKey::from_bytes([1; 32])),
            counters: Arc::default(),
        };
        // Stray packets pass, ESP does not: s E s s E s(short)
        let mut buffer = Vec::new();
        for (first, fill, len) in [
            (0x41, 1, 30),
            (0x10, 2, 30),
            (0x41, 3, 30),
            (0x41, 4, 30),
            (0x10, 5, 30),
            (0x41, 6, 25),
        ] {
            buffer.push(first);
            buffer.extend(vec![fill; len - 1]);
        }
        let mut meta = RecvMeta {
            len: buffer.len(),
            stride: 30,
            ..Default::default()
        };
        socket.sift(&mut buffer, &mut meta);
        assert_eq!(meta.len, 3 * 30 + 25);
        let kept: Vec<u8> = buffer[..meta.len].chunks(30).map(|d| d[1]).collect();
        assert_eq!(kept, [1, 3, 4, 6]);

        let mut empty = RecvMeta {
            len: 0,
            stride: 0,
            ..Default::default()
        };
        socket.sift(&mut buffer, &mut empty);
        assert_eq!(empty.len, 0);

        let counters = socket.counters.read();
        assert_eq!(counters.get(C::DatagramStray), 4);
        assert_eq!(counters.get(C::DatagramNotQuic), 2);
        assert_eq!(counters.get(C::DatagramRunt), 1);
        assert_eq!(counters.datagrams(), 7);
    }
}
