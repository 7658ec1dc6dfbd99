//! cTCP connections that we begin: a client's carrier faces a headend's.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use adit_dataplane::carrier::ctcp::{Carrier, CtcpConfig, Inside, Mode, Outlet, Part, Taken, ike_in_udp};
use adit_dataplane::contract::{DropReason, Path, WorkerId};
use adit_dataplane::packet::PacketBuf;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader, tcp_checksum};
use adit_dataplane::wire::tcp_offer::SynOffer;
use std::time::Duration;

#[derive(Default)]
struct Said(Vec<Vec<u8>>);

impl Outlet for Said {
    fn segment(&mut self, _: &Path, header: &TcpHeader, payload: [&[u8]; 2]) {
        self.0.push([&header.octets()[..], payload[0], payload[1]].concat());
    }

    fn octets(&mut self, _: &Path, segment: &[u8]) {
        self.0.push(segment.to_vec());
    }

    fn frame(&mut self, _: &Path, inside: Inside, _: &[u8]) {
        panic!("{inside:?} in pieces");
    }

    fn streamed(&mut self, _: &Path, _: &[u8]) {
        panic!("none of these is a stream");
    }
}

struct End {
    carrier: Carrier,
    path: Path,
    now: Instant,
    said: Said,
}

impl End {
    fn pair(mode: Mode) -> [Self; 2] {
        let client = CtcpConfig { part: Part::Dials, mode, ..CtcpConfig::DEFAULT };
        let (local, peer) = ("198.51.100.7:40001".parse().unwrap(), "192.0.2.1:10000".parse().unwrap());
        let end = |config, seed, path| Self {
            carrier: Carrier::new(WorkerId(0), config, [seed; 24]),
            path,
            now: Instant::ZERO + Duration::from_secs(1000),
            said: Said::default(),
        };
        [end(client, 3, Path { local, peer }), end(CtcpConfig::DEFAULT, 4, Path { local: peer, peer: local })]
    }

    fn dress(&mut self, inside: Inside, octets: &[u8]) -> Result<Vec<u8>, DropReason> {
        let mut packet = PacketBuf::allocate(2048);
        packet.extend_back(octets.len()).unwrap().copy_from_slice(octets);
        self.carrier.dress(self.now, &self.path, inside, &mut packet)?;
        assert_eq!(tcp_checksum(self.path.local.ip(), self.path.peer.ip(), packet.bytes()), 0);
        Ok(packet.bytes().to_vec())
    }

    fn arrive(&mut self, segment: &[u8]) -> Taken {
        self.carrier.arrive(self.now, &self.path, segment, &mut self.said)
    }

    /// What was said since, header and payload.
    fn said(&mut self) -> Vec<(TcpHeader, Vec<u8>)> {
        let segments = std::mem::take(&mut self.said.0);
        segments.iter().map(|segment| (TcpHeader::parse(segment).unwrap(), segment[TCP_HEADER..].to_vec())).collect()
    }
}

/// A first message of aggressive mode behind its UDP header, told from others by its length.
fn message(len: usize) -> Vec<u8> {
    let mut ike = vec![0xc0; 8];
    ike.extend([0; 8]);
    ike.extend([1, 0x10, 4, 0, 0, 0, 0, 0]);
    ike.extend((len as u32).to_be_bytes());
    ike.resize(len, 7);
    [&ike_in_udp(len)[..], &ike].concat()
}

fn esp() -> Vec<u8> {
    vec![0x55; 100]
}

/// Both ends are connected, and the headend has the first message.
fn connected(mode: Mode) -> [End; 2] {
    let [mut client, mut headend] = End::pair(mode);
    let syn = client.dress(Inside::Ike, &message(300)).unwrap();
    assert_eq!(headend.arrive(&syn), Taken::Nothing(DropReason::Handshake));
    let answer = headend.said.0.pop().unwrap();
    assert_eq!(client.arrive(&answer), Taken::Nothing(DropReason::Handshake));
    let [third, first] = &std::mem::take(&mut client.said.0)[..] else { panic!("ACK and message") };
    assert_eq!(headend.arrive(third), Taken::Nothing(DropReason::Handshake));
    let Taken::Frame(frame) = headend.arrive(first) else { panic!("the message") };
    assert_eq!((frame.inside, &first[frame.at]), (Inside::Ike, &message(300)[8..]));
    [client, headend]
}

#[test]
fn a_message_calls_for_a_syn_and_follows_when_that_is_answered() {
    for mode in [Mode::Adaptive, Mode::Legacy] {
        let [mut client, mut headend] = connected(mode);
        let up = client.dress(Inside::Esp, &esp()).unwrap();
        assert!(matches!(headend.arrive(&up), Taken::Frame(frame) if frame.inside == Inside::Esp));
        let down = headend.dress(Inside::Esp, &esp()).unwrap();
        assert!(matches!(client.arrive(&down), Taken::Frame(frame) if frame.inside == Inside::Esp));
    }
}

/// Ours says by an option that it takes part in TCP; Cisco's has none (and a window that never changes).
#[test]
fn a_syn_has_the_options_of_those_who_repeat_or_none() {
    for (mode, len, mss) in [(Mode::Adaptive, 28, Some(1460)), (Mode::Legacy, 20, None)] {
        let [mut client, _] = End::pair(mode);
        let octets = client.dress(Inside::Ike, &message(300)).unwrap();
        let (syn, offer) = (TcpHeader::parse(&octets).unwrap(), SynOffer::read(&octets));
        assert_eq!((syn.flags, syn.ack, syn.window), (TcpFlags::SYN, Seq::new(0), 65535));
        assert_eq!((syn.len, offer.mss, offer.scale.is_some()), (len, mss, mode == Mode::Adaptive));
    }
}

#[test]
fn a_message_that_is_repeated_repeats_the_syn_and_the_newest_one_follows() {
    let [mut client, mut headend] = End::pair(Mode::Legacy);
    let first = client.dress(Inside::Ike, &message(300)).unwrap();
    client.now = client.now + Duration::from_secs(2);
    let again = client.dress(Inside::Ike, &message(400)).unwrap();
    assert_eq!(first, again, "the same number: it is the same connection");
    headend.arrive(&again);
    let answer = headend.said.0.pop().unwrap();
    client.arrive(&answer);
    let said = client.said();
    assert_eq!((said.len(), said[1].1.len()), (2, 8 + 400 + 16));
    // The answer once more: the headend has not heard us. Only the acknowledgment is repeated.
    assert_eq!(client.arrive(&answer), Taken::Nothing(DropReason::Handshake));
    let [(header, payload)] = &client.said()[..] else { panic!("one acknowledgment") };
    assert_eq!((header.flags, header.ack, payload.len()), (TcpFlags::ACK, said[0].0.ack, 0));
}

#[test]
fn what_answers_no_syn_of_ours_begins_nothing() {
    let [mut client, mut headend] = End::pair(Mode::Adaptive);
    let syn = client.dress(Inside::Ike, &message(300)).unwrap();
    headend.arrive(&syn);
    let answer = headend.said.0.pop().unwrap();
    let mut forged = answer.clone();
    forged[8] ^= 0x40; // its acknowledgment
    assert_eq!(client.arrive(&forged), Taken::Nothing(DropReason::NoConnection));
    let mut stranger = answer.clone();
    stranger[13] = TcpFlags::SYN.octet();
    assert_eq!(client.arrive(&stranger), Taken::Nothing(DropReason::Malformed), "nobody dials us");
    let reset = |ack: Seq| {
        let header = TcpHeader::parse(&answer).unwrap();
        TcpHeader { flags: TcpFlags::RST.with(TcpFlags::ACK), ack, ..header }.octets()
    };
    let right = TcpHeader::parse(&answer).unwrap().ack;
    assert_eq!(client.arrive(&reset(right.plus(9))), Taken::Nothing(DropReason::NoConnection));
    assert!(client.said().is_empty() && client.carrier.is_empty());
    assert_eq!(client.arrive(&answer), Taken::Nothing(DropReason::Handshake), "it waits all the same");
    assert_eq!(client.carrier.len(), 1);
}

#[test]
fn a_refused_dial_is_forgotten_and_the_next_message_begins_another() {
    let [mut client, _] = End::pair(Mode::Adaptive);
    let syn = TcpHeader::parse(&client.dress(Inside::Ike, &message(300)).unwrap()).unwrap();
    let refusal = TcpHeader {
        source_port: 10000,
        destination_port: 40001,
        seq: Seq::new(0),
        ack: syn.seq.plus(1),
        flags: TcpFlags::RST.with(TcpFlags::ACK),
        len: TCP_HEADER,
        ..syn
    };
    assert_eq!(client.arrive(&refusal.octets()), Taken::Nothing(DropReason::ConnectionEnded));
    client.now = client.now + Duration::from_secs(1);
    let next = TcpHeader::parse(&client.dress(Inside::Ike, &message(300)).unwrap()).unwrap();
    assert_ne!(next.seq, syn.seq);
}

#[test]
fn esp_begins_no_connection_and_a_headend_begins_none_at_all() {
    let [mut client, mut headend] = End::pair(Mode::Adaptive);
    assert_eq!(client.dress(Inside::Esp, &esp()), Err(DropReason::NoConnection));
    assert_eq!(headend.dress(Inside::Ike, &message(300)), Err(DropReason::NoConnection));
}

#[test]
fn a_client_that_goes_ends_its_connection_where_the_headend_believes_it() {
    for mode in [Mode::Adaptive, Mode::Legacy] {
        let [mut client, mut headend] = connected(mode);
        client.carrier.hang_up(client.now, &mut client.said);
        let [reset] = &std::mem::take(&mut client.said.0)[..] else { panic!("one reset") };
        assert_eq!(headend.arrive(reset), Taken::Nothing(DropReason::ConnectionEnded));
        assert!(headend.carrier.is_empty() && client.carrier.is_empty());
        headend.carrier.hang_up(headend.now, &mut headend.said);
        assert!(headend.said().is_empty(), "a headend leaves its clients to those who come after it");
    }
}

/// What Cisco's clients do in TCP: nothing but data, and a segment without any after five seconds of silence.
#[test]
fn in_ciscos_manner_nothing_is_repeated_and_nothing_acknowledged_for_its_own_sake() {
    let [mut client, mut headend] = connected(Mode::Legacy);
    for _ in 0..100 {
        let down = headend.dress(Inside::Esp, &esp()).unwrap();
        client.arrive(&down);
    }
    let lost = client.dress(Inside::Esp, &esp()).unwrap();
    let highest = TcpHeader::parse(&lost).unwrap().ack;
    client.carrier.poll(client.now + Duration::from_millis(4900), &mut client.said);
    assert!(client.said().is_empty());
    client.carrier.poll(client.now + Duration::from_millis(5000), &mut client.said);
    let [(keepalive, payload)] = &client.said()[..] else { panic!("one keepalive") };
    assert_eq!((keepalive.ack, payload.len()), (highest, 0));
    // Duplicate acknowledgments ask for what was lost: nothing comes.
    let asking = TcpHeader { ack: TcpHeader::parse(&lost).unwrap().seq, ..headers_back(keepalive) };
    for _ in 0..10 {
        assert_eq!(client.arrive(&asking.octets()), Taken::Nothing(DropReason::Keepalive));
    }
    client.carrier.poll(client.now + Duration::from_secs(9), &mut client.said);
    assert!(client.said().iter().all(|(_, payload)| payload.is_empty()));
}

/// A segment of the other end's that answers this one.
fn headers_back(header: &TcpHeader) -> TcpHeader {
    TcpHeader {
        source_port: header.destination_port,
        destination_port: header.source_port,
        seq: header.ack,
        ack: header.seq,
        ..*header
    }
}
