//! What carries ESP in a case, and the clients' ends of it.

use super::TurnError;
use adit_dataplane::carrier::ctcp::{
    CtcpConfig, Flow, Inside, Limits, Mode, SynOptions, TRAILER_LEN, ike_in_udp, trailer,
};
use adit_dataplane::contract::{Path, Transport};
use adit_dataplane::packet::{Channel, Meta, PacketBuf};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader, put_tcp_checksum};
use adit_dataplane::worker::CtcpSetup;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// What ESP travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum By {
    /// UDP 4500 (RFC 3948)
    NatT,
    /// Cisco's UDP 10000
    CiscoUdp,
    /// IP alone (RFC 4303)
    Esp,
    /// Cisco's IPsec over TCP, kept from stalling
    Ctcp,
    /// The same without state
    CtcpStateless,
}

impl By {
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::NatT => Transport::NatT,
            Self::CiscoUdp => Transport::CiscoUdp,
            Self::Esp => Transport::Esp,
            Self::Ctcp | Self::CtcpStateless => Transport::Ctcp,
        }
    }

    pub(super) const fn channel(self) -> Channel {
        match self {
            Self::NatT => Channel::NatT,
            Self::CiscoUdp => Channel::CiscoUdp,
            Self::Esp => Channel::Esp,
            Self::Ctcp | Self::CtcpStateless => Channel::Ctcp,
        }
    }

    /// Of the client that has this place; each has a connection of its own.
    pub(super) fn path(self, slot: u32) -> Path {
        let (local, peer) = match self {
            Self::NatT => (4500, 4500),
            Self::CiscoUdp => (10_000, 10_000),
            Self::Esp => (0, 0),
            Self::Ctcp | Self::CtcpStateless => (10_000, FIRST_PORT + (slot % PORTS) as u16),
        };
        let host = (slot / PORTS) as u8;
        Path { local: ([192, 0, 2, 1], local).into(), peer: ([198, 51, 100, host], peer).into() }
    }

    pub(super) fn setup(self) -> Option<CtcpSetup> {
        let mode = self.mode()?;
        let unlimited =
            CtcpConfig { flows: 1 << 20, unproven: 1 << 20, unproven_per_source: 1 << 20, ..CtcpConfig::DEFAULT };
        Some(CtcpSetup { config: CtcpConfig { mode, ..unlimited }, secret: [5; 24] })
    }

    const fn mode(self) -> Option<Mode> {
        match self {
            Self::NatT | Self::CiscoUdp | Self::Esp => None,
            Self::Ctcp => Some(Mode::Adaptive),
            Self::CtcpStateless => Some(Mode::Stateless),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// Clients' ports: the first, and how many.
const FIRST_PORT: u16 = 1024;
const PORTS: u32 = 60_000;

/// The place of the client at that end of a cTCP connection.
pub(super) fn slot_of(path: &Path) -> usize {
    let IpAddr::V4(host) = path.peer.ip() else { return usize::MAX };
    let port = path.peer.port().wrapping_sub(FIRST_PORT);
    usize::from(host.octets()[3]) * PORTS as usize + usize::from(port)
}

/// A client's end of a cTCP connection. It acknowledges as adit does, and keeps nothing of what it sends: here nothing is lost.
pub(super) struct Connection {
    /// As the client sees it.
    path: Path,
    flow: Flow,
}

impl Connection {
    /// The SYN.
    pub(super) fn syn(headend: Path, slot: u32) -> Vec<u8> {
        let path = Path { local: headend.peer, peer: headend.local };
        segment(&path, first(slot), Seq::new(0), TcpFlags::SYN, &[])
    }

    /// The answer to it is `answer`: the connection, and the segment with the first IKE message.
    pub(super) fn open(headend: Path, slot: u32, answer: &[u8]) -> Result<(Self, Vec<u8>), TurnError> {
        let path = Path { local: headend.peer, peer: headend.local };
        let answer = TcpHeader::parse(answer).ok_or(TurnError::Bench("no answer to a SYN"))?;
        let (ours, theirs) = (first(slot).plus(1), answer.seq.plus(1));
        let limits = Limits { ring: 0, ..Limits::DEFAULT };
        let mut flow = Flow::new(Instant::ZERO, Mode::Adaptive, SynOptions::Some, ours, theirs, limits);
        let mut message = vec![0xc0; 8];
        message.extend([0; 8]);
        message.extend([1, 0x10, 4, 0]);
        message.resize(400, 7);
        let payload = [&ike_in_udp(message.len())[..], &message, &trailer(Inside::Ike)].concat();
        let header =
            flow.dress(Instant::ZERO, &path, payload.len()).map_err(|_| TurnError::Bench("no room for IKE"))?;
        flow.dressed(Instant::ZERO, &payload);
        let first = written(&path, &header, &payload);
        Ok((Self { path, flow }, first))
    }

    /// Puts sealed ESP into its segment.
    pub(super) fn dress(&mut self, now: Instant, packet: &mut PacketBuf) -> Result<(), TurnError> {
        const SMALL: TurnError = TurnError::Bench("the buffer is too small for a segment");
        packet.extend_back(TRAILER_LEN).ok_or(SMALL)?.copy_from_slice(&trailer(Inside::Esp));
        let len = packet.len();
        let header =
            self.flow.dress(now, &self.path, len).map_err(|_| TurnError::Bench("more in flight than a window"))?;
        self.flow.dressed(now, packet.bytes());
        packet.extend_front(TCP_HEADER).ok_or(SMALL)?.copy_from_slice(&header.octets());
        put_tcp_checksum(&self.path, packet.bytes_mut());
        packet.meta = Meta {
            channel: Channel::Ctcp,
            path: Some(Path { local: self.path.peer, peer: self.path.local }),
            ..Meta::default()
        };
        Ok(())
    }

    /// A segment of the headend's.
    pub(super) fn hear(&mut self, now: Instant, segment: &[u8]) {
        let Some(header) = TcpHeader::parse(segment) else { return };
        self.flow.segment(now, &header, segment.get(header.len..).unwrap_or_default());
    }

    /// Acknowledgments that are due.
    pub(super) fn speak(&mut self, now: Instant, mut say: impl FnMut(Path, &[u8])) {
        let path = self.path;
        let headend = Path { local: path.peer, peer: path.local };
        self.flow.speak(now, &path, |header, [first, second]| {
            say(headend, &written(&path, header, &[first, second].concat()));
        });
    }
}

/// Anywhere: some streams wrap soon.
const fn first(slot: u32) -> Seq {
    Seq::new(slot.wrapping_mul(0x9e37_79b9))
}

fn segment(path: &Path, seq: Seq, ack: Seq, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let (source_port, destination_port) = (path.local.port(), path.peer.port());
    let header =
        TcpHeader { source_port, destination_port, seq, ack, flags, window: u16::MAX, len: TCP_HEADER, mss: None };
    written(path, &header, payload)
}

fn written(path: &Path, header: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    let mut segment = [&header.octets()[..], payload].concat();
    put_tcp_checksum(path, &mut segment);
    segment
}
