//! Unpacking: the frames of one bundle.

use crate::wire::{BUNDLE_OFFSET, FRAME_LENGTH, MAX_FRAME, is_frame_length};

/// A bundle's offset or a length contradicts the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Bytes of a frame that is not whole in this datagram.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Bytes from the start of this piece to the end of its frame.
    pub ahead: usize,
    /// Whether the piece is the frame's beginning, so that `ahead` is the frame's length.
    pub begins: bool,
    /// The bytes, never none, and no more than `ahead`.
    pub bytes: &'a [u8],
}

/// One step through a bundle.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole frame, where it lay.
    Frame(&'a mut [u8]),
    /// A part of a frame: its continuation at the start, or its beginning at the end.
    Piece(Piece<'a>),
}

/// Splits the continuation off the front of a bundle's `payload`.
/// Returns it, if there is one, and the frames behind it for [`next`].
///
/// # Errors
/// [`Malformed`] if there is no offset, if it is longer than what can follow
/// a frame's first byte, or if it announces bytes and there are none.
#[inline]
pub fn split(payload: &mut [u8]) -> Result<(Option<Piece<'_>>, &mut [u8]), Malformed> {
    let (offset, rest) = payload
        .split_first_chunk_mut::<BUNDLE_OFFSET>()
        .ok_or(Malformed)?;
    let offset = usize::from(u16::from_be_bytes(*offset));
    if offset == 0 {
        return Ok((None, rest));
    }
    if offset >= MAX_FRAME || rest.is_empty() {
        return Err(Malformed);
    }
    let (bytes, frames) = rest.split_at_mut(offset.min(rest.len()));
    Ok((
        Some(Piece {
            ahead: offset,
            begins: false,
            bytes,
        }),
        frames,
    ))
}

/// Takes the next item off the front of `frames`; none at the end.
///
/// # Errors
/// [`Malformed`] if a length is missing, has no bytes behind it, or is no frame's.
#[inline]
pub fn next<'a>(frames: &mut &'a mut [u8]) -> Result<Option<Item<'a>>, Malformed> {
    if frames.is_empty() {
        return Ok(None);
    }
    let all = std::mem::take(frames);
    let (length, rest) = all
        .split_first_chunk_mut::<FRAME_LENGTH>()
        .ok_or(Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !is_frame_length(length) || rest.is_empty() {
        return Err(Malformed);
    }
    if length > rest.len() {
        return Ok(Some(Item::Piece(Piece {
            ahead: length,
            begins: true,
            bytes: rest,
        })));
    }
    let (frame, rest) = rest.split_at_mut(length);
    *frames = rest;
    Ok(Some(Item::Frame(frame)))
}

/// Shows `see` what there is of each frame of `frames`, which [`next`] has taken nothing from: whole ones and the beginning
/// of one at the end. What contradicts the format ends it: that is for `next` to say.
#[inline]
pub fn beginnings(frames: &[u8], mut see: impl FnMut(&[u8])) {
    let mut rest = frames;
    while let Some((length, behind)) = rest.split_first_chunk::<FRAME_LENGTH>() {
        let length = usize::from(u16::from_be_bytes(*length));
        if !is_frame_length(length) || behind.is_empty() {
            return;
        }
        let (frame, next) = behind.split_at(length.min(behind.len()));
        see(frame);
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(payload: &[u8]) -> Result<Vec<String>, Malformed> {
        let mut payload = payload.to_vec();
        let (continuation, mut frames) = split(&mut payload)?;
        let mut items: Vec<_> = continuation.iter().map(|p| format!("{p:?}")).collect();
        while let Some(item) = next(&mut frames)? {
            items.push(match item {
                Item::Frame(frame) => format!("frame of {}", frame.len()),
                Item::Piece(piece) => format!("{} of {}", piece.bytes.len(), piece.ahead),
            });
        }
        Ok(items)
    }

    #[test]
    fn continuation_frames_and_a_beginning() {
        let payload = [
            &[0, 3, 1, 2, 3, 0, 14][..],
            &[0; 14],
            &[0, 15],
            &[0; 15],
            &[0x24, 0, 9],
        ];
        let found = items(&payload.concat()).expect("well formed");
        let piece = "Piece { ahead: 3, begins: false, bytes: [1, 2, 3] }";
        assert_eq!(found, [piece, "frame of 14", "frame of 15", "1 of 9216"]);
        assert_eq!(items(&[0, 0]), Ok(vec![]));
    }

    /// The same frames as [`next`] takes, up to where that finds a contradiction.
    #[test]
    fn beginnings_are_those_of_the_frames() {
        let bundle = [
            &[0, 14][..],
            &[1; 14],
            &[0, 15],
            &[2; 15],
            &[0x24, 0],
            &[3; 9],
        ];
        let bundle = bundle.concat();
        for length in 0..=bundle.len() {
            let mut copy = bundle[..length].to_vec();
            let (mut rest, mut taken, mut seen) = (&mut copy[..], Vec::new(), Vec::new());
            while let Ok(Some(item)) = next(&mut rest) {
                let (bytes, ends) = match item {
                    Item::Frame(frame) => (frame.to_vec(), false),
                    Item::Piece(piece) => (piece.bytes.to_vec(), true),
                };
                taken.push(bytes);
                if ends {
                    break;
                }
            }
            beginnings(&bundle[..length], |bytes| seen.push(bytes.to_vec()));
            assert_eq!(seen, taken, "{length}");
        }
        for wrong in [&[0, 13, 1, 1][..], &[0x24, 1, 1], &[0, 0, 0, 14, 1]] {
            beginnings(wrong, |_| panic!("{wrong:?} is no frame"));
        }
    }

    #[test]
    fn contradictions() {
        let cases: &[(&str, &[u8])] = &[
            ("no offset", &[]),
            ("half an offset", &[0]),
            ("a continuation without bytes", &[0, 5]),
            ("a continuation longer than any", &[0x24, 0, 1, 2]),
            ("half a length", &[0, 0, 0]),
            ("a length without bytes", &[0, 0, 0, 60]),
            (
                "no frame is so short",
                &[0, 0, 0, 13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
            ),
            ("no frame is so long", &[0, 0, 0x24, 1, 1]),
            ("length zero", &[0, 0, 0, 0, 1]),
        ];
        for (name, payload) in cases {
            assert_eq!(items(payload), Err(Malformed), "{name}");
        }
    }
}
