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

    /// Whether IKE moves to port 4500, with the non-ESP marker, once a NAT is seen (draft -02 brought that; before it
    /// everything stayed on 500 with a marker of eight octets before ESP, which adit does not speak).
    pub const fn floats(self) -> bool {
        match self {
            Self::Draft00 | Self::Draft01 => false,
            Self::Draft02 | Self::Draft02LineFeed | Self::Draft03 | Self::Rfc3947 => true,
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
