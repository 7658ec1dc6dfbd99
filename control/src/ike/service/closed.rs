//! A transport that an operator has closed to a session for a while, so that a client which has another goes by that one.
//!
//! No protocol can tell a client to change its transport. What can be done is to be silent on the one that it uses, even where it comes back
//! to the same port: neither ESP nor IKE goes out that way, neither plane follows it there, and its IKE is not answered but for its goodbye. A client that watches whether it is heard
//! goes on by itself, with the same SAs. One that has no other transport loses its session when its own patience ends, as if the line were
//! cut; a new login is another session's, to which nothing is closed, and a login anew that comes that way opens what was closed to its session.
//!
//! A transport that the configuration takes away is closed in the same way, until it gives it back; those in UDP to ESP alone, for IKE may be there
//! without it. A login anew that comes by TCP or cTCP where that is closed so does not take the session over: it is told that there is no way.

use super::node::Node;
use super::peer::Peer;
use super::tunnel::Tunnel;
use crate::journal::What;
use adit_dataplane::contract::{IkeFraming, Transport, Transports};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// Which, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Closed {
    transports: Transports,
    until: Option<Instant>,
    /// Of TCP and cTCP those that the configuration does not let its ESP take: IKE is not in there without ESP. In UDP it may be.
    barred: Transports,
}

/// Why a transport cannot be closed to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotClose {
    /// It is not up, or has no tunnel.
    NotUp,
    /// It may use no other.
    NoOther,
    /// We have called, and whoever calls chooses.
    WeHaveCalled,
}

impl Closed {
    /// Whether IKE that comes so is on one of them.
    pub(crate) fn takes(&self, framing: IkeFraming) -> bool {
        self.transports.contains(transport(framing)) || self.bars(framing)
    }

    /// Whether the configuration does not let it come so.
    pub(crate) fn bars(&self, framing: IkeFraming) -> bool {
        self.barred.contains(transport(framing))
    }

    /// When [`reopen_if_time`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.until
    }
}

/// The one of ESP that goes beside IKE.
const fn transport(framing: IkeFraming) -> Transport {
    match framing {
        IkeFraming::Bare => Transport::NatT500,
        IkeFraming::NonEspMarker => Transport::NatT,
        IkeFraming::Ctcp => Transport::Ctcp,
        IkeFraming::Tcp => Transport::Tcp,
    }
}

/// Closes a transport to a session, beside those that are closed already. Those that it may still use come back.
pub(crate) fn close(
    now: Instant,
    node: &mut Node,
    peer: &mut Peer,
    tunnel: &Tunnel,
    transport: Transport,
    time: Duration,
    by: &str,
) -> Result<Transports, CannotClose> {
    if !peer.has_come() {
        return Err(CannotClose::WeHaveCalled);
    }
    let transports = peer.closed.transports.with(transport);
    let left = tunnel.transports().without(transports);
    if left == Transports::NONE {
        return Err(CannotClose::NoOther);
    }
    peer.closed = Closed { transports, until: Some(now + time), ..peer.closed };
    tunnel.close(node, transports);
    tracing::info!(%transport, seconds = time.as_secs(), by, "the transport is closed to this session");
    node.tell(peer, What::TransportClosed { transport, time, by: by.to_owned() });
    Ok(left)
}

/// What the configuration has taken away is closed to whoever has come, too, until it gives it back.
pub(crate) fn follow_configuration(node: &mut Node, peer: &mut Peer, tunnel: &mut Tunnel) {
    let Some(connection) = node.connection(peer.connection).filter(|_| peer.has_come()) else { return };
    let allowed = connection.transports.and(node.config.listen.transports());
    tunnel.allow(node, allowed, peer.closed.transports);
    peer.closed.barred = Transports::NONE.with(Transport::Ctcp).with(Transport::Tcp).without(tunnel.transports());
}

/// Lets it use them again once their time is over.
pub(crate) fn reopen_if_time(now: Instant, node: &mut Node, peer: &mut Peer, tunnel: Option<&Tunnel>) {
    if peer.closed.until.is_none_or(|until| until > now) {
        return;
    }
    open(node, peer, tunnel);
}

/// Lets it use all of them again that the configuration does.
pub(crate) fn open(node: &mut Node, peer: &mut Peer, tunnel: Option<&Tunnel>) {
    peer.closed = Closed { barred: peer.closed.barred, ..Closed::default() };
    tracing::info!("all its transports are open to this session again");
    if let Some(tunnel) = tunnel {
        tunnel.close(node, Transports::NONE);
    }
}
