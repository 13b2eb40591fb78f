//! What the control plane gets to see.

use causeway_ebpf::cases::frames::arp_request;

use super::*;
use crate::worker::Punts;

/// A request of a station that asks for an address.
fn request(station: [u8; 6], target: u32) -> Vec<u8> {
    let mut frame = arp_request(station, &[], target.to_be_bytes());
    // Its own: or it would be a probe.
    frame[28..32].copy_from_slice(&[192, 0, 2, station[5]]);
    frame
}

#[test]
fn a_flood_hides_no_words_of_other_peers_and_stations() {
    let (mut punts, mut workers) = Punts::for_workers(1, 2).unwrap();
    let mut snoop = Snoop::new(workers.remove(0), true);
    let (start, counters) = (Instant::now(), WorkerCounters::new(1));
    let table = StationTable::new(crate::stations::Role::Site);
    let mut seen = [0, 0];
    for ms in 0..4_000_u32 {
        let now = start + Duration::from_millis(ms.into());
        // Other words each time, which fill each table.
        for n in 0..10_u32 {
            let mut flood = request([2, 0, 0, 0, 0, 1], 1);
            flood[28..32].copy_from_slice(&(0x0a00_0000 + 10 * ms + n).to_be_bytes());
            snoop.from_peer(Kind::Arp, &Frame::whole(&flood), 0, now, &counters);
            let _ = snoop.from_lan(Kind::Arp, &flood, true, &table, now, &counters);
        }
        // Each is new: one that asks, and after 10 s would again.
        if ms % 100 == 0 {
            let mac = [2, 0, 0, 0, 1, (ms / 100) as u8];
            let request = request(mac, 1);
            snoop.from_peer(Kind::Arp, &Frame::whole(&request), 1, now, &counters);
            let _ = snoop.from_lan(Kind::Arp, &request, true, &table, now, &counters);
        }
        while let Some(punted) = punts.pop() {
            if punted.frame()[10] == 1 {
                seen[usize::from(punted.origin == Origin::Lan)] += 1;
            }
        }
    }
    assert_eq!(seen[0], 40, "of the other peer");
    // One or two may share the part of who floods.
    assert!(seen[1] >= 37, "of the LAN's other stations: {seen:?}");
}
