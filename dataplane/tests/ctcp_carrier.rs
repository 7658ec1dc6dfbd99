//! cTCP connections: how they begin, whom they are refused, and what strangers can do to them.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use adit_dataplane::carrier::ctcp::{Carrier, CtcpConfig, Frame, Inside, Outlet, Taken, trailer};
use adit_dataplane::contract::{DropReason, Path, TunnelKey, WorkerId};
use adit_dataplane::packet::PacketBuf;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader, tcp_checksum};
use adit_dataplane::wire::tcp_offer::{Sack, SynOffer};
use std::time::Duration;

const CLIENT: Seq = Seq::new(u32::MAX - 100);
const TUNNEL: TunnelKey = TunnelKey { worker: WorkerId(0), slot: 4 };
const KEEPALIVE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Said {
    segments: Vec<(Path, TcpHeader, Vec<u8>)>,
    frames: Vec<(Inside, Vec<u8>)>,
    /// What SYNs of ours had.
    offers: Vec<SynOffer>,
}

impl Outlet for Said {
    fn segment(&mut self, path: &Path, header: &TcpHeader, payload: [&[u8]; 2]) {
        self.segments.push((*path, *header, payload.concat()));
    }

    fn octets(&mut self, path: &Path, segment: &[u8]) {
        let header = TcpHeader::parse(segment).unwrap();
        self.segments.push((*path, header, segment[header.len..].to_vec()));
        self.offers.push(SynOffer::read(segment));
    }

    fn frame(&mut self, _: &Path, inside: Inside, octets: &[u8]) {
        self.frames.push((inside, octets.to_vec()));
    }

    fn streamed(&mut self, _: &Path, _: &[u8]) {
        panic!("none of these is a stream");
    }
}

struct World {
    carrier: Carrier,
    now: Instant,
    said: Said,
}

fn path(port: u16) -> Path {
    Path { local: "192.0.2.1:10000".parse().unwrap(), peer: format!("198.51.100.7:{port}").parse().unwrap() }
}

fn from(path: &Path, seq: Seq, ack: Seq, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    let header = TcpHeader {
        source_port: path.peer.port(),
        destination_port: path.local.port(),
        seq,
        ack,
        flags,
        window: u16::MAX,
        len: TCP_HEADER,
    };
    [&header.octets()[..], payload].concat()
}

/// The first message of aggressive mode, as far as the carrier looks at it.
fn first_ike(len: usize) -> Vec<u8> {
    let mut frame = vec![0x01, 0xf4, 0x01, 0xf4];
    frame.extend((8 + len as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend([0xc0; 8]);
    frame.extend([0; 8]);
    frame.extend([1, 0x10, 4, 0]);
    frame.resize(8 + len, 7);
    frame.extend(trailer(Inside::Ike));
    frame
}

fn esp(number: u32) -> Vec<u8> {
    let mut frame = [0x0aad_17ee_u32.to_be_bytes(), number.to_be_bytes()].concat();
    frame.resize(100, number as u8);
    frame.extend(trailer(Inside::Esp));
    frame
}

impl World {
    fn new(config: CtcpConfig) -> Self {
        Self {
            carrier: Carrier::new(WorkerId(0), config, [3; 24]),
            now: Instant::ZERO + Duration::from_secs(1000),
            said: Said::default(),
        }
    }

    fn arrive(&mut self, path: &Path, segment: &[u8]) -> Taken {
        let (heard, said_before) = (segment.len(), self.octets_said());
        let taken = self.carrier.arrive(self.now, path, segment, &mut self.said);
        assert!(self.octets_said() - said_before <= heard, "never more than came");
        taken
    }

    fn octets_said(&self) -> usize {
        self.said.segments.iter().map(|(_, header, payload)| header.len + payload.len()).sum()
    }

    /// SYN, and the number that our answer has.
    fn syn(&mut self, path: &Path) -> Seq {
        assert_eq!(
            self.arrive(path, &from(path, CLIENT, Seq::new(0), TcpFlags::SYN, &[])),
            Taken::Nothing(DropReason::Handshake)
        );
        let (to, answer, payload) = self.said.segments.pop().unwrap();
        assert_eq!((to, payload.len(), answer.ack), (*path, 0, CLIENT.plus(1)));
        assert_eq!(answer.flags, TcpFlags::SYN.with(TcpFlags::ACK));
        assert_eq!((answer.window, answer.len), (65535, TCP_HEADER));
        answer.seq
    }

    /// A connection with a first IKE message; what the client acknowledges.
    fn connect(&mut self, path: &Path) -> Seq {
        let ack = self.syn(path).plus(1);
        assert_eq!(
            self.arrive(path, &from(path, CLIENT.plus(1), ack, TcpFlags::ACK, &[])),
            Taken::Nothing(DropReason::Handshake)
        );
        let first = first_ike(300);
        let taken = self.arrive(path, &from(path, CLIENT.plus(1), ack, TcpFlags::ACK, &first));
        let Taken::Frame(Frame { inside: Inside::Ike, at, .. }) = taken else { panic!("{taken:?}") };
        assert_eq!(at, TCP_HEADER + 8..TCP_HEADER + 308);
        ack
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.carrier.deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.carrier.poll(self.now, &mut self.said);
        }
        self.now = until;
    }
}

#[test]
fn a_connection_begins_with_a_cookie_and_an_ike_message_and_nothing_is_remembered_before() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    for port in 0..5000 {
        world.syn(&path(port));
    }
    assert_eq!((world.carrier.len(), world.carrier.memory(), world.carrier.deadline()), (0, 0, None));
    world.connect(&path(40001));
    assert_eq!(world.carrier.len(), 1);
}

#[test]
fn what_is_sent_is_cut_to_ciscos_measure_and_its_checksum_is_right() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    let mut packet = PacketBuf::allocate(2048);
    packet.set_range(200, 84).unwrap();
    packet.bytes_mut().fill(9);
    assert_eq!(world.carrier.dress(world.now, &path, Inside::Esp, &mut packet), Ok(()));
    let header = TcpHeader::parse(packet.bytes()).unwrap();
    assert_eq!((header.len, header.window, header.flags, header.seq), (TCP_HEADER, 65535, TcpFlags::ACK, ack));
    assert_eq!(header.ack, CLIENT.plus(1 + 8 + 300 + 16));
    assert_eq!(packet.len(), TCP_HEADER + 84 + 16);
    assert_eq!(packet.bytes()[TCP_HEADER + 84..], trailer(Inside::Esp));
    assert_eq!(tcp_checksum(path.local.ip(), path.peer.ip(), packet.bytes()), 0);
    let nobodys = Path { peer: "198.51.100.9:1".parse().unwrap(), ..path };
    assert_eq!(world.carrier.dress(world.now, &nobodys, Inside::Esp, &mut packet), Err(DropReason::NoConnection));
}

#[test]
fn without_our_cookie_or_without_an_ike_message_there_is_no_connection() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.syn(&path).plus(1);
    let mut of_nobody = first_ike(300);
    of_nobody[8..16].fill(0);
    let mut no_exchange = first_ike(300);
    no_exchange[26] = 5;
    for payload in [esp(1), of_nobody, no_exchange, first_ike(300)[..35].to_vec(), vec![0]] {
        world.arrive(&path, &from(&path, CLIENT.plus(1), ack, TcpFlags::ACK, &payload));
        assert_eq!((world.carrier.len(), world.said.segments.len()), (0, 0));
    }
    let wrong = ack.plus(2);
    let taken = world.arrive(&path, &from(&path, CLIENT.plus(1), wrong, TcpFlags::ACK, &first_ike(300)));
    assert_eq!((taken, world.carrier.len()), (Taken::Nothing(DropReason::NoConnection), 0));
    let (_, reset, _) = world.said.segments.pop().unwrap();
    assert!(reset.flags.has(TcpFlags::RST));
    assert_eq!((reset.seq, reset.ack), (wrong, CLIENT.plus(1 + 8 + 300 + 16)));
}

#[test]
fn the_first_message_may_be_lost_or_cut_into_pieces() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let (lost, cut) = (path(40001), path(40002));
    let ack = world.syn(&lost).plus(1);
    let again = from(&lost, CLIENT.plus(1 + 324), ack, TcpFlags::ACK, &first_ike(300));
    assert!(matches!(world.arrive(&lost, &again), Taken::Frame(_)));
    let ack = world.syn(&cut).plus(1);
    let first = first_ike(900);
    for (number, piece) in first.chunks(536).enumerate() {
        let segment = from(&cut, CLIENT.plus(1 + 536 * number), ack, TcpFlags::ACK, piece);
        assert_eq!(world.arrive(&cut, &segment), Taken::Nothing(DropReason::Reframed));
    }
    assert_eq!(world.said.frames, [(Inside::Ike, first[8..908].to_vec())]);
    assert_eq!(world.carrier.len(), 2);
}

/// Where the hole before it is passed over because its time is up, nobody need send anything more.
#[test]
fn a_frame_behind_a_hole_is_delivered_when_the_hole_is_given_up() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    let (lost, whole) = (esp(1), esp(2));
    // The beginning of the first frame is missing.
    let segment = from(&path, CLIENT.plus(325 + 40), ack, TcpFlags::ACK, &[&lost[40..], &whole].concat());
    assert_eq!(world.arrive(&path, &segment), Taken::Nothing(DropReason::Reframed));
    assert_eq!(world.said.frames, []);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.said.frames, [(Inside::Esp, whole[..100].to_vec())]);
}

#[test]
fn a_message_of_a_session_that_has_lost_its_connection_begins_another_and_other_octets_do_not() {
    let with = |version, exchange, responder| {
        let mut frame = first_ike(300);
        frame[16..24].fill(responder);
        (frame[25], frame[26]) = (version, exchange);
        frame
    };
    // Informational, quick mode, transaction; CREATE_CHILD_SA and INFORMATIONAL.
    for (version, exchange) in [(0x10, 5), (0x10, 32), (0x10, 6), (0x20, 36), (0x20, 37)] {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let ack = world.syn(&path(40001)).plus(1);
        let begin =
            |responder| from(&path(40001), CLIENT.plus(1), ack, TcpFlags::ACK, &with(version, exchange, responder));
        assert_eq!(
            world.arrive(&path(40001), &begin(0)),
            Taken::Nothing(DropReason::Handshake),
            "{version} {exchange}"
        );
        assert_eq!(world.carrier.len(), 0);
        assert!(matches!(world.arrive(&path(40001), &begin(9)), Taken::Frame(Frame { inside: Inside::Ike, .. })));
        assert_eq!(world.carrier.len(), 1);
    }
    for (version, exchange) in [(0x10, 0), (0x10, 34), (0x20, 32), (0x20, 38), (0x30, 37), (0x00, 5)] {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let ack = world.syn(&path(40001)).plus(1);
        let begin = from(&path(40001), CLIENT.plus(1), ack, TcpFlags::ACK, &with(version, exchange, 9));
        assert_eq!(world.arrive(&path(40001), &begin), Taken::Nothing(DropReason::Handshake), "{version} {exchange}");
        assert_eq!(world.carrier.len(), 0);
    }
}

#[test]
fn who_says_how_large_its_segments_and_windows_may_be_is_told_the_same_of_ours() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let v6 = Path { local: "[2001:db8::1]:10000".parse().unwrap(), peer: "[2001:db8::7]:40001".parse().unwrap() };
    for (path, size) in [(path(40001), 1460), (v6, 1440)] {
        for (mss, scale) in [(None, None), (Some(536), None), (None, Some(7)), (Some(536), Some(0))] {
            let syn = TcpHeader::parse(&from(&path, CLIENT, Seq::new(0), TcpFlags::SYN, &[])).unwrap();
            world.arrive(&path, SynOffer { mss, scale, sack: Sack::Unknown }.behind(&syn).as_ref());
            let answer = world.said.offers.pop().unwrap();
            assert_eq!((answer.mss, answer.scale.is_some()), (mss.map(|_| size), scale.is_some()));
        }
    }
    // Options, but neither of those.
    let mut syn = from(&path(40001), CLIENT, Seq::new(0), TcpFlags::SYN, &[4, 2, 1, 1]);
    syn[12] = 6 << 4;
    world.arrive(&path(40001), &syn);
    let ((_, answer, _), offer) = (world.said.segments.pop().unwrap(), world.said.offers.pop().unwrap());
    assert_eq!((answer.len, offer.mss, offer.scale), (TCP_HEADER, None, None));
}

/// RFC 3168 section 6.1.1: Linux and Apple's ask so, if they are told to.
#[test]
fn a_syn_that_offers_congestion_notification_is_answered_without_it() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    for (at, bits) in [(13, 0xc0), (13, 0x40), (13, 0x80), (12, 1)] {
        let mut syn = from(&path(40001), CLIENT, Seq::new(0), TcpFlags::SYN, &[]);
        syn[at] |= bits;
        assert_eq!(world.arrive(&path(40001), &syn), Taken::Nothing(DropReason::Handshake));
        let (_, answer, _) = world.said.segments.pop().unwrap();
        assert_eq!((answer.flags, answer.ack), (TcpFlags::SYN.with(TcpFlags::ACK), CLIENT.plus(1)));
    }
    for strange in [0x01, 0x04, 0x08, 0x10, 0x20] {
        let mut syn = from(&path(40001), CLIENT, Seq::new(0), TcpFlags::SYN, &[]);
        syn[13] |= strange;
        assert_eq!(world.arrive(&path(40001), &syn), Taken::Nothing(DropReason::Malformed));
    }
}

/// A megabyte a second on a line of a tenth of a second: more than an unscaled window holds.
#[test]
fn who_scales_windows_gets_as_much_as_its_window_and_our_ring_hold_and_others_64_kilobytes() {
    let sealed = esp(1);
    let in_flight = |scale: Option<u8>, window: u16| {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let path = path(40001);
        let syn = TcpHeader::parse(&from(&path, CLIENT, Seq::new(0), TcpFlags::SYN, &[])).unwrap();
        world.arrive(&path, SynOffer { mss: Some(1460), scale, sack: Sack::Unknown }.behind(&syn).as_ref());
        let ack = world.said.segments.pop().unwrap().1.seq.plus(1);
        let mut first = from(&path, CLIENT.plus(1), ack, TcpFlags::ACK, &first_ike(300));
        first[14..16].copy_from_slice(&window.to_be_bytes());
        world.arrive(&path, &first);
        let mut sent = 0;
        while sent < 1 << 20 {
            let mut packet = PacketBuf::allocate(2048);
            packet.extend_back(sealed.len() - 16).unwrap().copy_from_slice(&sealed[..sealed.len() - 16]);
            if world.carrier.dress(world.now, &path, Inside::Esp, &mut packet).is_err() {
                break;
            }
            sent += sealed.len();
        }
        sent / 1024
    };
    assert_eq!(in_flight(None, u16::MAX), 63);
    assert_eq!(in_flight(Some(0), u16::MAX), 63);
    assert_eq!(in_flight(Some(1), u16::MAX), 127);
    assert_eq!(in_flight(Some(7), u16::MAX), 511, "what could not be sent again is not sent");
    assert_eq!(in_flight(Some(7), 100), 63, "a peer that means less has it sent again");
}

#[test]
fn who_has_forgotten_its_connection_gets_another_and_a_stranger_with_a_syn_gets_nothing() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let old = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    // A minute and a half later the cookies are others.
    world.pass(Duration::from_secs(90));
    world.said.segments.clear();
    let new = world.syn(&path).plus(1);
    assert_ne!(old, new);
    // The old one is as it was.
    let taken = world.arrive(&path, &from(&path, CLIENT.plus(325), old, TcpFlags::ACK, &esp(1)));
    assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Esp, .. })));
    // Its owner returns with the cookie.
    let taken = world.arrive(&path, &from(&path, Seq::new(7), new, TcpFlags::ACK, &first_ike(300)));
    assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Ike, .. })));
    assert_eq!(world.carrier.len(), 1);
    let taken = world.arrive(&path, &from(&path, Seq::new(7 + 324), new, TcpFlags::ACK, &esp(2)));
    assert!(matches!(taken, Taken::Frame(_)));
}

/// Within the same half of a minute the cookie is the same, so its acknowledgment alone shows nothing.
#[test]
fn who_has_forgotten_its_connection_at_once_gets_another_too() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    world.pass(Duration::from_secs(1));
    let begins = CLIENT.plus(1 << 30);
    world.arrive(&path, &from(&path, begins, Seq::new(0), TcpFlags::SYN, &[]));
    let (_, answer, _) = world.said.segments.pop().unwrap();
    assert_eq!((answer.seq.plus(1), answer.ack), (ack, begins.plus(1)));
    let third = from(&path, begins.plus(1), ack, TcpFlags::ACK, &[]);
    assert_eq!(world.arrive(&path, &third), Taken::Nothing(DropReason::Handshake));
    let taken = world.arrive(&path, &from(&path, begins.plus(1), ack, TcpFlags::ACK, &first_ike(300)));
    assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Ike, .. })));
    world.pass(Duration::from_millis(50));
    let (_, said, _) = world.said.segments.last().unwrap();
    assert_eq!((said.ack, world.carrier.len()), (begins.plus(325), 1), "it is the new one that is acknowledged");
}

#[test]
fn nobody_vouches_so_it_ends_after_a_minute_and_who_is_vouched_for_stays() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let (stays, goes) = (path(40001), path(40002));
    world.connect(&stays);
    world.connect(&goes);
    world.carrier.vouch(world.now, &stays, TUNNEL);
    world.pass(Duration::from_secs(59));
    assert_eq!(world.carrier.len(), 2);
    world.said.segments.clear();
    world.pass(Duration::from_secs(2));
    assert_eq!(world.carrier.len(), 1);
    let resets = world.said.segments.iter().filter(|(to, said, _)| *to == goes && said.flags.has(TcpFlags::RST));
    assert_eq!(resets.count(), 1);
    assert!(world.said.segments.iter().all(|(to, said, _)| *to == goes || !said.flags.has(TcpFlags::RST)));
}

/// XAUTH gives a user two minutes for a password.
#[test]
fn a_connection_on_which_somebody_logs_in_waits_for_the_session_and_is_nobodys_to_take() {
    let limited = CtcpConfig { unproven_per_source: 3, ..CtcpConfig::DEFAULT };
    let mut world = World::new(limited);
    let (stays, goes) = (path(40001), path(40002));
    let acks = [world.connect(&stays), world.connect(&goes)];
    let (now, within) = (world.now, Duration::from_secs(180));
    [stays, goes].iter().for_each(|path| world.carrier.expect(now, path, within, &mut world.said));
    (1..=9).for_each(|port| {
        world.connect(&path(port));
    });
    assert_eq!(world.carrier.len(), 2 + 3);
    for _ in 0..17 {
        world.pass(Duration::from_secs(10));
        for (path, ack) in [stays, goes].iter().zip(acks) {
            world.arrive(path, &from(path, CLIENT.plus(325), ack, TcpFlags::ACK, &[]));
        }
    }
    assert_eq!(world.carrier.len(), 2);
    world.carrier.vouch(world.now, &stays, TUNNEL);
    // Too late: it is somebody's.
    world.carrier.expect(world.now, &stays, Duration::from_secs(1), &mut world.said);
    world.pass(Duration::from_secs(11));
    assert_eq!(world.carrier.len(), 1);
    world.arrive(&stays, &from(&stays, CLIENT.plus(325), acks[0], TcpFlags::ACK, &[]));
    world.pass(Duration::from_secs(300));
    assert_eq!(world.carrier.len(), 1);
}

/// Or who only begins connections would leave none for sessions.
#[test]
fn where_memory_is_little_fewer_connections_are_nobodys() {
    // A seventh of it holds four of them.
    let memory = 7 * 4 * 36 * 1024 + 4096;
    let mut world = World::new(CtcpConfig { memory, ..CtcpConfig::DEFAULT });
    (1..=4).for_each(|port| {
        world.connect(&path(port));
    });
    assert_eq!((world.carrier.len(), world.carrier.take_displaced()), (4, 0));
    world.carrier.vouch(world.now, &path(1), TUNNEL);
    (5..=9).for_each(|port| {
        world.connect(&path(port));
    });
    assert_eq!((world.carrier.len(), world.carrier.take_displaced()), (1 + 4, 4));
}

/// In hybrid mode anybody gets that far.
#[test]
fn connections_on_which_somebody_logs_in_are_limited_and_who_has_only_begun_takes_the_place_of_none() {
    // Half of it holds five of them, and a seventh one.
    let memory = 10 * 36 * 1024 + 2048;
    let limited = CtcpConfig { expected_per_source: 3, unproven_per_source: 3, memory, ..CtcpConfig::DEFAULT };
    let mut world = World::new(limited);
    let crowd = path;
    let elsewhere = |host: u8| Path { peer: format!("203.0.113.{host}:9").parse().unwrap(), ..path(0) };
    let expect = |world: &mut World, path: Path| {
        world.said.segments.clear();
        world.carrier.expect(world.now, &path, Duration::from_secs(180), &mut world.said);
        let said = std::mem::take(&mut world.said.segments).into_iter();
        said.filter(|(_, header, _)| header.flags.has(TcpFlags::RST)).map(|said| said.0).collect::<Vec<_>>()
    };
    let login = |world: &mut World, path: Path| {
        world.connect(&path);
        expect(world, path)
    };
    (1..=3).for_each(|port| assert_eq!(login(&mut world, crowd(port)), []));
    assert_eq!(login(&mut world, crowd(4)), [crowd(1)], "from one source");
    (1..=2).for_each(|host| assert_eq!(login(&mut world, elsewhere(host)), []));
    assert_eq!(login(&mut world, elsewhere(3)), [crowd(2)], "in all");
    assert_eq!(expect(&mut world, elsewhere(3)), [], "it has its place");
    (11..=19).for_each(|port| {
        world.connect(&crowd(port));
    });
    assert_eq!(world.carrier.len(), 5 + 1);
    // Who is somebody's does not give way, and is not counted.
    (1..=3).for_each(|host| world.carrier.vouch(world.now, &elsewhere(host), TUNNEL));
    (4..=6).for_each(|host| assert_eq!(login(&mut world, elsewhere(host)), []));
    assert_eq!(login(&mut world, elsewhere(7)), [crowd(3)]);
}

/// Control says so when the login is over and there is no session.
#[test]
fn a_connection_on_which_nobody_logs_in_any_more_waits_no_longer() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    world.connect(&path);
    world.carrier.expect(world.now, &path, Duration::from_secs(180), &mut world.said);
    world.pass(Duration::from_secs(30));
    world.carrier.expect(world.now, &path, Duration::from_secs(5), &mut world.said);
    world.pass(Duration::from_secs(4));
    assert_eq!(world.carrier.len(), 1, "for what is still to be said");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.carrier.len(), 0);
    assert!(world.said.segments.last().unwrap().1.flags.has(TcpFlags::RST));
}

/// Or many of nobody's would take what everybody needs.
#[test]
fn a_connection_of_nobodys_holds_the_longest_message_in_pieces_and_little_more() {
    let longest = first_ike(16 * 1024);
    for logs_in in [false, true] {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let path = path(40001);
        let ack = world.connect(&path);
        if logs_in {
            world.carrier.expect(world.now, &path, Duration::from_secs(180), &mut world.said);
        }
        let answer = |world: &mut World| {
            let mut answer = PacketBuf::allocate(2048);
            answer.set_range(200, 1200).unwrap();
            world.carrier.dress(world.now, &path, Inside::Ike, &mut answer).unwrap();
        };
        answer(&mut world);
        let mut next = CLIENT.plus(325);
        for piece in longest.chunks(1000) {
            world.arrive(&path, &from(&path, next, ack, TcpFlags::ACK, piece));
            next = next.plus(piece.len());
        }
        assert_eq!(world.said.frames.pop(), Some((Inside::Ike, longest[8..8 + 16 * 1024].to_vec())));
        // One that is never finished, and all that can be behind a hole; and answers that nobody acknowledges.
        for piece in longest[..16_000].chunks(1000) {
            world.arrive(&path, &from(&path, next, ack, TcpFlags::ACK, piece));
            next = next.plus(piece.len());
        }
        for piece in 1..=23 {
            world.arrive(&path, &from(&path, next.plus(1000 * piece), ack, TcpFlags::ACK, &[0x55; 1000]));
            assert!(world.carrier.memory() <= 36_000, "{} octets", world.carrier.memory());
        }
        (0..40).for_each(|_| answer(&mut world));
        assert!(world.carrier.memory() <= 36_000, "{} octets", world.carrier.memory());
    }
}

#[test]
fn a_peer_that_says_nothing_for_ten_minutes_is_gone() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let (silent, alive) = (path(40001), path(40002));
    world.connect(&silent);
    let ack = world.connect(&alive);
    [silent, alive].iter().for_each(|path| world.carrier.vouch(world.now, path, TUNNEL));
    for _ in 0..100 {
        world.pass(Duration::from_secs(6));
        world.arrive(&alive, &from(&alive, CLIENT.plus(325), ack, TcpFlags::ACK, &[]));
    }
    world.pass(Duration::from_secs(6));
    assert_eq!(world.carrier.len(), 1);
    world.said.segments.clear();
    world.pass(Duration::from_secs(600));
    assert_eq!((world.carrier.len(), world.carrier.deadline()), (0, None));
}

#[test]
fn a_quiet_connection_says_every_five_seconds_that_it_is_there() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    world.pass(Duration::from_millis(50));
    assert_eq!(world.said.segments.len(), 1, "the acknowledgment of the first message");
    world.pass(10 * KEEPALIVE);
    assert_eq!(world.said.segments.len(), 11);
    assert!(world.said.segments.iter().all(|(_, said, payload)| payload.is_empty() && said.flags == TcpFlags::ACK));
}

/// What thousands had under way once would leave no room for others.
#[test]
fn a_connection_that_is_idle_gives_back_what_it_took_to_send() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    let send = |world: &mut World, many: usize| {
        for _ in 0..many {
            let mut packet = PacketBuf::allocate(2048);
            packet.set_range(200, 1184).unwrap();
            world.carrier.dress(world.now, &path, Inside::Esp, &mut packet).unwrap();
        }
    };
    send(&mut world, 50);
    assert!(world.carrier.memory() >= 60_000);
    world.pass(Duration::from_secs(6));
    assert!(world.carrier.memory() >= 60_000, "the client may still want it");
    world.arrive(&path, &from(&path, CLIENT.plus(325), ack.plus(60_000), TcpFlags::ACK, &[]));
    world.pass(Duration::from_secs(6));
    assert_eq!(world.carrier.memory(), 0);
    world.said.segments.clear();
    send(&mut world, 50);
    world.pass(Duration::from_secs(2));
    let again = world.said.segments.iter().find(|(_, _, payload)| !payload.is_empty()).unwrap();
    assert_eq!((again.1.seq, again.2.len()), (ack.plus(60_000), 1200), "and keeps again what it sends");
}

#[test]
fn who_sends_in_every_turn_is_acknowledged_after_every_eighth_segment() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.pass(Duration::from_millis(50));
    let mut next = world.said.segments.pop().unwrap().1.ack;
    for number in 1..=80 {
        world.now = world.now + Duration::from_micros(10);
        let segment = esp(number);
        world.arrive(&path, &from(&path, next, ack, TcpFlags::ACK, &segment));
        next = next.plus(segment.len());
        world.carrier.poll(world.now, &mut world.said);
        assert_eq!(world.said.segments.len(), number as usize / 8, "after segment {number}");
        assert!(number % 8 > 0 || world.said.segments.last().unwrap().1.ack == next);
    }
}

/// Nobody is kept out by those who are there first: who can use our answers takes the place of the oldest of whoever has most.
#[test]
fn connections_are_limited_in_all_and_from_one_source_and_the_oldest_of_who_has_most_gives_way() {
    let limited = CtcpConfig { unproven_per_source: 3, unproven: 5, flows: 8, ..CtcpConfig::DEFAULT };
    let mut world = World::new(limited);
    let crowd = path;
    let elsewhere = |host: u8| Path { peer: format!("203.0.113.{host}:9").parse().unwrap(), ..path(0) };
    let attempt = |world: &mut World, path: Path| {
        let ack = world.syn(&path).plus(1);
        world.said.segments.clear();
        let segment = from(&path, CLIENT.plus(1), ack, TcpFlags::ACK, &first_ike(300));
        let begun = matches!(world.arrive(&path, &segment), Taken::Frame(_));
        let said = std::mem::take(&mut world.said.segments).into_iter();
        let reset: Vec<Path> =
            said.filter(|(_, header, _)| header.flags.has(TcpFlags::RST)).map(|said| said.0).collect();
        (begun, reset)
    };
    (1..=3).for_each(|port| assert_eq!(attempt(&mut world, crowd(port)), (true, vec![])));
    assert_eq!(attempt(&mut world, crowd(4)), (true, vec![crowd(1)]), "from one source");
    (1..=2).for_each(|host| assert_eq!(attempt(&mut world, elsewhere(host)), (true, vec![])));
    assert_eq!(attempt(&mut world, elsewhere(3)), (true, vec![crowd(2)]), "in all");
    assert_eq!(attempt(&mut world, elsewhere(4)), (true, vec![crowd(3)]));
    assert_eq!(attempt(&mut world, elsewhere(5)), (true, vec![crowd(4)]), "the oldest, if all have as many");
    assert_eq!(attempt(&mut world, elsewhere(6)), (true, vec![elsewhere(1)]));
    assert_eq!(world.carrier.len(), 5);
    assert_eq!((world.carrier.take_displaced(), world.carrier.take_displaced()), (5, 0));
    // Who is somebody's does not give way, and is not counted.
    (2..=6).for_each(|host| world.carrier.vouch(world.now, &elsewhere(host), TUNNEL));
    (1..=3).for_each(|port| assert_eq!(attempt(&mut world, crowd(port)), (true, vec![])));
    assert_eq!(attempt(&mut world, crowd(4)), (false, vec![]), "flows in all");
    assert_eq!(world.carrier.len(), 8);
}

#[test]
fn a_blind_reset_fin_or_data_out_of_place_ends_and_moves_nothing() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    let next = CLIENT.plus(325);
    let far = next.plus(1 << 24);
    for (seq, said, flags) in [
        (far, ack, TcpFlags::RST),
        (next.plus(1), ack, TcpFlags::RST.with(TcpFlags::ACK)),
        (far, ack, TcpFlags::FIN.with(TcpFlags::ACK)),
        (next, ack.plus(5), TcpFlags::FIN.with(TcpFlags::ACK)),
        (far, ack.plus(999_999), TcpFlags::ACK),
    ] {
        world.arrive(&path, &from(&path, seq, said, flags, &[]));
        assert_eq!(world.carrier.len(), 1, "{flags:?} at {seq}");
    }
    world.arrive(&path, &from(&path, far, ack, TcpFlags::ACK, &esp(1)));
    world.arrive(&path, &from(&path, next, ack, TcpFlags::ACK, &esp(2)));
    world.pass(Duration::from_millis(50));
    let (_, said, _) = world.said.segments.last().unwrap();
    assert_eq!(said.ack, next.plus(116), "what came from far away moves no acknowledgment");
    world.arrive(&path, &from(&path, next.plus(116), ack, TcpFlags::RST, &[]));
    assert!(world.carrier.is_empty(), "its own reset ends it");
}

/// A radio that is gone for some seconds of an upload takes more than a megabyte with it, and the client repeats none of it.
#[test]
fn behind_a_hole_of_any_size_a_client_goes_on_where_it_says_to_be_if_it_sees_what_we_send() {
    for size in [1 << 21, 1 << 29] {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let path = path(40001);
        let ack = world.connect(&path);
        world.carrier.vouch(world.now, &path, TUNNEL);
        let mut packet = PacketBuf::allocate(2048);
        packet.set_range(200, 84).unwrap();
        world.carrier.dress(world.now, &path, Inside::Esp, &mut packet).unwrap();
        let (end, mut next) = (ack.plus(100), CLIENT.plus(325 + size));
        let give = |world: &mut World, seq, ack, payload: &[u8]| {
            world.arrive(&path, &from(&path, seq, ack, TcpFlags::ACK, payload))
        };
        // Whoever sees nothing has to guess where our segments end, and a right guess behind many wrong ones does not count.
        (0..256).for_each(|guess| {
            give(&mut world, next, end.plus(1 + guess), &[]);
        });
        give(&mut world, next, end, &[]);
        assert_eq!(give(&mut world, next, end, &first_ike(300)), Taken::Nothing(DropReason::OutOfWindow));
        world.pass(Duration::from_secs(60));
        give(&mut world, CLIENT.plus(325), end, &[]);
        give(&mut world, next, end.minus_one(), &[]);
        assert_eq!(give(&mut world, next, end, &first_ike(300)), Taken::Nothing(DropReason::OutOfWindow));
        for _ in 0..20 {
            give(&mut world, next, end, &[]);
            assert_eq!(
                give(&mut world, next.plus(1 << 22), end, &first_ike(300)),
                Taken::Nothing(DropReason::OutOfWindow),
                "elsewhere"
            );
            let taken = give(&mut world, next, end, &first_ike(300));
            assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Ike, .. })), "{taken:?}");
            let taken = give(&mut world, next.plus(324), end, &esp(1));
            assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Esp, .. })), "{taken:?}");
            world.pass(Duration::from_secs(1));
            assert_eq!(world.said.segments.last().unwrap().1.ack, next.plus(324 + 116), "that is acknowledged");
            // What it sends from there on is lost as well, as far as the next keepalive.
            next = next.plus(size);
            world.pass(Duration::from_secs(4));
        }
        assert_eq!(world.carrier.len(), 1);
    }
}

#[test]
fn a_fin_counts_where_a_reset_counts_and_elsewhere_it_is_asked_for_again() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    world.pass(Duration::from_millis(50));
    world.said.segments.clear();
    let (next, fin) = (CLIENT.plus(325), TcpFlags::FIN.with(TcpFlags::ACK));
    for step in [1, 1000, 60_000] {
        world.arrive(&path, &from(&path, next.plus(step), ack, fin, &[]));
        world.arrive(&path, &from(&path, Seq::new(next.get().wrapping_sub(step as u32)), ack, fin, &[]));
    }
    world.pass(Duration::from_millis(50));
    let said: Vec<_> = world.said.segments.iter().map(|(_, said, _)| (said.flags, said.ack)).collect();
    assert_eq!((said, world.carrier.len()), (vec![(TcpFlags::ACK, next)], 1));
    // What comes with it is taken, wherever it is.
    let taken = world.arrive(&path, &from(&path, next.plus(500), ack, fin, &esp(7)));
    assert!(matches!(taken, Taken::Frame(Frame { inside: Inside::Esp, .. })));
    assert_eq!(world.carrier.len(), 1);
    assert_eq!(world.arrive(&path, &from(&path, next, ack, fin, &[])), Taken::Nothing(DropReason::ConnectionEnded));
    assert!(world.carrier.is_empty(), "behind what has come without a hole");
}

/// A client's last words.
#[test]
fn data_that_comes_with_a_fin_is_taken_before_the_connection_ends() {
    for last in [first_ike(300), esp(1)] {
        let mut world = World::new(CtcpConfig::DEFAULT);
        let path = path(40001);
        let ack = world.connect(&path);
        world.carrier.vouch(world.now, &path, TUNNEL);
        world.said.segments.clear();
        let fin = from(&path, CLIENT.plus(325), ack, TcpFlags::FIN.with(TcpFlags::ACK), &last);
        let Taken::Frame(frame) = world.arrive(&path, &fin) else { panic!("what is in it") };
        assert_eq!(frame.inside, if last.len() > 300 { Inside::Ike } else { Inside::Esp });
        assert!(world.carrier.is_empty());
        let (_, reset, _) = world.said.segments.last().unwrap();
        assert!(reset.flags.has(TcpFlags::RST) && reset.seq == ack);
    }
    // In two pieces.
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let (ack, last) = (world.connect(&path), first_ike(900));
    world.arrive(&path, &from(&path, CLIENT.plus(325), ack, TcpFlags::ACK, &last[..500]));
    world.arrive(&path, &from(&path, CLIENT.plus(825), ack, TcpFlags::FIN.with(TcpFlags::ACK), &last[500..]));
    assert_eq!(world.said.frames, [(Inside::Ike, last[8..908].to_vec())]);
    assert!(world.carrier.is_empty());
}

/// RFC 5961 section 3.2: who is really gone hears the acknowledgment and resets where it is.
#[test]
fn a_reset_elsewhere_in_the_window_is_asked_for_again_once_a_second_and_one_outside_is_not() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    let path = path(40001);
    let ack = world.connect(&path);
    world.carrier.vouch(world.now, &path, TUNNEL);
    world.pass(Duration::from_millis(50));
    world.said.segments.clear();
    let next = CLIENT.plus(325);
    for _ in 0..100 {
        for seq in [next.plus(70_000), Seq::new(next.get() - 1), next.plus(1 << 31)] {
            world.arrive(&path, &from(&path, seq, ack, TcpFlags::RST, &[]));
        }
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.said.segments.len(), 0);
    for step in 1..100 {
        world.arrive(&path, &from(&path, next.plus(600 * step), ack, TcpFlags::RST, &[]));
        world.pass(Duration::from_millis(20));
    }
    let said: Vec<_> =
        world.said.segments.iter().map(|(_, said, payload)| (said.flags, said.ack, payload.len())).collect();
    assert_eq!(said, [(TcpFlags::ACK, next, 0); 2], "in two seconds");
    assert_eq!(world.carrier.len(), 1);
    world.arrive(&path, &from(&path, next, ack, TcpFlags::RST, &[]));
    assert!(world.carrier.is_empty());
}

#[test]
fn segments_of_no_connection_are_reset_so_often_and_no_reset_is_answered() {
    let mut world = World::new(CtcpConfig::DEFAULT);
    for port in 0..1000 {
        world.arrive(&path(port), &from(&path(port), CLIENT, Seq::new(9), TcpFlags::ACK, &[]));
        world.arrive(&path(port), &from(&path(port), CLIENT, Seq::new(9), TcpFlags::RST.with(TcpFlags::ACK), &[]));
    }
    assert_eq!(world.said.segments.len(), 100);
}

#[test]
fn all_connections_together_hold_no_more_than_they_may() {
    let limited = CtcpConfig { memory: 100_000, ..CtcpConfig::DEFAULT };
    let mut world = World::new(limited);
    let paths: Vec<_> = (40_001..40_020).map(path).collect();
    let mut login = |path| {
        let ack = world.connect(path);
        world.carrier.vouch(world.now, path, TUNNEL);
        ack
    };
    let acks: Vec<_> = paths.iter().map(&mut login).collect();
    // Each sends what nobody acknowledges, and gets pieces whose beginnings never come.
    for round in 0..40 {
        for (path, ack) in paths.iter().zip(&acks) {
            let mut packet = PacketBuf::allocate(2048);
            packet.set_range(200, 1200).unwrap();
            world.carrier.dress(world.now, path, Inside::Esp, &mut packet).unwrap();
            let seq = CLIENT.plus(325 + 2000 + 1000 * round);
            world.arrive(path, &from(path, seq, *ack, TcpFlags::ACK, &[0x55; 1000]));
            // But for the last step that a ring has taken.
            assert!(world.carrier.memory() <= 100_000 + 32 * 1024 + 2048, "{}", world.carrier.memory());
        }
    }
    assert!(world.carrier.memory() >= 90_000, "what may be held is");
    let ack = world.syn(&path(1)).plus(1);
    let first = from(&path(1), CLIENT.plus(1), ack, TcpFlags::ACK, &first_ike(300));
    assert_eq!(world.arrive(&path(1), &first), Taken::Nothing(DropReason::TooManyConnections));
}
