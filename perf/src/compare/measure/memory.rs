//! Memory of a peer's processes.

use std::fs;

use crate::rig::Rig;

/// Resident bytes of all processes in both gateways. Pages that two of them share count twice.
pub(crate) fn resident(rig: &Rig) -> u64 {
    let pids = rig
        .gateways()
        .iter()
        .flat_map(|gateway| gateway.netns().pids());
    let statuses = pids.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok());
    statuses.filter_map(|text| parse(&text)).sum()
}

/// `VmRSS:     1234 kB`.
fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let text = "VmHWM:\t    9999 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(parse(text), Some(1_234 * 1_024));
        assert_eq!(parse("Name:\tkthread\n"), None);
    }
}
