//! causeway and what a user would pick instead, side by side: the same rig, the same traffic, in turns.
//!
//! Each peer of [`peers`] is set up in a [`rig`](crate::rig) of its own, measured ([`round`]), and taken down, round after
//! round: what disturbs the machine for a while disturbs all of them. The harness measures itself in
//! each round too, over a bare veth: what it can do at most stands above each figure.

mod entries;
pub(crate) mod figures;
mod interval;
mod measure;
mod options;
mod pace;
mod peer;
pub(crate) mod peers;
mod plan;
mod preflight;
mod programs;
mod records;
mod report;
mod round;
mod versions;

pub(crate) use self::options::Options;
use self::{
    entries::Entry,
    figures::Samples,
    interval::Scatter,
    pace::Pace,
    plan::Plan,
    programs::Programs,
    records::{About, Noise, Remark},
    round::Round,
    versions::Tools,
};
use crate::{
    error::{Error, Result},
    output::Output,
    progress::Progress,
    rig::{Cpus, Uplink, idle::IdleLoops, netns},
};

/// Compares.
///
/// # Errors
///
/// One line that says what is wrong, or [`Error::Interrupted`]; what was measured until then is reported.
pub(crate) fn run(options: &Options) -> Result {
    let mut entries = entries::chosen(&options.peer)?;
    let causeway = options
        .causeway
        .clone()
        .unwrap_or_else(preflight::beside_us);
    let programs = Programs::new(options.cache.clone(), causeway);
    let plan = options.plan();
    let mut output = options.json.open()?;
    if options.list {
        return entries::list(&entries, &programs, &output);
    }
    let cpus = preflight::choose(options.cpus)?;
    preflight::requirements()?;
    let is_quiet = preflight::quiet(options.force)?;
    if cfg!(debug_assertions) {
        eprintln!("causeway-perf: a debug build: it generates as fast, but measure with --release");
    }
    entries::find_programs(&mut entries, &programs, options.install)?;
    preflight::settle(cpus)?;
    netns::remove_leftovers();
    let mut ceiling = Samples::default();
    let mut pace = Pace::watch(cpus)?;
    let result = if entries.iter().all(|entry| entry.trouble.is_some()) {
        Ok(())
    } else {
        rounds(&plan, &mut pace, &programs, &mut entries, &mut ceiling)
    };
    // What other work makes of the machine is not the machine's pace.
    let seen = pace.seen(programs.cache(), is_quiet && result.is_ok());
    let all = entries.iter().map(|entry| &entry.samples).chain([&ceiling]);
    let noise = Noise {
        scatter: Scatter::of(all, seen.sigma),
        seen,
    };
    report(&plan, cpus, &entries, &ceiling, &noise, &mut output)?;
    output.finish()?;
    result
}

fn rounds(
    plan: &Plan,
    pace: &mut Pace,
    programs: &Programs,
    entries: &mut [Entry],
    ceiling: &mut Samples,
) -> Result {
    let cpus = pace.cpus();
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
            pace,
            troubles: Vec::new(),
        };
        round.ceiling(ceiling)?;
        round.progress.step();
        for (entry, absent) in entries.iter_mut().zip(&mut absent) {
            if *absent {
                continue;
            }
            let troubles = match round.peer(&mut *entry.peer, &mut entry.samples) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => vec![error.to_string()],
                Ok(troubles) => troubles,
            };
            for trouble in troubles {
                let trouble = format!("round {}: {trouble}", number + 1);
                let name = entry.peer.name();
                round.progress.note(format!("{name}, {trouble}"));
                entry.add_trouble(&trouble);
                *absent = entry.samples.is_empty();
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
    noise: &Noise,
    output: &mut Output,
) -> Result {
    let tools = Tools::find();
    let mut lines = Vec::new();
    for Entry {
        peer,
        samples,
        trouble,
        version,
    } in entries
    {
        let (name, encrypted) = (peer.name(), peer.encrypted());
        if samples.is_empty() {
            let reason = trouble.as_deref().unwrap_or("it was not its turn yet");
            output.push(&Remark::absent(name, encrypted, reason));
            continue;
        }
        if let Some(trouble) = trouble {
            output.push(&Remark::incomplete(name, encrypted, trouble));
        }
        lines.push((name, samples));
        let about = About {
            peer: name,
            encrypted,
            version: version.as_deref(),
        };
        for record in samples.records(about, &tools, ceiling, noise) {
            output.push(&record);
        }
    }
    output.print(format_args!(
        "dc and vm on CPU {}, both gateways on CPU {}; MTU 1500, offloads off{}\n",
        cpus.hosts,
        cpus.gateways,
        match plan.uplink {
            Uplink::None => "",
            Uplink::Gro => " but for GRO of the uplink",
            Uplink::All => " but for the uplink's",
        }
    ))?;
    if !ceiling.is_empty() || !lines.is_empty() {
        output.print(report::tables(plan, ceiling, &lines, noise))?;
        output.print(noise.seen)?;
    }
    for Entry {
        peer,
        samples,
        trouble,
        ..
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
