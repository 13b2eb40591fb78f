//! The SA log: keys for Wireshark, for debugging only.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Mutex,
};

use causeway_tunnel::{
    sa::{IpFamily, SaKeys},
    spi::Spi,
};

/// Appends every security association in the form of Wireshark's ESP SA table.
///
/// The file can stand in for `esp_sa` in a Wireshark profile, or each line goes to
/// `tshark -o uat:esp_sa:LINE`.
#[derive(Debug)]
pub struct SaLog {
    file: Mutex<File>,
}

impl SaLog {
    /// Opens the file for appending; a new one has mode 0600.
    ///
    /// # Errors
    ///
    /// What the file system answers; a file that others may read is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            let text = format!("others can read it: chmod 600 {}", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    /// Writes one line. A full disk costs the line, not the tunnel.
    pub fn write(&self, family: IpFamily, spi: Spi, keys: &SaKeys) {
        let line = keys.wireshark_line(family, spi);
        let Ok(mut file) = self.file.lock() else {
            return;
        };
        if let Err(e) = writeln!(file, "{line}") {
            tracing::warn!("cannot write to the SA log: {e}");
        }
    }
}
