//! One doctor at a time: two at a port would take each other's answers for their own, which look like reflections, and
//! a running appliance lets the probes of one by; and of two with a key each session would end the other's.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    thread,
    time::{Duration, Instant},
};

use causeway_tunnel::identity::PublicKey;

/// How long another doctor is waited for. It takes a few seconds at most at a port, and as much for each peer.
const AT_PORT: Duration = Duration::from_secs(10);
const WITH_KEY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Our turn, for as long as this lives: an abstract unix socket (unix(7)), of which there is one of a name in
/// a network namespace, and which goes with its process.
#[derive(Debug)]
pub struct Turn {
    _held: UnixDatagram,
}

impl Turn {
    /// Waits for our turn at the interface of this index and name.
    ///
    /// # Errors
    ///
    /// One line that says what to do, if another has it all the time.
    pub fn at_port(index: u32, interface: &str) -> Result<Self, String> {
        let what = format!("at interface {interface}");
        Self::wait(&index.to_string(), &what, AT_PORT)
    }

    /// Waits for our turn to make sessions with a key.
    ///
    /// # Errors
    ///
    /// One line that says what to do, if another has it all the time.
    pub fn with_key(key: &PublicKey) -> Result<Self, String> {
        Self::wait(&key.to_string(), "at work with this key", WITH_KEY)
    }

    fn wait(of: &str, what: &str, patience: Duration) -> Result<Self, String> {
        let cannot = |e: io::Error| format!("cannot take a turn {what}: {e}");
        let name = format!("causeway-doctor-{of}");
        let address = SocketAddr::from_abstract_name(&name).map_err(cannot)?;
        let until = Instant::now() + patience;
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(_held) => return Ok(Self { _held }),
                Err(e) if e.kind() != io::ErrorKind::AddrInUse => return Err(cannot(e)),
                Err(_) if Instant::now() >= until => {
                    return Err(format!(
                        "another causeway doctor is {what}: wait until it has ended, or end it (`ss -xlp | grep {name}` shows it)"
                    ));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_tunnel::identity::PrivateKey;

    use super::*;

    #[test]
    fn one_at_a_time_of_each_port_and_key() {
        // No interface has these, and no other process that runs this test.
        let index = u32::MAX - 2 * std::process::id();
        let (index, other) = (index.to_string(), (index - 1).to_string());
        let key = PrivateKey::generate().public();
        let take = |of: &str| Turn::wait(of, "at interface ens1", Duration::ZERO);
        let first = take(&index).unwrap();
        let refused = take(&index).unwrap_err();
        assert!(refused.contains("wait until it has ended"), "{refused}");
        take(&other).unwrap();
        let _of_key = Turn::with_key(&key).unwrap();
        take(&key.to_string()).unwrap_err();
        drop(first);
        take(&index).unwrap();
    }
}
