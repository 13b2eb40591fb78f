//! A LAN that is in another VLAN at this port than was said.

use super::super::{
    check::{Check, failing, unknown},
    probe::Probe,
};

/// Where somebody does answer, if nobody did in VLAN `asked`. Of `strangers` that says little.
pub(super) fn wrong(
    name: &'static str,
    (asked, strangers): (u16, bool),
    probes: &[Probe],
    elsewhere: &[Probe],
) -> Option<Check> {
    if let Some(probe) = elsewhere.iter().find(|p| p.answered()) {
        if strangers {
            let why = format!(
                "nobody was heard {}, but {} {}, where it answers: name a host of the LAN with --target; if that is one, {}",
                place(asked),
                probe.target,
                place(probe.vlan),
                mend(probe.vlan)
            );
            return Some(unknown(name, why));
        }
        let why = format!(
            "{} does not answer {}, but does {}",
            probe.target,
            place(asked),
            place(probe.vlan)
        );
        return Some(failing(name, why, mend(probe.vlan)));
    }
    let (probe, vlan) = probes.iter().find_map(|p| Some((p, *p.strays.first()?)))?;
    let why = format!(
        "{} is asked {} and answers {}: the switch changes the tag one way",
        probe.target,
        place(asked),
        place(vlan)
    );
    Some(failing(
        name,
        why,
        "at the switch: the VLAN of the LAN tagged at this port both ways, or untagged both ways (the native VLAN)",
    ))
}

fn place(vlan: u16) -> String {
    match vlan {
        0 => "untagged".into(),
        vlan => format!("in VLAN {vlan}"),
    }
}

fn mend(vlan: u16) -> String {
    match vlan {
        0 => "no `--vlan` here, and `station` without a VLAN: at this port the LAN is untagged"
            .into(),
        vlan => format!(
            "`--vlan {vlan}` here, and `station = \"{vlan}/MAC=PEER\"`: at this port the LAN is VLAN {vlan}; or a port in that VLAN, untagged"
        ),
    }
}

/// What to say of the VLANs whose frames come in, if others than `asked`.
pub(super) fn heard(asked: u16, heard: &[u16]) -> String {
    const FEW: usize = 8;
    let others = heard.iter().filter(|vlan| ![0, asked].contains(*vlan));
    let others: Vec<_> = others.take(FEW).map(ToString::to_string).collect();
    match others.is_empty() {
        true => String::new(),
        false => format!(" (frames of VLAN {} come in)", others.join(", ")),
    }
}
