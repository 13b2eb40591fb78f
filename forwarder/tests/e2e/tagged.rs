//! Numbered frames from one host to another, in a VLAN here and in another there.

use crate::lab::Lab;

/// Who sends to whom, and with which addresses: from, to, source, destination.
pub(crate) type Way<'a> = [&'a str; 4];

/// How many, and of which sizes (`64-1514`; without, all of one size).
#[derive(Clone, Copy)]
pub(crate) struct Frames<'a> {
    pub(crate) count: &'a str,
    pub(crate) sizes: Option<&'a str>,
}

/// Sends frames in a VLAN (0: untagged) and awaits them in another; gives what the receiver reports.
pub(crate) fn send(
    lab: &Lab,
    way: Way<'_>,
    [vlan, arrives]: [&str; 2],
    frames: Frames<'_>,
) -> Vec<String> {
    let [from, to, src, dst] = way;
    let mut words = vec![from, to, "--src", src, "--dst", dst, "--vlan", vlan];
    words.extend(["--arrives", arrives, "--count", frames.count]);
    words.extend(frames.sizes.into_iter().flat_map(|s| ["--sizes", s]));
    lab.frames(&words)
}

/// Wants all of them to arrive, each once and whole.
#[track_caller]
pub(crate) fn arrive(lab: &Lab, way: Way<'_>, vlans: [&str; 2], frames: Frames<'_>) {
    let report = send(lab, way, vlans, frames);
    let count = frames.count;
    let tagged = if vlans == ["0", "0"] { "0" } else { count };
    for line in [
        format!("received {count}"),
        "duplicated 0".into(),
        "damaged 0".into(),
        format!("tagged {tagged}"),
    ] {
        assert!(report.contains(&line), "{way:?} {vlans:?}: {report:?}");
    }
}
