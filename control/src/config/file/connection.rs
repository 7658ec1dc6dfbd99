//! `[[connection]]`

use super::{Key, List, seconds};
use crate::config::checked::{
    EspProposal, IdPattern, IkeProposal, Modes, Phase1Proposal, Transport, UserSource, WhenFull,
};
use crate::config::section::{Located, Section};
use crate::config::shape::{
    Count, ESP_PROPOSAL, IKE_PROPOSAL, IdentityPattern, Network, OneOf, PHASE_1_PROPOSAL, Parsed, SecretText, Shape,
    Text, YesOrNo, is_host_name,
};
use adit_crypto::secret::SecretBytes;
use ipnet::IpNet;
use std::time::Duration;

/// `[[connection]]`
#[derive(Debug)]
pub struct Connection {
    /// Of its header.
    pub line: usize,
    /// In error messages.
    pub title: String,
    /// Unique.
    pub name: Key<String>,
    /// Version of IKE.
    pub ike: Key<Version>,
    /// Who proves what.
    pub auth: Key<Auth>,
    /// Who.
    pub remote_ids: List<IdPattern>,
    /// The key, or
    pub psk: Key<SecretBytes>,
    /// the file that has it.
    pub psk_file: Key<String>,
    /// By name.
    pub pools: List<String>,
    /// What the client may reach.
    pub networks: List<IpNet>,
    /// What ESP may come in.
    pub transports: List<Transport>,
    /// Best first, of IKEv2
    pub ike_proposals: List<IkeProposal>,
    /// and of IKEv1, which writes them alike.
    pub phase_1_proposals: List<Phase1Proposal>,
    /// Best first.
    pub esp_proposals: List<EspProposal>,
    /// Whether proposals may name weak algorithms.
    pub legacy: Key<bool>,
    /// What its sessions may.
    pub rules: Rules,
    /// What only IKEv1 has.
    pub v1: V1,
}

/// Keys of `[[connection]]` that say what a session may.
#[derive(Debug)]
pub struct Rules {
    /// Name of a `[[class]]`.
    pub class: Key<String>,
    /// Of one user at a time.
    pub max_logins: Key<u64>,
    /// What becomes of one more.
    pub at_max_logins: Key<WhenFull>,
    /// Without a packet.
    pub idle_timeout: Key<Duration>,
    /// From login.
    pub session_timeout: Key<Duration>,
}

/// Version of IKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 2409.
    V1,
    /// RFC 7296.
    V2,
}

/// Who proves what, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Both by one secret.
    Psk,
    /// And the user.
    XauthPsk,
    /// Both by certificates.
    Rsa,
    /// And the user.
    XauthRsa,
    /// We by certificate, then the user.
    Hybrid,
}

/// Keys of `[[connection]]` that only IKEv1 has.
#[derive(Debug)]
pub struct V1 {
    /// Phase 1 exchanges.
    pub modes: List<Modes>,
    /// File of certificates that sign clients'.
    pub ca: Key<String>,
    /// Who knows users.
    pub users: List<UserSource>,
    /// What the client shows at login.
    pub xauth_prompt: Key<String>,
    /// Between interim records.
    pub accounting_interim: Key<Duration>,
    /// After which the client is to log in anew.
    pub reauth_time: Key<Duration>,
    /// In a second, per source.
    pub aggressive_limit: Key<u64>,
    /// Whether quick modes must have a key exchange.
    pub pfs: Key<bool>,
    /// Shown after login.
    pub banner: Key<String>,
    /// Of short names.
    pub default_domain: Key<String>,
    /// Domains for our name servers.
    pub split_dns: List<String>,
    /// Whether the client's own network stays in reach.
    pub local_lan: Key<bool>,
    /// Whether the client may keep the password.
    pub save_password: Key<bool>,
    /// Other headends.
    pub backup_servers: List<String>,
    /// As advertised.
    pub cisco_udp_port: Key<u64>,
}

const VERSION: OneOf<Version> = OneOf(&[("v1", Version::V1), ("v2", Version::V2)]);
const AUTH: OneOf<Auth> = OneOf(&[
    ("psk", Auth::Psk),
    ("xauth-psk", Auth::XauthPsk),
    ("rsa", Auth::Rsa),
    ("xauth-rsa", Auth::XauthRsa),
    ("hybrid", Auth::Hybrid),
]);
const CA: Text = Text("the path of a file with the certificates of those who sign clients' (PEM)");
const MODE: OneOf<Modes> = OneOf(&[("main", Modes::Main), ("aggressive", Modes::Aggressive)]);
const TRANSPORT: OneOf<Transport> = OneOf(&[
    ("nat-t", Transport::NatT),
    ("nat-t-500", Transport::NatT500),
    ("esp", Transport::Esp),
    ("cisco-udp", Transport::CiscoUdp),
    ("ctcp", Transport::Ctcp),
    ("tcp", Transport::Tcp),
]);
const USERS: OneOf<UserSource> = OneOf(&[("local", UserSource::Local), ("radius", UserSource::Radius)]);
const WHEN_FULL: OneOf<WhenFull> = OneOf(&[("refuse", WhenFull::Refuse), ("replace", WhenFull::Replace)]);
const DOMAIN: Parsed<String> =
    Parsed { expected: "a domain such as \"example.org\"", parse: |text| is_host_name(text).then(|| text.to_owned()) };
const HEADEND: Parsed<String> = Parsed {
    expected: "a name or an address such as \"vpn2.example.org\"",
    parse: |text| (is_host_name(text) || text.parse::<std::net::IpAddr>().is_ok()).then(|| text.to_owned()),
};
const BANNER: Parsed<String> = Parsed {
    expected: "a text of 1 to 1000 octets",
    parse: |text| (1..=1000).contains(&text.len()).then(|| text.to_owned()),
};
const PROMPT: Parsed<String> = Parsed {
    expected: "a text of 1 to 200 octets in one line",
    parse: |text| {
        let fits = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned())
    },
};

impl Connection {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let name = section.want("name", &Text("a name such as \"staff\""));
        if let Some(name) = &name {
            section.call_it(&name.value);
        }
        let ike = section.get("ike", &VERSION);
        let auth = section.get("auth", &AUTH);
        let (rules, v1) = (Rules::read(section), V1::read(section));
        let modes = v1.modes.as_ref().map(|modes| modes.value.iter().map(|mode| mode.value).collect());
        check_keys(section, ike.as_ref(), auth.as_ref(), modes);
        let (ike_proposals, phase_1_proposals) = match ike.as_ref().map_or(Version::V2, |ike| ike.value) {
            Version::V1 => (None, section.some_list("ike_proposals", &PHASE_1_PROPOSAL)),
            Version::V2 => (section.some_list("ike_proposals", &IKE_PROPOSAL), None),
        };
        Self {
            ike,
            auth,
            remote_ids: section.want_list("remote_ids", &IdentityPattern),
            psk: section.get("psk", &SecretText("a pre-shared key in quotes")),
            psk_file: section.get("psk_file", &Text("the path of a file with a pre-shared key")),
            pools: section.want_list("pools", &Text("the name of a [[pool]]")),
            networks: section.want_list("networks", &Network),
            transports: section.some_list("transports", &TRANSPORT),
            ike_proposals,
            phase_1_proposals,
            esp_proposals: section.some_list("esp_proposals", &ESP_PROPOSAL),
            legacy: section.get("legacy", &YesOrNo),
            rules,
            v1,
            line: section.line(),
            title: section.title().to_owned(),
            name,
        }
    }
}

/// Keys of IKEv1 connections.
const V1_KEYS: [&str; 15] = [
    "modes",
    "ca",
    "users",
    "xauth_prompt",
    "accounting_interim",
    "reauth_time",
    "aggressive_limit",
    "pfs",
    "banner",
    "default_domain",
    "split_dns",
    "local_lan",
    "save_password",
    "backup_servers",
    "cisco_udp_port",
];
/// Those that need a user.
const USER_KEYS: [&str; 5] = ["users", "xauth_prompt", "max_logins", "at_max_logins", "accounting_interim"];

const SECRET: &str = "a pre-shared key in psk, or the path of its file in psk_file";

/// Which keys must be there, and which must not, beside `ike` and `auth`.
fn check_keys(
    section: &mut Section<'_>,
    ike: Option<&Located<Version>>,
    auth: Option<&Located<Auth>>,
    modes: Option<Vec<Modes>>,
) {
    let auth = match (ike.map_or(Version::V2, |ike| ike.value), auth) {
        (Version::V2, auth) => {
            for key in V1_KEYS {
                section.refuse(key, "in a connection with ike = \"v1\"", "it in one by IKEv2");
            }
            if auth.is_some_and(|auth| auth.value != Auth::Psk) {
                section.refuse("auth", "\"psk\" in a connection by IKEv2", "a way to log in that only IKEv1 has");
            }
            if !section.has("psk") && !section.has("psk_file") {
                section.missing("psk", SECRET.to_owned());
            }
            return;
        }
        (Version::V1, Some(auth)) => auth.value,
        (Version::V1, None) => {
            // What there is and does not fit is reported already, and what it would need is unknown.
            if !section.has("auth") {
                section.missing("auth", AUTH.expected());
            }
            return;
        }
    };
    let found = format!("it with auth = \"{}\"", auth.name());
    match (auth.has_secret(), section.has("psk") || section.has("psk_file")) {
        (true, false) => {
            section.missing("psk", SECRET.to_owned());
        }
        (false, true) => {
            for key in ["psk", "psk_file"] {
                section.refuse(key, "with auth = \"psk\", \"xauth-psk\" or \"hybrid\"", &found);
            }
        }
        (true, true) | (false, false) => {}
    }
    match (auth.has_authority(), section.has("ca")) {
        (true, false) => section.missing("ca", CA.0.to_owned()),
        (false, true) => section.refuse("ca", "with auth = \"rsa\" or \"xauth-rsa\"", &found),
        (true, true) | (false, false) => {}
    }
    match (auth.has_user(), section.has("users")) {
        (true, false) => section.missing("users", "\"local\", \"radius\", or a list of both".to_owned()),
        (false, _) => {
            for key in USER_KEYS {
                section.refuse(key, "with auth = \"xauth-psk\", \"xauth-rsa\" or \"hybrid\"", &found);
            }
        }
        (true, true) => {}
    }
    let aggressive = match modes {
        Some(modes) => modes.contains(&Modes::Aggressive),
        None => !auth.has_authority(),
    };
    if !aggressive {
        section.refuse("aggressive_limit", "where modes has \"aggressive\"", "it without");
    }
}

impl Auth {
    /// As the file spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Psk => "psk",
            Self::XauthPsk => "xauth-psk",
            Self::Rsa => "rsa",
            Self::XauthRsa => "xauth-rsa",
            Self::Hybrid => "hybrid",
        }
    }

    /// Whether the group has a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::Psk | Self::XauthPsk | Self::Hybrid)
    }

    /// Whether clients show certificates.
    pub const fn has_authority(self) -> bool {
        matches!(self, Self::Rsa | Self::XauthRsa)
    }

    /// Whether users log in.
    pub const fn has_user(self) -> bool {
        matches!(self, Self::XauthPsk | Self::XauthRsa | Self::Hybrid)
    }

    /// Whether we show a certificate.
    pub const fn needs_certificate(self) -> bool {
        matches!(self, Self::Rsa | Self::XauthRsa | Self::Hybrid)
    }
}

impl Rules {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            class: section.get("class", &Text("the name of a [[class]]")),
            max_logins: section.get("max_logins", &Count { of: "a number of logins", range: 0..=1_000_000 }),
            at_max_logins: section.get("at_max_logins", &WHEN_FULL),
            idle_timeout: section.get("idle_timeout", &seconds(0, 2_592_000, "30m")),
            session_timeout: section.get("session_timeout", &seconds(0, 31_536_000, "24h")),
        }
    }
}

impl V1 {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            modes: section.some_list("modes", &MODE),
            ca: section.get("ca", &CA),
            users: section.one_or_list("users", &USERS),
            xauth_prompt: section.get("xauth_prompt", &PROMPT),
            accounting_interim: section.get("accounting_interim", &seconds(0, 86_400, "10m")),
            reauth_time: section.get("reauth_time", &seconds(0, 31_536_000, "24h")),
            aggressive_limit: section.get("aggressive_limit", &Count { of: "a number of logins", range: 1..=100_000 }),
            pfs: section.get("pfs", &YesOrNo),
            banner: section.get("banner", &BANNER),
            default_domain: section.get("default_domain", &DOMAIN),
            split_dns: section.list("split_dns", &DOMAIN),
            local_lan: section.get("local_lan", &YesOrNo),
            save_password: section.get("save_password", &YesOrNo),
            backup_servers: section.list("backup_servers", &HEADEND),
            cisco_udp_port: section.get("cisco_udp_port", &super::PORT),
        }
    }
}
