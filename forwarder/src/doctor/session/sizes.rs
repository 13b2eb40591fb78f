//! The largest datagrams that arrive, there and back.
//!
//! Dummies become longer and longer on our first lane: the highest sequence number that the peer tells is the longest
//! that arrived. So that loss does not pass for a narrow link, the ceiling is sent several times more, and if none
//! arrived, so are the next sizes above the longest, and what a router has told.

use causeway_tunnel::session::Session;
use tokio::time::{Duration, sleep};

use super::{
    Failed,
    lanes::Lanes,
    script::{SLACK, ask, told, wake},
    told_mtu,
};

/// Bytes of the longer and longer ones, how often each is sent, and the pause between two: 250 kB at most in a third
/// of a second.
const BYTES: usize = 250_000;
const TIMES: usize = 2;
const PACE: Duration = Duration::from_millis(2);

/// How often a size is sent on which a verdict hangs: at 15 % loss one time in 90,000 all of these are lost.
const SURE: usize = 6;

/// Sizes above the longest that are sent so often.
const ABOVE: usize = 3;

/// What every path carries, in bytes of UDP payload.
const LEAST: usize = 1_200;

/// The largest that arrive, there and back: none, if nothing does or nobody tells.
pub(super) async fn largest(
    session: &Session,
    lanes: &Lanes<'_>,
    ceiling: u16,
    answers: bool,
) -> Result<[Option<u16>; 2], Failed> {
    let most = usize::from(ceiling) / 4 * 4;
    let growing = steps(ceiling).flat_map(|size| [size; TIMES]);
    let mut there = longest(session, lanes, growing.chain([most; SURE - TIMES])).await?;
    if let Some(found) = there.filter(|size| *size < most) {
        let router = told_mtu(session.remote_address()).unwrap_or(u32::MAX);
        let again = above(ceiling, found, router as usize / 4 * 4);
        let again = again.into_iter().flat_map(|size| [size; SURE - TIMES]);
        there = longest(session, lanes, again).await?.max(there);
    }
    let mut back = None;
    if answers {
        wake(session, lanes).await;
        lanes.watch();
        let sizes = [LEAST, there.unwrap_or(LEAST), most];
        ask(session, asked(sizes, lanes.receiving().len())).await?;
        sleep(session.rtt() + 2 * SLACK).await;
        back = Some(lanes.watched().largest).filter(|size| *size > 0);
    }
    Ok([there, back].map(|size| size.map(|size| size as u16)))
}

/// Sends dummies of these sizes, of which none is smaller than that before; gives the longest that arrived.
async fn longest(
    session: &Session,
    lanes: &Lanes<'_>,
    sizes: impl Iterator<Item = usize>,
) -> Result<Option<usize>, Failed> {
    let mut sent = Vec::new();
    for size in sizes {
        sent.push((lanes.send(0, size), size));
        sleep(PACE).await;
    }
    if !told(session, lanes).await? {
        return Ok(None);
    }
    let highest = lanes.sending()[0].heard.unwrap_or(0);
    let arrived = sent.iter().rev().find(|(sequence, _)| *sequence <= highest);
    Ok(arrived.map(|(_, size)| *size))
}

/// Sizes from what every path carries to the ceiling, which is among them.
fn steps(ceiling: u16) -> impl Iterator<Item = usize> {
    let most = usize::from(ceiling) / 4 * 4;
    let steps = BYTES / (TIMES * (LEAST + most) / 2);
    let step = (most - LEAST).div_ceil(steps).next_multiple_of(4).max(4);
    (LEAST..most).step_by(step).chain([most])
}

/// Sizes below the ceiling that loss may have hidden, if the longest that arrived is `found`: the next steps, and what a
/// router has told.
fn above(ceiling: u16, found: usize, router: usize) -> Vec<usize> {
    let most = usize::from(ceiling) / 4 * 4;
    let mut sizes: Vec<_> = steps(ceiling).filter(|s| *s > found).take(ABOVE).collect();
    sizes.push(router);
    sizes.retain(|size| (found + 1..most).contains(size));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// What the peer is asked for: it sends it on each of its lanes, which are so many.
fn asked(sizes: [usize; 3], lanes: usize) -> Vec<u16> {
    let mut sizes = sizes.map(|size| size as u16).to_vec();
    sizes.dedup();
    sizes.repeat(SURE.div_ceil(lanes))
}

#[cfg(test)]
mod tests {
    use super::{
        super::script::{FILL, SMALL, many_of},
        *,
    };

    #[test]
    fn the_sizes_are_few_and_the_ceiling_is_among_them() {
        for ceiling in [1_200, 1_201, 1_252, 1_472, 4_000, 9_000] {
            let all: Vec<_> = steps(ceiling).collect();
            assert_eq!(*all.last().unwrap(), usize::from(ceiling) / 4 * 4);
            assert!(all.iter().all(|size| size % 4 == 0));
            assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
            let again = (2 + ABOVE) * (SURE - TIMES) * usize::from(ceiling);
            let bytes = all.iter().sum::<usize>() * TIMES + again;
            assert!(
                bytes + FILL + 2 * 100 * 130 < 1_000_000,
                "{ceiling}: {bytes}"
            );
            let fine = ceiling < 1_500;
            assert!(!fine || all.windows(2).all(|pair| pair[1] - pair[0] == 4));
        }
    }

    #[test]
    fn many_lanes_send_little_more_than_few() {
        let bytes = |lanes: usize, most: usize| {
            let sizes: Vec<_> = asked([LEAST, most - 4, most], lanes);
            let sizes: usize = sizes.into_iter().map(usize::from).sum();
            let train = (FILL / most / lanes).max(1) * most;
            lanes * (many_of(lanes) as usize * SMALL + sizes + train)
        };
        for (most, lanes, limit) in [
            (1_472, 64, 1_000_000),
            (9_000, 20, 1_000_000),
            (9_000, 64, 2_000_000),
        ] {
            for lanes in 1..=lanes {
                let bytes = bytes(lanes, most);
                assert!(bytes < limit, "{lanes} lanes, {most} bytes: {bytes}");
            }
        }
        assert_eq!([1, 8, 16, 64].map(many_of), [100, 100, 50, 10]);
    }

    #[test]
    fn what_loss_may_have_hidden_is_sent_again() {
        assert_eq!(above(1_472, 1_364, usize::MAX), [1_368, 1_372, 1_376]);
        assert_eq!(above(1_472, 1_200, 1_372)[3], 1_372);
        assert_eq!(above(1_472, 1_368, 1_372).len(), 3);
        assert_eq!(above(1_472, 1_464, 1_472), [1_468]);
        assert_eq!(above(1_472, 1_468, 1_300), [0; 0]);
    }
}
