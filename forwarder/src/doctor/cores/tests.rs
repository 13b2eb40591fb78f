//! Cores of machines of several kinds, laid out as their /sys and /proc are.

use super::{
    super::check::{Verdict, asked::seen},
    super::tree::TestTree,
    *,
};

const KVM_CORES: &[(&str, &str)] = &[
    ("sys/devices/system/cpu/online", "0-1\n"),
    ("sys/devices/system/cpu/isolated", "\n"),
    ("sys/devices/system/cpu/cpuidle/current_driver", "none\n"),
    ("proc/cpuinfo", "flags\t\t: fpu vme hypervisor lahf_lm\n"),
    (
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
        "kvm-clock\n",
    ),
];

/// Two cores of a server with intel_idle, cores 1 isolated.
const SERVER: &[(&str, &str)] = &[
    ("sys/devices/system/cpu/online", "0-1\n"),
    ("sys/devices/system/cpu/isolated", "1\n"),
    ("sys/devices/system/cpu/nohz_full", "1\n"),
    (
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "powersave\n",
    ),
    (
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
        "intel_pstate\n",
    ),
    (
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
        "powersave\n",
    ),
    (
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_driver",
        "intel_pstate\n",
    ),
    (
        "sys/devices/system/cpu/cpu0/power/pm_qos_resume_latency_us",
        "0\n",
    ),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C1\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "2\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state1/disable", "0\n"),
    ("sys/devices/system/cpu/cpu0/cpuidle/state2/name", "C6\n"),
    (
        "sys/devices/system/cpu/cpu0/cpuidle/state2/latency",
        "133\n",
    ),
    ("sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "0\n"),
    (
        "sys/devices/system/cpu/cpu1/power/pm_qos_resume_latency_us",
        "0\n",
    ),
    ("sys/devices/system/cpu/cpu1/cpuidle/state1/name", "C1\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state1/latency", "2\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state1/disable", "0\n"),
    ("sys/devices/system/cpu/cpu1/cpuidle/state2/name", "C6\n"),
    (
        "sys/devices/system/cpu/cpu1/cpuidle/state2/latency",
        "133\n",
    ),
    ("sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "1\n"),
    (
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
        "hpet\n",
    ),
    (
        "sys/devices/system/clocksource/clocksource0/available_clocksource",
        "tsc hpet acpi_pm \n",
    ),
];

fn workers(cpus: &[usize]) -> Workers {
    Workers {
        number: 2,
        cpus: cpus.to_vec(),
        usable: Some(vec![0, 1]),
    }
}

fn mend(check: &Check) -> &str {
    match &check.verdict {
        Verdict::Failing { mend, .. } => mend,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_are_written_as_the_kernel_does() {
    for (cores, text) in [
        (&[][..], "none"),
        (&[3], "3"),
        (&[0, 1, 2, 5], "0-2,5"),
        (&[2, 1], "2,1"),
    ] {
        assert_eq!(list(cores), text);
    }
}

#[test]
fn workers_get_the_cores_that_run_gives_them() {
    assert_eq!(workers(&[1]).cores(), [1, 1], "in turn");
    assert!(workers(&[]).cores().is_empty());
    let lan = super::super::nic::tests::device();
    let test = TestTree::new(SERVER);
    let check = |cpus: &[usize]| placement(&test.tree(), &workers(cpus), &lan);
    let loose = check(&[]);
    assert!(
        seen(&loose).contains("`--cpus 1` puts them there"),
        "{loose:?}"
    );
    let pinned = check(&[1]);
    assert!(seen(&pinned).contains("nohz_full): 1"), "{pinned:?}");
    let away = check(&[1, 2]);
    assert!(format!("{away:?}").contains("names core 2"), "{away:?}");
    assert!(mend(&away).contains("some of 0-1"), "{away:?}");
    let running = Workers {
        usable: None,
        ..workers(&[1, 2])
    };
    let check = placement(&test.tree(), &running, &lan);
    assert!(seen(&check).starts_with("workers on 1-2"), "{check:?}");
}

#[test]
fn powersave_slows_down_unless_the_driver_chooses() {
    let test = TestTree::new(SERVER);
    assert_eq!(
        seen(&frequency(&test.tree(), &workers(&[]))),
        "governor powersave"
    );
    test.add(&[(
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_driver",
        "acpi-cpufreq\n",
    )]);
    let slow = frequency(&test.tree(), &workers(&[]));
    assert!(format!("{slow:?}").contains("cores 1 at"), "{slow:?}");
    assert!(mend(&slow).contains("performance"));
    // Not on the workers' cores.
    seen(&frequency(&test.tree(), &workers(&[0])));
    let guest = TestTree::new(KVM_CORES);
    assert!(seen(&frequency(&guest.tree(), &workers(&[]))).contains("hypervisor"));
}

#[test]
fn deep_sleep_is_named_where_cores_are_the_workers_own() {
    let test = TestTree::new(SERVER);
    let check = |cpus: &[usize]| idle_states(&test.tree(), &workers(cpus));
    assert!(seen(&check(&[])).contains("C6, 133 µs"), "{:?}", check(&[]));
    assert!(seen(&check(&[1])).contains("C1, 2 µs"), "C6 is off there");
    assert!(mend(&check(&[0])).contains("cpupower -c 0 idle-set -D 50"));
    // Somebody has asked the kernel for less, or for none.
    for (bound, word) in [("20\n", "C1"), ("n/a\n", "POLL")] {
        test.add(&[(
            "sys/devices/system/cpu/cpu0/power/pm_qos_resume_latency_us",
            bound,
        )]);
        assert!(
            seen(&check(&[0])).contains(word),
            "{bound}: {:?}",
            check(&[0])
        );
    }
    let guest = TestTree::new(KVM_CORES);
    let of_host = idle_states(&guest.tree(), &workers(&[0]));
    assert!(seen(&of_host).contains("is the host's"), "{of_host:?}");
    guest.add(&[("proc/cpuinfo", "flags\t\t: fpu vme\n")]);
    let polls = idle_states(&guest.tree(), &workers(&[0]));
    assert!(seen(&polls).starts_with("none: idle cores"), "{polls:?}");
}

#[test]
fn a_slow_clock_is_named_with_a_better_one() {
    let test = TestTree::new(SERVER);
    let check = || clock_source(&test.tree());
    assert_eq!(
        mend(&check()),
        "`echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource`"
    );
    let folder = "sys/devices/system/clocksource/clocksource0";
    let available = format!("{folder}/available_clocksource");
    test.add(&[(&available, "hpet acpi_pm\n")]);
    assert!(mend(&check()).contains("dmesg"), "{:?}", check());
    test.add(&[(&format!("{folder}/current_clocksource"), "sundial\n")]);
    assert!(matches!(check().verdict, Verdict::Unknown { .. }));
    assert_eq!(
        seen(&clock_source(&TestTree::new(KVM_CORES).tree())),
        "kvm-clock"
    );
}
