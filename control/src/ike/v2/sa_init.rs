//! IKE_SA_INIT (RFC 7296 section 1.2): algorithms, keys, NAT detection.
//!
//! ```text
//! initiator --> HDR, [N(COOKIE),] SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP),
//!               [N(IKEV2_FRAGMENTATION_SUPPORTED)]
//! responder <-- HDR, SAr1, KEr, Nr, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP),
//!               [N(IKEV2_FRAGMENTATION_SUPPORTED)]
//! ```
//!
//! The address is not proven yet, so the answer is never longer than the question. That costs no real client
//! anything: SAr1 is a part of SAi1, KEr is as long as KEi, our nonce is no longer than the peer's unless the PRF
//! demands it (and then the peer broke the same rule), and without NAT detection there is no IKE SA at all. That we
//! take fragments is an answer to the same notification. An answer that would be longer is found out before any key is
//! computed.
//!
//! We do not say CHILDLESS_IKEV2_SUPPORTED (RFC 6023): a session that begins without a child SA has no inner address, and
//! so it could never get one.

use super::cookie::Asker;
use super::half_open::HalfOpen;
use super::ike_sa::{Fragmentation, IkeSa, IkeSpis};
use super::message_id::MessageIds;
use super::shape::{self, Misshapen, notify};
use crate::config::checked::IkeSuite;
use crate::ike::counters::Ignored;
use crate::ike::keys::IkeKeys;
use crate::ike::nat::nat_detection_hash;
use crate::ike::propose::choose_ike;
use crate::ike::service::{Arrival, Behind, Nat, Node, Role, Version};
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Incoming, KeyExchange, NotifyKind, Payload, Proposal, build};
use crate::session::{Cause, SessionId};
use adit_crypto::kex;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Transport, WorkerId};
use adit_dataplane::time::Instant;
use std::net::Ipv4Addr;

/// No IKE SA comes of it.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The peer hears why.
    Answer { cause: Cause, bytes: Vec<u8>, offered: String, wanted: String },
    /// Nobody hears anything.
    Silence(Ignored),
}

/// Answers one. `incoming` is `datagram` parsed, its header is that of a first request.
pub(crate) fn respond(
    now: Instant,
    node: &mut Node,
    id: SessionId,
    worker: WorkerId,
    datagram: &IkeDatagram,
    incoming: &Incoming<'_>,
) -> Result<HalfOpen, Refused> {
    let header = incoming.header;
    // RFC 7296 section 3.10.1: INVALID_SYNTAX is said inside SK only, where nobody else can make us say it.
    let refused = |_misshapen: Misshapen| Refused::Silence(Ignored::Malformed);
    let offered = shape::sa(&incoming.payloads).map_err(refused)?;
    let ke = shape::ke(&incoming.payloads).map_err(refused)?;
    let nonce_i = shape::nonce(&incoming.payloads).map_err(refused)?;

    let (chosen, suite) = choose_ike(offered, &node.ike_proposals).map_err(|none| {
        refuse(incoming, Cause::NoIkeProposal, NotifyKind::NoProposalChosen, Vec::new(), none.offered, none.wanted)
    })?;
    let detected = match datagram.framing {
        IkeFraming::Bare | IkeFraming::NonEspMarker | IkeFraming::Tcp => detect(incoming, datagram.path),
        IkeFraming::Ctcp => Some(Nat::OF_WHO_CONNECTS),
    };
    let Some(nat) = detected else {
        let (offered, wanted) = ("no NAT_DETECTION".to_owned(), "NAT traversal".to_owned());
        return Err(refuse(
            incoming,
            Cause::NoUdpEncapsulation,
            NotifyKind::NoProposalChosen,
            Vec::new(),
            offered,
            wanted,
        ));
    };
    // RFC 7296 section 1.2: the group that we want, two octets.
    if ke.group != suite.group.iana() {
        let wanted = suite.group.iana().to_be_bytes().to_vec();
        let (offered, name) = (format!("group {}", ke.group), suite.group.name().to_owned());
        return Err(refuse(incoming, Cause::WrongGroup, NotifyKind::InvalidKePayload, wanted, offered, name));
    }

    let fragmentation = fragmentation(node, incoming, datagram.framing);
    let (shown, nonce_len) = (shown(node, datagram.path), nonce_len(suite, nonce_i));
    let answer = |spi_r, chosen, public, nonce_r: &[u8]| {
        let public = KeyExchange { group: ke.group, public };
        answer(incoming, spi_r, chosen, public, nonce_r, shown, fragmentation)
    };
    // A key exchange for an answer that may not be sent would leave no half-open IKE SA to be counted.
    let as_long = answer(IkeSpi::default(), chosen.clone(), ke.public.clone(), &vec![0; nonce_len]);
    if as_long.len() > incoming.bytes.len() {
        return Err(Refused::Silence(Ignored::WouldAmplify));
    }

    let (public, shared) = agree(node, suite, ke).map_err(|_bad| Refused::Silence(Ignored::Malformed))?;
    let nonce_r = node.random_bytes(nonce_len);
    let spi_r = node.new_ike_spi(id);
    let keys = IkeKeys::derive(suite, &shared, nonce_i, &nonce_r, header.initiator_spi, spi_r);
    let response = answer(spi_r, chosen, public, &nonce_r);
    // RFC 7296 section 2.2: IKE_AUTH bears Message ID 1.
    let spis = IkeSpis { initiator: header.initiator_spi, responder: spi_r };
    let ike = IkeSa::new(now, node, Role::Responder, spis, keys, MessageIds::new(1, 0));
    let (Ok(ike), true) = (ike, response.len() <= incoming.bytes.len()) else {
        node.forget_ike_spi(spi_r);
        return Err(Refused::Silence(Ignored::WouldAmplify));
    };
    Ok(HalfOpen {
        id,
        arrival: Arrival { version: Version::V2, spi_i: header.initiator_spi, source: datagram.path.peer },
        ike: ike.fragmenting(fragmentation),
        request: incoming.bytes.to_vec(),
        response,
        nonce_i: nonce_i.to_vec(),
        nonce_r,
        nat,
        shown: if shown == datagram.path { nat.us } else { Behind::Nat },
        path: datagram.path,
        worker,
        since: now,
    })
}

/// What a first message is answered that has to bring a cookie along and does not: one, and nothing is remembered.
/// `None` if it has a good one.
pub(crate) fn ask_for_cookie(
    now: Instant,
    node: &mut Node,
    datagram: &IkeDatagram,
    incoming: &Incoming<'_>,
) -> Option<Result<Vec<u8>, Ignored>> {
    let Ok(nonce) = shape::nonce(&incoming.payloads) else { return Some(Err(Ignored::Malformed)) };
    let asker = Asker { nonce, address: datagram.path.peer.ip(), spi: incoming.header.initiator_spi };
    match shape::notifies(&incoming.payloads).find(|notify| notify.kind == NotifyKind::Cookie) {
        Some(cookie) if node.cookies.is_ours(now, &asker, &cookie.data) => {
            node.counters.cookies_returned += 1;
            return None;
        }
        // RFC 7296 section 2.6: as if there were none. The secret may have changed meanwhile.
        Some(_) => node.counters.cookies_wrong += 1,
        None => {}
    }
    let cookie = notify(NotifyKind::Cookie, node.cookies.bake(now, &asker));
    let bytes = build(&response_header(incoming.header, IkeSpi::default()), &[cookie]);
    if bytes.len() > incoming.bytes.len() {
        return Some(Err(Ignored::WouldAmplify));
    }
    node.counters.cookies_asked += 1;
    Some(Ok(bytes))
}

/// A notification in the clear; the responder's SPI is zero, for there is none (RFC 7296 section 2.6).
fn refuse(
    incoming: &Incoming<'_>,
    cause: Cause,
    kind: NotifyKind,
    data: Vec<u8>,
    offered: String,
    wanted: String,
) -> Refused {
    let bytes = build(&response_header(incoming.header, IkeSpi::default()), &[notify(kind, data)]);
    if bytes.len() > incoming.bytes.len() {
        return Refused::Silence(Ignored::WouldAmplify);
    }
    Refused::Answer { cause, bytes, offered, wanted }
}

/// The answer to a first request with a payload of unknown type that must be understood (RFC 7296 section 2.5).
pub(crate) fn unsupported_critical(header: Header, request_len: usize, kind: u8) -> Refused {
    let payload = notify(NotifyKind::UnsupportedCriticalPayload, vec![kind]);
    let bytes = build(&response_header(header, IkeSpi::default()), &[payload]);
    if bytes.len() > request_len {
        return Refused::Silence(Ignored::WouldAmplify);
    }
    Refused::Answer {
        cause: Cause::UnsupportedCritical,
        bytes,
        offered: format!("payload type {kind}"),
        wanted: String::new(),
    }
}

fn answer(
    request: &Incoming<'_>,
    spi_r: IkeSpi,
    chosen: Proposal,
    ke: KeyExchange,
    nonce_r: &[u8],
    shown: Path,
    fragmentation: Fragmentation,
) -> Vec<u8> {
    let header = request.header;
    let source = nat_detection_hash(header.initiator_spi, spi_r, shown.local);
    let destination = nat_detection_hash(header.initiator_spi, spi_r, shown.peer);
    let mut payloads = vec![
        Payload::Sa(vec![chosen]),
        Payload::Ke(ke),
        Payload::Nonce(nonce_r.to_vec()),
        notify(NotifyKind::NatDetectionSourceIp, source.to_vec()),
        notify(NotifyKind::NatDetectionDestinationIp, destination.to_vec()),
    ];
    match fragmentation {
        Fragmentation::Agreed { .. } => payloads.push(notify(NotifyKind::IkeFragmentationSupported, Vec::new())),
        Fragmentation::NotAgreed => {}
    }
    build(&response_header(header, spi_r), &payloads)
}

/// What the client's NAT detection is to find. If some client may not use native ESP every client has to wrap its ESP in
/// UDP, for nobody knows yet whose the client is: the hash of an address that nobody has says that we are behind a NAT, and the client floats to port 4500 (RFC 7296
/// section 2.23).
///
/// DEVIATES: then it is not our address, as with strongSwan's `encap = yes`.
fn shown(node: &Node, path: Path) -> Path {
    let mut connections = node.config.connections.iter().filter(|connection| connection.v2().is_some());
    match connections.all(|connection| connection.transports.contains(Transport::Esp)) {
        true => path,
        false => Path { local: (Ipv4Addr::UNSPECIFIED, 0).into(), ..path },
    }
}

/// Agreed on if the peer says so, for then we do (RFC 7383 section 2.3). What begins in TCP has no need of it, but fragments are
/// taken (RFC 9329 section 7.5).
pub(super) fn fragmentation(node: &Node, said: &Incoming<'_>, framing: IkeFraming) -> Fragmentation {
    match shape::says(&said.payloads, NotifyKind::IkeFragmentationSupported) {
        true if framing == IkeFraming::Tcp => Fragmentation::Agreed { most: usize::from(u16::MAX) },
        true => Fragmentation::Agreed { most: node.fragment_limit() },
        false => Fragmentation::NotAgreed,
    }
}

fn response_header(request: Header, spi_r: IkeSpi) -> Header {
    Header {
        initiator_spi: request.initiator_spi,
        responder_spi: spi_r,
        exchange: Exchange::IkeSaInit,
        flags: Flags { initiator: false, response: true },
        message_id: 0,
    }
}

/// Our public value and the shared secret.
pub(super) fn agree(
    node: &mut Node,
    suite: IkeSuite,
    ke: &KeyExchange,
) -> Result<(Vec<u8>, SecretBytes), kex::BadPublicValue> {
    kex::answer(suite.group, &mut *node.random, &ke.public)
}

/// As long as the peer's, up to 32; at least 16 and at least half the PRF's key (RFC 7296 section 2.10).
pub(super) fn nonce_len(suite: IkeSuite, peer: &[u8]) -> usize {
    peer.len().clamp(16, 32).max(suite.prf.output_len() / 2)
}

/// `None` if the peer does not do NAT traversal.
pub(super) fn detect(incoming: &Incoming<'_>, path: Path) -> Option<Nat> {
    let Header { initiator_spi, responder_spi, .. } = incoming.header;
    let side = |kind, address| {
        let hash = nat_detection_hash(initiator_spi, responder_spi, address);
        let hashes = shape::notifies(&incoming.payloads).filter(|notify| notify.kind == kind);
        let mut said = hashes.filter(|notify| notify.data.len() == hash.len()).peekable();
        said.peek()?;
        // A host with several addresses sends one hash for each (RFC 7296 section 2.23).
        Some(if said.any(|notify| notify.data == hash) { Behind::Nothing } else { Behind::Nat })
    };
    Some(Nat {
        peer: side(NotifyKind::NatDetectionSourceIp, path.peer)?,
        us: side(NotifyKind::NatDetectionDestinationIp, path.local)?,
    })
}
