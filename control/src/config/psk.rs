//! Secrets as text and in files.

use super::error::{Problem, SecretFileError, SecretTextError, Warning};
use super::section::{Located, Source};
use adit_crypto::secret::SecretBytes;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No key is longer, in text.
const MAX_TEXT: u64 = 1024;

/// As strongSwan reads secrets: `0x…` is hexadecimal, `0s…` is base64, all else is the key itself.
pub(super) fn from_text(text: &[u8]) -> Result<SecretBytes, SecretTextError> {
    let key = match text {
        [b'0', b'x', digits @ ..] => SecretBytes::new(from_hex(digits).ok_or(SecretTextError::NotHex)?),
        [b'0', b's', digits @ ..] => SecretBytes::new(from_base64(digits).ok_or(SecretTextError::NotBase64)?),
        _ => SecretBytes::from(text),
    };
    if key.is_empty() { Err(SecretTextError::Empty) } else { Ok(key) }
}

/// How the keys of one secret are called.
pub(super) struct Keys {
    /// That has the text.
    pub(super) text: &'static str,
    /// That names its file.
    pub(super) file: &'static str,
    /// In messages: `a pre-shared key`.
    pub(super) what: &'static str,
    /// With fewer octets than this …
    pub(super) short: usize,
    /// … it can be guessed by them: `who sees a login`.
    pub(super) guessed_by: &'static str,
}

/// The secret that stands in one of two keys: its key, its line, itself. `None`: it is missing, or reported already.
pub(super) fn either(
    source: &Source<'_>,
    title: &str,
    keys: &Keys,
    (text, file): (Option<&Located<SecretBytes>>, Option<&Located<String>>),
    folder: &Path,
) -> Option<(&'static str, usize, SecretBytes)> {
    match (text, file) {
        (Some(text), Some(file)) => {
            let problem = Problem::Both { this: keys.file, other: keys.text, line: text.line };
            source.error(file.line, format!("{title} {}", keys.file), problem);
            None
        }
        (None, None) => None,
        (Some(text), None) => Some((keys.text, text.line, text.value.clone())),
        (None, Some(file)) => {
            let path = folder.join(&file.value);
            match secret_file(&path) {
                Ok(secret) => Some((keys.file, file.line, secret)),
                Err(error) => {
                    let problem = Problem::SecretFile { what: keys.what, path, error };
                    source.error(file.line, format!("{title} {}", keys.file), problem);
                    None
                }
            }
        }
    }
}

/// So begin the secrets of the documented file, which everybody can read there.
const EXAMPLE: &[u8] = b"change me";

/// Warns of a secret that is the documented file's own, or too short.
pub(super) fn warn(
    source: &Source<'_>,
    title: &str,
    keys: &Keys,
    (key, line, secret): (&str, usize, &SecretBytes),
    warnings: &mut Vec<Warning>,
) {
    let Keys { what, short, guessed_by, .. } = keys;
    let octets = secret.len();
    let sentence = if secret.expose().starts_with(EXAMPLE) {
        "this is the documented file's example, which everybody knows (try `openssl rand -hex 32`)".to_owned()
    } else if octets < *short {
        format!(
            "{what} of {octets} octets; below {short} it can be guessed by {guessed_by} (try `openssl rand -hex 32`)"
        )
    } else {
        return;
    };
    warnings.push(Warning { file: source.name().to_owned(), line, key: format!("{title} {key}"), sentence });
}

/// Reads a key's file; white space around the key does not count. Only its owner may be able to read the file.
///
/// # Errors
/// See [`SecretFileError`].
pub fn secret_file(path: &Path) -> Result<SecretBytes, SecretFileError> {
    let text = private_file(path, MAX_TEXT)?;
    secret_text(&text).map_err(SecretFileError::Content)
}

/// Reads a key's text as it stands in a file, or is typed: white space around it does not count.
///
/// # Errors
/// See [`SecretTextError`].
pub fn secret_text(text: &SecretBytes) -> Result<SecretBytes, SecretTextError> {
    from_text(text.expose().trim_ascii())
}

/// Reads a file of at most so many octets that only its owner can read.
///
/// # Errors
/// See [`SecretFileError`].
pub fn private_file(path: &Path, most: u64) -> Result<SecretBytes, SecretFileError> {
    let unreadable = |error: std::io::Error| SecretFileError::Unreadable(error.to_string());
    // The open file is asked, not the name: what is checked is what is read.
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretFileError::Unreadable("not a regular file".to_owned()));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(SecretFileError::OpenToOthers(metadata.mode() & 0o7777));
    }
    if metadata.len() > most {
        return Err(SecretFileError::TooLong { found: metadata.len(), most });
    }
    // With room for all of it: a vector that grows leaves copies behind.
    let mut text = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
    file.by_ref().take(most).read_to_end(&mut text).map_err(unreadable)?;
    Ok(SecretBytes::new(text))
}

/// Octets of the longest file of certificates or keys.
pub(super) const MAX_PEM: u64 = 256 << 10;

/// The file that this key of the configuration names, with a private key of ours; it is said why it cannot be had.
pub(super) fn private_key(
    source: &Source<'_>,
    title: &str,
    key: &Located<String>,
    folder: &Path,
) -> Option<SecretBytes> {
    let path = folder.join(&key.value);
    let refuse = |error| {
        let problem = Problem::SecretFile { what: "our private key", path: path.clone(), error };
        source.error(key.line, title.to_owned(), problem);
    };
    private_file(&path, MAX_PEM).map_err(refuse).ok()
}

pub(super) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// RFC 4648 section 4, padding optional.
fn from_base64(digits: &[u8]) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let end = digits.iter().rposition(|octet| *octet != b'=').map_or(0, |last| last + 1);
    if digits.len() - end > 2 {
        return None;
    }
    let mut octets = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.get(..end)?.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = ALPHABET.iter().position(|letter| letter == digit)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        let [_, first, second, third] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        match group.len() {
            4 => octets.extend([first, second, third]),
            3 => octets.extend([first, second]),
            2 => octets.push(first),
            _ => return None,
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_read_as_strongswan_reads_them() {
        let read = |text: &str| from_text(text.as_bytes()).map(|key| key.expose().to_vec());
        assert_eq!(read("rig-psk-secret").unwrap(), b"rig-psk-secret");
        assert_eq!(read("0xc0FFee").unwrap(), [0xc0, 0xff, 0xee]);
        for (text, key) in [("0sZg==", "f"), ("0sZm8=", "fo"), ("0sZm9v", "foo"), ("0sZm9vYg", "foob")] {
            assert_eq!(read(text).unwrap(), key.as_bytes(), "{text}");
        }
        assert_eq!(read(""), Err(SecretTextError::Empty));
        assert_eq!(read("0x"), Err(SecretTextError::Empty));
        assert_eq!(read("0xabc"), Err(SecretTextError::NotHex));
        assert_eq!(read("0xzz"), Err(SecretTextError::NotHex));
        for text in ["0sA", "0s!!!!", "0sZg==="] {
            assert_eq!(read(text), Err(SecretTextError::NotBase64), "{text}");
        }
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("psk");
        std::fs::write(&path, "a secret\n").unwrap();
        for (mode, open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match secret_file(&path) {
                Ok(key) => assert!(!open && key.expose() == b"a secret", "{mode:o}"),
                Err(error) => assert!(open && error == SecretFileError::OpenToOthers(mode), "{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(secret_file(folder.path()), Err(SecretFileError::Unreadable(_))));
        assert!(matches!(secret_file(&folder.path().join("none")), Err(SecretFileError::Unreadable(_))));
        let path = folder.path().join("psk");
        for (content, error) in [
            (vec![b'a'; 2000], SecretFileError::TooLong { found: 2000, most: 1024 }),
            (b" \n".to_vec(), SecretFileError::Content(SecretTextError::Empty)),
        ] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(secret_file(&path).unwrap_err(), error);
        }
    }
}
