//! The worker's decision against the XDP program's, over the shared verdict table.

use causeway::{
    lan_to_wan::{Destination, classify},
    stations::{Role, Station, StationTable},
};
use causeway_ebpf::{
    Verdict,
    cases::{self, Case, LAN_PORT},
    ethernet::{EthernetHeader, is_group},
};
use causeway_tunnel::DropReason;

/// The world of the cases as a worker has it: everything belongs to peer 0.
fn table(role: Role) -> StationTable {
    let mut table = StationTable::new(role);
    for (key, place) in cases::stations(role) {
        table.insert(key, Station { place, peer: 0 });
    }
    table
}

/// What the worker makes of a frame on which the program has this verdict; `None`: anything.
///
/// It is asked about frames that the program redirects. About the others it is asked here only
/// because its table may lag behind: where a verdict depends on the stations, the worker has to come
/// to the same end by itself.
fn expected(case: &Case) -> Option<Result<Destination, DropReason>> {
    let header = EthernetHeader::parse(&case.frame[..]);
    let group = header.is_some_and(|h| is_group(&h.destination));
    let own = header.is_some_and(|h| h.source == LAN_PORT);
    match case.expected {
        Verdict::Tunnel => Some(Ok(Destination::Peer(0))),
        Verdict::Flood if case.role == Role::Site => Some(Ok(Destination::FloodAll)),
        Verdict::Flood => Some(Ok(Destination::FloodTo(0))),
        Verdict::Foreign | Verdict::Local => Some(Err(DropReason::NoStation)),
        Verdict::NotGranted => Some(Err(DropReason::SourceNotOurs)),
        // Our own frame come back: the address of the port is in no table and does not change, so it
        // is the program's to know. At the cloud end nobody granted it, which comes to the same.
        Verdict::Reflection if own && case.role == Role::Site => None,
        Verdict::Reflection => Some(Err(DropReason::SourceNotOurs)),
        Verdict::Malformed if header.is_none() => Some(Err(DropReason::BadFrameLength)),
        // By the frame alone, or for the host: passed or dropped before there is a worker to ask.
        Verdict::Malformed | Verdict::LinkLocal | Verdict::OwnMac | Verdict::OwnAddress => {
            // A unicast frame to the port is for no station, at the site at least.
            let to_port = !group && case.expected == Verdict::OwnMac && case.role == Role::Site;
            to_port.then_some(Err(DropReason::NoStation))
        }
        // While the doctor works, for it: the worker does not know these addresses.
        Verdict::Probe => None,
        Verdict::NoSocket | Verdict::FloodPolicy => panic!("no case expects it"),
    }
}

#[test]
fn worker_and_program_agree() {
    let mut compared = [0_u32; Verdict::COUNT];
    for case in cases::all() {
        let decision =
            crate::header(&case.frame).and_then(|header| classify(&header, &table(case.role)));
        if let Some(expected) = expected(&case) {
            assert_eq!(decision, expected, "{}: {}", case.name, case.expected);
            compared[case.expected.index()] += 1;
        }
    }
    for verdict in [
        Verdict::Malformed,
        Verdict::Reflection,
        Verdict::Foreign,
        Verdict::NotGranted,
        Verdict::Local,
        Verdict::Flood,
        Verdict::Tunnel,
    ] {
        assert!(compared[verdict.index()] > 3, "{verdict}: hardly compared");
    }
}

/// The other half of "nothing loops": what one end sends, its own admission would refuse.
#[test]
fn what_crosses_is_never_admitted_where_it_came_from() {
    for case in cases::all() {
        let table = table(case.role);
        let Ok(header) = crate::header(&case.frame) else {
            continue;
        };
        if classify(&header, &table).is_err() {
            continue;
        }
        let back = causeway::wan_to_lan::admit(&header, 0, &table);
        assert!(back.is_err(), "{}: it would come back", case.name);
    }
}
