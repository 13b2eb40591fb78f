//! What the ends count on each lane.

use super::super::check::{Check, failing, ok};
use crate::status::{AeadStatus, LaneStatus, PeerStatus, SessionStatus};

pub(super) const LOSS: &str = "loss";
pub(super) const THROUGHPUT: &str = "throughput";

/// Lost datagrams above this part of all are worth a look.
pub(super) const MUCH: f64 = 0.01;
/// Of fewer an appliance's counters say nothing.
const ENOUGH: u64 = 100;

pub(super) const LESS_LOSS: &str = "a path with less loss: every lost datagram takes all frames in it along, and TCP inside slows down. Where `xsk_rx_ring_full` or `wan_rx_overflow` grow in `causeway status`, it is this machine";

/// Lost and sent datagrams of all lanes of one direction.
fn lost(lanes: &[LaneStatus], highest: impl Fn(&LaneStatus) -> Option<u64>) -> Option<(u64, u64)> {
    let of = |lane: &LaneStatus| {
        let (highest, received) = (highest(lane)?, lane.received?);
        Some((highest.saturating_sub(received), highest))
    };
    let mut sum = (0, 0);
    for lane in lanes {
        let (lost, sent) = of(lane)?;
        sum = (sum.0 + lost, sum.1 + sent);
    }
    Some(sum)
}

/// Datagrams that were lost on the lanes of this session, each way. What is late but comes counts as received.
pub(super) fn loss(peer: &PeerStatus, session: &SessionStatus) -> Check {
    let name = &peer.name;
    let out = lost(&session.tx_lanes, |lane| lane.heard);
    let back = lost(&session.rx_lanes, |lane| Some(lane.sequence));
    let words = |way: Option<(u64, u64)>, what: &str| match way {
        Some((lost, sent)) => format!("{lost} of {sent} {what}"),
        None => format!("the other end does not count those {what}"),
    };
    let seen = format!(
        "{name}: lost were {}, and {}; round trip {:.1} ms",
        words(out, "there"),
        words(back, "back"),
        session.rtt_s * 1_000.0
    );
    let much = |way: Option<(u64, u64)>| {
        way.is_some_and(|(lost, sent)| sent >= ENOUGH && lost as f64 > MUCH * sent as f64)
    };
    if much(out) || much(back) {
        return failing(LOSS, seen, LESS_LOSS);
    }
    ok(LOSS, seen)
}

/// What one worker and one connection can do at most, by what is known without sending anything.
pub(super) fn throughput(peer: &PeerStatus, session: &SessionStatus, aead: &AeadStatus) -> Check {
    /// TCP's data in a full frame of an MTU of 1,500, in bits.
    const SEGMENT: f64 = 1_448.0 * 8.0;
    let name = &peer.name;
    let seal = aead.measured.get(&aead.seal).map(|times| times.seal_ns);
    let cipher = match seal.filter(|ns| *ns > 0.0) {
        Some(ns) => format!(
            "the cipher alone seals {:.0} Gb/s on one core",
            aead.datagram_bytes as f64 * 8.0 / ns
        ),
        None => "the cipher was not measured (--aead auto does)".into(),
    };
    let out = lost(&session.tx_lanes, |lane| lane.heard);
    let (lost, sent) = out.unwrap_or((0, 0));
    let tcp = if lost > 0 && sent >= ENOUGH && session.rtt_s > 0.0 {
        // Mathis et al. 1997: rate = segment / round trip * sqrt(3/2) / sqrt(loss).
        let rate = SEGMENT / session.rtt_s * (1.5 / (lost as f64 / sent as f64)).sqrt();
        format!(
            "loss lets one TCP connection with Reno have about {:.0} Mb/s",
            rate / 1e6
        )
    } else {
        "no loss limits TCP so far".into()
    };
    ok(
        THROUGHPUT,
        format!(
            "{name}: {cipher}; {tcp}; what the path carries only a measurement tells (iperf3 between hosts)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::check::{Verdict, asked::said},
        *,
    };
    use crate::status::AeadTimes;

    fn lane(heard: u64, received: u64, seen_at: &str) -> LaneStatus {
        LaneStatus {
            sequence: heard,
            heard: Some(heard),
            received: Some(received),
            seen_at: Some(seen_at.into()),
            ..LaneStatus::default()
        }
    }

    fn session(tx: Vec<LaneStatus>, rx: Vec<LaneStatus>) -> SessionStatus {
        SessionStatus {
            dialled: true,
            rtt_s: 0.01,
            tx_lanes: tx,
            rx_lanes: rx,
            ..SessionStatus::default()
        }
    }

    #[test]
    fn loss_is_counted_each_way() {
        let peer = PeerStatus::default();
        let few = session(vec![lane(1_000, 999, "")], vec![lane(50, 40, "")]);
        let check = loss(&peer, &few);
        assert!(matches!(check.verdict, Verdict::Ok { .. }), "{check:?}");
        assert!(
            said(&check).contains("1 of 1000 there, and 10 of 50 back"),
            "{check:?}"
        );
        let many = session(vec![lane(1_000, 999, "")], vec![lane(1_000, 980, "")]);
        assert!(matches!(
            loss(&peer, &many).verdict,
            Verdict::Failing { .. }
        ));
        let old = LaneStatus {
            received: None,
            ..lane(9, 9, "")
        };
        let check = loss(&peer, &session(vec![old], vec![]));
        assert!(said(&check).contains("does not count"), "{check:?}");
    }

    #[test]
    fn throughput_by_the_cipher_and_by_loss() {
        let times = AeadTimes {
            seal_ns: 400.0,
            open_ns: 400.0,
        };
        let aead = AeadStatus {
            seal: "ring".into(),
            datagram_bytes: 1_400,
            measured: [("ring".to_owned(), times)].into(),
            ..AeadStatus::default()
        };
        let lossy = session(vec![lane(10_000, 9_999, "")], vec![]);
        let check = throughput(&PeerStatus::default(), &lossy, &aead);
        assert!(
            said(&check).contains("28 Gb/s") && said(&check).contains("142 Mb/s"),
            "{check:?}"
        );
    }
}
