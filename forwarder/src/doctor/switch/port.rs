//! What else the probes tell of the port: that it stays open, that nothing comes back, that an address is one host's.

use super::{ALIVE, ONE_HOST, REFLECTS};
use crate::doctor::{
    check::{Check, failing, ok, unknown},
    platform::{Fault, Platform},
    probe::{Kind, Mac, Probe},
};

/// Whether the port still carries its own frames after foreign ones; only asked if none of these passed.
pub(super) fn stays_open(probes: &[Probe], link_lost: bool, platform: Platform) -> Option<Check> {
    let last_foreign = probes.iter().rposition(|p| p.kind == Kind::P3)?;
    let (before, after) = probes.split_at(last_foreign);
    let own = |probes: &[Probe]| {
        let own = probes.iter().filter(|p| p.kind == Kind::P0);
        own.map(Probe::answered).collect::<Vec<_>>()
    };
    let (before, after) = (own(before), own(after));
    if after.is_empty() {
        None
    } else if link_lost {
        Some(failing(
            ALIVE,
            "since a frame with a foreign source went out the link is down",
            platform.mend(Fault::Shut),
        ))
    } else if after.contains(&true) {
        Some(ok(
            ALIVE,
            "after frames with foreign sources its own are answered still",
        ))
    } else if before.contains(&false) {
        Some(unknown(
            ALIVE,
            "since a frame with a foreign source went out nobody has answered any more; but answers were lost before as well: run this again",
        ))
    } else {
        Some(failing(
            ALIVE,
            "since a frame with a foreign source went out nobody has answered any more",
            platform.mend(Fault::Shut),
        ))
    }
}

pub(super) fn reflects(probes: &[Probe], platform: Platform) -> Check {
    let returned: u32 = probes.iter().map(|p| p.returned).sum();
    let twice = |p: &&Probe| most_of_one(&p.answers) > 1;
    let twice = probes.iter().filter(twice).count();
    if returned == 0 && twice == 0 {
        return ok(REFLECTS, "no probe came back and no answer came twice");
    }
    failing(
        REFLECTS,
        format!(
            "{returned} probes came back, {twice} were answered twice by one host: the switch or a team of its uplinks reflects (the XDP program drops that, but switches learn wrong ports from it)"
        ),
        platform.mend(Fault::Reflection),
    )
}

/// How many answers one host gave, at most.
fn most_of_one(answers: &[Mac]) -> usize {
    let of = |mac: &Mac| answers.iter().filter(|a| *a == mac).count();
    answers.iter().map(of).max().unwrap_or(0)
}

/// Several hosts that answer for one address: none of the switch's, but who looks for a VM wants to know.
pub(super) fn two_hosts(probes: &[Probe]) -> Option<Check> {
    let differ = |p: &&Probe| p.answers.iter().any(|mac| *mac != p.answers[0]);
    let probe = probes.iter().find(differ)?;
    let mut who: Vec<_> = probe.answers.iter().map(ToString::to_string).collect();
    who.sort();
    who.dedup();
    Some(failing(
        ONE_HOST,
        format!("{} is answered for by {}", probe.target, who.join(" and ")),
        "stop the host that should not have this address (a moved VM that still runs at home?), or its proxy ARP",
    ))
}
