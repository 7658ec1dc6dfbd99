//! `aditctl new-token`: a token for an operator, and the line of the configuration that knows it.

use crate::config::checked::{TOKEN_LEN, TokenHash};
use adit_crypto::random::{OsRandom, SecretRandom};
use std::process::ExitCode;

/// The token is shown this once.
pub(super) fn run() -> ExitCode {
    let mut octets = [0; TOKEN_LEN];
    OsRandom.fill(&mut octets);
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let token = format!("adit_{digits}");
    println!("token      {token}");
    println!("token_hash = \"{}\"", TokenHash::of(token.as_bytes()));
    ExitCode::SUCCESS
}
