//! `[[radius]]`

use super::{ADDRESS, Key, PORT, PORT_OR_OFF, millis, seconds};
use crate::config::checked::{PasswordProtocol, Signature};
use crate::config::section::Section;
use crate::config::shape::{Count, OneOf, SecretText, Text};
use adit_crypto::secret::SecretBytes;
use std::net::IpAddr;
use std::time::Duration;

/// `[[radius]]`
#[derive(Debug)]
pub struct Radius {
    /// In error messages.
    pub title: String,
    /// Of the server.
    pub address: Key<IpAddr>,
    /// For logins.
    pub auth_port: Key<u64>,
    /// For accounting.
    pub acct_port: Key<u64>,
    /// The shared secret, or
    pub secret: Key<SecretBytes>,
    /// the file that has it.
    pub secret_file: Key<String>,
    /// For an answer.
    pub timeout: Key<Duration>,
    /// Of a request.
    pub tries: Key<u64>,
    /// After no answer.
    pub dead_time: Key<Duration>,
    /// How passwords go there.
    pub password_protocol: Key<PasswordProtocol>,
    /// Whether answers must be signed.
    pub message_authenticator: Key<Signature>,
}

const PASSWORD_PROTOCOL: OneOf<PasswordProtocol> = OneOf(&[
    ("pap", PasswordProtocol::Pap),
    ("chap", PasswordProtocol::Chap),
    ("mschapv2", PasswordProtocol::MsChapV2),
]);
const SIGNATURE: OneOf<Signature> =
    OneOf(&[("required", Signature::Required), ("when-present", Signature::WhenPresent)]);

impl Radius {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let address = section.want("address", &ADDRESS);
        if let Some(address) = &address {
            section.call_it(&address.value.to_string());
        }
        if !section.has("secret") && !section.has("secret_file") {
            section.missing("secret", "a shared secret in secret, or the path of its file in secret_file".to_owned());
        }
        Self {
            auth_port: section.get("auth_port", &PORT),
            acct_port: section.get("acct_port", &PORT_OR_OFF),
            secret: section.get("secret", &SecretText("a shared secret in quotes")),
            secret_file: section.get("secret_file", &Text("the path of a file with a shared secret")),
            timeout: section.get("timeout", &millis(100, 30_000, "3s")),
            tries: section.get("tries", &Count { of: "a number of tries", range: 1..=10 }),
            dead_time: section.get("dead_time", &seconds(1, 86_400, "2m")),
            password_protocol: section.get("password_protocol", &PASSWORD_PROTOCOL),
            message_authenticator: section.get("message_authenticator", &SIGNATURE),
            title: section.title().to_owned(),
            address,
        }
    }
}
