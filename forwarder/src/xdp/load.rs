//! Giving a program to the kernel.

use aya::programs::{ProgramError, Xdp};
use libc::EAGAIN;

use super::{
    XdpError,
    error::{errno, load_error},
};

/// How often it is tried: `PROG_LOAD_ATTEMPTS` of libbpf (tools/lib/bpf/bpf_internal.h).
const ATTEMPTS: usize = 5;

/// Has the kernel check and take a program; once more if a signal came meanwhile, at which it stops checking (`do_check`,
/// kernel/bpf/verifier.c).
///
/// # Errors
///
/// As of [`load_error`].
pub fn load_program(program: &mut Xdp) -> Result<(), XdpError> {
    again_if_interrupted(|| program.load()).map_err(load_error)
}

fn again_if_interrupted(
    mut load: impl FnMut() -> Result<(), ProgramError>,
) -> Result<(), ProgramError> {
    for _ in 1..ATTEMPTS {
        match load() {
            Err(error) if errno(&error) == Some(EAGAIN) => {}
            done => return done,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya::sys::SyscallError;

    use super::*;
    use crate::xdp::error::EPERM;

    /// How often something is tried that fails so often, in this way.
    fn attempts(failures: usize, number: i32) -> (usize, bool) {
        let mut tried = 0;
        let loaded = again_if_interrupted(|| {
            tried += 1;
            match tried > failures {
                true => Ok(()),
                false => Err(ProgramError::SyscallError(SyscallError {
                    call: "bpf_prog_load",
                    io_error: io::Error::from_raw_os_error(number),
                })),
            }
        });
        (tried, loaded.is_ok())
    }

    #[test]
    fn a_signal_is_no_reason_not_to_load() {
        assert_eq!(attempts(0, EAGAIN), (1, true));
        assert_eq!(attempts(1, EAGAIN), (2, true));
        assert_eq!(attempts(4, EAGAIN), (5, true));
        assert_eq!(attempts(5, EAGAIN), (5, false));
        assert_eq!(attempts(1, EPERM), (1, false));
    }
}
