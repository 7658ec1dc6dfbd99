//! `[api]` and `[[operator]]`

use super::{Key, List, SOCKET};
use crate::api::access::Role;
use crate::config::checked::TokenHash;
use crate::config::section::Section;
use crate::config::shape::{Misfit, OneOf, Parsed, Shape, Text};
use std::net::SocketAddr;
use toml::de::DeValue;

/// `[api]`
#[derive(Debug)]
pub struct Api {
    /// Unix socket.
    pub socket: Key<String>,
    /// Users who may change things by it.
    pub admins: List<String>,
    /// TCP addresses and ports.
    pub listen: List<SocketAddr>,
    /// File with our certificates.
    pub certificate: Key<String>,
    /// File with the key.
    pub private_key: Key<String>,
    /// File with those who sign operators' certificates.
    pub client_ca: Key<String>,
}

/// `[[operator]]`
#[derive(Debug)]
pub struct Operator {
    /// Of its header.
    pub line: usize,
    /// In error messages.
    pub title: String,
    /// For the log.
    pub name: Key<String>,
    /// What he may.
    pub role: Key<Role>,
    /// Of his token.
    pub token_hash: Key<TokenHash>,
    /// In his certificate.
    pub certificate_name: Key<String>,
}

const LISTEN: Parsed<SocketAddr> = Parsed {
    expected: "an address and a TCP port such as \"192.0.2.1:8443\" or \"[::]:8443\"",
    parse: |text| text.parse().ok().filter(|at: &SocketAddr| at.port() != 0),
};
const ROLE: OneOf<Role> = OneOf(&[("read", Role::Read), ("admin", Role::Admin)]);

/// Never shown: somebody may have put the token itself there.
struct HashOfToken;

impl Shape for HashOfToken {
    type Value = TokenHash;

    fn read(&self, value: &DeValue<'_>) -> Result<TokenHash, Misfit> {
        value.as_str().and_then(TokenHash::parse).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        "what `aditctl new-token` prints as token_hash, \"sha256:…\"".to_owned()
    }

    fn show(&self, _value: &DeValue<'_>) -> String {
        "something else".to_owned()
    }
}

impl Api {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            socket: section.get("socket", &SOCKET),
            admins: section.list("admins", &Text("the name of a user of this system")),
            listen: section.list("listen", &LISTEN),
            certificate: section.get("certificate", &Text("the path of a file with our certificates (PEM)")),
            private_key: section.get("private_key", &Text("the path of a file with our private key (PEM)")),
            client_ca: section.get("client_ca", &Text("the path of a file with certificates (PEM)")),
        }
    }
}

impl Operator {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let line = section.line();
        let name = section.want("name", &Text("a name for the log"));
        if let Some(name) = &name {
            section.call_it(&name.value);
        }
        if !section.has("token_hash") && !section.has("certificate_name") {
            section.missing("token_hash", "what `aditctl new-token` prints, or a certificate_name".to_owned());
        }
        Self {
            line,
            role: section.get("role", &ROLE),
            token_hash: section.get("token_hash", &HashOfToken),
            certificate_name: section.get("certificate_name", &Text("the common name of a client certificate")),
            title: section.title().to_owned(),
            name,
        }
    }
}
