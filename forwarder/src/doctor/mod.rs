//! `causeway doctor`: which setting makes a moved VM appear to be down.
//!
//! Each check is a function without side effects, over the text of /proc and /sys, the answers of the kernel, the
//! status of a running appliance, or the record of the [probes](probe); it comes to a [verdict](check::Verdict).
//! [`port`] alone touches the network: at most [`plan::MOST_FRAMES`] ARP probes with addresses made up for them.
//!
//! Beside a running appliance its XDP program would keep the answers from us. It is told, through the control
//! socket, to let those by, and nothing else.

pub mod attached;
pub mod check;
pub mod cores;
pub mod foreign;
pub mod host;
pub mod interrupts;
pub mod machine;
pub mod made;
pub mod netdev;
pub mod nic;
pub mod options;
pub mod path;
pub mod peers;
pub mod plan;
pub mod platform;
pub mod port;
pub mod probe;
pub mod reach;
pub mod route;
pub mod route_table;
pub mod rss;
pub mod session;
pub mod switch;
pub mod targets;
pub mod tree;
pub mod turn;
pub mod uplink;

use std::{
    collections::HashSet,
    fs,
    net::Ipv4Addr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use self::{
    check::{Check, Report},
    foreign::Foreign,
    options::{DoctorArgs, Wanted},
    plan::{MOST_FRAMES, Plan},
    platform::Platform,
    port::Port,
    probe::{Mac, Probe},
    switch::Meanwhile,
    targets::Senders,
    tree::Tree,
    turn::Turn,
};
use crate::{control::api, device::Device, preflight, spec::parse_mac, status::Status};

/// How long is listened for hosts if none is known.
const OVERHEAR: Duration = Duration::from_secs(2);

/// Examines the port.
///
/// # Errors
///
/// One line that says why it cannot be examined, and what to do.
pub fn run(args: &DoctorArgs, wanted: &Wanted) -> Result<Report, String> {
    let start = Instant::now();
    let device = made::find_device(&wanted.lan)?;
    may_probe()?;
    if !device.is_up {
        return Err(format!(
            "interface {0} is down: ip link set {0} up",
            device.name
        ));
    }
    let platform = args.platform.unwrap_or_else(|| detect(&device));
    let running = running_at(&wanted.control, &device);
    // Neither needs anything of the other, and each takes some seconds.
    let (port, paths) = thread::scope(|scope| {
        let (running, device) = (running.as_ref(), &device);
        let paths = scope.spawn(move || {
            let paths = peers::checks(args, wanted, running, device);
            Ok::<_, String>(runtime()?.block_on(paths))
        });
        let port = of_port((args, wanted), device, running, platform);
        (port, paths.join())
    });
    let (mut checks, probes) = port?;
    let paths = paths.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    checks.extend(paths?);
    Ok(Report {
        interface: device.name,
        platform: platform.name(),
        checks,
        probes,
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn runtime() -> Result<Runtime, String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    { runtime.enable_all().build() }.map_err(|e| format!("cannot wait for answers: {e}"))
}

/// What there is to say of the port and of this machine, and what was asked for that.
fn of_port(
    (args, wanted): (&DoctorArgs, &Wanted),
    device: &Device,
    running: Option<&Status>,
    platform: Platform,
) -> Result<(Vec<Check>, Vec<Probe>), String> {
    let runtime = runtime()?;
    let program = runtime.block_on(attached::is_there(device.index));
    // Before anything can be heard of another's probes.
    let turn = Turn::at_port(device.index, &device.name)?;
    let port = Port::open(device)?;
    let targets = find_targets(args, device, running, &port)?;
    let tree = Tree::of_this_machine();
    let carrier = || tree.text(format!("sys/class/net/{}/carrier", device.name));
    let linked = carrier() == "1";
    let (plan, foreign) = examine((args, wanted), device, running, &port, &targets)?;
    drop((port, turn));
    let probes = plan.probes().to_vec();
    let vlan = args.vlan.unwrap_or(0);
    let meanwhile = Meanwhile {
        heard: plan.heard(),
        strangers: targets.lack(),
        link_lost: linked && carrier() == "0",
        behind_silence: made::behind_silence(&tree, device, &wanted.lan),
    };
    let known = running.is_some();
    let mut checks: Vec<_> = { attached::check(program, known, &wanted.control) }
        .into_iter()
        .collect();
    checks.extend(switch::checks(&probes, vlan, &meanwhile, platform));
    checks.push(foreign);
    let uplinks = runtime.block_on(uplink::find(running, &wanted.peers));
    let attached = program == Some(true);
    checks.extend(machine::checks(
        (args, wanted),
        device,
        running,
        &uplinks,
        attached,
    ));
    Ok((checks, probes))
}

fn may_probe() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if preflight::missing_capabilities(&status).contains(&"CAP_NET_RAW") {
        return Err("missing CAP_NET_RAW: run causeway doctor as root".into());
    }
    Ok(())
}

fn detect(device: &Device) -> Platform {
    let firmware =
        |file| fs::read_to_string(Path::new("/sys/class/dmi/id").join(file)).unwrap_or_default();
    let driver = device.driver();
    platform::detect(
        &firmware("sys_vendor"),
        &firmware("product_name"),
        &firmware("chassis_asset_tag"),
        driver.as_deref(),
    )
}

/// The status of the appliance that runs at this port, if one does.
fn running_at(control: &str, device: &Device) -> Option<Status> {
    let status = api::query_status(control).ok()?;
    (status.lan.interface == device.name).then_some(status)
}

fn find_targets(
    args: &DoctorArgs,
    device: &Device,
    running: Option<&Status>,
    port: &Port,
) -> Result<Senders, String> {
    let vlan = args.vlan.unwrap_or(0);
    let mut senders = Senders::of(vlan);
    if !args.target.is_empty() {
        args.target.iter().for_each(|ip| senders.note(*ip, vlan));
        return Ok(senders);
    }
    // The host's own frames at this interface have no tag: whom it knows says nothing of a VLAN.
    if vlan == 0 {
        known(device, running).for_each(|ip| senders.note(ip, vlan));
    }
    match senders.lack() {
        true => port.overhear(senders, OVERHEAR),
        false => Ok(senders),
    }
}

/// Whom the host knows at this interface.
fn known(device: &Device, running: Option<&Status>) -> impl Iterator<Item = Ipv4Addr> {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let interface = &device.name;
    let gateways = targets::gateways(&read("/proc/net/route"), interface);
    // A moved VM would be asked through the tunnel.
    let moved = stations(running);
    let neighbours = targets::neighbours(&read("/proc/net/arp"), interface).into_iter();
    let stayed = neighbours.filter(move |(_, mac)| !moved.contains(mac));
    gateways.into_iter().chain(stayed.map(|(ip, _)| ip))
}

/// The stations of a running appliance.
fn stations(running: Option<&Status>) -> HashSet<Mac> {
    let names = running
        .into_iter()
        .flat_map(|status| status.stations.keys());
    let mac = |name: &String| parse_mac(name.rsplit('/').next()?).ok().map(Mac);
    names.filter_map(mac).collect()
}

/// The VLANs of its stations.
fn vlans(running: Option<&Status>) -> impl Iterator<Item = u16> {
    let names = { running.into_iter() }.flat_map(|status| status.stations.keys());
    names.filter_map(|name| name.split_once('/')?.0.parse().ok())
}

fn examine(
    (args, wanted): (&DoctorArgs, &Wanted),
    device: &Device,
    running: Option<&Status>,
    port: &Port,
    targets: &Senders,
) -> Result<(Plan, Check), String> {
    let own = Mac(device.mac);
    let macs = fresh_macs(own, &stations(running))?;
    let _passed = running
        .map(|_| Passed::new(&wanted.control, &macs))
        .transpose()?;
    let mut foreign = Foreign::new(macs.iter().copied().chain([own]));
    let mut plan = Plan::new(own, args.vlan.unwrap_or(0), &targets.targets(), macs);
    targets.other_vlans().for_each(|vlan| plan.overhear(vlan));
    // A running appliance keeps frames of other VLANs from us, but says which it knows of.
    vlans(running).for_each(|vlan| plan.overhear(vlan));
    port.follow(&mut plan, &mut foreign)?;
    let after = running.and_then(|_| running_at(&wanted.control, device));
    let check = match (running, &after) {
        (Some(before), Some(after)) => foreign::check_running(before, after),
        _ => foreign.check(),
    };
    Ok((plan, check))
}

/// An address for each frame, made up now: locally administered, and nobody's that we know.
fn fresh_macs(own: Mac, known: &HashSet<Mac>) -> Result<Vec<Mac>, String> {
    let mut macs = Vec::new();
    while macs.len() < MOST_FRAMES {
        let mut mac = [0; 6];
        rustix::rand::getrandom(&mut mac, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| format!("the kernel has no random numbers: {e}"))?;
        // Individual and locally administered (IEEE 802, the I/G and U/L bits).
        mac[0] = mac[0] & !0b11 | 0b10;
        let mac = Mac(mac);
        if mac != own && !known.contains(&mac) && !macs.contains(&mac) {
            macs.push(mac);
        }
    }
    Ok(macs)
}

/// While this lives, a running appliance lets the probes by.
struct Passed<'a>(&'a str);

impl<'a> Passed<'a> {
    fn new(control: &'a str, macs: &[Mac]) -> Result<Self, String> {
        let macs: Vec<_> = macs.iter().map(|mac| mac.0).collect();
        api::pass_probes(control, &macs)?;
        Ok(Self(control))
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        // If it does not listen any more, it ends that by itself.
        let _ = api::pass_probes(self.0, &[]);
    }
}
