//! The four tests of RFC 2544.

use serde_json::Value;

use crate::{
    TO,
    lab::{Lab, number, results, run},
};

/// Trials of 0.2 s at up to 1,000 frames/s, if nothing else is asked for.
fn rfc2544(lab: &Lab, test: &str, more: &[&str]) -> Vec<Value> {
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let mut arguments = vec!["rfc2544", test, "--tx", &tx, "--rx", &rx, "--to", TO];
    let usual = [
        ["--trial-seconds", "0.2"],
        ["--warm-up", "0"],
        ["--settle", "1"],
    ];
    for option in usual.iter().filter(|option| !more.contains(&option[0])) {
        arguments.extend(option);
    }
    arguments.extend(more);
    results(&arguments)
}

#[test]
fn throughput_of_a_bridge_beside_the_ceiling() {
    let lab = Lab::with_bridge();
    let sizes = [
        "--frame-bytes",
        "64",
        "imix",
        "--max-rate",
        "1kfps",
        "--retries",
        "2",
    ];
    let records = rfc2544(&lab, "throughput", &sizes);
    assert_eq!(records.len(), 2);
    for (record, size) in records.iter().zip(["64", "imix"]) {
        assert_eq!(
            (&record["test"], &record["frame_sizes"]),
            (&"rfc2544_throughput".into(), &size.into())
        );
        assert_eq!(
            (&record["loss_ratio"], &record["lost"]),
            (&0.0.into(), &0.into()),
            "{record}"
        );
        assert_eq!(record["sent"], record["received"]);
        // What may be sent at most is for the device; the harness by itself carries many times that.
        assert!(number(record, "frames_per_s") > 0.0);
        assert!(number(record, "ceiling_frames_per_s") > 5_000.0, "{record}");
        assert!(number(record, "trials") > number(record, "failed_trials"));
        assert_eq!(record["near_ceiling"], false);
        assert!(record["at_max"].is_boolean());
    }
}

/// What the kernel makes comes through a bridge, counted and not looked at.
#[test]
fn throughput_with_live_frames() {
    let lab = Lab::with_bridge();
    lab.take_live_frames();
    let live = ["--generator", "live", "--frame-bytes", "64", "imix"];
    let slow = ["--max-rate", "2kfps", "--retries", "9", "--no-ceiling"];
    let arguments = [&live[..], &slow].concat();
    // The kernel gives up its schedule where others have the core, and it is said then.
    let mut tries = std::iter::repeat_with(|| rfc2544(&lab, "throughput", &arguments)).take(9);
    let kept = |records: &Vec<Value>| records.iter().all(|r| r["kept_schedule"] == true);
    let records = tries.find(kept).expect("a quiet moment");
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(record["generator"], "live");
        assert_eq!(
            (&record["at_max"], &record["lost"]),
            (&true.into(), &0.into()),
            "{record}"
        );
        // 0.2 s of 2,000 frames/s, all of which the bridge sent.
        assert_eq!(
            number(record, "sent") + number(record, "refused"),
            400.0,
            "{record}"
        );
        assert_eq!(record["sent"], record["received"]);
        assert!(record.get("reordered").is_none(), "{record}");
    }
    assert!(lab.sent_at("m", "right") >= 800);
}

/// What the harness carries by itself, with that generator, is beside it.
#[test]
fn live_frames_have_a_ceiling_too() {
    let lab = Lab::with_bridge();
    lab.take_live_frames();
    let live = ["--generator", "live", "--frame-bytes", "64"];
    let lax = ["--max-rate", "1kfps", "--loss", "50%"];
    let record = rfc2544(&lab, "throughput", &[&live[..], &lax].concat()).remove(0);
    assert!(
        number(&record, "ceiling_frames_per_s") > 10_000.0,
        "{record}"
    );
    assert_eq!(record["near_ceiling"], false);
}

/// The first line comes at once, others now and then.
#[test]
fn each_trial_is_told() {
    let lab = Lab::with_bridge();
    let (tx, rx) = (lab.link("a", "out"), lab.link("b", "in"));
    let ports = ["rfc2544", "throughput", "--tx", &tx, "--rx", &rx];
    let load = ["--to", TO, "--frame-bytes", "64", "--max-rate", "500fps"];
    let short = ["--trial-seconds", "0.1", "--warm-up", "0", "--no-ceiling"];
    let output = run(&[&ports[..], &load, &short].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    let line = " s, 0/1: frames of 64 bytes, trial 1: 500 frames/s";
    assert!(log.contains(line), "{log}");
}

/// Of each 16 frames one is lost at any rate.
#[test]
fn frame_loss_is_what_the_device_loses() {
    let lab = Lab::with_faults(false);
    let more = [
        "--frame-bytes",
        "64",
        "--max-rate",
        "1kfps",
        "--no-ceiling",
        "--settle",
        "0.1",
    ];
    let records = rfc2544(&lab, "frame-loss", &more);
    let shares: Vec<_> = records.iter().map(|r| number(r, "offered_share")).collect();
    assert_eq!(shares, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]);
    let sum = |name: &str| records.iter().map(|r| number(r, name)).sum::<f64>() as u64;
    assert_eq!(sum("lost"), lab.sent_at("m", "astray"));
    assert_eq!(sum("sent"), sum("lost") + sum("received"));
    for record in &records {
        let expected = number(record, "sent") / 16.0;
        assert!((number(record, "lost") - expected).abs() <= 1.0, "{record}");
    }
}

#[test]
fn frame_loss_ends_after_two_rates_without() {
    let lab = Lab::with_bridge();
    let more = [
        "--frame-bytes",
        "128",
        "--max-rate",
        "500fps",
        "--no-ceiling",
    ];
    let records = rfc2544(&lab, "frame-loss", &more);
    let lost: Vec<_> = records.iter().map(|r| number(r, "lost")).collect();
    assert!(
        records.len() >= 2 && lost.ends_with(&[0.0, 0.0]),
        "{lost:?}"
    );
    // The bridge loses nothing at that rate; what a busy machine delays still comes.
    assert_eq!(records.len(), 2, "{records:?}");
}

#[test]
fn latency_at_a_rate_and_over_a_bare_veth() {
    let lab = Lab::with_bridge();
    let more = [
        "--frame-bytes",
        "256",
        "--rate",
        "500fps",
        "--max-rate",
        "500fps",
        "--trials",
        "2",
    ];
    let record = rfc2544(&lab, "latency", &more).remove(0);
    assert_eq!(
        (&record["test"], &record["lost"]),
        (&"rfc2544_latency".into(), &0.into())
    );
    assert_eq!(record["latency_frames"], record["received"]);
    let p50 = number(&record, "latency_p50_s");
    assert!(p50 > 0.0 && p50 <= number(&record, "latency_max_s"));
    assert!(number(&record, "ceiling_latency_p50_s") > 0.0);
    assert!(
        record["latency_cdf"]
            .as_array()
            .is_some_and(|cdf| cdf.len() > 100)
    );
}

#[test]
fn bursts_have_a_mean() {
    let lab = Lab::with_bridge();
    let more = [
        "--frame-bytes",
        "64",
        "--max-burst",
        "40",
        "--trials",
        "2",
        "--no-ceiling",
    ];
    let record = rfc2544(&lab, "back-to-back", &more).remove(0);
    assert_eq!(record["test"], "rfc2544_back_to_back");
    // 40 frames fit every queue on the way.
    assert_eq!(
        (&record["burst_frames"], &record["at_max"]),
        (&40.0.into(), &true.into()),
        "{record}"
    );
}

#[test]
fn a_short_burst_is_no_limit_of_the_harness() {
    let lab = Lab::with_bridge();
    let more = ["--frame-bytes", "64", "--max-burst", "40", "--trials", "1"];
    let record = rfc2544(&lab, "back-to-back", &more).remove(0);
    assert!(number(&record, "ceiling_burst_frames") > 200.0, "{record}");
    assert_eq!(record["near_ceiling"], false);
}

#[test]
fn a_device_that_always_loses_passes_only_with_tolerance() {
    let lab = Lab::with_faults(false);
    let common = ["--frame-bytes", "64", "--max-rate", "1kfps", "--no-ceiling"];
    let strict = [
        "--settle",
        "0.05",
        "--trial-seconds",
        "0.05",
        "--retries",
        "0",
    ];
    let record = rfc2544(&lab, "throughput", &[&common[..], &strict].concat()).remove(0);
    // Up to 15 frames may all come.
    assert!(
        number(&record, "sent") < 16.0 || record["frames_per_s"] == 0.0,
        "{record}"
    );
    let tolerant = ["--loss", "50%", "--warm-up", "0.05"];
    let record = rfc2544(&lab, "throughput", &[&common[..], &tolerant].concat()).remove(0);
    assert_eq!(
        (&record["at_max"], &record["accepted_loss_ratio"]),
        (&true.into(), &0.5.into())
    );
    assert_eq!(
        number(&record, "sent"),
        number(&record, "received") + number(&record, "lost")
    );
}
