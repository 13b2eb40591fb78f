//! How long traffic is interrupted when the far end dies and is started again at once.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::rtt::time_of;
use crate::{
    compare::peer::{Peer, Setup},
    error::{Error, Result},
    interrupt,
    rig::{Side, VM, tool::Background},
};

/// Kills the processes of the far end, starts them again, and waits for the first answer to a ping that
/// was sent after the new start: at most `limit`. Pings go every 10 ms.
///
/// # Errors
///
/// It cannot be killed or started.
pub(crate) fn recover(
    peer: &mut dyn Peer,
    on: &Setup<'_>,
    limit: Duration,
) -> Result<Option<Duration>> {
    let rig = on.rig;
    let tool = rig.dc().tool_on(rig.cpus().hosts, "ping");
    let tool = tool.args(["-n", "-D", "-i", "0.01", VM]);
    let mut ping = Background(tool.spawn(Stdio::null(), Stdio::piped(), Stdio::null())?);
    let stdout = ping.0.stdout.take();
    let stdout = stdout.ok_or_else(|| Error::Failed("ping has no output".into()))?;
    let (lines, answers) = mpsc::channel();
    thread::spawn(move || {
        // Ends with ping, or when nobody listens any more.
        for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
            let sent = parse(&line);
            if sent.is_some_and(|answer| lines.send(answer).is_err()) {
                break;
            }
        }
    });
    interrupt::sleep(Duration::from_millis(100))?;
    rig.gateway(Side::B).kill()?;
    let (started, clock) = (now(), Instant::now());
    peer.start(on, Side::B)?;
    while clock.elapsed() < limit {
        interrupt::check()?;
        match answers.recv_timeout(Duration::from_millis(50)) {
            Ok(Answer { sent, came }) if sent >= started => {
                return Ok(Some(Duration::from_secs_f64(came - started)));
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Failed("ping ended".into()));
            }
        }
    }
    Ok(None)
}

/// Of a ping, in seconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    sent: f64,
    came: f64,
}

/// `[1700000000.123456] 64 bytes from …: icmp_seq=1 ttl=64 time=0.112 ms`.
fn parse(line: &str) -> Option<Answer> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once(']')?;
    let came = stamp.parse().ok()?;
    let sent = came - time_of(rest)?;
    Some(Answer { sent, came })
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamped_lines() {
        let line = "[1700000000.5] 64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=250 ms";
        let expected = Answer {
            sent: 1_700_000_000.25,
            came: 1_700_000_000.5,
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("PING 10.77.0.2"), None);
        assert_eq!(parse("[1700000000.5] From 10.77.0.1 unreachable"), None);
    }
}
