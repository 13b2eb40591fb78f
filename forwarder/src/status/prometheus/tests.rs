use std::collections::{BTreeMap, BTreeSet};

use causeway_ebpf::{SightingCounter, UplinkVerdict, Verdict};
use causeway_tunnel::{DropReason, session::SessionCounter};
use serde_json::Value;

use crate::{
    control::alarm_kinds,
    counters::{WorkerCounters, worker_counter_sentence},
    status::{
        AeadTimes, AlarmStatus, LaneStatus, LearningStatus, NextHopStatus, PeerStatus,
        SessionStatus, StationStatus, Status, UplinkStatus, UplinkXdpStatus, WorkerStatus,
    },
};

fn zeros<'a>(labels: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    labels.into_iter().map(|label| (label.into(), 0)).collect()
}

/// What a status may have, one of each.
fn whole() -> Status {
    let lane = LaneStatus {
        heard: Some(0),
        received: Some(0),
        dead_s: Some(0.0),
        ..LaneStatus::default()
    };
    let session = SessionStatus {
        tx_lanes: vec![lane],
        rx_lanes: vec![LaneStatus {
            received: Some(0),
            ..LaneStatus::default()
        }],
        ..SessionStatus::default()
    };
    let peer = PeerStatus {
        name: "cloud".into(),
        state: "up".into(),
        session: Some(session),
        learning: LearningStatus {
            refused: zeros(["frozen"]),
            ..LearningStatus::default()
        },
        ..PeerStatus::default()
    };
    let xdp = UplinkXdpStatus {
        next_hops: vec![NextHopStatus::default()],
        ..UplinkXdpStatus::default()
    };
    let alarm = |(kind, _): (&str, _)| AlarmStatus {
        kind: kind.into(),
        station: "00:50:56:00:00:50".into(),
        peer: "cloud".into(),
        ..AlarmStatus::default()
    };
    let mut status = Status {
        uplink: UplinkStatus {
            xdp: Some(xdp),
            ..UplinkStatus::default()
        },
        peers: vec![peer],
        workers: vec![WorkerStatus {
            counters: zeros(WorkerCounters::new(0).by_name().map(|(name, _)| name)),
            cpu: Some(0),
            ..WorkerStatus::default()
        }],
        verdicts: zeros(Verdict::ALL.iter().map(|v| v.label())),
        sightings: zeros(SightingCounter::ALL.iter().map(|c| c.label())),
        uplink_verdicts: zeros(UplinkVerdict::ALL.iter().map(|v| v.label())),
        drops: zeros(DropReason::ALL.iter().map(|r| r.label())),
        not_advertised: zeros(["learn_limit"]),
        quic: zeros(SessionCounter::ALL.iter().map(|c| c.label())),
        alarms: alarm_kinds().map(alarm).collect(),
        ..Status::default()
    };
    status.aead.measured = [("ring".into(), AeadTimes::default())].into();
    status
}

/// Gives each number a value of its own, and returns them with their fields.
fn number(value: &mut Value, field: &str, found: &mut Vec<(String, u64)>) {
    match value {
        Value::Number(number) => {
            let next = 5_000 + found.len() as u64;
            *number = next.into();
            found.push((field.to_owned(), next));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, field, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                number(value, &format!("{field}.{name}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_number_of_the_status_is_a_metric() {
    let mut json = serde_json::to_value(whole()).unwrap();
    let mut found = Vec::new();
    number(&mut json, "", &mut found);
    assert!(found.len() > 140, "{found:?}");
    let status: Status = serde_json::from_value(json).unwrap();
    let text = status.to_prometheus("causeway");
    for (field, value) in found {
        let shown = match field.as_str() {
            // The process that an exporter names has other metrics of its own.
            ".pid" => continue,
            // Labels.
            ".peers.session.tx_lanes.worker"
            | ".peers.session.rx_lanes.worker"
            | ".workers.cpu" => {
                format!("=\"{value}\"")
            }
            // A receiving lane is never moved.
            ".peers.session.rx_lanes.moves" => continue,
            field if field.ends_with("_ns") => format!("}} {}\n", value as f64 / 1e9),
            _ => format!("}} {value}\n"),
        };
        assert!(text.contains(&shown), "{field} ({value}) lacks in {text}");
    }
}

#[test]
fn each_family_is_told_of_once_before_its_samples() {
    let text = whole().to_prometheus("causeway");
    let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
    let (mut helped, mut typed) = ("", ("", ""));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, sentence) = help.split_once(' ').unwrap();
            assert!(sentence.ends_with('.'), "{line}");
            assert!(families.insert(name), "twice: {name}");
            helped = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split_once(' ').unwrap();
            assert_eq!(typed.0, helped);
            assert_eq!(typed.1 == "counter", helped.ends_with("_total"), "{line}");
        } else {
            let (labelled, _) = line.rsplit_once(' ').unwrap();
            assert_eq!(labelled.split('{').next().unwrap(), typed.0, "{line}");
            assert!(labelled.contains("{control=\"causeway\""), "{line}");
            assert!(series.insert(labelled), "twice: {labelled}");
        }
    }
    assert!(families.iter().all(|name| name.starts_with("causeway_")));
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
}

#[test]
fn every_alarm_verdict_and_reason_is_explained() {
    let text = whole().to_prometheus("causeway");
    let help = |family: &str| {
        let start = format!("# HELP causeway_{family} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {family}")).to_owned()
    };
    let sentences = [
        ("alarm", alarm_kinds().collect::<Vec<_>>()),
        (
            "lan_frames_total",
            Verdict::ALL
                .iter()
                .map(|v| (v.label(), v.sentence()))
                .collect(),
        ),
        (
            "uplink_frames_total",
            UplinkVerdict::ALL
                .iter()
                .map(|v| (v.label(), v.sentence()))
                .collect(),
        ),
        (
            "drops_total",
            DropReason::ALL
                .iter()
                .map(|r| (r.label(), r.sentence()))
                .collect(),
        ),
    ];
    for (family, sentences) in sentences {
        let help = help(family);
        for (label, sentence) in sentences {
            assert!(
                help.contains(&format!("{label}: {sentence}")),
                "{label} lacks in {help}"
            );
        }
    }
    for (name, _) in WorkerCounters::new(0).by_name() {
        let sentence = worker_counter_sentence(name).unwrap();
        assert_eq!(help(&format!("worker_{name}_total")), sentence);
    }
    for (kind, _) in alarm_kinds() {
        let labels = format!("kind=\"{kind}\",station=\"00:50:56:00:00:50\",peer=\"cloud\"");
        assert!(text.contains(&format!(
            "causeway_alarm{{control=\"causeway\",{labels}}} 1\n"
        )));
    }
}

#[test]
fn a_full_table_of_stations_is_a_few_lines() {
    let station = |n: u32| StationStatus {
        place: if n < 3 { "home" } else { "away" }.into(),
        peer: "cloud".into(),
        origin: "learnt".into(),
        frozen: n == 5,
        ..StationStatus::default()
    };
    let status = Status {
        stations: (0..65_536).map(|n| (n.to_string(), station(n))).collect(),
        ..Status::default()
    };
    let text = status.to_prometheus("causeway");
    for (place, total) in [("home", 3), ("away", 65_533)] {
        let sample = format!(
            "{{control=\"causeway\",place=\"{place}\",origin=\"learnt\",peer=\"cloud\"}} {total}\n"
        );
        assert!(
            text.contains(&format!("causeway_stations{sample}")),
            "{text}"
        );
    }
    assert!(text.contains("causeway_stations_frozen{control=\"causeway\"} 1\n"));
    assert!(text.lines().count() < 200, "{}", text.lines().count());
}

#[test]
fn a_peer_without_a_session_is_down_and_has_no_session_s_metrics() {
    let mut status = whole();
    status.peers[0].state = "dialling".into();
    status.peers[0].session = None;
    let text = status.to_prometheus("causeway");
    assert!(text.contains("causeway_peer_up{control=\"causeway\",peer=\"cloud\"} 0\n"));
    for family in [
        "peer_rtt_seconds",
        "lane_tx_datagrams_total",
        "peer_session_info",
    ] {
        assert!(!text.contains(&format!("\ncauseway_{family}{{")), "{text}");
    }
}
