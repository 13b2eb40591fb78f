//! One ESP datagram: sealed by the sender, opened by the receiver, both in place.
//!
//! ```text
//!  0               4               8                              16
//! +---------------+---------------+-------------------------------+
//! |      SPI      | sequence, low |   IV = sequence, all 64 bits  |
//! +---------------+---------------+-------------------------------+ --- encrypted from here
//! |  payload ...                                                  |
//! |                        | padding 1,2,3 | pad length | next hdr |
//! +---------------------------------------------------------------+ --- to here
//! |                  integrity check value (16)                   |
//! +---------------------------------------------------------------+
//! ```
//!
//! ESP as RFC 4303 defines it, with AES-GCM by RFC 4106, 64-bit extended
//! sequence numbers, in UDP by RFC 3948. Not handled, and why:
//! - the receiver's guess at the high half of the sequence number (RFC 4303
//!   appendix A): our IV is the whole number, so there is nothing to guess;
//! - traffic flow confidentiality padding (section 2.7): it would
//!   spend the bandwidth that bundles save;
//! - fragments of the outer packet: datagrams keep to the path MTU.

use crate::wire::{ALIGNMENT, ESP_HEADER, ESP_ICV, ESP_TRAILER, MIN_ESP, NextHeader};
use crate::{DropReason, InboundSa, OutboundSa, Spi};

use std::time::Instant;

/// Length in bytes of the datagram around `payload` bytes.
#[inline]
pub const fn sealed_len(payload: usize) -> usize {
    ESP_HEADER + (payload + ESP_TRAILER).next_multiple_of(ALIGNMENT) + ESP_ICV
}

/// The most bytes of payload that fit into a datagram of `size` bytes, a multiple of 4.
#[inline]
pub const fn payload_capacity(size: usize) -> usize {
    size - ESP_HEADER - ESP_TRAILER - ESP_ICV
}

/// Seals the `payload` bytes that stand at [`ESP_HEADER`] in `datagram`, in place.
/// Returns the length of the datagram, [`sealed_len`].
///
/// 1. Take the next sequence number; stop for good at the key's limit
///    (RFC 4303 section 3.3.3; RFC 4106 section 2 forbids a second use of an IV).
/// 2. Write SPI, low half of the number, and the number as the IV
///    (RFC 4303 sections 2.1 and 2.2.1, RFC 4106 section 3.1).
/// 3. Pad with 1, 2, 3 to a multiple of 4 and add pad length and next header
///    (RFC 4303 sections 2.4 to 2.6).
/// 4. Encrypt; nonce = salt || IV, associated data = SPI || number
///    (RFC 4106 sections 4 and 5).
/// 5. Append the ICV (RFC 4106 section 6).
///
/// # Errors
/// [`DropReason::KeyWorn`] at the hard limit of datagrams. The age is asked
/// before a frame is taken, with [`OutboundSa::admit`].
///
/// # Panics
/// If `datagram` is shorter than [`sealed_len`] of `payload`: the caller's bug.
#[inline]
pub fn seal(
    sa: &mut OutboundSa,
    datagram: &mut [u8],
    payload: usize,
    next_header: NextHeader,
) -> Result<usize, DropReason> {
    let length = sealed_len(payload);
    let (header, rest) = datagram[..length].split_at_mut(ESP_HEADER);
    let (text, icv) = rest.split_at_mut(length - ESP_HEADER - ESP_ICV);

    let sequence = sa.next_sequence()?;
    header[..4].copy_from_slice(&sa.spi().to_be_bytes());
    header[4..8].copy_from_slice(&(sequence as u32).to_be_bytes());
    header[8..].copy_from_slice(&sequence.to_be_bytes());
    write_trailer(&mut text[payload..], next_header);
    icv.copy_from_slice(&sa.seal(sequence, text));
    Ok(length)
}

/// Fills `trailer` with padding, its length, and the next header.
fn write_trailer(trailer: &mut [u8], next_header: NextHeader) {
    let pad = trailer.len() - ESP_TRAILER;
    for (byte, value) in trailer[..pad].iter_mut().zip(1..=u8::MAX) {
        *byte = value;
    }
    trailer[pad] = pad as u8;
    trailer[pad + 1] = next_header as u8;
}

/// An authentic datagram, decrypted where it lay.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its 64-bit sequence number.
    pub sequence: u64,
    /// What the payload is.
    pub next_header: NextHeader,
    /// The payload without padding.
    pub payload: &'a mut [u8],
}

/// Opens `datagram`, the whole UDP payload, in place.
///
/// 1. Refuse what cannot be ESP by its length (RFC 4303 section 2.4).
/// 2. The SPI must be this SA's (RFC 4303 section 3.4.2).
/// 3. Take the sequence number from the IV; the header's low half must agree.
/// 4. Ask the key's age and the replay window (RFC 4303 section 3.4.3).
/// 5. Verify the ICV and decrypt, then move the window (RFC 4303 section 3.4.4.2);
///    a number past the key's limit is refused here.
/// 6. Check the padding bytes and remove them (RFC 4303 section 2.4).
///
/// # Errors
/// By step: [`MalformedDatagram`](DropReason::MalformedDatagram),
/// [`UnknownSpi`](DropReason::UnknownSpi), [`BadTag`](DropReason::BadTag) (the
/// header was changed on the way), [`KeyWorn`](DropReason::KeyWorn) |
/// [`TooOld`](DropReason::TooOld) | [`Replayed`](DropReason::Replayed), `BadTag` | `KeyWorn`,
/// [`UnknownPayload`](DropReason::UnknownPayload).
#[inline]
pub fn open<'a>(
    sa: &mut InboundSa,
    datagram: &'a mut [u8],
    now: Instant,
) -> Result<Opened<'a>, DropReason> {
    if datagram.len() < MIN_ESP || !datagram.len().is_multiple_of(ALIGNMENT) {
        return Err(DropReason::MalformedDatagram);
    }
    let (header, text_and_icv) = datagram.split_at_mut(ESP_HEADER);
    if header[..4] != sa.spi().to_be_bytes() {
        return Err(DropReason::UnknownSpi);
    }
    if header[4..8] != header[12..16] {
        return Err(DropReason::BadTag);
    }
    let sequence = u64::from_be_bytes(header[8..].try_into().expect("16 bytes less 8"));
    sa.check(sequence, now)?;
    sa.open(sequence, text_and_icv)?;

    let text_len = text_and_icv.len() - ESP_ICV;
    let (payload, next_header) = split_trailer(&mut text_and_icv[..text_len])?;
    Ok(Opened {
        sequence,
        next_header,
        payload,
    })
}

/// The payload before the trailer, and the next header in it.
#[inline]
fn split_trailer(text: &mut [u8]) -> Result<(&mut [u8], NextHeader), DropReason> {
    const UNKNOWN: DropReason = DropReason::UnknownPayload;
    let (rest, [pad, next_header]) = text.split_last_chunk_mut().ok_or(UNKNOWN)?;
    let next_header = NextHeader::from_u8(*next_header).ok_or(UNKNOWN)?;
    let payload_len = rest.len().checked_sub(usize::from(*pad)).ok_or(UNKNOWN)?;
    let (payload, padding) = rest.split_at_mut(payload_len);
    if padding
        .iter()
        .zip(1..=u8::MAX)
        .any(|(byte, value)| *byte != value)
    {
        return Err(UNKNOWN);
    }
    Ok((payload, next_header))
}

/// The SPI that `datagram` claims, to find its lane by; nothing is verified.
///
/// # Errors
/// [`DropReason::MalformedDatagram`] if it is too short for ESP,
/// [`DropReason::UnknownSpi`] if the number is none that we ever give out.
#[inline]
pub fn claimed_spi(datagram: &[u8]) -> Result<Spi, DropReason> {
    if datagram.len() < MIN_ESP {
        return Err(DropReason::MalformedDatagram);
    }
    let (first, _) = datagram
        .split_first_chunk()
        .ok_or(DropReason::MalformedDatagram)?;
    Spi::try_from(u32::from_be_bytes(*first)).map_err(|_| DropReason::UnknownSpi)
}

#[cfg(test)]
mod tests;
