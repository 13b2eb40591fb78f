//! How a session ends, in the words of the end that ends it.

use minicbor::{Decode, Encode};

/// The sender is about to close the session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bye {
    /// Number of a [`ByeReason`], also the application error code of QUIC's CONNECTION_CLOSE.
    #[n(0)]
    pub code: u32,
    /// A few words for the peer's log; empty if the reason says all.
    #[n(1)]
    pub text: String,
}

impl Bye {
    /// A farewell for `reason`, with a few words for the peer's log.
    pub fn new(reason: ByeReason, text: impl Into<String>) -> Bye {
        Bye {
            code: reason as u32,
            text: text.into(),
        }
    }

    /// The reason, [`ByeReason::Unspecified`] for a code that this version does not know.
    pub fn reason(&self) -> ByeReason {
        ByeReason::ALL
            .into_iter()
            .find(|r| *r as u32 == self.code)
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Bye {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason().sentence())?;
        if !self.text.is_empty() {
            // The peer's words: escaped, so that they cannot forge lines of a log.
            let text: String = self.text.escape_debug().take(200).collect();
            write!(f, " ({text})")?;
        }
        Ok(())
    }
}

/// Why an end closes a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum ByeReason {
    /// No reason was given, or none that this version knows.
    #[default]
    Unspecified = 0,
    /// The program stops.
    Shutdown = 1,
    /// A newer session between the same two ends has taken over.
    Replaced = 2,
    /// The other end speaks another [`PROTOCOL_VERSION`](super::PROTOCOL_VERSION).
    Version = 3,
    /// The other end broke the protocol.
    Protocol = 4,
    /// Both ends have the same [`Role`](super::Role).
    Role = 5,
    /// The other end was removed from the configuration.
    Removed = 6,
    /// The keys are used up.
    KeyWorn = 7,
}

impl ByeReason {
    /// All reasons, by number.
    pub const ALL: [ByeReason; 8] = [
        ByeReason::Unspecified,
        ByeReason::Shutdown,
        ByeReason::Replaced,
        ByeReason::Version,
        ByeReason::Protocol,
        ByeReason::Role,
        ByeReason::Removed,
        ByeReason::KeyWorn,
    ];

    /// The reason in words, to follow "the peer closed the session: ".
    pub const fn sentence(self) -> &'static str {
        match self {
            ByeReason::Unspecified => "it gave no reason",
            ByeReason::Shutdown => "its program stops",
            ByeReason::Replaced => "a newer session has taken over",
            ByeReason::Version => "the two ends have different protocol versions",
            ByeReason::Protocol => "it could not understand us",
            ByeReason::Role => "both ends have the same role",
            ByeReason::Removed => "its configuration no longer has this end as a peer",
            ByeReason::KeyWorn => "the keys are used up",
        }
    }
}
