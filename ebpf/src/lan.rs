//! The verdict on a frame that arrives at the lan port.
//!
//! Why nothing loops:
//!
//! - Frames that the site injects have an away station as their source, so each one that a
//!   switch brings back is a [`Reflection`](Verdict::Reflection), whatever its destination.
//! - Frames that the cloud end injects come from stations that are not home there, so a
//!   returning one is [`NotGranted`](Verdict::NotGranted).
//! - Frames of the host itself have the lan port's address as their source.
//! - What belongs to one link ([`is_link_local`]) is passed to the host and never crosses, so
//!   two spanning trees stay two.
//! - One end's `Tunnel` and `Flood` need a source that lives on its own side. No frame meets that
//!   condition on both sides, so none crosses twice.
//!
//! A frame to a [group](is_group) crosses or is passed, never both. So of broadcasts and multicasts
//! the host behind the lan port hears just [`OwnAddress`](Verdict::OwnAddress) and
//! [`LinkLocal`](Verdict::LinkLocal): enough to be reached for management, but it hears no
//! router advertisements and no gratuitous ARP of others.

use crate::{
    ethernet::{EthernetHeader, is_group, is_link_local},
    maps::{AddressKey, LanConfig, Place, Role, StationKey},
    neighbour::{Truncated, target_address},
    packet::Packet,
    verdict::Verdict,
};

/// The tables that a verdict depends on: kernel maps, or collections in user space.
pub trait Tables {
    /// Where `key` lives, if it is known.
    fn place(&self, key: &StationKey) -> Option<Place>;

    /// Whether `key`, from which a frame came in `epoch`, lives here; that it was heard is remembered then.
    fn hears_at_home(&self, key: &StationKey, epoch: u16) -> bool;

    /// Whether `address` belongs to the host.
    ///
    /// In every VLAN: which of its addresses the host answers for where is the stack's choice.
    fn is_own_address(&self, address: &AddressKey) -> bool;

    /// Whether `mac` is an address of a probe of `causeway doctor`. Asked while
    /// [`LanConfig::probing`] only.
    fn is_probe(&self, mac: &[u8; 6]) -> bool;
}

/// What becomes of `packet` at the lan port described by `config`.
///
/// Never [`Verdict::NoSocket`]: that is what the program makes of a verdict to redirect when the
/// receive queue has no socket. The cheap questions come first, and a table is asked only
/// where its answer can change the verdict: a foreign frame costs two look-ups at the site, since a
/// moved machine that still runs there shows by its unicast frames too, and one at the cloud end.
#[inline(always)]
pub fn lan_verdict<P, T>(packet: &P, config: &LanConfig, tables: &T) -> Verdict
where
    P: Packet + ?Sized,
    T: Tables + ?Sized,
{
    let Some(header) = EthernetHeader::parse(packet) else {
        return Verdict::Malformed;
    };
    if is_group(&header.source) {
        return Verdict::Malformed;
    }
    if is_link_local(&header.destination) {
        return Verdict::LinkLocal;
    }
    // An answer to a probe, or a probe that came back. Nobody else has these addresses.
    if config.probing() && (tables.is_probe(&header.destination) || tables.is_probe(&header.source))
    {
        return Verdict::Probe;
    }
    if header.source == *config.mac() {
        return Verdict::Reflection;
    }
    let role = config.role();
    if role == Role::Site && tables.place(&header.source_station()) == Some(Place::Away) {
        return Verdict::Reflection;
    }
    // At the cloud end before the source is asked for: the endpoint can be managed from any host
    // on its LAN.
    if let Some(verdict) = for_the_host(packet, &header, config, tables) {
        return verdict;
    }
    let verdict = match role {
        Role::Site => site_verdict(&header, tables),
        Role::Cloud => cloud_verdict(&header, config.epoch(), tables),
    };
    match verdict {
        Verdict::Flood if !config.flood().allows(packet, &header) => Verdict::FloodPolicy,
        verdict => verdict,
    }
}

/// At the site: broadcasts and what is for a moved station cross; the rest stays.
#[inline(always)]
fn site_verdict<T: Tables + ?Sized>(header: &EthernetHeader, tables: &T) -> Verdict {
    if is_group(&header.destination) {
        return Verdict::Flood;
    }
    match tables.place(&header.destination_station()) {
        Some(Place::Away) => Verdict::Tunnel,
        Some(Place::Home) | None => Verdict::Foreign,
    }
}

/// At the cloud end: what a granted station sends to anyone but its neighbours crosses.
#[inline(always)]
fn cloud_verdict<T: Tables + ?Sized>(header: &EthernetHeader, epoch: u16, tables: &T) -> Verdict {
    if !tables.hears_at_home(&header.source_station(), epoch) {
        return Verdict::NotGranted;
    }
    if is_group(&header.destination) {
        return Verdict::Flood;
    }
    match tables.place(&header.destination_station()) {
        Some(Place::Home) => Verdict::Local,
        Some(Place::Away) | None => Verdict::Tunnel,
    }
}

/// Whether the frame is for the host behind the lan port: its address, or a question for it.
/// (A question that ends before it says for whom is malformed.)
#[inline(always)]
fn for_the_host<P, T>(
    packet: &P,
    header: &EthernetHeader,
    config: &LanConfig,
    tables: &T,
) -> Option<Verdict>
where
    P: Packet + ?Sized,
    T: Tables + ?Sized,
{
    if header.destination == *config.mac() {
        return Some(Verdict::OwnMac);
    }
    if !is_group(&header.destination) {
        return None;
    }
    match target_address(packet, header) {
        Ok(Some(address)) if tables.is_own_address(&address) => Some(Verdict::OwnAddress),
        Ok(_) => None,
        Err(Truncated) => Some(Verdict::Malformed),
    }
}
