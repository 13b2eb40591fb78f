//! Cuts the control stream's bytes back into frames.

use crate::message::{LENGTH_PREFIX, MAX_FRAME_LEN, MessageError};

/// Bytes of the control stream that are not yet read as frames.
///
/// It grows with what has arrived, never with what a length announces.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Bytes at the start that were given out already.
    taken: usize,
}

impl FrameBuffer {
    /// Adds bytes in the order of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame without its length prefix, if it is there.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] if its length is over the limit; the stream is lost then.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, MessageError> {
        let Some((prefix, rest)) = self.bytes[self.taken..].split_first_chunk::<LENGTH_PREFIX>()
        else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > MAX_FRAME_LEN {
            return Err(MessageError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        self.taken += LENGTH_PREFIX + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in vec(vec(any::<u8>(), 0..300), 0..8),
            cuts in vec(1usize..400, 1..20),
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend((frame.len() as u32).to_be_bytes());
                stream.extend(frame);
            }
            let mut buffer = FrameBuffer::default();
            let mut got = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                buffer.push(chunk);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    got.push(frame.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, frames);
        }
    }

    #[test]
    fn limit_holds_to_the_byte() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&(MAX_FRAME_LEN as u32).to_be_bytes());
        assert_eq!(buffer.next_frame(), Ok(None));
        let mut buffer = FrameBuffer::default();
        buffer.push(&(MAX_FRAME_LEN as u32 + 1).to_be_bytes());
        assert_eq!(
            buffer.next_frame(),
            Err(MessageError::TooLong(MAX_FRAME_LEN + 1))
        );
    }
}
