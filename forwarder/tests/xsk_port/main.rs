//! The AF_XDP port on a veth pair in a namespace of the test's own, with the real XDP program in
//! front of it: what it carries, what it refuses, and that it never loses a chunk.
//!
//! Needs root.

#[path = "../netns/mod.rs"]
mod netns;

mod carries;
mod drafts;
mod full;
mod opens;
mod tuning;

use std::os::fd::AsFd as _;

use causeway::{
    stations::{Place, Role, StationKey},
    sys::xsk::{XskConfig, XskPort, XskTuning},
    xdp::LanProgram,
};
use causeway_ebpf::maps::LanConfig;
use netns::{Namespace, PacketSocket, wait_until};

const LAN: &str = "lan0";
/// The far end: the LAN.
const FAR: &str = "lan1";
const MOVED: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x10];
const STRANGER: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x30];
/// An ethertype for experiments (IEEE 802, local experimental 1): no protocol of the kernel's.
const EXPERIMENTAL: u16 = 0x88b5;

fn config(ring_size: u32) -> XskConfig {
    XskConfig {
        interface: LAN.into(),
        queue: 0,
        ring_size,
        max_frame: 1_522,
        tuning: XskTuning::default(),
    }
}

/// A site's LAN port, and the LAN at the other end of the wire.
struct Lab {
    port: XskPort,
    far: PacketSocket,
    program: LanProgram,
}

impl Lab {
    fn new(namespace: &Namespace, ring_size: u32) -> Self {
        Self::with(namespace, &config(ring_size))
    }

    fn with(namespace: &Namespace, config: &XskConfig) -> Self {
        namespace.veth(LAN, FAR);
        let port = XskPort::open(config).expect("an AF_XDP socket");
        let mut program = LanProgram::load().expect("CAP_BPF");
        let lan = LanConfig::new(Role::Site, namespace.mac(LAN));
        program.configure(&lan).expect("configure");
        let moved = StationKey::new(0, MOVED);
        program.set_station(moved, Place::Away).expect("a station");
        program.set_socket(0, &port.as_fd()).expect("a socket");
        program.attach(LAN).expect("attach");
        Self {
            port,
            far: PacketSocket::bind(FAR),
            program,
        }
    }

    /// Waits until nothing is on its way, and checks that every chunk is accounted for.
    fn settle(&mut self) {
        let port = &mut self.port;
        wait_until("all that was sent is reported as sent", || {
            port.flush();
            port.chunks().transmit == 0
        });
        port.receive(0, |_| {});
        let chunks = port.chunks();
        assert_eq!(chunks.rx_ring, 0, "{chunks:?}");
        assert!(chunks.kept_by_kernel() <= 1, "{chunks:?}");
        let in_fill_ring = chunks.fill_ring + chunks.kept_by_kernel();
        assert_eq!(chunks.free, chunks.total - in_fill_ring, "{chunks:?}");
        // Full again, but for what the kernel keeps: nothing has leaked into it or out of it.
        assert_eq!(chunks.fill_ring, chunks.total / 2, "{chunks:?}");
    }
}

/// Frame number `number`, so long, to a moved station. Its bytes depend on both.
fn frame(number: u32, length: usize) -> Vec<u8> {
    let ethertype = EXPERIMENTAL.to_be_bytes();
    let number = number.to_be_bytes();
    let mut frame = [&MOVED[..], &STRANGER, &ethertype, &number].concat();
    let seed = number[3] ^ length as u8;
    frame.extend((18..length).map(|i| (i as u8).wrapping_mul(31) ^ seed));
    assert_eq!(frame.len(), length);
    frame
}

/// The number of a frame of [`frame`], of which every byte is checked.
#[track_caller]
fn number_of(bytes: &[u8]) -> u32 {
    let number = bytes[14..].first_chunk().expect("18 bytes");
    let number = u32::from_be_bytes(*number);
    assert!(
        bytes == frame(number, bytes.len()),
        "frame {number} was changed"
    );
    number
}
