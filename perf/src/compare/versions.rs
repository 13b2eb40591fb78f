//! Versions of what is measured, and of what measures, by their own word or the package manager's.

use std::{path::Path, time::Duration};

use super::{
    figures::Figure,
    programs::{Program, Programs, Source},
};
use crate::{machine, rig::tool::Tool};

/// What a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of a peer's programs; of one that is the kernel's alone, the kernel's.
pub(super) fn of_peer(needs: &[Program], programs: &Programs) -> Option<String> {
    let versions: Option<Vec<_>> = needs.iter().map(|p| of_program(p, programs)).collect();
    match versions?.as_slice() {
        [] => machine::kernel()
            .ok()
            .map(|release| format!("Linux {release}")),
        versions => Some(versions.join(", ")),
    }
}

fn of_program(program: &Program, programs: &Programs) -> Option<String> {
    let path = programs.find(program)?;
    match program.source {
        Source::Debian(_) => of_package(&path).or_else(|| said(&path, "--version")),
        Source::Crate(..) | Source::Workspace => said(&path, "--version"),
    }
}

/// `fastd 22-3+b1`: the package that the file is of. Some packages know their files by names from before /bin was in /usr.
fn of_package(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let old = Path::new("/").join(path.strip_prefix("/usr").unwrap_or(&path));
    let owner = |path: &Path| {
        let search = Tool::new("dpkg-query").arg("-S").arg(path);
        search.run_within(PATIENCE).ok()
    };
    let found = owner(&path).or_else(|| owner(&old))?;
    let (package, _) = found.lines().next()?.split_once(": ")?;
    let show = Tool::new("dpkg-query").args(["-W", "-f", "${Package} ${Version}", package]);
    show.run_within(PATIENCE).ok()
}

/// The first line of what a program says to this option.
fn said(path: &Path, option: &str) -> Option<String> {
    let text = Tool::new(path).arg(option).run_within(PATIENCE).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// Programs that measure.
#[derive(Default)]
pub(crate) struct Tools {
    iperf3: Option<String>,
    ping: Option<String>,
}

impl Tools {
    /// Those of the machine.
    pub(super) fn find() -> Self {
        Self {
            iperf3: said(Path::new("iperf3"), "--version"),
            ping: said(Path::new("ping"), "-V"),
        }
    }

    /// The one that measures a figure, if it is one of them.
    pub(super) fn of(&self, figure: Figure) -> Option<&str> {
        use Figure as F;
        let tool = match figure {
            F::Tcp1
            | F::Tcp1Reverse
            | F::Tcp4
            | F::Tcp4Reverse
            | F::CpuPerGb
            | F::CpuPerGbUser
            | F::CpuPerGbSystem
            | F::CpuPerGbSoftirq => &self.iperf3,
            F::RttIdleP50
            | F::RttIdleP99
            | F::RttIdleLost
            | F::RttLoadP50
            | F::RttLoadP99
            | F::RttLoadLost
            | F::Df
            | F::Recovery => &self.ping,
            F::Saturation
            | F::Offered
            | F::Loss1Percent
            | F::Loss01Percent
            | F::Unaccounted
            | F::RttLoad
            | F::CpuPerMillion
            | F::CpuPerMillionUser
            | F::CpuPerMillionSystem
            | F::CpuPerMillionSoftirq
            | F::Rss
            | F::EnduranceTime
            | F::EnduranceRate
            | F::EnduranceUnaccounted
            | F::EnduranceSilence
            | F::EnduranceRss
            | F::EnduranceGrowth
            | F::EnduranceAfter => return None,
        };
        tool.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_tell_their_versions() {
        let programs = Programs::new("/nonesuch".into(), "/nonesuch".into());
        let kernel = of_peer(&[], &programs).expect("a kernel");
        assert!(
            kernel.starts_with("Linux ") && kernel.contains('.'),
            "{kernel}"
        );
        let ip = of_peer(&[Program::debian("ip", "iproute2")], &programs).expect("a version");
        assert!(ip.contains("iproute2"), "{ip}");
        assert_eq!(of_peer(&[Program::debian("no-such", "x")], &programs), None);
        let tools = Tools::find();
        let of = |figure| tools.of(figure).expect("a version").to_owned();
        assert!(of(Figure::Tcp4).starts_with("iperf 3"));
        assert!(of(Figure::Df).starts_with("ping from iputils"));
        assert_eq!(tools.of(Figure::Rss), None);
    }
}
