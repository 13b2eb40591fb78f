//! causeway and what a user would pick instead, side by side: the same rig, the same traffic, in turns.
//!
//! Each peer of [`peers`] is set up in a [`rig`](crate::rig) of its own, measured ([`round`]), and taken down, round after
//! round: what disturbs the machine for a while disturbs all of them. The harness measures itself in
//! each round too, over a bare veth: what it can do at most stands above each figure.

pub(crate) mod figures;
mod measure;
mod peer;
pub(crate) mod peers;
mod plan;
mod preflight;
mod programs;
mod report;
mod round;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use self::{
    figures::{Absent, Samples},
    peer::Peer,
    plan::{Measure, Plan},
    programs::{Program, Programs},
    round::Round,
};
use crate::{
    error::{Error, Result},
    output::{JsonOption, Output},
    progress::Progress,
    rig::{Cpus, Uplink, idle::IdleLoops, netns},
    sizes::{FCS, FrameSizes},
};

/// The largest frame of a LAN with an MTU of 1,500.
const LARGEST: usize = 1_514 + FCS;

/// What to compare.
#[derive(Args)]
pub(crate) struct Options {
    /// Peers to measure, all if none is named; `--list` shows them
    #[arg(long, value_name = "NAME", num_args = 1..)]
    peer: Vec<String>,
    /// Show the peers, and which programs are missing
    #[arg(long)]
    list: bool,
    /// Rounds: each measures every peer once [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// Less of everything: under 5 minutes for two or three peers
    #[arg(long)]
    quick: bool,
    /// What to measure [default: all]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', num_args = 1..)]
    measure: Vec<Measure>,
    /// Seconds of each measurement [default: 2; --quick: 0.5]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Sizes of test frames, FCS included
    #[arg(long, value_name = "N", num_args = 1.., value_parser = frame_bytes,
          default_values_t = [64, 512, 1_400].map(FrameSizes::Fixed))]
    frame_bytes: Vec<FrameSizes>,
    /// The CPU of dc and vm, and that of both gateways [default: the first two]
    #[arg(long, value_name = "HOSTS,GATEWAYS", value_parser = cpus)]
    cpus: Option<Cpus>,
    /// Leave the uplink segmentation and GRO, as good network cards have them, for all peers
    #[arg(long)]
    uplink_offloads: bool,
    /// causeway's binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    causeway: Option<PathBuf>,
    /// Install peers that are missing, with apt-get and cargo
    #[arg(long)]
    install: bool,
    /// Where crates are installed, and looked for
    #[arg(long, value_name = "DIR", default_value = "/var/cache/causeway-peers")]
    cache: PathBuf,
    /// Measure even where other work is going on
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    json: JsonOption,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.2..=9.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("0.2 to 9 seconds are possible".into()),
    }
}

fn frame_bytes(text: &str) -> std::result::Result<FrameSizes, String> {
    let sizes: FrameSizes = text.parse()?;
    if sizes.largest() > LARGEST {
        return Err(format!(
            "the rig's MTU is 1500: frames of at most {LARGEST} bytes with their FCS"
        ));
    }
    Ok(sizes)
}

fn cpus(text: &str) -> std::result::Result<Cpus, String> {
    let parts = text.split_once(',').and_then(|(hosts, gateways)| {
        let hosts = hosts.trim().parse().ok()?;
        let gateways = gateways.trim().parse().ok()?;
        Some(Cpus { hosts, gateways })
    });
    match parts {
        Some(cpus) if cpus.hosts != cpus.gateways => Ok(cpus),
        _ => Err("two different CPUs, such as 0,1".into()),
    }
}

/// A peer, and what is known of it.
struct Entry {
    peer: Box<dyn Peer>,
    samples: Samples,
    /// Why it cannot be measured, or was not.
    trouble: Option<String>,
}

/// Compares.
///
/// # Errors
///
/// One line that says what is wrong, or [`Error::Interrupted`]; what was measured until then is reported.
pub(crate) fn run(options: &Options) -> Result {
    let mut entries = chosen(&options.peer)?;
    let causeway = options
        .causeway
        .clone()
        .unwrap_or_else(preflight::beside_us);
    let programs = Programs::new(options.cache.clone(), causeway);
    let plan = options.plan();
    let mut output = options.json.open()?;
    if options.list {
        return list(&entries, &programs, &output);
    }
    let cpus = preflight::choose(options.cpus)?;
    preflight::requirements()?;
    preflight::quiet(options.force)?;
    if cfg!(debug_assertions) {
        eprintln!("causeway-perf: a debug build: it generates as fast, but measure with --release");
    }
    find_programs(&mut entries, &programs, options.install)?;
    preflight::settle(cpus)?;
    netns::remove_leftovers();
    let mut ceiling = Samples::default();
    let result = rounds(&plan, cpus, &programs, &mut entries, &mut ceiling);
    report(&plan, cpus, &entries, &ceiling, &mut output)?;
    output.finish()?;
    result
}

impl Options {
    fn plan(&self) -> Plan {
        let sizes = self.frame_bytes.clone();
        let mut plan = if self.quick {
            Plan::quick(sizes)
        } else {
            Plan::thorough(sizes)
        };
        if let Some(time) = self.seconds {
            plan = plan.with_time(time);
        }
        if let Some(rounds) = self.rounds {
            plan.rounds = rounds.into();
        }
        if self.uplink_offloads {
            plan.uplink = Uplink::Offloads;
        }
        if !self.measure.is_empty() {
            plan.measures = self.measure.iter().copied().collect();
        }
        plan
    }
}

/// The peers of these names, in the order of [`peers::all`].
fn chosen(names: &[String]) -> Result<Vec<Entry>> {
    let all = peers::all();
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|peer| peer.name() != **name))
    {
        let known: Vec<_> = all.iter().map(|peer| peer.name()).collect();
        return Err(Error::Usage(format!(
            "there is no peer {unknown}; there are: {}",
            known.join(", ")
        )));
    }
    let wanted = |name| names.is_empty() || names.iter().any(|n| n == name);
    let entry = |peer| Entry {
        peer,
        samples: Samples::default(),
        trouble: None,
    };
    let all = all.into_iter().filter(|peer| wanted(peer.name()));
    Ok(all.map(entry).collect())
}

fn list(entries: &[Entry], programs: &Programs, output: &Output) -> Result {
    for Entry { peer, .. } in entries {
        let missing = programs.missing(peer.needs());
        let state = if missing.is_empty() {
            String::new()
        } else {
            format!(" ({})", programs.reason(&missing))
        };
        output.print(format_args!("{:20} {}{state}", peer.name(), peer.about()))?;
    }
    Ok(())
}

/// Brings what is missing, with consent; says who is absent for want of what.
fn find_programs(entries: &mut [Entry], programs: &Programs, consent: bool) -> Result {
    let needs = entries
        .iter()
        .flat_map(|entry| programs.missing(entry.peer.needs()));
    let mut missing: Vec<_> = needs.collect();
    missing.sort();
    missing.dedup();
    if let Some(causeway) = missing
        .iter()
        .find(|p| p.source == programs::Source::Workspace)
    {
        return Err(Error::CannotRun(
            programs.reason(std::slice::from_ref(causeway)),
        ));
    }
    if !missing.is_empty() && (consent || ask(&missing, programs)?) {
        programs.install(&missing)?;
    }
    for entry in entries {
        let missing = programs.missing(entry.peer.needs());
        if !missing.is_empty() {
            let reason = programs.reason(&missing);
            eprintln!("{} is absent: {reason}", entry.peer.name());
            entry.trouble = Some(reason);
        }
    }
    Ok(())
}

/// Asks whoever sits at the terminal.
fn ask(missing: &[Program], programs: &Programs) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    eprintln!("Peers are missing. These would bring them:");
    for program in missing {
        eprintln!("    {}", program.remedy(programs.cache()));
    }
    eprint!("Run that? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stderr()
        .flush()
        .and_then(|()| std::io::stdin().read_line(&mut answer));
    read.map_err(Error::failed("cannot ask"))?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn rounds(
    plan: &Plan,
    cpus: Cpus,
    programs: &Programs,
    entries: &mut [Entry],
    ceiling: &mut Samples,
) -> Result {
    let _loops = IdleLoops::start(&[cpus.hosts, cpus.gateways])?;
    let present = entries
        .iter()
        .filter(|entry| entry.trouble.is_none())
        .count();
    let mut progress = Progress::new(((present + 1) * plan.rounds) as u64);
    let mut absent: Vec<_> = entries
        .iter()
        .map(|entry| entry.trouble.is_some())
        .collect();
    for number in 0..plan.rounds {
        let mut round = Round {
            plan,
            cpus,
            programs,
            number,
            progress: &mut progress,
        };
        round.ceiling(ceiling)?;
        round.progress.step();
        for (entry, absent) in entries.iter_mut().zip(&mut absent) {
            if *absent {
                continue;
            }
            match round.peer(&mut *entry.peer, &mut entry.samples) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let name = entry.peer.name();
                    round
                        .progress
                        .note(format!("{name}, round {}: {error}", number + 1));
                    entry.trouble = Some(error.to_string());
                    *absent = entry.samples.is_empty();
                }
                Ok(()) => {}
            }
            round.progress.step();
        }
    }
    Ok(())
}

/// Tables, and records.
fn report(
    plan: &Plan,
    cpus: Cpus,
    entries: &[Entry],
    ceiling: &Samples,
    output: &mut Output,
) -> Result {
    let mut lines = Vec::new();
    for Entry {
        peer,
        samples,
        trouble,
    } in entries
    {
        let (name, encrypted) = (peer.name(), peer.encrypted());
        if samples.is_empty() {
            let reason = trouble.as_deref().unwrap_or("it was not its turn yet");
            output.push(&Absent::new(name, encrypted, reason));
            continue;
        }
        lines.push((name, samples));
        for record in samples.records(name, encrypted, ceiling) {
            output.push(&record);
        }
    }
    output.print(format_args!(
        "dc and vm on CPU {}, both gateways on CPU {}; MTU 1500, offloads off{}\n",
        cpus.hosts,
        cpus.gateways,
        match plan.uplink {
            Uplink::Plain => "",
            Uplink::Offloads => " but for the uplink's",
        }
    ))?;
    output.print(report::tables(plan, ceiling, &lines))?;
    for Entry {
        peer,
        samples,
        trouble,
    } in entries
    {
        if let Some(trouble) = trouble {
            let what = if samples.is_empty() {
                "absent"
            } else {
                "incomplete"
            };
            output.print(format_args!("{} is {what}: {trouble}", peer.name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(seconds("0.1").is_err() && seconds("10").is_err() && seconds("x").is_err());
        assert!(frame_bytes("63").is_err() && frame_bytes("1519").is_err());
        assert!(frame_bytes("1518").is_ok() && frame_bytes("imix").is_ok());
        assert!(cpus("1").is_err() && cpus("1,1").is_err() && cpus("0,2").is_ok());
    }

    #[test]
    fn unknown_peers_are_answered_with_the_known() {
        let error = chosen(&["fastd".into()]).err().expect("it has three names");
        assert!(matches!(error, Error::Usage(_)));
        assert!(error.to_string().contains("fastd-aes128-gcm"), "{error}");
        let entries = chosen(&["vxlan".into(), "bridge".into()]).expect("both are known");
        let names: Vec<_> = entries.iter().map(|entry| entry.peer.name()).collect();
        assert_eq!(names, ["bridge", "vxlan"]);
    }
}
