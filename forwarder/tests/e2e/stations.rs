//! Stations that come and go while both ends run: learnt, added, moved, removed, kept.

use std::time::Duration;

use causeway::status::Status;

use crate::lab::{DC, Lab, PATIENCE, VM1, within};

const VM2: &str = "00:50:56:00:00:51";
const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");

/// `causeway station ...` at an end: whether it succeeded, and what it said.
fn station(lab: &Lab, end: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [&[CAUSEWAY, "station"], arguments].concat();
    let output = lab.command(end, &all).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn done(lab: &Lab, arguments: &[&str]) -> String {
    let (code, text) = station(lab, "site", arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

fn has(lab: &Lab, end: &str, station: &str) -> bool {
    lab.status(end).stations.contains_key(station)
}

/// Both ends without a station, each with more arguments of its own.
fn without_stations(lab: &Lab, site: &[&str], cloud: &[&str]) {
    lab.start_without_stations("cloud", cloud);
    lab.start_without_stations("site", site);
    lab.wait_for_session();
}

/// The first frames of a moved VM make it reachable where a range allows it, and nowhere else.
#[test]
fn a_moved_vm_is_learnt_within_the_ranges_and_remembered() {
    let lab = Lab::up(&[]);
    let state = lab.dir().join("site.state");
    let site = [
        "--allow",
        "00:50:56:00:00:50=cloud",
        "--state",
        state.to_str().unwrap(),
    ];
    without_stations(&lab, &site, &[]);
    assert!(lab.status("site").stations.is_empty());
    let ping = |vm: &str, count: &str| {
        let ping = [
            "ping",
            "-q",
            "-c",
            count,
            "-i",
            "0.2",
            "-W",
            "1",
            "10.77.0.1",
        ];
        lab.succeeds(vm, &ping)
    };
    assert!(ping("vm1", "5"), "{:?}", lab.status("cloud"));
    let learnt = &lab.status("site").stations[VM1];
    assert_eq!(
        (learnt.origin.as_str(), learnt.peer.as_str()),
        ("learnt", "cloud")
    );
    assert_eq!(lab.status("cloud").stations[VM1].origin, "granted");
    // The other VM is in no range.
    assert!(!ping("vm2", "3"));
    assert!(!has(&lab, "site", VM2) && !has(&lab, "cloud", VM2));
    // It is remembered over a kill, before its cloud can say it again.
    let kept = || std::fs::read_to_string(&state).is_ok_and(|text| text.contains(VM1));
    assert!(within(PATIENCE, kept));
    lab.stop("cloud", "KILL");
    lab.stop("site", "KILL");
    lab.start_without_stations("site", &site);
    assert!(has(&lab, "site", VM1));
}

/// A station that speaks stays, however long ago it was learnt; one that falls silent comes home.
#[test]
fn a_silent_station_comes_home() {
    let lab = Lab::up(&[]);
    let ageing = ["--station-ageing", "4s"];
    let site = [&ageing[..], &["--allow", "00:50:56:00:00:50=cloud"]].concat();
    without_stations(&lab, &site, &ageing);
    let ping = [
        "ping",
        "-q",
        "-c",
        "20",
        "-i",
        "0.5",
        "-W",
        "1",
        "10.77.0.1",
    ];
    let pings = lab.exec("vm1", &ping);
    assert!(!pings.contains(" 100% packet loss"), "{pings}");
    let learnt = &lab.status("site").stations[VM1];
    assert!(learnt.age_s > 6.0, "it was learnt once: {learnt:?}");
    lab.exec("vm1", &["ip", "link", "set", "eth0", "down"]);
    for end in ["site", "cloud"] {
        assert!(
            within(PATIENCE, || !has(&lab, end, VM1)),
            "{}",
            lab.log(end)
        );
    }
}

/// Nothing is learnt without a range, whatever is seen.
#[test]
fn without_a_range_nothing_is_learnt() {
    let lab = Lab::up(&[]);
    without_stations(&lab, &["--allow", "7/00:50:56:00:00:00/24=cloud"], &[]);
    let ping = ["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "10.77.0.1"];
    assert!(!lab.succeeds("vm1", &ping));
    for end in ["site", "cloud"] {
        assert!(lab.status(end).stations.is_empty());
    }
    // As long as a site wants to hear of any stations its cloud ends look at strangers, else not.
    assert!(lab.status("cloud").sightings["told"] > 0);
    lab.stop("site", "TERM");
    lab.start_without_stations("site", &[]);
    lab.wait_for_session();
    let ask = ["arping", "-c", "3", "-w", "1", "-I", "eth0", "10.77.0.1"];
    assert!(within(PATIENCE, || {
        let before = lab.status("cloud");
        assert!(!lab.succeeds("vm1", &ask));
        let after = lab.status("cloud");
        let grown = |of: fn(&Status) -> u64| of(&after) > of(&before);
        assert!(grown(|status| status.verdicts["not_granted"]));
        !grown(|status| status.sightings.values().sum())
    }));
}

/// Stations come and go at the control socket, and those of others do not notice.
#[test]
fn stations_change_while_others_are_spoken_to() {
    let lab = Lab::up(&[]);
    let state = lab.dir().join("site.state");
    let site = ["--state", state.to_str().unwrap()];
    without_stations(&lab, &site, &[]);
    done(&lab, &["add", &format!("{VM1}=cloud")]);
    assert!(within(PATIENCE, || has(&lab, "cloud", VM1)));
    lab.dc_reaches("10.77.0.50");
    let other = [
        "ping",
        "-q",
        "-c",
        "100",
        "-i",
        "0.02",
        "-W",
        "2",
        "10.77.0.50",
    ];
    let other = lab.spawn("dc", &other);
    for _ in 0..5 {
        done(&lab, &["add", &format!("{VM2}=cloud")]);
        std::thread::sleep(Duration::from_millis(100));
        done(&lab, &["remove", VM2]);
    }
    done(&lab, &["add", &format!("{VM2}=cloud")]);
    let pings = other.output();
    assert!(pings.contains(" 0% packet loss"), "{pings}");
    lab.dc_reaches("10.77.0.51");
    done(&lab, &["remove", VM1]);
    assert!(within(PATIENCE, || !has(&lab, "cloud", VM1)));

    // What was said is kept, whenever the program ends.
    lab.stop("site", "KILL");
    lab.start_without_stations("site", &site);
    lab.wait_for_session();
    let (_, listed) = station(&lab, "site", &["list"]);
    assert!(listed.contains(VM2) && listed.contains("added"), "{listed}");
    assert!(!listed.contains(VM1), "{listed}");
    lab.dc_reaches("10.77.0.51");
}

/// Misuse is refused with one line that says what to do, and a damaged state file is not written over.
#[test]
fn misuse_is_refused_with_what_to_do() {
    let lab = Lab::running(&[], &[]);
    for (end, arguments, code, words) in [
        (
            "site",
            &["add", "00:50:56:00:00:50=cloud"][..],
            1,
            "causeway station move",
        ),
        (
            "site",
            &["add", "00:50:56:00:00:77=clod"],
            1,
            "there is no peer clod; there are: cloud",
        ),
        (
            "site",
            &["add", "01:50:56:00:00:77=cloud"],
            2,
            "group address",
        ),
        ("site", &["add", "00:50:56:00:00:77"], 2, "MAC=PEER"),
        (
            "site",
            &["add", "02:77:00:00:00:02=cloud"],
            1,
            "LAN port itself",
        ),
        (
            "site",
            &["remove", "00:50:56:00:00:77"],
            1,
            "no station that is away",
        ),
        (
            "site",
            &["move", "00:50:56:00:00:77", "cloud"],
            1,
            "causeway station add",
        ),
        (
            "site",
            &["clear", "00:50:56:00:00:50"],
            1,
            "nothing to clear",
        ),
        (
            "site",
            &["list", "--control", "nobody"],
            1,
            "no causeway answers",
        ),
        ("cloud", &["remove", "00:50:56:00:00:50"], 1, "ask there"),
    ] {
        let (exit, text) = station(&lab, end, arguments);
        assert_eq!(exit, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    let text = done(&lab, &["remove", VM2]);
    assert!(text.contains("--state"), "{text}");
    let (_, json) = station(&lab, "site", &["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list[0]["station"], VM1);
    assert_eq!(list[1]["origin"], "removed");

    lab.stop("site", "TERM");
    let state = lab.dir().join("bad.state");
    std::fs::write(&state, "{\"version\": 1, ").unwrap();
    let mut refused = lab.run(
        "site",
        "bad",
        &[],
        &[
            "--role=site",
            "--lan=lan",
            &format!("--key={}", lab.dir().join("site.key").display()),
            &format!("--peer=cloud={}@203.0.113.2:24500", lab.public_key("cloud")),
            &format!("--state={}", state.display()),
        ],
    );
    assert_eq!(refused.exit_code(PATIENCE), Some(1));
    let log = lab.log("bad");
    assert!(log.contains("is damaged") && log.contains("mv "), "{log}");
    assert_eq!(
        std::fs::read_to_string(&state).unwrap(),
        "{\"version\": 1, "
    );
}

/// Whoever asks for a change is told what became of it, however slow the disk is; and what was not answered is not done later.
#[test]
fn a_change_is_never_reported_to_have_failed_and_then_happens() {
    let lab = Lab::up(&[]);
    let state = lab.dir().join("site.state");
    lab.start_without_stations("site", &["--state", state.to_str().unwrap()]);
    // A disk that keeps the writer waiting: it writes to this file first.
    let slow = state.with_file_name("site.state.new");
    lab.exec("site", &["mkfifo", slow.to_str().unwrap()]);
    let said = done(&lab, &["add", &format!("{VM1}=cloud")]);
    assert!(said.contains("is not written yet"), "{said}");
    assert!(has(&lab, "site", VM1));
    // The disk goes on, and what could not be written then is written again.
    lab.exec("site", &["timeout", "5", "cat", slow.to_str().unwrap()]);
    let kept = || std::fs::read_to_string(&state).is_ok_and(|text| text.contains(VM1));
    assert!(within(PATIENCE, kept), "{}", lab.log("site"));
    assert_eq!(done(&lab, &["add", &format!("{VM2}=cloud")]), "done\n");

    // A process that hangs, and a client that does not wait for ever.
    let pid = lab.status("site").pid.to_string();
    lab.exec("site", &["kill", "-STOP", &pid]);
    let gone = ["timeout", "1", CAUSEWAY, "station", "remove", VM2];
    assert!(!lab.succeeds("site", &gone));
    lab.exec("site", &["kill", "-CONT", &pid]);
    lab.status("site");
    std::thread::sleep(Duration::from_millis(200));
    assert!(has(&lab, "site", VM2));
    assert_eq!(done(&lab, &["remove", VM2]), "done\n");
}

/// What was added in a VLAN that is stretched no longer is no station until it is again.
#[test]
fn a_state_file_makes_no_station_of_a_vlan_that_does_not_cross() {
    let lab = Lab::up(&[]);
    let state = lab.dir().join("site.state");
    let of_file = ["--state", state.to_str().unwrap()];
    let tagged = format!("7/{VM1}");
    lab.start_without_stations("site", &of_file);
    done(&lab, &["add", &format!("{tagged}=cloud")]);
    done(&lab, &["add", &format!("{VM2}=cloud")]);
    lab.stop("site", "TERM");
    for (vlans, there) in [("cloud=0,8", false), ("cloud=0,7", true)] {
        lab.start_without_stations("site", &[&of_file[..], &["--vlans", vlans]].concat());
        assert_eq!(has(&lab, "site", &tagged), there, "{vlans}");
        assert!(has(&lab, "site", VM2));
        let said = lab
            .log("site")
            .matches("do not cross to their peer")
            .count();
        assert_eq!(said, 1, "{}", lab.log("site"));
        lab.stop("site", "TERM");
    }
}

/// Frames of a station that has just appeared cross within 50 ms of its first; and frames of hosts at home that the
/// cloud's switch sends back are none of a station there, though the range has them.
#[test]
fn the_first_frame_is_enough_and_a_frame_that_comes_back_is_none() {
    let lab = Lab::up(&[]);
    let everybody = ["--allow", "00:00:00:00:00:00/0=cloud"];
    without_stations(&lab, &everybody, &[]);
    let broadcast = "ff:ff:ff:ff:ff:ff";
    lab.exec(
        "new",
        &["bridge", "link", "set", "dev", "cloud", "hairpin", "on"],
    );
    let back = [
        "dc", "vm1", "--src", DC, "--dst", broadcast, "--count", "300",
    ];
    let report = lab.frames(&[&back[..], &["--pause", "0.002"]].concat());
    assert!(report.contains(&"received 300".to_owned()), "{report:?}");
    let cloud = lab.status("cloud");
    assert!(cloud.verdicts["not_granted"] >= 300, "{cloud:?}");
    assert!(cloud.not_advertised["returned"] > 0, "{cloud:?}");
    assert!(!has(&lab, "site", DC), "{:?}", lab.status("site").stations);

    let new = "00:50:56:00:00:60";
    let first = [
        "vm1", "dc", "--src", new, "--dst", broadcast, "--count", "200",
    ];
    let report = lab.frames(&[&first[..], &["--pause", "0.002"]].concat());
    let received = report.iter().find_map(|l| l.strip_prefix("received "));
    let lost = 200 - received.unwrap().parse::<u32>().unwrap();
    println!("{lost} frames, 2 ms apart, before the station was away");
    // 25 on a machine that does nothing else.
    assert!((1..100).contains(&lost), "{report:?}");
    assert!(report.contains(&"duplicated 0".to_owned()), "{report:?}");
    assert_eq!(lab.status("site").stations[new].origin, "learnt");
}

/// A station moves with its frames from cloud to cloud, no frame comes twice, and one that goes to and fro is frozen.
#[test]
fn a_station_moves_with_its_frames_until_it_does_so_too_often() {
    let lab = Lab::up(&["--clouds", "2"]);
    let new = "00:50:56:00:00:60";
    for end in ["cloud", "cloud2"] {
        lab.start_without_stations(end, &[]);
    }
    let allow = [
        format!("--allow={new}=cloud"),
        format!("--allow={new}=cloud2"),
    ];
    lab.start_without_stations("site", &allow.each_ref().map(String::as_str));
    let path = |end| {
        let session = lab.status(end).peers[0].session.clone();
        session.is_some_and(|s| s.tx_lanes.iter().all(|l| l.path.is_some()))
    };
    assert!(
        within(PATIENCE, || path("cloud") && path("cloud2")),
        "no sessions"
    );
    let speak = |vm: &str| {
        let what = [
            "--src",
            new,
            "--dst",
            "ff:ff:ff:ff:ff:ff",
            "--count",
            "30",
            "--pause",
            "0.02",
        ];
        let report = lab.frames(&[&[vm, "dc"][..], &what].concat());
        assert!(report.contains(&"duplicated 0".to_owned()), "{report:?}");
        let station = lab.status("site").stations[new].clone();
        (station.peer, station.frozen)
    };
    let (vm1, vm3) = (("cloud".to_owned(), false), ("cloud2".to_owned(), false));
    for _ in 0..2 {
        assert_eq!(speak("vm1"), vm1);
        assert_eq!(speak("vm3"), vm3);
    }
    assert_eq!(speak("vm1"), vm1);
    let frozen = ("cloud2".to_owned(), true);
    assert_eq!(speak("vm3"), frozen, "the fifth move");
    let alarms = lab.status("site").alarms;
    assert_eq!(alarms[0].kind, "mac_flapping", "{alarms:?}");
    done(&lab, &["move", new, "cloud"]);
    assert!(within(PATIENCE, || has(&lab, "cloud", new)
        && !has(&lab, "cloud2", new)));
    assert!(within(PATIENCE, || lab.status("site").alarms.is_empty()));
}
