//! XAUTH (draft-beaulieu-ike-xauth-02) as the user: the headend asks, we answer, it says how that was. See
//! [`super::login`] for the messages.

use super::dpd;
use super::isakmp_sa::{Arrived, Cookies, Hashed};
use super::reached::Reached;
use super::repeated::Repeated;
use super::wire::{
    Attribute, Body, Chain, ConfigKind, Delete, Exchange, Incoming, ModeConfig, NotifyKind, Payload,
    mode_config_number as number, parse,
};
use crate::ike::counters::Ignored;
use crate::ike::service::{CallFailed, Credentials, Farewell, Node, Retry};
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// How long a headend may take to ask, to ask others, and to say how it was. Adit's own choice: longer than its own
/// patience with whoever knows the users.
const LONGEST: Duration = Duration::from_secs(120);

/// The user is being proven, and it is ours.
pub(crate) struct Entering {
    pub(crate) reached: Reached,
    /// Our last message of phase 1, until the headend says something.
    unheard: Option<Repeated>,
    said: Said,
    deadline: Instant,
}

/// What has been answered already. The same is not said twice: it would be wrong again, and users get locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Password,
    Passcode,
    GivenUp,
}

/// What an event made of it.
pub(crate) enum EnterStep {
    /// It waits on.
    Waits(Box<Entering>),
    /// The user is in.
    In(Box<Reached>),
    /// It is over. The headend, if it goes on, hears the last message again.
    Over(Box<Entering>, CallFailed, Option<Farewell>),
}

impl Entering {
    /// Waits to be asked.
    pub(crate) fn begin(now: Instant, node: &Node, mut reached: Reached) -> Self {
        let unheard = reached.last.take().map(|bytes| Repeated::new(now, &node.patience(), bytes));
        Self { reached, unheard, said: Said::Nothing, deadline: now + LONGEST }
    }

    /// Whether the headend has said anything under the new keys.
    pub(crate) fn is_heard(&self) -> bool {
        self.unheard.is_none()
    }

    /// When [`Entering::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.unheard.as_ref().map_or(self.deadline, |unheard| unheard.due().min(self.deadline))
    }

    /// Its time has come.
    pub(crate) fn timeout(mut self: Box<Self>, now: Instant, node: &mut Node) -> EnterStep {
        if self.deadline <= now {
            return self.over(node, CallFailed::new(Cause::PeerDead, "XAUTH is not finished"));
        }
        let patience = node.patience();
        match self.unheard.as_mut().map(|unheard| unheard.retry(now, &patience)) {
            None | Some(Retry::NotYet) => EnterStep::Waits(self),
            Some(Retry::Again(bytes)) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                self.send(node, bytes);
                EnterStep::Waits(self)
            }
            Some(Retry::Dead) => {
                self.over(node, CallFailed::new(Cause::PeerDead, "the headend does not ask who we are"))
            }
        }
    }

    /// A message for its ISAKMP SA.
    pub(crate) fn handle(mut self: Box<Self>, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> EnterStep {
        let cookies = self.reached.sa.cookies();
        let incoming = match parse(&datagram.bytes) {
            Ok(incoming) if Cookies::of(&incoming.header) == cookies => incoming,
            Ok(_) => return self.ignore(node, Ignored::UnknownSpi),
            Err(_) => return self.ignore(node, Ignored::Malformed),
        };
        let Body::Fragment(fragment) = &incoming.body else { return self.take(node, datagram, &incoming) };
        let whole = match self.reached.sa.fragments.add(now, fragment) {
            Ok(Some(whole)) => whole,
            Ok(None) => return EnterStep::Waits(self),
            Err(reason) => return self.ignore(node, reason),
        };
        node.counters.messages_joined += 1;
        match parse(&whole) {
            Ok(joined) if Cookies::of(&joined.header) == cookies => self.take(node, datagram, &joined),
            Ok(_) | Err(_) => self.ignore(node, Ignored::Malformed),
        }
    }

    /// A whole message. Until its hash is right, nothing changes.
    fn take(mut self: Box<Self>, node: &mut Node, datagram: &IkeDatagram, incoming: &Incoming<'_>) -> EnterStep {
        let sa = &mut self.reached.sa;
        let opened = match sa.open(incoming) {
            Ok(Arrived::New(opened)) => opened,
            Ok(Arrived::Again(answer)) if answer.is_empty() => return self.ignore(node, Ignored::OldMessageId),
            Ok(Arrived::Again(answer)) => {
                node.answer_again(self.reached.worker, self.reached.along.0, datagram, answer);
                return EnterStep::Waits(self);
            }
            Err(reason) => return self.ignore(node, reason),
        };
        let message_id = incoming.header.message_id;
        let Ok(chain) = opened.chain() else { return self.ignore(node, Ignored::BadHash) };
        if !sa.vouches(message_id, &chain, Hashed::One) {
            return self.ignore(node, Ignored::BadHash);
        }
        sa.accept(incoming, &opened);
        self.unheard = None;
        match incoming.header.exchange {
            Exchange::Informational => self.informed(node, &chain),
            Exchange::Transaction => self.asked(node, message_id, &chain),
            Exchange::QuickMode | Exchange::MainMode | Exchange::Aggressive => {
                self.ignore(node, Ignored::UnexpectedExchange)
            }
        }
    }

    fn informed(mut self: Box<Self>, node: &mut Node, chain: &Chain<'_>) -> EnterStep {
        let cookies = self.reached.sa.cookies();
        let ours = (cookies.initiator, cookies.responder);
        for payload in chain.iter() {
            match payload {
                Payload::Delete(Delete::Isakmp(sas)) if sas.contains(&ours) => {
                    return EnterStep::Over(self, CallFailed::new(Cause::Refused, "the headend says goodbye"), None);
                }
                Payload::Notify(notify) if notify.kind == NotifyKind::RUThere => {
                    let Some(number) = dpd::number(notify, cookies) else { continue };
                    let message_id = self.reached.sa.new_message_id(node);
                    let answer = dpd::payload(NotifyKind::RUThereAck, cookies, number);
                    self.say(node, Exchange::Informational, message_id, answer);
                }
                _of_no_consequence => {}
            }
        }
        EnterStep::Waits(self)
    }

    /// The headend asks for the user, or says how it was.
    fn asked(mut self: Box<Self>, node: &mut Node, message_id: u32, chain: &Chain<'_>) -> EnterStep {
        let mut configs = chain.iter().filter_map(|payload| match payload {
            Payload::ModeConfig(config) => Some(config),
            _another => None,
        });
        let (Some(config), None) = (configs.next(), configs.next()) else {
            return self.ignore(node, Ignored::Malformed);
        };
        match config.kind {
            ConfigKind::Request => {
                let reply = self.answer(config);
                self.say(node, Exchange::Transaction, message_id, Payload::ModeConfig(reply));
                EnterStep::Waits(self)
            }
            ConfigKind::Set => {
                let attributes = config.attributes.clone();
                let ack = ModeConfig { kind: ConfigKind::Ack, identifier: config.identifier, attributes };
                let bytes = self.say(node, Exchange::Transaction, message_id, Payload::ModeConfig(ack));
                match config.find(number::XAUTH_STATUS).map(|status| status.value.number()) {
                    None => EnterStep::Waits(self),
                    Some(Some(1)) => {
                        let Self { reached, .. } = *self;
                        EnterStep::In(Box::new(reached))
                    }
                    Some(Some(_) | None) => {
                        let farewell = Farewell::to_anything(self.reached.sa.spi(), bytes);
                        let failed = CallFailed::new(Cause::Refused, "XAUTH: the headend does not let the user in");
                        EnterStep::Over(self, failed, Some(farewell))
                    }
                }
            }
            ConfigKind::Reply | ConfigKind::Ack => self.ignore(node, Ignored::NotAsked),
        }
    }

    /// What is asked for, as far as we have it and have not said it yet; else that we cannot (section 3.2: a status of
    /// zero).
    fn answer(&mut self, request: &ModeConfig) -> ModeConfig {
        let asks = |kind| request.find(kind).is_some();
        let (kind, said) = match self.said {
            Said::Nothing if asks(number::XAUTH_USER_PASSWORD) => (number::XAUTH_USER_PASSWORD, Said::Password),
            Said::Nothing if asks(number::XAUTH_PASSCODE) => (number::XAUTH_PASSCODE, Said::Password),
            Said::Password if asks(number::XAUTH_PASSCODE) => (number::XAUTH_PASSCODE, Said::Passcode),
            Said::Password if asks(number::XAUTH_ANSWER) => (number::XAUTH_ANSWER, Said::Passcode),
            Said::Nothing | Said::Password | Said::Passcode | Said::GivenUp => (number::XAUTH_STATUS, Said::GivenUp),
        };
        let user = self.reached.call.v1.user.as_ref();
        let plain = request.find(number::XAUTH_TYPE).is_none_or(|kind| kind.value.number() == Some(0));
        let secret: Option<SecretBytes> = match said {
            Said::Password if plain => user.map(|user| user.password.clone()),
            Said::Passcode if plain => user.and_then(|user| user.passcode.clone()),
            Said::Nothing | Said::Password | Said::Passcode | Said::GivenUp => None,
        };
        let attributes = match (user, secret) {
            (Some(Credentials { user, .. }), Some(secret)) => {
                self.said = said;
                let name =
                    asks(number::XAUTH_USER_NAME).then(|| Attribute::long(number::XAUTH_USER_NAME, user.as_bytes()));
                // It leaves for the peer in this message; mode config wipes it.
                name.into_iter().chain([Attribute::long(kind, secret.expose())]).collect()
            }
            (Some(_) | None, _) => {
                self.said = Said::GivenUp;
                vec![Attribute::short(number::XAUTH_STATUS, 0)]
            }
        };
        ModeConfig { kind: ConfigKind::Reply, identifier: request.identifier, attributes }
    }

    /// It ends, and the headend hears so.
    pub(crate) fn over(mut self: Box<Self>, node: &mut Node, failed: CallFailed) -> EnterStep {
        let bytes = self.goodbye(node);
        let farewell = Farewell::to_anything(self.reached.sa.spi(), bytes);
        EnterStep::Over(self, failed, Some(farewell))
    }

    /// What ends its ISAKMP SA.
    pub(crate) fn goodbye(&mut self, node: &mut Node) -> Vec<u8> {
        let bytes = self.reached.sa.goodbye(node);
        self.send(node, bytes.clone());
        bytes
    }

    fn say(&mut self, node: &mut Node, exchange: Exchange, message_id: u32, payload: Payload) -> Vec<u8> {
        let bytes = self.reached.sa.say(node, exchange, message_id, Hashed::One, &[payload]);
        self.send(node, bytes.clone());
        bytes
    }

    fn send(&self, node: &mut Node, bytes: Vec<u8>) {
        let (path, framing) = self.reached.along;
        node.send_ike(self.reached.worker, path, framing, bytes);
    }

    fn ignore(self: Box<Self>, node: &mut Node, reason: Ignored) -> EnterStep {
        node.ignore(reason);
        EnterStep::Waits(self)
    }
}
