//! The LAN port: a NIC as it is, or a port that causeway makes for itself and takes away again.
//!
//! Where the VMs hang on a Linux bridge (`bridge`) or a hypervisor wants a tap (`tap`), the port is made at the
//! start and removed at the end. After a `kill -9` nobody removes it: the next start does, which knows its own
//! by the alias that it gave them ([`Mark`]), and touches no other.

mod bridge;
mod links;
mod rx_filter;
mod spec;
mod tap;

use tracing::warn;

use self::{bridge::BridgePort, links::Links, tap::TapPort};
pub use self::{
    rx_filter::{RxFilter, RxFilterKind},
    spec::LanSpec,
};

/// How our interfaces are known to be ours: by their alias (`ip link`), which names the control socket of the
/// causeway that made them. Of one name there is one causeway in a network namespace: what bears ours, and was
/// not made by this process, was left behind.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// The mark of the causeway that has this control socket open.
    pub fn new(control: &str) -> Self {
        Self(format!("(causeway, control socket {control})"))
    }

    /// The alias of an interface.
    fn alias(&self, what: &str) -> String {
        format!("{what} {}", self.0)
    }

    fn is_on(&self, alias: Option<&str>) -> bool {
        alias.is_some_and(|alias| alias.ends_with(&self.0))
    }
}

/// The LAN port's interface, for as long as this lives.
#[derive(Debug)]
pub enum LanPort {
    /// Somebody else's: a NIC, a veth, a VLAN device.
    Found(String),
    /// A veth pair into a bridge.
    Bridge(BridgePort),
    /// A tap.
    Tap(TapPort),
}

impl LanPort {
    /// Makes the port, or nothing if the interface is there anyway. What an earlier process with the same control
    /// socket has left behind is removed first. `queues`: how many a port that is made gets.
    ///
    /// The caller has the control socket open.
    ///
    /// # Errors
    ///
    /// One line that says what to do.
    pub async fn open(spec: &LanSpec, mark: &Mark, queues: u8) -> Result<Self, String> {
        let links = Links::connect()?;
        bridge::remove_leftovers(&links, mark).await?;
        tap::remove_leftovers(&links, mark, spec).await?;
        match spec {
            LanSpec::Interface(name) => Ok(Self::Found(name.clone())),
            LanSpec::Bridge(bridge) => BridgePort::make(&links, bridge, mark, queues)
                .await
                .map(Self::Bridge),
            LanSpec::Tap(name) => TapPort::open(&links, name, mark).await.map(Self::Tap),
        }
    }

    /// The interface that frames are taken from and given to.
    pub fn interface(&self) -> &str {
        match self {
            Self::Found(name) => name,
            Self::Bridge(port) => port.interface(),
            Self::Tap(port) => port.interface(),
        }
    }

    /// Whether all frames that come here have finished checksums, by our doing.
    pub fn finishes_checksums(&self) -> bool {
        matches!(self, Self::Bridge(_))
    }

    /// Whether it still is what it was opened as.
    ///
    /// # Errors
    ///
    /// One line that says what has happened to it.
    pub fn look(&self) -> Result<(), String> {
        match self {
            Self::Bridge(port) => port.look(),
            Self::Found(_) | Self::Tap(_) => Ok(()),
        }
    }

    /// Removes what was made; dropping it does too.
    pub fn close(&mut self) {
        let closed = match self {
            Self::Found(_) => Ok(()),
            Self::Bridge(port) => port.remove(),
            Self::Tap(port) => port.release(),
        };
        if let Err(e) = closed {
            warn!("{e}");
        }
    }
}

impl Drop for LanPort {
    fn drop(&mut self) {
        self.close();
    }
}
