//! A machine that an end cannot start on: one line that says what to change, and nothing left behind.

use std::{
    net::UdpSocket,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    process::Output,
};

use causeway::{stations::Role, xdp::LanProgram};
use causeway_ebpf::maps::LanConfig;

use crate::{
    cli::{FAILED, assert_refused},
    insider::{inside, socket},
    lab::{Lab, PATIENCE, shown, within},
    pings::Pings,
};

const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");

/// `causeway run` as a site, in the site's namespace, that should end by itself.
fn run(lab: &Lab, key: &str, prefix: &[&str], flags: &[&str]) -> Output {
    // Who listens waits for the peer, who does not dials it.
    let peer = match flags.contains(&"--listen") {
        true => "cloud=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        false => "cloud=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@203.0.113.2:24500",
    };
    let program = [
        "timeout", "10", CAUSEWAY, "run", "--log", "error", "--role", "site",
    ];
    let lan: &[&str] = if flags.contains(&"--lan") {
        &[]
    } else {
        &["--lan", "lan"]
    };
    let all = [
        prefix,
        &program,
        lan,
        &["--key", key, "--peer", peer],
        flags,
    ]
    .concat();
    let output = lab.command("site", &all).output().unwrap();
    let link = lab.exec("site", &["ip", "-d", "link", "show", "lan"]);
    assert!(
        !link.contains("xdp") && link.contains("promiscuity 0"),
        "{link}\n{}",
        shown(&output)
    );
    output
}

fn add_interface(lab: &Lab, name: &str, mtu: &str, up: bool) {
    let peer = format!("{name}-peer");
    lab.exec(
        "site",
        &[
            "ip", "link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", &peer, "mtu",
            mtu,
        ],
    );
    for interface in [name, &peer].into_iter().filter(|_| up) {
        lab.exec("site", &["ip", "link", "set", interface, "up"]);
    }
}

#[test]
fn what_is_missing_on_the_machine_is_named_with_the_mend() {
    let lab = Lab::up(&[]);
    let (key, _) = lab.keygen("machine");
    let refused = |prefix: &[&str], flags: &[&str], words: &[&str]| {
        assert_refused(&run(&lab, &key, prefix, flags), FAILED, words);
    };
    for (dropped, missing) in [
        ("-net_raw", "missing CAP_NET_RAW:"),
        ("-net_admin", "missing CAP_NET_ADMIN:"),
        ("-bpf,-sys_admin", "missing CAP_BPF:"),
        ("-all", "missing CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF:"),
    ] {
        let mend = "run as root, or give the capabilities with systemd (AmbientCapabilities=";
        refused(
            &["setpriv", "--bounding-set", dropped],
            &[],
            &[missing, mend],
        );
    }
    refused(
        &[],
        &["--lan", "lan7"],
        &["there is no interface lan7 here; there are: lan, lo, wan"],
    );
    add_interface(&lab, "idle", "1500", false);
    refused(
        &[],
        &["--lan", "idle"],
        &["interface idle is down: ip link set idle up"],
    );
    add_interface(&lab, "jumbo", "9195", true);
    refused(
        &[],
        &["--lan", "jumbo"],
        &[
            "jumbo has an MTU of 9195",
            "frames to 9216 bytes",
            "ip link set jumbo mtu 9194",
        ],
    );
    refused(
        &[],
        &["--workers", "3"],
        &[
            "--workers 3",
            "lan with 1 queue(s)",
            "ethtool -L lan combined 3",
        ],
    );
    refused(
        &[],
        &["--listen", "192.0.2.1:24500"],
        &[
            "cannot open UDP 192.0.2.1:24500",
            "the address not ours",
            "--listen",
        ],
    );
    let folder = lab.dir();
    refused(
        &[],
        &["--sa-log", folder.to_str().unwrap()],
        &["cannot open --sa-log", "Is a directory"],
    );
    another_programs_port(&lab, &key);
    another_xdp_program(&lab, &key);
}

/// Taken exclusively, or shared (SO_REUSEPORT) as another causeway does, whose datagrams we would get.
fn another_programs_port(lab: &Lab, key: &str) {
    let taken = socket(lab, "site", "198.51.100.2:24500");
    let words = [
        "cannot open UDP 198.51.100.2:24500",
        "in use",
        "another causeway",
        "--listen",
    ];
    let listen = ["--listen", "198.51.100.2:24500"];
    assert_refused(&run(lab, key, &[], &listen), FAILED, &words);
    drop(taken);
    let shared: UdpSocket = inside(lab, "site", || {
        causeway::uplink::bind("198.51.100.2:24500".parse().unwrap(), true).unwrap()
    });
    assert_refused(&run(lab, key, &[], &listen), FAILED, &words);
    drop(shared);
}

fn another_xdp_program(lab: &Lab, key: &str) {
    let mut program = LanProgram::load().unwrap();
    program
        .configure(&LanConfig::new(Role::Cloud, [2, 0, 0, 0, 0, 1]))
        .unwrap();
    inside(lab, "site", || program.attach("lan").unwrap());
    let peer = "cloud=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@203.0.113.2:24500";
    let flags = [
        "--role", "site", "--lan", "lan", "--key", key, "--peer", peer,
    ];
    let command = [
        &["timeout", "10", CAUSEWAY, "run", "--log", "error"][..],
        &flags,
    ]
    .concat();
    let output = lab.command("site", &command).output().unwrap();
    assert_refused(
        &output,
        FAILED,
        &[
            "lan has another XDP program",
            "bpftool net show dev lan",
            "xdp off",
        ],
    );
    program.detach();
}

/// Beside one that runs, another is refused whatever it shares with the first, which is not disturbed.
#[test]
fn a_second_instance_is_refused_and_the_first_goes_on() {
    let lab = Lab::running(&[], &[]);
    let key = lab.dir().join("cloud.key");
    let add = [
        "ip",
        "link",
        "add",
        "lan2",
        "type",
        "veth",
        "peer",
        "name",
        "lan2-peer",
    ];
    lab.exec("cloud", &add);
    lab.exec("cloud", &["ip", "link", "set", "lan2", "up"]);
    let second = |flags: &[&str]| {
        let peer = "site=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let program = [
            "timeout", "10", CAUSEWAY, "run", "--log", "error", "--role", "cloud", "--peer", peer,
        ];
        let all = [&program[..], &["--key", key.to_str().unwrap()], flags].concat();
        lab.command("cloud", &all).output().unwrap()
    };
    let ping = Pings::start(&lab);
    let listen = ["--listen", "203.0.113.2:24500"];
    let other = ["--control", "other", "--listen", "203.0.113.2:24501"];
    let refused = second(&[&["--lan", "lan2"], &listen[..]].concat());
    assert_refused(
        &refused,
        FAILED,
        &["control socket causeway is in use", "--control OTHER"],
    );
    let refused = second(&[&["--lan", "lan2", "--control", "other"], &listen[..]].concat());
    assert_refused(
        &refused,
        FAILED,
        &[
            "cannot open UDP 203.0.113.2:24500",
            "in use",
            "another causeway",
        ],
    );
    let refused = second(&[&["--lan", "lan", "--promisc", "off"], &other[..]].concat());
    assert_refused(&refused, FAILED, &["lan", "another"]);
    ping.assert_all_answered();

    // Who is neither root nor the user that it runs as is told nothing.
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        CAUSEWAY,
        "status",
    ];
    let output = lab.command("site", &nobody).output().unwrap();
    assert_refused(
        &output,
        FAILED,
        &["only root and the user that causeway runs as may ask"],
    );

    // Nor does it keep more than a few waiting, who may say nothing at all.
    let crowd = inside(&lab, "site", || {
        let name = SocketAddr::from_abstract_name("causeway").unwrap();
        let connect = |_| UnixStream::connect_addr(&name).unwrap();
        (0..16).map(connect).collect::<Vec<_>>()
    });
    let one_more = lab.command("site", &[CAUSEWAY, "status"]).output().unwrap();
    assert_refused(&one_more, FAILED, &["too many clients", "try again"]);
    drop(crowd);
    assert!(within(PATIENCE, || lab.succeeds("site", &[CAUSEWAY, "status"])));
}

/// The capabilities that the unit and the message name are enough, and root is not needed.
#[test]
fn it_runs_with_the_capabilities_that_it_asks_for() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    lab.start("site", &[]);
    lab.wait_for_session();
    lab.stop("site", "TERM");
    let (key, user) = (lab.dir().join("site.key"), Some(65_534));
    // The lab's folder is root's; a key that the user can read lies elsewhere.
    let own = std::env::temp_dir().join(format!("{}-site.key", lab.name()));
    std::fs::copy(&key, &own).unwrap();
    std::os::unix::fs::chown(&own, user, user).unwrap();
    let cloud = std::fs::read_to_string(lab.dir().join("cloud.pub")).unwrap();
    let peer = format!("cloud={}@203.0.113.2:24500", cloud.trim());
    let needed = "+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock";
    let only = format!("-all,{needed}");
    let prefix = [
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        "--inh-caps",
        &only,
        "--ambient-caps",
        &only,
        "--bounding-set",
        &only,
    ];
    let site = lab.run(
        "site",
        "site",
        &prefix,
        &[
            "--role",
            "site",
            "--lan",
            "lan",
            "--key",
            own.to_str().unwrap(),
            "--peer",
            &peer,
            "--station",
            "00:50:56:00:00:50=cloud",
        ],
    );
    let answers = || lab.succeeds("dc", &["ping", "-q", "-c", "1", "-W", "1", "10.77.0.50"]);
    let up = within(PATIENCE, answers);
    std::fs::remove_file(&own).unwrap();
    assert!(up, "{}", lab.log("site"));
    let asked = [
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        CAUSEWAY,
        "status",
    ];
    assert!(
        lab.succeeds("site", &asked),
        "the user that it runs as may ask"
    );
    drop(site);
}
