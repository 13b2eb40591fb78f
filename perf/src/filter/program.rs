//! The program in the kernel, with its tables filled.

use std::{ops::Range, os::fd::OwnedFd};

use causeway::xdp::{LanProgram, XdpError};
use causeway_ebpf::{
    LanConfig, Place, Role, StationKey, Verdict,
    cases::{LAN_PORT, OWN_V4},
};
use rustix::net::{AddressFamily, SocketType, socket, sockopt};

use super::cases::{Case, station_number};
use crate::{
    error::{Error, Result},
    interrupt,
};

/// Slots of the socket's ring: nothing is ever put there.
const RING: u32 = 64;

/// A program for one end, and how many stations it knows.
pub(super) struct Program {
    program: LanProgram,
    role: Role,
    stations: u32,
}

impl Program {
    /// Loads it, with stations that are away from the site or home at the cloud end.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`] without the rights to.
    pub(super) fn load(role: Role, stations: u32) -> Result<Self> {
        let mut program = LanProgram::load().map_err(error)?;
        program
            .configure(&LanConfig::new(role, LAN_PORT))
            .map_err(error)?;
        program.set_own_addresses([OWN_V4.into()]).map_err(error)?;
        let place = match role {
            Role::Site => Place::Away,
            Role::Cloud => Place::Home,
        };
        for i in 0..stations {
            let key = StationKey::new(0, station_number(i));
            program.set_station(key, place).map_err(error)?;
        }
        Ok(Self {
            program,
            role,
            stations,
        })
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn stations(&self) -> u32 {
        self.stations
    }

    /// Runs each of these frames `repeat` times on end. Returns the mean, each frame's part of which the
    /// kernel has cut to whole nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] unless every run came to the case's verdict; [`Error::Interrupted`].
    pub(super) fn ns_per_frame(
        &mut self,
        case: &Case,
        frames: Range<u32>,
        repeat: u32,
    ) -> Result<f64> {
        let _socket = self.socket_for(case)?;
        let (before, count, mut ns) = (self.counters()?, frames.len(), 0);
        for i in frames {
            interrupt::check()?;
            let frame = (case.frame)(i, self.stations);
            let outcome = self.program.test_run(&frame, repeat).map_err(error)?;
            ns += outcome.duration.as_nanos();
        }
        self.confirm(case, before, count as u64 * u64::from(repeat))?;
        Ok(ns as f64 / count as f64)
    }

    /// An AF_XDP socket at the queue that test-run frames seem to come in on, where the verdict needs
    /// one. It is not bound: the program only asks whether there is one. It leaves the map when it is closed.
    fn socket_for(&mut self, case: &Case) -> Result<Option<OwnedFd>> {
        if case.verdict == Verdict::NoSocket {
            return Ok(None);
        }
        let open = || {
            let socket = socket(AddressFamily::XDP, SocketType::RAW, None)?;
            sockopt::set_xdp_rx_ring_size(&socket, RING)?;
            Ok::<_, rustix::io::Errno>(socket)
        };
        let socket = open().map_err(Error::failed("cannot open an AF_XDP socket"))?;
        self.program.set_socket(0, &socket).map_err(error)?;
        Ok(Some(socket))
    }

    fn counters(&self) -> Result<[u64; Verdict::COUNT]> {
        self.program.counters().map_err(error)
    }

    /// Whether all `runs` since `before` came to the verdict, and none to another.
    fn confirm(&self, case: &Case, before: [u64; Verdict::COUNT], runs: u64) -> Result {
        let after = self.counters()?;
        for verdict in Verdict::ALL {
            let counted = after[verdict.index()] - before[verdict.index()];
            let expected = if *verdict == case.verdict { runs } else { 0 };
            if counted != expected {
                return Err(Error::Failed(format!(
                    "of {runs} frames for {} with role {}, {counted} were counted as {verdict}",
                    case.verdict,
                    role_name(self.role)
                )));
            }
        }
        Ok(())
    }
}

/// The word in the report.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Site => "site",
        Role::Cloud => "cloud",
    }
}

fn error(error: XdpError) -> Error {
    match error {
        // The kernel ends a run when a signal comes.
        _ if interrupt::raised() => Error::Interrupted,
        XdpError::Permission { .. } | XdpError::KernelTooOld { .. } => {
            Error::CannotRun(error.to_string())
        }
        _ => Error::Failed(error.to_string()),
    }
}
