//! Devices made, looked at and removed through rtnetlink(7).

use std::{io, thread};

use futures_util::TryStreamExt;
use rtnetlink::{
    Error, Handle, LinkMessageBuilder, LinkUnspec, new_connection,
    packet_route::link::{
        AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoData, InfoKind, LinkAttribute,
        LinkFlags, LinkInfo, LinkMessage,
    },
};

/// A device as the kernel describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// What it is, if it is no hardware.
    pub(super) kind: Option<InfoKind>,
    pub(super) alias: Option<String>,
    pub(super) mtu: u32,
    pub(super) is_up: bool,
    /// Of a bridge.
    pub(super) vlan_filtering: bool,
    /// Of a bridge: the VLAN that its ports put untagged frames into, 0 for none.
    pub(super) untagged_vlan: u16,
}

impl From<&LinkMessage> for Link {
    fn from(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            is_up: message.header.flags.contains(LinkFlags::Up),
            ..Self::default()
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| link.note(info)),
                _ => {}
            }
        }
        link
    }
}

impl Link {
    fn note(&mut self, info: &LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = Some(kind.clone()),
            LinkInfo::Data(InfoData::Bridge(infos)) => {
                self.vlan_filtering = infos.contains(&InfoBridge::VlanFiltering(true));
                let untagged = infos.iter().find_map(|info| match info {
                    InfoBridge::VlanDefaultPvid(vlan) => Some(*vlan),
                    _ => None,
                });
                self.untagged_vlan = untagged.unwrap_or(0);
            }
            _ => {}
        }
    }

    /// What it is, in a word.
    pub(super) fn word(&self) -> String {
        match &self.kind {
            Some(kind) => format!("of the kind {kind}"),
            None => "a network card".into(),
        }
    }
}

/// The kernel's devices in this network namespace.
pub(super) struct Links(Handle);

impl Links {
    /// # Errors
    ///
    /// One line.
    pub(super) fn connect() -> Result<Self, String> {
        let (connection, handle, _) =
            new_connection().map_err(|e| format!("cannot open rtnetlink: {e}"))?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// All of them.
    pub(super) async fn all(&self) -> Result<Vec<Link>, String> {
        let links = self.0.link().get().execute();
        let links = links.map_ok(|message| Link::from(&message));
        links
            .try_collect()
            .await
            .map_err(|e| format!("cannot ask for the interfaces: {}", plain(e)))
    }

    pub(super) async fn find(&self, name: &str) -> Result<Option<Link>, String> {
        Ok(self.all().await?.into_iter().find(|link| link.name == name))
    }

    /// Makes a device.
    pub(super) async fn add(&self, message: LinkMessage) -> io::Result<()> {
        self.0.link().add(message).execute().await.map_err(plain)
    }

    /// Sets what a device has by itself.
    pub(super) async fn set(&self, message: LinkMessage) -> io::Result<()> {
        self.0.link().set(message).execute().await.map_err(plain)
    }

    /// Sets what it has as a port of a bridge.
    pub(super) async fn set_port(&self, message: LinkMessage) -> io::Result<()> {
        self.0
            .link()
            .set_port(message)
            .execute()
            .await
            .map_err(plain)
    }

    pub(super) async fn remove(&self, index: u32) -> io::Result<()> {
        self.0.link().del(index).execute().await.map_err(plain)
    }
}

/// To be set of a device.
pub(super) fn of(index: u32) -> LinkMessageBuilder<LinkUnspec> {
    LinkUnspec::new_with_index(index)
}

/// An alias, and no IPv6 address of its own: it would ask and answer in the LAN by itself. To be set before it
/// is up. (The sysctl `disable_ipv6` does more, and is not to be had from under systemd's ProtectKernelTunables.)
pub(super) fn quiet(index: u32, alias: String) -> LinkMessage {
    let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let spec = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])]);
    of(index).alias(alias).append_extra_attribute(spec).build()
}

/// The same without IPv6, for kernels that have none.
pub(super) fn named(index: u32, alias: String) -> LinkMessage {
    of(index).alias(alias).build()
}

fn plain(error: Error) -> io::Error {
    match error {
        Error::NetlinkError(refusal) => refusal.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// Runs what waits for the kernel from where nothing may wait: a destructor. It takes a thread and a runtime of its own.
pub(super) fn blocking<T: Send>(
    work: impl AsyncFnOnce(Links) -> Result<T, String> + Send,
) -> Result<T, String> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("cannot ask the kernel: {e}"))?;
        runtime.block_on(async { work(Links::connect()?).await })
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, run);
        let thread = thread.map_err(|e| format!("cannot ask the kernel: {e}"))?;
        thread
            .join()
            .unwrap_or_else(|_| Err("cannot ask the kernel: the thread for it panicked".into()))
    })
}
