//! NICs of several drivers, laid out as their /sys and /proc are.

use super::{
    super::check::{Verdict, asked::seen},
    super::tree::TestTree,
    find::receives,
    *,
};

/// Four queues of a PCI NIC (ice) with a misc vector and an adminq, on a machine of four cores.
fn server(affinities: [&str; 4]) -> TestTree {
    let interrupts = "            CPU0       CPU1       CPU2       CPU3\n\
          \x20  1:          0          9          0          0  IR-IO-APIC    1-edge      i8042\n\
          \x20120:          3          0          0          0  IR-PCI-MSIX-0000:3b:00.0    0-edge      ice-0000:3b:00.0:misc\n\
          \x20121:      90112          0          0          0  IR-PCI-MSIX-0000:3b:00.0    1-edge      ice-ens1-TxRx-0\n\
          \x20122:          0      70112          0          0  IR-PCI-MSIX-0000:3b:00.0    2-edge      ice-ens1-TxRx-1\n\
          \x20123:          0          0      70112          0  IR-PCI-MSIX-0000:3b:00.0    3-edge      ice-ens1-TxRx-2\n\
          \x20124:          0          0          0      70112  IR-PCI-MSIX-0000:3b:00.0    4-edge      ice-ens1-TxRx-3\n\
          \x20130:          0          0          0          2  IR-PCI-MSIX-0000:3b:00.1    1-edge      ice-ens2-TxRx-0\n\
         NMI:          0          0          0          0   Non-maskable interrupts\n";
    let tree = TestTree::new(&[
        ("sys/devices/system/cpu/online", "0-3\n"),
        ("sys/devices/system/cpu/isolated", "\n"),
        ("sys/devices/pci0000:3a/0000:3b:00.0/net/ens1/mtu", "1500\n"),
        (
            "sys/class/net/ens1/device",
            "->../../../devices/pci0000:3a/0000:3b:00.0",
        ),
        ("sys/class/net/veth0/mtu", "1500\n"),
        ("proc/interrupts", interrupts),
        ("proc/1/comm", "systemd\n"),
    ]);
    for number in 120..125 {
        let file = format!("sys/devices/pci0000:3a/0000:3b:00.0/msi_irqs/{number}");
        tree.add(&[(&file, "msix\n")]);
    }
    for (number, affinity) in (121..).zip(affinities) {
        let folder = format!("proc/irq/{number}");
        tree.add(&[
            (&format!("{folder}/smp_affinity_list"), "0-3\n"),
            (&format!("{folder}/effective_affinity_list"), affinity),
        ]);
    }
    tree
}

fn lan(tree: &TestTree, cpus: &[usize]) -> Check {
    let workers = Workers {
        number: 4,
        cpus: cpus.to_vec(),
        usable: None,
    };
    of_lan(&tree.tree(), "ens1", &workers)
}

fn why(check: &Check) -> &str {
    match &check.verdict {
        Verdict::Unknown { why } => why,
        other => panic!("{other:?}"),
    }
}

fn failure(check: &Check) -> (&str, &str) {
    match &check.verdict {
        Verdict::Failing { why, mend } => (why, mend),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_queue_is_told_with_its_core() {
    let tree = server(["0\n", "1\n", "2\n", "3\n"]);
    let expected = "ens1: queue 0: core 0, queue 1: core 1, queue 2: core 2, queue 3: core 3";
    for cpus in [&[][..], &[0, 1, 2, 3]] {
        assert_eq!(seen(&lan(&tree, cpus)), expected);
    }
    // Cores that no worker has are in nobody's way.
    seen(&lan(&server(["0\n", "0\n", "1\n", "1\n"]), &[2, 3]));
    // Where the kernel does not say which it has chosen.
    let all = server(["", "", "", ""]);
    assert!(seen(&lan(&all, &[0, 1, 2, 3])).contains("queue 3: core 0-3"));
}

#[test]
fn an_interrupt_on_another_workers_core_is_named() {
    let check = lan(&server(["0\n", "2\n", "2\n", "3\n"]), &[0, 1, 2, 3]);
    let (why, mend) = failure(&check);
    assert!(
        why.contains("ice-ens1-TxRx-1 (queue 1) goes to core 2"),
        "{why}"
    );
    assert!(
        why.contains("worker 2's; its own worker is on core 1"),
        "{why}"
    );
    assert_eq!(mend, "`echo 1 > /proc/irq/122/smp_affinity_list`");
}

#[test]
fn all_on_one_core_is_named_unless_somebody_spreads_them() {
    let tree = server(["0\n"; 4]);
    let check = lan(&tree, &[]);
    let (why_not, mend) = failure(&check);
    assert!(
        why_not.starts_with("all 4 of ens1 go to core 0"),
        "{why_not}"
    );
    assert!(mend.contains("irqbalance"), "{mend}");
    tree.add(&[("proc/77/comm", "irqbalance\n")]);
    assert!(why(&lan(&tree, &[])).contains("while there is some"));
    tree.add(&[("sys/devices/system/cpu/online", "0\n")]);
    seen(&lan(&tree, &[]));
}

#[test]
fn irqbalance_may_not_touch_the_workers_cores() {
    let tree = server(["0\n", "1\n", "2\n", "3\n"]);
    tree.add(&[
        ("proc/77/comm", "irqbalance\n"),
        ("proc/77/environ", "A=b\0"),
    ]);
    let check = lan(&tree, &[2, 3, 2, 3]);
    // Queue 0 goes to core 0, which is nobody's; queue 2 and 3 to their own.
    assert!(
        why(&check).contains("IRQBALANCE_BANNED_CPULIST=2-3"),
        "{check:?}"
    );
    assert!(
        seen(&lan(&tree, &[])).contains("irqbalance runs"),
        "not pinned"
    );
    tree.add(&[("proc/77/environ", "A=b\0IRQBALANCE_BANNED_CPULIST=2-3\0")]);
    seen(&lan(&tree, &[2, 3, 2, 3]));
    // It leaves isolated cores alone, unless it is told others.
    tree.add(&[
        ("proc/77/environ", ""),
        ("sys/devices/system/cpu/isolated", "2-3\n"),
    ]);
    seen(&lan(&tree, &[2, 3, 2, 3]));
    tree.add(&[("proc/77/environ", "IRQBALANCE_BANNED_CPULIST=1\0")]);
    why(&lan(&tree, &[2, 3, 2, 3]));
}

#[test]
fn a_virtio_device_has_those_of_the_device_above_it() {
    let interrupts = "           CPU0       CPU1\n\
          \x2036:          0     624871 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\n\
          \x2037:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config\n\
          \x2038:          0      16879 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n\
          \x2039:      13029          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0\n";
    let pci = "sys/devices/pci0000:00/0000:00:03.0";
    let tree = TestTree::new(&[
        ("sys/devices/system/cpu/online", "0-1\n"),
        (&format!("{pci}/virtio2/net/eth0/mtu"), "1500\n"),
        (&format!("{pci}/msi_irqs/37"), "msix\n"),
        (&format!("{pci}/msi_irqs/38"), "msix\n"),
        (&format!("{pci}/msi_irqs/39"), "msix\n"),
        (
            "sys/class/net/eth0/device",
            &format!("->../../../../{pci}/virtio2"),
        ),
        ("proc/irq/38/effective_affinity_list", "1\n"),
        ("proc/interrupts", interrupts),
    ]);
    let check = of_uplink(&tree.tree(), "eth0");
    assert_eq!(seen(&check), "eth0: queue 0: core 1");
}

#[test]
fn devices_without_or_with_strange_interrupts() {
    let tree = server(["0\n"; 4]);
    let veth = of_uplink(&tree.tree(), "veth0");
    assert!(seen(&veth).contains("core that sends it"), "{veth:?}");
    // One line for the whole device, on a bus without message-signalled interrupts.
    let mmio = TestTree::new(&[
        (
            "sys/devices/platform/virtio-mmio.0/virtio0/net/eth0/mtu",
            "1500\n",
        ),
        (
            "sys/class/net/eth0/device",
            "->../../../devices/platform/virtio-mmio.0/virtio0",
        ),
        (
            "proc/interrupts",
            "     CPU0\n 5:   10   IO-APIC   5-edge      virtio0\n",
        ),
        ("proc/irq/5/smp_affinity_list", "0\n"),
    ]);
    assert_eq!(
        seen(&of_uplink(&mmio.tree(), "eth0")),
        "eth0: queue 0: core 0"
    );
    mmio.add(&[(
        "proc/interrupts",
        "     CPU0\n 5:   10   IO-APIC   5-edge      other\n",
    )]);
    assert!(why(&of_uplink(&mmio.tree(), "eth0")).contains("/proc/interrupts"));
    // Hyper-V's channels.
    let vmbus = TestTree::new(&[
        (
            "sys/devices/vmbus/0000-1111/channels/14/subchannel_id",
            "0\n",
        ),
        ("sys/devices/vmbus/0000-1111/channels/14/cpu", "2\n"),
        (
            "sys/devices/vmbus/0000-1111/channels/21/subchannel_id",
            "1\n",
        ),
        ("sys/devices/vmbus/0000-1111/channels/21/cpu", "0\n"),
        (
            "sys/class/net/eth0/device",
            "->../../../devices/vmbus/0000-1111",
        ),
    ]);
    let workers = Workers {
        number: 2,
        cpus: vec![0, 1],
        usable: None,
    };
    let check = of_lan(&vmbus.tree(), "eth0", &workers);
    let (why, mend) = failure(&check);
    assert!(why.contains("channel 21 (queue 1) goes to core 0"), "{why}");
    assert_eq!(
        mend,
        "`echo 1 > /sys/class/net/eth0/device/channels/21/cpu`"
    );
}

#[test]
fn names_tell_the_queue() {
    for (name, expected) in [
        ("ens1f0-TxRx-12", Some(Some(12))),
        ("iavf-eth0-TxRx-3", Some(Some(3))),
        ("eth0-Tx-Rx-1", Some(Some(1))),
        ("eth0-rxtx-2", Some(Some(2))),
        ("eth0-rx-4", Some(Some(4))),
        ("virtio2-input.7", Some(Some(7))),
        ("mlx5_comp5@pci:0000:3b:00.0", Some(Some(5))),
        ("eth0-fp-6", Some(Some(6))),
        ("eth0-9", Some(Some(9))),
        ("eth0", Some(Some(0))),
        ("mana_q1@pci:7870:00:00.0", Some(None)),
        ("gve-ntfy-blk3@pci:0000:00:04.0", Some(None)),
        ("eth0-tx-4", None),
        ("eth0-event-8", None),
        ("virtio2-output.0", None),
        ("virtio2-config", None),
        ("virtio3-event", None),
        ("mlx5_async0@pci:0000:3b:00.0", None),
        ("gve-mgmnt@pci:0000:00:04.0", None),
        ("i40e-0000:3b:00.0:misc", None),
        ("ena-mgmnt@pci:0000:00:05.0", None),
    ] {
        assert_eq!(receives(name, "eth0", "virtio2"), expected, "{name}");
    }
}
