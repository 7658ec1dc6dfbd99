//! Sizes: what fits a tunnel, and what becomes of what does not.
//!
//! ```text
//! TCP SYN          its MSS is lowered to what fits (clamp), so that the rest need not happen to TCP
//! super-packet     cut into segments that fit (offload/split)
//! IPv4, DF clear   cut into fragments before encryption (fragment)
//! IPv4, DF set     dropped; the sender is told what fits (wire/icmp)
//! IPv6 to 1280     passes; what carries it outside is cut there
//! IPv6, longer     dropped; the sender is told
//! ```
//!
//! What fits follows from the outer path's MTU (path), the outer family and the SA's suite.

mod clamp;
mod fragment;
mod path;

pub use clamp::{Clamped, clamp_mss};
pub use fragment::fragment;
pub use path::{Moved, PathMtu};

use crate::wire::ip::IPV6_LEAST_MTU;

/// How a packet fits a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As it is.
    Whole,
    /// Not, but it has a right to pass: IPv6 may send 1280 octets to everyone, and a link that carries less must cut
    /// and join below IPv6 (RFC 8200 section 5). Outer fragments do that.
    InFragmentsOutside,
    /// In fragments of its own (RFC 4301 section 8.2.1, RFC 791 section 3.2). Before encryption, so that each
    /// receives an ICV of its own and the peer need not join outer fragments before it knows whom they are from.
    InFragments,
    /// Not; its sender is to be told (RFC 4301 section 8.2.1).
    TooBig {
        /// What fits.
        mtu: u16,
    },
}

impl Fit {
    /// Of a packet that [`crate::wire::ip::IpPacket::parse`] took; `mtu` octets fit the tunnel.
    pub fn of(packet: &[u8], mtu: u16) -> Self {
        if packet.len() <= usize::from(mtu) {
            return Self::Whole;
        }
        match packet {
            [first, _, _, _, _, _, flags, ..] if first >> 4 == 4 => {
                if flags & 0x40 == 0 {
                    Self::InFragments
                } else {
                    Self::TooBig { mtu }
                }
            }
            _ if packet.len() <= usize::from(IPV6_LEAST_MTU) => Self::InFragmentsOutside,
            _ => Self::TooBig { mtu: mtu.max(IPV6_LEAST_MTU) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_fits_by_its_own_rules() {
        let packet = |first: u8, flags: u8, len: usize| {
            let mut packet = vec![0; len];
            (packet[0], packet[6]) = (first, flags);
            packet
        };
        for (first, flags, len, mtu, fit) in [
            (0x45, 0x40, 1000, 1000, Fit::Whole),
            (0x45, 0x40, 1001, 1000, Fit::TooBig { mtu: 1000 }),
            (0x45, 0x00, 1001, 1000, Fit::InFragments),
            (0x45, 0x20, 1001, 1000, Fit::InFragments),
            (0x60, 0x40, 1000, 1000, Fit::Whole),
            (0x60, 0x00, 1001, 1000, Fit::InFragmentsOutside),
            (0x60, 0x00, 1280, 1000, Fit::InFragmentsOutside),
            (0x60, 0x00, 1281, 1000, Fit::TooBig { mtu: 1280 }),
            (0x60, 0x00, 1281, 1281, Fit::Whole),
            (0x60, 0x00, 1401, 1400, Fit::TooBig { mtu: 1400 }),
        ] {
            assert_eq!(Fit::of(&packet(first, flags, len), mtu), fit, "{first:x} {len} in {mtu}");
        }
    }
}
