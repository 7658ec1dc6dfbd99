//! What control tells a worker. Applied between bursts, in order.

use super::{
    CaptureAim, CaptureId, CaptureOrder, EspPath, FlowPage, IkeDatagram, InnerFlowPage, Lifetime, Path, Rates,
    SaCounters, Selectors, Spi, Transports, Tuning, TunnelDrops, WorkerId,
};
use adit_crypto::esp_cipher::EspCipher;
use adit_crypto::suite::SequenceNumbers;
use std::sync::Arc;
use std::time::Duration;

/// A tunnel's name: the worker that owns it and its slot there. Control chooses both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelKey {
    /// The owner.
    pub worker: WorkerId,
    /// Index into the owner's tunnel table; reused after [`Command::DropTunnel`] came back as retired.
    pub slot: u32,
}

/// Rekey is make-before-break: `AddPair` → the peer has it → `SwitchOutbound` → grace → `DropPair`.
pub enum Command {
    /// A new tunnel without SAs.
    AddTunnel(Box<TunnelSpec>),
    /// The peer's address changed (the IKE SA proved it). The worker answers with [`super::Event::Moved`] if it
    /// obeys; if ESP has moved the tunnel meanwhile it does not, and has reported that move already.
    MoveTunnel(Box<Move>),
    /// A tunnel's packets may come and go so fast from now on.
    SetRates {
        /// Which.
        tunnel: TunnelKey,
        /// Both directions.
        rates: Rates,
    },
    /// These transports, and no others, are closed to a tunnel from now on: it does not follow its peer there, and nothing goes out by
    /// them. What comes by them is received.
    CloseTransports {
        /// Which.
        tunnel: TunnelKey,
        /// [`Transports::NONE`] opens all.
        closed: Transports,
    },
    /// A child SA, received on at once. Up to [`Lane::INBOUND`] at a time for each lane of a tunnel.
    ///
    /// If its lane sends on nothing when the peer's first packet comes on it, the worker sends on it from that packet
    /// on: the answer must not wait for control. If the lane sends on another, control decides (RFC 7296 section 2.8).
    AddPair(Box<PairSpec>),
    /// Send on this child SA from now, if that is not so already. The one before it in its lane is still received on.
    SwitchOutbound {
        /// Its inbound SPI; names the worker too.
        spi: Spi,
    },
    /// Send on this child SA no longer, nor of the worker's own accord. Its lane sends on nothing if it sent on it.
    StopOutbound {
        /// Its inbound SPI; names the worker too.
        spi: Spi,
    },
    /// Neither receive nor send on this child SA; both halves come back in [`super::Event::Retired`].
    DropPair {
        /// Its inbound SPI; names the worker too.
        spi: Spi,
    },
    /// The tunnel with all its SAs goes; they come back in [`super::Event::Retired`].
    DropTunnel {
        /// Which.
        tunnel: TunnelKey,
    },
    /// An IKE message to send.
    SendIke(IkeDatagram),
    /// A cTCP connection is a session's: it stays.
    KeepConnection {
        /// Along here.
        path: Path,
        /// The session's.
        tunnel: TunnelKey,
    },
    /// A login is under way on a connection: it waits for so long to become a session's.
    ExpectSession {
        /// Along here.
        path: Path,
        /// From now on.
        within: Duration,
    },
    /// That session needs it no longer: the peer is told by a reset, unless another session's it is by now.
    EndConnection {
        /// Along here.
        path: Path,
        /// The session's.
        tunnel: TunnelKey,
    },
    /// A cTCP connection ends, whoever has it, if it still is the one with this number.
    ClearConnection {
        /// Along here.
        path: Path,
        /// See [`super::FlowId`].
        number: u64,
    },
    /// Tell of cTCP connections, on this page; it comes back as [`super::Event::Flows`].
    TellFlows(Box<FlowPage>),
    /// Tell of flows inside tunnels, on this page; it comes back as [`super::Event::InnerFlows`].
    TellInnerFlows(Box<InnerFlowPage>),
    /// A NAT keepalive to send.
    SendKeepalive(Keepalive),
    /// Copy a tunnel's packets from now on, until [`Command::StopCapture`] or until the tunnel is gone.
    Capture(Box<CaptureOrder>),
    /// That tunnel's session goes along here outside from now on.
    AimCapture(Box<CaptureAim>),
    /// Copy for this capture no longer; its writer is dropped.
    StopCapture {
        /// Which.
        id: CaptureId,
    },
    /// Work otherwise from now on.
    Tune(Box<Tuning>),
    /// Send what is queued, close the doors and return.
    Stop,
}

/// Where a tunnel's packets go outside.
pub struct TunnelSpec {
    /// Its name.
    pub tunnel: TunnelKey,
    /// To here.
    pub path: EspPath,
    /// Octets of the largest outer IP packet on this path; [`TunnelSpec::DEFAULT_OUTER_MTU`] if nothing is known.
    pub outer_mtu: u16,
    /// Whether ESP moves it.
    pub following: Following,
    /// How ESP may stand in its packets after ESP has moved it. What comes otherwise is received and moves nothing.
    pub transports: Transports,
    /// How fast its packets may come and go.
    pub rates: Rates,
    /// Written by the worker.
    pub drops: Arc<TunnelDrops>,
}

/// Another path for a tunnel.
pub struct Move {
    /// Which.
    pub tunnel: TunnelKey,
    /// Where control believes it to be.
    pub from: EspPath,
    /// From now on.
    pub to: EspPath,
}

impl TunnelSpec {
    /// Ethernet's.
    pub const DEFAULT_OUTER_MTU: u16 = 1500;
}

/// Whether a tunnel follows its peer's ESP to another outer address (RFC 7296 section 2.23, dynamic address update).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Following {
    /// To wherever the newest authenticated packet came from: the peer is behind a NAT.
    NewestPacket,
    /// To other ports and another transport, but to no other address: neither end is behind a NAT.
    SameHosts,
    /// Only [`Command::MoveTunnel`] moves it.
    CommandOnly,
}

/// Something that keeps a NAT's mapping alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Between whom.
    pub path: Path,
    /// What it looks like.
    pub form: KeepaliveForm,
}

/// What a keepalive looks like. Native ESP has none: a NAT that passes it knows no ports to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepaliveForm {
    /// One octet 0xFF from port 4500 (RFC 3948 section 4).
    NatT,
    /// The same from port 500 (draft-ietf-ipsec-udp-encaps-01).
    NatT500,
    /// The same from the port of Cisco's IPsec over UDP.
    Cisco,
    /// From that port, behind four zero octets, as Cisco's own clients send it.
    CiscoMarked,
}

/// Both halves of a child SA. The worker owns their keys from here on and nobody else does: an SA that was set up twice
/// would number its packets from one twice.
pub struct PairSpec {
    /// To receive on.
    pub inbound: InboundSpec,
    /// To send on.
    pub outbound: OutboundSpec,
}

/// An SA to receive on.
pub struct InboundSpec {
    /// The tunnel it belongs to.
    pub tunnel: TunnelKey,
    /// Ours, made by [`super::SpiLayout`]: worker and slot are in it.
    pub spi: Spi,
    /// Keys are already set up.
    pub cipher: EspCipher,
    /// How the peer numbers its packets.
    pub numbers: SequenceNumbers,
    /// Replay window in packets: a multiple of 64 from 64 to 65 536.
    pub window: u32,
    /// Charged with what is authenticated and new.
    pub lifetime: Lifetime,
    /// What may come out of it: `remote` is the inner source, `local` the inner destination.
    pub selectors: Arc<Selectors>,
    /// Written by the worker.
    pub counters: Arc<SaCounters>,
}

/// One of the SAs that a tunnel sends on at a time. A packet goes into the first lane whose selectors allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lane(u8);

impl Lane {
    /// Where a tunnel with one child SA sends.
    pub const FIRST: Self = Self(0);
    /// Lanes of a tunnel.
    pub const COUNT: usize = 8;
    /// Inbound SAs for each lane: two overlapping rekeys.
    pub const INBOUND: usize = 4;

    /// All of them, in the order in which packets try them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(Self::COUNT).map(Self)
    }
}

/// An SA to send on.
pub struct OutboundSpec {
    /// Which of its tunnel's lanes.
    pub lane: Lane,
    /// The peer's.
    pub spi: u32,
    /// Keys are already set up.
    pub cipher: EspCipher,
    /// How packets are numbered. Numbers are never used twice: whatever `lifetime` says, the soft limit comes at
    /// three quarters of them at the latest.
    pub numbers: SequenceNumbers,
    /// Charged with what is sent.
    pub lifetime: Lifetime,
    /// What may go into it: `local` is the inner source, `remote` the inner destination.
    pub selectors: Arc<Selectors>,
    /// Written by the worker.
    pub counters: Arc<SaCounters>,
}
