//! What we say first to a peer.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use causeway_tunnel::{
    aead::Cipher,
    identity::PublicKey,
    message::{Applied, FEATURE_TRAINS, Hello, PROTOCOL_VERSION, Role as HelloRole},
};

use crate::stations::Role;

/// Makes Hellos; shared with the QUIC endpoint, which says them while it shakes hands.
#[derive(Debug)]
pub struct Hellos {
    role: HelloRole,
    lanes: u8,
    max_frame: u16,
    cipher: Cipher,
    instance: u64,
    /// The station tables of peers that we hold.
    applied: Mutex<HashMap<PublicKey, Applied>>,
}

impl Hellos {
    /// For an end with this many workers and frames up to `max_frame` bytes.
    ///
    /// # Errors
    ///
    /// The kernel has no random numbers for the process's instance.
    pub fn new(role: Role, lanes: u8, max_frame: usize, cipher: Cipher) -> Result<Self, String> {
        let mut instance = [0; 8];
        rustix::rand::getrandom(&mut instance, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| format!("no random numbers: {e}"))?;
        Ok(Self {
            role: match role {
                Role::Site => HelloRole::Site,
                Role::Cloud => HelloRole::Cloud,
            },
            lanes,
            max_frame: u16::try_from(max_frame).unwrap_or(u16::MAX),
            cipher,
            instance: u64::from_ne_bytes(instance),
            applied: Mutex::default(),
        })
    }

    /// Random number of this process.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// From now on the peer is told that we hold this table of it, or none.
    pub fn note_applied(&self, peer: PublicKey, applied: Option<Applied>) {
        let mut tables = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        match applied {
            Some(applied) => drop(tables.insert(peer, applied)),
            None => drop(tables.remove(&peer)),
        }
    }

    /// The Hello for a peer.
    pub fn to(&self, peer: &PublicKey) -> Hello {
        let tables = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        Hello {
            version: PROTOCOL_VERSION,
            role: self.role,
            lanes: self.lanes,
            max_frame: self.max_frame,
            features: FEATURE_TRAINS,
            unix_time: unix_time(),
            cipher: self.cipher,
            software: concat!("causeway ", env!("CARGO_PKG_VERSION")).into(),
            instance: self.instance,
            stations_applied: tables.get(peer).copied(),
        }
    }
}

/// Seconds since 1970; 0 if the clock is before, which means "unknown" in a Hello.
fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
