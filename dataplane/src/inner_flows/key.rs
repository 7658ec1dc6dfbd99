//! What makes two packets of one flow.

use siphasher::sip::SipHasher13;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IP's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Family {
    V4 = 4,
    V6 = 6,
}

/// A flow's name. IPv4 addresses stand in the low bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FlowKey {
    pub(super) client: u128,
    pub(super) network: u128,
    /// The tunnel's slot,
    pub(super) tunnel: u32,
    /// and how many tunnels were in this slot before.
    pub(super) generation: u32,
    pub(super) client_port: u16,
    pub(super) network_port: u16,
    pub(super) protocol: u8,
    pub(super) family: Family,
}

impl FlowKey {
    /// A client chooses its ports, and who is asked his: so that nobody can aim at one place of the index, the hash is one whose values cannot
    /// be foretold without its key. SipHash with one round for each word and three at the end is what the standard library of Rust takes
    /// for that.
    #[inline]
    pub(super) fn hash(&self, hasher: &SipHasher13) -> u32 {
        let mut octets = [0; 48];
        let ports = u32::from(self.client_port) << 16 | u32::from(self.network_port);
        let front = u128::from(self.tunnel) << 96
            | u128::from(self.generation) << 64
            | u128::from(ports) << 32
            | u128::from(self.protocol) << 8
            | self.family as u128;
        octets[..16].copy_from_slice(&front.to_le_bytes());
        match self.family {
            Family::V4 => {
                octets[16..20].copy_from_slice(&(self.client as u32).to_le_bytes());
                octets[20..24].copy_from_slice(&(self.network as u32).to_le_bytes());
                hasher.hash(&octets[..24]) as u32
            }
            Family::V6 => {
                octets[16..32].copy_from_slice(&self.client.to_le_bytes());
                octets[32..].copy_from_slice(&self.network.to_le_bytes());
                hasher.hash(&octets) as u32
            }
        }
    }

    pub(super) fn client(&self) -> SocketAddr {
        SocketAddr::new(self.address(self.client), self.client_port)
    }

    pub(super) fn network(&self) -> SocketAddr {
        SocketAddr::new(self.address(self.network), self.network_port)
    }

    fn address(&self, bits: u128) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::from(bits as u32).into(),
            Family::V6 => Ipv6Addr::from(bits).into(),
        }
    }
}
