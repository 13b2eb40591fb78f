//! What an authenticated peer may say.

use causeway::{
    stations::{PeerIndex, Role, StationTable},
    wan_to_lan,
};
use causeway_ebpf::cases::frames::tcp;
use causeway_tunnel::DropReason::{self, BadFrameLength, LinkLocal, SplitHorizon, SpoofedSource};

use crate::*;

type Row = ([u8; 6], [u8; 6], PeerIndex, Result<(), DropReason>);

const BPDU: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];
const LAST_RESERVED: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0f];
const FIRST_ORDINARY: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x10];
const PVST: [u8; 6] = [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd];

fn admit(frame: &[u8], peer: PeerIndex, stations: &StationTable) -> Result<(), DropReason> {
    wan_to_lan::admit(&header(frame)?, peer, stations)
}

fn check(role: Role, tags: &[Vec<[u8; 4]>], rows: &[Row]) {
    let table = table(role);
    for tags in tags {
        for (destination, source, peer, expected) in rows {
            let frame = tcp(*destination, *source, tags);
            assert_eq!(
                admit(&frame, *peer, &table),
                *expected,
                "{role:?}, of peer {peer}: {source:02x?} to {destination:02x?} with {tags:02x?}"
            );
            for cut in truncations(&frame, tags.len()) {
                assert_eq!(admit(cut, *peer, &table), Err(BadFrameLength), "{cut:02x?}");
            }
        }
    }
}

#[test]
fn site_untagged() {
    check(
        Role::Site,
        &untagged(),
        &[
            (SERVER, MOVED, 0, Ok(())),
            (STRANGER, MOVED, 0, Ok(())),
            (BROADCAST, MOVED, 0, Ok(())),
            (MULTICAST, MOVED_ELSEWHERE, 1, Ok(())),
            (FIRST_ORDINARY, MOVED, 0, Ok(())),
            // It stays away in its own VLAN; here the address is anybody's.
            (MOVED_TAGGED, MOVED, 0, Ok(())),
            // The other peer's station, a home one, a stranger, one of another VLAN.
            (SERVER, MOVED, 1, Err(SpoofedSource)),
            (SERVER, MOVED_ELSEWHERE, 0, Err(SpoofedSource)),
            (BROADCAST, MOVED_ELSEWHERE, 0, Err(SpoofedSource)),
            (STRANGER, SERVER, 0, Err(SpoofedSource)),
            (SERVER, STRANGER, 0, Err(SpoofedSource)),
            (SERVER, MOVED_TAGGED, 0, Err(SpoofedSource)),
            // Group sources.
            (SERVER, BROADCAST, 0, Err(SpoofedSource)),
            (BROADCAST, MULTICAST, 0, Err(SpoofedSource)),
            (BPDU, BROADCAST, 0, Err(SpoofedSource)),
            // Never back out, to the same peer or another.
            (MOVED_TOO, MOVED, 0, Err(SplitHorizon)),
            (MOVED, MOVED, 0, Err(SplitHorizon)),
            (MOVED_ELSEWHERE, MOVED, 0, Err(SplitHorizon)),
            (MOVED, MOVED_ELSEWHERE, 1, Err(SplitHorizon)),
            // Protocols of one link.
            (BPDU, MOVED, 0, Err(LinkLocal)),
            (LAST_RESERVED, MOVED, 0, Err(LinkLocal)),
            (PVST, STRANGER, 0, Err(LinkLocal)),
        ],
    );
}

#[test]
fn site_tagged() {
    check(
        Role::Site,
        &tagged(10),
        &[
            (SERVER, MOVED_TAGGED, 0, Ok(())),
            (BROADCAST, MOVED_TAGGED, 0, Ok(())),
            (MOVED, MOVED_TAGGED, 0, Ok(())),
            (SERVER, MOVED_TAGGED, 1, Err(SpoofedSource)),
            (SERVER, MOVED, 0, Err(SpoofedSource)),
            (MOVED_TAGGED, MOVED_TAGGED, 0, Err(SplitHorizon)),
            (PVST, MOVED_TAGGED, 0, Err(LinkLocal)),
        ],
    );
    check(
        Role::Site,
        &tagged(11),
        &[(SERVER, MOVED_TAGGED, 0, Err(SpoofedSource))],
    );
}

#[test]
fn cloud_untagged() {
    check(
        Role::Cloud,
        &untagged(),
        &[
            (MOVED, STRANGER, 0, Ok(())),
            (MOVED, SERVER, 0, Ok(())),
            (MOVED_ELSEWHERE, STRANGER, 1, Ok(())),
            (BROADCAST, STRANGER, 0, Ok(())),
            (MULTICAST, SERVER, 1, Ok(())),
            // Granted in another VLAN only: the site may speak for that address here.
            (MOVED, MOVED_TAGGED, 0, Ok(())),
            // Stations that live here, whichever site granted them.
            (MOVED_TOO, MOVED, 0, Err(SpoofedSource)),
            (BROADCAST, MOVED, 0, Err(SpoofedSource)),
            (BROADCAST, MOVED_ELSEWHERE, 0, Err(SpoofedSource)),
            (MOVED, BROADCAST, 0, Err(SpoofedSource)),
            (BROADCAST, MULTICAST, 0, Err(SpoofedSource)),
            // Not to another site's stations, and not to anyone who is not here.
            (MOVED, STRANGER, 1, Err(SplitHorizon)),
            (MOVED_ELSEWHERE, STRANGER, 0, Err(SplitHorizon)),
            (SERVER, STRANGER, 0, Err(SplitHorizon)),
            (MOVED_TAGGED, STRANGER, 0, Err(SplitHorizon)),
            (BPDU, STRANGER, 0, Err(LinkLocal)),
            (LAST_RESERVED, MOVED, 0, Err(LinkLocal)),
            (PVST, STRANGER, 0, Err(LinkLocal)),
        ],
    );
}

#[test]
fn cloud_tagged() {
    check(
        Role::Cloud,
        &tagged(10),
        &[
            (MOVED_TAGGED, STRANGER, 0, Ok(())),
            (MOVED_TAGGED, MOVED, 0, Ok(())),
            (BROADCAST, STRANGER, 0, Ok(())),
            (MOVED_TAGGED, STRANGER, 1, Err(SplitHorizon)),
            (MOVED, STRANGER, 0, Err(SplitHorizon)),
            (BROADCAST, MOVED_TAGGED, 0, Err(SpoofedSource)),
        ],
    );
}
