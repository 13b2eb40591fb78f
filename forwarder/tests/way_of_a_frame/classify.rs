//! Where frames from the LAN go.

use causeway::{
    lan_to_wan::{
        self,
        Destination::{self, FloodAll, FloodTo, Peer},
    },
    stations::{Role, StationTable},
};
use causeway_ebpf::cases::frames::tcp;
use causeway_tunnel::DropReason::{self, BadFrameLength, NoStation, SourceNotOurs};

use crate::*;

type Row = ([u8; 6], [u8; 6], Result<Destination, DropReason>);

fn classify(frame: &[u8], stations: &StationTable) -> Result<Destination, DropReason> {
    lan_to_wan::classify(&header(frame)?, stations)
}

/// Checks every row with every one of the tags, and all truncations of its frame.
fn check(role: Role, tags: &[Vec<[u8; 4]>], rows: &[Row]) {
    let table = table(role);
    for tags in tags {
        for (destination, source, expected) in rows {
            let frame = tcp(*destination, *source, tags);
            assert_eq!(
                classify(&frame, &table),
                *expected,
                "{role:?}: {source:02x?} to {destination:02x?} with {tags:02x?}"
            );
            for cut in truncations(&frame, tags.len()) {
                assert_eq!(classify(cut, &table), Err(BadFrameLength), "{cut:02x?}");
            }
            let length = 14 + 4 * tags.len().min(2);
            assert_eq!(
                classify(&frame[..length], &table),
                *expected,
                "the header is enough"
            );
        }
    }
}

#[test]
fn site_untagged() {
    check(
        Role::Site,
        &untagged(),
        &[
            (MOVED, STRANGER, Ok(Peer(0))),
            (MOVED, SERVER, Ok(Peer(0))),
            (MOVED_ELSEWHERE, STRANGER, Ok(Peer(1))),
            (BROADCAST, STRANGER, Ok(FloodAll)),
            (MULTICAST, SERVER, Ok(FloodAll)),
            // Home, unknown, and away in another VLAN only.
            (SERVER, STRANGER, Err(NoStation)),
            (STRANGER, SERVER, Err(NoStation)),
            (MOVED_TAGGED, STRANGER, Err(NoStation)),
            // Its VLAN is another, so this sender is a stranger here.
            (MOVED, MOVED_TAGGED, Ok(Peer(0))),
            (BROADCAST, MOVED_TAGGED, Ok(FloodAll)),
            // Reflections, whoever they are for.
            (MOVED_TOO, MOVED, Err(SourceNotOurs)),
            (MOVED_ELSEWHERE, MOVED, Err(SourceNotOurs)),
            (MOVED, MOVED, Err(SourceNotOurs)),
            (SERVER, MOVED, Err(SourceNotOurs)),
            (BROADCAST, MOVED, Err(SourceNotOurs)),
            (MULTICAST, MOVED_ELSEWHERE, Err(SourceNotOurs)),
        ],
    );
}

#[test]
fn site_tagged() {
    check(
        Role::Site,
        &tagged(10),
        &[
            (MOVED_TAGGED, STRANGER, Ok(Peer(0))),
            (MOVED_TAGGED, SERVER, Ok(Peer(0))),
            (BROADCAST, STRANGER, Ok(FloodAll)),
            (MOVED, STRANGER, Err(NoStation)),
            (BROADCAST, MOVED, Ok(FloodAll)),
            (BROADCAST, MOVED_TAGGED, Err(SourceNotOurs)),
            (STRANGER, MOVED_TAGGED, Err(SourceNotOurs)),
        ],
    );
    check(
        Role::Site,
        &tagged(11),
        &[
            (MOVED_TAGGED, STRANGER, Err(NoStation)),
            (MOVED, STRANGER, Err(NoStation)),
            (MULTICAST, MOVED_TAGGED, Ok(FloodAll)),
        ],
    );
}

#[test]
fn cloud_untagged() {
    check(
        Role::Cloud,
        &untagged(),
        &[
            (STRANGER, MOVED, Ok(Peer(0))),
            (SERVER, MOVED, Ok(Peer(0))),
            (STRANGER, MOVED_ELSEWHERE, Ok(Peer(1))),
            (BROADCAST, MOVED, Ok(FloodTo(0))),
            (MULTICAST, MOVED_ELSEWHERE, Ok(FloodTo(1))),
            // The cloud LAN delivers these itself.
            (MOVED_TOO, MOVED, Err(NoStation)),
            (MOVED_ELSEWHERE, MOVED, Err(NoStation)),
            (MOVED, MOVED, Err(NoStation)),
            // Granted, but in another VLAN: it is on the other side, if anywhere.
            (MOVED_TAGGED, MOVED, Ok(Peer(0))),
            // Senders that nobody granted.
            (SERVER, STRANGER, Err(SourceNotOurs)),
            (MOVED, STRANGER, Err(SourceNotOurs)),
            (BROADCAST, STRANGER, Err(SourceNotOurs)),
            (BROADCAST, MOVED_TAGGED, Err(SourceNotOurs)),
            (STRANGER, MOVED_TAGGED, Err(SourceNotOurs)),
            // No group address is granted, so none is a sender.
            (STRANGER, BROADCAST, Err(SourceNotOurs)),
            (STRANGER, MULTICAST, Err(SourceNotOurs)),
        ],
    );
}

#[test]
fn cloud_tagged() {
    check(
        Role::Cloud,
        &tagged(10),
        &[
            (STRANGER, MOVED_TAGGED, Ok(Peer(0))),
            (MOVED, MOVED_TAGGED, Ok(Peer(0))),
            (BROADCAST, MOVED_TAGGED, Ok(FloodTo(0))),
            (MOVED_TAGGED, MOVED_TAGGED, Err(NoStation)),
            (STRANGER, MOVED, Err(SourceNotOurs)),
            (BROADCAST, MOVED, Err(SourceNotOurs)),
        ],
    );
    check(
        Role::Cloud,
        &tagged(11),
        &[(STRANGER, MOVED_TAGGED, Err(SourceNotOurs))],
    );
}
