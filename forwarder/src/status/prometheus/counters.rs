//! What the workers, the XDP programs and the QUIC socket count.

use std::collections::BTreeSet;

use causeway_ebpf::{SightingCounter, UplinkVerdict, Verdict};
use causeway_tunnel::{DropReason, session::SessionCounter};

use super::{explained, exposition::Exposition};
use crate::{
    counters::worker_counter_sentence,
    status::{Status, WorkerStatus},
};

pub(super) fn write(out: &mut Exposition, status: &Status) {
    write_verdicts(out, status);
    let reasons = DropReason::ALL.iter().map(|r| (r.label(), r.sentence()));
    let help = explained(
        "Drops in user space by reason: frames, or datagrams.",
        reasons,
    );
    out.counter("drops", &help).by("reason", &status.drops);
    let help = "At a cloud end: stations that were seen and that no site hears of, by reason.";
    out.counter("stations_not_advertised", help)
        .by("reason", &status.not_advertised);
    let counters = SessionCounter::ALL.iter();
    let counters = counters.map(|c| (c.label(), c.sentence()));
    let help = explained("Datagrams and handshakes at the QUIC socket.", counters);
    out.counter("quic", &help).by("event", &status.quic);
    write_workers(out, &status.workers);
}

fn write_verdicts(out: &mut Exposition, status: &Status) {
    let verdicts = Verdict::ALL.iter().map(|v| (v.label(), v.sentence()));
    let help = explained(
        "Frames at the LAN port by verdict of the XDP program.",
        verdicts,
    );
    out.counter("lan_frames", &help)
        .by("verdict", &status.verdicts);
    let counters = SightingCounter::ALL.iter();
    let counters = counters.map(|c| (c.label(), c.sentence()));
    let help = explained(
        "What the XDP program told of stations that are not where they should be.",
        counters,
    );
    out.counter("sightings", &help)
        .by("sighting", &status.sightings);
    let verdicts = UplinkVerdict::ALL.iter();
    let verdicts = verdicts.map(|v| (v.label(), v.sentence()));
    let help = explained(
        "Frames at the uplink by verdict of its XDP program, if there is one.",
        verdicts,
    );
    out.counter("uplink_frames", &help)
        .by("verdict", &status.uplink_verdicts);
}

/// A family for each counter, with a sample for each worker: a sum over different counters means nothing.
fn write_workers(out: &mut Exposition, workers: &[WorkerStatus]) {
    let mut info = out.gauge(
        "worker_info",
        "The worker; always 1. Without a core it is not pinned.",
    );
    for (i, worker) in workers.iter().enumerate() {
        let cpu = worker.cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
        let labels = [
            ("worker", &*i.to_string()),
            ("core", &cpu),
            ("uplink", &worker.uplink),
        ];
        info.sample(&labels, 1);
    }
    let names: BTreeSet<_> = workers.iter().flat_map(|w| w.counters.keys()).collect();
    for name in names {
        // A counter of an appliance of another version than this program.
        let help = worker_counter_sentence(name).unwrap_or("See causeway's OPERATIONS.md.");
        let values = workers
            .iter()
            .enumerate()
            .filter_map(|(i, worker)| Some((i.to_string(), worker.counters.get(name)?)));
        out.counter(&format!("worker_{name}"), help)
            .by("worker", values);
    }
}
