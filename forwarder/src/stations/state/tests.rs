use super::*;

/// A folder that is gone when the test is over.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("causeway-state-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("lan.state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(last: u8) -> StationKey {
    StationKey::new(u16::from(last), [0, 0x50, 0x56, 0, 0, last])
}

fn peers() -> Vec<String> {
    vec!["cloud1".into(), "cloud2".into()]
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new("read");
    let (file, memory) = StateFile::open(&folder.file(), peers()).unwrap();
    assert_eq!(memory, Memory::default());
    let memory = Memory {
        added: vec![(key(1), 1)],
        removed: vec![key(2)],
        learnt: vec![(key(3), 0), (key(4), 1)],
        frozen: vec![(key(5), 0)],
    };
    file.write(&file.text(&memory)).unwrap();
    let (_, back) = StateFile::open(&folder.file(), peers()).unwrap();
    assert_eq!(back, memory);
    let names: Vec<_> = fs::read_dir(&folder.0).unwrap().collect();
    assert_eq!(names.len(), 1, "no other file is left: {names:?}");
}

#[test]
fn stations_of_a_peer_that_is_gone_are_kept_for_it() {
    let folder = Folder::new("gone");
    let (file, _) = StateFile::open(&folder.file(), peers()).unwrap();
    let memory = Memory {
        added: vec![(key(1), 0), (key(2), 1)],
        ..Memory::default()
    };
    file.write(&file.text(&memory)).unwrap();
    let one = vec!["cloud2".into()];
    let (file, other) = StateFile::open(&folder.file(), one).unwrap();
    assert_eq!(other.added, [(key(2), 0)]);
    assert_eq!(file.set_aside(), 1);
    file.write(&file.text(&Memory::default())).unwrap();
    let (_, back) = StateFile::open(&folder.file(), peers()).unwrap();
    assert_eq!(back.added, [(key(1), 0)]);
}

#[test]
fn stations_whose_vlan_does_not_cross_now_wait_until_it_does() {
    let folder = Folder::new("vlan");
    let (mut file, _) = StateFile::open(&folder.file(), peers()).unwrap();
    let all = Memory {
        added: vec![(key(1), 0), (key(2), 1)],
        removed: vec![key(3)],
        learnt: vec![(key(4), 0), (key(5), 0)],
        frozen: vec![(key(6), 1), (key(7), 0)],
    };
    let mut memory = all.clone();
    // VLANs 2, 5 and 6 do not cross: see `key`.
    let crosses = |station: StationKey, _| ![2, 5, 6].contains(&station.vlan);
    let out = file.keep_aside(&mut memory, crosses);
    assert_eq!(out, [key(2), key(6), key(5)]);
    assert_eq!(memory.added, [(key(1), 0)]);
    assert_eq!(
        (&memory.learnt[..], &memory.frozen[..]),
        (&[(key(4), 0)][..], &[(key(7), 0)][..])
    );
    file.write(&file.text(&memory)).unwrap();
    let (_, mut back) = StateFile::open(&folder.file(), peers()).unwrap();
    back.frozen.sort_unstable_by_key(|(key, _)| *key);
    let learnt = vec![(key(4), 0)];
    assert_eq!(back, Memory { learnt, ..all });
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_left_alone() {
    let folder = Folder::new("damaged");
    for (text, words) in [
        ("", "is damaged"),
        ("{\"version\": 1, \"added\"", "mv "),
        ("{\"version\": 2, \"colour\": 1}", "has version 2"),
        ("{\"version\": 1}", "missing field"),
        (
            "{\"version\":1,\"added\":{\"x\":\"cloud1\"},\"removed\":[],\"learnt\":{},\"frozen\":{}}",
            "is not a MAC address",
        ),
    ] {
        fs::write(folder.file(), text).unwrap();
        let error = StateFile::open(&folder.file(), peers()).unwrap_err();
        let path = folder.file().display().to_string();
        assert!(error.contains(words) && error.contains(&path), "{error}");
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
    }
}

#[test]
fn a_failed_write_leaves_the_file_before() {
    let folder = Folder::new("failed");
    let (file, memory) = StateFile::open(&folder.file(), peers()).unwrap();
    file.write(&file.text(&memory)).unwrap();
    // Where the new file should be made there is a folder.
    fs::create_dir(folder.0.join("lan.state.new")).unwrap();
    let error = file.write("other").unwrap_err();
    assert!(error.contains("cannot write state file"), "{error}");
    assert!(StateFile::open(&folder.file(), peers()).is_ok());
}
