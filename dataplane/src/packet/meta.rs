//! What is known about a packet while it walks through the stages.

use crate::contract::{EspPath, Path, Transport, TunnelKey};
use crate::fate::Fate;
use crate::wire::traffic_class::TrafficClass;

/// Which side of which door a packet came from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Channel {
    /// UDP port 500: IKE, and ESP that a worker has not told from it yet.
    Ike,
    /// UDP port 500: ESP. It comes here behind its marker as [`Channel::Ike`], and leaves behind one.
    NatT500,
    /// UDP port 4500: ESP in UDP, or IKE behind the non-ESP marker.
    NatT,
    /// UDP port of Cisco's IPsec over UDP: ESP in UDP.
    CiscoUdp,
    /// IP protocol 50: ESP.
    Esp,
    /// TCP port of cTCP: ESP and IKE in segments.
    Ctcp,
    /// The stream of a TCP connection: ESP and IKE in frames. The segments that carry it are [`Channel::Ctcp`]'s, whose sockets know
    /// nothing but segments.
    Tcp,
    /// The inner network.
    #[default]
    Inner,
}

impl Channel {
    /// Where a door receives and sends it: ESP in UDP port 500 shares its sockets with IKE.
    #[inline]
    pub const fn door(self) -> Self {
        match self {
            Self::NatT500 => Self::Ike,
            Self::Tcp => Self::Ctcp,
            Self::Ike | Self::NatT | Self::CiscoUdp | Self::Esp | Self::Ctcp | Self::Inner => self,
        }
    }

    /// How ESP stands in what comes and goes here, if it is ESP.
    #[inline]
    pub const fn transport(self) -> Option<Transport> {
        match self {
            Self::NatT => Some(Transport::NatT),
            Self::NatT500 => Some(Transport::NatT500),
            Self::CiscoUdp => Some(Transport::CiscoUdp),
            Self::Esp => Some(Transport::Esp),
            Self::Ctcp => Some(Transport::Ctcp),
            Self::Tcp => Some(Transport::Tcp),
            Self::Ike | Self::Inner => None,
        }
    }
}

impl From<Transport> for Channel {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::NatT => Self::NatT,
            Transport::NatT500 => Self::NatT500,
            Transport::CiscoUdp => Self::CiscoUdp,
            Transport::Esp => Self::Esp,
            Transport::Ctcp => Self::Ctcp,
            Transport::Tcp => Self::Tcp,
        }
    }
}

/// A super-packet's inside: the kernel's segmentation offload (virtio_net_hdr).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segments {
    /// An ordinary packet.
    #[default]
    One,
    /// TCP, to be cut (or cut already and joined) into segments with this much payload.
    Tcp {
        /// Octets of TCP payload per segment, the last may have less.
        payload: u16,
    },
    /// UDP, likewise.
    Udp {
        /// Octets of UDP payload per datagram, the last may have less.
        payload: u16,
    },
}

/// How far a packet that travels by cTCP, or in a stream, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Carriage {
    /// TCP header, frame and trailer: as it came, or as it leaves.
    #[default]
    Segment,
    /// Out of its frame: it came, and is to be decapsulated.
    Bare,
    /// Sealed, and to be put into a frame.
    Sealed,
}

/// Where an inner packet comes from: that decides whether the inner network may be its way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Origin {
    /// The inner door. The kernel has taken its hop.
    #[default]
    InnerDoor,
    /// A peer's tunnel; of what is sealed, the tunnel that it was sealed for.
    Tunnel(TunnelKey),
    /// This worker wrote it.
    Worker,
}

/// Whether an outer packet may be cut on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OuterFragments {
    /// By us or, over IPv4, by any router: DF is clear.
    #[default]
    Allowed,
    /// DF is set. Over IPv6, where nobody but us cuts, it means nothing.
    Forbidden,
}

/// Whether a packet may say where its sender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Standing {
    /// It may.
    #[default]
    Good,
    /// It may, and the connection that it came by is no session's yet.
    New,
    /// It came by somebody's connection, but not where that is: anybody may have sent it so.
    Doubted,
}

/// Beside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// Where it came from, then where it goes.
    pub channel: Channel,
    /// Outer addresses; `None` for inner packets.
    pub path: Option<Path>,
    /// The outer header's class: received with, or to be sent with.
    pub outer_class: TrafficClass,
    /// Octets of the longest IP fragment that an outer packet arrived in; `None` if it came whole.
    pub longest_fragment: Option<u16>,
    /// Whether an outer packet may be sent in fragments.
    pub outer_fragments: OuterFragments,
    /// How far it is, if its channel is cTCP's or a stream's.
    pub carriage: Carriage,
    /// What is known of the connection that it came by, if it came by one.
    pub standing: Standing,
    /// Where an inner packet comes from. Doors leave it as it is.
    pub origin: Origin,
    /// What becomes of it.
    pub fate: Fate,
    /// Super-packet or not.
    pub segments: Segments,
    /// Offset (from the packet's start) of a transport header whose checksum the kernel left to us
    /// (`VIRTIO_NET_HDR_F_NEEDS_CSUM`: csum_start, csum_offset).
    pub checksum: Option<(u16, u16)>,
    /// Octets that fit its tunnel, once it is known that it does not or that it is a super-packet.
    pub limit: Option<u16>,
    /// The tunnel it goes into, once routed.
    pub tunnel: Option<TunnelKey>,
    /// The lane of that tunnel, once its selectors were looked at.
    pub lane: crate::contract::Lane,
}

impl Meta {
    /// Where an ESP packet came from, and how; `None` if it cannot tell.
    #[inline]
    pub fn esp_path(&self) -> Option<EspPath> {
        match self.standing {
            Standing::Good | Standing::New => Some(EspPath::new(self.channel.transport()?, self.path?)),
            Standing::Doubted => None,
        }
    }
}
