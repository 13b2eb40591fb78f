use super::*;
use crate::status::{NextHopStatus, SessionStatus, UplinkXdpStatus};

#[test]
fn text_shows_what_matters_and_leaves_zeros_out() {
    let status = Status {
        role: "site".into(),
        peers: vec![PeerStatus {
            name: "cloud1".into(),
            state: "up".into(),
            session: Some(SessionStatus {
                path_mtu: 1_452,
                ..Default::default()
            }),
            ..Default::default()
        }],
        drops: [("replayed".into(), 3), ("bad_tag".into(), 0)].into(),
        stations: (0..40)
            .map(|i| (format!("{i:02}"), StationStatus::default()))
            .collect(),
        ..Default::default()
    };
    let text = status.to_text();
    assert!(text.contains("uplink: kernel UDP"));
    assert!(text.contains("path MTU 1452"));
    assert!(text.contains("replayed"));
    assert!(!text.contains("bad_tag"));
    assert!(text.contains("and 8 more"));
    let back: Status = serde_json::from_str(&serde_json::to_string(&status).unwrap()).unwrap();
    assert_eq!(back.to_text(), text);
}

#[test]
fn text_shows_the_ways_by_af_xdp_and_why_there_is_none() {
    let way = |remote: &str, next_hop: Option<&str>, why_not: Option<&str>| NextHopStatus {
        remote: remote.into(),
        local: None,
        next_hop: next_hop.map(Into::into),
        why_not: why_not.map(Into::into),
    };
    let xdp = UplinkXdpStatus {
        interface: "eth0".into(),
        copy_mode: "copy".into(),
        flow_rules: "4".into(),
        next_hops: vec![
            way("192.0.2.1", Some("192.0.2.9 (02:00:00:00:00:01)"), None),
            way("192.0.2.2", None, Some("no route")),
        ],
        ..Default::default()
    };
    let status = Status {
        uplink: UplinkStatus {
            xdp: Some(xdp),
            ..Default::default()
        },
        uplink_verdicts: [("esp".into(), 7)].into(),
        ..Default::default()
    };
    let text = status.to_text();
    for words in [
        "uplink eth0",
        "flow rules: 4",
        "192.0.2.1 by 192.0.2.9 (02:00:00:00:00:01)",
        "192.0.2.2 through the kernel: no route",
        "frames at the uplink",
        "esp  ",
    ] {
        assert!(text.contains(words), "{words} lacks in {text}");
    }
}
