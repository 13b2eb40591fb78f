//! Several doctors at one port.

use std::process::Stdio;

use serde_json::Value;

use super::{CAUSEWAY, ONE, doctor};
use crate::{
    cli::{FAILED, assert_refused},
    lab::{Lab, PATIENCE, within},
};

/// Four at once come to the same as one, alone and beside a running appliance.
#[test]
fn doctors_at_one_port_take_turns() {
    let lab = Lab::up(&["--switch", "learning"]);
    all_are_content(&lab);
    lab.start("both", &["--arp-suppress", "off"]);
    lab.wait_for_session();
    all_are_content(&lab);
    who_waits_too_long_is_told(&lab);
}

fn all_are_content(lab: &Lab) {
    let ask = [&[CAUSEWAY, "doctor", "--lan", "lan", "--json"], ONE].concat();
    let start = |_| {
        let mut command = lab.command("site", &ask);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let doctors: Vec<_> = (0..4).map(start).collect();
    for doctor in doctors {
        let output = doctor.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        for probe in report["probes"].as_array().unwrap() {
            let answers = probe["answers"].as_array().unwrap().len();
            assert_eq!(
                (answers, &probe["returned"]),
                (1, &Value::from(0)),
                "{text}"
            );
        }
    }
}

fn who_waits_too_long_is_told(lab: &Lab) {
    let index = lab.exec("site", &["cat", "/sys/class/net/lan/ifindex"]);
    let hold = format!(
        "import socket, time\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.bind('\\0causeway-doctor-{}')\n\
         print('held', flush=True)\n\
         time.sleep(60)",
        index.trim()
    );
    let mut held = lab.spawn("site", &["python3", "-c", &hold]);
    assert_eq!(held.line(), "held");
    assert_refused(
        &doctor(lab, &[], ONE),
        FAILED,
        &[
            "another causeway doctor is at interface lan",
            "wait until it has ended",
        ],
    );
    drop(held);
    assert!(within(PATIENCE, || doctor(lab, &[], ONE).status.success()));
}
