//! Identification payloads (RFC 7296 section 3.5).

/// ID types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdKind {
    /// ID_IPV4_ADDR, 1
    Ipv4,
    /// ID_FQDN, 2
    Fqdn,
    /// ID_RFC822_ADDR, 3
    Email,
    /// ID_IPV6_ADDR, 5
    Ipv6,
    /// ID_DER_ASN1_DN, 9
    DistinguishedName,
    /// ID_DER_ASN1_GN, 10
    GeneralName,
    /// ID_KEY_ID, 11
    KeyId,
}

/// Who somebody says to be. At most 255 octets are accepted from the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// How to read it.
    pub kind: IdKind,
    /// As on the wire.
    pub bytes: Vec<u8>,
}
