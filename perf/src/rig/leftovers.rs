//! What a harness leaves behind that was killed rather than stopped: named after its process, so that the next one finds it.

use std::{
    fs, io,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::{Path, PathBuf},
    process,
};

use super::netns;

/// How all of our names begin; the number of the owning process follows.
const PREFIX: &str = "cwperf";

/// Where folders of ours are: on no disk, as keys are in them.
pub(super) const RUN: &str = "/run";

/// Where `ip netns` keeps the names of namespaces (ip-netns(8)).
const NAMESPACES: &str = "/run/netns";

/// Where WireGuard programs keep a socket for each of their interfaces, whatever its namespace.
const SOCKETS: &str = "/run/wireguard";

/// A name that tells whose it is.
pub(super) fn own_name(what: impl std::fmt::Display) -> String {
    format!("{PREFIX}-{}-{what}", process::id())
}

/// Removes namespaces, folders and sockets of processes that no longer are.
pub(crate) fn remove_leftovers() {
    for (name, _) in of_the_dead(NAMESPACES, owner) {
        // Another harness may be at it, too.
        let _ = netns::remove(&name);
    }
    for (_, path) in of_the_dead(RUN, owner) {
        let _ = fs::remove_dir_all(path);
    }
    for (_, path) in of_the_dead(SOCKETS, socket_owner) {
        if is_deserted(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// What is in a folder and says that it was made by a process that is no more.
fn of_the_dead(folder: &str, owner: fn(&str) -> Option<u32>) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())));
    let alive = |pid| fs::exists(format!("/proc/{pid}")).unwrap_or(true);
    named
        .filter(|(name, _)| owner(name).is_some_and(|pid| !alive(pid)))
        .collect()
}

/// The process that made something of ours.
fn owner(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('-')?;
    rest.split('-').next()?.parse().ok()
}

/// The same of a WireGuard socket: their interfaces' names are too short for more.
fn socket_owner(name: &str) -> Option<u32> {
    let interface = name.strip_prefix("wg")?.strip_suffix(".sock")?;
    let pid = interface.strip_prefix(['A', 'B'])?;
    pid.parse().ok()
}

/// Whether nobody listens there: an interface of somebody else's may have such a name, too.
fn is_deserted(socket: &Path) -> bool {
    let is_socket = fs::metadata(socket).is_ok_and(|m| m.file_type().is_socket());
    let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(socket).is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn owners() {
        assert_eq!(owner("cwperf-12-gwA"), Some(12));
        assert_eq!(owner(&own_name(7)), Some(process::id()));
        for other in ["cwperf", "cwperf-x-gwA", "cw-12-site", "mine"] {
            assert_eq!(owner(other), None, "{other}");
        }
        assert_eq!(socket_owner("wgA12.sock"), Some(12));
        for other in ["wg0.sock", "wgA12", "wgA.sock", "wgC12.sock"] {
            assert_eq!(socket_owner(other), None, "{other}");
        }
    }

    #[test]
    fn a_socket_in_use_is_left_alone() {
        let path = Path::new(RUN).join(own_name("test.sock"));
        let listener = UnixListener::bind(&path).expect("root");
        assert!(!is_deserted(&path));
        drop(listener);
        assert!(is_deserted(&path));
        fs::remove_file(&path).expect("ours");
    }
}
