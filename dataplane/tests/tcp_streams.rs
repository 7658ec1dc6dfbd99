//! Streams (RFC 9329): IKE and ESP in real TCP, between a headend's carrier and a client's, over a line that loses, doubles, delays
//! and re-cuts; and what strangers can do to them. Virtual time, seeded chance, no socket.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod line;

use adit_dataplane::carrier::ctcp::{Carrier, CtcpConfig, Inside, Part, Taken};
use adit_dataplane::contract::{Amount, DropReason, FlowPage, Path, StreamReport, StreamState, TunnelKey, WorkerId};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};
use adit_dataplane::wire::tcp_offer::{Sack, SynOffer};
use bolero::check;
use line::{Line, Said, World, ike, path};
use std::time::Duration;

const TUNNEL: TunnelKey = TunnelKey { worker: WorkerId(0), slot: 4 };
/// Close to where sequence numbers begin again.
const CLIENT: Seq = Seq::new(u32::MAX - 3);

/// A headend, and a peer whose segments the test writes itself.
struct Headend {
    carrier: Carrier,
    now: Instant,
    said: Said,
    path: Path,
    first: Seq,
    next: Seq,
    ack: Seq,
}

impl Headend {
    fn new(config: CtcpConfig) -> Self {
        let carrier = Carrier::new(WorkerId(0), config, [3; 24]);
        let now = Instant::ZERO + Duration::from_secs(1000);
        Self {
            carrier,
            now,
            said: Said::default(),
            path: path(40_001),
            first: CLIENT,
            next: CLIENT,
            ack: Seq::default(),
        }
    }

    fn give(&mut self, seq: Seq, flags: TcpFlags, data: &[u8]) -> Taken {
        self.give_with(seq, flags, &[], data)
    }

    fn give_with(&mut self, seq: Seq, flags: TcpFlags, options: &[u8], data: &[u8]) -> Taken {
        let header = TcpHeader {
            source_port: self.path.peer.port(),
            destination_port: self.path.local.port(),
            seq,
            ack: self.ack,
            flags,
            window: u16::MAX,
            len: TCP_HEADER,
        };
        let mut segment = [&header.octets()[..], options, data].concat();
        segment[12] = (((TCP_HEADER + options.len()) / 4) << 4) as u8;
        let taken = self.carrier.arrive(self.now, &self.path, &segment, &mut self.said);
        self.carrier.poll(self.now, &mut self.said);
        taken
    }

    /// As Linux begins.
    fn syn(&mut self) -> SynOffer {
        let offer = SynOffer { mss: Some(1460), scale: Some(7), sack: Sack::Permitted };
        let (options, len) = offer.options();
        assert_eq!(
            self.give_with(self.first, TcpFlags::SYN, &options[..len], &[]),
            Taken::Nothing(DropReason::Handshake)
        );
        let answer = self.said.segments.pop().unwrap();
        let header = TcpHeader::parse(&answer).unwrap();
        assert_eq!((header.flags, header.ack), (TcpFlags::SYN.with(TcpFlags::ACK), self.first.plus(1)));
        (self.next, self.ack) = (self.first.plus(1), header.seq.plus(1));
        SynOffer::read(&answer)
    }

    fn data(&mut self, data: &[u8]) -> Taken {
        let taken = self.give(self.next, TcpFlags::ACK, data);
        self.next = self.next.plus(data.len());
        taken
    }

    fn later(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.carrier.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.carrier.poll(self.now, &mut self.said);
        }
        self.now = until;
    }

    fn flags(&mut self) -> Vec<TcpFlags> {
        let said = std::mem::take(&mut self.said.segments);
        said.iter().map(|segment| TcpHeader::parse(segment).unwrap().flags).collect()
    }

    /// With a connection.
    fn with(config: CtcpConfig) -> Self {
        let mut headend = Self::new(config);
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets);
        headend.later(Duration::from_millis(100));
        headend.said = Said::default();
        headend
    }
}

/// What a client says first.
fn introduction() -> Vec<u8> {
    [&b"IKETCP"[..], &line::framed_ike(&line::first_message(100))].concat()
}

fn framed(inside: &[u8]) -> Vec<u8> {
    [&((inside.len() + 2) as u16).to_be_bytes()[..], inside].concat()
}

#[test]
fn everything_arrives_once_and_in_order_whatever_the_line_does() {
    for seed in 1..=100 {
        let mut world = World::new(Line { loss: 50, double: 20, late: 50, cut: 200, ..Line::GOOD }, seed);
        world.exchange(Duration::from_secs(20), 5);
        world.quiet(Duration::from_secs(300));
        for end in &world.ends {
            assert_eq!(end.given_way, 0, "{seed}: so little fits every queue");
        }
        world.assert_all_arrived(seed);
    }
}

#[test]
fn a_line_that_is_good_takes_no_longer_than_the_line() {
    let mut world = World::new(Line::GOOD, 1);
    world.exchange(Duration::from_secs(10), 500);
    world.quiet(Duration::from_millis(300));
    world.assert_all_arrived(1);
}

/// In virtual time, so the numbers are always the same. Left to itself, smoltcp has 51 000 a second where five of a hundred are lost.
#[test]
fn losses_cost_what_congestion_control_wants_and_not_a_second_each() {
    for (delay, loss, least) in [(20, 0, 1_390_000), (20, 10, 390_000), (20, 50, 180_000), (2, 50, 1_350_000)] {
        for from in [0, 1] {
            let octets = |seed| {
                let mut world = World::new(Line { loss, delay: Duration::from_millis(delay), ..Line::GOOD }, seed);
                world.flood(from, Duration::from_secs(30));
                world.arrived(1 - from) / 30
            };
            let octets = (1..=3).map(octets).sum::<usize>() / 3;
            assert!(octets > least, "{octets} octets a second with {loss} of a thousand lost, {delay} ms away");
        }
    }
}

#[test]
fn numbers_wrap_both_ways_in_the_middle_of_a_transfer() {
    let mut world = World::about_to_wrap(Line { loss: 5, ..Line::GOOD });
    world.exchange(Duration::from_secs(20), 50);
    world.quiet(Duration::from_secs(120));
    world.assert_all_arrived(0);
    for end in &world.ends {
        let [first, last] = end.numbers.unwrap();
        assert!(first > last, "from {first} to {last}");
    }
}

#[test]
fn who_offers_congestion_notification_gets_a_connection_without_it() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    let (along, offer) = (headend.path, SynOffer { mss: Some(1460), scale: Some(7), sack: Sack::Permitted });
    let header = TcpHeader {
        source_port: along.peer.port(),
        destination_port: along.local.port(),
        seq: CLIENT,
        ack: Seq::default(),
        flags: TcpFlags::SYN,
        window: u16::MAX,
        len: TCP_HEADER,
    };
    let mut syn = offer.behind(&header).as_ref().to_vec();
    syn[13] |= 0xc0;
    headend.carrier.arrive(headend.now, &along, &syn, &mut headend.said);
    let answer = headend.said.segments.pop().unwrap();
    let header = TcpHeader::parse(&answer).unwrap();
    assert_eq!(header.flags, TcpFlags::SYN.with(TcpFlags::ACK));
    (headend.next, headend.ack) = (CLIENT.plus(1), header.seq.plus(1));
    assert_eq!(headend.data(&introduction()), Taken::Octets);
}

#[test]
fn a_connection_is_offered_what_real_tcp_needs_and_keeps_nothing_until_its_prefix() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    let offer = headend.syn();
    assert_eq!((offer.mss, offer.sack), (Some(1460), Sack::Permitted));
    assert!(offer.scale.is_some());
    assert_eq!(headend.give(headend.next, TcpFlags::ACK, &[]), Taken::Nothing(DropReason::Handshake));
    headend.later(Duration::from_secs(20));
    assert!(headend.carrier.is_empty(), "the third segment alone is not remembered");
    assert_eq!(headend.data(b"IKETCP"), Taken::Octets);
    assert_eq!(headend.carrier.len(), 1);
}

#[test]
fn prefix_and_frames_may_come_octet_by_octet() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    let message = line::first_message(100);
    let stream =
        [&b"IKETCP"[..], &framed(&[&[0; 4], &message[..]].concat()), &framed(&[0xff]), &framed(&[7; 90])].concat();
    for octet in stream {
        assert_eq!(headend.data(&[octet]), Taken::Octets);
    }
    assert_eq!(headend.said.streamed, [[&[0; 4], &message[..]].concat(), vec![0xff], vec![7; 90]]);
}

#[test]
fn what_comes_in_the_wrong_order_is_put_in_order_and_acknowledged() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let (first, second) = (framed(&[1; 80]), framed(&[2; 80]));
    let begins = headend.next;
    headend.give(begins.plus(first.len()), TcpFlags::ACK, &second);
    assert!(headend.said.streamed.is_empty());
    let hole = TcpHeader::parse(&headend.said.segments.pop().unwrap()).unwrap();
    assert_eq!(hole.ack, begins);
    assert!(hole.has_options(), "it is told of the hole (RFC 2018)");
    headend.give(begins, TcpFlags::ACK, &first);
    assert_eq!(headend.said.streamed, [vec![1; 80], vec![2; 80]]);
    let whole = TcpHeader::parse(&headend.said.segments.pop().unwrap()).unwrap();
    assert_eq!(whole.ack, begins.plus(first.len() + second.len()));
}

#[test]
fn a_wrong_prefix_begins_nothing_and_one_that_goes_wrong_is_reset() {
    for wrong in [&b"GET / HTTP/1.1\r\n"[..], &[0x16, 3, 1, 2, 0], b"IKETCQ", &[0; 40]] {
        let mut headend = Headend::new(CtcpConfig::DEFAULT);
        headend.syn();
        assert_eq!(headend.data(wrong), Taken::Nothing(DropReason::Handshake));
        assert!(headend.carrier.is_empty() && headend.said.segments.is_empty());
    }
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    headend.data(b"IKE");
    headend.flags();
    assert_eq!(headend.data(b"v2 is what I am"), Taken::Nothing(DropReason::BrokenStream));
    assert!(headend.carrier.is_empty());
    assert!(headend.flags().last().unwrap().has(TcpFlags::RST));
}

#[test]
fn a_length_that_cannot_be_ends_the_connection() {
    for bad in [&[0, 0][..], &[0, 1], &[0xff, 0xff, 1, 2, 3, 4], &[0x50, 0, 0, 0, 0, 0]] {
        let mut headend = Headend::with(CtcpConfig::DEFAULT);
        assert_eq!(headend.data(bad), Taken::Nothing(DropReason::BrokenStream), "{bad:x?}");
        assert!(headend.carrier.is_empty());
        let last = headend.said.segments.last().and_then(|segment| TcpHeader::parse(segment)).unwrap();
        assert!(last.flags.has(TcpFlags::RST), "{bad:x?}");
        assert_eq!(last.seq, headend.ack, "where the peer expects it");
    }
}

#[test]
fn a_blind_reset_is_asked_for_again_and_counts_only_where_it_is_exact() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    for off in [1, 1000, 60_000] {
        let taken = headend.give(headend.next.plus(off), TcpFlags::RST, &[]);
        assert_eq!(taken, Taken::Nothing(DropReason::OutOfWindow));
    }
    assert_eq!(headend.flags(), [TcpFlags::ACK], "once a second (RFC 5961 section 7)");
    headend.give(headend.next.plus(1 << 20), TcpFlags::RST, &[]);
    assert_eq!((headend.carrier.len(), headend.flags()), (1, vec![]));
    assert_eq!(headend.give(headend.next, TcpFlags::RST, &[]), Taken::Nothing(DropReason::ConnectionEnded));
    assert!(headend.carrier.is_empty());
}

#[test]
fn data_that_no_window_allows_changes_nothing() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let frame = framed(&[1; 80]);
    for off in [262_144 - 40, 1 << 20, 1 << 31, (1_usize << 32) - 262_144] {
        headend.give(headend.next.plus(off), TcpFlags::ACK, &frame);
    }
    let sane = headend.ack;
    headend.ack = sane.plus(1 << 20);
    assert_eq!(headend.give(headend.next, TcpFlags::ACK, &frame), Taken::Nothing(DropReason::OutOfWindow));
    headend.ack = sane;
    assert!(headend.said.streamed.is_empty());
    headend.data(&frame);
    assert_eq!(headend.said.streamed, [vec![1; 80]]);
}

/// What smoltcp believes to have arrived it forgets.
#[test]
fn an_acknowledgment_out_of_place_is_not_believed_whatever_it_says() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let along = headend.path;
    // So much goes well that three segments are under way at once.
    for _ in 0..20 {
        headend.carrier.stream(headend.now, &along, Inside::Esp, &[9; 1000], &mut headend.said).unwrap();
        headend.later(Duration::from_millis(10));
        headend.ack = headend.ack.plus(1002);
        headend.give(headend.next, TcpFlags::ACK, &[]);
    }
    headend.said.segments.clear();
    let (now, begins) = (headend.now, headend.ack);
    for _ in 0..3 {
        headend.carrier.stream(now, &along, Inside::Esp, &[9; 1458], &mut headend.said).unwrap();
    }
    headend.later(Duration::from_millis(1));
    let ends: Vec<Seq> = std::mem::take(&mut headend.said.segments)
        .iter()
        .map(|segment| TcpHeader::parse(segment).unwrap().seq.plus(segment.len() - TCP_HEADER))
        .collect();
    assert_eq!((ends.len(), told(&headend).evidence.in_flight), (3, 3 * 1460));
    // Somebody who sees nothing guesses half right: one has come, and the last, but not the second.
    let selected = [&[1, 1, 5, 10][..], &ends[1].get().to_be_bytes(), &ends[2].get().to_be_bytes()].concat();
    for far in [1_usize << 20, 1 << 31, (1 << 32) - 2, (1 << 32) - (1 << 20)] {
        headend.ack = ends[0];
        headend.give_with(headend.next.plus(far), TcpFlags::ACK, &selected, &[]);
    }
    assert_eq!(told(&headend).evidence.in_flight, 3 * 1460);
    headend.ack = begins;
    headend.later(Duration::from_secs(5));
    let again = |segment: &Vec<u8>| TcpHeader::parse(segment).is_some_and(|header| header.seq == begins);
    assert!(headend.said.segments.iter().any(|segment| again(segment) && segment.len() > 1000), "it goes again");
    assert!(told(&headend).evidence.resent > 0);
}

#[test]
fn a_fin_is_answered_behind_what_ike_has_still_to_say() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let (now, along) = (headend.now, headend.path);
    headend.carrier.stream(now, &along, Inside::Ike, &ike(60), &mut headend.said).unwrap();
    headend.give(headend.next, TcpFlags::FIN.with(TcpFlags::ACK), &[]);
    let said: Vec<TcpHeader> = headend.said.segments.iter().map(|segment| TcpHeader::parse(segment).unwrap()).collect();
    assert!(said.iter().any(|header| header.flags.has(TcpFlags::FIN)), "{said:?}");
    let data: usize = headend.said.segments.iter().map(|segment| segment.len() - TCP_HEADER).sum();
    assert_eq!(data, 2 + 4 + 60);
    headend.ack = headend.ack.plus(data + 1);
    headend.next = headend.next.plus(1);
    headend.give(headend.next, TcpFlags::ACK, &[]);
    assert!(headend.carrier.is_empty());
}

#[test]
fn a_connection_that_nobody_vouches_for_is_reset_after_a_minute_and_a_proven_one_stays() {
    for vouched in [false, true] {
        let mut headend = Headend::with(CtcpConfig::DEFAULT);
        if vouched {
            headend.carrier.vouch(headend.now, &headend.path.clone(), TUNNEL);
        }
        headend.later(Duration::from_secs(61));
        assert_eq!(headend.carrier.len(), usize::from(vouched));
        assert_eq!(headend.flags().iter().any(|flags| flags.has(TcpFlags::RST)), !vouched);
    }
}

#[test]
fn a_session_that_is_over_ends_its_connection_after_its_goodbyes_unless_another_has_it() {
    for again in [false, true] {
        let mut headend = Headend::with(CtcpConfig::DEFAULT);
        let (now, along) = (headend.now, headend.path);
        headend.carrier.vouch(headend.now, &along, TUNNEL);
        headend.carrier.end_of(now, &along, TUNNEL, &mut headend.said);
        headend.carrier.stream(now, &along, Inside::Ike, &ike(60), &mut headend.said).unwrap();
        headend.carrier.poll(now, &mut headend.said);
        assert!(headend.said.segments.last().unwrap().ends_with(&ike(60)[40..]), "a goodbye still goes");
        assert!(headend.flags().iter().all(|flags| !flags.has(TcpFlags::FIN)));
        if again {
            headend.carrier.vouch(headend.now, &along, TunnelKey { slot: 5, ..TUNNEL });
        }
        headend.ack = headend.ack.plus(2 + 4 + 60);
        headend.give(headend.next, TcpFlags::ACK, &[]);
        headend.later(Duration::from_secs(11));
        assert_eq!(headend.flags().iter().any(|flags| flags.has(TcpFlags::FIN)), !again);
        headend.later(Duration::from_secs(11));
        assert_eq!(headend.flags().iter().any(|flags| flags.has(TcpFlags::RST)), !again, "if it is not taken");
        assert_eq!(headend.carrier.len(), usize::from(again));
    }
}

#[test]
fn a_peer_that_reads_nothing_costs_the_oldest_esp_and_never_ike() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let (now, along) = (headend.now, headend.path);
    for number in 0..1000_u32 {
        let packet = [&number.to_be_bytes()[..], &[9; 996]].concat();
        headend.carrier.stream(now, &along, Inside::Esp, &packet, &mut headend.said).unwrap();
        if number % 100 == 0 {
            headend
                .carrier
                .stream(now, &along, Inside::Ike, &ike(60 + number as usize / 100), &mut headend.said)
                .unwrap();
        }
        headend.carrier.poll(now, &mut headend.said);
    }
    let gone = headend.carrier.take_given_way();
    assert!((700..1000).contains(&gone), "{gone} gave way");
    // Now it reads: it acknowledges all that comes.
    let mut stream = Vec::new();
    for _ in 0..2000 {
        for segment in std::mem::take(&mut headend.said.segments) {
            let header = TcpHeader::parse(&segment).unwrap();
            if header.seq == headend.ack {
                stream.extend(&segment[header.len..]);
                headend.ack = headend.ack.plus(segment.len() - header.len);
            }
        }
        headend.give(headend.next, TcpFlags::ACK, &[]);
        headend.later(Duration::from_millis(10));
    }
    let frames = line::frames(&stream);
    let messages = frames.iter().filter(|frame| frame.starts_with(&[0; 4]) && frame.len() < 100);
    assert_eq!(messages.count(), 10, "all of IKE");
    let esp: Vec<u32> = frames
        .iter()
        .filter(|frame| frame.len() == 1000)
        .map(|frame| u32::from_be_bytes(*frame.first_chunk().unwrap()))
        .collect();
    assert_eq!(esp.len() as u64 + gone, 1000, "whole frames, and each missing one was counted");
    assert!(esp.is_sorted() && esp.last() == Some(&999), "the newest is there");
}

#[test]
fn unproven_connections_are_limited_in_all_and_by_source() {
    let config = CtcpConfig { unproven: 800, unproven_per_source: 3, ..CtcpConfig::DEFAULT };
    let mut headend = Headend::new(config);
    for port in 1..=5 {
        headend.path = path(40_000 + port);
        headend.syn();
        assert_eq!(headend.data(b"IKETCP"), Taken::Octets, "{port}");
        assert_eq!(headend.flags().iter().any(|flags| flags.has(TcpFlags::RST)), port > 3, "the oldest gives way");
    }
    assert_eq!(headend.carrier.len(), 3);
}

/// Otherwise two hosts could keep everybody out.
#[test]
fn of_streams_of_nobody_a_source_has_an_eighth_of_its_share() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    let host = |host: u8, port: u16| Path { peer: format!("203.0.113.{host}:{port}").parse().unwrap(), ..path(0) };
    for port in 1..=40 {
        headend.path = host(1, port);
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets);
    }
    assert_eq!(headend.carrier.len(), 8);
    for at in 2..=40 {
        for port in 1..=8 {
            headend.path = host(at, port);
            headend.syn();
            assert_eq!(headend.data(&introduction()), Taken::Octets);
        }
    }
    assert_eq!(headend.carrier.len(), 128);
    headend.path = host(100, 1);
    headend.syn();
    assert_eq!(headend.data(&introduction()), Taken::Octets, "whoever comes is heard");
}

/// Each holds the room for what is under way.
#[test]
fn streams_of_nobody_leave_room_for_ctcp() {
    let mut headend = Headend::new(CtcpConfig { unproven: 64, unproven_per_source: 64, ..CtcpConfig::DEFAULT });
    for port in 1..=9 {
        headend.path = path(40_000 + port);
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets);
        assert_eq!(headend.flags().iter().any(|flags| flags.has(TcpFlags::RST)), port == 9, "{port}");
    }
    assert_eq!((headend.carrier.len(), headend.said.streamed.len()), (8, 9), "the first gave way to the ninth");
    headend.carrier.vouch(headend.now, &path(40_002), TUNNEL);
    headend.path = path(40_011);
    headend.syn();
    assert_eq!(headend.data(&introduction()), Taken::Octets);
    assert!(headend.flags().iter().all(|flags| !flags.has(TcpFlags::RST)), "one that is somebody's is not counted");
    headend.path = path(40_010);
    headend.syn();
    let message = [&[1, 0xf4, 1, 0xf4, 0, 108, 0, 0][..], &line::first_message(100)].concat();
    headend.data(&message);
    assert_eq!(headend.carrier.len(), 10);
}

#[test]
fn where_memory_is_little_streams_of_nobody_have_a_fifth_of_it() {
    let memory = 5 * 2 * 384 * 1024;
    let mut headend = Headend::new(CtcpConfig { memory, ..CtcpConfig::DEFAULT });
    for host in 1..=20 {
        headend.path = Path { peer: format!("203.0.113.{host}:9").parse().unwrap(), ..path(0) };
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets, "{host}");
    }
    assert_eq!((headend.carrier.len(), headend.carrier.take_displaced()), (2, 18));
}

/// In hybrid mode anybody gets that far.
#[test]
fn streams_on_which_somebody_logs_in_leave_room_for_all_others() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    let host = |host: u8, port: u16| Path { peer: format!("203.0.113.{host}:{port}").parse().unwrap(), ..path(0) };
    let login = |headend: &mut Headend, along: Path| {
        headend.path = along;
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets);
        let within = Duration::from_secs(180);
        headend.carrier.expect(headend.now, &along, within, &mut headend.said);
    };
    (1..=40).for_each(|port| login(&mut headend, host(1, port)));
    assert_eq!(headend.carrier.len(), 32, "from one source");
    for at in 2..=40 {
        (1..=30).for_each(|port| login(&mut headend, host(at, port)));
    }
    assert_eq!(headend.carrier.len(), 85);
    assert!(headend.carrier.memory() < 256 * 1024 * 1024 / 8 + 85 * 1024, "an eighth of the memory");
    // Nobody who has only begun takes the place of one of them.
    let before = headend.carrier.len();
    for port in 1..=20 {
        headend.path = path(40_000 + port);
        headend.syn();
        assert_eq!(headend.data(&introduction()), Taken::Octets);
    }
    assert_eq!(headend.carrier.len(), before + 8);
}

#[test]
fn a_connection_costs_a_few_octets_until_ike_has_come_by_it() {
    let mut headend = Headend::new(CtcpConfig { unproven_per_source: 1024, ..CtcpConfig::DEFAULT });
    let all = introduction();
    for port in 0..1024 {
        headend.path = path(20_000 + port);
        headend.syn();
        assert_eq!(headend.data(&all[..if port % 2 == 0 { 6 } else { all.len() - 1 }]), Taken::Octets);
    }
    assert_eq!((headend.carrier.len(), headend.said.streamed.len()), (1024, 0));
    assert!(headend.carrier.memory() <= 512 * 256, "{} octets", headend.carrier.memory());
    headend.path = path(40_001);
    headend.syn();
    assert_eq!(headend.data(b"IKETCP"), Taken::Octets);
    assert_eq!(headend.carrier.len(), 1024, "there is an end to it: the oldest gives way");
    // The last of them goes on.
    (headend.path, headend.first) = (path(21_023), CLIENT);
    headend.syn();
    headend.next = headend.next.plus(all.len() - 1);
    let before = headend.carrier.memory();
    assert_eq!(headend.data(&all[all.len() - 1..]), Taken::Octets);
    assert_eq!(headend.said.streamed.len(), 1);
    assert!(headend.carrier.memory() > before + 256 * 1024, "now it has a window");
    headend.later(Duration::from_secs(61));
    assert_eq!((headend.carrier.len(), headend.carrier.memory()), (0, 0), "nobody has vouched for any");
}

#[test]
fn a_first_message_may_be_as_long_as_any_and_no_more_is_held_for_it() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    let message = line::first_message(16 * 1024);
    let stream = [&b"IKETCP"[..], &line::framed_ike(&message)].concat();
    for piece in stream.chunks(1000) {
        assert!(headend.carrier.memory() <= 2 * 17_000);
        assert_eq!(headend.data(piece), Taken::Octets);
    }
    assert_eq!(headend.said.streamed, [[&[0; 4], &message[..]].concat()]);

    // ESP of nobody does not get more by being there first.
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    headend.data(b"IKETCP");
    (0..30).for_each(|_| {
        headend.data(&framed(&[9; 1000]));
    });
    assert_eq!(headend.said.streamed.len(), 16);
    assert!(headend.carrier.memory() <= 2 * 17_000);
    let last = TcpHeader::parse(headend.said.segments.last().unwrap()).unwrap();
    assert_eq!((last.window, last.ack), (0, headend.first.plus(1 + 16_396)));
}

#[test]
fn what_comes_before_ike_in_the_wrong_order_comes_again_and_each_octet_counts_once() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    let (stream, begins) = (introduction(), headend.next);
    assert_eq!(headend.give(begins.plus(40), TcpFlags::ACK, &stream[40..]), Taken::Nothing(DropReason::Handshake));
    for (from, to, acknowledged) in [(0, 10, 10), (40, 60, 10), (5, 40, 40), (0, 40, 40), (39, 60, 60)] {
        headend.give(begins.plus(from), TcpFlags::ACK, &stream[from..to]);
        let last = TcpHeader::parse(headend.said.segments.last().unwrap()).unwrap();
        assert_eq!(last.ack, begins.plus(acknowledged), "{from}..{to}");
    }
    // A peer that asks whether anybody is still there.
    headend.said.segments.clear();
    headend.give(begins.plus(59), TcpFlags::ACK, &[]);
    assert_eq!(headend.flags(), [TcpFlags::ACK]);
    headend.give(begins.plus(60), TcpFlags::ACK, &[]);
    assert_eq!(headend.flags(), []);
    headend.give(begins.plus(60), TcpFlags::ACK, &stream[60..]);
    assert_eq!(headend.said.streamed, [[&[0; 4], &line::first_message(100)[..]].concat()]);
    let last = TcpHeader::parse(headend.said.segments.last().unwrap()).unwrap();
    assert_eq!((last.ack, last.window), (begins.plus(stream.len()), 32_768), "256 KiB may be under way now");
}

#[test]
fn who_resumes_a_session_may_begin_with_esp() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    let (now, along) = (headend.now, headend.path);
    headend.data(&[&b"IKETCP"[..], &framed(&[9; 100])].concat());
    assert_eq!(headend.said.streamed, [vec![9; 100]]);
    assert!(headend.carrier.memory() < 1000);
    headend.said.segments.clear();
    headend.carrier.vouch(now, &along, TUNNEL);
    headend.later(Duration::ZERO);
    let last = TcpHeader::parse(headend.said.segments.last().unwrap()).unwrap();
    assert_eq!((last.ack, last.window), (headend.next, 32_768));
    headend.carrier.stream(now, &along, Inside::Esp, &[8; 90], &mut headend.said).unwrap();
    headend.later(Duration::ZERO);
    assert_eq!(headend.said.segments.pop().unwrap()[TCP_HEADER..], framed(&[8; 90]));
    headend.data(&framed(&[7; 60_000])[..1400]);
    assert_eq!(headend.carrier.len(), 1, "frames may be of any length now");
}

#[test]
fn garbage_behind_the_prefix_ends_the_connection() {
    let mut strange = line::first_message(100);
    strange[17] = 0x30;
    let mut short = line::first_message(100);
    short[27] = 99;
    for garbage in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[0, 2],
        &framed(&[1; 8]),
        &framed(&[0; 100]),
        &line::framed_ike(&strange),
        &line::framed_ike(&short),
    ] {
        for at_once in [false, true] {
            let mut headend = Headend::new(CtcpConfig::DEFAULT);
            headend.syn();
            let taken = match at_once {
                true => headend.data(&[b"IKETCP", garbage].concat()),
                false => {
                    assert_eq!(headend.data(b"IKETCP"), Taken::Octets);
                    headend.data(garbage)
                }
            };
            assert_eq!(taken, Taken::Nothing(DropReason::BrokenStream), "{garbage:x?}");
            assert!(headend.carrier.is_empty() && headend.said.streamed.is_empty());
            let last = TcpHeader::parse(headend.said.segments.last().unwrap()).unwrap();
            assert!(last.flags.has(TcpFlags::RST) && last.seq == headend.ack, "{garbage:x?}");
        }
    }
}

#[test]
fn a_connection_that_says_nothing_may_end_and_only_its_peer_ends_it() {
    for (seq, flags, ends) in
        [(0, TcpFlags::RST, true), (1, TcpFlags::RST, false), (0, TcpFlags::FIN.with(TcpFlags::ACK), true)]
    {
        let mut headend = Headend::new(CtcpConfig::DEFAULT);
        headend.syn();
        headend.data(b"IKETCP");
        let taken = headend.give(headend.next.plus(seq), flags, &[]);
        let reason = if ends { DropReason::ConnectionEnded } else { DropReason::OutOfWindow };
        assert_eq!((taken, headend.carrier.is_empty()), (Taken::Nothing(reason), ends));
    }
}

/// What control is told of the only connection.
fn told(headend: &Headend) -> StreamReport {
    let mut page = FlowPage::new(0);
    headend.carrier.tell(headend.now, &mut page);
    assert_eq!((page.flows.len(), page.streams.len(), page.next), (0, 1, None));
    page.streams[0]
}

#[test]
fn control_is_told_how_a_stream_fares_from_its_prefix_to_its_end() {
    let mut headend = Headend::new(CtcpConfig::DEFAULT);
    headend.syn();
    let all = introduction();
    headend.data(&all[..10]);
    headend.later(Duration::from_secs(3));
    let first = told(&headend);
    assert_eq!((first.path, first.tunnel, first.state), (headend.path, None, StreamState::Begins));
    assert_eq!((first.age, first.silent), (Duration::from_secs(3), Duration::from_secs(3)));
    assert_eq!(first.evidence.came, Amount { segments: 1, octets: 10 });

    headend.data(&all[10..]);
    let begun = told(&headend);
    assert_eq!((begun.id, begun.state, begun.silent), (first.id, StreamState::Open, Duration::ZERO));
    assert_eq!(begun.evidence.came, Amount { segments: 2, octets: all.len() as u64 });
    headend.carrier.vouch(headend.now, &headend.path, TUNNEL);
    assert_eq!(told(&headend).tunnel, Some(TUNNEL));

    let (now, along) = (headend.now, headend.path);
    headend.carrier.stream(now, &along, Inside::Esp, &[7; 90], &mut headend.said).unwrap();
    assert_eq!((told(&headend).evidence.queued, told(&headend).evidence.in_flight), (92, 0));
    headend.later(Duration::from_millis(40));
    let went = told(&headend).evidence;
    assert_eq!((went.went, went.in_flight, went.queued, went.rtt), (Amount { segments: 1, octets: 92 }, 92, 0, None));
    headend.ack = headend.ack.plus(92);
    headend.give(headend.next, TcpFlags::ACK, &[]);
    let (there, forty) = (told(&headend).evidence, Some(Duration::from_millis(40)));
    assert_eq!((there.in_flight, there.rtt, there.least_rtt, there.resent), (0, forty, forty, 0));

    for _ in 0..1000 {
        let now = headend.now;
        headend.carrier.stream(now, &along, Inside::Esp, &[7; 1000], &mut headend.said).unwrap();
    }
    headend.later(Duration::from_secs(5));
    let full = told(&headend).evidence;
    assert!(full.queued > full.queue_most / 2 && full.given_way > 700 && full.resent > 0, "{full:?}");
    assert_eq!(headend.carrier.take_given_way(), full.given_way, "each is counted there, too");

    headend.carrier.end_of(headend.now, &along, TUNNEL, &mut headend.said);
    headend.later(Duration::from_secs(11));
    assert_eq!(told(&headend).state, StreamState::Ends);
}

/// smoltcp asks a peer that is silent with an octet that it has already.
#[test]
fn asking_whether_a_silent_peer_is_there_counts_as_no_repetition() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let (now, along) = (headend.now, headend.path);
    headend.carrier.vouch(now, &along, TUNNEL);
    headend.carrier.stream(now, &along, Inside::Esp, &[7; 90], &mut headend.said).unwrap();
    headend.later(Duration::from_millis(40));
    headend.ack = headend.ack.plus(92);
    headend.give(headend.next, TcpFlags::ACK, &[]);
    headend.said.segments.clear();
    let mut asked = 0;
    for _ in 0..20 {
        headend.later(Duration::from_secs(61));
        asked += headend.flags().len();
        headend.give(headend.next, TcpFlags::ACK, &[]);
    }
    assert!(asked >= 20);
    let evidence = told(&headend).evidence;
    assert_eq!((evidence.resent, evidence.went), (0, Amount { segments: 1, octets: 92 }));
}

/// An entry of which nothing comes wakes the worker, and holds memory until then.
#[test]
fn a_stream_that_was_busy_is_asked_no_more_often_afterwards_and_leaves_nothing_behind() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    let (now, along) = (headend.now, headend.path);
    headend.carrier.vouch(now, &along, TUNNEL);
    for _ in 0..500 {
        headend.data(&framed(&[7; 90]));
        headend.later(Duration::from_millis(20));
    }
    headend.later(Duration::from_secs(1));
    let (until, mut asked) = (headend.now + Duration::from_secs(120), 0);
    while let Some(due) = headend.carrier.deadline().filter(|due| *due <= until) {
        headend.now = headend.now.max(due);
        headend.carrier.poll(headend.now, &mut headend.said);
        asked += 1;
    }
    assert!(asked < 20, "{asked} times in two minutes");
    headend.give(headend.next, TcpFlags::RST, &[]);
    assert_eq!((headend.carrier.len(), headend.carrier.deadline()), (0, None));
}

#[test]
fn an_operator_ends_the_stream_that_is_meant() {
    for all in [&b"IKETCP"[..], &introduction()] {
        let mut headend = Headend::new(CtcpConfig::DEFAULT);
        headend.syn();
        headend.data(all);
        let (now, along, number) = (headend.now, headend.path, told(&headend).id.number);
        headend.flags();
        headend.carrier.clear(now, &along, number + 1, &mut headend.said);
        assert_eq!((headend.carrier.len(), headend.flags()), (1, vec![]));
        headend.carrier.clear(now, &along, number, &mut headend.said);
        assert!(headend.carrier.is_empty() && headend.flags()[0].has(TcpFlags::RST));
    }
}

#[test]
fn a_port_for_streams_alone_begins_no_ctcp() {
    for (alone, begins) in [(None, 1), (Some(10_000), 0)] {
        let mut headend = Headend::new(CtcpConfig { streams_alone: alone, ..CtcpConfig::DEFAULT });
        headend.syn();
        let message = [&[1, 0xf4, 1, 0xf4, 0, 108, 0, 0][..], &line::first_message(100)].concat();
        headend.data(&message);
        assert_eq!(headend.carrier.len(), begins);
    }
}

#[test]
fn a_client_that_has_forgotten_its_connection_gets_another_on_the_same_port() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    headend.data(&[0, 90]);
    headend.first = CLIENT.plus(1 << 30);
    headend.syn();
    assert_eq!(headend.carrier.len(), 1, "a SYN alone changes nothing");
    assert_eq!(headend.data(&introduction()), Taken::Octets);
    headend.data(&framed(&[5; 40]));
    assert_eq!(headend.said.streamed.last(), Some(&vec![5; 40]));
    assert_eq!(headend.carrier.len(), 1);
}

#[test]
fn whoever_guesses_cookies_takes_nobodys_place() {
    let mut headend = Headend::with(CtcpConfig::DEFAULT);
    headend.first = CLIENT.plus(1 << 30);
    headend.syn();
    let right = headend.ack;
    for guess in 1..=256 {
        headend.ack = right.plus(guess << 9);
        assert_eq!(headend.give(headend.next, TcpFlags::ACK, b"IKETCP"), Taken::Nothing(DropReason::OutOfWindow));
    }
    headend.ack = right;
    let late = headend.give(headend.next, TcpFlags::ACK, b"IKETCP");
    assert_eq!(late, Taken::Nothing(DropReason::OutOfWindow), "not even with the right one");
    headend.later(Duration::from_secs(61));
    headend.syn();
    assert_eq!(headend.data(b"IKETCP"), Taken::Octets, "a minute later its owner may");
}

#[test]
fn a_dial_that_nobody_answers_repeats_its_syn_and_gives_up() {
    let config = CtcpConfig { part: Part::Dials, ..CtcpConfig::DEFAULT };
    let mut client = Headend::new(config);
    let (now, along) = (client.now, client.path);
    client.carrier.stream(now, &along, Inside::Ike, &ike(60), &mut client.said).unwrap();
    client.later(Duration::from_secs(400));
    let syns: Vec<TcpHeader> = client.said.segments.iter().map(|segment| TcpHeader::parse(segment).unwrap()).collect();
    assert!(syns.len() > 5 && syns.iter().filter(|syn| syn.flags == TcpFlags::SYN).all(|syn| syn.seq == syns[0].seq));
    assert!(client.carrier.is_empty());
}

#[test]
fn a_client_that_goes_says_what_it_has_to_say_and_a_fin() {
    let config = CtcpConfig { part: Part::Dials, ..CtcpConfig::DEFAULT };
    let mut client = Headend::new(config);
    let (now, along) = (client.now, client.path);
    client.carrier.stream(now, &along, Inside::Ike, &ike(60), &mut client.said).unwrap();
    let syn = TcpHeader::parse(&client.said.segments.pop().unwrap()).unwrap();
    client.ack = syn.seq.plus(1);
    client.give(CLIENT, TcpFlags::SYN.with(TcpFlags::ACK), &[]);
    let first = client.said.segments.iter().find(|segment| segment.len() > TCP_HEADER + 6).unwrap();
    assert_eq!(first[TCP_HEADER..], [&b"IKETCP"[..], &framed(&[&[0; 4], &ike(60)[..]].concat())].concat());
    client.said.segments.clear();
    client.carrier.stream(now, &along, Inside::Ike, &ike(61), &mut client.said).unwrap();
    client.carrier.hang_up(now, &mut client.said);
    let last = client.said.segments.last().unwrap();
    assert!(last.ends_with(&ike(61)) && TcpHeader::parse(last).unwrap().flags.has(TcpFlags::FIN));
    assert!(client.carrier.is_empty());
}

#[test]
fn esp_begins_no_connection() {
    for part in [Part::Answers, Part::Dials] {
        let mut end = Headend::new(CtcpConfig { part, ..CtcpConfig::DEFAULT });
        let (now, along) = (end.now, end.path);
        let refused = end.carrier.stream(now, &along, Inside::Esp, &[7; 90], &mut end.said);
        assert_eq!(refused, Err(DropReason::NoConnection));
    }
}

/// Any segments on a stream: nothing panics, memory stays bounded, and whoever is answered more than he sent has a connection.
#[test]
fn any_segments_on_a_stream_do_no_harm() {
    let all = introduction();
    check!().with_type::<Vec<(i32, i32, u8, u16, Vec<u8>, u16)>>().for_each(|segments| {
        let mut headend = Headend::new(CtcpConfig::DEFAULT);
        headend.syn();
        headend.data(if segments.len() % 2 == 0 { b"IKETCP" } else { &all });
        let (now, along) = (headend.now, headend.path);
        if segments.len() % 3 == 0 {
            headend.carrier.vouch(now, &along, TUNNEL);
        }
        let _ = headend.carrier.stream(now, &along, Inside::Esp, &[7; 3000], &mut headend.said);
        let (next, ack) = (headend.next, headend.ack);
        for (seq, acknowledged, flags, window, data, pause) in segments {
            // Most are near what is expected: what is far away is refused early.
            let near = |number: i32| if number % 4 == 0 { number } else { number % 70_000 };
            let header = TcpHeader {
                source_port: along.peer.port(),
                destination_port: along.local.port(),
                seq: next.plus(near(*seq) as u32 as usize),
                ack: ack.plus(near(*acknowledged) as u32 as usize),
                flags: [TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST, TcpFlags::SYN, TcpFlags::PSH]
                    .into_iter()
                    .enumerate()
                    .filter(|(bit, _)| (flags ^ 1) >> bit & 1 == 1)
                    .fold(TcpFlags::default(), |all, (_, flag)| all.with(flag)),
                window: *window,
                len: TCP_HEADER,
            };
            let mut segment = [&header.octets()[..], data].concat();
            if flags & 0x40 != 0 {
                segment[12] = (5 + (flags & 7)) << 4;
            }
            headend.carrier.arrive(headend.now, &along, &segment, &mut headend.said);
            headend.carrier.poll(headend.now, &mut headend.said);
            headend.later(Duration::from_millis(u64::from(*pause)));
            assert!(headend.carrier.memory() <= 1 << 20);
            headend.said.segments.clear();
        }
    });
}
