//! What every tunnel does with sizes and with the outer header; the same for all.

use crate::wire::traffic_class::{Dscp, Ecn, TrafficClass};

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TunnelRules {
    /// DF of outer IPv4 headers.
    pub df: OuterDf,
    /// DSCP of outer headers.
    pub dscp: OuterDscp,
    /// ECN field of outer headers.
    pub ecn: EcnMode,
    /// TCP's maximum segment size.
    pub mss: MssClamp,
}

/// DF of outer IPv4 headers (RFC 4301 section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OuterDf {
    /// Who cannot pass a packet on whole cuts it: no size is ever lost.
    #[default]
    Clear,
    /// That of the inner IPv4 header. IPv6 has none: clear.
    Copy,
    /// No fragments outside, but for those that IPv6 inside has a right to.
    Set,
}

/// DSCP of outer headers (RFC 4301 section 5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OuterDscp {
    /// That of the inner header.
    #[default]
    Copy,
    /// Always this: the inner one is nobody's business outside.
    Fixed(Dscp),
}

/// ECN field of outer headers (RFC 6040 section 4.1). On decapsulation there is one rule for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EcnMode {
    /// That of the inner header, so that congestion outside is felt inside.
    #[default]
    Normal,
    /// Not-ECT: for a path or a peer that mistreats the field.
    Compatibility,
}

/// TCP's maximum segment size option in SYNs that pass a tunnel, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MssClamp {
    /// At most what fits the tunnel.
    #[default]
    ToTunnel,
    /// Left alone.
    Off,
}

impl TunnelRules {
    /// The outer header's class for an inner packet of class `inner`.
    #[inline]
    pub fn outer_class(&self, inner: TrafficClass) -> TrafficClass {
        let dscp = match self.dscp {
            OuterDscp::Copy => inner.dscp(),
            OuterDscp::Fixed(dscp) => dscp,
        };
        let ecn = match self.ecn {
            EcnMode::Normal => inner.ecn(),
            EcnMode::Compatibility => Ecn::NotEct,
        };
        TrafficClass::new(dscp, ecn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_class_is_what_the_rules_say_of_the_inner_one() {
        let fixed = Dscp::new(46).unwrap();
        for octet in 0..=255 {
            let inner = TrafficClass::from_octet(octet);
            for (dscp, ecn, outer) in [
                (OuterDscp::Copy, EcnMode::Normal, octet),
                (OuterDscp::Copy, EcnMode::Compatibility, octet & 0xfc),
                (OuterDscp::Fixed(fixed), EcnMode::Normal, 46 << 2 | octet & 3),
                (OuterDscp::Fixed(fixed), EcnMode::Compatibility, 46 << 2),
            ] {
                let rules = TunnelRules { dscp, ecn, ..TunnelRules::default() };
                assert_eq!(rules.outer_class(inner).octet(), outer);
            }
        }
    }
}
