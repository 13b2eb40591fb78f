//! LAN ports that causeway makes: into a bridge, and for a hypervisor; and what a port receives.

use crate::{
    cli::{FAILED, USAGE, assert_refused},
    lab::{DC, Lab, PATIENCE, VM1, within},
    running::Running,
};

const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");

/// Starts both ends with a LAN port each, and waits for the session.
fn start(lab: &Lab, site: &[&str], cloud: &[&str]) {
    lab.start("cloud", cloud);
    let station = ["--station", "7/00:50:56:00:00:50=cloud"];
    lab.start("site", &[site, &station].concat());
    lab.wait_for_session();
}

/// Ping, TCP both ways (with checksums that the sender leaves to its card), frames of all sizes with a VLAN tag.
fn carries_everything(lab: &Lab) {
    lab.dc_reaches("10.77.0.50");
    for direction in [&[][..], &["--reverse"]] {
        let server = lab.serve_iperf3("vm1");
        let client = [&["iperf3", "-c", "10.77.0.50", "-n", "4M"], direction].concat();
        lab.exec("dc", &client);
        server.output();
    }
    for (from, to, src, dst) in [("dc", "vm1", DC, VM1), ("vm1", "dc", VM1, DC)] {
        let report = lab.frames(&[
            from, to, "--src", src, "--dst", dst, "--vlan", "7", "--sizes", "64-1518", "--count",
            "300",
        ]);
        for line in ["received 300", "tagged 300", "damaged 0", "duplicated 0"] {
            assert!(
                report.contains(&line.to_owned()),
                "{from} to {to}: {report:?}"
            );
        }
    }
}

fn interfaces(lab: &Lab, end: &str) -> String {
    lab.exec(end, &["ip", "-d", "link", "show"])
}

/// A bridge between the appliance and its LAN.
pub(crate) fn add_bridge(lab: &Lab, end: &str) {
    for command in [
        "ip link add br0 type bridge ageing_time 30000",
        "ip link set br0 up",
        "ip link set lan master br0",
    ] {
        let words: Vec<_> = command.split(' ').collect();
        lab.exec(end, &words);
    }
}

#[test]
fn a_port_of_a_bridge_carries_and_leaves_nothing_behind() {
    let lab = Lab::up(&[]);
    let ends = ["site", "cloud"];
    ends.iter().for_each(|&end| add_bridge(&lab, end));
    let address = |end| lab.exec(end, &["cat", "/sys/class/net/br0/address"]);
    let before = ends.map(address);
    let lan = ["--lan", "bridge:br0"];
    start(&lab, &lan, &lan);
    carries_everything(&lab);
    assert_eq!(ends.map(address), before, "the bridge's own address stays");
    let status = lab.status("cloud");
    assert_eq!(
        (status.lan.interface.as_str(), status.lan.port.as_str()),
        ("cw-br0", "bridge:br0")
    );
    // Checksums and tags were finished by the kernel, not by us.
    assert_eq!(status.workers[0].counters["checksums_finished"], 0);

    lab.stop("both", "TERM");
    ends.iter().for_each(|&end| {
        assert!(
            !interfaces(&lab, end).contains("cw"),
            "{}",
            interfaces(&lab, end)
        )
    });
    start(&lab, &lan, &lan);
    lab.stop("both", "KILL");
    ends.iter().for_each(|&end| {
        assert!(
            interfaces(&lab, end).contains("cw-br0"),
            "a killed process removes nothing"
        )
    });
    start(&lab, &lan, &lan);
    lab.dc_reaches("10.77.0.50");
    assert!(
        lab.log("site")
            .contains("cw-br0, which an earlier causeway has left, is removed")
    );

    // Our end would not notice by itself.
    lab.exec("site", &["ip", "link", "del", "br0"]);
    let ended = || {
        lab.log("site")
            .contains("cwp-br0 is no port of bridge br0 any more")
    };
    assert!(within(PATIENCE, ended), "{}", lab.log("site"));
    assert!(within(PATIENCE, || !interfaces(&lab, "site").contains("cw-")));
}

/// Queues as `--workers` asks; and, where the kernel has bridges that filter VLANs, all VLANs cross, and untagged
/// frames stay in the bridge's own.
#[test]
fn a_port_of_a_bridge_is_a_trunk_with_as_many_queues_as_workers() {
    let lab = Lab::up(&[]);
    add_bridge(&lab, "cloud");
    let filter = "ip link set br0 type bridge vlan_filtering 1";
    if lab.succeeds("cloud", &filter.split(' ').collect::<Vec<_>>()) {
        lab.exec(
            "cloud",
            &["bridge", "vlan", "add", "dev", "lan", "vid", "7"],
        );
    }
    start(&lab, &[], &["--lan", "bridge:br0", "--workers", "2"]);
    lab.dc_reaches("10.77.0.50");
    let report = lab.frames(&[
        "dc", "vm1", "--src", DC, "--dst", VM1, "--vlan", "7", "--sizes", "64-1518", "--count",
        "50",
    ]);
    assert!(report.contains(&"tagged 50".to_owned()), "{report:?}");
    assert_eq!(lab.status("cloud").workers.len(), 2);
}

/// A VM's card on a tap of the cloud endpoint, in place of the lab's cable.
pub(crate) fn vm(lab: &Lab) -> Running {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/vm.py");
    let namespace = |name: &str| format!("{}-{name}", lab.name());
    let (cloud, vm1) = (namespace("cloud"), namespace("vm1"));
    let mut vm = lab.spawn("vm1", &["python3", script, &cloud, "tap0", &vm1, "eth0"]);
    assert_eq!(vm.line(), "attached");
    for command in [
        "ip link set eth0 address 00:50:56:00:00:50 up",
        "ip address add 10.77.0.50/24 dev eth0",
    ] {
        let words: Vec<_> = command.split(' ').collect();
        lab.exec("vm1", &words);
    }
    vm
}

#[test]
fn a_tap_carries_for_a_vm_and_outlives_a_restart() {
    let lab = Lab::up(&[]);
    lab.exec("vm1", &["ip", "link", "del", "eth0"]);
    let lan = ["--lan", "tap:tap0"];
    start(&lab, &[], &lan);
    let first = vm(&lab);
    carries_everything(&lab);
    assert!(lab.status("cloud").workers[0].counters["lan_rx_frames"] > 300);

    // The VM notices nothing but the pause.
    lab.stop("cloud", "TERM");
    assert!(
        lab.log("cloud")
            .contains("tap tap0 stays: a VM has it open"),
        "{}",
        lab.log("cloud")
    );
    lab.start("cloud", &lan);
    lab.wait_for_session();
    lab.dc_reaches("10.77.0.50");
    drop(first);
    lab.stop("cloud", "KILL");
    assert!(interfaces(&lab, "cloud").contains("tap0"));
    // Asked for something else, the next one takes away what is left.
    lab.start("cloud", &[]);
    assert!(
        !interfaces(&lab, "cloud").contains("tap0"),
        "{}",
        interfaces(&lab, "cloud")
    );
    lab.stop("cloud", "TERM");
    lab.start("cloud", &lan);
    lab.stop("cloud", "TERM");
    assert!(!interfaces(&lab, "cloud").contains("tap0"));

    // Somebody else's is used and left.
    for command in ["ip tuntap add dev tap0 mode tap", "ip link set tap0 up"] {
        let words: Vec<_> = command.split(' ').collect();
        lab.exec("cloud", &words);
    }
    lab.start("cloud", &lan);
    lab.wait_for_session();
    let _second = vm(&lab);
    lab.dc_reaches("10.77.0.50");
    lab.stop("cloud", "TERM");
    assert!(interfaces(&lab, "cloud").contains("tap0"));
}

#[test]
fn a_port_that_cannot_be_had_is_named_with_the_mend() {
    let lab = Lab::up(&[]);
    let (key, _) = lab.keygen("port");
    let peer = "cloud=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@203.0.113.2:24500";
    let refused = |code: i32, prefix: &[&str], lan: &[&str], words: &[&str]| {
        let run = [
            "timeout", "10", CAUSEWAY, "run", "--log", "error", "--role", "site", "--key", &key,
            "--peer", peer,
        ];
        let output = lab
            .command("site", &[prefix, &run, lan].concat())
            .output()
            .unwrap();
        assert_refused(&output, code, words);
    };
    let failed = |lan: &str, words: &[&str]| refused(FAILED, &[], &["--lan", lan], words);
    failed(
        "bridge:br7",
        &["there is no bridge br7 here; there are: none"],
    );
    lab.exec("site", &["ip", "link", "add", "br0", "type", "bridge"]);
    failed("bridge:br7", &["there are: br0"]);
    failed("bridge:br0", &["bridge br0 is down: ip link set br0 up"]);
    failed(
        "bridge:lan",
        &["lan is no Linux bridge but of the kind veth", "--lan lan"],
    );
    failed("tap:lan", &["lan is no tap but of the kind veth"]);
    lab.exec(
        "site",
        &["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"],
    );
    failed("tap:tun0", &["tun0 is no tap"]);
    lab.exec("site", &["ip", "link", "set", "br0", "up"]);
    // Found out behind it: what was made is taken away.
    let later = ["--lan", "bridge:br0", "--sa-log", "/nowhere/sa"];
    refused(FAILED, &[], &later, &["cannot open --sa-log"]);
    let later = ["--lan", "tap:tap7", "--sa-log", "/nowhere/sa"];
    refused(FAILED, &[], &later, &["cannot open --sa-log"]);
    let left = interfaces(&lab, "site");
    assert!(!left.contains("cw") && !left.contains("tap7"), "{left}");
    lab.exec("site", &["ip", "link", "add", "cwp-br0", "type", "bridge"]);
    failed(
        "bridge:br0",
        &["cwp-br0", "is taken", "ip link del cwp-br0"],
    );
    assert!(
        interfaces(&lab, "site").contains("cwp-br0"),
        "it is somebody else's"
    );
    let no_admin = ["setpriv", "--bounding-set", "-net_admin"];
    refused(
        FAILED,
        &no_admin,
        &["--lan", "bridge:br0"],
        &["missing CAP_NET_ADMIN"],
    );
    let list = [
        "--lan",
        "lan",
        "--rx-filter",
        "unicast-list",
        "--promisc",
        "off",
    ];
    refused(
        USAGE,
        &[],
        &list,
        &["--promisc off", "leave out --rx-filter"],
    );
}

/// In place of promiscuity the addresses of the stations: a macvlan in passthru mode, as a macvtap or a VF is.
#[test]
fn a_unicast_list_receives_for_the_stations_alone() {
    let lab = Lab::up(&["--switch", "learning"]);
    let add = "ip link add mv0 link lan type macvlan mode passthru nopromisc";
    for command in [add, "ip link set mv0 up"] {
        let words: Vec<_> = command.split(' ').collect();
        lab.exec("site", &words);
    }
    start(&lab, &["--lan", "mv0", "--rx-filter", "unicast-list"], &[]);
    let filters = lab.exec("site", &["bridge", "fdb", "show", "dev", "mv0"]);
    for mac in [VM1, "00:50:56:00:00:51"] {
        assert!(filters.contains(mac), "{filters}");
    }
    let link = lab.exec("site", &["ip", "-d", "link", "show", "mv0"]);
    assert!(
        link.contains("promiscuity 0") && link.contains("allmulti 1"),
        "{link}"
    );
    let status = lab.status("site").lan;
    assert_eq!(
        (status.promiscuous, status.rx_filter.as_str()),
        (false, "2 unicast addresses and multicast")
    );
    lab.dc_reaches("10.77.0.50");
    lab.dc_reaches("fd77::51");
    let (third, shown) = ("00:50:56:00:00:52", ["bridge", "fdb", "show", "dev", "mv0"]);
    let filtered = || lab.exec("site", &shown).contains(third);
    lab.exec(
        "site",
        &[CAUSEWAY, "station", "add", &format!("{third}=cloud")],
    );
    assert!(
        within(PATIENCE, filtered),
        "the filters follow the stations"
    );
    lab.exec("site", &[CAUSEWAY, "station", "remove", third]);
    assert!(within(PATIENCE, || !filtered()));
    lab.stop("site", "KILL");
    let gone = || {
        !lab.exec("site", &["bridge", "fdb", "show", "dev", "mv0"])
            .contains(VM1)
    };
    assert!(within(PATIENCE, gone));
}
