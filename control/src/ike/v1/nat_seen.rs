//! NAT detection (RFC 3947 section 3.2 and the drafts before it): both ends say how they see the addresses.

use super::wire::{Chain, NatNumbers, NatTraversal, Payload};
use crate::ike::service::{Behind, Nat, Node};
use adit_dataplane::contract::{Path, Transport, Transports};
use std::net::{Ipv4Addr, SocketAddr};

/// Where phase 1 begins (RFC 2408 section 2.5.1).
const IKE_PORT: u16 = 500;

/// The NAT traversals that we speak where ESP may come as in `carried`, the most wanted first. Those that stay on port 500
/// are of no use where ESP may not come there; without the others no NAT is passed at all, and the log is to say so.
pub(super) fn traversals(node: &Node, carried: Transports) -> impl Iterator<Item = NatTraversal> + use<> {
    let ours = node.config.listen.nat_traversals.iter();
    ours.filter(move |version| version.floats() || carried.contains(Transport::NatT500))
}

/// What both ends agreed on, and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traversal {
    pub(super) version: Option<NatTraversal>,
    pub(super) nat: Nat,
}

impl Traversal {
    /// Nothing is known yet.
    pub(super) const fn unknown(version: Option<NatTraversal>) -> Self {
        Self { version, nat: Nat { peer: Behind::Nothing, us: Behind::Nothing } }
    }

    /// What comes by cTCP is not detected.
    pub(super) const fn of_connection() -> Self {
        Self { version: None, nat: Nat::OF_WHO_CONNECTS }
    }

    /// The numbers of its payloads and modes.
    pub(super) fn numbers(&self) -> Option<NatNumbers> {
        self.version.map(NatTraversal::numbers)
    }

    /// Whether ESP has to go in UDP: a NAT was found, or native ESP is not carried and the client was made to see one.
    pub(super) fn wraps(&self, carried: Transports) -> bool {
        [self.nat.peer, self.nat.us].contains(&Behind::Nat) || !carried.contains(Transport::Esp)
    }

    /// Whether it goes in UDP 500: so do the drafts that do not float.
    pub(super) fn wraps_on_500(&self, carried: Transports) -> bool {
        self.version.is_some_and(|version| !version.floats()) && self.wraps(carried)
    }

    /// Our payloads for a message that goes along `path`: where it goes first, then where it comes from.
    ///
    /// DEVIATES: where native ESP is not taken every client has to wrap its ESP in UDP. The hash of an address that
    /// nobody has says that we are behind a NAT, and the client floats to port 4500 if its version does.
    pub(super) fn payloads(
        &self,
        path: Path,
        carried: Transports,
        hash: impl Fn(SocketAddr) -> Vec<u8>,
    ) -> Vec<Payload> {
        let Some(numbers) = self.numbers() else { return Vec::new() };
        let ours = match carried.contains(Transport::Esp) {
            true => path.local,
            false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        };
        [path.peer, ours].into_iter().map(|end| Payload::NatD(numbers, hash(end))).collect()
    }

    /// What the peer's payloads say about `path`, along which they came. Without them nothing is found.
    ///
    /// The first is the hash of where it sent to, all others are of where it may have sent from (section 3.2).
    pub(super) fn hear(&mut self, chain: &Chain<'_>, path: Path, hash: impl Fn(SocketAddr) -> Vec<u8>) {
        let Some(numbers) = self.numbers() else { return };
        let mut said = chain.iter().filter_map(|payload| match payload {
            Payload::NatD(theirs, hash) if *theirs == numbers => Some(hash),
            _another => None,
        });
        let Some(destination) = said.next() else { return };
        let sources: Vec<&Vec<u8>> = said.collect();
        if sources.is_empty() {
            return;
        }
        // A message that has floated to port 4500 may still speak of port 500, where the peer found us.
        let mut found = path.local;
        found.set_port(IKE_PORT);
        let there = hash(path.peer);
        let here = [path.local, found].into_iter().any(|end| *destination == hash(end));
        let us = if here { Behind::Nothing } else { Behind::Nat };
        let peer = if sources.into_iter().any(|source| *source == there) { Behind::Nothing } else { Behind::Nat };
        self.nat = Nat { peer, us };
    }
}
