//! The programs that peers need: where they are, and how to get them.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    rig::tool::Tool,
};

/// Where to look beside $PATH: root's $PATH sometimes lacks `sbin`.
const ALSO: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    /// Its name, or an absolute path.
    pub(crate) name: &'static str,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A package of Debian and its relatives.
    Debian(&'static str),
    /// A crate of crates.io, in this version.
    Crate(&'static str, &'static str),
    /// A binary of this workspace.
    Workspace,
}

impl Program {
    /// Of a Debian package.
    pub(crate) const fn debian(name: &'static str, package: &'static str) -> Self {
        let source = Source::Debian(package);
        Self { name, source }
    }

    /// The command that brings it.
    pub(crate) fn remedy(&self, cache: &Path) -> String {
        match self.source {
            Source::Debian(package) => format!("apt-get install {package}"),
            Source::Crate(name, version) => format!(
                "cargo install --locked --root {} {name}@{version}",
                cache.display()
            ),
            Source::Workspace => "cargo build --release -p causeway, or --causeway PATH".into(),
        }
    }

    /// Brings it.
    fn install(&self, cache: &Path) -> Result {
        let tool = match self.source {
            Source::Debian(package) => Tool::new("env")
                .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"])
                .args(["--no-install-recommends", package]),
            Source::Crate(name, version) => Tool::new("cargo")
                .args(["install", "--locked", "--root"])
                .arg(cache)
                .arg(format!("{name}@{version}")),
            Source::Workspace => return Ok(()),
        };
        tool.run_within(INSTALLATION).map(drop)
    }
}

/// What an installation may take: a crate with its dependencies, built on a small machine.
const INSTALLATION: std::time::Duration = std::time::Duration::from_secs(1_800);

/// Knows where programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    cache: PathBuf,
    causeway: PathBuf,
}

impl Programs {
    /// With crates installed below `cache`, and causeway's own binary.
    pub(crate) fn new(cache: PathBuf, causeway: PathBuf) -> Self {
        Self { cache, causeway }
    }

    /// Below this are crates.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where a program is, if it is.
    pub(crate) fn find(&self, program: &Program) -> Option<PathBuf> {
        let candidates: Vec<PathBuf> = match program.source {
            Source::Workspace => vec![self.causeway.clone()],
            _ if program.name.starts_with('/') => vec![program.name.into()],
            Source::Crate(..) => vec![self.cache.join("bin").join(program.name)],
            Source::Debian(_) => Vec::new(),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(ALSO.map(PathBuf::from));
        let named = folders.map(|folder| folder.join(program.name));
        let searched = named.filter(|_| program.source != Source::Workspace);
        candidates.into_iter().chain(searched).find(|p| p.is_file())
    }

    /// Where a program is that was found before.
    ///
    /// # Errors
    ///
    /// It has gone.
    pub(crate) fn path(&self, program: &Program) -> Result<PathBuf> {
        self.find(program)
            .ok_or_else(|| Error::Failed(format!("{} has gone", program.name)))
    }

    /// Those of them that are not there.
    pub(crate) fn missing(&self, needs: &[Program]) -> Vec<Program> {
        let missing = needs.iter().filter(|program| self.find(program).is_none());
        missing.copied().collect()
    }

    /// Brings programs; what cannot be brought is said, and stays missing.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub(crate) fn install(&self, programs: &[Program]) -> Result {
        for program in programs {
            if self.find(program).is_some() {
                continue; // came with another
            }
            eprintln!("installing: {}", program.remedy(&self.cache));
            match program.install(&self.cache) {
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => eprintln!("causeway-perf: {error}"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Why a peer that needs these is absent.
    pub(crate) fn reason(&self, missing: &[Program]) -> String {
        let names: Vec<_> = missing.iter().map(|program| program.name).collect();
        let mut remedies: Vec<_> = missing.iter().map(|p| p.remedy(&self.cache)).collect();
        remedies.dedup();
        format!("no {} here: {}", names.join(", "), remedies.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_names_its_remedy() {
        let programs = Programs::new("/nonesuch".into(), "/nonesuch/causeway".into());
        let shell = Program::debian("sh", "dash");
        let other = Program::debian("no-such-program", "some-package");
        let built = Program {
            name: "no-such-crate",
            source: Source::Crate("some-crate", "1.2.3"),
        };
        let missing = programs.missing(&[shell, other, built]);
        assert_eq!(missing, [other, built]);
        assert_eq!(
            programs.reason(&missing),
            "no no-such-program, no-such-crate here: apt-get install some-package; \
             cargo install --locked --root /nonesuch some-crate@1.2.3"
        );
    }

    #[test]
    fn the_workspace_binary_is_not_searched_for() {
        let programs = Programs::new("/nonesuch".into(), "/nonesuch/causeway".into());
        let source = Source::Workspace;
        assert!(programs.find(&Program { name: "sh", source }).is_none());
    }
}
