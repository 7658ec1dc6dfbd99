//! XAUTH (draft-beaulieu-ike-xauth-02): the group is proven, now the user is.
//!
//! ```text
//! responder --> HDR*, HASH, ATTR(REQUEST: user name, password)
//! initiator <-- HDR*, HASH, ATTR(REPLY: user name, password)            ⇄ AAA; a challenge, or another try: once more
//! responder --> HDR*, HASH, ATTR(SET: status)
//! initiator <-- HDR*, HASH, ATTR(ACK)
//! ```
//! Whatever is wrong with user or password, the client hears the same, at the same moment.

use super::dpd;
use super::isakmp_sa::{Arrived, Cookies, Hashed, begins};
use super::phase_1::{Contact, Proven, login_of};
use super::repeated::Repeated;
use super::wire::{
    Attribute, Body, ConfigKind, Delete, Exchange, Incoming, ModeConfig, NotifyKind, Payload,
    mode_config_number as number, parse,
};
use crate::aaa::{Answer, Caller, ChallengeState, Profile, Proof, Question, QuestionId, UserName, Verdict, Why};
use crate::config::Renumbering;
use crate::ike::counters::Ignored;
use crate::ike::service::Stranger;
use crate::ike::service::{Node, Retry};
use crate::reload::SessionFacts;
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// Wrong answers before the login is over.
const TRIES: u32 = 3;
/// Rounds in all: what challenges a server may put.
const ROUNDS: u32 = 12;
/// How long a user may take to type. Adit's own choice.
const TYPING: Duration = Duration::from_secs(120);
/// What comes between a login and its session: mode config, and what is lost of it.
const BEHIND: Duration = Duration::from_secs(60);

/// A user who may in.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    pub(super) name: UserName,
    pub(super) profile: Box<Profile>,
}

/// Waits for the user's proof.
pub(crate) struct Login {
    pub(crate) proven: Proven,
    stage: Stage,
    wrong: u32,
    rounds: u32,
    deadline: Instant,
}

/// How far it is.
enum Stage {
    /// The client has been asked. The question is said again for a while, and the user may type for longer.
    Asked { message_id: u32, repeated: Option<Repeated>, user: Option<UserName>, state: Option<ChallengeState> },
    /// AAA has been asked.
    Judged { question: QuestionId, user: UserName },
    /// The client is being told.
    Told { message_id: u32, repeated: Repeated, outcome: Outcome },
}

/// What the client is being told.
enum Outcome {
    In(LoggedIn),
    Out(Cause),
}

/// What an event made of it.
pub(crate) enum LoginStep {
    /// It waits on.
    Waits(Box<Login>),
    /// A session begins.
    In(Box<Proven>, Box<LoggedIn>, Rest),
    /// It is over. The last message is for the client.
    Over(Box<Login>, Cause, Option<Vec<u8>>),
}

/// Whether the message that ended the login is still to be obeyed.
#[derive(Debug)]
pub(crate) enum Rest {
    /// It was XAUTH's last.
    Done,
    /// It is for the session, as a whole: the client has seen our status, and what it said to that was lost.
    ForSession(IkeDatagram),
}

impl Login {
    /// Asks for the user. `Err`: the connection has no users, which no checked configuration allows.
    pub(crate) fn begin(now: Instant, node: &mut Node, mut proven: Proven) -> Result<Self, Box<Proven>> {
        let Some(prompt) =
            login_of(node, proven.connection).and_then(|login| login.auth.xauth()).map(|xauth| xauth.prompt.clone())
        else {
            return Err(Box::new(proven));
        };
        let asks = [number::XAUTH_USER_NAME, number::XAUTH_USER_PASSWORD];
        let stage = ask(now, node, &mut proven, &prompt, &asks, None, None);
        let deadline = give_time(now, node, &proven);
        Ok(Self { proven, stage, wrong: 0, rounds: 1, deadline })
    }

    /// Connections have other places now.
    pub(crate) fn renumber(&mut self, places: &Renumbering) {
        self.proven.connection = places.place(self.proven.connection);
    }

    /// Who logs in, as far as is known. A user who is being judged or told counts as one of our own, whoever is asked.
    pub(crate) fn facts(&self, node: &Node) -> SessionFacts {
        let user = match &self.stage {
            Stage::Asked { user, .. } => user.clone(),
            Stage::Judged { user, .. } => Some(user.clone()),
            Stage::Told { outcome: Outcome::In(user), .. } => Some(user.name.clone()),
            Stage::Told { outcome: Outcome::Out(_), .. } => None,
        };
        let Proven { id, connection, identity, .. } = &self.proven;
        let connection = node.connection(*connection).map(|connection| connection.name.clone());
        let identity = user.as_ref().map_or_else(|| identity.to_string(), |user| user.as_str().to_owned());
        SessionFacts {
            id: *id,
            identity,
            connection: connection.unwrap_or_default(),
            user,
            addresses: Vec::new(),
            networks: Vec::new(),
            class: None,
            transport: None,
        }
    }

    /// When [`Login::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Asked { repeated: Some(repeated), .. } | Stage::Told { repeated, .. } => {
                repeated.due().min(self.deadline)
            }
            Stage::Asked { repeated: None, .. } | Stage::Judged { .. } => self.deadline,
        }
    }

    /// Its time has come.
    pub(crate) fn timeout(mut self: Box<Self>, now: Instant, node: &mut Node) -> LoginStep {
        if self.deadline <= now {
            return self.over(node, Cause::XauthTimeout);
        }
        let patience = node.patience();
        let retry = match &mut self.stage {
            Stage::Asked { repeated: Some(repeated), .. } | Stage::Told { repeated, .. } => {
                repeated.retry(now, &patience)
            }
            Stage::Asked { repeated: None, .. } | Stage::Judged { .. } => Retry::NotYet,
        };
        match retry {
            Retry::NotYet => LoginStep::Waits(self),
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                node.send_ike(self.proven.worker, self.proven.path, self.proven.framing, bytes);
                LoginStep::Waits(self)
            }
            Retry::Dead => match &mut self.stage {
                Stage::Told { outcome: Outcome::Out(cause), .. } => {
                    let cause = *cause;
                    self.over(node, cause)
                }
                // A person is slower than a network.
                Stage::Asked { repeated, .. } => {
                    *repeated = None;
                    LoginStep::Waits(self)
                }
                Stage::Judged { .. } | Stage::Told { outcome: Outcome::In(_), .. } => self.over(node, Cause::PeerDead),
            },
        }
    }

    /// A message for its ISAKMP SA.
    pub(crate) fn handle(mut self: Box<Self>, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> LoginStep {
        let joined;
        let mut incoming = match parse(&datagram.bytes) {
            Ok(incoming) if Cookies::of(&incoming.header) == self.proven.sa.cookies() => incoming,
            Ok(_) => return self.ignore(node, Ignored::UnknownSpi),
            Err(_) => return self.ignore(node, Ignored::Malformed),
        };
        if let Body::Fragment(fragment) = &incoming.body {
            joined = match self.proven.sa.fragments.add(now, fragment) {
                Ok(Some(whole)) => whole,
                Ok(None) => return LoginStep::Waits(self),
                Err(reason) => return self.ignore(node, reason),
            };
            node.counters.messages_joined += 1;
            incoming = match parse(&joined) {
                Ok(whole) if Cookies::of(&whole.header) == self.proven.sa.cookies() => whole,
                Ok(_) | Err(_) => return self.ignore(node, Ignored::Malformed),
            };
        }
        self.take(now, node, datagram, &incoming)
    }

    fn take(
        mut self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> LoginStep {
        let opened = match self.proven.sa.open(incoming) {
            Ok(Arrived::New(opened)) => opened,
            Ok(Arrived::Again(answer)) if answer.is_empty() => return self.ignore(node, Ignored::OldMessageId),
            Ok(Arrived::Again(answer)) => {
                node.answer_again(self.proven.worker, self.proven.path, datagram, answer);
                return LoginStep::Waits(self);
            }
            Err(reason) => return self.ignore(node, reason),
        };
        let message_id = incoming.header.message_id;
        let Ok(chain) = opened.chain() else { return self.ignore(node, Ignored::BadHash) };
        if !self.proven.sa.vouches(message_id, &chain, Hashed::One) {
            return self.ignore(node, Ignored::BadHash);
        }
        let told_in = matches!(&self.stage, Stage::Told { outcome: Outcome::In(_), .. });
        match incoming.header.exchange {
            Exchange::Informational => {
                self.proven.sa.accept(incoming, &opened);
                // RFC 2407 section 4.6.3.3: it need not stand in phase 1.
                if Contact::of(&chain) == Contact::Initial {
                    self.proven.contact = Contact::Initial;
                }
                let cookies = self.proven.sa.cookies();
                // A person is slower than DPD. One message has one answer: by hybrid mode nobody has proven yet who is asking.
                let mut questions = chain.notifications().filter(|notify| notify.kind == NotifyKind::RUThere);
                if let Some(number) = questions.find_map(|notify| dpd::number(notify, cookies)) {
                    self.proven.lives(node, number);
                }
                let ours = (cookies.initiator, cookies.responder);
                let leaves = chain
                    .iter()
                    .any(|payload| matches!(payload, Payload::Delete(Delete::Isakmp(sas)) if sas.contains(&ours)));
                if leaves { LoginStep::Over(self, Cause::XauthGivenUp, None) } else { LoginStep::Waits(self) }
            }
            Exchange::Transaction => {
                let mut attributes = chain.iter().filter_map(|payload| match payload {
                    Payload::ModeConfig(config) => Some(config.clone()),
                    _another => None,
                });
                let (Some(config), None) = (attributes.next(), attributes.next()) else {
                    return self.ignore(node, Ignored::Malformed);
                };
                if told_in && matches!(config.kind, ConfigKind::Request | ConfigKind::Set) {
                    return self.let_in(Rest::ForSession(whole(datagram, incoming)));
                }
                self.proven.sa.accept(incoming, &opened);
                // Another port, not another address: in hybrid mode nobody has proven yet who is asking for all this.
                if datagram.path.peer.ip() == self.proven.path.peer.ip() {
                    if datagram.path != self.proven.path {
                        self.proven.let_go(node);
                    }
                    (self.proven.path, self.proven.framing) = (datagram.path, datagram.framing);
                }
                self.answered(now, node, message_id, &config)
            }
            Exchange::QuickMode if told_in && begins(Exchange::QuickMode, &chain) => {
                self.let_in(Rest::ForSession(whole(datagram, incoming)))
            }
            Exchange::QuickMode | Exchange::MainMode | Exchange::Aggressive => {
                self.ignore(node, Ignored::UnexpectedExchange)
            }
        }
    }

    /// The client has said something about its user.
    fn answered(mut self: Box<Self>, now: Instant, node: &mut Node, message_id: u32, config: &ModeConfig) -> LoginStep {
        match (&self.stage, config.kind) {
            (Stage::Asked { message_id: ours, user, state, .. }, ConfigKind::Reply) if *ours == message_id => {
                let (user, state) = (user.clone(), state.clone());
                self.judge(now, node, config, user, state);
                LoginStep::Waits(self)
            }
            (Stage::Told { message_id: ours, outcome, .. }, ConfigKind::Ack) if *ours == message_id => match outcome {
                Outcome::In(_) => self.let_in(Rest::Done),
                Outcome::Out(cause) => {
                    let cause = *cause;
                    self.over(node, cause)
                }
            },
            (
                Stage::Asked { .. } | Stage::Judged { .. } | Stage::Told { .. },
                ConfigKind::Request | ConfigKind::Reply | ConfigKind::Set | ConfigKind::Ack,
            ) => self.ignore(node, Ignored::NotAsked),
        }
    }

    /// Asks AAA, if there is something to ask.
    fn judge(
        &mut self,
        now: Instant,
        node: &mut Node,
        config: &ModeConfig,
        user: Option<UserName>,
        state: Option<ChallengeState>,
    ) {
        let text = |kind| config.find(kind).and_then(|attribute| attribute.value.octets());
        let secret = text(number::XAUTH_USER_PASSWORD).or_else(|| text(number::XAUTH_PASSCODE));
        let secret = secret.or_else(|| text(number::XAUTH_ANSWER)).map(SecretBytes::from);
        let user = match text(number::XAUTH_USER_NAME).map(UserName::new) {
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => None,
            None => user,
        };
        // XAUTH-STATUS 0 in a reply: the client cannot or will not (section 3.2).
        let gave_up = config.find(number::XAUTH_STATUS).is_some_and(|status| status.value.number() == Some(0));
        let (Some(user), Some(secret), false) = (user, secret, gave_up) else {
            return self.tell_out(now, node, Cause::XauthGivenUp, None);
        };
        let question = node.new_question(self.proven.id);
        node.installer.ask(Question {
            id: question,
            session: self.proven.id,
            connection: self.proven.connection,
            user: user.clone(),
            proof: Proof::Password(secret),
            state,
            caller: self.proven.caller(),
        });
        self.stage = Stage::Judged { question, user };
        self.deadline = give_time(now, node, &self.proven);
    }

    /// AAA has judged.
    pub(crate) fn judged(&mut self, now: Instant, node: &mut Node, answer: Answer) {
        let Stage::Judged { question, user } = &self.stage else { return };
        if *question != answer.id {
            return;
        }
        let user = user.clone();
        self.rounds += 1;
        match answer.verdict {
            Verdict::Accept(profile) => {
                let outcome = Outcome::In(LoggedIn { name: profile.call(user), profile });
                self.stage = tell(now, node, &mut self.proven, outcome);
            }
            Verdict::Challenge(challenge) if self.rounds <= ROUNDS => {
                let message = challenge.message.unwrap_or_default();
                let asks = [number::XAUTH_PASSCODE];
                self.stage = ask(now, node, &mut self.proven, &message, &asks, Some(user), Some(challenge.state));
            }
            Verdict::Challenge(_) => self.tell_out(now, node, Cause::XauthGivenUp, Some(&user)),
            Verdict::Unavailable => self.tell_out(now, node, Cause::AaaUnavailable, Some(&user)),
            Verdict::Reject(rejection) => {
                let cause = cause_of(rejection.why);
                self.wrong += 1;
                if self.wrong >= TRIES || self.rounds > ROUNDS {
                    return self.tell_out(now, node, cause, Some(&user));
                }
                self.log_refusal(now, node, cause, Some(&user));
                let message = rejection.message.unwrap_or_else(|| "Login failed. Try again.".to_owned());
                let asks = [number::XAUTH_USER_NAME, number::XAUTH_USER_PASSWORD];
                self.stage = ask(now, node, &mut self.proven, &message, &asks, None, None);
            }
        }
        self.deadline = give_time(now, node, &self.proven);
    }

    /// The session begins.
    fn let_in(self: Box<Self>, rest: Rest) -> LoginStep {
        let Self { proven, stage, wrong, rounds, deadline } = *self;
        match stage {
            Stage::Told { outcome: Outcome::In(user), .. } => LoginStep::In(Box::new(proven), Box::new(user), rest),
            stage @ (Stage::Asked { .. } | Stage::Judged { .. } | Stage::Told { outcome: Outcome::Out(_), .. }) => {
                LoginStep::Waits(Box::new(Self { proven, stage, wrong, rounds, deadline }))
            }
        }
    }

    /// The client is told that it is not let in, and not why.
    fn tell_out(&mut self, now: Instant, node: &mut Node, cause: Cause, user: Option<&UserName>) {
        self.log_refusal(now, node, cause, user);
        self.stage = tell(now, node, &mut self.proven, Outcome::Out(cause));
    }

    fn log_refusal(&self, now: Instant, node: &mut Node, cause: Cause, user: Option<&UserName>) {
        node.counters.refusals += 1;
        let stranger = self.proven.stranger();
        let identity = user.map(|user| user.as_str().to_owned()).or(stranger.identity);
        node.tell_refusal(now, Stranger { identity, ..stranger }, cause);
        if let Some(unsaid) = node.log_budget.take(now) {
            tracing::warn!(cause = cause.name(), peer = %self.proven.path.peer, identity = %self.proven.identity,
                user = user.map(tracing::field::display), ike = "v1", unsaid, "login refused: {}", cause.sentence());
        }
    }

    /// Whether a refusal of its user has been told already, so that its end is no news.
    pub(crate) fn is_told_of(&self) -> bool {
        self.wrong > 0 || matches!(&self.stage, Stage::Told { outcome: Outcome::Out(_), .. })
    }

    /// It ends, and the client hears so once more.
    fn over(mut self: Box<Self>, node: &mut Node, cause: Cause) -> LoginStep {
        let goodbye = self.goodbye(node);
        LoginStep::Over(self, cause, Some(goodbye))
    }

    /// What ends its ISAKMP SA.
    pub(crate) fn goodbye(&mut self, node: &mut Node) -> Vec<u8> {
        self.proven.goodbye(node)
    }

    fn ignore(self: Box<Self>, node: &mut Node, reason: Ignored) -> LoginStep {
        node.ignore(reason);
        LoginStep::Waits(self)
    }
}

impl Proven {
    /// What ends its ISAKMP SA; it is on its way.
    pub(crate) fn goodbye(&mut self, node: &mut Node) -> Vec<u8> {
        let bytes = self.sa.goodbye(node);
        node.send_ike(self.worker, self.path, self.framing, bytes.clone());
        bytes
    }

    /// Says so, as it was asked with this number (RFC 3706).
    fn lives(&mut self, node: &mut Node, number: u32) {
        let message_id = self.sa.new_message_id(node);
        let answer = dpd::payload(NotifyKind::RUThereAck, self.sa.cookies(), number);
        let bytes = self.sa.say(node, Exchange::Informational, message_id, Hashed::One, &[answer]);
        node.send_ike(self.worker, self.path, self.framing, bytes);
    }

    /// No session comes of it, and its connection need not wait.
    pub(crate) fn let_go(&self, node: &mut Node) {
        node.expect_no_session(self.path, self.framing);
    }

    /// Where it comes from, as AAA wants to know it.
    pub(super) fn caller(&self) -> Caller {
        Caller { peer: self.path.peer, local: self.path.local, group: self.identity.to_string() }
    }
}

/// A message as it would have come without fragments. `datagram` is its last.
fn whole(datagram: &IkeDatagram, incoming: &Incoming<'_>) -> IkeDatagram {
    IkeDatagram { bytes: incoming.bytes.to_vec(), ..*datagram }
}

/// When whoever types has to be done; their connection waits for them.
fn give_time(now: Instant, node: &mut Node, proven: &Proven) -> Instant {
    node.expect_session(proven.path, proven.framing, TYPING + BEHIND);
    now + TYPING
}

/// Asks for these attributes.
fn ask(
    now: Instant,
    node: &mut Node,
    proven: &mut Proven,
    message: &str,
    asks: &[u16],
    user: Option<UserName>,
    state: Option<ChallengeState>,
) -> Stage {
    let mut attributes: Vec<Attribute> = asks.iter().map(|kind| Attribute::long(*kind, Vec::new())).collect();
    if !message.is_empty() {
        attributes.push(Attribute::long(number::XAUTH_MESSAGE, message.as_bytes()));
    }
    let (message_id, repeated) = say(now, node, proven, ConfigKind::Request, attributes);
    Stage::Asked { message_id, repeated: Some(repeated), user, state }
}

/// Tells the outcome (section 3.3: the SET holds the status and nothing else).
fn tell(now: Instant, node: &mut Node, proven: &mut Proven, outcome: Outcome) -> Stage {
    let status = u16::from(matches!(outcome, Outcome::In(_)));
    let attributes = vec![Attribute::short(number::XAUTH_STATUS, status)];
    let (message_id, repeated) = say(now, node, proven, ConfigKind::Set, attributes);
    Stage::Told { message_id, repeated, outcome }
}

fn say(
    now: Instant,
    node: &mut Node,
    proven: &mut Proven,
    kind: ConfigKind,
    attributes: Vec<Attribute>,
) -> (u32, Repeated) {
    let message_id = proven.sa.new_message_id(node);
    // Any number ties the answer to it; the message ID does so already.
    let config = ModeConfig { kind, identifier: message_id as u16, attributes };
    let bytes = proven.sa.say(node, Exchange::Transaction, message_id, Hashed::One, &[Payload::ModeConfig(config)]);
    node.send_ike(proven.worker, proven.path, proven.framing, bytes.clone());
    (message_id, Repeated::new(now, &node.patience(), bytes))
}

/// As the log calls it.
const fn cause_of(why: Why) -> Cause {
    match why {
        Why::UnknownUser => Cause::UnknownUser,
        Why::WrongPassword => Cause::WrongPassword,
        Why::Locked => Cause::UserLocked,
        Why::NeedsPassword => Cause::UserNeedsPassword,
        Why::Server => Cause::ServerRefused,
    }
}
