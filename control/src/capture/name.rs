//! A capture's name.

use std::fmt;
use std::str::FromStr;

/// `c1`, `c2`, …: unique while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureName(pub u32);

/// This is no capture's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a capture's name looks like \"c3\"")]
pub struct NoCaptureName;

impl FromStr for CaptureName {
    type Err = NoCaptureName;

    fn from_str(text: &str) -> Result<Self, NoCaptureName> {
        let number = text.strip_prefix('c').filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
        number.and_then(|number| number.parse().ok()).map(Self).ok_or(NoCaptureName)
    }
}

impl fmt::Display for CaptureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_has_one_name_and_none_that_leads_elsewhere() {
        assert_eq!("c17".parse(), Ok(CaptureName(17)));
        assert_eq!(CaptureName(17).to_string(), "c17");
        for text in ["17", "c", "c-1", "c+1", "C1", "c4294967296", "c1 ", "c1/../c2", "s1"] {
            assert_eq!(text.parse::<CaptureName>(), Err(NoCaptureName), "{text}");
        }
    }
}
