//! The inner address of a session, and the tunnel that goes with it. No ESP SA is in it yet.

use super::established::{Established, Service};
use super::group;
use super::login::LoggedIn;
use super::phase_1::login_of;
use super::wire::Encapsulation;
use crate::aaa::{Account, AccountId, Caller, Source};
use crate::ike::login_times::LoginPhase;
use crate::ike::service::{Inner, Node, Peer, Tunnel};
use crate::ike::wire::{Id, IdKind};
use crate::journal::What;
use crate::lease::{Ask, Claimant, Want, gives};
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, IkeFraming, Path, Transport, Transports};
use adit_dataplane::time::Instant;
use std::net::IpAddr;

/// Gives one, if it has none yet.
pub(super) fn grant(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    want: Want,
    wish: CiscoUdp,
) -> Result<(), Cause> {
    if let Service::Tunnel(_) = session.service {
        return Ok(());
    }
    let Some(connection) = node.config.connections.get(session.peer.connection) else {
        return Err(Cause::UnknownIdentity);
    };
    let pools = connection.pools.clone();
    let transports = connection.transports.and(node.config.listen.transports());
    let path = esp_path(node, session, transports, wish).ok_or(Cause::NoUdpEncapsulation)?;
    let own = session.user.as_ref().and_then(|user| Some((user.profile.address?, user.profile.source)));
    let Peer { id, worker: before, .. } = session.peer;
    let known_by = lease_identity(session);
    node.leases.release(now);
    let lease = match own {
        Some((address, Source::Local)) => node.leases.take_own(&pools, id, &known_by, address, before),
        Some((address, Source::Radius(_))) => {
            node.leases.take(&pools, id, &known_by, Want { v4: Ask::Rather(address), ..want }, before)
        }
        None => node.leases.take(&pools, id, &known_by, want, before),
    };
    let lease = lease.map_err(|empty| {
        tracing::warn!(cause = Cause::PoolEmpty.name(), identity = %session.peer.identity, %empty,
            "no inner address: {}", Cause::PoolEmpty.sentence());
        Cause::PoolEmpty
    })?;
    if let (Some((own, source)), Some(leased)) = (own, lease.v4)
        && own != leased.address
    {
        let given = pools.iter().filter_map(|pool| node.config.pools.get(*pool)).any(|pool| gives(pool, own.into()));
        let why = match source {
            Source::Local | Source::Radius(_) if !given => "no pool of the connection gives it",
            Source::Radius(_) if node.config.users.0.values().any(|user| user.address == Some(own)) => {
                "it is the own address of a [[user]]"
            }
            Source::Local | Source::Radius(_) => "another session has it",
        };
        tracing::warn!(identity = %session.peer.identity, %own, given = %leased.address, %source,
            "the user does not get their own inner address: {why}");
    }
    let worker = node.leases.worker(&lease).unwrap_or(before);
    let Some(key) = node.installer.take_tunnel(worker, id) else {
        node.leases.give_back(id, lease);
        return Err(Cause::DataplaneFull);
    };
    node.installer.session_left(before);
    node.installer.session_came(worker);
    session.peer.worker = worker;
    let following = session.peer.nat.following();
    let tunnel = Tunnel::set_up(node, id, key, path, following, transports, Inner::Lent(lease));
    node.counters.logins += 1;
    if let Some(clock) = &mut session.clock {
        clock.next(now, &mut node.counters.login_times, LoginPhase::QuickMode);
    }
    let name = node.config.connections.get(session.peer.connection).map(|connection| connection.name.as_str());
    let auth = login_of(node, session.peer.connection).map(|login| login.auth.name());
    tracing::info!(identity = %session.peer.identity, group = %session.group, connection = name, auth,
        addresses = ?tunnel.inner.addresses(), peer = %session.peer.path.peer, worker = worker.0,
        ike = %session.sa.suite(), "login");
    (session.peer.login, session.granted) = (now, now);
    let what = What::Login {
        ike: "v1",
        transport: Some(tunnel.path.transport()),
        nat: session.peer.nat_spell(),
        addresses: tunnel.inner.addresses(),
        algorithms: session.sa.suite().to_string(),
    };
    node.tell(&session.peer, what);
    session.service = Service::Tunnel(Box::new(tunnel));
    session.take_policy(node);
    session.forget_push();
    Ok(())
}

/// Whether a client asks for Cisco's IPsec-over-UDP, by asking for its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CiscoUdp {
    Asked,
    NotAsked,
}

/// Where ESP goes at first, if it can go anywhere: in UDP beside IKE if IKE has floated to port 4500 or there is a NAT
/// and the drafts before that were agreed on, in Cisco's if the client asks for that, else as it is. The port that
/// Cisco's comes from is only known when the first packet has come; clients that are behind no NAT take our own.
pub(super) fn esp_path(node: &Node, session: &Established, carried: Transports, wish: CiscoUdp) -> Option<EspPath> {
    let Peer { path: ike, framing, .. } = session.peer;
    let beside = match framing {
        IkeFraming::Ctcp => Some(Transport::Ctcp),
        IkeFraming::Tcp => Some(Transport::Tcp),
        IkeFraming::NonEspMarker => Some(Transport::NatT),
        IkeFraming::Bare => session.traversal.wraps_on_500(carried).then_some(Transport::NatT500),
    };
    if let Some(transport) = beside {
        return carried.contains(transport).then(|| EspPath::new(transport, ike));
    }
    match (wish, node.config.listen.cisco_udp_port) {
        (CiscoUdp::Asked, Some(port)) if carried.contains(Transport::CiscoUdp) => {
            let Path { mut local, mut peer } = ike;
            local.set_port(port);
            peer.set_port(port);
            Some(EspPath::new(Transport::CiscoUdp, Path { local, peer }))
        }
        (CiscoUdp::Asked | CiscoUdp::NotAsked, Some(_) | None) => {
            carried.contains(Transport::Esp).then(|| EspPath::new(Transport::Esp, ike))
        }
    }
}

/// How ESP is to stand in its packets, as quick mode says it: in UDP where a NAT was seen or IKE has floated. Cisco's
/// IPsec-over-UDP says "tunnel", for mode config has agreed on it.
pub(super) fn encapsulation(node: &Node, session: &Established) -> Encapsulation {
    let in_udp = match session.peer.framing {
        IkeFraming::NonEspMarker => true,
        IkeFraming::Bare => session.traversal.wraps_on_500(group::transports(node, session.peer.connection)),
        IkeFraming::Ctcp | IkeFraming::Tcp => false,
    };
    match session.traversal.numbers() {
        Some(numbers) if in_udp => Encapsulation::UdpTunnel(numbers),
        Some(_) | None => Encapsulation::Tunnel,
    }
}

/// Whose lease it is, so that the same user in the same group gets the same address again.
pub(super) fn lease_identity(session: &Established) -> Claimant {
    let group = session.group.folded().bytes;
    let user = session.user.as_ref().map(|user| user.name.as_str().as_bytes().to_vec());
    Claimant::User { user: user.unwrap_or_else(|| group.clone()), group }
}

impl Established {
    /// Whether its ESP may go anywhere; if not, it is given no address.
    pub(crate) fn has_way(&self, node: &Node) -> bool {
        esp_path(node, self, group::transports(node, self.peer.connection), CiscoUdp::Asked).is_some()
    }

    /// Who it is for: the user as AAA knows them, octet by octet, for a server says which names are the same; or whom phase 1 has proven. Two users may
    /// look like one another as identities, which are for showing.
    pub(crate) fn whose(&self) -> Id {
        match &self.user {
            Some(user) => Id { kind: IdKind::KeyId, bytes: user.name.as_str().as_bytes().to_vec() },
            None => self.peer.identity.folded(),
        }
    }
}

impl LoggedIn {
    /// The user's name as the session's identity.
    pub(super) fn identity(&self) -> Id {
        let text = self.name.as_str();
        Id::parse(text).unwrap_or_else(|_no_plain_name| Id { kind: IdKind::KeyId, bytes: text.as_bytes().to_vec() })
    }

    /// What the books say of a session of this user's.
    pub(super) fn account(&self, node: &mut Node, peer: &Peer, group: &Id, addresses: Vec<IpAddr>) -> Account {
        Account {
            id: AccountId::new(&mut *node.random),
            session: peer.id,
            connection: peer.connection,
            user: self.name.clone(),
            authentic: self.profile.source.into(),
            caller: Caller { peer: peer.path.peer, local: peer.path.local, group: group.to_string() },
            addresses,
            class: self.profile.class.clone(),
        }
    }
}
