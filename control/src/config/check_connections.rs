//! Connections: from what the file says to what cannot be wrong. What only IKEv1 has is in [`check_v1`].

use super::check::{Surroundings, unique_names, values};
use super::checked::{Connection, EspProposal, IkeProposal, Listen, Login, LoginV2, NativeEsp, Transport, Transports};
use super::error::{Problem, Warning, nearest};
use super::file::{self, Version};
use super::section::Source;
use super::{check_policy, check_together, check_v1, legacy, psk};
use crate::ike::narrow::MAX_NARROWED;
use adit_crypto::secret::SecretBytes;
use std::path::Path;

/// Guessable keys are found offline by anyone who sees one login attempt answered (RFC 7296 section 2.15).
const SHORT_PSK: usize = 16;

/// What connections are checked against.
pub(super) struct Around<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) listen: &'a Listen,
}

pub(super) fn connections(
    source: &Source<'_>,
    file: &file::Config,
    around: &Around<'_>,
    warnings: &mut Vec<Warning>,
) -> Vec<Connection> {
    if file.connections.is_empty() {
        let expected = "at least one [[connection]], or nobody can log in".to_owned();
        source.error(1, "[[connection]]".to_owned(), Problem::Missing(expected));
    }
    let named = file.connections.iter().map(|connection| (connection.title.as_str(), connection.name.as_ref()));
    unique_names(source, named);
    for connection in &file.connections {
        legacy::check(source, connection, warnings);
    }
    let each = file.connections.iter();
    let checked: Vec<(&file::Connection, Connection)> = each
        .filter_map(|connection| Some((connection, one_connection(source, file, connection, around, warnings)?)))
        .collect();
    check_together::check(source, &checked, warnings);
    checked.into_iter().map(|(_, connection)| connection).collect()
}

/// `None`: what it lacks is reported already.
fn one_connection(
    source: &Source<'_>,
    file: &file::Config,
    connection: &file::Connection,
    around: &Around<'_>,
    warnings: &mut Vec<Warning>,
) -> Option<Connection> {
    let secret = psk(source, connection, &around.surroundings.folder, warnings);
    let pools = pool_indices(source, connection, &file.pools);
    let rules = check_policy::rules(source, connection, &file.classes);
    let version = connection.ike.as_ref().map_or(Version::V2, |ike| ike.value);
    let transports = transports(source, connection, version, around.listen);
    let (login, default_esp) = match version {
        Version::V1 => {
            let login = check_v1::login(source, file, connection, secret, &around.surroundings.folder)?;
            check_certificate(source, file, connection);
            (Login::V1(Box::new(login)), check_v1::default_esp(connection))
        }
        Version::V2 => {
            count_networks(source, connection);
            let ike_proposals = match &connection.ike_proposals {
                Some(list) => values(Some(list)),
                None => DEFAULT_IKE_PROPOSALS.iter().filter_map(|text| IkeProposal::parse(text).ok()).collect(),
            };
            let default = DEFAULT_ESP_PROPOSALS.iter().filter_map(|text| EspProposal::parse(text).ok());
            (Login::V2(LoginV2 { psk: secret, ike_proposals }), default.collect())
        }
    };
    Some(Connection {
        name: connection.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        remote_ids: values(connection.remote_ids.as_ref()),
        pools,
        networks: values(connection.networks.as_ref()),
        esp_proposals: match &connection.esp_proposals {
            Some(list) => values(Some(list)),
            None => default_esp,
        },
        transports,
        rules,
        login,
    })
}

/// All that its clients may reach has to be said in one payload.
fn count_networks(source: &Source<'_>, connection: &file::Connection) {
    let Some(networks) = &connection.networks else { return };
    if let Some(beyond) = networks.value.get(MAX_NARROWED) {
        let problem = Problem::Misfit {
            expected: format!("{MAX_NARROWED} networks at most, which is what one payload of IKEv2 can count"),
            found: networks.value.len().to_string(),
            hint: Some("write neighbours as one, such as \"10.20.0.0/16\"".to_owned()),
        };
        source.error(beyond.line, format!("{} networks", connection.title), problem);
    }
}

/// What ESP may come in: what the file says, or all that is listened to.
fn transports(source: &Source<'_>, connection: &file::Connection, version: Version, listen: &Listen) -> Transports {
    let key = format!("{} transports", connection.title);
    let off = |transport: Transport| match transport {
        Transport::NatT => None,
        Transport::Esp => (listen.native_esp == NativeEsp::Refused).then_some("with [listen] native_esp = true"),
        Transport::NatT500 | Transport::CiscoUdp if version == Version::V2 => Some("in a connection with ike = \"v1\""),
        Transport::NatT500 => (!listen.transports().contains(transport))
            .then_some("with \"draft-01\" or \"draft-00\" in [listen] nat_traversals"),
        Transport::CiscoUdp => listen.cisco_udp_port.is_none().then_some("with a [listen] cisco_udp_port"),
        Transport::Tcp if version == Version::V1 => Some("in a connection with ike = \"v2\""),
        Transport::Tcp => listen.tcp_ports().next().is_none().then_some("with a [listen] tcp_port or ctcp_ports"),
        Transport::Ctcp => listen.ctcp_ports.is_empty().then_some("with [listen] ctcp_ports"),
    };
    let mut transports = Transports::NONE;
    match &connection.transports {
        Some(list) => {
            for transport in &list.value {
                if transports.contains(transport.value) {
                    source.error(
                        transport.line,
                        key.clone(),
                        Problem::Twice(format!("\"{}\"", transport.value.name())),
                    );
                }
                if let Some(needs) = off(transport.value) {
                    let (needs, found) = (needs.to_owned(), format!("\"{}\" without it", transport.value.name()));
                    source.error(transport.line, key.clone(), Problem::Misplaced { needs, found });
                }
                transports = transports.with(transport.value);
            }
        }
        None => {
            transports = Transport::ALL.into_iter().filter(|transport| off(*transport).is_none()).collect();
        }
    }
    let advertised = connection.v1.cisco_udp_port.as_ref().filter(|_| version == Version::V1);
    if let Some(port) = advertised.filter(|_| !transports.contains(Transport::CiscoUdp)) {
        let needs = "where transports has \"cisco-udp\"".to_owned();
        let problem = Problem::Misplaced { needs, found: "it without".to_owned() };
        source.error(port.line, format!("{} cisco_udp_port", connection.title), problem);
    }
    transports
}

/// Some ways to log in need a certificate of ours.
fn check_certificate(source: &Source<'_>, file: &file::Config, connection: &file::Connection) {
    let Some(auth) = connection.auth.as_ref().filter(|auth| auth.value.needs_certificate()) else { return };
    if file.certificate.is_none() && file.private_key.is_none() {
        let needs = "with a certificate and a private_key in [node]".to_owned();
        let found = format!("\"{}\" without", auth.value.name());
        source.error(auth.line, format!("{} auth", connection.title), Problem::Misplaced { needs, found });
    }
}

fn psk(source: &Source<'_>, connection: &file::Connection, folder: &Path, warnings: &mut Vec<Warning>) -> SecretBytes {
    let keys = psk::Keys {
        text: "psk",
        file: "psk_file",
        what: "a pre-shared key",
        short: SHORT_PSK,
        guessed_by: "who sees a login",
    };
    let found = (connection.psk.as_ref(), connection.psk_file.as_ref());
    let Some((key, line, secret)) = psk::either(source, &connection.title, &keys, found, folder) else {
        return SecretBytes::default();
    };
    psk::warn(source, &connection.title, &keys, (key, line, &secret), warnings);
    secret
}

fn pool_indices(source: &Source<'_>, connection: &file::Connection, pools: &[file::Pool]) -> Vec<usize> {
    let key = format!("{} pools", connection.title);
    let names: Vec<&str> = pools.iter().filter_map(|pool| Some(pool.name.as_ref()?.value.as_str())).collect();
    let mut indices = Vec::new();
    for named in connection.pools.iter().flat_map(|list| &list.value) {
        let index = pools.iter().position(|pool| pool.name.as_ref().is_some_and(|name| name.value == named.value));
        match index {
            Some(index) if indices.contains(&index) => {
                source.error(named.line, key.clone(), Problem::Twice(format!("{:?}", named.value)));
            }
            Some(index) => indices.push(index),
            None => source.error(
                named.line,
                key.clone(),
                Problem::UnknownPool {
                    name: named.value.clone(),
                    nearest: nearest(&named.value, names.iter().copied()),
                    known: names.iter().map(|name| format!("\"{name}\"")).collect(),
                },
            ),
        }
    }
    indices
}

/// What is taken when the file names no proposals: AEADs first, then AES-CBC with SHA-2 for clients without them.
pub const DEFAULT_IKE_PROPOSALS: [&str; 2] = [
    "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-x25519-ecp384-ecp256-modp2048",
    "aes256-aes128-sha256-x25519-ecp384-ecp256-modp2048",
];
/// As [`DEFAULT_IKE_PROPOSALS`]. Forward secrecy at rekeying is for the client to ask. A client that can number its
/// packets in 64 bits does: its SAs do not run out of numbers within minutes.
pub const DEFAULT_ESP_PROPOSALS: [&str; 4] = [
    "aes256gcm16-aes128gcm16-chacha20poly1305-x25519-ecp384-ecp256-modp2048-esn-noesn",
    "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn",
    "aes256-aes128-sha256-x25519-ecp384-ecp256-modp2048-esn-noesn",
    "aes256-aes128-sha256-esn-noesn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proposals_taken_by_default_can_be_read() {
        for text in DEFAULT_IKE_PROPOSALS {
            assert_eq!(IkeProposal::parse(text).unwrap().to_string(), text);
        }
        for text in DEFAULT_ESP_PROPOSALS {
            assert_eq!(EspProposal::parse(text).unwrap().to_string(), text);
        }
    }
}
