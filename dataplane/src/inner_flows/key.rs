//! What makes two packets of one flow.

use super::sight::Way;
use crate::wire::ip::Addresses;
use siphasher::sip::SipHasher13;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const V4: u64 = 4;
const V6: u64 = 6;
/// Words of a key of IPv4's that say anything: the first three.
const V4_WORDS: usize = 3;

/// A flow's name, as words that are compared and hashed as they are:
///
/// ```text
/// tunnel, generation │ ports, protocol, IP version │ IPv4: client, network │
///                                                  │ IPv6: client (2)      │ network (2)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowKey([u64; 6]);

/// The two ends of a packet, whichever is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) addresses: Addresses,
    pub(super) ports: (u16, u16),
    pub(super) protocol: u8,
}

impl FlowKey {
    /// Of no flow.
    pub(super) const NONE: Self = Self([0; 6]);

    /// Of a packet from the first of these ends to the second, in the tunnel in this slot, the how manieth there.
    #[inline]
    pub(super) fn up(ends: Ends, tunnel: u32, generation: u32) -> Self {
        let Ends { addresses, ports: (client_port, network_port), protocol } = ends;
        let owner = u64::from(tunnel) << 32 | u64::from(generation);
        let ports = u64::from(client_port) << 48 | u64::from(network_port) << 32 | u64::from(protocol) << 8;
        match addresses {
            Addresses::V4 { source, destination } => {
                Self([owner, ports | V4, u64::from(source) << 32 | u64::from(destination), 0, 0, 0])
            }
            Addresses::V6 { source, destination } => {
                let halves = |address: u128| [(address >> 64) as u64, address as u64];
                let ([a, b], [c, d]) = (halves(source), halves(destination));
                Self([owner, ports | V6, a, b, c, d])
            }
        }
    }

    /// Likewise of one that goes to the client.
    #[inline]
    pub(super) fn down(ends: Ends, tunnel: u32, generation: u32) -> Self {
        let Ends { addresses, ports: (from, to), protocol } = ends;
        let addresses = match addresses {
            Addresses::V4 { source, destination } => Addresses::V4 { source: destination, destination: source },
            Addresses::V6 { source, destination } => Addresses::V6 { source: destination, destination: source },
        };
        Self::up(Ends { addresses, ports: (to, from), protocol }, tunnel, generation)
    }

    /// The same as [`FlowKey::up`] or [`FlowKey::down`] of a packet by IPv4: source and destination side by side, as numbers, and their ports
    /// likewise.
    #[inline]
    pub(super) fn v4(way: Way, addresses: u64, ports: u32, protocol: u8, tunnel: u32, generation: u32) -> Self {
        let (addresses, ports) = match way {
            Way::Up => (addresses, ports),
            Way::Down => (addresses.rotate_left(32), ports.rotate_left(16)),
        };
        let owner = u64::from(tunnel) << 32 | u64::from(generation);
        Self([owner, u64::from(ports) << 32 | u64::from(protocol) << 8 | V4, addresses, 0, 0, 0])
    }

    /// Whether it is a flow's.
    #[inline]
    pub(super) fn is_some(&self) -> bool {
        let Self([_, kind, ..]) = self;
        *kind != 0
    }

    /// A client chooses its ports, and who is asked his: so that nobody can aim at one place of the index, the hash is one whose values cannot
    /// be foretold without its key. SipHash with one round for each word and three at the end is what the standard library of Rust takes
    /// for that.
    #[inline]
    pub(super) fn hash(&self, hasher: &SipHasher13) -> u32 {
        let Self(words) = self;
        let mut octets = [0; 48];
        for (room, word) in octets.as_chunks_mut().0.iter_mut().zip(words) {
            *room = word.to_le_bytes();
        }
        match self.version() {
            V4 => hasher.hash(&octets[..V4_WORDS * 8]) as u32,
            _six => hasher.hash(&octets) as u32,
        }
    }

    /// The tunnel's slot.
    #[inline]
    pub(super) fn tunnel(&self) -> u32 {
        let Self([owner, ..]) = self;
        (owner >> 32) as u32
    }

    /// How many tunnels were in that slot before.
    #[inline]
    pub(super) fn generation(&self) -> u32 {
        let Self([owner, ..]) = self;
        *owner as u32
    }

    pub(super) fn protocol(&self) -> u8 {
        let Self([_, kind, ..]) = self;
        (kind >> 8) as u8
    }

    /// The client's end, and the other.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let Self([_, kind, a, b, c, d]) = *self;
        let v6 = |high: u64, low: u64| Ipv6Addr::from(u128::from(high) << 64 | u128::from(low));
        let (client, network): (IpAddr, IpAddr) = match self.version() {
            V4 => (Ipv4Addr::from((a >> 32) as u32).into(), Ipv4Addr::from(a as u32).into()),
            _six => (v6(a, b).into(), v6(c, d).into()),
        };
        (SocketAddr::new(client, (kind >> 48) as u16), SocketAddr::new(network, (kind >> 32) as u16))
    }

    fn version(&self) -> u64 {
        let Self([_, kind, ..]) = self;
        kind & 0xff
    }
}
