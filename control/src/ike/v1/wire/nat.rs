//! NAT traversal as it was numbered over time (RFC 3947 and its drafts).

/// Which payload and encapsulation numbers are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatNumbers {
    /// RFC 3947: NAT-D 20, NAT-OA 21, encapsulation modes 3 and 4.
    Rfc,
    /// draft-ietf-ipsec-nat-t-ike-00 to -03: 130, 131, 61443 and 61444.
    Draft,
}

/// What a vendor ID announces. The greater one is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatTraversal {
    /// draft-ietf-ipsec-nat-t-ike-00
    Draft00,
    /// draft-ietf-ipsec-nat-t-ike-01
    Draft01,
    /// draft-ietf-ipsec-nat-t-ike-02
    Draft02,
    /// The same, hashed with the line feed that a famous text editor left behind it.
    Draft02LineFeed,
    /// draft-ietf-ipsec-nat-t-ike-03
    Draft03,
    /// RFC 3947
    Rfc3947,
}

impl NatTraversal {
    /// Every version, the most wanted first.
    pub const ALL: [Self; 6] =
        [Self::Rfc3947, Self::Draft03, Self::Draft02LineFeed, Self::Draft02, Self::Draft01, Self::Draft00];

    /// The numbers it uses.
    pub const fn numbers(self) -> NatNumbers {
        match self {
            Self::Rfc3947 => NatNumbers::Rfc,
            Self::Draft00 | Self::Draft01 | Self::Draft02 | Self::Draft02LineFeed | Self::Draft03 => NatNumbers::Draft,
        }
    }

    /// Whether IKE moves to port 4500, with the non-ESP marker, once a NAT is seen. Draft -02 brought that; before it
    /// everything stays on port 500, and a marker of eight octets stands before ESP.
    pub const fn floats(self) -> bool {
        match self {
            Self::Draft00 | Self::Draft01 => false,
            Self::Draft02 | Self::Draft02LineFeed | Self::Draft03 | Self::Rfc3947 => true,
        }
    }

    /// The stable name, as in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Rfc3947 => "rfc3947",
            Self::Draft03 => "draft-03",
            Self::Draft02LineFeed | Self::Draft02 => "draft-02",
            Self::Draft01 => "draft-01",
            Self::Draft00 => "draft-00",
        }
    }

    /// For logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfc3947 => "RFC 3947",
            Self::Draft03 => "NAT-T draft 03",
            Self::Draft02LineFeed => "NAT-T draft 02 (line feed)",
            Self::Draft02 => "NAT-T draft 02",
            Self::Draft01 => "NAT-T draft 01",
            Self::Draft00 => "NAT-T draft 00",
        }
    }
}

/// Some versions. Draft 02 is in it in both spellings or in none: they differ in nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatTraversals(u8);

impl NatTraversals {
    /// All of them.
    pub const ALL: Self = Self(0b1_1111);

    const fn bit(version: NatTraversal) -> u8 {
        match version {
            NatTraversal::Draft00 => 1,
            NatTraversal::Draft01 => 1 << 1,
            NatTraversal::Draft02 | NatTraversal::Draft02LineFeed => 1 << 2,
            NatTraversal::Draft03 => 1 << 3,
            NatTraversal::Rfc3947 => 1 << 4,
        }
    }

    /// Whether that one is among them.
    pub const fn contains(self, version: NatTraversal) -> bool {
        self.0 & Self::bit(version) != 0
    }

    /// The most wanted first.
    pub fn iter(self) -> impl Iterator<Item = NatTraversal> {
        NatTraversal::ALL.into_iter().filter(move |version| self.contains(*version))
    }
}

impl FromIterator<NatTraversal> for NatTraversals {
    fn from_iter<I: IntoIterator<Item = NatTraversal>>(versions: I) -> Self {
        Self(versions.into_iter().fold(0, |bits, version| bits | Self::bit(version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_the_most_wanted_first() {
        assert!(NatTraversals::ALL.iter().eq(NatTraversal::ALL));
        for version in NatTraversal::ALL {
            let set: NatTraversals = [version].into_iter().collect();
            assert!(set.contains(version));
            assert!(set.iter().all(|held| held.key() == version.key()));
        }
        let some: NatTraversals = [NatTraversal::Draft00, NatTraversal::Draft02].into_iter().collect();
        let want = [NatTraversal::Draft02LineFeed, NatTraversal::Draft02, NatTraversal::Draft00];
        assert!(some.iter().eq(want));
        assert!(NatTraversal::ALL.is_sorted_by(|more, less| more > less));
    }
}
