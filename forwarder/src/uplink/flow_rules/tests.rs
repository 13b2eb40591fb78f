use std::{cell::RefCell, rc::Rc};

use super::*;

const PEER: &str = "198.51.100.7:24500";

fn flow(from: Option<&str>, to: u16) -> UdpFlow {
    UdpFlow {
        to,
        from: from.map(|from| from.parse().unwrap()),
        ipv6: false,
    }
}

/// The rules of a device and their queues, which outlive who made them; ports from 40,000 on are taken. It does what ethtool(8) says that a
/// NIC does, and no NIC with rules was at hand to compare it with.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<BTreeMap<u32, (UdpFlow, u32)>>>);

impl Memory {
    fn flows(&self) -> BTreeSet<UdpFlow> {
        self.placement().into_keys().collect()
    }

    fn placement(&self) -> Placement {
        self.0.borrow().values().copied().collect()
    }
}

impl HasRules for Memory {
    fn insert(&mut self, flow: &UdpFlow, queue: u32) -> io::Result<u32> {
        let mut rules = self.0.borrow_mut();
        let place = (0..64).rev().find(|place| !rules.contains_key(place));
        let place = place.ok_or(io::Error::from_raw_os_error(libc::ENOSPC))?;
        rules.insert(place, (*flow, queue));
        Ok(place)
    }

    fn remove(&mut self, place: u32) -> io::Result<()> {
        let removed = self.0.borrow_mut().remove(&place);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rules(&mut self) -> io::Result<Vec<Rule>> {
        let rules = self.0.borrow();
        let rule = |(place, (flow, _)): (&u32, &(UdpFlow, u32))| Rule {
            place: *place,
            flow: *flow,
        };
        Ok(rules.iter().map(rule).collect())
    }

    fn is_port_taken(&self, port: u16) -> bool {
        port >= 40_000
    }
}

/// What a process sets that is killed then.
fn killed(device: &Memory, flows: &[UdpFlow]) {
    let mut rules = FlowRules::of("nic", device.clone(), 4);
    rules.set(&flows.iter().map(|flow| (*flow, 1)).collect());
    assert_eq!(rules.rules.len(), flows.len());
    std::mem::forget(rules);
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next() {
    let device = Memory::default();
    // Somebody else's: to other ports of this host, from a peer's address to a program that is there.
    let others = [
        flow(None, 53),
        flow(Some("192.0.2.1:24500"), 30_000),
        flow(Some(PEER), 40_000),
    ];
    for other in &others {
        device.clone().insert(other, 0).unwrap();
    }
    // A dialling end: its ports are others each time.
    killed(
        &device,
        &[flow(Some(PEER), 30_001), flow(Some(PEER), 30_002)],
    );
    let mut next = FlowRules::of("nic", device.clone(), 4);
    assert_eq!(device.flows().len(), 5);
    next.set(&[(flow(Some(PEER), 30_003), 0)].into());
    let mut expected: BTreeSet<_> = others.into();
    expected.insert(flow(Some(PEER), 30_003));
    assert_eq!(device.flows(), expected);
    // What it has itself stays when more is wanted.
    let both = [flow(Some(PEER), 30_003), flow(Some("192.0.2.9:1"), 30_003)];
    next.set(&both.map(|flow| (flow, 0)).into());
    expected.extend(both);
    assert_eq!(device.flows(), expected);
    drop(next);
    assert_eq!(device.flows(), others.into());
}

#[test]
fn a_listening_end_removes_what_is_for_its_port() {
    let device = Memory::default();
    let lane = |from| flow(Some(from), 40_500);
    killed(
        &device,
        &[lane("192.0.2.1:7"), lane("192.0.2.2:8"), flow(None, 40_500)],
    );
    let mut next = FlowRules::of("nic", device.clone(), 4);
    next.set(&[(lane("192.0.2.1:7"), 2)].into());
    assert_eq!(device.flows(), [lane("192.0.2.1:7")].into());
    assert_eq!(device.0.borrow().len(), 1);
    next.set(&Placement::new());
    assert!(device.flows().is_empty());
}

/// What a rule is for is told to the device, and told anew when it is another queue.
#[test]
fn a_flow_goes_to_the_queue_that_is_wanted() {
    let device = Memory::default();
    let mut rules = FlowRules::of("nic", device.clone(), 4);
    let [a, b] = [30_001, 30_002].map(|port| flow(Some(PEER), port));
    for (of_a, of_b) in [(0, 3), (0, 1), (2, 1)] {
        let wanted = Placement::from([(a, of_a), (b, of_b)]);
        rules.set(&wanted);
        assert_eq!(device.placement(), wanted);
        assert_eq!(device.0.borrow().len(), 2);
    }
}

#[test]
fn a_port_is_taken_while_somebody_has_it() {
    let nic = Nic("lo".into());
    for ip in ["127.0.0.1", "::"] {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(nic.is_port_taken(port), "{ip}");
        drop(socket);
        assert!(!nic.is_port_taken(port), "{ip}");
    }
}

#[test]
fn a_device_that_is_full_is_asked_again_when_there_is_room() {
    let device = Memory::default();
    let mut rules = FlowRules::of("nic", device.clone(), 4);
    let some = |ports: std::ops::Range<u16>| ports.map(|port| (flow(None, port), 1)).collect();
    rules.set(&some(0..70));
    assert_eq!(device.flows().len(), 64);
    assert!(
        rules.to_string().starts_with("64, and no more: "),
        "{rules}"
    );
    rules.set(&some(60..70));
    assert_eq!((device.flows().len(), rules.to_string()), (10, "10".into()));
}

/// How often the rules of a device are listed.
#[derive(Default)]
struct Counting(Memory, Rc<RefCell<usize>>);

impl HasRules for Counting {
    fn insert(&mut self, flow: &UdpFlow, queue: u32) -> io::Result<u32> {
        self.0.insert(flow, queue)
    }

    fn remove(&mut self, place: u32) -> io::Result<()> {
        self.0.remove(place)
    }

    fn rules(&mut self) -> io::Result<Vec<Rule>> {
        *self.1.borrow_mut() += 1;
        self.0.rules()
    }

    fn is_port_taken(&self, port: u16) -> bool {
        self.0.is_port_taken(port)
    }
}

#[test]
fn a_peer_that_moves_all_the_time_has_rules_listed_a_limited_number_of_times() {
    let device = Counting::default();
    let listed = Rc::clone(&device.1);
    let mut rules = FlowRules::of("nic", device, 4);
    for port in 1_024..2_024 {
        let from = format!("198.51.100.7:{port}");
        rules.set(&[(flow(Some(&from), 24_500), 1)].into());
    }
    assert_eq!((rules.rules.len(), rules.swept.1.len()), (1, SENDERS));
    assert_eq!(*listed.borrow(), SENDERS);
}

#[test]
fn a_device_that_refuses_is_asked_once() {
    let mut rules = FlowRules::new("lo", 2);
    assert!(rules.wanted());
    rules.set(&[(flow(None, 1), 0), (flow(None, 2), 1)].into());
    assert!(!rules.wanted());
    assert!(rules.to_string().starts_with("0, and no more: "), "{rules}");
    let one_queue = FlowRules::new("lo", 1);
    assert!(!one_queue.wanted());
    assert_eq!(one_queue.to_string(), "none, the device has one queue");
}
