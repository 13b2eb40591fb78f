//! What the switch does, by the pattern of the probes that were answered.

mod port;
mod vlan;

use self::port::{reflects, stays_open, two_hosts};
use super::{
    check::{Check, Verdict, failing, ok, unknown},
    platform::{Fault, Platform},
    probe::{Kind, Probe},
};

const ANSWERS: &str = "a host answers";
const RECEIVES: &str = "foreign MACs get in";
const SENDS: &str = "foreign MACs get out";
const REFLECTS: &str = "no frame comes back";
const ALIVE: &str = "the port stays open";
const ONE_HOST: &str = "an address is one host's";

/// What a pattern means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Diagnosis {
    /// Everything passes.
    Passes,
    /// Frames for foreign addresses do not come in.
    ReceiveBlocked,
    /// Frames from foreign addresses do not get out.
    SendBlocked,
    /// Neither, or a filter that looks into ARP.
    BothBlocked,
    /// The port learns what it sends, and gets nothing that was not learnt.
    NoFlooding,
    /// ARP has to have one address as the frame's source and as its sender: moved VMs' has.
    ArpConsistency,
    /// A foreign source gets out if ARP names it too.
    SourceMustBeSender,
    /// Each alone passes, and both together do not.
    OnlyTogetherBlocked,
}

/// P2, P1, P3 answered; what that means.
const TABLE: [([bool; 3], Diagnosis); 8] = [
    ([true, true, true], Diagnosis::Passes),
    ([false, true, false], Diagnosis::ReceiveBlocked),
    ([true, false, false], Diagnosis::SendBlocked),
    ([false, false, false], Diagnosis::BothBlocked),
    ([false, true, true], Diagnosis::NoFlooding),
    ([false, false, true], Diagnosis::ArpConsistency),
    ([true, false, true], Diagnosis::SourceMustBeSender),
    ([true, true, false], Diagnosis::OnlyTogetherBlocked),
];

/// The meaning of what was answered; `None` if nobody answered at all, or too late to be asked on.
pub fn diagnose(probes: &[Probe]) -> Option<Diagnosis> {
    let asked_on = probes.iter().any(|p| p.kind.foreign_source());
    if !asked_on || !probes.iter().any(Probe::answered) {
        return None;
    }
    let answered = |kind| probes.iter().any(|p| p.kind == kind && p.answered());
    let pattern = [Kind::P2, Kind::P1, Kind::P3].map(answered);
    let row = TABLE.iter().find(|(row, _)| *row == pattern);
    row.map(|(_, diagnosis)| *diagnosis)
}

/// What happened at the port meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Meanwhile {
    /// VLANs whose frames came in (0: untagged).
    pub heard: Vec<u16>,
    /// The link was there when the first probe was sent, and is gone now.
    pub link_lost: bool,
    /// Nobody was named, nor heard in the VLAN: those are asked who were heard in others, which may not be this LAN's.
    pub strangers: bool,
    /// What else may be the reason if nobody answers here.
    pub behind_silence: String,
}

/// The checks of the switch port, asked in VLAN `vlan` (0: untagged).
pub fn checks(all: &[Probe], vlan: u16, meanwhile: &Meanwhile, platform: Platform) -> Vec<Check> {
    let (probes, elsewhere): (Vec<_>, Vec<_>) =
        { all.iter().cloned() }.partition(|p| p.vlan == vlan);
    let probes = &probes[..];
    let Some(diagnosis) = diagnose(probes) else {
        let wrong = vlan::wrong(ANSWERS, (vlan, meanwhile.strangers), probes, &elsewhere);
        return vec![wrong.unwrap_or_else(|| nobody(probes, vlan, meanwhile))];
    };
    let mut checks = vec![somebody(probes)];
    let (shut, open): (Vec<_>, Vec<_>) = stays_open(probes, meanwhile.link_lost, platform)
        .into_iter()
        .partition(is_failing);
    // What was asked after the port was shut says nothing of why.
    let sends = match shut.is_empty() {
        true => sends(diagnosis, probes, platform),
        false => unknown(
            SENDS,
            "the port was shut when it showed one: open it, and run this again",
        ),
    };
    checks.extend(shut);
    checks.extend([receives(diagnosis, probes, platform), sends]);
    checks.extend(open);
    checks.push(reflects(probes, platform));
    checks.extend(two_hosts(probes));
    checks
}

fn nobody(probes: &[Probe], vlan: u16, meanwhile: &Meanwhile) -> Check {
    let heard = vlan::heard(vlan, &meanwhile.heard);
    let else_behind = &meanwhile.behind_silence;
    let mut targets: Vec<_> = probes.iter().map(|p| p.target.to_string()).collect();
    targets.dedup();
    targets.sort();
    targets.dedup();
    let why = match &targets[..] {
        [] => "there is nobody to ask: give --target IP, a host in this LAN such as its gateway"
            .into(),
        _ => format!(
            "{} did not answer ARP from the port's own address: give --target IP of a host that is up in this LAN, and --vlan N if the port is a trunk{heard}; else the port has no link to it{else_behind}",
            targets.join(", ")
        ),
    };
    unknown(ANSWERS, why)
}

fn somebody(probes: &[Probe]) -> Check {
    let own = count(probes, Kind::P0);
    let mut who: Vec<_> = probes
        .iter()
        .flat_map(|p| {
            p.answers
                .iter()
                .map(move |mac| format!("{} ({mac})", p.target))
        })
        .collect();
    who.sort();
    who.dedup();
    let lost = probes
        .iter()
        .filter(|p| p.kind == Kind::P0 && !p.answered())
        .count();
    let lossy = if lost > 0 {
        ", the rest was lost or silent"
    } else {
        ""
    };
    ok(ANSWERS, format!("{}; {own}{lossy}", who.join(", ")))
}

/// "P2: 1 of 3 answered".
fn count(probes: &[Probe], kind: Kind) -> String {
    let of = || probes.iter().filter(|p| p.kind == kind);
    let answered = of().filter(|p| p.answered()).count();
    format!("{kind:?}: {answered} of {} answered", of().count())
}

fn receives(diagnosis: Diagnosis, probes: &[Probe], platform: Platform) -> Check {
    let (p2, p3) = (count(probes, Kind::P2), count(probes, Kind::P3));
    match diagnosis {
        Diagnosis::Passes | Diagnosis::SendBlocked | Diagnosis::SourceMustBeSender => ok(
            RECEIVES,
            format!(
                "an answer to an address that no switch knew came in ({p2}): promiscuous mode, or a switch that learns and floods; which of the two, probes cannot tell"
            ),
        ),
        Diagnosis::OnlyTogetherBlocked => ok(RECEIVES, format!("they do ({p2})")),
        Diagnosis::ReceiveBlocked | Diagnosis::BothBlocked => failing(
            RECEIVES,
            format!(
                "answers to addresses that are not the port's own do not come in ({p2}; {p3}), or a filter drops ARP with a foreign sender on its way out: probes cannot tell these apart"
            ),
            platform.mend(Fault::Receive),
        ),
        Diagnosis::NoFlooding => failing(
            RECEIVES,
            format!(
                "only for addresses that the port has just sent from ({p3}; {p2}): the switch learns and does not flood, so a moved VM that is silent for some minutes is cut off"
            ),
            platform.mend(Fault::Flooding),
        ),
        Diagnosis::ArpConsistency => unknown(
            RECEIVES,
            format!(
                "they do once the port has sent from them ({p3}); a filter drops ARP whose sender is not the frame's source ({p2}), which moved VMs do not mind, but so it cannot be told what comes in for an address that the switch has not learnt"
            ),
        ),
    }
}

fn sends(diagnosis: Diagnosis, probes: &[Probe], platform: Platform) -> Check {
    let (p1, p3) = (count(probes, Kind::P1), count(probes, Kind::P3));
    match diagnosis {
        Diagnosis::SendBlocked | Diagnosis::BothBlocked => failing(
            SENDS,
            format!("frames whose source is not the port's own address vanish ({p1}; {p3})"),
            platform.mend(Fault::Send),
        ),
        Diagnosis::OnlyTogetherBlocked => unknown(
            SENDS,
            format!(
                "{p1}, but {p3}: by ARP inspection with a table of its own, a limit of addresses for each port, or chance; look for these at the switch and run this again"
            ),
        ),
        Diagnosis::ArpConsistency | Diagnosis::SourceMustBeSender => ok(
            SENDS,
            format!(
                "they do ({p3}); a filter drops ARP whose sender is not the frame's source ({p1}), which moved VMs do not mind"
            ),
        ),
        Diagnosis::Passes | Diagnosis::ReceiveBlocked | Diagnosis::NoFlooding => {
            ok(SENDS, format!("they do ({p1}; {p3})"))
        }
    }
}

fn is_failing(check: &Check) -> bool {
    matches!(check.verdict, Verdict::Failing { .. })
}

#[cfg(test)]
mod tests;
