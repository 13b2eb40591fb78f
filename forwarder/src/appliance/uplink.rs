//! Opens AF_XDP on the uplink's device, where that is wanted and can be.

use std::{collections::HashSet, net::IpAddr, os::fd::AsFd, time::Duration};

use causeway_ebpf::UplinkConfig;
use rtnetlink::Handle;
use tokio::net::lookup_host;

use super::{placement::Placement, ports};
use crate::{
    config::Config,
    device::Device,
    options::UplinkKind,
    routes::{self, Snapshot},
    sys::xsk::{CopyMode, MAX_CHUNK_FRAME, MAX_FRAME, XskError, XskPort, XskTuning},
    uplink::{FlowRules, Target},
    xdp::{AttachMode, UplinkProgram},
};

/// How long to wait for a peer's name, whose address shows which interface is the uplink: for
/// `--uplink xdp`, and for `auto`, which is not to hold up the start.
const LOOKUP: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(300));

/// The largest datagram to look for: what an IPv4 path of MTU 9,216 carries.
pub(super) const MAX_UDP_PAYLOAD: u32 = 9_188;

/// Ethernet with two VLAN tags, IPv6, UDP.
const MOST_HEADERS: usize = 14 + 2 * 4 + 40 + 8;

// If one did not fit, large datagrams would take the kernel's way and small ones AF_XDP's, and frames
// would change places.
const _: () = assert!(MAX_UDP_PAYLOAD as usize + MOST_HEADERS <= MAX_FRAME);

/// Entries of the rings of a port that only tries.
const TRIAL_RING: u32 = 64;

/// What the control plane keeps of AF_XDP on the uplink. Dropping it detaches the program.
pub struct UplinkPort {
    /// The device.
    pub device: Device,
    /// The XDP program on it. Until it has ports it passes everything to the kernel.
    pub program: UplinkProgram,
    /// Where the program runs.
    pub attach_mode: AttachMode,
    /// How the kernel moves frames.
    pub copy_mode: CopyMode,
    /// Queues that have a worker.
    pub queues: u32,
    /// The longest frame by AF_XDP.
    pub max_frame: usize,
    /// What brings each lane to its worker's queue.
    pub flow_rules: FlowRules,
}

impl UplinkPort {
    /// What the program is told of the device.
    pub fn config(&self) -> UplinkConfig {
        UplinkConfig::new(self.device.mac, self.max_frame as u16)
    }
}

/// What was chosen, and why.
pub(super) struct Choice {
    /// AF_XDP: what belongs to the control plane, and a port for each of the first workers.
    pub(super) xdp: Option<(UplinkPort, Vec<XskPort>)>,
    pub(super) why: String,
}

impl Choice {
    fn udp(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { xdp: None, why }
    }
}

/// Decides between the socket alone and AF_XDP beside it.
pub(super) async fn choose(
    config: &Config,
    placement: &Placement,
    lan: &Device,
    workers: u8,
) -> Result<Choice, String> {
    let must = config.uplink == UplinkKind::Xdp;
    if config.uplink == UplinkKind::Udp {
        return Ok(Choice::udp("--uplink udp"));
    }
    let device = match find(config, lan).await {
        Ok(device) => device,
        Err(why) if must => return Err(why),
        Err(why) => return Ok(Choice::udp(format!("auto: {why}"))),
    };
    let name = &device.name;
    if !must {
        if device.max_frame() > MAX_CHUNK_FRAME {
            return Ok(Choice::udp(format!(
                "auto: no AF_XDP zero-copy on {name} with its MTU of {}: at most {}",
                device.mtu,
                MAX_CHUNK_FRAME - (device.max_frame() - device.mtu as usize)
            )));
        }
        // Copy mode sends each datagram by itself, which the socket's GSO does not: it is no faster, and the
        // socket's traffic can be filtered and captured.
        let mut trial = ports::xsk_config(config, &device, 0);
        trial.ring_size = TRIAL_RING.min(config.ring_size);
        // The frame memory of so few entries is less than a huge page.
        trial.tuning = XskTuning::default();
        if let Err(e) = XskPort::open_zero_copy(&trial) {
            return Ok(Choice::udp(match e {
                XskError::Socket { source, .. } if is_unsupported(&source) => {
                    format!("auto: no AF_XDP zero-copy on {name}")
                }
                other => format!("auto: {other}"),
            }));
        }
    }
    let why = match must {
        true => "--uplink xdp".to_owned(),
        false => format!("auto: {name} has AF_XDP zero-copy"),
    };
    match open(config, placement, device, workers) {
        Ok(xdp) => Ok(Choice {
            xdp: Some(xdp),
            why,
        }),
        Err(why) if must => Err(why),
        Err(why) => Ok(Choice::udp(format!("auto: {why}"))),
    }
}

/// What drivers without zero-copy answer (`xp_assign_dev`, net/xdp/xsk_buff_pool.c).
fn is_unsupported(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL))
}

fn open(
    config: &Config,
    placement: &Placement,
    device: Device,
    workers: u8,
) -> Result<(UplinkPort, Vec<XskPort>), String> {
    let queues = device.queues.min(u32::from(workers));
    let mut program = UplinkProgram::load().map_err(|e| e.to_string())?;
    let ports = ports::open(config, placement, &device, queues, |queue, port| {
        program.set_socket(queue, &port.as_fd())
    })?;
    let attached = match config.uplink {
        // Generic mode is slower than the socket.
        UplinkKind::Auto => program
            .attach_in_driver(&device.name)
            .map(|()| AttachMode::Driver),
        _ => program.attach(&device.name),
    };
    let attach_mode = attached.map_err(|e| e.to_string())?;
    let mut port = UplinkPort {
        max_frame: device.max_frame().min(MAX_FRAME),
        copy_mode: ports[0].copy_mode(),
        flow_rules: FlowRules::new(&device.name, device.queues),
        device,
        program,
        attach_mode,
        queues,
    };
    let about = port.config();
    port.program.configure(&about).map_err(|e| e.to_string())?;
    Ok((port, ports))
}

/// The device of the uplink: as it is named, or where the kernel sends what goes to the peer.
async fn find(config: &Config, lan: &Device) -> Result<Device, String> {
    let name = match &config.uplink_interface {
        Some(name) => name.clone(),
        None => route_device(config).await.map_err(|why| {
            format!("cannot tell which interface is the uplink ({why}): name it with --uplink-interface IF")
        })?,
    };
    let device = Device::find(&name).map_err(|e| e.to_string())?;
    if device.index == lan.index {
        return Err(format!(
            "interface {name} is the LAN port and the uplink: AF_XDP on both needs two interfaces; give the uplink another (--uplink-interface), or use --uplink udp"
        ));
    }
    if device.mac == [0; 6] {
        return Err(format!(
            "interface {name} is no Ethernet device: AF_XDP has no headers for it; use --uplink udp"
        ));
    }
    Ok(device)
}

async fn route_device(config: &Config) -> Result<String, String> {
    let (connection, handle, _) =
        rtnetlink::new_connection().map_err(|e| format!("no rtnetlink socket: {e}"))?;
    let connection = tokio::spawn(connection);
    let found = route_device_by(&handle, config).await;
    connection.abort();
    found
}

async fn route_device_by(handle: &Handle, config: &Config) -> Result<String, String> {
    let text = |e: rtnetlink::Error| e.to_string();
    let snapshot = Snapshot::take(handle).await.map_err(text)?;
    let index = match config.peers.iter().find_map(|p| p.address.as_deref()) {
        Some(address) => {
            let must = config.uplink == UplinkKind::Xdp;
            let remote = resolve(address, if must { LOOKUP.0 } else { LOOKUP.1 }).await?;
            let target = Target {
                remote,
                local: None,
            };
            let route = routes::lookup(handle, &target).await;
            route.map_err(|why| format!("{remote}: {why}"))?.device
        }
        None => match config.listen.map(|l| l.ip().to_canonical()) {
            Some(own) if !own.is_unspecified() => {
                let at = snapshot.addresses.iter().find(|(_, ip)| *ip == own);
                at.ok_or_else(|| format!("{own} is on no interface"))?.0
            }
            _ => routes::default_device(handle)
                .await
                .map_err(text)?
                .ok_or("there is no default route")?,
        },
    };
    let link = snapshot.links.get(&index).ok_or("its device is gone")?;
    // XDP runs below a VLAN, on the device that has the queues.
    let lower = link.vlan.and_then(|(lower, _)| snapshot.links.get(&lower));
    Ok(lower.unwrap_or(link).name.clone())
}

async fn resolve(address: &str, patience: Duration) -> Result<IpAddr, String> {
    let cannot = |why: String| format!("cannot resolve {address}: {why}");
    match tokio::time::timeout(patience, lookup_host(address)).await {
        Ok(Ok(mut found)) => found
            .next()
            .map(|a| a.ip().to_canonical())
            .ok_or_else(|| cannot("it has no address".into())),
        Ok(Err(e)) => Err(cannot(e.to_string())),
        Err(_) => Err(cannot("no answer".into())),
    }
}

/// Has the program steer what comes to these ports.
pub(super) fn add_ports(
    port: &mut UplinkPort,
    ports: impl IntoIterator<Item = u16>,
) -> Result<(), String> {
    let distinct: HashSet<u16> = ports.into_iter().collect();
    for number in distinct {
        port.program.add_port(number).map_err(|e| e.to_string())?;
    }
    Ok(())
}
