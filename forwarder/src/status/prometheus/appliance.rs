//! The program, its alarms, its ports and the stations.

use std::{collections::BTreeMap, fmt::Display};

use super::{
    explained,
    exposition::{Exposition, Family},
};
use crate::{
    control::alarm_kinds,
    status::{AeadStatus, AeadTimes, AlarmStatus, LanStatus, Status, UplinkStatus},
};

pub(super) fn write(out: &mut Exposition, status: &Status) {
    let mut info = out.gauge("build_info", "The version of the program; always 1.");
    info.sample(&[("version", &status.version)], 1);
    let mut info = out.gauge("info", "What this end is; always 1.");
    let (role, key) = (("role", &*status.role), ("public_key", &*status.public_key));
    let listen = status.listen.as_deref().unwrap_or_default();
    info.sample(&[role, key, ("listen", listen)], 1);
    out.gauge("uptime_seconds", "Time since the start.")
        .value(status.uptime_s);
    write_alarms(out, status);
    write_lan(out, &status.lan);
    write_uplink(out, &status.uplink);
    write_aead(out, &status.aead);
    write_stations(out, status);
    write_addresses(out, status);
}

/// No more series than there may be alarms at once: 1,024 of each family.
fn write_alarms(out: &mut Exposition, status: &Status) {
    let alarms = &status.alarms;
    out.gauge("alarms", "Alarms that are on.")
        .value(alarms.len());
    let help = explained("1 for each alarm that is on.", alarm_kinds());
    each_alarm(out.gauge("alarm", &help), alarms, |_| 1);
    let help = "Times that what the alarm is about was noticed: not each frame is.";
    each_alarm(out.counter("alarm_noticed", help), alarms, |a| a.count);
    let help = "Frames kept with the alarm, the last that showed it: causeway status has them.";
    each_alarm(out.gauge("alarm_frames", help), alarms, |a| a.frames.len());
    let help = "For how long the alarm has been on.";
    each_alarm(out.gauge("alarm_age_seconds", help), alarms, |a| a.since_s);
    let help = "How long ago what the alarm is about was last noticed.";
    each_alarm(out.gauge("alarm_silence_seconds", help), alarms, |a| {
        a.last_s
    });
    let help = "Warnings, what an operator should look at: causeway status has their lines.";
    out.gauge("warnings", help).value(status.warnings.len());
}

fn each_alarm<V: Display>(
    mut family: Family<'_>,
    alarms: &[AlarmStatus],
    value: impl Fn(&AlarmStatus) -> V,
) {
    for alarm in alarms {
        let labels = [
            ("kind", &*alarm.kind),
            ("station", &*alarm.station),
            ("peer", &*alarm.peer),
        ];
        family.sample(&labels, value(alarm));
    }
}

fn write_lan(out: &mut Exposition, lan: &LanStatus) {
    let mut info = out.gauge("lan_info", "The LAN port; always 1.");
    let labels = [
        ("interface", &*lan.interface),
        ("mac", &*lan.mac),
        ("port", &*lan.port),
        ("xdp", &*lan.xdp),
        ("copy_mode", &*lan.copy_mode),
        ("rx_filter", &*lan.rx_filter),
        ("vlan_stripping", &*lan.vlan_stripping),
    ];
    info.sample(&labels, 1);
    out.gauge("lan_mtu_bytes", "MTU of the LAN port.")
        .value(lan.mtu);
    out.gauge(
        "lan_promiscuous",
        "1 if the LAN port receives promiscuously by our doing.",
    )
    .value(u8::from(lan.promiscuous));
    out.counter(
        "lan_tx_dropped_frames",
        "Frames that the LAN port dropped instead of sending them, ours and the host's.",
    )
    .value(lan.tx_dropped);
}

fn write_uplink(out: &mut Exposition, uplink: &UplinkStatus) {
    let xdp = uplink.xdp.as_ref();
    let mut info = out.gauge(
        "uplink_info",
        "The uplink; always 1. The last three are empty without AF_XDP on it.",
    );
    let labels = [
        ("kind", &*uplink.kind),
        ("interface", xdp.map_or("", |x| &x.interface)),
        ("xdp", xdp.map_or("", |x| &x.xdp)),
        ("copy_mode", xdp.map_or("", |x| &x.copy_mode)),
    ];
    info.sample(&labels, 1);
    out.gauge(
        "uplink_max_udp_payload_bytes",
        "UDP payload that the search for the path MTU goes to, 28 bytes less than the IP packet.",
    )
    .value(uplink.max_udp_payload);
    let Some(xdp) = xdp else { return };
    out.gauge(
        "uplink_queues",
        "Receive queues of the uplink that a worker serves.",
    )
    .value(xdp.queues);
    out.counter(
        "uplink_tx_dropped_frames",
        "Frames that the uplink dropped instead of sending them, ours and the kernel's.",
    )
    .value(xdp.tx_dropped);
    let (by_xdp, by_kernel): (Vec<_>, Vec<_>) =
        xdp.next_hops.iter().partition(|way| way.next_hop.is_some());
    let help = "Addresses of peers by the way that their datagrams take, AF_XDP or the kernel.";
    let ways = [("xdp", by_xdp.len()), ("kernel", by_kernel.len())];
    out.gauge("uplink_next_hops", help).by("way", ways);
}

fn write_aead(out: &mut Exposition, aead: &AeadStatus) {
    let mut info = out.gauge("aead_info", "The libraries that seal and open; always 1.");
    info.sample(&[("seal", &aead.seal), ("open", &aead.open)], 1);
    out.gauge(
        "aead_datagram_bytes",
        "UDP payload of the datagrams that were measured.",
    )
    .value(aead.datagram_bytes);
    let times = |of: fn(&AeadTimes) -> f64| {
        let measured = aead.measured.iter();
        measured.map(move |(library, times)| (library, of(times) / 1e9))
    };
    out.gauge(
        "aead_seal_seconds",
        "What a library took to seal such a datagram.",
    )
    .by("library", times(|t| t.seal_ns));
    out.gauge(
        "aead_open_seconds",
        "What a library took to open such a datagram.",
    )
    .by("library", times(|t| t.open_ns));
}

fn write_stations(out: &mut Exposition, status: &Status) {
    let mut totals = BTreeMap::new();
    let (mut addresses, mut frozen) = (0, 0);
    for station in status.stations.values() {
        let key = (&*station.place, &*station.origin, &*station.peer);
        *totals.entry(key).or_insert(0_u64) += 1;
        addresses += station.addresses.len();
        frozen += usize::from(station.frozen);
    }
    let help = "Stations by where they live, where the word of that comes from, and the peer.";
    let mut family = out.gauge("stations", help);
    for ((place, origin, peer), total) in totals {
        family.sample(
            &[("place", place), ("origin", origin), ("peer", peer)],
            total,
        );
    }
    out.gauge(
        "stations_frozen",
        "Stations that moved too often and stay until they are cleared.",
    )
    .value(frozen);
    out.gauge(
        "station_addresses",
        "IP addresses of stations, as far as frames have told.",
    )
    .value(addresses);
    out.gauge(
        "multicast_groups",
        "Multicast groups that somebody listens to.",
    )
    .value(status.groups.len());
}

fn write_addresses(out: &mut Exposition, status: &Status) {
    let (snooping, announcing) = (&status.snooping, &status.announcing);
    out.gauge(
        "snooping_addresses",
        "IP addresses known, of stations and of other hosts.",
    )
    .value(snooping.addresses);
    let help = "Times that an address was not taken because the table was full.";
    out.counter("snooping_full", help).value(snooping.full);
    let help =
        "Times that a station was not believed because it does not live where that was said.";
    out.counter("snooping_not_theirs", help)
        .value(snooping.not_theirs);
    let help = "Stations of which the LAN is being told.";
    out.gauge("announcing_stations", help)
        .value(announcing.waiting);
    let help = "Frames sent to tell the LAN of stations.";
    out.counter("announcing_frames", help)
        .value(announcing.frames);
    let help = "Stations of which the LAN was not told because too many waited.";
    out.counter("announcing_missed", help)
        .value(announcing.missed);
}
