//! One doctor at a port at a time: two would take each other's answers for their own, which look like reflections, and
//! a running appliance lets the probes of one by.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    thread,
    time::{Duration, Instant},
};

/// How long another doctor is waited for. It takes a few seconds at most.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Our turn at a port, for as long as this lives: an abstract unix socket (unix(7)), of which there is one of a name in
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
    pub fn wait(index: u32, interface: &str) -> Result<Self, String> {
        Self::wait_for(index, interface, PATIENCE)
    }

    fn wait_for(index: u32, interface: &str, patience: Duration) -> Result<Self, String> {
        let cannot = |e: io::Error| format!("cannot take a turn at interface {interface}: {e}");
        let name = format!("causeway-doctor-{index}");
        let address = SocketAddr::from_abstract_name(&name).map_err(cannot)?;
        let until = Instant::now() + patience;
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(_held) => return Ok(Self { _held }),
                Err(e) if e.kind() != io::ErrorKind::AddrInUse => return Err(cannot(e)),
                Err(_) if Instant::now() >= until => {
                    return Err(format!(
                        "another causeway doctor is at interface {interface}: wait until it has ended, or end it (`ss -xlp | grep {name}` shows it)"
                    ));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_at_each_port() {
        // No interface has these.
        let (index, other) = (u32::MAX, u32::MAX - 1);
        let take = |index| Turn::wait_for(index, "ens1", Duration::ZERO);
        let first = take(index).unwrap();
        let refused = take(index).unwrap_err();
        assert!(refused.contains("wait until it has ended"), "{refused}");
        take(other).unwrap();
        drop(first);
        take(index).unwrap();
    }
}
