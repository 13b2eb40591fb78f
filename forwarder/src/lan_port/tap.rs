//! A tap: the cable to a virtual machine, whose other end a hypervisor opens by its name (`/dev/net/tun`).
//!
//! It outlives us where a VM holds it: a restart of causeway is a pause for the VM, not a pulled cable. So it is
//! released at the end only if nobody has it open, and what an earlier process left is taken over.

use std::{fs, io, path::Path};

use rtnetlink::packet_route::link::InfoKind;
use tracing::{info, warn};

use super::{
    LanSpec, Mark,
    links::{self, Link, Links},
};
use crate::sys::tun;

/// A tap.
#[derive(Debug)]
pub struct TapPort {
    name: String,
    /// Whether we made it, or a process before us, and nobody else.
    ours: bool,
}

impl TapPort {
    /// Takes the tap of this name, or makes one.
    pub(super) async fn open(links: &Links, name: &str, mark: &Mark) -> Result<Self, String> {
        let there = links.find(name).await?;
        if let Some(link) = &there {
            check(link)?;
            if !mark.is_on(link.alias.as_deref()) {
                return Ok(Self {
                    name: name.into(),
                    ours: false,
                });
            }
            info!("tap {name} was left by an earlier causeway: we go on with it");
        } else {
            make(name)?;
        }
        let port = Self {
            name: name.into(),
            ours: true,
        };
        port.bring_up(links, mark).await?;
        if there.is_none() {
            info!("tap {name} is made: a hypervisor may open it");
        }
        Ok(port)
    }

    async fn bring_up(&self, links: &Links, mark: &Mark) -> Result<(), String> {
        let name = &self.name;
        let found = links.find(name).await?;
        let index =
            found.ok_or_else(|| format!("tap {name} was removed as soon as it was made"))?;
        let index = index.index;
        let alias = mark.alias("LAN port, tap");
        let cannot = |e| format!("cannot set up tap {name}: {e}");
        if links.set(links::quiet(index, alias.clone())).await.is_err() {
            links
                .set(links::named(index, alias))
                .await
                .map_err(cannot)?;
        }
        links
            .set(links::of(index).up().build())
            .await
            .map_err(cannot)
    }

    pub(super) fn interface(&self) -> &str {
        &self.name
    }

    /// Removes it if we made it and no VM has it open.
    pub(super) fn release(&mut self) -> Result<(), String> {
        match std::mem::take(&mut self.ours) {
            true => release(&self.name),
            false => Ok(()),
        }
    }
}

/// Takes away taps that an earlier process with our mark has left behind, but for the one that is wanted again.
pub(super) async fn remove_leftovers(
    links: &Links,
    mark: &Mark,
    spec: &LanSpec,
) -> Result<(), String> {
    for link in links.all().await? {
        let is_left = link.kind == Some(InfoKind::Tun) && mark.is_on(link.alias.as_deref());
        if is_left && *spec != LanSpec::Tap(link.name.clone()) {
            release(&link.name).unwrap_or_else(|e| warn!("{e}"));
        }
    }
    Ok(())
}

fn make(name: &str) -> Result<(), String> {
    let tap = tun::open(name).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT | libc::EACCES | libc::ENODEV) => format!(
            "cannot make tap {name}: {} cannot be opened ({e}); modprobe tun, or let this process have it (systemd: DeviceAllow=)",
            tun::DEVICE
        ),
        _ => format!("cannot make tap {name}: {e}"),
    })?;
    // Without an owner everybody on the machine could open it, and so be in the LAN.
    let owner = rustix::process::geteuid().as_raw();
    tun::set_owner(&tap, owner)
        .and_then(|()| tun::set_persistent(&tap, true))
        .map_err(|e| format!("cannot make tap {name}: {e}"))
}

fn release(name: &str) -> Result<(), String> {
    let by_hand = format!("ip tuntap del {name} mode tap");
    match tun::open(name).and_then(|tap| tun::set_persistent(&tap, false)) {
        Ok(()) => {
            info!("tap {name} is removed");
            Ok(())
        }
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
            info!("tap {name} stays: a VM has it open; {by_hand} if it is not needed any more");
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(format!("cannot remove tap {name}: {e}; {by_hand}")),
    }
}

/// Whether it is a tap, and not a tun or anything else.
fn check(link: &Link) -> Result<(), String> {
    let name = &link.name;
    let flags = Path::new("/sys/class/net").join(name).join("tun_flags");
    let flags = fs::read_to_string(flags).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
    if flags & libc::IFF_TAP as u32 == 0 {
        return Err(format!(
            "{name} is no tap but {}: --lan {name} takes it as it is, or give another name",
            link.word()
        ));
    }
    Ok(())
}
