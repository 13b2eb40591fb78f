//! What takes the frames of a lane is shown those to come, if it would like that.

mod common;

use causeway_tunnel::Frame;
use causeway_tunnel::lane::{Deliver, Run};
use common::*;
use std::cell::RefCell;
use std::time::Instant;

const FRAMES: usize = 40;
const SIZE: usize = 1_452;

/// Notes the numbers of frames as they are shown, and as they are delivered.
#[derive(Debug, Default)]
struct Foresight {
    shown: RefCell<Vec<usize>>,
    delivered: usize,
    /// Delivered unseen.
    surprises: usize,
    /// The most that were shown and not delivered yet, when one was delivered.
    most: usize,
}

impl Deliver for Foresight {
    fn looks_ahead(&self) -> bool {
        true
    }

    fn foresee(&self, beginning: &[u8]) {
        if let Some(number) = beginning.first_chunk() {
            let number = u32::from_be_bytes(*number) as usize;
            self.shown.borrow_mut().push(number);
        }
    }

    fn deliver(&mut self, taken: Frame<'_>) {
        assert_eq!(number_of(&taken.to_vec()), self.delivered);
        let shown = self.shown.get_mut();
        match shown.contains(&self.delivered) {
            true => self.most = self.most.max(shown.len() + self.surprises - self.delivered),
            false => self.surprises += 1,
        }
        self.delivered += 1;
    }
}

/// Frames of this length in full datagrams, received in the way of `receive`.
fn foreseen(length: usize, receive: impl Fn(&mut Foresight, &mut [u8])) -> Foresight {
    let now = Instant::now();
    let (mut tx, mut sent) = (tx_lane(ENDLESS, now, SIZE, RUN), Vec::new());
    let mut keep = |run: Run<'_>| sent.extend(run.bytes);
    for number in 0..FRAMES {
        let pushed = tx.push(&frame(number, length), now, &mut keep);
        assert_eq!(pushed, Ok(()));
    }
    tx.flush(&mut keep);
    let mut to = Foresight::default();
    receive(&mut to, &mut sent);
    assert_eq!(to.delivered, FRAMES);
    let shown = to.shown.get_mut();
    assert!(shown.is_sorted_by(|a, b| a < b), "each once: {shown:?}");
    assert_eq!(shown.len() + to.surprises, FRAMES, "none but these");
    to
}

fn in_a_run(to: &mut Foresight, run: &mut [u8]) {
    let now = Instant::now();
    let mut lane = rx_lane(ENDLESS, now);
    let taken = lane.receive_run(run, SIZE, now, to, &mut |verdict| assert!(verdict.is_ok()));
    assert_eq!(taken, run.len());
}

fn apart(to: &mut Foresight, run: &mut [u8]) {
    let now = Instant::now();
    let (mut lane, mut before) = (rx_lane(ENDLESS, now), None);
    for datagram in run.chunks_mut(SIZE) {
        let (verdict, beginning) = lane.receive_apart(before, datagram, false, now, to);
        assert!(verdict.is_ok());
        before = beginning;
    }
}

/// All are, those too that are cut, and as soon as their datagram is open: the most that wait then are those that begin in it,
/// the one at its end that is cut, and the one that ends in it.
#[test]
fn frames_are_shown_before_they_are_delivered() {
    for (length, most) in [(60, 23), (300, 6), (1_514, 2)] {
        for receive in [in_a_run, apart] {
            let to = foreseen(length, receive);
            assert_eq!((to.surprises, to.most), (0, most), "{length}: {to:?}");
        }
    }
}
