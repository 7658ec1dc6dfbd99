//! Who may use the control API, and by which doors.

use crate::api::access::Role;
use crate::config::psk::from_hex;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Control API.
#[derive(Debug, Clone)]
pub struct Api {
    /// Unix socket.
    pub socket: PathBuf,
    /// Users who may change things by it, besides root and whoever the daemon runs as.
    pub admins: Vec<u32>,
    /// By TCP, if at all.
    pub tcp: Option<ApiTcp>,
    /// Who is known there.
    pub operators: Vec<Operator>,
}

impl Api {
    /// By this socket alone.
    pub fn local(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), admins: Vec::new(), tcp: None, operators: Vec::new() }
    }
}

/// By TCP there is TLS, always.
#[derive(Clone)]
pub struct ApiTcp {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Our certificate, and whose clients' are believed.
    pub tls: Arc<ServerConfig>,
    /// Whom our certificate names, and until when it is good.
    pub certificate: Named,
    /// SHA-256 of the file of our certificates,
    pub chain: [u8; 32],
    /// and of whose clients' are believed.
    pub client_ca: Option<[u8; 32]>,
}

/// What is told of a certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its subject.
    pub subject: String,
    /// The time of day after which it is no longer good.
    pub ends: Duration,
}

/// Neither keys nor pages of settings.
impl fmt::Debug for ApiTcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiTcp").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Somebody who is known by TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// For the log.
    pub name: String,
    /// What he may.
    pub role: Role,
    /// Of the token that he shows, perhaps.
    pub token: Option<TokenHash>,
    /// The common name in the certificate that he shows, perhaps.
    pub certificate_name: Option<String>,
}

/// What is kept of a token. Tokens are chosen by chance, so one round of SHA-256 is enough: there is nothing to guess.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// Octets of chance in a token.
pub const TOKEN_LEN: usize = 32;

impl TokenHash {
    /// Of this token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// As [`TokenHash`] is written.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text.strip_prefix("sha256:")?.as_bytes())?.try_into().ok().map(Self)
    }

    /// Whether it is this token's; how long that takes tells nothing.
    pub fn is_of(&self, token: &[u8]) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written_and_is_of_its_token_alone() {
        let hash = TokenHash::of(b"token");
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash.clone()));
        assert!(hash.is_of(b"token") && !hash.is_of(b"tokem") && !hash.is_of(b""));
        let text = hash.to_string();
        for wrong in [
            "",
            "sha256:",
            &text[..70],
            &format!("{text}0"),
            &text.replace("sha256", "md5"),
            &text.replacen(':', ":+", 1),
        ] {
            assert_eq!(TokenHash::parse(wrong), None, "{wrong}");
        }
    }
}
