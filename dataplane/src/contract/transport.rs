//! How ESP stands in outer packets, and where a tunnel's packets go.

use super::{IkeFraming, Path};
use std::fmt;

/// How ESP stands in outer packets. SAs belong to no transport: a tunnel that moves from one to another keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transport {
    /// In UDP port 4500, beside IKE (RFC 3948).
    NatT,
    /// In UDP port 500, beside IKE and behind eight zero octets (draft-ietf-ipsec-udp-encaps-00 and -01).
    NatT500,
    /// In a UDP port of its own, without a marker: Cisco's IPsec over UDP.
    CiscoUdp,
    /// Behind the IP header, as protocol 50 (RFC 4303 section 2).
    Esp,
    /// Dressed as TCP segments, beside IKE: Cisco's IPsec over TCP.
    Ctcp,
    /// In an ordinary TCP connection, beside IKE (RFC 9329).
    Tcp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::NatT, Self::NatT500, Self::CiscoUdp, Self::Esp, Self::Ctcp, Self::Tcp];

    /// The stable name, as in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NatT => "nat-t",
            Self::NatT500 => "nat-t-500",
            Self::CiscoUdp => "cisco-udp",
            Self::Esp => "esp",
            Self::Ctcp => "ctcp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transports(u8);

impl Transports {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self::NONE
        .with(Transport::NatT)
        .with(Transport::NatT500)
        .with(Transport::CiscoUdp)
        .with(Transport::Esp)
        .with(Transport::Ctcp)
        .with(Transport::Tcp);

    /// These and that one.
    #[must_use]
    pub const fn with(self, transport: Transport) -> Self {
        Self(self.0 | 1 << transport as u8)
    }

    /// These but not those.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether that one is among them.
    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & 1 << transport as u8 != 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Transport> {
        Transport::ALL.into_iter().filter(move |transport| self.contains(*transport))
    }
}

impl FromIterator<Transport> for Transports {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> Self {
        transports.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Where a tunnel's packets go outside, and how ESP stands in them. IKE has a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EspPath {
    transport: Transport,
    path: Path,
}

impl EspPath {
    /// ESP between these two. Native ESP has no ports: they are 0, so that two paths which differ in nothing that is
    /// sent are equal.
    pub fn new(transport: Transport, path: Path) -> Self {
        let Path { mut local, mut peer } = path;
        match transport {
            Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Ctcp | Transport::Tcp => {}
            Transport::Esp => {
                local.set_port(0);
                peer.set_port(0);
            }
        }
        Self { transport, path: Path { local, peer } }
    }

    /// How ESP stands in the packets.
    pub const fn transport(self) -> Transport {
        self.transport
    }

    /// Between whom.
    pub const fn path(self) -> Path {
        self.path
    }

    /// Where it leads if IKE now goes by `ike`: ESP in the same port shares its mapping, native ESP its addresses. `None`
    /// if that says nothing about it: another port has another mapping.
    pub fn beside(self, ike: Path, framing: IkeFraming) -> Option<Self> {
        (self.transport == Transport::Esp || self.shares_a_port_with(framing)).then(|| Self::new(self.transport, ike))
    }

    /// Whether IKE that is framed like that goes from and to the same ports.
    pub const fn shares_a_port_with(self, framing: IkeFraming) -> bool {
        match self.transport {
            Transport::NatT => matches!(framing, IkeFraming::NonEspMarker),
            Transport::NatT500 => matches!(framing, IkeFraming::Bare),
            // One connection carries both; a peer that is in another has lost the one before.
            Transport::Ctcp => matches!(framing, IkeFraming::Ctcp),
            // Likewise (RFC 9329 section 6.1).
            Transport::Tcp => matches!(framing, IkeFraming::Tcp),
            Transport::CiscoUdp | Transport::Esp => false,
        }
    }

    /// Whether both lead from the same address of ours to the same address of the peer's, whatever the ports.
    pub fn is_between_the_hosts_of(self, other: Self) -> bool {
        self.path.is_between_the_hosts_of(other.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(peer: &str) -> Path {
        Path { local: "192.0.2.1:4500".parse().unwrap(), peer: peer.parse().unwrap() }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for bits in 0..64_u8 {
            let some = Transport::ALL.into_iter().filter(|transport| bits & 1 << *transport as u8 != 0);
            let set: Transports = some.clone().collect();
            assert!(set.iter().eq(some));
            assert_eq!(set.and(Transports::ALL), set);
            assert_eq!(set.and(Transports::NONE), Transports::NONE);
            assert_eq!((set.without(set), set.without(Transports::NONE)), (Transports::NONE, set));
            assert_eq!(Transports::ALL.without(set).and(set), Transports::NONE);
        }
    }

    #[test]
    fn native_esp_knows_no_ports_and_the_others_do() {
        let (one, other) = (path("198.51.100.1:4500"), path("198.51.100.1:4501"));
        for transport in Transport::ALL {
            let (one, other) = (EspPath::new(transport, one), EspPath::new(transport, other));
            assert_eq!(one == other, transport == Transport::Esp);
            assert!(one.is_between_the_hosts_of(other));
        }
        let elsewhere = EspPath::new(Transport::NatT, path("198.51.100.2:4500"));
        assert!(!EspPath::new(Transport::NatT, one).is_between_the_hosts_of(elsewhere));
    }

    #[test]
    fn esp_goes_along_with_ike_on_its_own_port_and_natively() {
        let (here, there) = (path("198.51.100.1:4500"), path("198.51.100.1:4501"));
        for framing in [IkeFraming::Bare, IkeFraming::NonEspMarker, IkeFraming::Ctcp, IkeFraming::Tcp] {
            for transport in Transport::ALL {
                let along = match (transport, framing) {
                    (Transport::NatT, IkeFraming::NonEspMarker)
                    | (Transport::NatT500, IkeFraming::Bare)
                    | (Transport::Ctcp, IkeFraming::Ctcp)
                    | (Transport::Tcp, IkeFraming::Tcp) => true,
                    (transport, _) => transport == Transport::Esp,
                };
                let to = along.then(|| EspPath::new(transport, there));
                assert_eq!(EspPath::new(transport, here).beside(there, framing), to, "{transport} and {framing:?}");
            }
        }
    }
}
