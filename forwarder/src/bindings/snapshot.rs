//! The snapshot of bindings that workers look addresses up in.

use std::collections::HashMap;

use super::Address;

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Whether it is a router, as far as it has said so.
    pub router: Option<bool>,
}

/// Who has which address, as of a moment ago.
///
/// Its hash function is keyed: anybody on the LAN may choose what is looked up and, by saying so, what is in it.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(HashMap<Address, Known>);

impl Neighbours {
    /// A snapshot of these.
    pub fn new(all: impl Iterator<Item = (Address, Known)>) -> Self {
        Self(all.collect())
    }

    /// Who has the address, if that is known.
    #[inline]
    pub fn get(&self, address: &Address) -> Option<Known> {
        self.0.get(address).copied()
    }
}
