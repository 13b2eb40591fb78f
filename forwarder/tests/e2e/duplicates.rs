//! A frame of an away station on the old LAN: our own that came back, or the station lives twice.

use std::time::Duration;

use causeway::status::{AlarmStatus, Status};

use crate::lab::{Lab, PATIENCE, VM1, within};

/// What the site says of duplicates.
fn alarms(lab: &Lab) -> Vec<AlarmStatus> {
    lab.status("site").alarms
}

fn sightings(status: &Status, counter: &str) -> u64 {
    status.sightings[counter]
}

/// A host of the old LAN with the MAC and the IP address of vm1: the copy that was not switched off.
fn start_a_twin(lab: &Lab) {
    let run = |arguments: &[&str]| lab.exec("dc2", arguments);
    run(&["ip", "link", "set", "eth0", "down"]);
    run(&["ip", "link", "set", "eth0", "address", VM1]);
    run(&["ip", "address", "flush", "dev", "eth0"]);
    run(&["ip", "address", "add", "10.77.0.50/24", "dev", "eth0"]);
    run(&["ip", "link", "set", "eth0", "up"]);
}

/// Broadcasts and unicast of the real vm1, each of which an old LAN that reflects sends back to the site.
fn load_of_vm1(lab: &Lab, count: &str) {
    let broadcast = "ff:ff:ff:ff:ff:ff";
    let flags = [
        "--src", VM1, "--dst", broadcast, "--count", count, "--sizes", "60-300",
    ];
    let report = lab.frames(&[&["vm1", "dc"][..], &flags].concat());
    assert!(report.contains(&format!("received {count}")), "{report:?}");
    assert!(report.contains(&"duplicated 0".to_owned()), "{report:?}");
}

/// What Prometheus's own library reads in an end's metrics: lines of name, labels and value.
fn metrics(lab: &Lab, end: &str) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/metrics.py");
    let read = format!(
        "set -o pipefail; {} status --prometheus | /usr/bin/python3 {script}",
        env!("CARGO_BIN_EXE_causeway")
    );
    let text = lab.exec(end, &["bash", "-c", &read]);
    text.lines().map(Into::into).collect()
}

/// Metrics have the alarm, and what stands still meanwhile as the status has it.
fn assert_metrics(lab: &Lab) {
    let before = lab.status("site");
    let metrics = metrics(lab, "site");
    let after = lab.status("site");
    let alarm = format!("kind=duplicate_station peer=cloud station={VM1}");
    let stations = before.stations.len();
    for line in [
        format!("causeway_alarm control=causeway {alarm} 1"),
        "causeway_alarms control=causeway 1".into(),
        "causeway_peer_up control=causeway peer=cloud 1".into(),
        format!(
            "causeway_build_info control=causeway version={} 1",
            before.version
        ),
        format!(
            "causeway_stations control=causeway origin=configured peer=cloud place=away {stations}"
        ),
    ] {
        assert!(metrics.contains(&line), "{line} lacks in {metrics:#?}");
    }
    let value = |series: &str| -> u64 {
        let series = format!("{series} ");
        let value = metrics.iter().find_map(|line| line.strip_prefix(&series));
        let value = value.unwrap_or_else(|| panic!("{series} lacks in {metrics:#?}"));
        value.parse::<f64>().unwrap() as u64
    };
    for (verdict, least) in &before.verdicts {
        let series = format!("causeway_lan_frames_total control=causeway verdict={verdict}");
        let range = *least..=after.verdicts[verdict];
        assert!(range.contains(&value(&series)), "{series}: {range:?}");
    }
    for (name, least) in &before.workers[0].counters {
        let series = format!("causeway_worker_{name}_total control=causeway worker=0");
        let range = *least..=after.workers[0].counters[name];
        assert!(range.contains(&value(&series)), "{series}: {range:?}");
    }
}

/// The twin sends, until the site has an alarm that names it.
#[track_caller]
fn assert_alarm(lab: &Lab) {
    let _ping = lab.spawn("dc2", &["ping", "-i", "0.3", "10.77.0.1"]);
    assert!(
        within(PATIENCE, || !alarms(lab).is_empty()),
        "no alarm: {:?}",
        lab.status("site").sightings
    );
    let alarm = alarms(lab).remove(0);
    assert_eq!(
        (
            alarm.kind.as_str(),
            alarm.station.as_str(),
            alarm.peer.as_str()
        ),
        ("duplicate_station", VM1, "cloud")
    );
    assert!(
        alarm.text.contains(VM1) && alarm.text.contains("this LAN"),
        "{alarm:?}"
    );
    assert!(
        alarm
            .frames
            .iter()
            .all(|f| f.contains("10.77.0.") || f.contains("IPv6")),
        "{alarm:?}"
    );
    let text = lab.exec("site", &[env!("CARGO_BIN_EXE_causeway"), "status"]);
    let second = text.lines().nth(1).unwrap();
    assert!(
        second.contains("ALARM duplicate_station") && second.contains(VM1),
        "{text}"
    );
    let lines = lab.log("site").matches("ALARM duplicate_station").count();
    assert_eq!(lines, 1, "{}", lab.log("site"));
}

#[test]
fn frames_that_come_back_are_ours_and_a_twin_is_found_among_them() {
    let lab = Lab::running(&["--reflect"], &[]);
    // From the first reflection on the station is suspected, and soon watched.
    load_of_vm1(&lab, "50");
    assert!(within(PATIENCE, || {
        load_of_vm1(&lab, "20");
        sightings(&lab.status("site"), "ours") > 0
    }));
    let before = lab.status("site");
    load_of_vm1(&lab, "3000");
    let after = lab.status("site");
    assert_eq!(sightings(&after, "not_ours"), 0, "{:?}", after.sightings);
    let ours = sightings(&after, "ours") - sightings(&before, "ours");
    assert!(ours >= 3_000, "{:?}", after.sightings);
    assert!(after.alarms.is_empty(), "{:?}", after.alarms);

    start_a_twin(&lab);
    assert_alarm(&lab);
    assert_metrics(&lab);
    let after = lab.status("site");
    assert!(sightings(&after, "not_ours") >= 3, "{:?}", after.sightings);

    // The twin is stopped and the operator says so; ours that come back are no alarm.
    lab.exec("dc2", &["ip", "link", "set", "eth0", "down"]);
    let clear = [env!("CARGO_BIN_EXE_causeway"), "station", "clear", VM1];
    lab.exec("site", &clear);
    assert_eq!(alarms(&lab), []);
    assert!(metrics(&lab, "site").contains(&"causeway_alarms control=causeway 0".into()));
    assert!(
        metrics(&lab, "cloud").contains(&"causeway_peer_up control=causeway peer=site 1".into())
    );
    load_of_vm1(&lab, "50");
    assert_eq!(alarms(&lab), []);
    assert!(
        lab.log("site")
            .contains("duplicate_station of station 00:50:56:00:00:50 ends: cleared")
    );
    assert!(!lab.succeeds("site", &clear), "nothing to clear any more");
}

#[test]
fn a_twin_on_a_lan_that_sends_nothing_back_is_found() {
    let lab = Lab::running(&[], &[]);
    lab.dc_reaches("10.77.0.50");
    // Long enough for a suspicion that there should not be.
    std::thread::sleep(Duration::from_millis(500));
    let status = lab.status("site");
    assert_eq!(status.sightings["told"], 0, "{:?}", status.sightings);
    start_a_twin(&lab);
    assert_alarm(&lab);
    assert_eq!(sightings(&lab.status("site"), "ours"), 0);
}
