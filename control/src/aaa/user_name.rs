//! A user's name, checked once.

use std::fmt;

/// What a person types: UTF-8 without control characters, 1 to 253 octets, which is what fits a RADIUS attribute
/// (RFC 2865 section 5.1). Safe to print.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why it is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// Nothing there.
    #[error("a user's name is empty")]
    Empty,
    /// Longer than [`UserName::MAX_LEN`].
    #[error("a user's name has {0} octets, at most 253 are allowed")]
    TooLong(usize),
    /// Not UTF-8, or with control characters.
    #[error("a user's name is text without control characters")]
    NotText,
}

impl UserName {
    /// Octets.
    pub const MAX_LEN: usize = 253;

    /// The one door. A name that comes in here from the network and is refused is a user that does not exist.
    ///
    /// # Errors
    /// See [`UserNameError`].
    pub fn new(octets: &[u8]) -> Result<Self, UserNameError> {
        if octets.is_empty() {
            return Err(UserNameError::Empty);
        }
        if octets.len() > Self::MAX_LEN {
            return Err(UserNameError::TooLong(octets.len()));
        }
        let text = std::str::from_utf8(octets).map_err(|_not_utf8| UserNameError::NotText)?;
        if text.chars().any(char::is_control) {
            return Err(UserNameError::NotText);
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_text_that_fits_an_attribute() {
        assert_eq!(UserName::new(b"alice@rig").unwrap().as_str(), "alice@rig");
        assert_eq!(UserName::new("Jürgen".as_bytes()).unwrap().as_str(), "Jürgen");
        assert_eq!(UserName::new(b""), Err(UserNameError::Empty));
        assert!(UserName::new(&[b'a'; 253]).is_ok());
        assert_eq!(UserName::new(&[b'a'; 254]), Err(UserNameError::TooLong(254)));
        for octets in [&b"a\nb"[..], b"a\0", b"\x1b[2J", b"\xff"] {
            assert_eq!(UserName::new(octets), Err(UserNameError::NotText));
        }
    }
}
