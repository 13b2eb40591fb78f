//! The XDP program of the uplink.

use std::{collections::HashSet, fmt, net::IpAddr, os::fd::AsRawFd};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, PerCpuArray, XskMap},
    programs::links::FdLink,
};
use causeway_ebpf::{
    UplinkConfig, UplinkVerdict,
    maps::{self, MAX_UPLINK_QUEUES},
};

use super::{
    AttachMode, OBJECT, TestRunOutcome, XdpError, attach,
    error::{failed, load_error},
    load_program, program, set_socket, sums, tables, take_map, test_run,
};

/// The lan port's tables are in the object as well, and the library makes all that there are: as small as the kernel lets
/// them be, for this program has no use for them.
const OF_THE_LAN_PORT: [(&str, u32); 7] = [
    (maps::STATIONS, 1),
    (maps::OWN_ADDRESSES, 1),
    (maps::PROBES, 1),
    (maps::WATCHED, 1),
    (maps::TOLD, 1),
    (maps::INJECTED, 1),
    // Bytes: a page.
    (maps::SIGHTINGS, 4_096),
];

/// The uplink's XDP program in the kernel, with its maps. Dropping it detaches it.
///
/// Until it is configured and has ports, addresses and sockets, it passes every frame to the kernel.
pub struct UplinkProgram {
    ebpf: Ebpf,
    config: Array<MapData, [u8; 8]>,
    ports: HashMap<MapData, u32, u8>,
    own: HashMap<MapData, [u8; 16], u8>,
    counters: PerCpuArray<MapData, u64>,
    sockets: XskMap<MapData>,
    addresses: HashSet<[u8; 16]>,
    link: Option<FdLink>,
}

impl UplinkProgram {
    /// Creates the maps and has the kernel verify and load the program. Nothing is attached.
    ///
    /// # Errors
    ///
    /// As for [`LanProgram::load`](super::LanProgram::load).
    pub fn load() -> Result<Self, XdpError> {
        Self::load_object(OBJECT)
    }

    /// Like [`load`](Self::load), from another build of the object than the embedded one.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_object(object: &[u8]) -> Result<Self, XdpError> {
        let mut loader = EbpfLoader::new();
        for (map, size) in OF_THE_LAN_PORT {
            loader.map_max_entries(map, size);
        }
        let mut ebpf = loader.load(object).map_err(load_error)?;
        load_program(program(&mut ebpf, maps::UPLINK_PROGRAM)?)?;
        Ok(Self {
            config: take_map(&mut ebpf, maps::UPLINK_CONFIG)?,
            ports: take_map(&mut ebpf, maps::UPLINK_PORTS)?,
            own: take_map(&mut ebpf, maps::UPLINK_OWN)?,
            counters: take_map(&mut ebpf, maps::UPLINK_COUNTERS)?,
            sockets: take_map(&mut ebpf, maps::UPLINK_SOCKETS)?,
            ebpf,
            addresses: HashSet::new(),
            link: None,
        })
    }

    /// Tells the program the device's MAC address and the longest frame to steer.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn configure(&mut self, config: &UplinkConfig) -> Result<(), XdpError> {
        self.config
            .set(0, config.to_bytes(), 0)
            .map_err(failed("set the configuration"))
    }

    /// Adds a UDP port of ours.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses, or has as many as the map holds.
    pub fn add_port(&mut self, port: u16) -> Result<(), XdpError> {
        self.ports
            .insert(u32::from(port), 1, 0)
            .map_err(failed("add a port"))
    }

    /// Forgets a port that was added: its datagrams pass to the kernel.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses, or it was never added.
    pub fn remove_port(&mut self, port: u16) -> Result<(), XdpError> {
        self.ports
            .remove(&u32::from(port))
            .map_err(failed("remove a port"))
    }

    /// Makes `addresses` those that we are reached at.
    ///
    /// # Errors
    ///
    /// [`XdpError::OwnAddressesFull`] (the addresses added so far stay), or [`XdpError::Map`] if
    /// the kernel refuses.
    pub fn set_addresses(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), XdpError> {
        tables::replace_addresses(&mut self.own, &mut self.addresses, addresses)
    }

    /// Gives the ESP datagrams of receive queue `queue` to the AF_XDP `socket` that is bound to it.
    ///
    /// # Errors
    ///
    /// As for [`LanProgram::set_socket`](super::LanProgram::set_socket).
    pub fn set_socket(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), XdpError> {
        set_socket(&mut self.sockets, queue, socket, MAX_UPLINK_QUEUES)
    }

    /// Attaches the program, in the driver, or where that cannot be (with a warning) in the stack.
    ///
    /// # Errors
    ///
    /// As for [`LanProgram::attach`](super::LanProgram::attach).
    pub fn attach(&mut self, interface: &str) -> Result<AttachMode, XdpError> {
        self.detach();
        let program = program(&mut self.ebpf, maps::UPLINK_PROGRAM)?;
        let (link, mode) = attach::attach(program, interface)?;
        self.link = Some(link);
        Ok(mode)
    }

    /// Attaches the program in the driver, or not at all.
    ///
    /// # Errors
    ///
    /// As for [`LanProgram::attach`](super::LanProgram::attach).
    pub fn attach_in_driver(&mut self, interface: &str) -> Result<(), XdpError> {
        self.detach();
        let program = program(&mut self.ebpf, maps::UPLINK_PROGRAM)?;
        self.link = Some(attach::attach_in_driver(program, interface)?);
        Ok(())
    }

    /// Detaches the program; its tables and counters stay. Does nothing if it is not attached.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// Frames for each verdict since the program was loaded, by [`UplinkVerdict::index`], over all
    /// CPUs.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn counters(&self) -> Result<[u64; UplinkVerdict::COUNT], XdpError> {
        sums(&self.counters)
    }

    /// Runs the program on `frame` in the kernel, as [`LanProgram::test_run`](super::LanProgram::test_run)
    /// does.
    ///
    /// # Errors
    ///
    /// [`XdpError::TestRun`].
    pub fn test_run(&mut self, frame: &[u8], repeat: u32) -> Result<TestRunOutcome, XdpError> {
        test_run(
            program(&mut self.ebpf, maps::UPLINK_PROGRAM)?,
            frame,
            repeat,
        )
    }
}

impl fmt::Debug for UplinkProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UplinkProgram")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
