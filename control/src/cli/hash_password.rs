//! `aditctl hash-password`: a line for the configuration.

use super::password;
use crate::config::checked::PasswordHash;
use adit_crypto::random::{OsRandom, SecretRandom};
use adit_crypto::secret::SecretBytes;
use std::process::ExitCode;

/// Exit status: 0 the hash is on standard output, 1 not.
pub(super) fn run() -> ExitCode {
    match ask() {
        Ok(password) => {
            let mut salt = [0; 16];
            OsRandom.fill(&mut salt);
            match PasswordHash::make(&password, &salt) {
                Some(hash) => {
                    println!("{}", hash.in_phc_form());
                    ExitCode::SUCCESS
                }
                None => fail("there is not enough memory"),
            }
        }
        Err(why) => fail(&why),
    }
}

/// A person is asked twice.
fn ask() -> Result<SecretBytes, String> {
    let read = |prompt: &str| password::read(prompt).map_err(|error| error.to_string());
    let password = read("Password: ")?;
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password::from_terminal() && read("Again: ")? != password {
        return Err("the two are not the same".to_owned());
    }
    Ok(password)
}

fn fail(why: &str) -> ExitCode {
    eprintln!("aditctl: {why}");
    ExitCode::FAILURE
}
