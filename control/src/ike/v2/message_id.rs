//! Message IDs, retransmission and its answer (RFC 7296 sections 2.1 to 2.3), window of one in both directions.
//!
//! One value keeps both directions of one IKE SA: which request of the peer comes next with the answer to its last,
//! and our own request under way with its timer.

use crate::ike::service::{Patience, Retry};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// What a Message ID makes of an authenticated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The next one: obey it, then [`MessageIds::answered`].
    Next,
    /// The last one again: the same octets go out again and nothing else happens (RFC 7296 section 2.1).
    Again(&'a [u8]),
    /// Answered long ago; the peer itself has seen the answer.
    Old,
    /// Outside the window (RFC 7296 section 2.3).
    Ahead,
}

/// What a Message ID makes of an authenticated response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<P> {
    /// The answer to our request, which was asked for this purpose.
    Answer(P),
    /// Nobody asked, or it was answered already.
    NotAsked,
}

/// A request of ours is still unanswered: with a window of one there is no room for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request is under way")]
pub struct Busy;

/// Both directions of one IKE SA. `P` says what our own request is for.
#[derive(Debug)]
pub struct MessageIds<P> {
    /// Wider than a Message ID, so that it never wraps: after the last ID comes none (RFC 7296 section 2.2).
    expected: u64,
    last_answer: Vec<u8>,
    next: u64,
    asked: Asked<P>,
}

#[derive(Debug)]
enum Asked<P> {
    Nothing,
    Waiting { purpose: P, bytes: Vec<u8>, tries: u32, due: Instant, wait: Duration },
}

impl<P> MessageIds<P> {
    /// An IKE SA whose first request from the peer will bear `expected`, and our own first one `next`.
    pub fn new(expected: u32, next: u32) -> Self {
        Self { expected: expected.into(), last_answer: Vec::new(), next: next.into(), asked: Asked::Nothing }
    }

    /// Which request is this?
    pub fn request(&self, id: u32) -> Request<'_> {
        let id = u64::from(id);
        if id == self.expected {
            Request::Next
        } else if id > self.expected {
            Request::Ahead
        } else if id + 1 == self.expected && !self.last_answer.is_empty() {
            Request::Again(&self.last_answer)
        } else {
            Request::Old
        }
    }

    /// The ID of the peer's next request, if there is one left.
    pub fn expected(&self) -> Option<u32> {
        u32::try_from(self.expected).ok()
    }

    /// The expected request was answered with `bytes`.
    pub fn answered(&mut self, bytes: Vec<u8>) {
        self.expected += 1;
        self.last_answer = bytes;
    }

    /// The ID of the next request of ours, if the window has room for it and the IDs have not run out.
    pub fn next_request(&self) -> Result<u32, Busy> {
        match self.asked {
            Asked::Nothing => u32::try_from(self.next).map_err(|_used_up| Busy),
            Asked::Waiting { .. } => Err(Busy),
        }
    }

    /// Our next request goes out now as `bytes`.
    pub fn asked(&mut self, now: Instant, patience: &Patience, purpose: P, bytes: Vec<u8>) {
        debug_assert!(self.next_request().is_ok());
        self.next += 1;
        let wait = patience.initial;
        self.asked = Asked::Waiting { purpose, bytes, tries: 0, due: now + wait, wait };
    }

    /// What our request under way is for.
    pub fn under_way(&self) -> Option<&P> {
        match &self.asked {
            Asked::Nothing => None,
            Asked::Waiting { purpose, .. } => Some(purpose),
        }
    }

    /// Whether our request under way had to be sent again.
    pub fn is_repeating(&self) -> bool {
        matches!(self.asked, Asked::Waiting { tries: 1.., .. })
    }

    /// The octets of our request under way.
    pub fn request_under_way(&self) -> Option<&[u8]> {
        match &self.asked {
            Asked::Nothing => None,
            Asked::Waiting { bytes, .. } => Some(bytes),
        }
    }

    /// As [`MessageIds::under_way`], to note what has happened since.
    pub fn under_way_mut(&mut self) -> Option<&mut P> {
        match &mut self.asked {
            Asked::Nothing => None,
            Asked::Waiting { purpose, .. } => Some(purpose),
        }
    }

    /// Our request needs no answer any more: it is not repeated, and what comes is not looked at. Its ID stays used.
    pub fn forget(&mut self) -> Option<P> {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => None,
            Asked::Waiting { purpose, .. } => Some(purpose),
        }
    }

    /// Is this what we wait for? Then the wait is over.
    pub fn response(&mut self, id: u32) -> Response<P> {
        if !self.waits_for(id) {
            return Response::NotAsked;
        }
        self.forget().map_or(Response::NotAsked, Response::Answer)
    }

    /// Whether a response with this ID would be the one we wait for.
    pub fn waits_for(&self, id: u32) -> bool {
        matches!(self.asked, Asked::Waiting { .. }) && u64::from(id) + 1 == self.next
    }

    /// When [`MessageIds::retry`] has something to say.
    pub fn due(&self) -> Option<Instant> {
        match &self.asked {
            Asked::Nothing => None,
            Asked::Waiting { due, .. } => Some(*due),
        }
    }

    /// Our request under way begins anew, with as many tries as at first: it goes another way now.
    pub fn anew(&mut self, now: Instant, patience: &Patience) -> Option<&[u8]> {
        match &mut self.asked {
            Asked::Nothing => None,
            Asked::Waiting { bytes, tries, due, wait, .. } => {
                (*tries, *wait, *due) = (0, patience.initial, now + patience.initial);
                Some(bytes)
            }
        }
    }

    /// It is `now`: is our request to be repeated?
    pub fn retry(&mut self, now: Instant, patience: &Patience) -> Retry<'_> {
        match &mut self.asked {
            Asked::Waiting { bytes, tries, due, wait, .. } if *due <= now => {
                if *tries == patience.tries {
                    return Retry::Dead;
                }
                *tries += 1;
                *wait = patience.next(*wait);
                *due = now + *wait;
                Retry::Again(bytes)
            }
            Asked::Waiting { .. } | Asked::Nothing => Retry::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { initial: Duration::from_secs(4), factor: 2.0, tries: 2 };

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// The whole table: (requests answered so far, ID that comes in) and what it is.
    #[test]
    fn a_request_is_next_again_old_or_ahead_of_the_window() {
        for first in [0, 1, 7] {
            let mut ids = MessageIds::<()>::new(first, 0);
            assert_eq!(ids.request(first), Request::Next);
            assert_eq!(ids.request(first + 1), Request::Ahead);
            if first > 0 {
                assert_eq!(ids.request(first - 1), Request::Old, "what came before was not answered here");
            }
            for n in 0..4 {
                let answer = vec![n as u8 + 1];
                ids.answered(answer.clone());
                let last = first + n;
                assert_eq!(ids.request(last), Request::Again(&answer));
                assert_eq!(ids.request(last), Request::Again(&answer), "as often as the peer asks");
                assert_eq!(ids.request(last + 1), Request::Next);
                assert_eq!(ids.request(last + 2), Request::Ahead);
                assert_eq!(ids.request(u32::MAX), Request::Ahead);
                if n > 0 {
                    assert_eq!(ids.request(last - 1), Request::Old);
                }
            }
        }
    }

    #[test]
    fn after_the_last_message_id_comes_none() {
        let mut ids = MessageIds::<()>::new(u32::MAX, 0);
        assert_eq!(ids.request(u32::MAX), Request::Next);
        ids.answered(vec![9]);
        assert_eq!(ids.request(u32::MAX), Request::Again(&[9]));
        assert_eq!(ids.request(0), Request::Old);
    }

    #[test]
    fn our_requests_go_out_one_at_a_time_and_only_their_own_answer_counts() {
        let mut ids = MessageIds::new(0, 0);
        assert_eq!(ids.next_request(), Ok(0));
        assert_eq!(ids.response(0), Response::NotAsked);
        ids.asked(at(0), &PATIENCE, 'a', vec![1]);
        assert_eq!(ids.next_request(), Err(Busy));
        assert_eq!(ids.under_way(), Some(&'a'));
        assert_eq!(ids.response(1), Response::NotAsked);
        assert_eq!(ids.response(u32::MAX), Response::NotAsked);
        assert!(ids.waits_for(0) && !ids.waits_for(1));
        assert_eq!(ids.response(0), Response::Answer('a'));
        assert_eq!(ids.response(0), Response::NotAsked, "an answer counts once");
        assert_eq!(ids.next_request(), Ok(1));
        ids.asked(at(0), &PATIENCE, 'b', vec![2]);
        assert_eq!(ids.response(0), Response::NotAsked);
        assert_eq!(ids.response(1), Response::Answer('b'));
    }

    #[test]
    fn a_request_is_repeated_with_growing_waits_and_then_the_peer_is_dead() {
        let mut ids = MessageIds::new(0, 0);
        assert_eq!(ids.due(), None);
        assert_eq!(ids.retry(at(100), &PATIENCE), Retry::NotYet);
        ids.asked(at(0), &PATIENCE, (), vec![1, 2]);
        assert_eq!(ids.due(), Some(at(4)));
        assert_eq!(ids.retry(at(3), &PATIENCE), Retry::NotYet);
        assert_eq!(ids.retry(at(4), &PATIENCE), Retry::Again(&[1, 2]));
        assert_eq!(ids.due(), Some(at(12)));
        assert_eq!(ids.retry(at(11), &PATIENCE), Retry::NotYet);
        assert_eq!(ids.retry(at(12), &PATIENCE), Retry::Again(&[1, 2]));
        assert_eq!(ids.due(), Some(at(28)));
        assert_eq!(ids.retry(at(27), &PATIENCE), Retry::NotYet);
        assert_eq!(ids.retry(at(28), &PATIENCE), Retry::Dead);
    }

    #[test]
    fn what_is_forgotten_is_not_repeated_and_its_id_is_not_used_again() {
        let mut ids = MessageIds::new(0, 7);
        ids.asked(at(0), &PATIENCE, 'a', vec![1]);
        if let Some(purpose) = ids.under_way_mut() {
            *purpose = 'b';
        }
        assert_eq!(ids.forget(), Some('b'));
        assert_eq!((ids.forget(), ids.due()), (None, None));
        assert_eq!(ids.response(7), Response::NotAsked);
        assert_eq!(ids.next_request(), Ok(8));
    }

    #[test]
    fn an_answer_ends_the_repeating() {
        let mut ids = MessageIds::new(0, 0);
        ids.asked(at(0), &PATIENCE, (), vec![1]);
        assert_eq!(ids.retry(at(4), &PATIENCE), Retry::Again(&[1]));
        assert_eq!(ids.response(0), Response::Answer(()));
        assert_eq!(ids.due(), None);
        assert_eq!(ids.retry(at(1000), &PATIENCE), Retry::NotYet);
    }
}
