//! The XDP programs of the lan port and, in [`UplinkProgram`], of the uplink: load, fill their tables,
//! attach, read their counters.
//!
//! What they decide is in [`causeway_ebpf`]; this is their owner in user space. The
//! object is part of this binary, so nothing has to be installed beside it. Each is attached by a
//! `bpf_link`, which belongs to this process: however the process ends, the kernel detaches
//! the program, and frames take the ordinary way again.

mod attach;
mod error;
mod heard;
mod injected;
mod load;
mod sightings;
mod tables;
mod uplink;

use std::{
    collections::HashSet,
    fmt,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    time::Duration,
};

use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, XskMap},
    programs::{TestRun as _, TestRunOptions, Xdp, links::FdLink},
};
use causeway_ebpf::{
    LanConfig, Verdict,
    maps::{self, MAX_LAN_QUEUES},
};

use crate::sys::bpf::WholeMap;

use self::error::{failed, failed_call};
pub use self::{
    attach::{AttachMode, attach},
    error::{XdpError, load_error},
    injected::{Injected, Recorder, Watched},
    load::load_program,
    sightings::Sightings,
    uplink::UplinkProgram,
};

/// The object that `scripts/build-ebpf` built from `ebpf/`.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../ebpf/causeway.bpf.o"
));

/// The lan port's XDP program in the kernel, with its maps. Dropping it detaches it.
pub struct LanProgram {
    ebpf: Ebpf,
    config: Array<MapData, [u8; 16]>,
    stations: HashMap<MapData, [u8; 8], [u8; 4]>,
    all_stations: WholeMap,
    /// What the program writes to stations that it hears.
    epoch: u16,
    own_addresses: HashMap<MapData, [u8; 16], u8>,
    probes: HashMap<MapData, u64, u8>,
    counters: PerCpuArray<MapData, u64>,
    sockets: XskMap<MapData>,
    sightings: Option<Sightings>,
    watched: HashMap<MapData, [u8; 8], u8>,
    injected: Arc<Injected>,
    sighting_counters: PerCpuArray<MapData, u64>,
    addresses: HashSet<[u8; 16]>,
    /// As the program has it.
    lan_config: Option<LanConfig>,
    link: Option<FdLink>,
}

/// What a [test run](LanProgram::test_run) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRunOutcome {
    /// The program's return code (`enum xdp_action`; see [`causeway_ebpf::Action::code`]).
    pub action: u32,
    /// The mean time of one run, in whole nanoseconds.
    pub duration: Duration,
}

impl LanProgram {
    /// Creates the maps and has the kernel verify and load the program. Nothing is attached.
    ///
    /// # Errors
    ///
    /// [`XdpError::Permission`] without CAP_BPF and CAP_NET_ADMIN, [`XdpError::KernelTooOld`],
    /// or [`XdpError::Load`] with the verifier's words.
    pub fn load() -> Result<Self, XdpError> {
        Self::load_object(OBJECT)
    }

    /// Like [`load`](Self::load), from another build of the object than the embedded one.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_object(object: &[u8]) -> Result<Self, XdpError> {
        let mut ebpf = Ebpf::load(object).map_err(load_error)?;
        load_program(program(&mut ebpf, maps::LAN_PROGRAM)?)?;
        let stations = take(&mut ebpf, maps::STATIONS)?;
        let notes = take(&mut ebpf, maps::INJECTED)?;
        Ok(Self {
            config: take_map(&mut ebpf, maps::CONFIG)?,
            all_stations: WholeMap::new(data_of(&stations, maps::STATIONS)?)
                .map_err(failed_call("read the stations"))?,
            stations: typed(stations, maps::STATIONS)?,
            epoch: 0,
            watched: take_map(&mut ebpf, maps::WATCHED)?,
            injected: Arc::new(
                Injected::map(data_of(&notes, maps::INJECTED)?.fd().as_fd())
                    .map_err(failed_call("map the notes of injected frames"))?,
            ),
            own_addresses: take_map(&mut ebpf, maps::OWN_ADDRESSES)?,
            probes: take_map(&mut ebpf, maps::PROBES)?,
            counters: take_map(&mut ebpf, maps::COUNTERS)?,
            sockets: take_map(&mut ebpf, maps::LAN_SOCKETS)?,
            sightings: Some(Sightings::new(take_map(&mut ebpf, maps::SIGHTINGS)?)),
            sighting_counters: take_map(&mut ebpf, maps::SIGHTING_COUNTERS)?,
            ebpf,
            addresses: HashSet::new(),
            lan_config: None,
            link: None,
        })
    }

    /// Tells the program its role and the lan port's MAC address. Needed before
    /// [`attach`](Self::attach).
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn configure(&mut self, config: &LanConfig) -> Result<(), XdpError> {
        let now = config.with_epoch(self.epoch);
        self.config
            .set(0, now.to_bytes(), 0)
            .map_err(failed("set the configuration"))?;
        self.lan_config = Some(*config);
        Ok(())
    }

    /// Attaches the program to `interface`, in the driver, or where that cannot be (with a
    /// warning) in the network stack. An earlier attachment ends first.
    ///
    /// # Errors
    ///
    /// [`XdpError::NotConfigured`], [`XdpError::NoInterface`], [`XdpError::Occupied`] by
    /// another XDP program, [`XdpError::Permission`], [`XdpError::KernelTooOld`], or
    /// [`XdpError::Attach`] with what the kernel said.
    pub fn attach(&mut self, interface: &str) -> Result<AttachMode, XdpError> {
        if self.lan_config.is_none() {
            return Err(XdpError::NotConfigured);
        }
        self.detach();
        let program = program(&mut self.ebpf, maps::LAN_PROGRAM)?;
        let (link, mode) = attach::attach(program, interface)?;
        self.link = Some(link);
        Ok(mode)
    }

    /// Detaches the program; its tables and counters stay. Does nothing if it is not attached.
    ///
    /// The kernel does so when the last copy of the link's descriptor is closed: at once, unless
    /// another thread is just starting a program. Then it happens when the fork calls exec, and
    /// until then the interface is still [`XdpError::Occupied`].
    pub fn detach(&mut self) {
        // Closing the only file descriptor of the link makes the kernel detach the program.
        self.link = None;
    }

    /// Gives the frames that receive queue `queue` has for the forwarder to the AF_XDP `socket`.
    ///
    /// The socket needs an RX ring, and has to be bound to that queue to receive anything. When
    /// it is closed, the kernel takes it out of the map by itself.
    ///
    /// # Errors
    ///
    /// [`XdpError::NoQueue`] above the largest queue of the map, [`XdpError::Map`] if the
    /// descriptor is no AF_XDP socket with an RX ring.
    pub fn set_socket(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), XdpError> {
        set_socket(&mut self.sockets, queue, socket, MAX_LAN_QUEUES)
    }

    /// The notes of injected frames, for the workers: see [`Recorder`].
    pub fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected)
    }

    /// Frames for each verdict since the program was loaded, by [`Verdict::index`], over all
    /// CPUs.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn counters(&self) -> Result<[u64; Verdict::COUNT], XdpError> {
        sums(&self.counters)
    }

    /// Runs the program on `frame` in the kernel, `repeat` times, without any interface.
    ///
    /// The frames are counted; none goes anywhere. They seem to come in on queue 0.
    ///
    /// # Errors
    ///
    /// [`XdpError::TestRun`]: the kernel refuses frames shorter than 14 bytes or longer
    /// than a page less some room.
    pub fn test_run(&mut self, frame: &[u8], repeat: u32) -> Result<TestRunOutcome, XdpError> {
        test_run(program(&mut self.ebpf, maps::LAN_PROGRAM)?, frame, repeat)
    }
}

impl fmt::Debug for LanProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanProgram")
            .field("config", &self.lan_config)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, XdpError> {
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(XdpError::Object { missing: name })
}

fn set_socket(
    sockets: &mut XskMap<MapData>,
    queue: u32,
    socket: &impl AsRawFd,
    most: u32,
) -> Result<(), XdpError> {
    sockets
        .set(queue, socket.as_raw_fd(), 0)
        .map_err(|error| match error {
            MapError::OutOfBounds { .. } => XdpError::NoQueue { queue, most },
            error => failed("set the socket of a receive queue")(error),
        })
}

/// Each counter over all CPUs.
fn sums<const N: usize>(counters: &PerCpuArray<MapData, u64>) -> Result<[u64; N], XdpError> {
    let mut sums = [0; N];
    for (index, sum) in (0..).zip(&mut sums) {
        let per_cpu = counters.get(&index, 0).map_err(failed("read a counter"))?;
        *sum = per_cpu.iter().sum();
    }
    Ok(sums)
}

fn test_run(program: &mut Xdp, frame: &[u8], repeat: u32) -> Result<TestRunOutcome, XdpError> {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::new()
    };
    let result = program
        .test_run(options)
        .map_err(|source| XdpError::TestRun {
            length: frame.len(),
            source,
        })?;
    Ok(TestRunOutcome {
        action: result.return_value,
        duration: result.duration,
    })
}

fn take_map<M: TryFrom<aya::maps::Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, XdpError> {
    typed(take(ebpf, name)?, name)
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, XdpError> {
    ebpf.take_map(name)
        .ok_or(XdpError::Object { missing: name })
}

fn typed<M: TryFrom<Map, Error = MapError>>(map: Map, name: &'static str) -> Result<M, XdpError> {
    M::try_from(map).map_err(|_| XdpError::Object { missing: name })
}

/// What is below the library's face of a map, for what that does not offer.
fn data_of<'a>(map: &'a Map, name: &'static str) -> Result<&'a MapData, XdpError> {
    match map {
        Map::HashMap(data) | Map::Array(data) => Ok(data),
        _ => Err(XdpError::Object { missing: name }),
    }
}
