use super::*;
use crate::options::RxFilterName;

const KEY1: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const KEY2: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn toml(text: &str) -> Result<RunOptions, toml::de::Error> {
    toml::from_str(text)
}

fn site() -> RunOptions {
    toml(&format!(
        "role = 'site'\nlan = 'lan0'\nkey = 'k'\npeer = ['cloud={KEY1}@h:1']\n\
         station = ['00:50:56:00:00:50=cloud', '7/00:50:56:00:00:50=cloud']\nworkers = 2"
    ))
    .unwrap()
}

#[test]
fn file_and_flags_make_a_configuration() {
    let flags = RunOptions {
        workers: Some(3),
        peer: vec![format!("other={KEY2}@h2:24500").parse().unwrap()],
        ..RunOptions::default()
    };
    let config = Config::check(flags.or(site())).unwrap();
    assert_eq!(config.workers, Some(3));
    assert_eq!(config.lan, LanSpec::Interface("lan0".into()));
    let names: Vec<_> = config.peers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["other", "cloud"]);
    assert_eq!(config.stations.len(), 2);
    assert!(config.stations.iter().all(|(_, s)| s.peer == 1));
    assert_eq!(config.rekey_after, Duration::from_secs(120));
    assert_eq!(config.aead, AeadName::Auto);
}

#[test]
fn an_end_either_dials_or_listens() {
    assert_eq!(Config::check(site()).unwrap().listen, None);
    let mut cloud = site();
    cloud.role = Some(RoleName::Cloud);
    cloud.station.clear();
    cloud.peer = vec![format!("site={KEY1}").parse().unwrap()];
    let listen = Config::check(cloud.clone()).unwrap().listen;
    assert_eq!(listen.map(|l| l.port()), Some(DEFAULT_PORT));

    let mut both = site();
    both.listen = Some("192.0.2.1:24500".parse().unwrap());
    let error = Config::check(both).unwrap_err().to_string();
    assert!(error.contains("--listen"), "{error}");
    cloud
        .peer
        .push(format!("other={KEY2}@h:1").parse().unwrap());
    let error = Config::check(cloud).unwrap_err().to_string();
    assert!(error.contains("either dials"), "{error}");
}

#[test]
fn a_flag_replaces_the_files_peer_of_the_same_name() {
    let flags = RunOptions {
        peer: vec![format!("cloud={KEY2}@x:2").parse().unwrap()],
        ..RunOptions::default()
    };
    let merged = flags.or(site());
    assert_eq!(merged.peer.len(), 1);
    assert_eq!(merged.peer[0].address.as_deref(), Some("x:2"));
}

#[test]
fn unknown_keys_and_bad_values_are_refused() {
    for bad in [
        "colour = 'red'",
        "role = 'hub'",
        "workers = 'x'",
        "aead = 'openssl'",
        "peer = 'cloud=x'",
        "rekey-after = '5'",
    ] {
        assert!(toml(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_missing_or_contradicts_is_named() {
    type Spoil = fn(&mut RunOptions);
    let cases: [(&str, Spoil); 19] = [
        ("--role", |o| o.role = None),
        ("--lan", |o| o.lan = None),
        ("--key", |o| o.key = None),
        ("--peer", |o| o.peer.clear()),
        ("--workers", |o| o.workers = Some(0)),
        ("--ring-size", |o| o.ring_size = Some(1_000)),
        ("--umem-frames 4095 is not between 4096 and 8192", |o| {
            o.umem_frames = Some(4_095)
        }),
        ("--tx-budget 65 is not between 32 and 64", |o| {
            (o.ring_size, o.tx_budget) = (Some(64), Some(65))
        }),
        ("--xdp-send-buffer", |o| o.xdp_send_buffer = Some(1)),
        ("--busy-poll", |o| o.busy_poll = Some(1_025)),
        ("--sched-fifo 100", |o| o.sched_fifo = Some(100)),
        ("--rekey-after", |o| {
            o.rekey_after = Some("180s".parse().unwrap())
        }),
        ("--uplink-interface is for", |o| {
            o.uplink = Some(UplinkKind::Udp);
            o.uplink_interface = Some("wan0".into());
        }),
        ("--promisc off", |o| {
            (o.promisc, o.rx_filter) = (Some(OnOff::Off), Some(RxFilterName::UnicastList))
        }),
        ("contradict", |o| {
            (o.promisc, o.rx_filter) = (Some(OnOff::On), Some(RxFilterName::UnicastList))
        }),
        ("is the LAN port", |o| {
            o.uplink = Some(UplinkKind::Xdp);
            o.uplink_interface = Some("lan0".into())
        }),
        ("given twice", |o| {
            o.station.push("00:50:56:00:00:50=cloud".parse().unwrap())
        }),
        ("no --peer names", |o| {
            o.station.push("00:50:56:00:00:51=clod".parse().unwrap())
        }),
        ("site's configuration", |o| o.role = Some(RoleName::Cloud)),
    ];
    for (word, spoil) in cases {
        let mut options = site();
        spoil(&mut options);
        let error = Config::check(options).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
