//! Traffic selectors as the dataplane checks them (RFC 7296 section 3.13.1, RFC 4301 section 4.4.1.1).

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// One traffic selector: addresses from–to, protocol (0 is any), ports from–to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    /// First and last address, of one family, in order.
    pub addresses: RangeInclusive<IpAddr>,
    /// IP protocol, 0 for any.
    pub protocol: u8,
    /// Ports, `0..=65535` for any. For ICMP: type in the high octet, code in the low.
    pub ports: RangeInclusive<u16>,
}

/// Both ends' selectors of one child SA.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selectors {
    /// What is on our side.
    pub local: Vec<Selector>,
    /// What is on the peer's side.
    pub remote: Vec<Selector>,
}
