//! What can be set, on the command line and in the configuration file alike.

mod words;

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Deserialize;

pub use self::words::{
    AeadName, AutoOnOff, CipherName, FloodName, IdleStrategy, OnKeep, OnOff, RoleName,
    RxFilterName, UplinkKind,
};
use crate::{
    clamp_mss::ClampMss,
    gateways::Network,
    lan_port::LanSpec,
    multicast::spec::MulticastSpec,
    spec::{AllowSpec, CpuList, PeerSpec, Period, StationName, StationSpec},
    vlans::spec::{VlanMapSpec, VlansSpec},
};

/// Options of `causeway run`: one list for the command line and the TOML file (`--config`),
/// where each has the same name without the dashes. A flag wins over the file; peers and
/// stations of both are put together, the flag winning where the name is the same.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RunOptions {
    /// Which end this is: `site` on the old LAN, `cloud` beside the moved VMs
    #[arg(long, value_enum)]
    pub role: Option<RoleName>,

    /// Where the LAN that is stretched is: a network interface, a port to be made in a Linux bridge, or a tap for a hypervisor
    #[arg(long, value_name = "IF|bridge:BRIDGE|tap:NAME")]
    pub lan: Option<LanSpec>,

    /// Address and UDP port to be reached at [default: port 24500 on all addresses if a peer has no address, else none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// File with this end's private key (see `causeway keygen`)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// The other end: a name, its public key, and its address if it is we who dial; repeatable
    #[arg(long, value_name = "NAME=PUBKEY[@HOST:PORT]")]
    pub peer: Vec<PeerSpec>,

    /// At the site: a station that was moved behind a peer; repeatable
    #[arg(long, value_name = "[VLAN/]MAC=PEER")]
    pub station: Vec<StationSpec>,

    /// VLANs whose frames may cross to a peer, such as cloud1=0,10,100-199, where 0 is untagged; repeatable, once for each peer [default: all]
    #[arg(long, value_name = "PEER=LIST")]
    pub vlans: Vec<VlansSpec>,

    /// VLANs that have another number on the way to a peer, such as cloud1=10:110,0:20, where 0 is untagged; repeatable, once for each peer
    #[arg(long, value_name = "PEER=LOCAL:REMOTE")]
    pub vlan_map: Vec<VlanMapSpec>,

    /// The VLAN, 1 to 4094, that untagged frames at the LAN interface belong to [default: none: they cross untagged]
    #[arg(long, value_name = "VLAN")]
    pub native_vlan: Option<u16>,
    /// At the site: stations that are learnt when the peer sees them on its LAN; repeatable, 64 times for a peer
    #[arg(long, value_name = "[VLANS/]MAC[/BITS]=PEER")]
    pub allow: Vec<AllowSpec>,

    /// At the site: stations that are learnt from each peer at once, 1 to 65536 [default: 4096]
    #[arg(long, value_name = "N")]
    pub learn_limit: Option<usize>,

    /// A learnt station that is silent for this long is given up, 2s to 24h [default: 300s]
    #[arg(long, value_name = "TIME")]
    pub station_ageing: Option<Period>,

    /// At the site: file that keeps stations that were added, removed and learnt over a restart [default: none]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// How datagrams leave and arrive: `udp` is a kernel socket with GSO and GRO; `xdp` is AF_XDP beside it, past the kernel; `auto` is xdp where the driver has zero-copy, else udp [default: udp]
    #[arg(long, value_enum)]
    pub uplink: Option<UplinkKind>,

    /// Network interface for `--uplink xdp` or `auto` [default: by the route to the first peer, or where we listen]
    #[arg(long, value_name = "IF")]
    pub uplink_interface: Option<String>,

    /// Generic receive offload at the interfaces where datagrams arrive at the kernel's sockets: `on` turns it on until causeway stops, `keep` leaves it [default: on]
    #[arg(long, value_enum)]
    pub uplink_gro: Option<OnKeep>,

    /// Worker threads, one for each queue of the LAN interface, 1 to 64 [default: as many as it has queues]
    #[arg(long, value_name = "N")]
    pub workers: Option<u8>,

    /// Cores that workers are pinned to, in order, such as 1,2-3 [default: not pinned]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<CpuList>,

    /// Cipher of the data path; the stronger of what both ends name is used [default: aes-256-gcm]
    #[arg(long, value_enum)]
    pub cipher: Option<CipherName>,

    /// Library that computes it, which the other end does not notice: `auto` measures both at the start and takes, for sealing and for opening, the faster one [default: auto]
    #[arg(long, value_enum)]
    pub aead: Option<AeadName>,

    /// New keys after this time, 2s to 170s; a key is never used longer than 180s [default: 120s]
    #[arg(long, value_name = "TIME")]
    pub rekey_after: Option<Period>,

    /// Interval of the session's heartbeats: how soon a restart of the other end is noticed [default: 200ms]
    #[arg(long, value_name = "TIME")]
    pub keep_alive: Option<Period>,

    /// A lane that has sent nothing for this long sends a dummy, to keep NAT mappings [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub lane_keepalive: Option<Period>,

    /// For debugging: append every key in the form of Wireshark's ESP SA table (`esp_sa`). Whoever reads it reads the traffic
    #[arg(long, value_name = "FILE")]
    pub sa_log: Option<PathBuf>,

    /// Have the LAN interface receive frames for other MAC addresses than its own [default: on]
    #[arg(long, value_enum)]
    pub promisc: Option<OnOff>,

    /// How: `promisc` for all; `unicast-list` for the stations that are away, at the site, where the device has filters for addresses and the switch sends their frames to it [default: promisc]
    #[arg(long, value_enum)]
    pub rx_filter: Option<RxFilterName>,

    /// Complete TCP and UDP checksums that local senders left unfinished: `auto` does where the LAN interface is virtual (veth, tap) [default: auto]
    #[arg(long, value_enum)]
    pub finish_checksums: Option<AutoOnOff>,

    /// Lower the segment size that TCP connections through the tunnel agree on: `auto` to what fits one datagram, or to a SIZE in bytes, 536 to 9162 [default: off]
    #[arg(long, value_name = "auto|SIZE|off")]
    pub clamp_mss: Option<ClampMss>,

    /// Copy the DSCP of frames to the datagrams they travel in: frames of different DSCPs do not share one then [default: off]
    #[arg(long, value_enum)]
    pub copy_dscp: Option<OnOff>,

    /// Copy the ECN field to the datagrams that carry a single frame, so that routers mark these instead of dropping them [default: off]
    #[arg(long, value_enum)]
    pub copy_ecn: Option<OnOff>,

    /// Broadcast and multicast that crosses, either way: `all` of it; `arp` is ARP, neighbour discovery and DHCP alone; `none` is not even these [default: all]
    #[arg(long, value_enum)]
    pub flood: Option<FloodName>,

    /// Broadcast and multicast frames per second that a worker lets through in each VLAN, from the LAN and from each peer, and as many of ARP, neighbour discovery and DHCP [default: 10000]
    #[arg(long, value_name = "N")]
    pub flood_limit: Option<u32>,

    /// Answer ARP requests and neighbour solicitations for known stations of the other side here, and send those for unknown addresses across only from time to time [default: on]
    #[arg(long, value_enum)]
    pub arp_suppress: Option<OnOff>,

    /// A multicast group that goes to these peers only, and crosses whatever --flood says, such as 239.1.2.3@10=cloud1 for VLAN 10; repeatable
    #[arg(long, value_name = "GROUP[@VLAN]=PEER")]
    pub multicast: Vec<MulticastSpec>,

    /// Send multicast to peers where somebody listens: read IGMP and MLD, in VLANs that have a querier [default: off]
    #[arg(long, value_enum)]
    pub multicast_snooping: Option<OnOff>,

    /// Default gateway of the old LAN, by its MAC address; again for each. No other station is believed to have its IP addresses, and the site never learns it behind a peer
    #[arg(long, value_name = "[VLAN/]MAC")]
    #[serde(default)]
    pub gateway_mac: Vec<StationName>,

    /// At the cloud: hand what moved machines send to `--gateway-mac` to this router of the cloud LAN, by its MAC address, instead of to the site; one in each VLAN [default: to the site]
    #[arg(long, value_name = "[VLAN/]MAC")]
    #[serde(default)]
    pub local_gateway: Vec<StationName>,

    /// Networks that `--local-gateway` does not concern: what is for them goes to the site's gateway
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    #[serde(default)]
    pub site_routes: Vec<Network>,

    /// What a worker does when there is nothing to do: `spin` never sleeps; `adaptive` spins for up to 50 µs under load, and for up to 100 µs for the answer to a request, and sleeps otherwise; `sleep` sleeps at once [default: adaptive]
    #[arg(long, value_enum)]
    pub idle: Option<IdleStrategy>,

    /// Largest number of LAN frames handled as one batch, 1 to 4096 [default: 256]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,

    /// Entries of the AF_XDP rings, a power of two from 64 to 32768; memory is 4 frames per entry [default: 2048]
    #[arg(long, value_name = "N")]
    pub ring_size: Option<u32>,

    /// Chunks of AF_XDP frame memory of a worker's port, twice to four times `--ring-size` [default: four times]
    #[arg(long, value_name = "N")]
    pub umem_frames: Option<u32>,

    /// Whether AF_XDP frame memory lies in huge pages: `auto` does if there are enough (vm.nr_hugepages), `on` insists [default: auto]
    #[arg(long, value_enum)]
    pub huge_pages: Option<AutoOnOff>,

    /// Frames that one system call transmits by AF_XDP in copy mode, 32 to `--ring-size` (Linux 6.18) [default: as `--ring-size`]
    #[arg(long, value_name = "N")]
    pub tx_budget: Option<u32>,

    /// Bytes of an AF_XDP socket's send buffer, 65536 to 1073741824: what copy mode may have on its way [default: a chunk for each entry of the ring]
    #[arg(long, value_name = "BYTES")]
    pub xdp_send_buffer: Option<usize>,

    /// Have the workers' system calls poll AF_XDP devices for up to N frames, 1 to 1024, instead of interrupts; 0 does not [default: 0]
    #[arg(long, value_name = "N")]
    pub busy_poll: Option<u16>,

    /// Run workers under SCHED_FIFO with this priority, 1 to 99 [default: ordinary scheduling]
    #[arg(long, value_name = "PRIORITY")]
    pub sched_fifo: Option<u8>,

    /// Do not look for a path MTU above this, in bytes of the IP packet [default: the largest MTU of the other interfaces]
    #[arg(long, value_name = "BYTES")]
    pub max_path_mtu: Option<u16>,

    /// Name of the control socket, an abstract unix socket of this network namespace [default: causeway]
    #[arg(long, value_name = "NAME")]
    pub control: Option<String>,
}

impl RunOptions {
    /// These options, completed by those of `file` where they say nothing.
    pub fn or(mut self, file: Self) -> Self {
        let flagged = |peers: &[PeerSpec], name: &str| peers.iter().any(|p| p.name == name);
        let more = file.peer.into_iter();
        let more: Vec<_> = more.filter(|p| !flagged(&self.peer, &p.name)).collect();
        self.peer.extend(more);
        let stations: Vec<_> = self.station.iter().map(|s| s.station).collect();
        let more = file.station.into_iter();
        self.station
            .extend(more.filter(|s| !stations.contains(&s.station)));
        let taken: Vec<_> = self.vlans.iter().map(|s| s.peer.clone()).collect();
        let more = file.vlans.into_iter();
        self.vlans.extend(more.filter(|s| !taken.contains(&s.peer)));
        let taken: Vec<_> = self.vlan_map.iter().map(|s| s.peer.clone()).collect();
        let more = file.vlan_map.into_iter();
        self.vlan_map
            .extend(more.filter(|s| !taken.contains(&s.peer)));
        self.allow.extend(file.allow);
        self.multicast.extend(file.multicast);
        Self {
            role: self.role.or(file.role),
            lan: self.lan.or(file.lan),
            listen: self.listen.or(file.listen),
            key: self.key.or(file.key),
            peer: self.peer,
            station: self.station,
            multicast: self.multicast,
            multicast_snooping: self.multicast_snooping.or(file.multicast_snooping),
            vlans: self.vlans,
            vlan_map: self.vlan_map,
            native_vlan: self.native_vlan.or(file.native_vlan),
            allow: self.allow,
            learn_limit: self.learn_limit.or(file.learn_limit),
            station_ageing: self.station_ageing.or(file.station_ageing),
            state: self.state.or(file.state),
            uplink: self.uplink.or(file.uplink),
            uplink_interface: self.uplink_interface.or(file.uplink_interface),
            uplink_gro: self.uplink_gro.or(file.uplink_gro),
            workers: self.workers.or(file.workers),
            cpus: self.cpus.or(file.cpus),
            cipher: self.cipher.or(file.cipher),
            aead: self.aead.or(file.aead),
            rekey_after: self.rekey_after.or(file.rekey_after),
            keep_alive: self.keep_alive.or(file.keep_alive),
            lane_keepalive: self.lane_keepalive.or(file.lane_keepalive),
            sa_log: self.sa_log.or(file.sa_log),
            promisc: self.promisc.or(file.promisc),
            rx_filter: self.rx_filter.or(file.rx_filter),
            finish_checksums: self.finish_checksums.or(file.finish_checksums),
            clamp_mss: self.clamp_mss.or(file.clamp_mss),
            copy_dscp: self.copy_dscp.or(file.copy_dscp),
            copy_ecn: self.copy_ecn.or(file.copy_ecn),
            flood: self.flood.or(file.flood),
            flood_limit: self.flood_limit.or(file.flood_limit),
            arp_suppress: self.arp_suppress.or(file.arp_suppress),
            gateway_mac: either(self.gateway_mac, file.gateway_mac),
            local_gateway: either(self.local_gateway, file.local_gateway),
            site_routes: either(self.site_routes, file.site_routes),
            idle: self.idle.or(file.idle),
            batch: self.batch.or(file.batch),
            ring_size: self.ring_size.or(file.ring_size),
            umem_frames: self.umem_frames.or(file.umem_frames),
            huge_pages: self.huge_pages.or(file.huge_pages),
            tx_budget: self.tx_budget.or(file.tx_budget),
            xdp_send_buffer: self.xdp_send_buffer.or(file.xdp_send_buffer),
            busy_poll: self.busy_poll.or(file.busy_poll),
            sched_fifo: self.sched_fifo.or(file.sched_fifo),
            max_path_mtu: self.max_path_mtu.or(file.max_path_mtu),
            control: self.control.or(file.control),
        }
    }
}

/// The list of the command line, or if there is none that of the file.
fn either<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    match flags.is_empty() {
        true => file,
        false => flags,
    }
}
