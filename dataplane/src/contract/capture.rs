//! What is copied of a tunnel's packets for a capture.

use super::{CaptureWriter, DropReason, Path, TunnelKey};
use crate::time::Instant;
use crate::wire::traffic_class::TrafficClass;

/// Captures that a worker copies for at a time. One more is ended before it has begun.
pub const MAX_CAPTURES: usize = 4;

/// A capture's name between control and the workers: control never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub u32);

/// Where a packet is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureSide {
    /// Outside: as it comes from the peer and goes to it.
    Outer,
    /// Inside: after decapsulation, before encapsulation.
    Inner,
}

/// Which sides a capture is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureSides {
    /// Outside alone.
    Outer,
    /// Inside alone.
    Inner,
    /// Both.
    Both,
}

impl CaptureSides {
    /// Whether it is of this one.
    #[inline]
    pub const fn has(self, side: CaptureSide) -> bool {
        match (self, side) {
            (Self::Both, _) | (Self::Outer, CaptureSide::Outer) | (Self::Inner, CaptureSide::Inner) => true,
            (Self::Outer, CaptureSide::Inner) | (Self::Inner, CaptureSide::Outer) => false,
        }
    }
}

/// Outer conversations of a session, as far as control knows them: its IKE's and its ESP's. What comes and goes there is the session's,
/// but for ESP with the SPI of another.
pub type CapturePaths = [Option<Path>; 2];

/// A worker is to copy a tunnel's packets. Every worker gets one: IKE messages and TCP segments come where their ports lead, which need not
/// be the tunnel's owner.
pub struct CaptureOrder {
    /// The capture.
    pub id: CaptureId,
    /// Whose packets.
    pub tunnel: TunnelKey,
    /// Which of them.
    pub sides: CaptureSides,
    /// Octets of each packet that are copied at most.
    pub snap: u32,
    /// Where IKE and segments go; the owner knows its tunnel's path itself, too.
    pub paths: CapturePaths,
    /// Where they are put. Dropping it says that this worker copies no more.
    pub writer: CaptureWriter,
}

/// Where a capture's session goes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureAim {
    /// Which capture.
    pub id: CaptureId,
    /// Where to.
    pub paths: CapturePaths,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureWay {
    /// From the peer.
    Up,
    /// To the peer.
    Down,
}

/// How an outer packet stood behind its IP header. The sockets take headers off, so whoever shows the packet puts them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OuterForm {
    /// Behind a UDP header.
    Udp,
    /// Behind a UDP header and four zero octets (RFC 3948 section 2.2).
    UdpNonEsp,
    /// Behind a UDP header and eight zero octets (draft-ietf-ipsec-udp-encaps-01).
    UdpNonIke,
    /// As IP protocol 50.
    Esp,
    /// As IP protocol 6: the segment begins with its own header.
    Segment,
    /// It was no packet of its own but ESP out of a TCP connection, or for one; copied only if it was dropped, and only its ESP header.
    Streamed,
}

/// How a packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Inside, beginning with its IP header.
    Inner,
    /// Outside, without its IP header.
    Outer {
        /// Between whom.
        path: Path,
        /// What stood between the IP header and the octets.
        form: OuterForm,
        /// The IP header's class.
        class: TrafficClass,
    },
}

impl Sight {
    /// Which side that is.
    pub const fn side(self) -> CaptureSide {
        match self {
            Self::Inner => CaptureSide::Inner,
            Self::Outer { .. } => CaptureSide::Outer,
        }
    }
}

/// A packet, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When the burst was that it came with, by the worker's clock.
    pub at: Instant,
    /// Which way it goes.
    pub way: CaptureWay,
    /// How it was seen.
    pub sight: Sight,
    /// Octets that it had.
    pub len: u32,
    /// The first of them.
    pub octets: Vec<u8>,
    /// Why it went no further, if it did not.
    pub dropped: Option<DropReason>,
}
