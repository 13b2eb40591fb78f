//! The control messages of a session and their encoding.
//!
//! On the wire a message is a *frame*: a 4-byte big-endian length, then that many bytes of
//! CBOR (RFC 8949): an array of the message type and a map with numeric keys. Keys and types
//! that this version does not know are skipped, so that either end may be the newer one.

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::aead::Cipher;
use crate::stations::Stations;

mod allow;
mod bye;
mod heard;
mod train;
pub use allow::{Allow, AllowedRange};
pub use bye::{Bye, ByeReason};
pub use heard::{Heard, HeardLane, SeenAt};
pub use train::{FEATURE_TRAINS, Train};

/// Version of the control protocol. Both ends must have the same.
pub const PROTOCOL_VERSION: u16 = 1;

/// Largest frame without its length prefix, in bytes.
pub const MAX_FRAME_LEN: usize = 1 << 20;

/// Bytes of the length before each frame.
pub const LENGTH_PREFIX: usize = 4;

/// What the peer sent is not a message of this protocol, or ours cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A frame announces more than [`MAX_FRAME_LEN`] bytes.
    #[error("a control message of {0} bytes is over the limit of 1 MiB")]
    TooLong(usize),
    /// The bytes are no CBOR, or not that of this message.
    #[error("a control message cannot be read: {0}")]
    Malformed(String),
    /// The `Hello` of another protocol version, whose other fields may mean anything.
    #[error("control protocol version {0}, and this end has {PROTOCOL_VERSION}")]
    Version(u16),
}

impl From<minicbor::decode::Error> for MessageError {
    fn from(error: minicbor::decode::Error) -> Self {
        MessageError::Malformed(error.to_string())
    }
}

/// Which end of the segment the sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// The old LAN, whose stations moved away.
    #[n(0)]
    Site,
    /// The network next to the moved VMs.
    #[n(1)]
    Cloud,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Role::Site => "site",
            Role::Cloud => "cloud",
        })
    }
}

/// The first message of each end.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the sender.
    #[n(0)]
    pub version: u16,
    /// Which end the sender is; the two ends must differ.
    #[n(1)]
    pub role: Role,
    /// Number of lanes that the sender *sends* on, 1 or more.
    #[n(2)]
    pub lanes: u8,
    /// Largest Ethernet frame that the sender accepts, in bytes, without FCS.
    #[n(3)]
    pub max_frame: u16,
    /// Bits of optional abilities, [`FEATURE_TRAINS`] for one; unknown bits are ignored.
    #[n(4)]
    pub features: u64,
    /// The sender's clock, in seconds since 1970 (UTC); 0 if it does not know the time.
    #[n(5)]
    pub unix_time: u64,
    /// The cipher that the sender is configured for.
    #[n(6)]
    pub cipher: Cipher,
    /// Name and version of the sender's program, for logs.
    #[n(7)]
    pub software: String,
    /// Random number of the sender's process: another one means that it was restarted and that
    /// its station generations start anew.
    #[n(8)]
    pub instance: u64,
    /// The station table of the *receiver of this message* that the sender still holds, if any.
    #[n(9)]
    pub stations_applied: Option<Applied>,
}

/// A station table that was received whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Applied {
    /// [`Hello::instance`] of the process that sent the table.
    #[n(0)]
    pub instance: u64,
    /// [`Stations::generation`] that was reached.
    #[n(1)]
    pub generation: u64,
}

impl Hello {
    /// The cipher of all security associations of a session: the stronger of the two.
    pub fn agreed_cipher(&self, other: &Hello) -> Cipher {
        self.cipher.max(other.cipher)
    }
}

/// Security parameters indexes that the sender of this message has ready to receive on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lanes {
    /// One per lane that the *receiver of the message* announced in its [`Hello::lanes`]: it
    /// sends the datagrams of its lane `t` with `spis[t]`.
    #[n(0)]
    pub spis: Vec<u32>,
}

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 0, once, first.
    Hello(Hello),
    /// Type 1.
    Lanes(Lanes),
    /// Type 2.
    Stations(Stations),
    /// Type 3, last.
    Bye(Bye),
    /// Type 4, every second or so.
    Heard(Heard),
    /// Type 5, from a site.
    Allow(Allow),
    /// Type 6.
    Train(Train),
}

/// Message types on the wire.
mod kind {
    pub(super) const HELLO: u32 = 0;
    pub(super) const LANES: u32 = 1;
    pub(super) const STATIONS: u32 = 2;
    pub(super) const BYE: u32 = 3;
    pub(super) const HEARD: u32 = 4;
    pub(super) const ALLOW: u32 = 5;
    pub(super) const TRAIN: u32 = 6;
}

impl Message {
    /// The frame with its length prefix.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] over [`MAX_FRAME_LEN`]: see `StationsUpdate::into_messages`.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let mut frame = vec![0; LENGTH_PREFIX];
        self.encode_body(&mut Encoder::new(&mut frame))
            .expect("a Vec takes every byte");
        let length = frame.len() - LENGTH_PREFIX;
        if length > MAX_FRAME_LEN {
            return Err(MessageError::TooLong(length));
        }
        frame[..LENGTH_PREFIX].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(frame)
    }

    fn encode_body(
        &self,
        cbor: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        cbor.array(2)?;
        match self {
            Message::Hello(body) => cbor.u32(kind::HELLO)?.encode(body)?,
            Message::Lanes(body) => cbor.u32(kind::LANES)?.encode(body)?,
            Message::Stations(body) => cbor.u32(kind::STATIONS)?.encode(body)?,
            Message::Bye(body) => cbor.u32(kind::BYE)?.encode(body)?,
            Message::Heard(body) => cbor.u32(kind::HEARD)?.encode(body)?,
            Message::Allow(body) => cbor.u32(kind::ALLOW)?.encode(body)?,
            Message::Train(body) => cbor.u32(kind::TRAIN)?.encode(body)?,
        };
        Ok(())
    }

    /// Reads one frame, given without its length prefix. `None` is a message of a type that
    /// this version does not know, to be ignored.
    ///
    /// # Errors
    /// [`MessageError::Malformed`] for bytes that are no message, [`MessageError::Version`] for
    /// a `Hello` of another protocol version.
    pub fn decode(frame: &[u8]) -> Result<Option<Message>, MessageError> {
        let mut cbor = Decoder::new(frame);
        if !matches!(cbor.array()?, Some(2..)) {
            return Err(MessageError::Malformed(
                "it is no array of type and body".into(),
            ));
        }
        let message = match cbor.u32()? {
            kind::HELLO => {
                check_version(cbor.probe())?;
                Message::Hello(cbor.decode()?)
            }
            kind::LANES => Message::Lanes(cbor.decode()?),
            kind::STATIONS => Message::Stations(cbor.decode()?),
            kind::BYE => Message::Bye(cbor.decode()?),
            kind::HEARD => Message::Heard(cbor.decode()?),
            kind::ALLOW => Message::Allow(cbor.decode()?),
            kind::TRAIN => Message::Train(cbor.decode()?),
            _ => return Ok(None),
        };
        Ok(Some(message))
    }
}

/// Reads the version alone, since another version's `Hello` may differ in all else.
fn check_version(mut cbor: minicbor::decode::Probe<'_, '_>) -> Result<(), MessageError> {
    #[derive(Decode)]
    #[cbor(map)]
    struct VersionOnly {
        #[n(0)]
        version: u16,
    }
    match cbor.decode::<VersionOnly>()?.version {
        PROTOCOL_VERSION => Ok(()),
        other => Err(MessageError::Version(other)),
    }
}

#[cfg(test)]
mod tests;
