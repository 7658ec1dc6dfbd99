//! Sessions by IKEv1.

use super::users::UserKey;
use super::{Engine, Stage, StageV1};
use crate::aaa::Answer;
use crate::ike::counters::Ignored;
use crate::ike::login_times::LoginPhase;
use crate::ike::service::{Arrival, CallFailed, Farewell, Origin, Stranger, TimerKey, Version};
use crate::ike::v1::wire::{Exchange, Header, parse, parse_header};
use crate::ike::v1::{
    Asked, Claim, Established, First, HalfOpen, Login, LoginStep, Proven, Refused, Rest, Standing, Step, User, Verdict,
    respond, tell_refused,
};
use crate::ike::wire::{IkeSpi, limits};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{IkeDatagram, WorkerId};
use adit_dataplane::time::Instant;

impl Engine {
    /// AAA has answered.
    pub fn handle_answer(&mut self, now: Instant, answer: Answer) {
        let Some(id) = self.node.asker(answer.id) else { return };
        let _span = tracing::info_span!("session", session = %id).entered();
        // Otherwise it has given up meanwhile.
        if let Some(Stage::V1(StageV1::Login(login))) = self.sessions.get_mut(&id) {
            login.judged(now, &mut self.node, answer);
            self.node.timers.set(TimerKey::Session(id), Some(login.deadline()));
        }
    }

    /// A datagram with major version 1.
    pub(super) fn datagram_v1(&mut self, now: Instant, worker: WorkerId, datagram: &IkeDatagram) {
        let Ok(header) = parse_header(&datagram.bytes) else { return self.node.ignore(Ignored::Malformed) };
        // A responder that refuses our first message has no cookie either.
        let ours = self.node.session_of(header.initiator_cookie);
        if header.responder_cookie == IkeSpi::default() && ours.is_none() {
            return self.first_contact_v1(now, worker, datagram, header);
        }
        // Nothing in the header says who is who: ours is the one that we have given out.
        let ours = [header.responder_cookie, header.initiator_cookie];
        let Some(id) = ours.into_iter().find_map(|cookie| self.node.session_of(cookie)) else {
            return self.after_the_end_v1(worker, datagram, ours);
        };
        let _span = tracing::info_span!("session", session = %id).entered();
        match self.sessions.remove(&id) {
            Some(Stage::V1(StageV1::HalfOpen(half))) => {
                let step = half.handle(now, &mut self.node, datagram);
                self.settle_step(now, step);
            }
            Some(Stage::V1(StageV1::Login(login))) => {
                let step = login.handle(now, &mut self.node, datagram);
                self.settle_login(now, step);
            }
            Some(Stage::V1(StageV1::Established(session))) => self.message_v1(now, session, datagram),
            Some(Stage::V1(StageV1::Calling(calling))) => {
                let step = calling.handle(now, &mut self.node, datagram);
                self.settle_call_v1(now, step);
            }
            Some(Stage::V1(StageV1::Entering(entering))) => {
                let step = entering.handle(now, &mut self.node, datagram);
                self.settle_enter_v1(now, step);
            }
            Some(
                other @ (Stage::HalfOpen(_)
                | Stage::Calling(_)
                | Stage::Proving(_)
                | Stage::Established(_)
                | Stage::Closing(_)),
            ) => {
                self.sessions.insert(id, other);
                self.node.ignore(Ignored::OtherVersion);
            }
            None => self.node.ignore(Ignored::UnknownSpi),
        }
    }

    fn first_contact_v1(&mut self, now: Instant, worker: WorkerId, datagram: &IkeDatagram, header: Header) {
        match header.exchange {
            Exchange::MainMode | Exchange::Aggressive => {}
            Exchange::Informational | Exchange::Transaction | Exchange::QuickMode => {
                return self.node.ignore(Ignored::UnexpectedExchange);
            }
        }
        if datagram.bytes.len() > limits::MAX_FIRST_MESSAGE {
            return self.node.ignore(Ignored::TooLong);
        }
        let arrival = Arrival { version: Version::V1, spi_i: header.initiator_cookie, source: datagram.path.peer };
        if let Some(id) = self.arrivals.find(&arrival) {
            // The same question gets the same answer, and makes no second state.
            let asked = match self.sessions.get_mut(&id) {
                Some(Stage::V1(StageV1::HalfOpen(half))) => half.repeat(&mut self.node, datagram),
                Some(_) | None => Asked::New,
            };
            return match asked {
                Asked::Before => {}
                Asked::New => self.node.ignore(Ignored::SpiTaken),
            };
        }
        // Who has begun before may go on.
        if let Err(reason) = self.lets_in(now, datagram.path.peer.ip()) {
            return self.node.ignore(reason);
        }
        if let Err(full) = self.arrivals.room(&arrival) {
            return self.node.ignore(full);
        }
        let Ok(incoming) = parse(&datagram.bytes) else { return self.node.ignore(Ignored::Malformed) };
        let id = SessionId(self.next_id);
        let _span = tracing::info_span!("session", session = %id).entered();
        match respond(First { now, id, worker, datagram, arrival }, &mut self.node, &incoming) {
            Ok(half) => {
                tracing::debug!(peer = %datagram.path.peer, exchange = header.exchange.name(), "half-open");
                self.next_id = self.unused_id(self.next_id);
                self.arrivals.came(arrival, id);
                self.keep_half_open_v1(Box::new(half));
            }
            Err(Refused::Silence(reason)) => self.node.ignore(reason),
            Err(Refused::Answer { cause, kind, offered, wanted }) => {
                let bytes = tell_refused(&incoming, kind);
                match self.node.error_budget.take(now, datagram.path.peer.ip()) {
                    Ok(()) if bytes.len() <= datagram.bytes.len() => {
                        self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
                    }
                    Ok(()) => self.node.ignore(Ignored::WouldAmplify),
                    Err(_spent) => self.node.ignore(Ignored::Unanswered),
                }
                self.node.counters.refusals += 1;
                self.node.tell_refusal(now, Stranger::at(datagram.path.peer), cause);
                if let Some(unsaid) = self.node.log_budget.take(now) {
                    tracing::warn!(cause = cause.name(), peer = %datagram.path.peer, offered, wanted, ike = "v1", unsaid,
                        "login refused: {}", cause.sentence());
                }
            }
        }
    }

    /// A delete of ours may have been lost; who goes on is told again.
    fn after_the_end_v1(&mut self, worker: WorkerId, datagram: &IkeDatagram, cookies: [IkeSpi; 2]) {
        let farewells = &mut self.node.farewells;
        let mut answers = |cookie: &IkeSpi| farewells.answer(*cookie, &datagram.bytes).map(<[u8]>::to_vec);
        match cookies.iter().find_map(&mut answers) {
            Some(bytes) if bytes.len() <= datagram.bytes.len() => {
                self.node.counters.answered_again += 1;
                self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
            }
            Some(_) => self.node.ignore(Ignored::WouldAmplify),
            None => self.node.ignore(Ignored::UnknownSpi),
        }
    }

    fn keep_half_open_v1(&mut self, half: Box<HalfOpen>) {
        let deadline = half.begun.since + self.node.config.ike.half_open_timeout;
        self.node.timers.set(TimerKey::Session(half.begun.id), Some(deadline));
        self.sessions.insert(half.begun.id, Stage::V1(StageV1::HalfOpen(half)));
    }

    /// After every message in phase 1.
    fn settle_step(&mut self, now: Instant, step: Step) {
        let mut proven = match step {
            Step::Waits(half) => return self.keep_half_open_v1(half),
            Step::Proven(proven) => *proven,
        };
        let next = match proven.user {
            User::Asked => LoginPhase::Xauth,
            User::NotAsked => LoginPhase::ModeConfig,
        };
        proven.clock.next(now, &mut self.node.counters.login_times, next);
        if proven.standing == Standing::Known && !self.may_wait(now, &proven) {
            return self.proven_ends(&proven);
        }
        match proven.user {
            User::Asked => match Login::begin(now, &mut self.node, proven) {
                Ok(login) => self.settle_login(now, LoginStep::Waits(Box::new(login))),
                Err(proven) => self.proven_ends(&proven),
            },
            User::NotAsked => {
                let session = Established::begin(now, &mut self.node, proven, None);
                self.begin_v1(now, session);
            }
        }
    }

    /// It is not half-open any more, and no session yet: it may come back for one that is here, or take the place of one
    /// ([`Engine::admit_v1`]). Whether one more may wait for that. The client hears nothing of it.
    fn may_wait(&mut self, now: Instant, proven: &Proven) -> bool {
        self.arrivals.no_longer_half_open(&proven.arrival);
        let Err(limit) = self.arrivals.waits(proven.arrival) else { return true };
        self.node.counters.refusals += 1;
        self.node.tell_refusal(now, proven.stranger(), Cause::SessionLimit);
        if let Some(unsaid) = self.node.log_budget.take(now) {
            let wanted = format!("fewer than {limit} logins under way");
            tracing::warn!(cause = Cause::SessionLimit.name(), identity = %proven.identity, wanted, unsaid,
                "login refused: {}", Cause::SessionLimit.sentence());
        }
        false
    }

    /// After every event in a user's login.
    fn settle_login(&mut self, now: Instant, step: LoginStep) {
        match step {
            LoginStep::Waits(login) => {
                let id = login.proven.id;
                self.node.timers.set(TimerKey::Session(id), Some(login.deadline()));
                self.sessions.insert(id, Stage::V1(StageV1::Login(login)));
            }
            LoginStep::In(mut proven, user, rest) => {
                if proven.standing == Standing::HalfOpen {
                    proven.standing = Standing::Known;
                    if !self.may_wait(now, &proven) {
                        let goodbye = proven.goodbye(&mut self.node);
                        return self.told_off(now, &proven, goodbye);
                    }
                }
                proven.clock.next(now, &mut self.node.counters.login_times, LoginPhase::ModeConfig);
                let session = Established::begin(now, &mut self.node, *proven, Some(user));
                let id = self.begin_v1(now, session);
                match rest {
                    Rest::Done => {}
                    Rest::ForSession(message) => {
                        if let Some(Stage::V1(StageV1::Established(session))) = self.sessions.remove(&id) {
                            self.message_v1(now, session, &message);
                        }
                    }
                }
            }
            LoginStep::Over(login, cause, goodbye) => {
                if !login.is_told_of() {
                    self.node.tell_refusal(now, login.proven.stranger(), cause);
                }
                tracing::info!(cause = cause.name(), peer = %login.proven.path.peer,
                    identity = %login.proven.identity, "login failed: {}", cause.sentence());
                self.login_ends(now, &login, goodbye);
            }
        }
    }

    fn login_ends(&mut self, now: Instant, login: &Login, goodbye: Option<Vec<u8>>) {
        match goodbye {
            Some(bytes) => self.told_off(now, &login.proven, bytes),
            None => self.proven_ends(&login.proven),
        }
    }

    /// It ends, and its client hears `goodbye` again if it goes on.
    fn told_off(&mut self, now: Instant, proven: &Proven, goodbye: Vec<u8>) {
        self.proven_ends(proven);
        self.node.keep_farewell(now, Farewell::to_anything(proven.sa.spi(), goodbye));
    }

    fn proven_ends(&mut self, proven: &Proven) {
        match proven.standing {
            Standing::HalfOpen => self.arrivals.no_longer_half_open(&proven.arrival),
            Standing::Known => {}
        }
        self.arrivals.left(&proven.arrival);
        proven.let_go(&mut self.node);
        self.node.forget_ike_spi(proven.sa.spi());
        self.node.timers.set(TimerKey::Session(proven.id), None);
    }

    /// A login is complete. Comes back: the session that it is in from now on.
    fn begin_v1(&mut self, now: Instant, session: Established) -> SessionId {
        let key = UserKey::of(&session);
        self.by_user.entry(key.clone()).or_default().insert(session.peer.id);
        let mut session = Box::new(session);
        if let Some(older) = self.renewed(&key, &session)
            && let Some(Stage::V1(StageV1::Established(mut older))) = self.sessions.remove(&older)
        {
            self.hand_over(now, &key, &mut older, *session);
            session = older;
        }
        session.tell_life_time(now, &mut self.node);
        let id = session.peer.id;
        self.settle_v1(now, session, Verdict::Stay);
        id
    }

    /// The session whose client has logged in anew and will ask for nothing: the one that comes along the very same path,
    /// or, where a NAT has given it another port meanwhile, the user's only one from that address.
    fn renewed(&self, key: &UserKey, newer: &Established) -> Option<SessionId> {
        if !newer.logs_in_anew() {
            return None;
        }
        let others = self.by_user.get(key)?.iter().filter(|id| **id != newer.peer.id);
        let paths = others.filter_map(|id| match self.sessions.get(id) {
            Some(Stage::V1(StageV1::Established(older)))
                if older.has_service() && !older.peer.closed.bars(newer.peer.framing) =>
            {
                Some((*id, older.peer.path))
            }
            Some(_) | None => None,
        });
        let there: Vec<_> = paths.filter(|(_, path)| path.peer.ip() == newer.peer.path.peer.ip()).collect();
        let same = there.iter().find(|(_, path)| *path == newer.peer.path);
        match (same, &there[..]) {
            (Some((id, _)), _) | (None, [(id, _)]) => Some(*id),
            (None, _none_or_several) => None,
        }
    }

    /// A message for a session in service.
    fn message_v1(&mut self, now: Instant, mut session: Box<Established>, datagram: &IkeDatagram) {
        let Some(message) = session.join(now, &mut self.node, datagram) else {
            return self.settle_v1(now, session, Verdict::Stay);
        };
        let datagram = &*message;
        if let Some(claim) = session.claim(datagram) {
            let key = UserKey::of(&session);
            let unwanted = self.is_unwanted(&key);
            match (self.claimed(&key, &session, claim), claim) {
                // Another phase 1 of a session that is here: that one goes on.
                (Some(older), Claim::Address(_)) => {
                    if let Some(Stage::V1(StageV1::Established(mut older))) = self.sessions.remove(&older) {
                        self.hand_over(now, &key, &mut older, *session);
                        let verdict = older.handle(now, &mut self.node, datagram);
                        return self.settle_v1(now, older, verdict);
                    }
                    return;
                }
                (Some(lost), Claim::Any) if session.is_initial() => self.is_lost(now, lost),
                (Some(_) | None, Claim::Address(_) | Claim::Any) => {}
            }
            let full = || self.admit_v1(now, &key, &session).err();
            if let Some(cause) = unwanted.or_else(full) {
                let verdict = session.refuse(now, &mut self.node, cause);
                return self.settle_v1(now, session, verdict);
            }
        }
        let verdict = session.handle(now, &mut self.node, datagram);
        self.settle_v1(now, session, verdict);
    }

    /// Its client says so.
    fn is_lost(&mut self, now: Instant, id: SessionId) {
        // Not inside the new session's span: a line is one session's.
        let _span = tracing::info_span!(parent: None, "session", session = %id).entered();
        if let Some(Stage::V1(StageV1::Established(lost))) = self.sessions.remove(&id) {
            self.settle_v1(now, lost, Verdict::Gone(Cause::InitialContact, None));
        }
    }

    /// After every event in a session's life.
    pub(super) fn settle_v1(&mut self, now: Instant, mut session: Box<Established>, verdict: Verdict) {
        match verdict {
            Verdict::Stay => {
                let id = session.peer.id;
                if let (true, Origin::Came(arrival)) = (session.has_service(), session.peer.origin) {
                    self.arrivals.is_served(&arrival);
                }
                self.node.timers.set(TimerKey::Session(id), session.deadline(&self.node));
                self.sessions.insert(id, Stage::V1(StageV1::Established(session)));
            }
            Verdict::Gone(cause, farewell) => {
                let key = UserKey::of(&session);
                if let Some(ids) = self.by_user.get_mut(&key) {
                    ids.remove(&session.peer.id);
                    if ids.is_empty() {
                        self.by_user.remove(&key);
                    }
                }
                let came = session.has_service();
                let traffic = session.stop_service(now, &mut self.node, cause);
                if !came && session.peer.has_come() {
                    self.node.expect_no_session(session.peer.path, session.peer.framing);
                }
                self.gone(now, &session.peer, cause, traffic, farewell);
                match (came, cause) {
                    (true, _) => self.node.tell_logout(now, &session.peer, cause, traffic),
                    (false, Cause::LoginLimit | Cause::SessionLimit | Cause::Drained) => {}
                    (false, _) => self.node.tell_no_service(now, &session.peer, cause),
                }
            }
        }
    }

    /// A deadline has come.
    pub(super) fn timeout_v1(&mut self, now: Instant, stage: StageV1) {
        match stage {
            StageV1::HalfOpen(half) => {
                let said = half.begun.is_refused();
                self.half_open_ends_v1(&half);
                let (cause, identity) = half.silence();
                if !said {
                    self.node.tell_refusal(now, half.begun.stranger(identity.map(ToString::to_string)), cause);
                }
                if let (false, Some(unsaid)) = (said, self.node.log_budget.take(now)) {
                    let identity = identity.map(tracing::field::display);
                    tracing::info!(cause = cause.name(), peer = %half.begun.path.peer, identity, ike = "v1", unsaid,
                        "login failed: {}", cause.sentence());
                }
            }
            StageV1::Login(login) => {
                let step = login.timeout(now, &mut self.node);
                self.settle_login(now, step);
            }
            StageV1::Calling(calling) => {
                let step = calling.timeout(now, &mut self.node);
                self.settle_call_v1(now, step);
            }
            StageV1::Entering(entering) => {
                let step = entering.timeout(now, &mut self.node);
                self.settle_enter_v1(now, step);
            }
            StageV1::Established(mut session) => {
                let key = UserKey::of(&session);
                let unwanted = if session.has_service() { None } else { self.is_unwanted(&key) };
                if session.is_to_be_pushed(now) {
                    if session.is_initial() {
                        // It comes back for nothing.
                        if let Some(lost) = self.claimed(&key, &session, Claim::Any) {
                            self.is_lost(now, lost);
                        }
                    } else if self.is_here(&key) {
                        let is_one_too_many = self.who_leaves_v1(&key, &session).is_none();
                        session.put_off_push(now, is_one_too_many);
                    }
                }
                // Not while it may still say which of the sessions it comes back for.
                let judged = !session.has_service() && session.is_to_be_pushed(now);
                let full = || judged.then(|| self.admit_v1(now, &key, &session).err()).flatten();
                let verdict = match unwanted.or_else(full) {
                    Some(cause) => session.refuse(now, &mut self.node, cause),
                    None => session.timeout(now, &mut self.node),
                };
                self.settle_v1(now, session, verdict);
            }
        }
    }

    /// It is to end.
    pub(super) fn close_v1(&mut self, now: Instant, stage: StageV1, cause: Cause) {
        match stage {
            StageV1::HalfOpen(half) => self.half_open_ends_v1(&half),
            StageV1::Login(mut login) => {
                let goodbye = login.goodbye(&mut self.node);
                self.login_ends(now, &login, Some(goodbye));
            }
            StageV1::Calling(calling) => self.hang_up(calling.held()),
            StageV1::Entering(entering) => {
                let failed = CallFailed::new(cause, "given up");
                let step = entering.over(&mut self.node, failed);
                self.settle_enter_v1(now, step);
            }
            StageV1::Established(mut session) => {
                let verdict = session.close(&mut self.node, cause);
                self.settle_v1(now, session, verdict);
            }
        }
    }

    fn half_open_ends_v1(&mut self, half: &HalfOpen) {
        self.arrivals.no_longer_half_open(&half.begun.arrival);
        self.arrivals.left(&half.begun.arrival);
        self.node.forget_ike_spi(half.begun.cookies.responder);
        self.node.timers.set(TimerKey::Session(half.begun.id), None);
    }
}
