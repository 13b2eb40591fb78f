//! The state file (`--state`): what of the stations is not in the configuration and survives a restart.
//!
//! JSON, with peers and stations by name, and a version. It is written whole to a file beside it and renamed, so
//! that there is always a good one, whenever the machine stops. One that cannot be read is never written over.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{PeerIndex, StationKey, registry::Memory};
use crate::spec::StationName;

/// Version of the form of the file.
const VERSION: u32 = 1;

/// Largest file that is read, in bytes: more than the largest table takes.
const LARGEST: u64 = 64 << 20;

/// The version alone: another one may differ in all else.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The form of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    added: BTreeMap<String, String>,
    removed: Vec<String>,
    learnt: BTreeMap<String, String>,
    frozen: BTreeMap<String, String>,
}

/// A state file and what it had for peers that the configuration does not name now, or in VLANs that do not cross to them:
/// it is kept for when they are back.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
    peers: Vec<String>,
    others: Document,
}

impl StateFile {
    /// Reads a state file, if there is one; `peers` are the names of the configuration's, in its order. With it comes
    /// what it remembers.
    ///
    /// # Errors
    ///
    /// A text that names the file and the mend. The file is as it was.
    pub fn open(path: &Path, peers: Vec<String>) -> Result<(Self, Memory), String> {
        let mut file = Self {
            path: path.into(),
            peers,
            others: Document::default(),
        };
        let memory = match read(path) {
            Ok(text) => file.understand(&text)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(e) => return Err(format!("cannot read state file {}: {e}", path.display())),
        };
        Ok((file, memory))
    }

    /// Stations of peers that the configuration does not name: how many are kept aside.
    pub fn set_aside(&self) -> usize {
        self.others.added.len() + self.others.frozen.len()
    }

    /// Takes out of the memory what does not cross to its peer, and gives those stations. What the operator said of them is kept
    /// aside; what was learnt would be learnt again.
    pub fn keep_aside(
        &mut self,
        memory: &mut Memory,
        crosses: impl Fn(StationKey, PeerIndex) -> bool,
    ) -> Vec<StationKey> {
        let mut out = Vec::new();
        let mut split = |stations: &mut Vec<(StationKey, PeerIndex)>| {
            let gone: Vec<_> = stations
                .extract_if(.., |(station, peer)| !crosses(*station, *peer))
                .collect();
            out.extend(gone.iter().map(|(station, _)| *station));
            let named = |(station, peer)| {
                let peer: &String = &self.peers[usize::from(peer)];
                (StationName(station).to_string(), peer.clone())
            };
            gone.into_iter().map(named).collect::<Vec<_>>()
        };
        let [added, frozen, _] =
            [&mut memory.added, &mut memory.frozen, &mut memory.learnt].map(&mut split);
        self.others.added.extend(added);
        self.others.frozen.extend(frozen);
        out
    }

    /// The text of the file for what is to be remembered.
    pub fn text(&self, memory: &Memory) -> String {
        let named = |stations: &[(StationKey, PeerIndex)], others: &BTreeMap<String, String>| {
            let ours = stations.iter().map(|(station, peer)| {
                let peer = self.peers[usize::from(*peer)].clone();
                (StationName(*station).to_string(), peer)
            });
            others.clone().into_iter().chain(ours).collect()
        };
        let document = Document {
            version: VERSION,
            added: named(&memory.added, &self.others.added),
            removed: memory
                .removed
                .iter()
                .map(|station| StationName(*station).to_string())
                .collect(),
            learnt: named(&memory.learnt, &self.others.learnt),
            frozen: named(&memory.frozen, &self.others.frozen),
        };
        let mut text = serde_json::to_string_pretty(&document).expect("strings have a JSON form");
        text.push('\n');
        text
    }

    /// Writes the file: when this returns it is on the disk, and the one before was there until then.
    ///
    /// # Errors
    ///
    /// A text that names the file and what the kernel said.
    pub fn write(&self, text: &str) -> Result<(), String> {
        write(&self.path, text).map_err(|e| {
            format!(
                "cannot write state file {}: {e}: see that its folder is there, writable and not full",
                self.path.display()
            )
        })
    }

    fn understand(&mut self, text: &str) -> Result<Memory, String> {
        let path = self.path.display().to_string();
        let damaged = |why: &dyn std::fmt::Display| {
            format!(
                "state file {path} is damaged ({why}): put a copy of it back, or move it away (mv {path} {path}.damaged) to start with the stations of the configuration alone"
            )
        };
        let Versioned { version } = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        if version != VERSION {
            return Err(format!(
                "state file {path} has version {version}, and this causeway knows {VERSION}: run the release that wrote it, or move it away (mv {path} {path}.{version}) to start with the stations of the configuration alone"
            ));
        }
        let document: Document = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        let mut memory = Memory::default();
        for name in &document.removed {
            memory.removed.push(station(name).map_err(|e| damaged(&e))?);
        }
        let Document {
            added,
            learnt,
            frozen,
            ..
        } = document;
        let split = |of: BTreeMap<String, String>, others: &mut BTreeMap<String, String>| {
            let mut ours = Vec::new();
            for (name, peer) in of {
                let key = station(&name).map_err(|e| damaged(&e))?;
                match self.peers.iter().position(|p| *p == peer) {
                    Some(peer) => ours.push((key, peer as PeerIndex)),
                    None => drop(others.insert(name, peer)),
                }
            }
            Ok::<_, String>(ours)
        };
        memory.added = split(added, &mut self.others.added)?;
        memory.learnt = split(learnt, &mut self.others.learnt)?;
        memory.frozen = split(frozen, &mut self.others.frozen)?;
        Ok(memory)
    }
}

fn station(name: &str) -> Result<StationKey, String> {
    let station: Result<StationName, _> = name.parse();
    station.map(|s| s.0).map_err(|e| e.to_string())
}

fn read(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > LARGEST {
        return Err(io::Error::other(format!(
            "it has {size} bytes and no state file has more than {LARGEST}"
        )));
    }
    fs::read_to_string(path)
}

/// A new file, on the disk, takes the place of the one that is there (rename(2) is atomic); then the folder is on
/// the disk too.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&new, path));
    if renamed.is_err() {
        // What is half written is of no use; what was there before is untouched.
        let _ = fs::remove_file(&new);
    }
    renamed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
pub(crate) mod tests;
