//! What a peer is: a way to stretch a LAN that somebody might take instead of causeway.

use crate::{
    compare::programs::{Program, Programs},
    error::Result,
    rig::{KernelWork, Rig, Side},
};

/// What a peer is set up on.
pub(crate) struct Setup<'a> {
    /// The rig, which is new for each round.
    pub(crate) rig: &'a Rig,
    /// Where the programs are.
    pub(crate) programs: &'a Programs,
}

/// A way to stretch a LAN.
pub(crate) trait Peer {
    /// As `--peer` takes it and results have it.
    fn name(&self) -> &'static str;

    /// One line on what it is.
    fn about(&self) -> &'static str;

    /// Whether the path sees no plaintext.
    fn encrypted(&self) -> bool;

    /// Programs that it runs; none if it is the kernel's alone.
    fn needs(&self) -> &'static [Program] {
        &[]
    }

    /// Where the kernel does the gateways' receive work.
    fn kernel_work(&self) -> KernelWork {
        KernelWork::OnSender
    }

    /// The tunnel's port of each bridge; none where bridges are not in use.
    fn port(&self) -> Option<&'static str> {
        None
    }

    /// Whether there is a process at the far end that can be killed.
    fn is_process(&self) -> bool {
        !self.needs().is_empty()
    }

    /// Whether the gateways' work is done on the gateways' CPU, so that their CPU time can be told.
    fn has_own_cpu(&self) -> bool {
        true
    }

    /// Whether it is causeway, whose own counters tell where each frame is.
    fn counts_frames(&self) -> bool {
        false
    }

    /// Keys and configurations: once for each rig, before either side starts.
    ///
    /// # Errors
    ///
    /// Something of it fails.
    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        let _ = on;
        Ok(())
    }

    /// Starts one side, also again after a kill. B is started first.
    ///
    /// # Errors
    ///
    /// It does not start.
    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result;

    /// Lets go of what is not a process of the rig.
    fn stop(&mut self) {}
}
