//! The quick mode that makes an ESP SA where there is none: only who has started the session begins it so (RFC 2409
//! section 5.5).

use super::established::{Established, Service};
use super::grant::encapsulation;
use super::offer;
use super::phase_1::login_of;
use super::rekey::Plan;
use super::wire::{Identification, LifeTime};
use crate::config::checked::Pfs;
use crate::ike::narrow::selector_of_net;
use crate::ike::service::{Node, Tunnel};
use adit_dataplane::time::Instant;
use ipnet::{IpNet, Ipv4Net};

/// When one is due, if the session is ours and has no ESP SA.
pub(super) fn due(session: &Established) -> Option<Instant> {
    let (Some(called), Service::Tunnel(tunnel)) = (&session.called, &session.service) else { return None };
    (!tunnel.in_service()).then_some(called.quick_after)
}

/// From our address to everything, whatever we were told: what comes of it is narrowed to the networks of the
/// configuration.
pub(super) fn plan(node: &Node, session: &Established) -> Option<Plan> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    let connection = node.connection(session.peer.connection)?;
    let login = login_of(node, session.peer.connection)?;
    let told = session.called.as_ref()?.told.as_ref()?;
    let pfs = match (login.pfs, told.pfs) {
        (Pfs::Required, _) | (Pfs::Optional, Some(true)) => Pfs::Required,
        (Pfs::Optional, Some(false) | None) => Pfs::Optional,
    };
    let life = LifeTime { seconds: node.config.esp.rekey.time.map(|time| time.as_secs()), kilobytes: None };
    let offers = offer::esp(&connection.esp_proposals, login, pfs, encapsulation(node, session), life);
    let everything = selector_of_net(IpNet::V4(Ipv4Net::default()));
    let own = selector_of_net(IpNet::from(std::net::IpAddr::from(told.address)));
    Some(Plan {
        lane: Tunnel::free_lane(tunnel, node.config.ike.children_limit, None)?,
        selectors: tunnel.inner.selectors(connection),
        replaces: None,
        offers,
        ours: Identification::of_selector(&own)?,
        theirs: Identification::of_selector(&everything)?,
    })
}
