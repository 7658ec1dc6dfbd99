//! What a worker tells control.

use super::{Direction, EspPath, FlowPage, InnerFlowPage, Reached, Spi, StalledFlow, TunnelKey};
use adit_crypto::esp_cipher::EspCipher;
use std::net::SocketAddr;

/// The two ends of an outer conversation, both known: `local` is the address the packet was sent to.
/// Both are of one family; an IPv4 address is never written as a mapped IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Ours.
    pub local: SocketAddr,
    /// Theirs, as seen here (after NAT).
    pub peer: SocketAddr,
}

impl Path {
    /// Whether both lead from the same address of ours to the same address of the peer's, whatever the ports.
    pub fn is_between_the_hosts_of(self, other: Self) -> bool {
        self.local.ip() == other.local.ip() && self.peer.ip() == other.peer.ip()
    }
}

/// How IKE stands in the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IkeFraming {
    /// Bare, as on port 500.
    Bare,
    /// Behind four zero octets, as on port 4500 (RFC 3948 section 2.2).
    NonEspMarker,
    /// In a cTCP segment, behind a UDP header whose ports are 500.
    Ctcp,
    /// In a frame of a TCP connection, behind four zero octets (RFC 9329 section 3.1).
    Tcp,
}

impl IkeFraming {
    /// Octets between the outer transport's header and the message.
    pub const fn marker_len(self) -> usize {
        match self {
            Self::Bare => 0,
            Self::NonEspMarker | Self::Tcp => 4,
            Self::Ctcp => 8,
        }
    }
}

/// One IKE message, the non-ESP marker already taken off (received) or still to be put on (sent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IkeDatagram {
    /// Between whom.
    pub path: Path,
    /// With or without marker.
    pub framing: IkeFraming,
    /// Starts with the initiator's SPI.
    pub bytes: Vec<u8>,
}

/// State that a worker gave up. Dropping it on the control side wipes the keys there.
pub enum Retired {
    /// After `DropPair`, or with its tunnel.
    Inbound {
        /// Its slot may be used again.
        spi: Spi,
        /// Wiped on drop.
        cipher: EspCipher,
    },
    /// Behind the inbound half of the same child SA.
    Outbound {
        /// Whose it was.
        tunnel: TunnelKey,
        /// Wiped on drop.
        cipher: EspCipher,
    },
    /// After `DropTunnel`, last of all that belonged to it.
    Tunnel {
        /// Its slot may be used again.
        tunnel: TunnelKey,
    },
}

/// An ESP packet that belongs to no SA. Nothing of it is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wayward {
    /// As on the wire.
    pub spi: u32,
    /// Where it came from, and how.
    pub path: EspPath,
    /// Octets of it, from its SPI on.
    pub len: usize,
}

/// What a worker reports. Events that carry state are never lost: a full channel delays them to the next turn.
pub enum Event {
    /// An IKE message came in. Dropped with `control_busy` when the channel is full.
    Ike(IkeDatagram),
    /// The first authenticated packet on an inbound SA: the peer has it. If the lane sent on nothing, the worker sends on
    /// its outbound half already.
    FirstUse {
        /// Which.
        spi: Spi,
    },
    /// An SA reached a limit of its lifetime, or nears the end of its sequence numbers (that is `Soft`). Each limit
    /// is told once for each SA, `Soft` before `Hard`.
    Lifetime {
        /// The inbound SPI of the child SA.
        pair: Spi,
        /// Which SA of it.
        direction: Direction,
        /// Which limit.
        reached: Reached,
    },
    /// A tunnel's packets go elsewhere from now on, or by another transport, because its peer's ESP did or because of
    /// [`super::Command::MoveTunnel`]. The worker decides which came last: whoever believes its last report agrees
    /// with it.
    Moved {
        /// Which.
        tunnel: TunnelKey,
        /// Where to.
        path: EspPath,
    },
    /// ESP came with an SPI that no SA has. Only a few of these are told each second, and none if the channel is full.
    UnknownSpi(Wayward),
    /// The page that [`super::Command::TellFlows`] asked for.
    Flows(Box<FlowPage>),
    /// The page that [`super::Command::TellInnerFlows`] asked for; an empty one where no such flows are held.
    InnerFlows(Box<InnerFlowPage>),
    /// A session's cTCP connection brings nothing of the peer's data any more. Told twice: suspected, and certain.
    Stalling(Box<StalledFlow>),
    /// State comes home.
    Retired(Retired),
}
