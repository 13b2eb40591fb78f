//! A folder for keys, configurations and logs, that goes with its owner.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::leftovers::{RUN, own_name};
use crate::error::{Error, Result};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder that only we can read.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new one.
    ///
    /// # Errors
    ///
    /// No space, no permission.
    pub(crate) fn create() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(RUN).join(own_name(number));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::failed(format!("cannot make {}", path.display())))?;
        Ok(Self(path))
    }

    /// A path inside.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// A file inside with this text; the path.
    ///
    /// # Errors
    ///
    /// No space.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let written = fs::write(&path, text);
        written.map_err(Error::failed(format!("cannot write {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_ours_alone_and_go() {
        let scratch = Scratch::create().expect("root");
        let key = scratch.write("key", "secret").expect("space");
        let folder = key.parent().expect("a folder").to_owned();
        let mode = fs::metadata(&folder).expect("a folder").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!folder.exists());
    }
}
