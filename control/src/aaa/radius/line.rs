//! The line to one port of one server: 256 identifiers, requests that wait for their answers, and whether anybody is
//! there at all.

use super::packet::{NoAnswer, Request, Response};
use crate::config::checked::RadiusServer;
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A request under way, and whose it is.
#[derive(Debug)]
struct Sent<J> {
    job: J,
    request: Request,
    first: Instant,
    next: Instant,
    tries_left: u32,
}

/// What happened on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCounters {
    /// Requests, each once.
    pub requests: u64,
    /// Requests sent again.
    pub repeats: u64,
    /// Answers.
    pub answers: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Packets that were no answers, or not good ones.
    pub ignored: u64,
}

/// The line to one port of one server.
#[derive(Debug)]
pub(in super::super) struct Line<J> {
    pub(in super::super) to: SocketAddr,
    server: RadiusServer,
    sent: BTreeMap<u8, Sent<J>>,
    next_identifier: u8,
    heard: Option<Instant>,
    dead: Option<Dead>,
    pub(in super::super) counters: LineCounters,
}

impl<J> Line<J> {
    pub(in super::super) fn new(to: SocketAddr, server: RadiusServer) -> Self {
        Self {
            to,
            server,
            sent: BTreeMap::new(),
            next_identifier: 0,
            heard: None,
            dead: None,
            counters: LineCounters::default(),
        }
    }

    pub(in super::super) fn server(&self) -> &RadiusServer {
        &self.server
    }

    /// Whether it is known not to answer.
    pub(in super::super) fn is_dead(&self, now: Instant) -> bool {
        self.dead.is_some_and(|dead| now < dead.until)
    }

    /// What is known of it. If there is somebody who is asked `before` it and answers, nobody asks it any more; then what was found out once is soon no news.
    pub(in super::super) fn standing(&self, now: Instant, before: Before) -> Standing {
        match (self.dead, before) {
            (None, Before::Nobody | Before::Somebody) => Standing::Ready,
            (Some(dead), Before::Somebody) if now >= dead.until => Standing::Unknown,
            (Some(_), Before::Nobody | Before::Somebody) => Standing::Dead,
        }
    }

    /// Requests under way.
    pub(in super::super) fn waiting(&self) -> usize {
        self.sent.len()
    }

    /// An identifier that no request under way has: the one that was used longest ago, so that a late answer finds
    /// nobody. `None` if all 256 wait.
    pub(in super::super) fn identifier(&mut self) -> Option<u8> {
        let order = (0..=u8::MAX).map(|step| self.next_identifier.wrapping_add(step));
        let free = order.into_iter().find(|identifier| !self.sent.contains_key(identifier))?;
        self.next_identifier = free.wrapping_add(1);
        Some(free)
    }

    /// Whether [`Line::identifier`] would find one.
    pub(in super::super) fn has_room(&self) -> bool {
        self.sent.len() <= usize::from(u8::MAX)
    }

    /// Remembers a request that has just been written with an identifier of ours, and gives the octets to send.
    pub(in super::super) fn send(&mut self, now: Instant, identifier: u8, job: J, request: Request) -> Vec<u8> {
        let octets = request.octets.clone();
        let tries_left = self.server.tries.saturating_sub(1);
        let next = now + self.server.timeout;
        self.sent.insert(identifier, Sent { job, request, first: now, next, tries_left });
        self.counters.requests += 1;
        octets
    }

    /// What has come in. The job leaves the line only with a good answer: a bad one may be anybody's.
    pub(in super::super) fn receive<'a>(
        &mut self,
        now: Instant,
        octets: &'a [u8],
        good: impl FnOnce(&J, &Response<'_>) -> Good,
    ) -> Option<(J, Response<'a>)> {
        let identifier = *octets.get(1)?;
        let response = match self.sent.get(&identifier) {
            None => Err(NoAnswer::Unasked),
            Some(sent) => sent.request.answer(octets, &self.server.secret, self.server.signature),
        };
        let response = match response {
            Ok(response) => response,
            Err(NoAnswer::Unasked) => {
                // A repeated request is answered twice, too.
                self.counters.ignored += 1;
                return None;
            }
            Err(error) => {
                self.counters.ignored += 1;
                tracing::warn!(server = %self.to, "a RADIUS answer is ignored: {error}");
                return None;
            }
        };
        match self.sent.get(&identifier).map(|sent| good(&sent.job, &response)) {
            Some(Good::Yes) => {}
            Some(Good::No(why)) => {
                self.counters.ignored += 1;
                tracing::warn!(server = %self.to, "a RADIUS answer is ignored: {why}");
                return None;
            }
            None => return None,
        }
        let sent = self.sent.remove(&identifier)?;
        self.counters.answers += 1;
        self.heard = Some(now);
        if self.dead.take().is_some() {
            tracing::info!(server = %self.to, "the RADIUS server answers again");
        }
        Some((sent.job, response))
    }

    /// When [`Line::handle_timeout`] wants to be called.
    pub(in super::super) fn poll_timeout(&self) -> Option<Instant> {
        self.sent.values().map(|sent| sent.next).min()
    }

    /// Sends again what is due; what was sent often enough comes back, and what has somebody else to go to sooner if nobody is here.
    pub(in super::super) fn handle_timeout(
        &mut self,
        now: Instant,
        elsewhere: impl Fn(&J) -> bool,
        mut send: impl FnMut(Vec<u8>),
    ) -> Vec<J> {
        let mut over = Vec::new();
        for (identifier, sent) in &mut self.sent {
            if sent.next > now {
                continue;
            }
            // What was sent before the server was found dead does not wait for its last try: others are asked sooner. Where there are none it waits: one
            // user who does not answer what the server asks makes it look dead, too.
            let found_dead = self.dead.is_some_and(|dead| sent.first < dead.since);
            if sent.tries_left == 0 || found_dead && elsewhere(&sent.job) {
                over.push(*identifier);
                continue;
            }
            sent.tries_left -= 1;
            sent.next = now + self.server.timeout;
            self.counters.repeats += 1;
            send(sent.request.octets.clone());
        }
        over.into_iter().filter_map(|identifier| self.expire(now, identifier)).collect()
    }

    /// Takes out the requests that `over` says nobody waits for any more. Nobody answered them, and who has been asked for `long` and has
    /// said nothing since does not answer.
    pub(in super::super) fn forget(&mut self, now: Instant, long: Duration, over: impl Fn(&J) -> bool) {
        let identifiers = self.sent.iter().filter(|(_, sent)| over(&sent.job)).map(|(identifier, _)| *identifier);
        for identifier in identifiers.collect::<Vec<_>>() {
            let Some(sent) = self.sent.remove(&identifier) else { continue };
            self.counters.unanswered += 1;
            if now.since(sent.first) >= long {
                self.not_heard(now, sent.first);
            }
        }
    }

    fn expire(&mut self, now: Instant, identifier: u8) -> Option<J> {
        let sent = self.sent.remove(&identifier)?;
        self.counters.unanswered += 1;
        self.not_heard(now, sent.first);
        Some(sent.job)
    }

    /// What was sent then has no answer.
    fn not_heard(&mut self, now: Instant, first: Instant) {
        // A server that answers others refuses to talk about this one only, which anybody can make it do.
        if self.heard.is_none_or(|heard| heard < first) {
            let since = self.dead.map_or(now, |dead| dead.since);
            if self.dead.is_none() {
                let seconds = self.server.dead_time.as_secs();
                tracing::warn!(server = %self.to, "the RADIUS server does not answer; it is passed over for {seconds} s");
            }
            self.dead = Some(Dead { since, until: now + self.server.dead_time });
        }
    }
}

/// A server that did not answer.
#[derive(Debug, Clone, Copy)]
struct Dead {
    since: Instant,
    until: Instant,
}

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// It answers, as far as anybody knows.
    Ready,
    /// It did not answer when it was asked last.
    Dead,
    /// That was long ago, and nobody has asked it since.
    Unknown,
}

/// Whether a server that is asked before this one answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Before {
    Nobody,
    Somebody,
}

/// Whether an answer is one, for whoever asked.
pub(in super::super) enum Good {
    /// It is.
    Yes,
    /// It is not, and why.
    No(&'static str),
}

#[cfg(test)]
mod tests {
    use super::super::packet::Builder;
    use super::super::packet::tests::{Sign, respond, secret};
    use super::*;
    use crate::aaa::testing::server;
    use std::collections::BTreeSet;

    const START: Instant = Instant::from_nanos(1_000_000_000_000);

    fn line() -> Line<u32> {
        Line::new("192.0.2.9:1813".parse().unwrap(), RadiusServer { secret: secret(), ..server() })
    }

    fn ask(line: &mut Line<u32>, now: Instant, job: u32) -> Option<Vec<u8>> {
        let identifier = line.identifier()?;
        let request = Builder::accounting(identifier).seal(&secret());
        Some(line.send(now, identifier, job, request))
    }

    #[test]
    fn each_of_256_requests_has_an_identifier_of_its_own_and_no_more_fit() {
        let mut line = line();
        let identifiers: BTreeSet<u8> = (0..256).map(|job| ask(&mut line, START, job).unwrap()[1]).collect();
        assert_eq!(identifiers.len(), 256);
        assert_eq!(ask(&mut line, START, 256), None);
        line.forget(START, Duration::from_secs(1), |job| *job == 77);
        assert!(!line.is_dead(START), "it had no time");
        assert_eq!(ask(&mut line, START, 256).unwrap()[1], 77);
    }

    #[test]
    fn an_identifier_comes_back_only_after_all_others() {
        let mut line = line();
        for round in 0..600_u32 {
            let octets = ask(&mut line, START, round).unwrap();
            assert_eq!(u32::from(octets[1]), round % 256);
            let answer = respond(&octets, 5, &[], Sign::No, &secret());
            assert_eq!(line.receive(START, &answer, |_, _| Good::Yes).unwrap().0, round);
            assert!(line.receive(START, &answer, |_, _| Good::Yes).is_none(), "an answer counts once");
        }
    }

    #[test]
    fn a_request_is_repeated_octet_for_octet_and_then_given_up() {
        let mut line = line();
        let first = ask(&mut line, START, 1).unwrap();
        let mut repeats = Vec::new();
        let (now, over) = loop {
            let now = line.poll_timeout().unwrap();
            let over = line.handle_timeout(now, |_| true, |octets| repeats.push(octets));
            if !over.is_empty() {
                break (now, over);
            }
        };
        assert_eq!(repeats, vec![first; 2]);
        assert_eq!(now, START + server().timeout * 3);
        assert_eq!(over, [1]);
        assert!(line.is_dead(now));
        assert!(!line.is_dead(now + server().dead_time));
        assert_eq!(line.poll_timeout(), None);
    }

    #[test]
    fn a_server_that_answers_others_is_not_dead() {
        let mut line = line();
        ask(&mut line, START, 1).unwrap();
        let second = ask(&mut line, START, 2).unwrap();
        let later = START + Duration::from_millis(1);
        line.receive(later, &respond(&second, 5, &[], Sign::No, &secret()), |_, _| Good::Yes).unwrap();
        let mut over = Vec::new();
        while let Some(now) = line.poll_timeout() {
            over.extend(line.handle_timeout(now, |_| true, |_| {}));
        }
        assert_eq!(over, [1]);
        assert!(line.dead.is_none());
    }

    #[test]
    fn a_bad_answer_leaves_the_request_where_it_is() {
        let mut line = line();
        let octets = ask(&mut line, START, 1).unwrap();
        let forged = respond(&octets, 5, &[], Sign::No, &b"guess"[..].into());
        assert!(line.receive(START, &forged, |_, _| Good::Yes).is_none());
        let good = respond(&octets, 5, &[], Sign::No, &secret());
        assert!(line.receive(START, &good, |_, _| Good::No("a test says so")).is_none());
        assert!(line.receive(START, &good, |_, _| Good::Yes).is_some());
        assert_eq!((line.counters.ignored, line.counters.answers), (2, 1));
    }

    #[test]
    fn an_answer_brings_a_dead_server_back() {
        let mut line = line();
        ask(&mut line, START, 1).unwrap();
        while let Some(now) = line.poll_timeout() {
            line.handle_timeout(now, |_| true, |_| {});
        }
        let now = START + Duration::from_secs(20);
        assert!(line.is_dead(now));
        let octets = ask(&mut line, now, 2).unwrap();
        line.receive(now, &respond(&octets, 5, &[], Sign::No, &secret()), |_, _| Good::Yes).unwrap();
        assert!(!line.is_dead(now));
    }
}
