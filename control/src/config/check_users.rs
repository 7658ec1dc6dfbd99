//! Users, RADIUS servers and our certificate: from what the file says to what cannot be wrong.

use super::checked::{Access, Connection, Pool, RadiusServer, User, UserSource, Users};
use super::error::{Problem, Warning};
use super::file;
use super::psk;
use super::section::{Located, Source};
use crate::aaa::desk::PATIENCE;
use crate::lease::{gives, headend_address};
use crate::pki::OwnCertificate;
use adit_crypto::secret::SecretBytes;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A shared secret can be found offline by whoever sees one packet (RFC 2865 section 3: at least 16 octets).
const SHORT_SECRET: usize = 16;

pub(super) fn users(source: &Source<'_>, file: &[file::User], pools: &[Pool], warnings: &mut Vec<Warning>) -> Users {
    let mut users = Users::default();
    let mut lines: BTreeMap<&crate::aaa::UserName, usize> = BTreeMap::new();
    let mut addresses: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    for user in file {
        if let Some(address) = &user.address {
            check_address(source, user, address, pools, &addresses);
            addresses.entry(address.value).or_insert(address.line);
        }
        let (Some(name), Some(hash)) = (&user.name, &user.password_hash) else { continue };
        if let Some(line) = lines.get(&name.value) {
            let problem = Problem::DuplicateName { name: name.value.to_string(), line: *line };
            source.error(name.line, format!("{} name", user.title), problem);
            continue;
        }
        lines.insert(&name.value, name.line);
        let locked = user.locked.as_ref().is_some_and(|locked| locked.value);
        let checked = User {
            password: hash.value.clone(),
            access: if locked { Access::Locked } else { Access::Open },
            address: user.address.as_ref().map(|address| address.value),
        };
        users.0.insert(name.value.clone(), checked);
    }
    let hashes = || file.iter().filter_map(|user| Some((user, user.password_hash.as_ref()?)));
    let costliest = hashes().map(|(_, hash)| hash.value.cost()).max().unwrap_or_default();
    if let Some((user, hash)) = hashes().find(|(_, hash)| hash.value.cost() < costliest) {
        warnings.push(Warning {
            file: source.name().to_owned(),
            line: hash.line,
            key: format!("{} password_hash", user.title),
            sentence: "it is checked faster than other users' hashes (m, t), so the time of an answer tells users of \
                       one cost from those of another; make it again with `aditctl hash-password`"
                .to_owned(),
        });
    }
    users
}

fn check_address(
    source: &Source<'_>,
    user: &file::User,
    address: &Located<Ipv4Addr>,
    pools: &[Pool],
    taken: &BTreeMap<Ipv4Addr, usize>,
) {
    let key = format!("{} address", user.title);
    if let Some(line) = taken.get(&address.value) {
        let problem = Problem::Misfit {
            expected: "an address of their own".to_owned(),
            found: address.value.to_string(),
            hint: Some(format!("line {line} has it already")),
        };
        return source.error(address.line, key, problem);
    }
    let ranges = || pools.iter().filter_map(|pool| pool.v4);
    let inside = ranges().find(|range| range.contains(&address.value));
    let hint = match inside {
        None => Some("no [[pool]] has it".to_owned()),
        Some(range) if headend_address(range.into()) == Some(IpAddr::V4(address.value)) => {
            Some("it is the headend's own".to_owned())
        }
        Some(range)
            if range.prefix_len() < 31 && (range.broadcast() == address.value || range.network() == address.value) =>
        {
            Some("it stands for the whole network".to_owned())
        }
        Some(_) => None,
    };
    if hint.is_some() {
        let expected = "an address of a [[pool]] that clients can have".to_owned();
        source.error(address.line, key, Problem::Misfit { expected, found: address.value.to_string(), hint });
    }
}

/// Where local users log in, there is a pool that has the address of each.
pub(super) fn addresses(
    source: &Source<'_>,
    file: &[file::User],
    pools: &[Pool],
    connections: &[Connection],
    warnings: &mut Vec<Warning>,
) {
    let asks_us = |connection: &&Connection| {
        let xauth = connection.v1().and_then(|login| login.auth.xauth());
        xauth.is_some_and(|xauth| xauth.users.contains(&UserSource::Local))
    };
    let used = connections.iter().filter(asks_us).flat_map(|connection| &connection.pools);
    let used: Vec<&Pool> = used.filter_map(|pool| pools.get(*pool)).collect();
    for user in file {
        let Some(address) = &user.address else { continue };
        if !used.iter().any(|pool| gives(pool, address.value.into())) {
            warnings.push(Warning {
                file: source.name().to_owned(),
                line: address.line,
                key: format!("{} address", user.title),
                sentence:
                    "no [[connection]] with users = \"local\" has the [[pool]] of this address, so the user gets \
                           another"
                        .to_owned(),
            });
        }
    }
}

pub(super) fn radius(
    source: &Source<'_>,
    file: &[file::Radius],
    folder: &Path,
    warnings: &mut Vec<Warning>,
) -> Vec<RadiusServer> {
    let mut servers: Vec<RadiusServer> = Vec::new();
    let mut doors: Vec<((IpAddr, NonZeroU16), usize)> = Vec::new();
    for server in file {
        let secret = secret(source, server, folder, warnings);
        let Some(address) = &server.address else { continue };
        let port = |key: &file::Key<u64>, default| match key {
            None => NonZeroU16::new(default),
            Some(port) => u16::try_from(port.value).ok().and_then(NonZeroU16::new),
        };
        let acct_port = port(&server.acct_port, 1813);
        let Some(auth_port) = port(&server.auth_port, 1812) else { continue };
        if acct_port == Some(auth_port) {
            let line = server.acct_port.as_ref().or(server.auth_port.as_ref()).map_or(address.line, |port| port.line);
            let problem = Problem::Misfit {
                expected: "a port other than auth_port".to_owned(),
                found: auth_port.to_string(),
                hint: None,
            };
            source.error(line, format!("{} acct_port", server.title), problem);
        }
        if let Some((_, line)) = doors.iter().find(|(door, _)| *door == (address.value, auth_port)) {
            let line_here = server.auth_port.as_ref().map_or(address.line, |port| port.line);
            let problem = Problem::Misfit {
                expected: "an address and auth_port that no other [[radius]] has".to_owned(),
                found: format!("{} port {auth_port}", address.value),
                hint: Some(format!("line {line} has them already")),
            };
            source.error(line_here, format!("{} auth_port", server.title), problem);
        }
        doors.push(((address.value, auth_port), address.line));
        let timeout = server.timeout.as_ref().map_or(Duration::from_secs(3), |key| key.value);
        let tries = super::check::narrow(server.tries.as_ref(), 2);
        if timeout * tries >= PATIENCE && file.len() > 1 {
            let keys = [server.tries.as_ref().map(|key| key.line), server.timeout.as_ref().map(|key| key.line)];
            warnings.push(Warning {
                file: source.name().to_owned(),
                line: keys.into_iter().flatten().next().unwrap_or(address.line),
                key: format!("{} tries", server.title),
                sentence: format!(
                    "{tries} tries of {} s take as long as a login waits ({} s) or longer: the first who asks a server that does not \
                     answer is not let in, instead of asking the next",
                    timeout.as_secs_f32(),
                    PATIENCE.as_secs()
                ),
            });
        }
        servers.push(RadiusServer {
            address: address.value,
            auth_port,
            acct_port,
            secret,
            timeout,
            tries,
            dead_time: server.dead_time.as_ref().map_or(Duration::from_secs(120), |key| key.value),
            password: server.password_protocol.as_ref().map(|key| key.value).unwrap_or_default(),
            signature: server.message_authenticator.as_ref().map(|key| key.value).unwrap_or_default(),
        });
    }
    servers
}

/// Both keys or neither, and both files can be read.
pub(super) fn certificate(source: &Source<'_>, file: &file::Config, folder: &Path) -> Option<Arc<OwnCertificate>> {
    let both = match (&file.certificate, &file.private_key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(chain), None) => {
            let problem = Problem::Missing("the path of a file with the certificate's private key (PEM)".to_owned());
            source.error(chain.line, "[node] private_key".to_owned(), problem);
            None
        }
        (None, Some(key)) => {
            let problem = Problem::Missing("the path of a file with the private key's certificate (PEM)".to_owned());
            source.error(key.line, "[node] certificate".to_owned(), problem);
            None
        }
    };
    let (chain, key) = both?;
    let private_key = psk::private_key(source, "[node] private_key", key, folder)?;
    let path = folder.join(&chain.value);
    let refuse = |error: String| {
        let problem = Problem::Certificate { what: "our certificates", path: path.clone(), error };
        source.error(chain.line, "[node] certificate".to_owned(), problem);
    };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) => {
            refuse(error.to_string());
            return None;
        }
    };
    match OwnCertificate::from_pem(&pem, &private_key) {
        Ok(own) => Some(Arc::new(own)),
        Err(error) => {
            refuse(error.to_string());
            None
        }
    }
}

fn secret(source: &Source<'_>, server: &file::Radius, folder: &Path, warnings: &mut Vec<Warning>) -> SecretBytes {
    let keys = psk::Keys {
        text: "secret",
        file: "secret_file",
        what: "a shared secret",
        short: SHORT_SECRET,
        guessed_by: "who sees a packet",
    };
    let Some((key, line, secret)) =
        psk::either(source, &server.title, &keys, (server.secret.as_ref(), server.secret_file.as_ref()), folder)
    else {
        return SecretBytes::default();
    };
    psk::warn(source, &server.title, &keys, (key, line, &secret), warnings);
    secret
}
