//! The control stream: messages in both directions, each half on its own.

use quinn::{ReadError, RecvStream, SendStream, WriteError};

use super::error::{Explainer, SessionError};
use crate::framing::FrameBuffer;
use crate::message::Message;

/// Bytes taken from the stream at a time.
const CHUNK: usize = 16 << 10;

/// The half that sends.
#[derive(Debug)]
pub(super) struct ControlWriter {
    stream: SendStream,
    /// What of earlier messages was not yet taken by QUIC: without it, a `send` dropped half-way
    /// would leave half a message on the stream.
    pending: Vec<u8>,
}

impl ControlWriter {
    pub(super) fn new(stream: SendStream) -> ControlWriter {
        ControlWriter {
            stream,
            pending: Vec::new(),
        }
    }

    pub(super) async fn send(
        &mut self,
        message: &Message,
        explain: &Explainer,
    ) -> Result<(), SessionError> {
        self.pending.extend(message.encode()?);
        while !self.pending.is_empty() {
            let written = self
                .stream
                .write(&self.pending)
                .await
                .map_err(|error| match error {
                    WriteError::ConnectionLost(error) => explain.session(error),
                    _ => explain.protocol("it stopped reading the control stream"),
                })?;
            self.pending.drain(..written);
        }
        Ok(())
    }

    /// Ends the stream and waits until the peer has all of it.
    pub(super) async fn finish(&mut self) {
        if self.stream.finish().is_ok() {
            // Stopped, lost or acknowledged: in each case there is no more to wait for.
            let _ = self.stream.stopped().await;
        }
    }
}

/// The half that receives.
#[derive(Debug)]
pub(super) struct ControlReader {
    stream: RecvStream,
    frames: FrameBuffer,
    chunk: Box<[u8]>,
}

impl ControlReader {
    pub(super) fn new(stream: RecvStream) -> ControlReader {
        ControlReader {
            stream,
            frames: FrameBuffer::default(),
            chunk: vec![0; CHUNK].into(),
        }
    }

    /// The next message. Dropping the future loses nothing.
    pub(super) async fn recv(&mut self, explain: &Explainer) -> Result<Message, SessionError> {
        loop {
            while let Some(frame) = self.frames.next_frame().map_err(|e| explain.message(e))? {
                match Message::decode(frame).map_err(|e| explain.message(e))? {
                    Some(message) => return Ok(message),
                    None => tracing::debug!(peer = %explain.addr, "ignored an unknown message"),
                }
            }
            let read = self
                .stream
                .read(&mut self.chunk)
                .await
                .map_err(|error| match error {
                    ReadError::ConnectionLost(error) => explain.session(error),
                    _ => explain.protocol("it reset the control stream"),
                })?;
            match read {
                Some(length) => self.frames.push(&self.chunk[..length]),
                None => return Err(explain.protocol("it ended the control stream without a Bye")),
            }
        }
    }
}
