//! Dead peer detection (RFC 3706), both ways.
//!
//! Each try of ours is a message of its own with the same number: a peer that has heard the first may take its very
//! octets for a repetition and say nothing.

use super::established::Established;
use super::isakmp_sa::Cookies;
use super::wire::{Notify, NotifyKind, Payload, Protocol};
use crate::ike::service::{Node, Patience};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// Numbers both ways, and our question under way.
#[derive(Debug)]
pub(super) struct Dpd {
    /// The highest that the peer asked with, under the ISAKMP SA in use.
    theirs: Option<u32>,
    /// Of our first question.
    first: u32,
    /// Of our next question.
    next: u32,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    number: u32,
    since: Instant,
    tries: u32,
    due: Instant,
    wait: Duration,
}

/// What is to be done about a peer that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing now.
    NotYet,
    /// Ask with this number.
    Ask(u32),
    /// It counts as dead.
    Dead,
}

/// Whether a message cannot be an old one that somebody has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    MaybeOld,
}

impl Dpd {
    /// Numbers begin anywhere (RFC 3706 section 6.2: random), low enough to never wrap.
    pub(super) fn new(node: &mut Node) -> Self {
        let bytes = node.random_bytes(3);
        let next = bytes.iter().fold(1, |number, octet| number << 8 | u32::from(*octet));
        Self { theirs: None, first: next, next, asked: None }
    }

    /// Whether our question had to be sent again.
    pub(super) fn is_repeating(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.tries > 0)
    }

    /// The peer asks with this number: an older one is a replay, but harmless to answer.
    pub(super) fn asked_with(&mut self, number: u32) -> Freshness {
        // Both ends encrypt with the same keys: a question of ours comes back as well as one of the peer's.
        let ours = number.wrapping_sub(self.first) < self.next.wrapping_sub(self.first);
        if ours || self.theirs.is_some_and(|highest| number <= highest) {
            return Freshness::MaybeOld;
        }
        self.theirs = Some(number);
        Freshness::Fresh
    }

    /// The peer answers with this number.
    pub(super) fn answered_with(&mut self, number: u32) -> Freshness {
        if self.asked.as_ref().is_some_and(|asked| asked.number == number) {
            self.asked = None;
            return Freshness::Fresh;
        }
        Freshness::MaybeOld
    }

    /// The peer was heard otherwise: nobody need be asked.
    pub(super) fn heard(&mut self) {
        self.asked = None;
    }

    /// When [`Dpd::look`] has something to do, for a peer that was heard last at `heard`.
    pub(super) fn due(&self, heard: Instant, delay: Duration) -> Option<Instant> {
        if delay.is_zero() {
            return None;
        }
        // Whoever sends ESP lives, whether it answers or not.
        let asked = self.asked.as_ref().filter(|asked| heard <= asked.since);
        Some(asked.map_or(heard + delay, |asked| asked.due))
    }

    /// Begins to ask, with this number. `None`: the peer is being asked.
    pub(super) fn ask(&mut self, now: Instant, patience: &Patience) -> Option<u32> {
        if self.asked.is_some() {
            return None;
        }
        let (number, wait) = (self.next, patience.initial);
        self.next = self.next.wrapping_add(1);
        self.asked = Some(Asked { number, since: now, tries: 0, due: now + wait, wait });
        Some(number)
    }

    /// The number of the question under way.
    pub(super) fn asking(&self) -> Option<u32> {
        self.asked.as_ref().map(|asked| asked.number)
    }

    /// What is to be done now.
    pub(super) fn look(&mut self, now: Instant, heard: Instant, delay: Duration, patience: &Patience) -> Silence {
        if self.due(heard, delay).is_none_or(|due| due > now) {
            return Silence::NotYet;
        }
        self.asked.take_if(|asked| heard > asked.since);
        let Some(asked) = &mut self.asked else {
            return self.ask(now, patience).map_or(Silence::NotYet, Silence::Ask);
        };
        if asked.tries >= patience.tries {
            return Silence::Dead;
        }
        asked.tries += 1;
        asked.wait = patience.next(asked.wait);
        asked.due = now + asked.wait;
        Silence::Ask(asked.number)
    }
}

impl Established {
    /// The peer asks with this number whether we live.
    pub(super) fn dpd_asked(&mut self, number: u32) -> Freshness {
        self.dpd.asked_with(number)
    }

    /// The peer lives, says an answer with this number.
    pub(super) fn dpd_answered(&mut self, node: &mut Node, number: u32) -> Freshness {
        self.answers_suspicion(node, number);
        self.dpd.answered_with(number)
    }
}

/// R-U-THERE or its answer (RFC 3706 section 5.2).
pub(super) fn payload(kind: NotifyKind, cookies: Cookies, number: u32) -> Payload {
    let spi = [cookies.initiator.0.to_be_bytes(), cookies.responder.0.to_be_bytes()].concat();
    Payload::Notify(Notify { protocol: Protocol::Isakmp, spi, kind, data: number.to_be_bytes().to_vec() })
}

/// The number in one; `None` if it is not about this SA.
pub(super) fn number(notify: &Notify, cookies: Cookies) -> Option<u32> {
    let number = <[u8; 4]>::try_from(notify.data.as_slice()).ok()?;
    is_about(notify, cookies).then_some(u32::from_be_bytes(number))
}

/// Whether a notification is about this ISAKMP SA.
pub(super) fn is_about(notify: &Notify, cookies: Cookies) -> bool {
    notify.spi == [cookies.initiator.0.to_be_bytes(), cookies.responder.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_quiet_peer_is_asked_with_one_number_until_it_answers_or_counts_as_dead() {
        let patience = Patience { initial: Duration::from_secs(4), factor: 2.0, tries: 2 };
        let delay = Duration::from_secs(30);
        let mut dpd = Dpd { theirs: None, first: 7, next: 7, asked: None };
        assert_eq!(dpd.look(at(29), at(0), delay, &patience), Silence::NotYet);
        assert_eq!(dpd.look(at(30), at(0), delay, &patience), Silence::Ask(7));
        assert_eq!(dpd.look(at(34), at(0), delay, &patience), Silence::Ask(7));
        assert_eq!(dpd.answered_with(6), Freshness::MaybeOld);
        assert_eq!(dpd.answered_with(7), Freshness::Fresh);
        assert_eq!(dpd.answered_with(7), Freshness::MaybeOld);
        for (second, expected) in
            [(64, Silence::Ask(8)), (68, Silence::Ask(8)), (76, Silence::Ask(8)), (92, Silence::Dead)]
        {
            assert_eq!(dpd.look(at(second), at(34), delay, &patience), expected);
        }
    }

    #[test]
    fn a_question_of_our_own_that_comes_back_proves_nothing() {
        let patience = Patience { initial: Duration::from_secs(4), factor: 2.0, tries: 2 };
        let delay = Duration::from_secs(30);
        let mut dpd = Dpd { theirs: None, first: u32::MAX, next: u32::MAX, asked: None };
        for (heard, number) in [(0, u32::MAX), (30, 0)] {
            assert_eq!(dpd.look(at(heard + 30), at(heard), delay, &patience), Silence::Ask(number));
            assert_eq!(dpd.asked_with(number), Freshness::MaybeOld);
            assert_eq!(dpd.answered_with(number), Freshness::Fresh);
        }
        assert_eq!(dpd.asked_with(1), Freshness::Fresh);
    }

    #[test]
    fn only_a_higher_number_proves_that_a_question_is_new() {
        let mut dpd = Dpd { theirs: None, first: 7, next: 7, asked: None };
        let asked = [5, 5, 4, 6].map(|number| dpd.asked_with(number));
        assert_eq!(asked, [Freshness::Fresh, Freshness::MaybeOld, Freshness::MaybeOld, Freshness::Fresh]);
    }
}
