//! Connections by IKEv1: from what the file says to what cannot be wrong.

use super::check::{narrow, values};
use super::checked::{
    AuthV1, EspProposal, LocalLan, LoginV1, Modes, Pfs, Phase1Proposal, SavePassword, Unity, UserSource, Xauth,
};
use super::error::Problem;
use super::file::{self, Auth};
use super::section::{Located, Source};
use crate::pki::Authorities;
use adit_crypto::secret::SecretBytes;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What is taken when the file names no proposals: what IKEv1 clients of this century have.
pub const DEFAULT_PHASE_1_PROPOSALS: [&str; 1] =
    ["aes256-aes192-aes128-sha256-sha384-sha512-sha1-ecp256-ecp384-ecp521-modp2048-modp3072-modp4096-modp1536"];
/// And beside them under `legacy = true`: what those of the last one have.
pub(super) const LEGACY_PHASE_1_PROPOSALS: [&str; 1] =
    ["aes256-aes192-aes128-3des-sha256-sha1-md5-modp2048-modp1536-modp1024"];
/// As [`DEFAULT_PHASE_1_PROPOSALS`].
pub const DEFAULT_V1_ESP_PROPOSALS: [&str; 2] = [
    "aes256-aes192-aes128-sha256-sha384-sha512-sha1-ecp256-ecp384-ecp521-modp2048-modp3072-modp4096-modp1536",
    "aes256-aes192-aes128-sha256-sha384-sha512-sha1",
];
/// As [`LEGACY_PHASE_1_PROPOSALS`].
pub(super) const LEGACY_V1_ESP_PROPOSALS: [&str; 2] = [
    "aes256-aes192-aes128-3des-sha256-sha1-md5-modp2048-modp1536-modp1024",
    "aes256-aes192-aes128-3des-sha256-sha1-md5",
];

/// First messages of aggressive mode that one source may have answered in a second: each costs us a key exchange.
const AGGRESSIVE_LIMIT: u32 = 10;
const PROMPT: &str = "Enter your username and password";
const INTERIM: Duration = Duration::from_secs(600);

/// What only IKEv1 connections have. `None`: what is missing is reported already.
pub(super) fn login(
    source: &Source<'_>,
    file: &file::Config,
    connection: &file::Connection,
    secret: SecretBytes,
    folder: &Path,
) -> Option<LoginV1> {
    let auth = connection.auth.as_ref()?.value;
    let authorities = match &connection.v1.ca {
        Some(ca) if auth.has_authority() => authorities(source, &connection.title, ca, folder),
        Some(_) | None => None,
    };
    check_users(source, file, connection);
    let pfs = if is_on(connection.v1.pfs.as_ref()) { Pfs::Required } else { Pfs::Optional };
    check_forward_secrecy(source, connection, pfs);
    let v1 = &connection.v1;
    Some(LoginV1 {
        auth: auth_v1(connection, auth, secret, authorities)?,
        modes: modes(connection, auth),
        ike_proposals: match &connection.phase_1_proposals {
            Some(list) => values(Some(list)),
            None => default_proposals(connection, &DEFAULT_PHASE_1_PROPOSALS, &LEGACY_PHASE_1_PROPOSALS, |text| {
                Phase1Proposal::parse(text).ok()
            }),
        },
        pfs,
        unity: Unity {
            banner: text(v1.banner.as_ref()),
            default_domain: text(v1.default_domain.as_ref()),
            split_dns: values(v1.split_dns.as_ref()),
            local_lan: if is_on(v1.local_lan.as_ref()) { LocalLan::Included } else { LocalLan::Excluded },
            save_password: if is_on(v1.save_password.as_ref()) {
                SavePassword::Allowed
            } else {
                SavePassword::Forbidden
            },
            backup_servers: values(v1.backup_servers.as_ref()),
            cisco_udp_port: v1.cisco_udp_port.as_ref().and_then(|port| NonZeroU16::new(port.value.try_into().ok()?)),
        },
        reauth: limit(v1.reauth_time.as_ref()),
        aggressive_limit: NonZeroU32::new(narrow(v1.aggressive_limit.as_ref(), AGGRESSIVE_LIMIT))?,
    })
}

/// What ESP may be made of when the file does not say.
pub(super) fn default_esp(connection: &file::Connection) -> Vec<EspProposal> {
    let all = default_proposals(connection, &DEFAULT_V1_ESP_PROPOSALS, &LEGACY_V1_ESP_PROPOSALS, |text| {
        EspProposal::parse(text).ok()
    });
    let required = is_on(connection.v1.pfs.as_ref());
    all.into_iter().filter(|proposal| !required || !proposal.groups.is_empty()).collect()
}

fn default_proposals<T>(
    connection: &file::Connection,
    usual: &[&str],
    old: &[&str],
    parse: fn(&str) -> Option<T>,
) -> Vec<T> {
    let old = if is_on(connection.legacy.as_ref()) { old } else { &[] };
    usual.iter().chain(old).filter_map(|text| parse(text)).collect()
}

fn auth_v1(
    connection: &file::Connection,
    auth: Auth,
    secret: SecretBytes,
    authorities: Option<Arc<Authorities>>,
) -> Option<AuthV1> {
    let v1 = &connection.v1;
    let xauth = || Xauth {
        users: values(v1.users.as_ref()),
        prompt: text(v1.xauth_prompt.as_ref()).unwrap_or_else(|| PROMPT.to_owned()),
        interim: match &v1.accounting_interim {
            None => Some(INTERIM),
            Some(interim) => Some(interim.value).filter(|interim| !interim.is_zero()),
        },
    };
    Some(match auth {
        Auth::Psk => AuthV1::Psk { secret },
        Auth::XauthPsk => AuthV1::XauthPsk { secret, xauth: xauth() },
        Auth::Rsa => AuthV1::Rsa { authorities: authorities? },
        Auth::XauthRsa => AuthV1::XauthRsa { authorities: authorities?, xauth: xauth() },
        Auth::Hybrid => AuthV1::Hybrid { secret, xauth: xauth() },
    })
}

/// Those who sign clients' certificates.
fn authorities(source: &Source<'_>, title: &str, ca: &Located<String>, folder: &Path) -> Option<Arc<Authorities>> {
    let path = folder.join(&ca.value);
    let read = match std::fs::read(&path) {
        Ok(pem) => Authorities::from_pem(&pem).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(authorities) => Some(Arc::new(authorities)),
        Err(error) => {
            let problem = Problem::Certificate { what: "the certificates of those who sign clients'", path, error };
            source.error(ca.line, format!("{title} ca"), problem);
            None
        }
    }
}

/// Main mode protects identities; aggressive mode is what clients with a group's secret need to say which group it is.
fn modes(connection: &file::Connection, auth: Auth) -> Modes {
    let modes: Vec<Modes> = values(connection.v1.modes.as_ref());
    match (modes.contains(&Modes::Main), modes.contains(&Modes::Aggressive)) {
        (true, false) => Modes::Main,
        (false, true) => Modes::Aggressive,
        (false, false) if auth.has_authority() => Modes::Main,
        (true, true) | (false, false) => Modes::Both,
    }
}

/// Whoever is to be asked must be there, and once.
fn check_users(source: &Source<'_>, file: &file::Config, connection: &file::Connection) {
    let key = format!("{} users", connection.title);
    let mut seen = Vec::new();
    for user in connection.v1.users.iter().flat_map(|list| &list.value) {
        let (name, section, none) = match user.value {
            UserSource::Local => ("local", "[[user]]", file.users.is_empty()),
            UserSource::Radius => ("radius", "[[radius]]", file.radius.is_empty()),
        };
        if seen.contains(&user.value) {
            source.error(user.line, key.clone(), Problem::Twice(format!("\"{name}\"")));
        } else if none {
            let problem = Problem::Misplaced {
                needs: format!("with at least one {section}"),
                found: format!("\"{name}\" without any"),
            };
            source.error(user.line, key.clone(), problem);
        }
        seen.push(user.value);
    }
}

fn check_forward_secrecy(source: &Source<'_>, connection: &file::Connection, pfs: Pfs) {
    if pfs == Pfs::Optional {
        return;
    }
    for proposal in connection.esp_proposals.iter().flat_map(|list| &list.value) {
        if proposal.value.groups.is_empty() {
            let problem = Problem::Misfit {
                expected: "a key exchange group in each proposal, for pfs = true".to_owned(),
                found: format!("\"{}\"", proposal.value),
                hint: None,
            };
            source.error(proposal.line, format!("{} esp_proposals", connection.title), problem);
        }
    }
}

fn is_on(key: Option<&Located<bool>>) -> bool {
    key.is_some_and(|key| key.value)
}

fn text(key: Option<&Located<String>>) -> Option<String> {
    key.map(|key| key.value.clone())
}

/// Zero is none.
fn limit(key: Option<&Located<Duration>>) -> Option<Duration> {
    key.map(|key| key.value).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proposals_of_ikev1_taken_by_default_can_be_read() {
        for text in DEFAULT_PHASE_1_PROPOSALS.iter().chain(&LEGACY_PHASE_1_PROPOSALS) {
            assert_eq!(Phase1Proposal::parse(text).unwrap().to_string(), *text);
        }
        for text in DEFAULT_V1_ESP_PROPOSALS.iter().chain(&LEGACY_V1_ESP_PROPOSALS) {
            assert_eq!(EspProposal::parse(text).unwrap().to_string(), *text);
        }
        for text in DEFAULT_PHASE_1_PROPOSALS {
            assert_eq!(Phase1Proposal::parse(text).unwrap().weak(), []);
        }
        for text in DEFAULT_V1_ESP_PROPOSALS {
            assert_eq!(EspProposal::parse(text).unwrap().weak(), []);
        }
    }
}
