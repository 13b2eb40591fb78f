//! A load with a bounded budget of errors.

use crate::{
    TO,
    lab::{Background, Lab, number, parse, run},
};

fn soak<'a>(tx: &'a str, rx: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let ports = [
        "soak",
        "--tx",
        tx,
        "--rx",
        rx,
        "--to",
        TO,
        "--rate",
        "500fps",
        "--frame-bytes",
        "128",
    ];
    [&ports[..], more].concat()
}

#[test]
fn within_the_budget() {
    let lab = Lab::with_bridge();
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let output = run(&soak(
        &tx,
        &rx,
        &[
            "--seconds",
            "1.5",
            "--period",
            "0.5",
            "--flows",
            "3",
            "--json",
        ],
    ));
    assert!(output.status.success(), "{output:?}");
    let record = parse(&output.stdout).remove(0);
    assert_eq!(
        (&record["test"], &record["passed"]),
        (&"soak".into(), &true.into())
    );
    assert_eq!(
        (&record["sent"], &record["lost"]),
        (&record["received"], &0.into())
    );
    // All periods are in it.
    assert_eq!(record["latency_frames"], record["received"]);
    let lines = String::from_utf8_lossy(&output.stderr);
    assert!(lines.contains("sent") && lines.contains("p99"), "{lines}");
}

#[test]
fn it_ends_when_too_much_is_lost_and_says_so() {
    let lab = Lab::with_faults(true);
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let hour = [
        "--hours",
        "1",
        "--settle",
        "1",
        "--max-duplicated",
        "1000000",
        "--json",
    ];
    let output = run(&soak(&tx, &rx, &hour));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let record = parse(&output.stdout).remove(0);
    assert_eq!(record["passed"], false);
    assert!(
        record["failure"]
            .as_str()
            .is_some_and(|f| f.contains("lost, 0 allowed")),
        "{record}"
    );
    assert!(number(&record, "elapsed_s") < 600.0);
    assert_eq!(record["lost"], lab.sent_at("m", "astray"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the error budget is exceeded"), "{text}");

    // What is lost is within this budget, but one in 16 comes twice.
    let output = run(&soak(
        &tx,
        &rx,
        &[
            "--hours",
            "1",
            "--max-loss",
            "50%",
            "--max-duplicated",
            "5",
            "--json",
        ],
    ));
    assert_eq!(output.status.code(), Some(1));
    let record = parse(&output.stdout).remove(0);
    assert!(
        record["failure"]
            .as_str()
            .is_some_and(|f| f.contains("duplicated, 5 allowed")),
        "{record}"
    );
}

#[test]
fn ctrl_c_ends_it_with_a_report() {
    let lab = Lab::with_bridge();
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let mut soak = Background::start(&soak(&tx, &rx, &["--hours", "1", "--period", "0.2"]));
    soak.wait_for("received");
    let (code, stdout) = soak.interrupt();
    assert_eq!(code, Some(130));
    let record = parse(&stdout).remove(0);
    assert_eq!(
        (&record["passed"], &record["failure"]),
        (&false.into(), &"interrupted".into())
    );
    assert!(!lab.has_xdp("b", "in"));
}
