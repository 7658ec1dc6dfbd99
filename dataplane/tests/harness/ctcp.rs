//! The far end of a cTCP connection.

use super::{Departed, World};
use adit_dataplane::carrier::ctcp::{CtcpConfig, Inside, ike_in_udp, trailer};
use adit_dataplane::contract::{Event, IkeDatagram, IkeFraming, Path, WorkerId};
use adit_dataplane::packet::Channel;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader, put_tcp_checksum, tcp_checksum};
use adit_dataplane::worker::CtcpSetup;
use std::net::IpAddr;

/// Connections as they are by default.
pub fn setup() -> Option<CtcpSetup> {
    Some(CtcpSetup { config: CtcpConfig::DEFAULT, secret: [5; 24] })
}

/// A client's end: Cisco's manner.
pub struct CtcpPeer {
    pub path: Path,
    pub next: Seq,
    pub expected: Seq,
}

impl CtcpPeer {
    /// With a connection that this worker owns.
    pub fn on(worker: usize, workers: usize) -> Self {
        Self::between("192.0.2.1", "198.51.100.7", worker, workers)
    }

    /// Between these addresses.
    pub fn between(local: &str, peer: &str, worker: usize, workers: usize) -> Self {
        let port = (40_000..).find(|port| WorkerId::of_connection(*port, workers).index() == worker).unwrap();
        let [local, peer] = [local, peer].map(|address| address.parse::<IpAddr>().unwrap());
        let path = Path { local: (local, 10_000).into(), peer: (peer, port).into() };
        Self { path, next: Seq::new(u32::MAX - 500), expected: Seq::new(0) }
    }

    pub fn segment(&mut self, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        let header = TcpHeader {
            source_port: self.path.peer.port(),
            destination_port: self.path.local.port(),
            seq: self.next,
            ack: self.expected,
            flags,
            window: u16::MAX,
            len: TCP_HEADER,
        };
        self.next = self.next.plus(payload.len() + usize::from(flags.has(TcpFlags::SYN)));
        let mut segment = [&header.octets()[..], payload].concat();
        put_tcp_checksum(&Path { local: self.path.peer, peer: self.path.local }, &mut segment);
        segment
    }

    pub fn frame(&mut self, inside: Inside, packet: &[u8]) -> Vec<u8> {
        self.segment(TcpFlags::ACK, &[packet, &trailer(inside)].concat())
    }

    /// What a segment of the headend's holds, its checksum and numbers being right.
    #[track_caller]
    pub fn hears(&mut self, departed: &Departed) -> (Inside, Vec<u8>) {
        assert_eq!((departed.channel, departed.path), (Channel::Ctcp, Some(self.path)));
        assert_eq!(tcp_checksum(self.path.local.ip(), self.path.peer.ip(), &departed.bytes), 0);
        let header = TcpHeader::parse(&departed.bytes).unwrap();
        let payload = &departed.bytes[header.len..];
        self.expected = header.seq.plus(payload.len() + usize::from(header.flags.has(TcpFlags::SYN)));
        if payload.is_empty() {
            return (Inside::Esp, Vec::new());
        }
        let (packet, last) = payload.split_at(payload.len() - 16);
        let inside = if last[13] == 17 { Inside::Ike } else { Inside::Esp };
        assert_eq!(last, trailer(inside));
        (inside, packet.to_vec())
    }
}

impl World {
    pub fn tcp(&mut self, worker: usize, peer: &CtcpPeer, segment: &[u8]) -> Vec<Departed> {
        self.peers[worker].push_outer(Channel::Ctcp, peer.path, segment).unwrap();
        self.settle();
        self.departed()
    }

    /// SYN, prefix, and a first IKE message, which control gets.
    pub fn stream_login(&mut self, worker: usize, peer: &mut CtcpPeer) -> IkeDatagram {
        let syn = peer.segment(TcpFlags::SYN, &[]);
        let answer = self.tcp(worker, peer, &syn);
        peer.hears(&answer[0]);
        let message = first_message();
        let first = peer.segment(TcpFlags::ACK, &[&b"IKETCP"[..], &framed(&[&[0; 4], &message[..]].concat())].concat());
        self.tcp(worker, peer, &first);
        let [Event::Ike(datagram)] = &self.events()[..] else { panic!("control hears of it") };
        assert_eq!((&datagram.bytes, datagram.path, datagram.framing), (&message, peer.path, IkeFraming::Tcp));
        datagram.clone()
    }

    /// SYN, and a first IKE message, which control gets.
    pub fn login(&mut self, worker: usize, peer: &mut CtcpPeer) -> IkeDatagram {
        let syn = peer.segment(TcpFlags::SYN, &[]);
        let answer = self.tcp(worker, peer, &syn);
        peer.hears(&answer[0]);
        let message = first_message();
        let first = peer.frame(Inside::Ike, &[&ike_in_udp(message.len())[..], &message].concat());
        assert_eq!(self.tcp(worker, peer, &first), []);
        let [Event::Ike(datagram)] = &self.events()[..] else { panic!("control hears of it") };
        assert_eq!((&datagram.bytes, datagram.path, datagram.framing), (&message, peer.path, IkeFraming::Ctcp));
        datagram.clone()
    }
}

/// A frame of RFC 9329.
pub fn framed(inside: &[u8]) -> Vec<u8> {
    [&((inside.len() + 2) as u16).to_be_bytes()[..], inside].concat()
}

pub fn first_message() -> Vec<u8> {
    let mut message = vec![0xc0; 8];
    message.extend([0; 8]);
    message.extend([1, 0x10, 4, 0, 0, 0, 0, 0]);
    message.extend(400_u32.to_be_bytes());
    message.resize(400, 7);
    message
}
