//! Rules by which a device with several receive queues chooses one ("ntuple", ethtool(8), `-N`).

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::exchange;

/// `ETHTOOL_GRXCLSRLCNT`, `ETHTOOL_GRXCLSRULE`, `ETHTOOL_GRXCLSRLALL`: how many rules there are, one of them, and where all
/// are.
const COUNT: u32 = 0x2e;
const GET: u32 = 0x2f;
const LIST: u32 = 0x30;
/// `ETHTOOL_SRXCLSRLDEL`, `ETHTOOL_SRXCLSRLINS`.
const REMOVE: u32 = 0x31;
const INSERT: u32 = 0x32;

/// `ETHTOOL_GRXFH`: which fields are hashed.
pub(super) const GET_FIELDS: u32 = 0x29;

/// Commands that go with a `struct ethtool_rxnfc`.
const OF_THIS_FORM: [u32; 6] = [COUNT, GET, LIST, REMOVE, INSERT, GET_FIELDS];

/// `UDP_V4_FLOW`, `UDP_V6_FLOW`.
const UDP_IPV4: u32 = 0x02;
const UDP_IPV6: u32 = 0x06;

/// `RX_CLS_LOC_SPECIAL`, in an answer: the driver finds a place by itself; `RX_CLS_LOC_ANY`: it is to.
const FINDS_PLACE: u64 = 0x8000_0000;
const ANY_PLACE: u32 = 0xffff_ffff;

/// Rules of a device that we can look at: more than any we know of has room for.
const MOST: usize = 16_385;

/// `struct ethtool_rxnfc`, and in it, from its 16th byte on, `struct ethtool_rx_flow_spec`: which word is what.
const COMMAND: usize = 0;
/// The kind of flow, in requests about the fields of its hash.
const KIND_OF_FIELDS: usize = 1;
/// Of 64 bits, like the queue.
const DATA: usize = 2;
const KIND: usize = 4;
const QUEUE: usize = 42;
const PLACE: usize = 44;
const RULE_COUNT: usize = 46;
/// What is behind the structure: the places of all rules.
const PLACES: usize = 47;

/// Where the flow's values and masks begin, in bytes (`union ethtool_flow_union`).
const VALUES: usize = 20;
const MASKS: usize = 92;

/// A request of that layout, with room for the places.
pub(super) struct Request(Vec<u32>);

impl Request {
    pub(super) fn new(command: u32) -> Self {
        let mut words = vec![0; PLACES + MOST];
        words[COMMAND] = command;
        Self(words)
    }

    /// The word of 64 bits that answers are in.
    pub(super) fn data(&self) -> u64 {
        let [a, b, c, d] = self.0[DATA].to_ne_bytes();
        let [e, f, g, h] = self.0[DATA + 1].to_ne_bytes();
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }

    /// The kind of flow.
    pub(super) fn set_kind(&mut self, kind: u32) {
        self.0[KIND_OF_FIELDS] = kind;
    }

    fn set_bytes(&mut self, at: usize, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let mut word = self.0[at / 4].to_ne_bytes();
            word[at % 4] = *byte;
            self.0[at / 4] = u32::from_ne_bytes(word);
        }
    }

    /// What counts for the rule.
    fn match_bytes(&mut self, at: usize, bytes: &[u8]) {
        self.set_bytes(VALUES + at, bytes);
        self.set_bytes(MASKS + at, &[0xff; 16][..bytes.len()]);
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0[(at + i) / 4].to_ne_bytes()[(at + i) % 4])
    }

    fn set_queue(&mut self, queue: u32) {
        self.set_bytes(4 * QUEUE, &u64::from(queue).to_ne_bytes());
    }

    pub(super) fn send(&mut self, device: &str) -> io::Result<()> {
        let of_this_form = OF_THIS_FORM.contains(&self.0[COMMAND]);
        if !of_this_form || self.0.len() < PLACES + MOST || self.0[RULE_COUNT] as usize > MOST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: for each of these the kernel reads and writes a `struct ethtool_rxnfc`, and behind it no more places
        // than its rule count says, for which there is room.
        unsafe { exchange(device, &mut self.0) }
    }
}

/// Datagrams of UDP to one port of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UdpFlow {
    /// The port.
    pub to: u16,
    /// Of one sender only.
    pub from: Option<SocketAddr>,
    /// Over IPv6, else over IPv4: the same as the sender's address says, if there is one.
    pub ipv6: bool,
}

impl UdpFlow {
    /// `struct ethtool_tcpip4_spec` or `struct ethtool_tcpip6_spec`: source address, destination address,
    /// source port, destination port; a bit of a mask that is set counts.
    fn fill(&self, request: &mut Request) {
        let address = if self.ipv6 { 16 } else { 4 };
        request.0[KIND] = if self.ipv6 { UDP_IPV6 } else { UDP_IPV4 };
        match self.from {
            Some(SocketAddr::V4(from)) => request.match_bytes(0, &from.ip().octets()),
            Some(SocketAddr::V6(from)) => request.match_bytes(0, &from.ip().octets()),
            None => {}
        }
        let ports = 2 * address;
        if let Some(from) = self.from {
            request.match_bytes(ports, &from.port().to_be_bytes());
        }
        request.match_bytes(ports + 2, &self.to.to_be_bytes());
    }

    /// The flow of a rule that the device has; `None` if it says anything else, or more, than such a flow does.
    fn of(request: &Request) -> Option<Self> {
        let ipv6 = match request.0[KIND] {
            UDP_IPV4 => false,
            UDP_IPV6 => true,
            _ => return None,
        };
        let ports = VALUES + if ipv6 { 2 * 16 } else { 2 * 4 };
        let port = |at| u16::from_be_bytes(request.bytes(at));
        let address = match ipv6 {
            true => Ipv6Addr::from(request.bytes::<16>(VALUES)).into(),
            false => Ipv4Addr::from(request.bytes::<4>(VALUES)).into(),
        };
        let from = SocketAddr::new(address, port(ports));
        let to = port(ports + 2);
        let flows = [Some(from), None].map(|from| Self { to, from, ipv6 });
        // What a mask leaves out may be anything.
        let masks = &request.0[MASKS / 4..QUEUE];
        flows.into_iter().find(|flow| {
            let mut ours = Request::new(GET);
            flow.fill(&mut ours);
            ours.0[MASKS / 4..QUEUE] == *masks
        })
    }
}

/// A rule that a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place.
    pub place: u32,
    /// What it is for.
    pub flow: UdpFlow,
}

/// The rules of a device that are for nothing but a [`UdpFlow`]; others are left out.
///
/// # Errors
///
/// As [`insert_rule`].
pub fn rules(device: &str) -> io::Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for place in list(device, &count(device)?)?.0 {
        let mut request = Request::new(GET);
        request.0[PLACE] = place;
        match request.send(device) {
            Ok(()) => rules.extend(UdpFlow::of(&request).map(|flow| Rule { place, flow })),
            // It has gone meanwhile.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(rules)
}

/// Has the device put these datagrams on that queue. Returns the place of the rule, to [remove](remove_rule)
/// it by.
///
/// # Errors
///
/// EOPNOTSUPP if the device has no such rules, or they are turned off (`ethtool -K DEVICE ntuple on`);
/// what its driver answers: ENOSPC, EINVAL, EEXIST.
pub fn insert_rule(device: &str, flow: &UdpFlow, queue: u32) -> io::Result<u32> {
    let mut request = Request::new(INSERT);
    flow.fill(&mut request);
    request.set_queue(queue);
    request.0[PLACE] = place(device)?;
    request.send(device)?;
    Ok(request.0[PLACE])
}

/// Removes the rule at this place.
///
/// # Errors
///
/// What the driver answers.
pub fn remove_rule(device: &str, place: u32) -> io::Result<()> {
    let mut request = Request::new(REMOVE);
    request.0[PLACE] = place;
    request.send(device)
}

/// Where a rule can go: the driver's choice, or the last free place, where it is in nobody's way.
fn place(device: &str) -> io::Result<u32> {
    let count = count(device)?;
    if count.data() & FINDS_PLACE != 0 {
        return Ok(ANY_PLACE);
    }
    let (taken, size) = list(device, &count)?;
    let mut free = (0..size).rev().filter(|place| !taken.contains(place));
    free.next()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))
}

fn count(device: &str) -> io::Result<Request> {
    let mut request = Request::new(COUNT);
    request.send(device)?;
    Ok(request)
}

/// The places of all rules, and how many places there are.
fn list(device: &str, count: &Request) -> io::Result<(Vec<u32>, u32)> {
    let mut list = Request::new(LIST);
    // A few more, should some be added just now.
    list.0[RULE_COUNT] = count.0[RULE_COUNT].saturating_add(64).min(MOST as u32);
    list.send(device)?;
    let taken = &list.0[PLACES..][..MOST.min(list.0[RULE_COUNT] as usize)];
    let size = u32::try_from(list.data()).unwrap_or(u32::MAX);
    Ok((taken.to_vec(), size))
}

#[cfg(test)]
mod tests;
