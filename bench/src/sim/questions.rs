//! Which requests were never answered: the only thing that explains that a session ended by itself.
//!
//! It sees what anybody on the way sees, headers and no more (RFC 7296 section 3.1).

use super::host::HostId;
use adit_control::ike::wire::{Exchange, Header};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;

/// All requests without an answer that arrived.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// By who asked.
    open: BTreeMap<HostId, BTreeMap<Question, Asked>>,
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
}

impl Questions {
    /// A message leaves `from` for `to`, if anybody is there.
    pub(crate) fn sent(&mut self, now: Instant, from: HostId, to: Option<HostId>, header: &Header) {
        if header.flags.response {
            return;
        }
        let asked = self.open.entry(from).or_default().entry(question(header, header.flags.initiator));
        let asked = asked.or_insert(Asked { of: to, exchange: header.exchange, times: 0, last: now });
        asked.of = asked.of.or(to);
        asked.times += 1;
        asked.last = now;
    }

    /// A message arrives.
    pub(crate) fn arrived(&mut self, at: HostId, header: &Header) {
        if !header.flags.response {
            return;
        }
        if let Some(open) = self.open.get_mut(&at) {
            open.remove(&question(header, !header.flags.initiator));
        }
    }

    /// It is switched off, and with it all that it wanted to know.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.open.remove(&host);
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

    /// Whether one end asked the other `times` or more and never got an answer.
    pub(crate) fn unanswered(&self, one: HostId, other: HostId, times: u32) -> bool {
        let asked_in_vain = |from, of| {
            let open = self.open.get(&from);
            open.is_some_and(|open| open.values().any(|asked| asked.of == Some(of) && asked.times >= times))
        };
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
        assert!(questions.unanswered(headend, client, 3) && !questions.unanswered(client, headend, 4));
        assert!(!questions.unanswered(HostId(2), headend, 1));
        // Not the answer: another message, the headend's own question with the same number, its answer elsewhere.
        questions.arrived(client, &header(false, true, 4));
        questions.arrived(client, &header(false, false, 5));
        questions.arrived(headend, &header(true, true, 5));
        assert!(questions.unanswered(client, headend, 3));
        questions.arrived(client, &header(false, true, 5));
        assert!(!questions.unanswered(client, headend, 1));
    }
}
