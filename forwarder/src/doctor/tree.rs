//! What the kernel tells in files of /sys and /proc, below a root: the machine's own, or one that a test has laid
//! out like another machine's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::spec::CpuList;

/// The root of `sys` and `proc`. What cannot be read counts as not there: of many files each kernel has some.
#[derive(Clone, Debug)]
pub struct Tree(PathBuf);

impl Tree {
    /// This machine's.
    pub fn of_this_machine() -> Self {
        Self("/".into())
    }

    /// One below another folder.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The text of a file, without blanks at its ends; empty if it is not there.
    pub fn text(&self, path: impl AsRef<Path>) -> String {
        let bytes = fs::read(self.0.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// The number in a file.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.text(path).parse().ok()
    }

    /// The cores that a file lists (`0,2-3`), in order.
    pub fn cores(&self, path: impl AsRef<Path>) -> Vec<usize> {
        self.text(path)
            .parse::<CpuList>()
            .map_or_else(|_| Vec::new(), |list| list.0)
    }

    /// The names in a folder, sorted; none if it is not there.
    pub fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder)).into_iter().flatten();
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// The last name of what a symbolic link leads to.
    pub fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.0.join(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.join(path).exists()
    }
}

/// A tree that a test lays out. Dropping it removes it.
#[cfg(test)]
pub(super) struct TestTree(PathBuf);

#[cfg(test)]
impl TestTree {
    /// Files with their texts; one whose text begins with `->` is a symbolic link.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-tree-{}-{number}", std::process::id());
        let tree = Self(std::env::temp_dir().join(name));
        fs::create_dir(&tree.0).unwrap();
        tree.add(files);
        tree
    }

    /// More of them, or others in their place.
    pub(super) fn add(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("->") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::below(&self.0)
    }
}

#[cfg(test)]
impl Drop for TestTree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_nothing() {
        let files = [
            ("sys/a/list", "0,2-3\n"),
            ("sys/a/to", "->../../else/where"),
        ];
        let test = TestTree::new(&files);
        let tree = test.tree();
        assert_eq!(tree.cores("sys/a/list"), [0, 2, 3]);
        assert_eq!(tree.names("sys/a"), ["list", "to"]);
        assert_eq!(tree.link("sys/a/to").as_deref(), Some("where"));
        assert!(tree.has("sys/a") && !tree.has("sys/b"));
        assert!(tree.cores("sys/b").is_empty() && tree.names("sys/b").is_empty());
        assert_eq!(tree.number("sys/a/list"), None);
        assert!(Tree::of_this_machine().number("proc/sys/kernel/pid_max") > Some(100));
    }
}
