//! Where a report goes. An older file stays until there is a new report: of a test that was refused or interrupted
//! there may be none.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

/// Where the JSON object goes.
pub(super) enum Destination {
    Nowhere,
    Stdout,
    /// A device or a pipe.
    Stream(File),
    File(Pending),
}

/// A file that takes its name only when it is complete.
pub(super) struct Pending {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Destination {
    /// # Errors
    ///
    /// Nothing can be written there.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Nowhere);
        };
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match fs::canonicalize(path) {
            Ok(target) if target.is_file() => Pending::beside(target).map(Self::File),
            // A folder is refused here.
            Ok(other) => File::create(other).map(Self::Stream),
            Err(_) => Pending::beside(path.into()).map(Self::File),
        }
    }

    /// Has `write` write all of it.
    ///
    /// # Errors
    ///
    /// Those of `write`, and of renaming.
    pub(super) fn fill(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => write(&mut io::stdout().lock()),
            Self::Stream(mut file) => write(&mut file),
            Self::File(mut pending) => {
                write(&mut pending.file)?;
                fs::rename(&pending.temporary, &pending.path)
            }
        }
    }
}

impl Pending {
    fn beside(path: PathBuf) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut temporary = name.to_os_string();
        temporary.push(format!(".{}.part", process::id()));
        let temporary = path.with_file_name(temporary);
        Ok(Self {
            file: File::create(&temporary)?,
            temporary,
            path,
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After `fill` there is none any more.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_file_stays_until_there_is_a_new_one() {
        let folder = std::env::temp_dir().join(format!("causeway-perf-json-{}", process::id()));
        fs::create_dir(&folder).expect("a new folder");
        let path = folder.join("report.json");
        fs::write(&path, "old").expect("writable");
        let open = || Destination::open(Some(&path)).expect("writable");
        let list = || fs::read_dir(&folder).expect("a folder").count();
        let read = || fs::read_to_string(&path).expect("a file");

        drop(open());
        assert_eq!((read().as_str(), list()), ("old", 1));
        let failed = open().fill(|_| Err(io::ErrorKind::StorageFull.into()));
        assert!(failed.is_err());
        assert_eq!((read().as_str(), list()), ("old", 1));
        // By another name, too.
        let link = folder.join("link.json");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let linked = Destination::open(Some(&link)).expect("writable");
        linked.fill(|out| out.write_all(b"new")).expect("writable");
        assert_eq!((read().as_str(), list()), ("new", 2));
        assert!(link.is_symlink());
        fs::remove_dir_all(&folder).expect("ours");
    }

    #[test]
    fn devices_are_written_to_and_not_replaced() {
        let null = Destination::open(Some("/dev/null".as_ref())).expect("root");
        assert!(matches!(null, Destination::Stream(_)));
        for path in ["/nonesuch/report.json", "/tmp", ""] {
            assert!(Destination::open(Some(path.as_ref())).is_err(), "{path}");
        }
    }
}
