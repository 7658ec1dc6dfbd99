//! Clients' ends of cTCP connections, for benches: they acknowledge as adit does, and keep nothing of what they send, because
//! in memory nothing is lost.

use adit_dataplane::carrier::ctcp::{
    Flow, Inside, Limits, Mode, SynFacts, SynOptions, TRAILER_LEN, ike_in_udp, trailer,
};
use adit_dataplane::carrier::tcp::PREFIX;
use adit_dataplane::contract::Path;
use adit_dataplane::packet::{Channel, Meta, PacketBuf};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader, put_tcp_checksum};
use std::net::IpAddr;

/// Clients' ports: the first, and how many.
const FIRST_PORT: u16 = 1024;
const PORTS: u32 = 60_000;

/// The place of the client at that end of a cTCP connection.
pub(crate) fn slot_of(path: &Path) -> Option<usize> {
    let IpAddr::V4(host) = path.peer.ip() else { return None };
    let port = path.peer.port().checked_sub(FIRST_PORT)?;
    Some(usize::from(host.octets()[3]) * PORTS as usize + usize::from(port))
}

/// As the headend sees the connection of the client that has this place; each has its own.
pub(crate) fn path(slot: u32) -> Path {
    let (host, port) = ((slot / PORTS) as u8, FIRST_PORT + (slot % PORTS) as u16);
    Path { local: ([192, 0, 2, 1], 10_000).into(), peer: ([198, 51, 100, host], port).into() }
}

/// What is measured would not be what is said.
#[derive(Debug, thiserror::Error)]
#[error("the measurement would be void: {0}")]
pub(crate) struct Void(pub(crate) &'static str);

/// A client's end of a connection.
pub(crate) struct Connection {
    /// As the client sees it.
    path: Path,
    flow: Flow,
}

impl Connection {
    /// The SYN.
    pub(crate) fn syn(headend: Path, slot: u32) -> Vec<u8> {
        let path = Path { local: headend.peer, peer: headend.local };
        segment(&path, first(slot), Seq::new(0), TcpFlags::SYN, &[])
    }

    /// The answer to it is `answer`: the connection, and the segment with the first IKE message.
    pub(crate) fn open(headend: Path, slot: u32, answer: &TcpHeader) -> Result<(Self, Vec<u8>), Void> {
        let path = Path { local: headend.peer, peer: headend.local };
        let (ours, theirs) = (first(slot).plus(1), answer.seq.plus(1));
        let limits = Limits { ring: 0, ..Limits::DEFAULT };
        let mut flow = Flow::new(
            Instant::ZERO,
            Mode::Adaptive,
            SynFacts { options: SynOptions::Some, scale: None },
            ours,
            theirs,
            limits,
        );
        let mut message = vec![0xc0; 8];
        message.extend([0; 8]);
        message.extend([1, 0x10, 4, 0]);
        message.resize(400, 7);
        let payload = [&ike_in_udp(message.len())[..], &message, &trailer(Inside::Ike)].concat();
        let header = flow.dress(Instant::ZERO, &path, payload.len()).map_err(|_| Void("no room for IKE"))?;
        flow.dressed(Instant::ZERO, Inside::Ike, &payload);
        let first = written(&path, &header, &payload);
        Ok((Self { path, flow }, first))
    }

    /// Likewise, the segment with which a stream (RFC 9329) begins: its prefix, and a frame with an IKE message.
    pub(crate) fn stream(headend: Path, slot: u32, answer: &TcpHeader) -> Vec<u8> {
        let path = Path { local: headend.peer, peer: headend.local };
        let message = [&[0xc0; 8][..], &[0; 8], &[33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 1, 0x90], &[7; 372]].concat();
        let frame = [&[0x01, 0x96][..], &[0; 4], &message].concat();
        let payload = [&PREFIX[..], &frame].concat();
        segment(&path, first(slot).plus(1), answer.seq.plus(1), TcpFlags::ACK, &payload)
    }

    /// The segment without data that answers this one of the headend's, which has so many octets, or says after it that the client
    /// lives.
    pub(crate) fn alone(headend: Path, heard: &TcpHeader, octets: usize) -> Vec<u8> {
        let path = Path { local: headend.peer, peer: headend.local };
        segment(&path, heard.ack, heard.seq.plus(octets), TcpFlags::ACK, &[])
    }

    /// Puts sealed ESP into its segment.
    pub(crate) fn dress(&mut self, now: Instant, packet: &mut PacketBuf) -> Result<(), Void> {
        const SMALL: Void = Void("the buffer is too small for a segment");
        packet.extend_back(TRAILER_LEN).ok_or(SMALL)?.copy_from_slice(&trailer(Inside::Esp));
        let len = packet.len();
        let header = self.flow.dress(now, &self.path, len).map_err(|_| Void("more in flight than a window"))?;
        self.flow.dressed(now, Inside::Esp, packet.bytes());
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
    pub(crate) fn hear(&mut self, now: Instant, segment: &[u8]) {
        let Some(header) = TcpHeader::parse(segment) else { return };
        self.flow.segment(now, &header, segment.get(header.len..).unwrap_or_default());
    }

    /// Acknowledgments that are due.
    pub(crate) fn speak(&mut self, now: Instant, mut say: impl FnMut(Path, &[u8])) {
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
    let header = TcpHeader { source_port, destination_port, seq, ack, flags, window: u16::MAX, len: TCP_HEADER };
    written(path, &header, payload)
}

fn written(path: &Path, header: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    let mut segment = [&header.octets()[..], payload].concat();
    put_tcp_checksum(path, &mut segment);
    segment
}
