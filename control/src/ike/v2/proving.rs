//! IKE_AUTH as the initiator (RFC 7296 sections 1.2, 2.15 and 2.19).
//!
//! ```text
//! initiator --> HDR, SK {IDi, [N(INITIAL_CONTACT),] AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}
//! responder <-- HDR, SK {IDr, AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
//! ```

use super::calling::{Answered, Called, Calling};
use super::closing::Closing;
use super::configuration;
use super::established::{Established, Service};
use super::expect_auth::METHOD_PSK;
use super::given::Given;
use super::ike_sa::IkeSa;
use super::message_id::Response;
use super::purpose::Purpose;
use super::shape::{self, Misshapen, notify};
use crate::config::checked::{Connection, LoginV2};
use crate::ike::counters::Ignored;
use crate::ike::keys::{AuthInput, psk_auth};
use crate::ike::narrow::{narrow, selector_of_net};
use crate::ike::propose::{ChildExchange, choose_esp, offer_esp};
use crate::ike::service::policy::Policy;
use crate::ike::service::{
    Call, CallFailed, Child, ChildParts, Closed, Contact, Held, Inner, LeaseFate, Nat, Node, Origin, Peer, Retry, Role,
    Tunnel,
};
use crate::ike::sk::SkError;
use crate::ike::wire::{Id, Incoming, NotifyKind, Payload};
use crate::lease::Ask;
use crate::session::{Cause, SessionId};
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Lane, Path, Selector, Selectors, Spi, WorkerId};
use adit_dataplane::time::Instant;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What IKE_SA_INIT gave.
pub(super) struct Keyed {
    pub(super) id: SessionId,
    pub(super) call: Call,
    /// Where everything goes from now on.
    pub(super) onward: (Path, IkeFraming),
    pub(super) ike: IkeSa,
    pub(super) worker: WorkerId,
    pub(super) since: Instant,
    pub(super) nat: Nat,
    pub(super) nonce_i: Vec<u8>,
    pub(super) nonce_r: Vec<u8>,
    /// Our first message, whole: our AUTH covers it.
    pub(super) request: Vec<u8>,
    /// Whether it is that for the peer's.
    pub(super) answered: Answered,
    /// The peer's: its AUTH covers it.
    pub(super) response: Vec<u8>,
}

/// IKE_AUTH is under way.
pub(crate) struct Proving {
    pub(super) keyed: Keyed,
    pub(super) spi_in: Spi,
}

/// A peer that has proven who it is.
struct Authentic {
    identity: Id,
}

impl Proving {
    /// Says who we are and what we want.
    pub(super) fn begin(now: Instant, node: &mut Node, mut keyed: Keyed) -> Called {
        let held = Held { id: keyed.id, ike: keyed.ike.spi(), worker: keyed.worker, esp: None };
        let Some(spi_in) = node.installer.take_spi(keyed.worker, keyed.id) else {
            return Called::Failed(held, CallFailed::new(Cause::DataplaneFull, "no slot for the SA"));
        };
        let Some((connection, login)) = node.connection_v2(keyed.call.connection) else {
            let held = Held { esp: Some(spi_in), ..held };
            return Called::Failed(held, CallFailed::new(Cause::UnknownIdentity, "no such connection"));
        };
        let payloads = request(&keyed, connection, login, spi_in);
        let asked = keyed.ike.ask(now, node, Purpose::Login, &payloads);
        if let Ok(bytes) = asked {
            let (path, framing) = keyed.onward;
            node.send_ike(keyed.worker, path, framing, bytes);
        }
        Called::Proves(Box::new(Self { keyed, spi_in }))
    }

    /// A datagram for its IKE SA. Until the ICV is good, nothing changes.
    pub(crate) fn handle(
        mut self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Called {
        let header = incoming.header;
        let ike = &mut self.keyed.ike;
        let expected = header.flags.response && ike.is_addressed(&header) && ike.ids.waits_for(header.message_id);
        if !expected {
            node.ignore(Ignored::UnexpectedExchange);
            return Called::Proves(self);
        }
        let payloads = match ike.open(incoming) {
            Err(SkError::BadIcv) => {
                node.ignore(Ignored::BadIcv);
                return Called::Proves(self);
            }
            // RFC 7296 section 2.21.2: without an answer to the answer.
            Err(SkError::Syntax(error)) => {
                return Called::Failed(self.held(), CallFailed::new(Cause::InvalidSyntax, error));
            }
            Ok(payloads) => payloads,
        };
        match ike.ids.response(header.message_id) {
            Response::Answer(_login) => {}
            Response::NotAsked => {
                node.ignore(Ignored::NotAsked);
                return Called::Proves(self);
            }
        }
        self.answered(now, node, datagram, &payloads)
    }

    /// Its time has come.
    pub(crate) fn timeout(mut self: Box<Self>, now: Instant, node: &mut Node) -> Called {
        match self.keyed.ike.ids.retry(now, &node.patience()) {
            Retry::NotYet => Called::Proves(self),
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                let (path, framing) = self.keyed.onward;
                node.send_ike(self.keyed.worker, path, framing, bytes);
                Called::Proves(self)
            }
            Retry::Dead => Called::Failed(self.held(), CallFailed::new(Cause::PeerDead, "no answer to IKE_AUTH")),
        }
    }

    /// When [`Proving::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.keyed.ike.ids.due().unwrap_or(self.keyed.since)
    }

    /// For fragments.
    pub(crate) fn ike_sa(&mut self) -> &mut IkeSa {
        &mut self.keyed.ike
    }

    /// What it has taken.
    pub(crate) fn held(&self) -> Held {
        let Keyed { id, ike, worker, .. } = &self.keyed;
        Held { id: *id, ike: ike.spi(), worker: *worker, esp: Some(self.spi_in) }
    }

    fn answered(
        self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        payloads: &[Payload],
    ) -> Called {
        let authentic = match self.prove(node, payloads) {
            Ok(authentic) => authentic,
            Err(failed) if shape::maybe_auth(payloads).is_ok_and(|auth| auth.is_none()) => {
                // RFC 7296 section 2.21.2: the responder has refused and keeps no IKE SA.
                return match self.keyed.answered {
                    Answered::OneOfSeveral if shape::says(payloads, NotifyKind::AuthenticationFailed) => {
                        self.call_again(now, node, failed)
                    }
                    Answered::OneOfSeveral | Answered::TheOnlyOne => Called::Failed(self.held(), failed),
                };
            }
            Err(failed) => return self.close(now, node, datagram, None, &failed),
        };
        match self.child(now, node, datagram, payloads) {
            Ok((tunnel, given)) => {
                node.counters.logins += 1;
                let Self { keyed, spi_in: _ } = *self;
                let peer = peer(now, &keyed, datagram, authentic.identity);
                tracing::info!(identity = %peer.identity, addresses = ?tunnel.inner.addresses(), peer = %peer.path.peer,
                    worker = peer.worker.0, ike = %keyed.ike.suite(), "logged in");
                let service = Service::Tunnel(Box::new(tunnel));
                let session = Established::called(peer, keyed.ike, service, given);
                session.tell_login(node);
                Called::Up(Box::new(session))
            }
            Err(failed) => self.close(now, node, datagram, Some(authentic), &failed),
        }
    }

    /// Our AUTH covers the last of our first messages (RFC 7296 section 2.15). If the responder has answered an earlier
    /// one, it can only refuse, and we begin anew.
    fn call_again(self: Box<Self>, now: Instant, node: &mut Node, failed: CallFailed) -> Called {
        tracing::info!(why = failed.why, "refused after several first messages: calling again");
        let held = self.held();
        match Calling::begin_again(now, node, held.id, self.keyed.call) {
            Some(calling) => {
                held.let_go(node);
                Called::Waits(Box::new(calling))
            }
            None => Called::Failed(held, failed),
        }
    }

    /// The responder has an IKE SA that leads to nothing (RFC 7296 section 2.21.2): it is told.
    fn close(
        self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        authentic: Option<Authentic>,
        failed: &CallFailed,
    ) -> Called {
        let Self { keyed, spi_in } = *self;
        node.installer.give_back_spi(spi_in);
        node.counters.refusals += 1;
        tracing::warn!(cause = failed.cause.name(), why = failed.why, peer = %keyed.onward.0.peer, "login failed");
        let identity = authentic.map_or_else(|| keyed.call.identity.clone(), |authentic| authentic.identity);
        let peer = peer(now, &keyed, datagram, identity);
        let service = Service::childless(now);
        let session = Established::of(peer, keyed.ike, service);
        Called::Closes(Box::new(Closing::begin(now, node, session, failed.cause)))
    }

    /// Is it who we wanted to talk to?
    fn prove(&self, node: &Node, payloads: &[Payload]) -> Result<Authentic, CallFailed> {
        let Keyed { call, ike, nonce_i, response, .. } = &self.keyed;
        let Some((method, proof)) = shape::maybe_auth(payloads)? else {
            let told = shape::notifies(payloads).find(|notify| notify.kind.is_error());
            let why = told.map_or_else(|| "no AUTH in the answer".to_owned(), |told| format!("{:?}", told.kind));
            return Err(CallFailed::new(Cause::Refused, why));
        };
        let identity = shape::id_responder(payloads)?;
        let Some((connection, login)) = node.connection_v2(call.connection) else {
            return Err(CallFailed::new(Cause::UnknownIdentity, "no such connection"));
        };
        let input = AuthInput { first_message: response, nonce_other: nonce_i, sk_p: &ike.keys.sk_pr, id: identity };
        // The comparison takes constant time.
        let proven = psk_auth(ike.suite().prf, &login.psk, &input) == SecretBytes::from(proof);
        if method != METHOD_PSK {
            return Err(CallFailed::new(Cause::WrongAuthMethod, format!("method {method}")));
        }
        if !proven {
            return Err(CallFailed::new(Cause::WrongPsk, "AUTH by another key"));
        }
        if !connection.remote_ids.iter().any(|pattern| pattern.matches(identity)) {
            return Err(CallFailed::new(Cause::WrongResponderIdentity, identity));
        }
        Ok(Authentic { identity: identity.clone() })
    }

    /// The first child SA, as the responder has narrowed it.
    fn child(
        &self,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        payloads: &[Payload],
    ) -> Result<(Tunnel, Given), CallFailed> {
        let Keyed { id, call, ike, worker, nat, nonce_i, nonce_r, .. } = &self.keyed;
        let Some(answer) = shape::maybe_sa(payloads)? else {
            let told = shape::notifies(payloads).find(|notify| notify.kind.is_error());
            let why = told.map_or_else(|| "no SA in the answer".to_owned(), |told| format!("{:?}", told.kind));
            return Err(CallFailed::new(Cause::Childless, why));
        };
        let Some(connection) = node.connection(call.connection) else {
            return Err(CallFailed::new(Cause::UnknownIdentity, "no such connection"));
        };
        let choice = match (answer, choose_esp(answer, &connection.esp_proposals, ChildExchange::IkeAuth)) {
            ([_one], Ok(choice)) => choice,
            (_, Ok(_)) => return Err(CallFailed::new(Cause::NoChildProposal, "more than one proposal")),
            (_, Err(none)) => return Err(CallFailed::new(Cause::NoChildProposal, none)),
        };
        let given = shape::maybe_configuration_reply(payloads)?.map(Given::of).unwrap_or_default();
        if given.addresses.is_empty() {
            return Err(CallFailed::new(Cause::PoolEmpty, "no inner address was given"));
        }
        // What the responder narrowed is inside what we offered (RFC 7296 section 2.9), or is made so.
        let selectors = Selectors {
            local: narrow(shape::ts_initiator(payloads)?, &everything(call)),
            remote: narrow(shape::ts_responder(payloads)?, &behind(connection, call)),
        };
        if selectors.local.is_empty() || selectors.remote.is_empty() {
            return Err(CallFailed::new(Cause::TsUnacceptable, "nothing of what we offered"));
        }
        let given = given.behind(&selectors.remote);
        let transports = connection.transports.and(node.config.listen.transports());
        let Some(path) = nat.esp_path(datagram, transports) else {
            return Err(CallFailed::new(Cause::NoUdpEncapsulation, "a NAT is in the way, and ESP is not to go in UDP"));
        };
        let networks = connection.networks.clone();
        let key = node
            .installer
            .take_tunnel(*worker, *id)
            .ok_or_else(|| CallFailed::new(Cause::DataplaneFull, "no slot for the tunnel"))?;
        let keys = ike.keys.child_keymat(choice.cipher, None, nonce_i, nonce_r);
        let inner = Inner::Given { addresses: given.addresses.clone(), networks };
        let mut tunnel = Tunnel::set_up(node, *id, key, path, nat.following(), transports, inner);
        let parts = ChildParts {
            tunnel: key,
            lane: Lane::FIRST,
            spi_in: self.spi_in,
            spi_out: choice.peer_spi,
            suite: choice.cipher,
            numbers: choice.numbers,
            selectors,
            role: Role::Initiator,
        };
        match Child::install(now, node, parts, &keys) {
            Ok(child) => tunnel.children.push(child),
            Err(bad) => {
                tunnel.take_down(node, LeaseFate::GivenBack);
                return Err(CallFailed::new(Cause::NoChildProposal, bad));
            }
        }
        // Who answered receives on it already.
        tunnel.switch_to(now, node, 0);
        Ok((tunnel, given))
    }
}

impl From<Misshapen> for CallFailed {
    fn from(misshapen: Misshapen) -> Self {
        Self::new(Cause::InvalidSyntax, misshapen)
    }
}

fn request(keyed: &Keyed, connection: &Connection, login: &LoginV2, spi_in: Spi) -> Vec<Payload> {
    let Keyed { call, ike, nonce_r, request, .. } = keyed;
    let input = AuthInput { first_message: request, nonce_other: nonce_r, sk_p: &ike.keys.sk_pi, id: &call.identity };
    let proof = psk_auth(ike.suite().prf, &login.psk, &input);
    let contact = match call.contact {
        Contact::Initial => Some(notify(NotifyKind::InitialContact, Vec::new())),
        Contact::Further => None,
    };
    let offered = offer_esp(&connection.esp_proposals, spi_in.get(), ChildExchange::IkeAuth);
    let mut payloads = vec![Payload::IdInitiator(call.identity.clone())];
    payloads.extend(contact);
    payloads.extend([
        // The proof is meant to be seen by the peer: SK protects it on the way.
        Payload::Auth(METHOD_PSK, proof.expose().to_vec()),
        Payload::Configuration(configuration::ask(call.want)),
        Payload::Sa(offered),
        Payload::TsInitiator(everything(call)),
        Payload::TsResponder(behind(connection, call)),
    ]);
    payloads
}

/// Of the families asked for; the responder narrows it to the address that it gives (RFC 7296 section 2.19).
fn everything(call: &Call) -> Vec<Selector> {
    let v4 = (call.want.v4 != Ask::Nothing).then(|| IpNet::V4(Ipv4Net::default()));
    let v6 = (call.want.v6 != Ask::Nothing).then(|| IpNet::V6(Ipv6Net::default()));
    [v4, v6].into_iter().flatten().map(selector_of_net).collect()
}

/// The networks that we want to reach, of the families asked for.
fn behind(connection: &Connection, call: &Call) -> Vec<Selector> {
    let wanted = |network: &IpNet| match network {
        IpNet::V4(_) => call.want.v4 != Ask::Nothing,
        IpNet::V6(_) => call.want.v6 != Ask::Nothing,
    };
    connection.networks.iter().copied().filter(wanted).map(selector_of_net).collect()
}

fn peer(now: Instant, keyed: &Keyed, datagram: &IkeDatagram, identity: Id) -> Peer {
    Peer {
        id: keyed.id,
        identity,
        connection: keyed.call.connection,
        origin: Origin::Called,
        nat: keyed.nat,
        worker: keyed.worker,
        path: datagram.path,
        framing: datagram.framing,
        login: now,
        heard: now,
        sent: now,
        policy: Policy::default(),
        closed: Closed::default(),
    }
}
