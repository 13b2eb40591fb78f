//! Two ends of a segment, and what the control plane would tell their workers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use causeway::{
    counters::{SharedCounter, WorkerCounters},
    flood::FloodRule,
    options::IdleStrategy,
    snoop::Snoop,
    stations::{Place, Role, Station, StationKey, StationTable},
    sys::xsk::{XskConfig, XskPort, XskTuning},
    uplink::{self, UdpUplink, Uplink},
    wan_to_lan::LearntPath,
    worker::{Command, Mailbox, Punts, WorkerConfig, WorkerHandle},
    xdp::{LanProgram, UplinkProgram},
};
use causeway_ebpf::{FloodPolicy, maps::LanConfig};
use causeway_tunnel::{
    DropReason,
    aead::Cipher,
    sa::{Limits, SaKeys},
    spi::Spi,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    netns::{Namespace, PATIENCE, PacketSocket, wait_until},
    uplinks::{self, Wire},
};

pub(crate) const MOVED: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x10];
pub(crate) const SERVER: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x20];
/// What the site sends on, and what the cloud sends on.
pub(crate) const SITE_SPI: u32 = 0x1000_0000;
pub(crate) const CLOUD_SPI: u32 = 0x2000_0000;
const EXPERIMENTAL: u16 = 0x88b5;
const DATAGRAM_SIZE: usize = 1_452;

/// Both ends with lanes both ways.
pub(crate) struct Ends {
    pub(crate) site: End,
    pub(crate) cloud: End,
}

/// One end: its worker, and the LAN that it stands on.
pub(crate) struct End {
    pub(crate) worker: WorkerHandle,
    pub(crate) lan: PacketSocket,
    /// Where its worker's socket is.
    pub(crate) address: SocketAddr,
    pub(crate) learnt: mpsc::UnboundedReceiver<LearntPath>,
    pub(crate) punts: Punts,
    role: Role,
    _program: LanProgram,
    /// The XDP program of the uplink, if it has one.
    pub(crate) steers: Option<UplinkProgram>,
}

impl Ends {
    /// The lanes stand, and the cloud has learnt the site's path. The only keepalives are those
    /// that open the lanes.
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self::with_keepalives(namespace, Duration::from_secs(600))
    }

    pub(crate) fn with_keepalives(namespace: &Namespace, every: Duration) -> Self {
        Self::over(namespace, Wire::Sockets, every)
    }

    /// The same over one or the other kind of uplink.
    pub(crate) fn over(namespace: &Namespace, wire: Wire, every: Duration) -> Self {
        let [site, cloud] = wire.uplinks(namespace);
        let mut ends = Self {
            site: End::with_uplink(namespace, Role::Site, ["site0", "site1"], every, site),
            cloud: End::with_uplink(namespace, Role::Cloud, ["cloud0", "cloud1"], every, cloud),
        };
        ends.site.install_rx(CLOUD_SPI, false);
        ends.cloud.install_rx(SITE_SPI, true);
        ends.cloud.install_tx(CLOUD_SPI, None);
        ends.use_next_hops(namespace);
        let to_cloud = path(ends.cloud.address);
        ends.site.install_tx(SITE_SPI, Some(to_cloud));
        let learnt = ends.cloud.next_learnt().expect("an opening keepalive");
        assert_eq!(learnt.path.remote, ends.site.address);
        ends
    }

    /// Tells both ends the way to the other over the wire, if there is one.
    pub(crate) fn use_next_hops(&self, namespace: &Namespace) {
        for (from, to) in [(&self.site, &self.cloud), (&self.cloud, &self.site)] {
            if from.steers.is_some() {
                from.tell(Command::NextHops(uplinks::next_hops(namespace, from, to)));
            }
        }
    }
}

impl End {
    /// Its port and its LAN are the two ends of a wire.
    pub(crate) fn new(
        namespace: &Namespace,
        role: Role,
        ports: [&str; 2],
        lane_keepalive: Duration,
    ) -> Self {
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let socket = UdpUplink::new(uplink::bind(loopback, false).unwrap()).unwrap();
        let uplink = (socket.into(), None);
        Self::with_uplink(namespace, role, ports, lane_keepalive, uplink)
    }

    fn with_uplink(
        namespace: &Namespace,
        role: Role,
        [port, lan]: [&str; 2],
        lane_keepalive: Duration,
        (uplink, steers): (Uplink, Option<UplinkProgram>),
    ) -> Self {
        namespace.veth(port, lan);
        let place = place_of_moved(role);
        let mut program = LanProgram::load().expect("CAP_BPF");
        program
            .configure(&LanConfig::new(role, namespace.mac(port)))
            .unwrap();
        program.set_station(moved(), place).unwrap();
        let xsk = XskPort::open(&XskConfig {
            interface: port.into(),
            queue: 0,
            ring_size: 512,
            max_frame: 1_522,
            tuning: XskTuning::default(),
        });
        let xsk = xsk.expect("an AF_XDP socket");
        program.set_socket(0, &xsk.as_fd()).unwrap();
        let address = uplink.udp().local_address().unwrap();
        let (punts, mut punt) = Punts::for_workers(1, 1).unwrap();
        let (news, learnt) = mpsc::unbounded_channel();
        let worker = WorkerHandle::spawn(WorkerConfig {
            index: 0,
            port: xsk,
            uplink,
            mailbox: Mailbox::for_workers(1).unwrap().remove(0),
            cores: Vec::new(),
            batch: 256,
            idle: IdleStrategy::Adaptive,
            fifo: None,
            flood: FloodRule {
                policy: FloodPolicy::All,
                rate: 100_000,
            },
            clamp_mss: Default::default(),
            marking: Default::default(),
            groups: Default::default(),
            finish_checksums: false,
            lane_keepalive,
            peers: 1,
            vlans: Default::default(),
            stations: Arc::new(table(role)),
            snoop: Snoop::new(punt.remove(0), true),
            learnt: news,
        });
        program.attach(port).expect("attach");
        Self {
            worker: worker.expect("a thread"),
            lan: PacketSocket::bind(lan),
            address,
            learnt,
            punts,
            role,
            _program: program,
            steers,
        }
    }

    pub(crate) fn tell(&self, command: Command) {
        self.worker.sender().tell(command);
    }

    /// Installs a receiving lane and waits until it is.
    pub(crate) fn install_rx(&self, spi: u32, learns_path: bool) {
        let (done, is_done) = oneshot::channel();
        self.tell(Command::InstallRx {
            peer: 0,
            remote_lane: 0,
            spi: spi.try_into().unwrap(),
            keys: keys(),
            limits: Limits::default(),
            learns_path,
            highest: SharedCounter::default(),
            received: SharedCounter::default(),
            done,
        });
        is_done.blocking_recv().expect("the worker lives");
    }

    pub(crate) fn install_tx(&self, spi: u32, path: Option<uplink::Path>) {
        self.tell(Command::InstallTx {
            peer: 0,
            spi: spi.try_into().unwrap(),
            keys: keys(),
            limits: Limits::default(),
            datagram_size: DATAGRAM_SIZE,
            path,
        });
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.worker.counters
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.counters().drops[reason.index()].get()
    }

    /// The next path that the worker tells of, within a second.
    pub(crate) fn next_learnt(&mut self) -> Option<LearntPath> {
        for _ in 0..1_000 {
            if let Ok(learnt) = self.learnt.try_recv() {
                return Some(learnt);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Sends a frame for the other side from this end's LAN.
    pub(crate) fn send(&self, frame: &[u8]) {
        assert!(self.lan.send(frame));
    }

    /// A frame from this end's LAN to the other.
    pub(crate) fn frame(&self, number: u32, length: usize) -> Vec<u8> {
        match self.role {
            Role::Site => frame(MOVED, SERVER, number, length),
            Role::Cloud => frame(SERVER, MOVED, number, length),
        }
    }

    /// Waits for this frame on the LAN.
    #[track_caller]
    pub(crate) fn expect(&mut self, frame: &[u8]) {
        let got = self.lan.receive(PATIENCE);
        assert!(
            got.as_deref() == Some(frame),
            "expected {:02x?}…, got {:02x?}…",
            &frame[..18],
            got.as_deref().map(|f| &f[..f.len().min(18)])
        );
    }

    /// Sends a frame and waits until it is dropped for this reason at `at`, or at this end.
    #[track_caller]
    pub(crate) fn expect_drop(&self, at: Option<&End>, reason: DropReason) {
        let at = at.unwrap_or(self);
        let before = at.dropped(reason);
        self.send(&self.frame(0, 100));
        wait_until(reason.label(), || at.dropped(reason) > before);
    }
}

pub(crate) fn keys() -> SaKeys {
    SaKeys::new(Cipher::Aes256Gcm, &[0x5a; 36]).unwrap()
}

pub(crate) fn spi(number: u32) -> Spi {
    number.try_into().unwrap()
}

pub(crate) fn path(remote: SocketAddr) -> uplink::Path {
    uplink::Path {
        remote,
        local: None,
    }
}

/// What an end's worker knows at the start: one moved station.
pub(crate) fn table(role: Role) -> StationTable {
    let mut table = StationTable::new(role);
    let place = place_of_moved(role);
    table.insert(moved(), Station { place, peer: 0 });
    table
}

fn moved() -> StationKey {
    StationKey::new(0, MOVED)
}

fn place_of_moved(role: Role) -> Place {
    match role {
        Role::Site => Place::Away,
        Role::Cloud => Place::Home,
    }
}

pub(crate) fn frame(to: [u8; 6], from: [u8; 6], number: u32, length: usize) -> Vec<u8> {
    let ethertype = EXPERIMENTAL.to_be_bytes();
    let mut frame = [&to[..], &from, &ethertype, &number.to_be_bytes()].concat();
    frame.extend((18..length).map(|i| (i as u8) ^ (number as u8) ^ (length as u8)));
    frame
}
