//! Whether an XDP program is at the port that we cannot talk to, and which may keep answers from us.

use futures_util::TryStreamExt as _;
use rtnetlink::{
    new_connection,
    packet_route::link::{LinkAttribute, LinkXdp, XdpAttached},
};

use super::check::{Check, unknown};

/// Whether there is an XDP program at the device; `None`: the kernel does not tell.
pub async fn is_there(ifindex: u32) -> Option<bool> {
    let (connection, handle, _) = new_connection().ok()?;
    tokio::spawn(connection);
    let mut links = handle.link().get().match_index(ifindex).execute();
    let link = links.try_next().await.ok()??;
    Some(link.attributes.iter().any(attaches))
}

fn attaches(attribute: &LinkAttribute) -> bool {
    let none = |xdp: &LinkXdp| matches!(xdp, LinkXdp::Attached(XdpAttached::None));
    let attached = |xdp: &LinkXdp| matches!(xdp, LinkXdp::Attached(_)) && !none(xdp);
    matches!(attribute, LinkAttribute::Xdp(all) if all.iter().any(attached))
}

/// A line if a program is there that no causeway answers for.
pub fn check(there: Option<bool>, answers: bool, control: &str) -> Option<Check> {
    (there == Some(true) && !answers).then(|| {
        unknown(
            "XDP program",
            format!("one is at the port, and no causeway answers for it at control socket {control}: it may keep answers from us, so do not believe the lines on foreign MACs; give --control NAME, or stop what it belongs to"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_nobody_answers_for_is_told() {
        assert!(check(Some(true), false, "causeway").is_some());
        for (there, answers) in [(Some(true), true), (Some(false), false), (None, false)] {
            assert_eq!(check(there, answers, "causeway"), None);
        }
        let xdp = |of| LinkAttribute::Xdp(vec![LinkXdp::Attached(of)]);
        assert!(attaches(&xdp(XdpAttached::Driver)) && !attaches(&xdp(XdpAttached::None)));
        assert!(!attaches(&LinkAttribute::Mtu(1_500)));
    }
}
