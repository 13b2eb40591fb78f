//! The private key's file.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use causeway_tunnel::identity::PrivateKey;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// Why a key file could not be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyFileError(String);

/// Reads a private key, if nobody but its owner may read it.
///
/// # Errors
///
/// A missing file, one that others may read, or one that holds no private key.
pub fn read(path: &Path) -> Result<PrivateKey, KeyFileError> {
    let shown = path.display();
    // Without O_NONBLOCK a FIFO would have us wait for a writer.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let mut file = opened.map_err(|e| match e.kind() {
        ErrorKind::NotFound => KeyFileError(format!(
            "there is no key file {shown}: make one with `causeway keygen --out {shown}`"
        )),
        _ => KeyFileError(format!("cannot read key file {shown}: {e}")),
    })?;
    let metadata = file
        .metadata()
        .map_err(|e| KeyFileError(format!("cannot read key file {shown}: {e}")))?;
    if !metadata.is_file() {
        return Err(KeyFileError(format!(
            "key file {shown} is not a regular file"
        )));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFileError(format!(
            "key file {shown} can be read by others (mode {:04o}): chmod 600 {shown}",
            metadata.mode() & 0o7777
        )));
    }
    let mut text = String::new();
    // A key is 44 characters; what is much longer is something else.
    (&mut file)
        .take(4_096)
        .read_to_string(&mut text)
        .map_err(|e| KeyFileError(format!("cannot read key file {shown}: {e}")))?;
    text.trim()
        .parse()
        .map_err(|e| KeyFileError(format!("key file {shown}: {e}")))
}

/// That a program works with a key file, for as long as this lives: an advisory lock (flock(2)) of any number of
/// holders, which the kernel takes back when they end.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl InUse {
    /// Marks the file. What cannot be locked is not.
    pub fn mark(path: &Path) -> Self {
        Self::mark_within(path, MOMENT)
    }

    fn mark_within(path: &Path, patience: Duration) -> Self {
        let shared = FlockOperation::NonBlockingLockShared;
        let file = File::open(path).ok();
        Self(file.filter(|file| lock(file, shared, patience).is_ok()))
    }
}

/// How long others may have a lock that is wanted: who only [looks](is_in_use) has it for a moment.
const MOMENT: Duration = Duration::from_millis(100);

fn lock(file: &File, how: FlockOperation, patience: Duration) -> Result<(), Errno> {
    let until = Instant::now() + patience;
    loop {
        match flock(file, how) {
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => {
                thread::sleep(MOMENT / 20);
            }
            result => return result,
        }
    }
}

/// Whether a program of this machine works with the key file.
pub fn is_in_use(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    lock(&file, exclusive, MOMENT) == Err(Errno::WOULDBLOCK)
}

/// Writes a private key to a new file of mode 0600.
///
/// # Errors
///
/// A file that exists already is left alone.
pub fn write_new(path: &Path, key: &PrivateKey) -> Result<(), KeyFileError> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => KeyFileError(format!(
                "{shown} exists and is not overwritten: name another file, or remove it if no peer relies on its key"
            )),
            _ => KeyFileError(format!("cannot create {shown}: {e}")),
        })?;
    writeln!(file, "{}", *key.to_base64())
        .and_then(|()| file.sync_all())
        .map_err(|e| KeyFileError(format!("cannot write {shown}: {e}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Dir(std::path::PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("causeway-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_key_survives_its_file_and_is_not_overwritten() {
        let dir = Dir::new("keys-roundtrip");
        let path = dir.0.join("site.key");
        let key = PrivateKey::generate();
        write_new(&path, &key).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(read(&path).unwrap().public(), key.public());
        let error = write_new(&path, &PrivateKey::generate()).unwrap_err();
        assert!(error.to_string().contains("not overwritten"));
        assert_eq!(read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn whoever_works_with_a_key_is_known() {
        let dir = Dir::new("keys-in-use");
        let path = dir.0.join("site.key");
        assert!(!is_in_use(&path), "there is none");
        write_new(&path, &PrivateKey::generate()).unwrap();
        assert!(!is_in_use(&path) && !is_in_use(&path));
        let both = [InUse::mark(&path), InUse::mark(&path)];
        assert!(is_in_use(&path));
        drop(both);
        assert!(!is_in_use(&path));
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_marking() {
        let dir = Dir::new("keys-looked-at");
        let path = dir.0.join("site.key");
        write_new(&path, &PrivateKey::generate()).unwrap();
        let looks = File::open(&path).unwrap();
        flock(&looks, FlockOperation::NonBlockingLockExclusive).unwrap();
        let marked = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(MOMENT / 4);
                drop(looks);
            });
            // Longer than usual: the machine may be busy.
            InUse::mark_within(&path, 100 * MOMENT)
        });
        assert!(is_in_use(&path));
        drop(marked);
    }

    #[test]
    fn missing_open_and_broken_files_say_what_to_do() {
        let dir = Dir::new("keys-bad");
        let path = dir.0.join("k");
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("causeway keygen")
        );
        std::fs::write(&path, "no key\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("key file"), "{error}");
        assert!(read(&dir.0).is_err());
    }
}
