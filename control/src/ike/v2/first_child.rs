//! The child SA that IKE_AUTH makes, with the inner address that goes with it (RFC 7296 sections 1.2, 2.9, 2.19).
//!
//! ```text
//! responder <-- HDR, SK {IDr, AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
//! responder <-- HDR, SK {IDr, AUTH, N(why there is no child)}        (the IKE SA is there all the same, 1.2)
//! ```

use super::configuration;
use super::expect_auth::{ChildOffer, Proven};
use super::half_open::HalfOpen;
use super::shape::notify;
use crate::config::checked::Connection;
use crate::ike::narrow::{Shown, narrow, selector_of_address, selector_of_net};
use crate::ike::propose::{ChildExchange, EspChoice, choose_esp};
use crate::ike::service::{Child, ChildParts, Inner, LeaseFate, Node, Role, Tunnel, addresses};
use crate::ike::wire::{NotifyKind, Payload};
use crate::lease::{Claimant, Lease, Want};
use crate::session::Cause;
use adit_dataplane::contract::{
    IkeDatagram, IkeFraming, Lane, Selector, Selectors, Spi, Transport, Transports, TunnelKey, WorkerId,
};
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// Why there is no child SA.
#[derive(Debug)]
pub(super) struct ChildRefused {
    pub(super) cause: Cause,
    pub(super) answer: Payload,
    pub(super) offered: String,
    pub(super) wanted: String,
}

impl ChildRefused {
    pub(super) fn new(cause: Cause, kind: NotifyKind, offered: String, wanted: String) -> Self {
        Self { cause, answer: notify(kind, Vec::new()), offered, wanted }
    }
}

/// Leases, narrows, installs. Returns the tunnel and the rest of the answer.
pub(super) fn grant(
    now: Instant,
    node: &mut Node,
    half: &HalfOpen,
    proven: &Proven<'_>,
    offer: ChildOffer<'_>,
    datagram: &IkeDatagram,
) -> Result<(Tunnel, Vec<Payload>), ChildRefused> {
    let config = Arc::clone(&node.config);
    let Some(connection) = config.connections.get(proven.connection) else {
        return Err(ChildRefused::new(
            Cause::UnknownIdentity,
            NotifyKind::NoProposalChosen,
            String::new(),
            String::new(),
        ));
    };
    let transports = connection.transports.and(config.listen.transports());
    let Some(path) = half.seen().esp_path(datagram, transports) else {
        let (offered, wanted) = match datagram.framing {
            IkeFraming::Bare => ("IKE_AUTH on port 500".to_owned(), "port 4500".to_owned()),
            IkeFraming::NonEspMarker => (by(Transport::NatT), names(transports)),
            IkeFraming::Ctcp => (by(Transport::Ctcp), names(transports)),
            IkeFraming::Tcp => (by(Transport::Tcp), names(transports)),
        };
        return Err(ChildRefused::new(Cause::NoUdpEncapsulation, NotifyKind::NoProposalChosen, offered, wanted));
    };
    let choice = choose_esp(offer.proposals, &connection.esp_proposals, ChildExchange::IkeAuth).map_err(|none| {
        ChildRefused::new(Cause::NoChildProposal, NotifyKind::NoProposalChosen, none.offered, none.wanted)
    })?;
    let want = proven.configuration.map(configuration::want).unwrap_or_default();
    if want == Want::default() {
        let (offered, wanted) = ("no CFG_REQUEST for an address".to_owned(), "one".to_owned());
        return Err(ChildRefused::new(Cause::NoAddressAsked, NotifyKind::FailedCpRequired, offered, wanted));
    }
    let best = node.installer.least_loaded();
    node.leases.release(now);
    let known_by = Claimant::identity(proven.identity);
    let lease = node.leases.take(&connection.pools, half.id, &known_by, want, best).map_err(|empty| {
        ChildRefused::new(Cause::PoolEmpty, NotifyKind::InternalAddressFailure, format!("{want:?}"), empty.to_string())
    })?;
    let worker = node.leases.worker(&lease).unwrap_or(best);
    let reserved = narrowed(offer, connection, &lease).and_then(|selectors| {
        let (tunnel, spi) = slots(node, half, worker)?;
        Ok((selectors, tunnel, spi))
    });
    let (selectors, key, spi_in) = match reserved {
        Ok(reserved) => reserved,
        Err(refused) => {
            node.leases.give_back(half.id, lease);
            return Err(refused);
        }
    };
    let EspChoice { mut answer, peer_spi, cipher, numbers, group: _ } = choice;
    answer.spi = spi_in.get().to_be_bytes().to_vec();
    let mut payloads = Vec::new();
    if let Some(request) = proven.configuration {
        payloads.push(Payload::Configuration(configuration::reply(node, request, &lease, connection)));
    }
    payloads.push(Payload::Sa(vec![answer]));
    payloads.push(Payload::TsInitiator(selectors.remote.clone()));
    payloads.push(Payload::TsResponder(selectors.local.clone()));

    let inner = Inner::Lent(lease);
    let mut tunnel = Tunnel::set_up(node, half.id, key, path, half.nat.following(), transports, inner);
    let keys = half.ike.keys.child_keymat(cipher, None, &half.nonce_i, &half.nonce_r);
    let role = Role::Responder;
    let parts = ChildParts {
        tunnel: key,
        lane: Lane::FIRST,
        spi_in,
        spi_out: peer_spi,
        suite: cipher,
        numbers,
        selectors,
        role,
    };
    match Child::install(now, node, parts, &keys) {
        Ok(child) => tunnel.children.push(child),
        Err(bad_length) => {
            node.installer.give_back_spi(spi_in);
            tunnel.take_down(node, LeaseFate::GivenBack);
            let wanted = bad_length.to_string();
            return Err(ChildRefused::new(Cause::NoChildProposal, NotifyKind::NoProposalChosen, String::new(), wanted));
        }
    }
    // Nothing is older, so there is nothing to wait for.
    tunnel.switch_to(now, node, 0);
    Ok((tunnel, payloads))
}

fn by(transport: Transport) -> String {
    format!("ESP by {transport}")
}

fn names(transports: Transports) -> String {
    transports.iter().map(Transport::name).collect::<Vec<_>>().join(", ")
}

/// TSi to the leased addresses, TSr to the networks of the connection, of the families that have an address.
fn narrowed(offer: ChildOffer<'_>, connection: &Connection, lease: &Lease) -> Result<Selectors, ChildRefused> {
    let ours: Vec<Selector> = addresses(lease).into_iter().map(selector_of_address).collect();
    let has = |network: &ipnet::IpNet| match network {
        ipnet::IpNet::V4(_) => lease.v4.is_some(),
        ipnet::IpNet::V6(_) => lease.v6.is_some(),
    };
    let networks: Vec<Selector> = connection.networks.iter().copied().filter(has).map(selector_of_net).collect();
    let remote = narrow(offer.ts_initiator, &ours);
    let local = narrow(offer.ts_responder, &networks);
    if remote.is_empty() || local.is_empty() {
        let offered = format!("{} === {}", shown(offer.ts_initiator), shown(offer.ts_responder));
        let wanted = format!("{} === {}", shown(&ours), shown(&networks));
        return Err(ChildRefused::new(Cause::TsUnacceptable, NotifyKind::TsUnacceptable, offered, wanted));
    }
    Ok(Selectors { local, remote })
}

fn slots(node: &mut Node, half: &HalfOpen, worker: WorkerId) -> Result<(TunnelKey, Spi), ChildRefused> {
    // NO_ADDITIONAL_SAS is what the RFC has for an end that takes no more (section 3.10.1).
    let full = || ChildRefused::new(Cause::DataplaneFull, NotifyKind::NoAdditionalSas, String::new(), String::new());
    let tunnel = node.installer.take_tunnel(worker, half.id).ok_or_else(full)?;
    let Some(spi) = node.installer.take_spi(worker, half.id) else {
        node.installer.give_back_tunnel(tunnel);
        return Err(full());
    };
    Ok((tunnel, spi))
}

/// As text for the log; a peer may send many.
pub(super) fn shown(selectors: &[Selector]) -> String {
    const MOST: usize = 16;
    let mut texts: Vec<String> = selectors.iter().take(MOST).map(|selector| Shown(selector).to_string()).collect();
    if selectors.len() > MOST {
        texts.push(format!("… ({} more)", selectors.len() - MOST));
    }
    texts.join(", ")
}
