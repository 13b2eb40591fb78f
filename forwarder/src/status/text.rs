//! The status as a table for people.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter, Write},
};

use super::{
    AlarmStatus, LanStatus, LearningStatus, PeerStatus, StationStatus, Status, UplinkStatus,
    neighbours,
};

impl Status {
    /// The table for people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out)
            .expect("a String takes all that memory holds");
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let lan = &self.lan;
        writeln!(
            out,
            "causeway {} ({}), pid {}, up {}",
            self.version,
            self.role,
            self.pid,
            period(self.uptime_s)
        )?;
        for alarm in &self.alarms {
            write_alarm(out, alarm)?;
        }
        writeln!(out, "  public key {}", self.public_key)?;
        if let Some(listen) = &self.listen {
            writeln!(out, "  listening on {listen}")?;
        }
        writeln!(
            out,
            "  lan port {}{} ({}, MTU {}): XDP {}, AF_XDP {}, {}; own addresses: {}",
            lan.interface,
            made_as(lan),
            lan.mac,
            lan.mtu,
            lan.xdp,
            lan.copy_mode,
            received(lan),
            list(&lan.own_addresses),
        )?;
        if !["", "off"].contains(&&*lan.vlan_stripping) {
            writeln!(out, "    VLAN stripping {}", lan.vlan_stripping)?;
        }
        if lan.tx_dropped > 0 {
            writeln!(out, "    tx_dropped {}", lan.tx_dropped)?;
        }
        write_uplink(out, &self.uplink)?;
        let aead = &self.aead;
        writeln!(
            out,
            "  AES-GCM: {} seals, {} opens ({})",
            aead.seal, aead.open, aead.why
        )?;
        for warning in &self.warnings {
            writeln!(out, "  WARNING {warning}")?;
        }
        for peer in &self.peers {
            write_peer(out, peer)?;
        }
        write_stations(out, &self.stations)?;
        neighbours::write(out, &self.snooping, &self.announcing)?;
        write_counters(
            out,
            "frames at the lan port, by verdict of the XDP program",
            &self.verdicts,
        )?;
        if self.sightings.values().any(|value| *value > 0) {
            write_counters(out, "sightings at the lan port", &self.sightings)?;
        }
        if self.uplink.xdp.is_some() {
            write_counters(
                out,
                "frames at the uplink, by verdict of the XDP program",
                &self.uplink_verdicts,
            )?;
        }
        for (i, worker) in self.workers.iter().enumerate() {
            let cpu = worker
                .cpu
                .map_or("not pinned".into(), |cpu| format!("core {cpu}"));
            let title = format!("worker {i} ({cpu}, uplink {})", worker.uplink);
            write_counters(out, &title, &worker.counters)?;
        }
        write_counters(out, "drops in user space, by reason", &self.drops)?;
        if !self.not_advertised.is_empty() {
            let title = "stations seen that no site hears of, by reason";
            write_counters(out, title, &self.not_advertised)?;
        }
        write_counters(out, "at the QUIC socket", &self.quic)
    }
}

/// What a port that was made was asked for as.
fn made_as(lan: &LanStatus) -> String {
    match lan.port.contains(':') {
        true => format!(", {}", lan.port),
        false => String::new(),
    }
}

fn received(lan: &LanStatus) -> String {
    match (lan.promiscuous, lan.rx_filter.as_str()) {
        (true, _) => "promiscuous on".into(),
        (false, "" | "off") => "promiscuous off".into(),
        (false, list) => format!("promiscuous off, receives {list}"),
    }
}

fn write_alarm(out: &mut String, alarm: &AlarmStatus) -> std::fmt::Result {
    writeln!(
        out,
        "  ALARM {} for {}, noticed {} times, last {} ago: {}",
        alarm.kind,
        period(alarm.since_s),
        alarm.count,
        period(alarm.last_s),
        alarm.text
    )?;
    alarm
        .frames
        .iter()
        .try_for_each(|frame| writeln!(out, "    {frame}"))
}

fn write_uplink(out: &mut String, uplink: &UplinkStatus) -> std::fmt::Result {
    let Some(xdp) = &uplink.xdp else {
        write!(out, "  uplink: kernel UDP ({})", uplink.why)?;
        for (interface, gro) in &uplink.gro {
            write!(out, ", GRO at {interface} {gro}")?;
        }
        return writeln!(out);
    };
    writeln!(
        out,
        "  uplink {} ({}): XDP {}, AF_XDP {}, {} queue(s) ({})",
        xdp.interface, xdp.mac, xdp.xdp, xdp.copy_mode, xdp.queues, uplink.why
    )?;
    writeln!(out, "    flow rules: {}", xdp.flow_rules)?;
    if xdp.tx_dropped > 0 {
        writeln!(out, "    tx_dropped {}", xdp.tx_dropped)?;
    }
    for way in &xdp.next_hops {
        let (remote, why_not) = (&way.remote, way.why_not.as_deref());
        match &way.next_hop {
            Some(hop) => writeln!(out, "    {remote} by {hop}")?,
            None => writeln!(
                out,
                "    {remote} through the kernel: {}",
                why_not.unwrap_or("not asked yet")
            )?,
        }
    }
    Ok(())
}

fn write_peer(out: &mut String, peer: &PeerStatus) -> std::fmt::Result {
    writeln!(
        out,
        "\npeer {} ({}): {}",
        peer.name, peer.public_key, peer.state
    )?;
    if let Some(address) = &peer.address {
        writeln!(out, "  dialled at {address}")?;
    }
    if let Some(s) = &peer.session {
        writeln!(
            out,
            "  session {} old, {} with {}, round trip {:.1} ms, path MTU {} bytes of UDP payload, {} ({})",
            period(s.age_s),
            if s.dialled { "dialled" } else { "accepted" },
            s.remote,
            s.rtt_s * 1e3,
            s.path_mtu,
            s.cipher,
            s.software,
        )?;
        for lane in &s.tx_lanes {
            let path = lane.path.as_deref().unwrap_or("not known yet");
            write!(
                out,
                "  sends on {} to {path}, {} datagrams",
                lane.spi, lane.sequence
            )?;
            if lane.moves > 0 {
                write!(out, ", moved {} times", lane.moves)?;
            }
            if let Some(seconds) = lane.dead_s {
                write!(out, ", DEAD for {}", period(seconds))?;
            }
            writeln!(out)?;
        }
        for lane in &s.rx_lanes {
            writeln!(
                out,
                "  receives on {}, worker {}, highest sequence number {}",
                lane.spi, lane.worker, lane.sequence
            )?;
        }
    }
    write_learning(out, &peer.learning)?;
    if let Some(error) = &peer.last_error {
        writeln!(out, "  last error: {error}")?;
    }
    writeln!(
        out,
        "  sent {} frames ({} bytes), received {} frames ({} bytes), {} sessions so far",
        peer.tx_frames, peer.tx_bytes, peer.rx_frames, peer.rx_bytes, peer.sessions
    )
}

impl Display for StationStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            peer,
            origin,
            addresses,
            age_s,
            frozen,
        } = self;
        if peer.is_empty() {
            return write!(f, "{place}, {origin}");
        }
        write!(f, "{place} ({peer})")?;
        if !addresses.is_empty() {
            write!(f, " {}", addresses.join(", "))?;
        }
        write!(f, "; {origin}, for {}", period(*age_s))?;
        match frozen {
            true => write!(f, ", FROZEN"),
            false => Ok(()),
        }
    }
}

fn write_learning(out: &mut String, learning: &LearningStatus) -> fmt::Result {
    if learning.ranges.is_empty() && learning.refused.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "  learns {}: {} seen",
        list(&learning.ranges),
        learning.seen
    )?;
    for (reason, number) in &learning.refused {
        write!(out, ", {number} {reason}")?;
    }
    writeln!(out)
}

/// More stations than this are left to the JSON form.
const STATIONS_SHOWN: usize = 32;

fn write_stations(
    out: &mut String,
    stations: &BTreeMap<String, StationStatus>,
) -> std::fmt::Result {
    writeln!(out, "\n{} stations", stations.len())?;
    for (name, station) in stations.iter().take(STATIONS_SHOWN) {
        writeln!(out, "  {name} {station}")?;
    }
    match stations.len().checked_sub(STATIONS_SHOWN) {
        Some(more @ 1..) => writeln!(out, "  and {more} more (--json shows all)"),
        _ => Ok(()),
    }
}

/// Counters that are zero say nothing to a person.
fn write_counters(
    out: &mut String,
    title: &str,
    counters: &BTreeMap<String, u64>,
) -> std::fmt::Result {
    writeln!(out, "\n{title}")?;
    let mut none = true;
    for (name, value) in counters.iter().filter(|(_, value)| **value > 0) {
        writeln!(out, "  {name:<24} {value:>14}")?;
        none = false;
    }
    if none {
        writeln!(out, "  none")?;
    }
    Ok(())
}

fn list(items: &[String]) -> String {
    match items {
        [] => "none".into(),
        items => items.join(", "),
    }
}

fn period(seconds: f64) -> String {
    let s = seconds as u64;
    match s {
        0..=119 => format!("{s} s"),
        120..=7_199 => format!("{} min", s / 60),
        7_200..=172_799 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests;
