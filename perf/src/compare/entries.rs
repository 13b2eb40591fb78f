//! The peers of a comparison: those asked for, and whether they are here.

use std::io::{IsTerminal, Write};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    figures::Samples,
    peer::Peer,
    peers,
    programs::{Program, Programs, Source},
    versions,
};
use crate::{
    error::{Error, Result},
    interrupt,
    output::Output,
};

/// A peer, and what is known of it.
pub(super) struct Entry {
    /// The peer.
    pub(super) peer: Box<dyn Peer>,
    /// What was measured.
    pub(super) samples: Samples,
    /// Why it cannot be measured, or was not.
    pub(super) trouble: Option<String>,
    /// Of its programs, as far as they tell.
    pub(super) version: Option<String>,
}

impl Entry {
    /// One more thing that went wrong.
    pub(super) fn add_trouble(&mut self, trouble: &str) {
        match &mut self.trouble {
            Some(all) => {
                all.push_str("; ");
                all.push_str(trouble);
            }
            none => *none = Some(trouble.into()),
        }
    }
}

/// The peers of these names, in the order of [`peers::all`].
pub(super) fn chosen(names: &[String]) -> Result<Vec<Entry>> {
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
        version: None,
    };
    let all = all.into_iter().filter(|peer| wanted(peer.name()));
    Ok(all.map(entry).collect())
}

pub(super) fn list(entries: &[Entry], programs: &Programs, output: &Output) -> Result {
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
pub(super) fn find_programs(entries: &mut [Entry], programs: &Programs, consent: bool) -> Result {
    let needs = entries
        .iter()
        .flat_map(|entry| programs.missing(entry.peer.needs()));
    let mut missing: Vec<_> = needs.collect();
    missing.sort();
    missing.dedup();
    if let Some(causeway) = missing.iter().find(|p| p.source == Source::Workspace) {
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
        } else {
            entry.version = versions::of_peer(entry.peer.needs(), programs);
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
    std::io::stderr()
        .flush()
        .map_err(Error::failed("cannot ask"))?;
    await_line()?;
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(Error::failed("cannot ask"))?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// Waits for a line at the terminal. A read would go on after a signal, until there is one.
fn await_line() -> Result {
    let stdin = std::io::stdin();
    let glance = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    loop {
        interrupt::check()?;
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&glance)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Error::Failed(format!("cannot ask: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
