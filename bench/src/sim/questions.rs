//! Which requests were never answered: the only thing that explains that a session ended by itself.
//!
//! It sees what anybody on the way sees: headers, and whether a message is sealed (RFC 7296 section 3.1). What comes
//! back in the clear is no answer, for anybody can send it; but it says that its sender has lost the IKE SA (section
//! 2.21.4), and that has to be explained in turn.

use super::datagram::Wrapping;
use super::host::HostId;
use adit_control::ike::wire::{Exchange, Header};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// All requests without an answer that arrived.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// By who asked.
    open: BTreeMap<HostId, BTreeMap<Question, Asked>>,
    /// When the first message of an IKE SA first reached the headend, by who sent it and its SPI.
    half_open: BTreeMap<(HostId, u64), Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    spi_i: u64,
    message_id: u32,
    /// Both ends count their requests from 0.
    by_initiator: bool,
}

/// One that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    of: Option<HostId>,
    exchange: Exchange,
    times: u32,
    last: Instant,
    /// When it first got there.
    reached: Option<Instant>,
    /// Whether it has been told that there is no such IKE SA.
    sa_there: SaThere,
}

/// What an end has heard of the other's IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SaThere {
    NothingHeard,
    Denied,
}

/// How often and since when one end must have asked in vain, to be excused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InVain {
    pub(crate) times: u32,
    /// What was asked before that is about an earlier session.
    pub(crate) since: Instant,
    /// A first message is forgotten after so long, and whoever comes then comes too late.
    pub(crate) half_open: Duration,
}

impl Questions {
    /// A message leaves `from` for `to`, if anybody is there.
    pub(crate) fn sent(&mut self, now: Instant, from: HostId, to: Option<HostId>, header: &Header) {
        if header.flags.response {
            return;
        }
        let asked = self.open.entry(from).or_default().entry(question(header, header.flags.initiator));
        let sa_there = SaThere::NothingHeard;
        let exchange = header.exchange;
        let asked = asked.or_insert(Asked { of: to, exchange, times: 0, last: now, reached: None, sa_there });
        asked.of = asked.of.or(to);
        asked.times += 1;
        asked.last = now;
    }

    /// A message of `from` arrives.
    pub(crate) fn arrived(&mut self, now: Instant, from: HostId, at: HostId, header: &Header, wrapping: Wrapping) {
        if !header.flags.response {
            if header.exchange == Exchange::IkeSaInit {
                self.half_open.entry((from, header.initiator_spi.0)).or_insert(now);
            }
            let open = self.open.get_mut(&from);
            if let Some(asked) = open.and_then(|open| open.get_mut(&question(header, header.flags.initiator))) {
                asked.reached.get_or_insert(now);
            }
            return;
        }
        let Some(open) = self.open.get_mut(&at) else { return };
        let question = question(header, !header.flags.initiator);
        match (header.exchange, wrapping) {
            (Exchange::IkeSaInit, _) | (_, Wrapping::Sealed) => {
                open.remove(&question);
            }
            (Exchange::IkeAuth | Exchange::CreateChildSa | Exchange::Informational, Wrapping::Clear) => {
                if let Some(asked) = open.get_mut(&question) {
                    asked.sa_there = SaThere::Denied;
                }
            }
        }
    }

    /// It is switched off, and with it all that it wanted to know.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.open.remove(&host);
        self.half_open.retain(|(from, _), _| *from != host);
    }

    /// How many questions of this kind an end may still be waiting for the answer to: asked, perhaps again, since then.
    pub(crate) fn waiting(&self, from: HostId, exchange: Exchange, since: Instant) -> usize {
        let open = self.open.get(&from).into_iter().flat_map(BTreeMap::values);
        open.filter(|asked| asked.exchange == exchange && asked.last >= since).count()
    }

    /// How often `from` has asked `of` an open question of this kind; 0 if there is none.
    pub(crate) fn asked(&self, from: HostId, of: HostId, exchange: Exchange) -> u32 {
        let open = self.open.get(&from).into_iter().flat_map(BTreeMap::values);
        let such = open.filter(|asked| asked.exchange == exchange && asked.of == Some(of));
        such.map(|asked| asked.times).max().unwrap_or_default()
    }

    /// Whether one end asked the other so often and never got an answer. If it was told instead that there is no such
    /// IKE SA, the other must have had a reason to drop it: its own question in vain, or a login that came too late.
    pub(crate) fn unanswered(&self, one: HostId, other: HostId, in_vain: InVain) -> bool {
        let InVain { times, since, half_open } = in_vain;
        let too_late = |from: HostId, question: &Question, asked: &Asked| {
            let began = self.half_open.get(&(from, question.spi_i));
            let pair = began.zip(asked.reached).filter(|_| asked.exchange == Exchange::IkeAuth);
            pair.is_some_and(|(began, came)| *began + half_open <= came)
        };
        let excused = |from: HostId, of: HostId, (question, asked): (&Question, &Asked)| {
            let in_vain = asked.of == Some(of) && asked.times >= times && asked.last >= since;
            in_vain && (asked.sa_there == SaThere::NothingHeard || too_late(from, question, asked))
        };
        let asked_in_vain =
            |from, of| self.open.get(&from).is_some_and(|open| open.iter().any(|question| excused(from, of, question)));
        asked_in_vain(one, other) || asked_in_vain(other, one)
    }
}

fn question(header: &Header, by_initiator: bool) -> Question {
    Question { spi_i: header.initiator_spi.0, message_id: header.message_id, by_initiator }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_control::ike::wire::{Flags, IkeSpi};

    const HALF_OPEN: Duration = Duration::from_secs(30);

    fn header(initiator: bool, response: bool, message_id: u32) -> Header {
        let flags = Flags { initiator, response };
        let (initiator_spi, responder_spi) = (IkeSpi(7), IkeSpi(8));
        Header { initiator_spi, responder_spi, exchange: Exchange::Informational, flags, message_id }
    }

    #[test]
    fn a_question_is_open_until_its_own_answer_arrives() {
        let (client, headend) = (HostId(1), HostId::HEADEND);
        let mut questions = Questions::default();
        for second in 0..3 {
            let now = Instant::from_nanos(second);
            questions.sent(now, client, Some(headend), &header(true, false, 5));
        }
        let waiting = |since, exchange| questions.waiting(client, exchange, Instant::from_nanos(since));
        assert_eq!([waiting(2, Exchange::Informational), waiting(3, Exchange::Informational)], [1, 0]);
        assert_eq!(waiting(0, Exchange::IkeAuth), 0);
        let asked = |of| questions.asked(client, of, Exchange::Informational);
        assert_eq!((asked(headend), asked(client)), (3, 0));
        let in_vain = |times, since| InVain { times, since: Instant::from_nanos(since), half_open: HALF_OPEN };
        assert!(questions.unanswered(headend, client, in_vain(3, 2)));
        assert!(!questions.unanswered(client, headend, in_vain(4, 0)));
        assert!(!questions.unanswered(client, headend, in_vain(3, 3)), "that was about an earlier session");
        assert!(!questions.unanswered(HostId(2), headend, in_vain(1, 0)));
        // Not the answer: another message, the headend's own question with the same number, its answer elsewhere.
        let now = Instant::from_nanos(9);
        questions.arrived(now, headend, client, &header(false, true, 4), Wrapping::Sealed);
        questions.arrived(now, headend, client, &header(false, false, 5), Wrapping::Sealed);
        questions.arrived(now, client, headend, &header(true, true, 5), Wrapping::Sealed);
        assert!(questions.unanswered(client, headend, in_vain(3, 0)));
        questions.arrived(now, headend, client, &header(false, true, 5), Wrapping::Sealed);
        assert!(!questions.unanswered(client, headend, in_vain(1, 0)));
    }

    /// Tells whether a login is excused that was asked for in vain, reached the headend so long after the first message,
    /// and was told in the clear that there is no such IKE SA.
    fn late_login_is_excused(exchange: Exchange, after: Duration) -> bool {
        let (client, headend, began) = (HostId(1), HostId::HEADEND, Instant::from_nanos(7));
        let of = |exchange, response: bool| Header { exchange, ..header(!response, response, 1) };
        let mut questions = Questions::default();
        questions.arrived(began, client, headend, &of(Exchange::IkeSaInit, false), Wrapping::Clear);
        questions.sent(began, client, Some(headend), &of(exchange, false));
        questions.arrived(began + after, client, headend, &of(exchange, false), Wrapping::Sealed);
        questions.arrived(began + after * 2, client, headend, &of(exchange, false), Wrapping::Sealed);
        let in_vain = InVain { times: 1, since: began, half_open: HALF_OPEN };
        assert!(questions.unanswered(client, headend, in_vain));
        questions.arrived(began + after * 2, headend, client, &of(exchange, true), Wrapping::Clear);
        assert_eq!(questions.waiting(client, exchange, began), 1, "it is still waiting for the answer");
        questions.unanswered(client, headend, in_vain)
    }

    #[test]
    fn an_answer_in_the_clear_is_none_and_excuses_nothing_but_a_login_that_came_too_late() {
        assert!(late_login_is_excused(Exchange::IkeAuth, HALF_OPEN));
        assert!(!late_login_is_excused(Exchange::IkeAuth, HALF_OPEN - Duration::from_millis(1)));
        assert!(!late_login_is_excused(Exchange::Informational, HALF_OPEN));
    }
}
