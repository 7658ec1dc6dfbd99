//! Informational exchanges (RFC 2409 section 5.7): deletes, DPD, and what else is said without an answer.

use super::asked::Asked;
use super::dpd::{self, Freshness};
use super::established::{Established, Service};
use super::isakmp_sa::Cookies;
use super::phase_1::Contact;
use super::rekey;
use super::wire::{Chain, Delete, LifeTime, Notify, NotifyKind, Payload};
use crate::ike::service::Node;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

/// What becomes of an ISAKMP SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaFate {
    Stays,
    Deleted,
    /// The peer does not give us what we have called for.
    Useless,
}

impl SaFate {
    /// Of several, the first that is not to stay.
    fn or(self, other: Self) -> Self {
        match self {
            Self::Stays => other,
            Self::Deleted | Self::Useless => self,
        }
    }
}

/// Whether it deletes the ISAKMP SA that it comes on.
pub(super) fn is_goodbye(cookies: Cookies, chain: &Chain<'_>) -> bool {
    chain.iter().any(|payload| match payload {
        Payload::Delete(Delete::Isakmp(sas)) => sas.contains(&(cookies.initiator, cookies.responder)),
        _says_something_else => false,
    })
}

/// Does what it says.
pub(super) fn obey(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    cookies: Cookies,
    datagram: &IkeDatagram,
    chain: &Chain<'_>,
) -> SaFate {
    let mut fate = SaFate::Stays;
    for payload in chain.iter() {
        match payload {
            Payload::Delete(Delete::Esp(spis)) => delete_esp(now, node, session, spis),
            Payload::Delete(Delete::Isakmp(sas)) if sas.contains(&(cookies.initiator, cookies.responder)) => {
                fate = SaFate::Deleted;
            }
            Payload::Notify(notify) => {
                fate = fate.or(heard(now, node, session, cookies, datagram, notify));
            }
            _says_nothing_here => {}
        }
    }
    fate
}

/// SAs that the peer receives on no more (RFC 2408 section 3.15).
fn delete_esp(now: Instant, node: &mut Node, session: &mut Established, spis: &[u32]) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    for spi in spis {
        match tunnel.delete(now, node, *spi) {
            Some(spi_in) => tracing::info!(spi_in = %spi_in, by = "the peer", "child SA deleted"),
            None => tracing::debug!(spi_out = format_args!("{spi:#010x}"), "a delete for no SA of ours"),
        }
    }
}

fn heard(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    cookies: Cookies,
    datagram: &IkeDatagram,
    notify: &Notify,
) -> SaFate {
    match notify.kind {
        NotifyKind::RUThere => {
            let Some(number) = dpd::number(notify, cookies) else { return SaFate::Stays };
            // The answer goes where the question came from, if that cannot be an old one. Numbers begin anew with each ISAKMP
            // SA: one under a former one says nothing.
            let under_ours = session.sa.cookies() == cookies;
            if under_ours && session.dpd_asked(number) == Freshness::Fresh {
                session.fresh(now, node, datagram);
            }
            session.inform_on(now, node, cookies, dpd::payload(NotifyKind::RUThereAck, cookies, number));
        }
        NotifyKind::RUThereAck => {
            let number = dpd::number(notify, cookies);
            match number.map_or(Freshness::MaybeOld, |number| session.dpd_answered(node, number)) {
                Freshness::Fresh => session.fresh(now, node, datagram),
                Freshness::MaybeOld => {}
            }
        }
        // RFC 2407 section 4.6.3.3, as racoon says it. Nobody has asked for anything yet, so this is what the login is.
        NotifyKind::InitialContact if !session.has_service() && session.called.is_none() => {
            session.contact = Contact::Initial;
        }
        NotifyKind::ResponderLifetime if dpd::is_about(notify, cookies) => {
            if let Some(life) = LifeTime::read_isakmp(&notify.data) {
                session.life_time_told(now, life);
            }
        }
        kind if kind.is_error() => {
            tracing::info!(told = ?kind, "the peer says that something is wrong");
            // It names no exchange: if we have asked for something, it is about that.
            if let Some(asked) = session.asked.take_if(|asked| matches!(asked, Asked::Quick(_))) {
                asked.let_go(node);
                if session.is_connecting() {
                    return SaFate::Useless;
                }
                rekey::put_off(now, node, session);
            }
        }
        _of_no_consequence => {}
    }
    SaFate::Stays
}
