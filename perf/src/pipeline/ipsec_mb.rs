//! Intel's libipsec-mb as a limit from outside: its AES-GCM on datagrams as the path has them.
//!
//! In DPDK's `dpdk-test-crypto-perf`, a process of its own; it needs no huge pages.

use std::time::Duration;

use causeway_tunnel::{aead::Cipher, sa::SALT_LEN, wire};

use crate::{
    cores,
    datapath::DATAGRAM,
    error::{Error, Result},
    output::Spread,
    rig::tool::Tool,
};

const PROGRAM: &str = "dpdk-test-crypto-perf";

/// Runs for each figure, of which the median counts.
const RUNS: usize = 3;

/// Datagrams of a run: about half a second.
const DATAGRAMS: &str = "1000000";

const PATIENCE: Duration = Duration::from_secs(30);

/// What the AEAD covers but does not encrypt: SPI and sequence number.
const ASSOCIATED: usize = 12;

/// Nanoseconds that it takes for a full datagram, or why there is no figure.
#[derive(Clone, Debug)]
pub(super) struct IpsecMb(pub(super) std::result::Result<f64, String>);

impl IpsecMb {
    pub(super) fn not_asked() -> Self {
        Self(Err("not asked for: see --ipsec-mb".into()))
    }

    /// Measures what `direction` has it do.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`]. Whatever else goes wrong is the reason for no figure.
    pub(super) fn measure(cipher: Cipher, direction: &str) -> Result<Self> {
        let operation = match direction {
            "lan_to_wan" => "encrypt",
            _ => "decrypt",
        };
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            match run(cipher, operation) {
                Ok(ns) => runs.push(ns),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => return Ok(Self(Err(error.to_string()))),
            }
        }
        Ok(Self(Ok(Spread::of(runs).median)))
    }
}

fn run(cipher: Cipher, operation: &str) -> Result<f64> {
    let allowed = cores::allowed();
    let [ours, other, ..] = allowed[..] else {
        return Err(Error::CannotRun(format!(
            "{PROGRAM} needs two cores, of which one only waits"
        )));
    };
    let (lcores, main) = (format!("{ours},{other}"), other.to_string());
    let text = DATAGRAM - wire::ESP_HEADER - wire::ESP_ICV;
    let tool = Tool::new(PROGRAM)
        .args(["--no-huge", "-m", "256", "--no-pci", "--no-shconf"])
        .args(["--no-telemetry", "--force-max-simd-bitwidth=512"])
        .args(["-l", &lcores, "--main-lcore", &main])
        .args(["--vdev", "crypto_aesni_gcm", "--", "--silent"])
        .args(["--ptest", "throughput", "--csv-friendly"])
        .args(["--devtype", "crypto_aesni_gcm", "--optype", "aead"])
        .args(["--aead-algo", "aes-gcm", "--aead-op", operation])
        .args(["--aead-key-sz", &cipher.key_len().to_string()])
        .args(["--aead-iv-sz", &(SALT_LEN + 8).to_string()])
        .args(["--aead-aad-sz", &ASSOCIATED.to_string()])
        .args(["--digest-sz", &wire::ESP_ICV.to_string()])
        // The smallest pool of buffers that it takes.
        .args(["--buffer-sz", &text.to_string(), "--pool-sz", "1024"])
        .args(["--burst-sz", "32", "--total-ops", DATAGRAMS]);
    let installed = "is it installed? apt-get install dpdk-dev";
    let said = tool.run_within(PATIENCE).map_err(|error| match error {
        Error::Interrupted => error,
        error => Error::CannotRun(format!("{error} ({installed})")),
    })?;
    ns_per_datagram(&said).ok_or_else(|| {
        Error::Failed(format!(
            "{PROGRAM} said nothing that is understood here: is it DPDK 22.11?"
        ))
    })
}

/// Of its table the column `Ops(Millions)`, per second.
fn ns_per_datagram(said: &str) -> Option<f64> {
    let mut lines = said.lines().map(|line| line.split(',').map(str::trim));
    let column = lines.find_map(|mut cells| cells.position(|cell| cell == "Ops(Millions)"))?;
    let mut values = lines.filter_map(|mut cells| cells.nth(column)?.parse::<f64>().ok());
    let millions = values.next().filter(|millions| *millions > 0.0)?;
    Some(1e3 / millions)
}

#[cfg(test)]
mod tests {
    use super::ns_per_datagram;

    #[test]
    fn reads_what_dpdk_22_11_says() {
        let said = "EAL: Detected CPU lcores: 2\n\
            Allocated pool \"sess_mp_0\" on socket 0\n\
            #lcore id,Buffer Size(B),Burst Size,Enqueued,Dequeued,Failed Enq,Failed Deq,Ops(Millions),Throughput(Gbps),Cycles/Buf\n\n\
            1,1420,32,2000000,2000000,0,0,2.500,28.400,920.0\n\n";
        assert_eq!(ns_per_datagram(said), Some(400.0));
        assert_eq!(ns_per_datagram("#lcore id,Ops(Millions)\n1,0.000\n"), None);
        assert_eq!(
            ns_per_datagram("USER1: Test run constructor failed\n"),
            None
        );
    }
}
