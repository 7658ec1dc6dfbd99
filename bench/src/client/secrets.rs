//! The group's secret and the user's password: from private files, or from whoever sits at the terminal.

use super::args::Version;
use super::{ClientArgs, ClientError};
use adit_control::cli::password;
use adit_control::config::{private_file, secret_file, secret_text};
use adit_crypto::secret::SecretBytes;

/// No password is longer, in octets.
const MOST: u64 = 1024;

/// Never shown.
pub(super) struct Secrets {
    /// The group's, or the pre-shared key.
    pub(super) group: SecretBytes,
    /// By IKEv1 alone.
    pub(super) password: Option<SecretBytes>,
}

pub(super) fn read(args: &ClientArgs) -> Result<Secrets, ClientError> {
    let group = match &args.secret_file {
        Some(path) => secret_file(path).map_err(|source| ClientError::Secret {
            option: "--secret-file",
            path: path.clone(),
            source,
        })?,
        None => {
            let (what, prompt) = match args.ike {
                Version::V1 => ("the group's secret", "Group secret: "),
                Version::V2 => ("the pre-shared key", "Pre-shared key: "),
            };
            secret_text(&asked(what, prompt)?).map_err(|source| ClientError::Typed { what, source })?
        }
    };
    let password = match (args.ike, &args.password_file) {
        (Version::V2, _) => None,
        (Version::V1, Some(path)) => {
            let read = private_file(path, MOST);
            Some(line_of(&read.map_err(|source| ClientError::Secret {
                option: "--password-file",
                path: path.clone(),
                source,
            })?))
        }
        (Version::V1, None) => Some(asked("the password", "Password: ")?),
    };
    // It would be tried, and users get locked.
    if password.as_ref().is_some_and(SecretBytes::is_empty) {
        return Err(ClientError::NoPassword);
    }
    Ok(Secrets { group, password })
}

fn asked(what: &'static str, prompt: &str) -> Result<SecretBytes, ClientError> {
    password::read(prompt).map_err(|source| ClientError::Prompt { what, source })
}

/// Without the end of its line, as editors put it there: spaces may be the password's own.
fn line_of(text: &SecretBytes) -> SecretBytes {
    let line = text.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    SecretBytes::from(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_line_is_not_the_passwords_and_spaces_are() {
        for (text, password) in
            [("alice-pass\n", "alice-pass"), ("two words \r\n", "two words "), ("bare", "bare"), ("a\n\n", "a\n")]
        {
            assert_eq!(line_of(&SecretBytes::from(text.as_bytes())).expose(), password.as_bytes());
        }
    }
}
