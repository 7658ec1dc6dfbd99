//! A login: what is asked, and what the answer means (RFC 2865 section 4, RFC 2548 section 2.3).

use super::attribute::{Attribute, kind, microsoft, number, of_vendor, wispr};
use super::packet::{Builder, Code, Request, Response};
use super::{hide, ms_chap};
use crate::aaa::{
    Bandwidth, Challenge, ChallengeState, Limits, Profile, Proof, Question, Rejection, Source, UserName, Verdict, Why,
};
use crate::config::checked::{PasswordProtocol, RadiusServer};
use adit_crypto::random::SecretRandom;
use adit_crypto::secret::SecretBytes;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

/// NAS-Port-Type "Virtual" and Service-Type "Framed", Framed-Protocol "PPP" (RFC 2865 sections 5.41, 5.6, 5.7): what
/// policies for VPN headends look for.
const VIRTUAL: u32 = 5;
const FRAMED: u32 = 2;
const PPP: u32 = 1;
/// Octets of all Class attributes that are kept: they must fit into an accounting request beside the rest.
const MAX_CLASS: usize = 2048;
/// Octets of text that a user is shown.
const MAX_MESSAGE: usize = 1024;
/// RFC 2869 section 5.16: servers should not ask for less, and nobody should do it.
const SHORTEST_INTERIM: Duration = Duration::from_secs(60);

/// A login under way at a server.
#[derive(Debug, Clone)]
pub(in super::super) struct Login {
    pub(in super::super) request: Request,
    pub(in super::super) success: Success,
}

/// What the server has to know, too, if it lets the user in: MS-CHAP-2's identifier and proof. `None`: nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Success(Option<Vec<u8>>);

/// Writes the question down. `None`: this proof cannot go to this server.
pub(in super::super) fn login_request(
    question: &Question,
    names: (&str, &str),
    server: &RadiusServer,
    identifier: u8,
    random: &mut dyn SecretRandom,
) -> Option<Login> {
    let (nas, connection) = names;
    let mut authenticator = [0; 16];
    random.fill(&mut authenticator);
    let mut builder = Builder::access(identifier, authenticator);
    builder.add(kind::USER_NAME, question.user.as_str().as_bytes());
    let success = match &question.proof {
        Proof::Password(password) => match (server.password, &question.state) {
            (PasswordProtocol::Pap, _) => pap(&mut builder, password, server, &authenticator)?,
            // What a challenge asks for is a passcode: nobody has its hash.
            (PasswordProtocol::Chap | PasswordProtocol::MsChapV2, Some(_)) => {
                pap(&mut builder, password, server, &authenticator)?
            }
            (PasswordProtocol::Chap, None) => chap(&mut builder, password, random),
            (PasswordProtocol::MsChapV2, None) => {
                Some(ms_chap_v2(&mut builder, question.user.as_str(), password, random)?)
            }
        },
        Proof::Chap { identifier, challenge, response } => {
            let value: Vec<u8> = [&[*identifier][..], response].concat();
            builder.add(kind::CHAP_PASSWORD, &value);
            builder.add(kind::CHAP_CHALLENGE, challenge);
            None
        }
        Proof::MsChapV2 { identifier, challenge, peer_challenge, response } => {
            ms_chap_response(&mut builder, *identifier, challenge, peer_challenge, response);
            None
        }
    };
    if let Some(state) = question.state.as_ref().filter(|state| !state.state.is_empty()) {
        builder.add(kind::STATE, &state.state);
    }
    builder.add_number(kind::SERVICE_TYPE, FRAMED);
    builder.add_number(kind::FRAMED_PROTOCOL, PPP);
    where_from(&mut builder, &question.caller, nas, connection);
    Some(Login { request: builder.seal(&server.secret), success: Success(success) })
}

/// Who asks, and where the user is.
pub(super) fn where_from(builder: &mut Builder, caller: &crate::aaa::Caller, nas: &str, connection: &str) {
    match caller.local.ip() {
        IpAddr::V4(address) => builder.add(kind::NAS_IP_ADDRESS, &address.octets()),
        IpAddr::V6(address) => builder.add(kind::NAS_IPV6_ADDRESS, &address.octets()),
    }
    builder.add(kind::NAS_IDENTIFIER, nas.as_bytes());
    builder.add_number(kind::NAS_PORT_TYPE, VIRTUAL);
    builder.add(kind::NAS_PORT_ID, connection.as_bytes());
    builder.add(kind::CALLED_STATION_ID, caller.local.ip().to_string().as_bytes());
    builder.add(kind::CALLING_STATION_ID, caller.peer.ip().to_string().as_bytes());
    // RFC 2868 sections 3.3 and 3.9: texts without a tag, which would be an octet below 0x20 in front of them.
    builder.add(kind::TUNNEL_CLIENT_ENDPOINT, caller.peer.ip().to_string().as_bytes());
    builder.add(kind::TUNNEL_CLIENT_AUTH_ID, caller.group.as_bytes());
}

fn pap(
    builder: &mut Builder,
    password: &SecretBytes,
    server: &RadiusServer,
    authenticator: &[u8; 16],
) -> Option<Option<Vec<u8>>> {
    builder.add(kind::USER_PASSWORD, &hide::hide(password, &server.secret, authenticator)?);
    Some(None)
}

/// RFC 1994 section 4.1, with a challenge of ours.
fn chap(builder: &mut Builder, password: &SecretBytes, random: &mut dyn SecretRandom) -> Option<Vec<u8>> {
    let mut challenge = [0; 16];
    random.fill(&mut challenge);
    let identifier = 1;
    let response = super::packet::digest(&[&[identifier], password.expose(), &challenge]);
    builder.add(kind::CHAP_PASSWORD, &[&[identifier][..], &response].concat());
    builder.add(kind::CHAP_CHALLENGE, &challenge);
    None
}

fn ms_chap_v2(
    builder: &mut Builder,
    user: &str,
    password: &SecretBytes,
    random: &mut dyn SecretRandom,
) -> Option<Vec<u8>> {
    let (mut challenge, mut peer_challenge) = ([0; 16], [0; 16]);
    random.fill(&mut challenge);
    random.fill(&mut peer_challenge);
    let answered = ms_chap::answer(user, password, &challenge, &peer_challenge)?;
    let identifier = 1;
    ms_chap_response(builder, identifier, &challenge, &peer_challenge, &answered.response);
    let mut success = vec![identifier];
    success.extend(b"S=");
    success.extend(answered.server_proof.as_bytes());
    Some(success)
}

/// RFC 2548 section 2.3.2: identifier, flags, the client's challenge, eight zeros, the response.
fn ms_chap_response(
    builder: &mut Builder,
    identifier: u8,
    challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
    response: &[u8; 24],
) {
    let value = [&[identifier, 0][..], peer_challenge, &[0; 8], response].concat();
    builder.add_vendor(microsoft::VENDOR, microsoft::CHAP_CHALLENGE, challenge);
    builder.add_vendor(microsoft::VENDOR, microsoft::CHAP2_RESPONSE, &value);
}

/// Reads an answer of the server with index `server`. `interim` is what the connection wants.
pub(in super::super) fn read_reply(response: &Response<'_>, server: usize, interim: Option<Duration>) -> Verdict {
    let attributes = &response.attributes;
    let message = message(attributes);
    match response.code {
        Code::AccessAccept => Verdict::Accept(Box::new(profile(attributes, server, interim, message))),
        Code::AccessReject => Verdict::Reject(Rejection { why: Why::Server, message }),
        Code::AccessChallenge => {
            let state = find(attributes, kind::STATE).unwrap_or_default().to_vec();
            Verdict::Challenge(Challenge { message, state: ChallengeState { server, state } })
        }
        // No answer to a login has these codes; `Request::answer` has seen to it.
        Code::AccessRequest | Code::AccountingRequest | Code::AccountingResponse => Verdict::Unavailable,
    }
}

impl Success {
    /// RFC 2759 section 5: who lets a user in by MS-CHAP-2 shows that it knows the password.
    pub(in super::super) fn is_in(&self, response: &Response<'_>) -> bool {
        let Some(wanted) = self.0.as_ref().filter(|_| response.code == Code::AccessAccept) else { return true };
        let attributes = response.attributes.iter();
        let mut shown = attributes.filter_map(|one| of_vendor(one, microsoft::VENDOR, microsoft::CHAP2_SUCCESS));
        shown.any(|shown| shown.starts_with(wanted))
    }
}

fn profile(attributes: &[Attribute<'_>], server: usize, interim: Option<Duration>, message: Option<String>) -> Profile {
    let seconds = |kind| {
        let number = find(attributes, kind).and_then(number).filter(|seconds| *seconds > 0);
        number.map(|seconds| Duration::from_secs(seconds.into()))
    };
    let bits = |wanted| {
        let found = attributes.iter().find_map(|one| of_vendor(one, wispr::VENDOR, wanted));
        found.and_then(number).and_then(NonZeroU32::new)
    };
    let mut kept = 0;
    let class = attributes.iter().filter(|one| one.kind == kind::CLASS).map(|one| one.value.to_vec());
    Profile {
        source: Source::Radius(server),
        name: find(attributes, kind::USER_NAME).and_then(|name| UserName::new(name).ok()),
        // RFC 2865 section 5.8: all ones is the client's choice, the one below it is ours.
        address: find(attributes, kind::FRAMED_IP_ADDRESS)
            .and_then(number)
            .filter(|address| *address != 0 && *address < 0xffff_fffe)
            .map(Ipv4Addr::from_bits),
        netmask: find(attributes, kind::FRAMED_IP_NETMASK).and_then(number).map(Ipv4Addr::from_bits),
        class: class
            .take_while(|class| {
                kept += class.len() + 2;
                kept <= MAX_CLASS
            })
            .collect(),
        filter: find(attributes, kind::FILTER_ID).and_then(|value| text(value, MAX_MESSAGE)),
        limits: Limits { session: seconds(kind::SESSION_TIMEOUT), idle: seconds(kind::IDLE_TIMEOUT) },
        bandwidth: Bandwidth { up: bits(wispr::BANDWIDTH_MAX_UP), down: bits(wispr::BANDWIDTH_MAX_DOWN) },
        max_logins: find(attributes, kind::PORT_LIMIT).and_then(number).and_then(NonZeroU32::new),
        interim: seconds(kind::ACCT_INTERIM_INTERVAL).map(|wish| wish.max(SHORTEST_INTERIM)).or(interim),
        message,
    }
}

/// All Reply-Messages as one (RFC 2865 section 5.18).
fn message(attributes: &[Attribute<'_>]) -> Option<String> {
    let parts = attributes.iter().filter(|one| one.kind == kind::REPLY_MESSAGE).map(|one| one.value);
    text(&parts.collect::<Vec<_>>().concat(), MAX_MESSAGE)
}

/// As text that can be shown: control characters but new lines are left out.
fn text(octets: &[u8], most: usize) -> Option<String> {
    let octets = octets.get(..most).unwrap_or(octets);
    let text = String::from_utf8_lossy(octets);
    let text: String = text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

fn find<'a>(attributes: &[Attribute<'a>], kind: u8) -> Option<&'a [u8]> {
    attributes.iter().find(|one| one.kind == kind).map(|one| one.value)
}

#[cfg(test)]
mod tests;
