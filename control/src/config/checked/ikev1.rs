//! What only IKEv1 connections have.

use super::users::UserSource;
use crate::pki::Authorities;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CbcCipher, Hash, KexGroup};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

/// Login by IKEv1.
#[derive(Debug, Clone)]
pub struct LoginV1 {
    /// How both ends prove who they are.
    pub auth: AuthV1,
    /// Phase 1 exchanges that are answered.
    pub modes: Modes,
    /// Best first.
    pub ike_proposals: Vec<Phase1Proposal>,
    /// Whether quick modes must have a key exchange of their own. The client is told (Unity).
    pub pfs: Pfs,
    /// What clients are told about themselves.
    pub unity: Unity,
    /// How old an ISAKMP SA may get, where the client offers more; `None`: as old as it offers.
    pub reauth: Option<Duration>,
    /// First messages of aggressive mode that one source may have answered in a second.
    pub aggressive_limit: NonZeroU32,
}

/// How both ends prove who they are.
#[derive(Debug, Clone)]
pub enum AuthV1 {
    /// Both by the group's secret.
    Psk {
        /// The group's secret.
        secret: SecretBytes,
    },
    /// Both by the group's secret, then the user.
    XauthPsk {
        /// The group's secret.
        secret: SecretBytes,
        /// The user.
        xauth: Xauth,
    },
    /// Both by certificates.
    Rsa {
        /// Who signs clients' certificates.
        authorities: Arc<Authorities>,
    },
    /// Both by certificates, then the user.
    XauthRsa {
        /// Who signs clients' certificates.
        authorities: Arc<Authorities>,
        /// The user.
        xauth: Xauth,
    },
    /// We by our certificate, the client by nothing, then the user. The group's secret goes into the keys.
    Hybrid {
        /// The group's secret.
        secret: SecretBytes,
        /// The user.
        xauth: Xauth,
    },
}

impl AuthV1 {
    /// As the configuration spells it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Psk { .. } => "psk",
            Self::XauthPsk { .. } => "xauth-psk",
            Self::Rsa { .. } => "rsa",
            Self::XauthRsa { .. } => "xauth-rsa",
            Self::Hybrid { .. } => "hybrid",
        }
    }

    /// The group's secret, where there is one.
    pub const fn secret(&self) -> Option<&SecretBytes> {
        match self {
            Self::Psk { secret } | Self::XauthPsk { secret, .. } | Self::Hybrid { secret, .. } => Some(secret),
            Self::Rsa { .. } | Self::XauthRsa { .. } => None,
        }
    }

    /// Who signs clients' certificates, where they have some.
    pub const fn authorities(&self) -> Option<&Arc<Authorities>> {
        match self {
            Self::Rsa { authorities } | Self::XauthRsa { authorities, .. } => Some(authorities),
            Self::Psk { .. } | Self::XauthPsk { .. } | Self::Hybrid { .. } => None,
        }
    }

    /// How users log in, where they do.
    pub const fn xauth(&self) -> Option<&Xauth> {
        match self {
            Self::XauthPsk { xauth, .. } | Self::XauthRsa { xauth, .. } | Self::Hybrid { xauth, .. } => Some(xauth),
            Self::Psk { .. } | Self::Rsa { .. } => None,
        }
    }
}

/// How users log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xauth {
    /// At least one, none twice. The next is asked when one does not know the user (local) or does not answer (RADIUS).
    pub users: Vec<UserSource>,
    /// What the client shows.
    pub prompt: String,
    /// How often accounting is told that a session goes on, unless the server says otherwise; `None` is never.
    pub interim: Option<Duration>,
}

/// Phase 1 exchanges that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// Main mode.
    Main,
    /// Aggressive mode.
    Aggressive,
    /// Either.
    Both,
}

impl Modes {
    /// Whether main mode is answered.
    pub const fn main(self) -> bool {
        matches!(self, Self::Main | Self::Both)
    }

    /// Whether aggressive mode is answered.
    pub const fn aggressive(self) -> bool {
        matches!(self, Self::Aggressive | Self::Both)
    }
}

/// What an ISAKMP SA may be made of: any combination of the lists, in their order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase1Proposal {
    /// At least one.
    pub encr: Vec<CbcCipher>,
    /// At least one; its HMAC is the PRF (RFC 2409 section 4).
    pub hash: Vec<Hash>,
    /// At least one; MODP and ECP only.
    pub groups: Vec<KexGroup>,
}

/// Whether quick modes must have a key exchange of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pfs {
    /// As the client likes.
    #[default]
    Optional,
    /// They must.
    Required,
}

/// What clients are told about themselves, beside addresses and networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unity {
    /// Shown after login.
    pub banner: Option<String>,
    /// Domain of short names.
    pub default_domain: Option<String>,
    /// Domains that our name servers answer for; none is all.
    pub split_dns: Vec<String>,
    /// Whether the client may reach the network it is in.
    pub local_lan: LocalLan,
    /// Whether the client may keep the password.
    pub save_password: SavePassword,
    /// Headends to try when we do not answer.
    pub backup_servers: Vec<String>,
    /// UDP port for Cisco's own encapsulation, where it is offered.
    pub cisco_udp_port: Option<NonZeroU16>,
}

/// Whether a client may reach the network it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LocalLan {
    /// No.
    #[default]
    Excluded,
    /// Yes.
    Included,
}

/// Whether a client may keep the user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SavePassword {
    /// No.
    #[default]
    Forbidden,
    /// Yes.
    Allowed,
}
