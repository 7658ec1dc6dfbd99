//! What strangers hear: who has proven nothing gets few answers, none of them to an answer, and over all of them no
//! more octets than came from there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::config::checked::{Config, IkeProposal};
use adit_control::ike::counters::Ignored;
use adit_control::ike::wire::*;
use adit_crypto::kex::KeyPair;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{EspPath, Event, IkeDatagram, IkeFraming, Path, Transport, Wayward, WorkerId};
use peer::client::*;
use peer::drawn::{counted, no_public_values};
use peer::{World, config};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A request on an IKE SA that nobody has.
fn unknown_spi(response: bool) -> Vec<u8> {
    let header = Header {
        initiator_spi: IkeSpi(5),
        responder_spi: IkeSpi(6),
        exchange: Exchange::Informational,
        flags: Flags { initiator: true, response },
        message_id: 77,
    };
    build(&header, &[Payload::VendorId(vec![1; 40])])
}

fn version(major: u8, mut message: Vec<u8>) -> Vec<u8> {
    message[17] = major << 4;
    message
}

/// RFC 7296 section 2.21.4.
#[test]
fn a_request_on_an_unknown_ike_sa_is_told_so_with_its_own_spis_and_message_id() {
    let mut world = World::new(config());
    let alice = Client::new("alice@rig", 2);
    let sent = world.deliver(&alice.on_4500(unknown_spi(false)));
    assert_eq!(in_the_clear(&sent[0]), (NotifyKind::InvalidIkeSpi, vec![]));
    assert_eq!((sent[0].path, sent[0].framing), (alice.on_4500(vec![]).path, alice.on_4500(vec![]).framing));
    let header = parse(&sent[0].bytes).unwrap().header;
    assert_eq!((header.initiator_spi, header.responder_spi, header.message_id), (IkeSpi(5), IkeSpi(6), 77));
    assert_eq!(header.flags, Flags { initiator: false, response: true });
    assert_eq!(header.exchange, Exchange::Informational);
    assert_eq!(world.engine.counters().ignored(Ignored::UnknownSpi), 1);
    assert_eq!(world.engine.counters().strangers_told, 1);
    assert!(world.deliver(&alice.on_4500(unknown_spi(true))).is_empty(), "an answer is not answered");
    world.assert_nothing_left();
}

/// RFC 7296 section 2.5.
#[test]
fn a_later_major_version_is_told_ours_and_an_earlier_one_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
    let payloads = alice.init_payloads(IkeSpi(9), &pair, &[1; 32]);
    let request = build(&init_header(IkeSpi(9)), &payloads);
    for major in [0, 1] {
        assert!(world.deliver(&alice.on_500(version(major, request.clone()))).is_empty());
    }
    for major in [3, 15] {
        let mut message = version(major, request.clone());
        // Exchanges of the future have types that we do not know.
        message[18] = 99;
        let sent = world.deliver(&alice.on_500(message));
        let mut answer = sent[0].clone();
        assert_eq!(answer.bytes[18], 99);
        answer.bytes[18] = 34;
        assert_eq!(in_the_clear(&answer), (NotifyKind::InvalidMajorVersion, vec![]));
        let mut response = version(major, request.clone());
        response[19] |= 0x20;
        assert!(world.deliver(&alice.on_500(response)).is_empty(), "an answer is not answered");
    }
    assert_eq!(world.engine.counters().ignored(Ignored::OtherVersion), 5);
    assert_eq!(world.engine.counters().ignored(Ignored::Malformed), 1, "IKEv1 has no such exchange");
    world.assert_nothing_left();
}

#[test]
fn one_source_hears_five_errors_a_second_and_all_of_them_a_hundred() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut told = |world: &mut World, sources: u32, times: usize| {
        let mut sent = 0;
        for source in 0..sources {
            alice.seen = SocketAddr::from((std::net::Ipv4Addr::from(0x0A00_0000 + source), 4500));
            for _ in 0..times {
                sent += world.deliver(&alice.on_4500(unknown_spi(false))).len();
            }
        }
        sent
    };
    assert_eq!(told(&mut world, 1, 50), 5);
    world.pass(Duration::from_secs(1));
    assert_eq!(told(&mut world, 1, 50), 5);
    world.pass(Duration::from_secs(10));
    assert_eq!(told(&mut world, 500, 1), 100);
    world.pass(Duration::from_secs(1));
    assert_eq!(told(&mut world, 500, 1), 100);
    let counters = world.engine.counters();
    assert_eq!(counters.ignored(Ignored::Unanswered), 45 + 45 + 400 + 400);
    assert_eq!(counters.strangers_told, 210);
}

#[test]
fn what_lasts_does_not_depend_on_how_often_errors_may_be_told() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    for _ in 0..50 {
        world.deliver(&alice.on_4500(unknown_spi(false)));
    }
    // The budget of this address is spent; it logs in all the same, and chooses another group on the way.
    alice.ike = vec![IkeProposal::parse("aes128gcm16-prfsha256-modp2048-x25519").unwrap()];
    let pair = KeyPair::generate(KexGroup::Modp2048, &mut alice.random);
    let payloads = alice.init_payloads(IkeSpi(9), &pair, &[1; 32]);
    let sent = world.deliver(&alice.on_500(build(&init_header(IkeSpi(9)), &payloads)));
    assert_eq!(in_the_clear(&sent[0]).0, NotifyKind::InvalidKePayload);
    alice.ike = vec![IkeProposal::parse(peer::IKE).unwrap()];
    alice.login(&mut world);
}

/// Octets in and out for each address.
#[derive(Default)]
struct Ledger {
    by_address: BTreeMap<SocketAddr, (usize, usize)>,
    sent: usize,
}

impl Ledger {
    #[track_caller]
    fn deliver(&mut self, world: &mut World, datagram: &IkeDatagram) -> Vec<IkeDatagram> {
        self.by_address.entry(datagram.path.peer).or_default().0 += datagram.bytes.len();
        let sent = world.deliver(datagram);
        self.book(&sent);
        sent
    }

    #[track_caller]
    fn book(&mut self, sent: &[IkeDatagram]) {
        for answer in sent {
            self.sent += 1;
            let (came, went) = self.by_address.entry(answer.path.peer).or_default();
            *went += answer.bytes.len();
            assert!(*went <= *came, "{} got {went} octets for {came}", answer.path.peer);
        }
    }
}

/// A first message of a kind, from an address of its own.
type Kind = (&'static str, fn(&mut Client) -> Vec<u8>);

fn first(client: &mut Client, change: impl FnOnce(&mut Vec<Payload>)) -> Vec<u8> {
    let spi_i = IkeSpi(client.word());
    let pair = KeyPair::generate(client.ike[0].groups[0], &mut client.random);
    let nonce = client.bytes(32);
    let mut payloads = client.init_payloads(spi_i, &pair, &nonce);
    change(&mut payloads);
    build(&init_header(spi_i), &payloads)
}

const KINDS: &[Kind] = &[
    ("good", |client| first(client, |_| {})),
    ("good, with all that we answer to", |client| {
        client.first_notifies = vec![NotifyKind::IkeFragmentationSupported, NotifyKind::Other(40_000)];
        first(client, |_| {})
    }),
    ("as short as a good one can be", |client| first(client, |payloads| payloads[2] = Payload::Nonce(vec![1; 16]))),
    ("no common proposal", |client| {
        client.ike = vec![IkeProposal::parse("aes256gcm16-prfsha512-ecp384").unwrap()];
        first(client, |_| {})
    }),
    ("another group", |client| {
        client.ike = vec![IkeProposal::parse("aes128gcm16-prfsha256-ecp256-x25519").unwrap()];
        first(client, |_| {})
    }),
    ("a short key exchange of another group", |client| {
        client.ike = vec![IkeProposal::parse("aes128gcm16-prfsha256-ecp256-x25519").unwrap()];
        first(client, |payloads| payloads[1] = Payload::Ke(KeyExchange { group: 19, public: vec![] }))
    }),
    ("a key exchange of the wrong length", |client| {
        first(client, |payloads| payloads[1] = Payload::Ke(KeyExchange { group: 31, public: vec![1] }))
    }),
    ("no NAT traversal", |client| first(client, |payloads| payloads.truncate(3))),
    ("no nonce", |client| first(client, |payloads| drop(payloads.remove(2)))),
    ("nothing", |client| first(client, Vec::clear)),
    ("one critical payload", |client| first(client, |payloads| *payloads = vec![Payload::Unknown(200, true)])),
    ("a critical payload after the rest", |client| {
        first(client, |payloads| payloads.push(Payload::Unknown(200, true)))
    }),
    ("a wrong cookie", |client| first(client, |payloads| payloads.insert(0, notify(NotifyKind::Cookie, vec![1])))),
    ("the smallest that asks for a cookie", |client| {
        first(client, |payloads| *payloads = vec![Payload::Nonce(vec![1; 16])])
    }),
    ("a later version", |client| version(3, first(client, |_| {}))),
    ("a header of a later version", |client| {
        let mut message = version(3, first(client, Vec::clear));
        message.truncate(28);
        message
    }),
    ("an earlier version", |client| version(1, first(client, |_| {}))),
    ("an unknown IKE SA", |_| unknown_spi(false)),
    ("an unknown IKE SA, in 28 octets", |_| unknown_spi(false)[..28].to_vec()),
    ("an answer to nothing", |_| unknown_spi(true)),
    ("an unknown exchange", |client| {
        let mut message = first(client, |_| {});
        message[18] = 200;
        message
    }),
    ("garbage", |client| client.bytes(200)),
    ("a few octets", |client| client.bytes(3)),
    ("no octet", |_| Vec::new()),
];

#[test]
fn no_address_ever_gets_more_than_came_from_it_before_it_is_proven() {
    for threshold in [64, 0] {
        let mut config = config();
        config.ike.cookie_threshold = threshold;
        let mut world = World::new(config);
        let mut ledger = Ledger::default();
        for (host, (name, make)) in KINDS.iter().enumerate() {
            let mut client = Client::new("alice@rig", host as u8);
            let message = make(&mut client);
            let datagram = client.on_500(message);
            // Once, again, and again after a while; each a little changed, too.
            for _ in 0..3 {
                ledger.deliver(&mut world, &datagram);
            }
            // Each from an address of its own, which nothing has come from before, and so slowly that errors are told.
            for at in 0..datagram.bytes.len() {
                let mut changed = datagram.clone();
                changed.bytes[at] ^= 0x40;
                let mut cut = datagram.clone();
                cut.bytes.truncate(at);
                for (way, mut variant) in [changed, cut].into_iter().enumerate() {
                    let [high, low] = (at as u16).to_be_bytes();
                    variant.path.peer.set_ip(IpAddr::from([100 + way as u8, host as u8, high, low]));
                    ledger.deliver(&mut world, &variant);
                }
                assert!(world.pass(Duration::from_millis(250)).is_empty(), "{name}");
            }
            // Nobody is called back who has proven nothing.
            assert!(world.pass(Duration::from_secs(25)).is_empty(), "{name}");
            ledger.deliver(&mut world, &datagram);
        }
        assert!(ledger.sent > 1000, "{} answers say little", ledger.sent);
        assert_eq!(world.engine.counters().ignored(Ignored::Unanswered), 0, "none was held back");
        world.pass(Duration::from_secs(100));
        world.assert_nothing_left();
    }
}

#[test]
fn a_failing_ike_auth_gets_no_more_than_it_brings_and_neither_does_its_echo_from_elsewhere() {
    let mut config = config();
    config.ike.half_open_limit_per_source = 64;
    let mut world = World::new(config);
    let mut ledger = Ledger::default();
    let mut alice = Client::new("alice@rig", 2);
    let spoil: [fn(&mut Vec<Payload>); 5] = [
        |payloads| payloads[0] = Payload::IdInitiator(adit_control::ike::wire::Id::parse("mallory@elsewhere").unwrap()),
        |payloads| payloads.retain(|payload| !matches!(payload, Payload::Auth(..))),
        |payloads| payloads.truncate(1),
        Vec::clear,
        |payloads| payloads.push(Payload::Unknown(201, true)),
    ];
    for change in spoil {
        let mut keyed = alice.init(&mut world);
        let (_, mut payloads) = alice.auth_payloads(&keyed);
        change(&mut payloads);
        let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
        let mut forged = request.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(ledger.deliver(&mut world, &alice.on_4500(forged)).is_empty());
        // This one has proven its address: only who has our answer to the first message can seal it.
        let sent = world.deliver(&alice.on_4500(request.clone()));
        assert_eq!(sent.len(), 1);
        for host in 0..20 {
            let mut echo = alice.on_4500(request.clone());
            echo.path.peer = SocketAddr::from(([203, 0, 113, host], 4500));
            ledger.deliver(&mut world, &echo);
        }
        ledger = Ledger::default();
    }
    world.assert_nothing_left();
}

/// A recorded request sent again from everywhere.
#[test]
fn an_echo_of_an_answered_request_gets_no_more_than_it_brings() {
    let mut many = Config { ..config() };
    many.connections[0].networks = (0..100_u8).map(|n| format!("10.20.{n}.0/24").parse().unwrap()).collect();
    let mut world = World::new(many);
    let mut alice = Client::new("alice@rig", 2);
    alice.attributes.push(Attribute::IP4_SUBNET);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let answer = world.deliver(&alice.on_4500(request.clone()));
    assert!(answer[0].bytes.len() > request.len());
    let mut ledger = Ledger::default();
    for host in 0..20 {
        let mut echo = alice.on_4500(request.clone());
        echo.path.peer = SocketAddr::from(([203, 0, 113, host], 4500));
        ledger.deliver(&mut world, &echo);
    }
    assert_eq!(world.deliver(&alice.on_4500(request)), answer, "the client itself gets it again");
}

#[test]
fn a_wrong_key_is_refused_and_its_echo_gets_no_more_than_it_brings() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.psk = SecretBytes::from(&b"wrong"[..]);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let mut ledger = Ledger::default();
    ledger.deliver(&mut world, &alice.on_4500(request.clone()));
    for host in 0..20 {
        let mut echo = alice.on_4500(request.clone());
        echo.path.peer = SocketAddr::from(([203, 0, 113, host], 4500));
        assert_eq!(ledger.deliver(&mut world, &echo).len(), 1);
    }
    world.assert_nothing_left();
}

/// What the engine says to ESP that belongs to no SA.
fn wayward(world: &mut World, transport: Transport, path: Path, len: usize) -> Vec<IkeDatagram> {
    let wayward = Wayward { spi: 0x0bad_cafe, path: EspPath::new(transport, path), len };
    world.engine.handle_event(world.now, WorkerId(0), Event::UnknownSpi(wayward));
    world.drain()
}

/// RFC 7296 section 1.5.
#[test]
fn who_sends_esp_on_no_sa_and_has_no_session_hears_so_in_the_clear_and_in_fewer_octets() {
    let mut world = World::new(config());
    let path = Client::new("alice@rig", 2).on_4500(vec![]).path;
    let sent = wayward(&mut world, Transport::NatT, path, 100);
    assert_eq!(in_the_clear(&sent[0]), (NotifyKind::InvalidSpi, vec![0x0b, 0xad, 0xca, 0xfe]));
    assert_eq!((sent[0].path, sent[0].framing), (path, IkeFraming::NonEspMarker));
    let header = parse(&sent[0].bytes).unwrap().header;
    assert_eq!((header.initiator_spi, header.responder_spi, header.message_id), Default::default());
    assert_eq!(header.flags, Flags { initiator: true, response: false });
    let octets = sent[0].bytes.len() + 4;
    assert_eq!(wayward(&mut world, Transport::NatT, path, octets).len(), 1);
    assert!(wayward(&mut world, Transport::NatT, path, octets - 1).is_empty(), "never more than came");
    let native = wayward(&mut world, Transport::Esp, path, 100);
    assert_eq!(
        (native[0].path.peer.port(), native[0].path.local.port(), native[0].framing),
        (500, 500, IkeFraming::Bare)
    );
    assert!(wayward(&mut world, Transport::CiscoUdp, path, 100).is_empty(), "nobody knows where its IKE is");
    let told = (0..200).map(|_| wayward(&mut world, Transport::NatT, path, 100).len()).sum::<usize>();
    assert_eq!(told, 2, "five to one source in a second");
    world.assert_nothing_left();
}

/// A message of this kind is nobody's question, so it gets no answer, nor does it make anything.
#[test]
fn a_hint_in_the_clear_changes_nothing_and_is_not_answered() {
    let mut world = World::new(config());
    let path = Client::new("alice@rig", 2).on_4500(vec![]).path;
    let hint = wayward(&mut world, Transport::NatT, path, 100).remove(0);
    assert!(world.deliver(&hint).is_empty());
    world.assert_nothing_left();
}

#[test]
fn who_has_a_session_hears_of_an_unknown_spi_inside_it_and_seldom() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _child) = alice.login(&mut world);
    let path = alice.on_4500(vec![]).path;
    let sent = wayward(&mut world, Transport::NatT, path, 100);
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!(only_notify(&payloads), (NotifyKind::InvalidSpi, vec![0x0b, 0xad, 0xca, 0xfe]));
    assert!(wayward(&mut world, Transport::NatT, path, 100).is_empty(), "while the first is not answered");
    let answer = sa.answer(id, &[]);
    world.deliver(&alice.on_4500(answer));
    assert!(wayward(&mut world, Transport::NatT, path, 100).is_empty(), "not again at once");
    world.pass(Duration::from_secs(10));
    assert_eq!(wayward(&mut world, Transport::NatT, path, 100).len(), 1);
}

#[test]
fn a_peer_that_does_not_know_a_child_sa_gets_another_and_an_spi_of_nobodys_means_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, child) = alice.login(&mut world);
    let says = |sa: &mut Sa, spi: u32| {
        sa.request(Exchange::Informational, &[notify(NotifyKind::InvalidSpi, spi.to_be_bytes().to_vec())])
    };
    let request = says(&mut sa, 0x0bad_cafe);
    assert_eq!(world.deliver(&alice.on_4500(request)).len(), 1, "the answer, and nothing more");
    let request = says(&mut sa, child.spi_in);
    let sent = world.deliver(&alice.on_4500(request));
    let exchanges: Vec<_> = sent.iter().map(|sent| parse(&sent.bytes).unwrap().header.exchange).collect();
    assert_eq!(exchanges, [Exchange::Informational, Exchange::CreateChildSa]);
}

/// Before anything is worked out, and without a half-open SA that cookies could be asked for.
#[test]
fn a_public_value_that_is_none_costs_no_key_pair() {
    for (suite, group) in [
        ("aes128gcm16-prfsha256-x25519", KexGroup::X25519),
        ("aes128gcm16-prfsha256-ecp256", KexGroup::Ecp256),
        ("aes256-sha256-modp2048", KexGroup::Modp2048),
    ] {
        let mut config = config();
        peer::login(&mut config).ike_proposals = vec![IkeProposal::parse(suite).unwrap()];
        let (mut world, drawn) = counted(config);
        let mut alice = Client::new("alice@rig", 2);
        alice.ike = vec![IkeProposal::parse(suite).unwrap()];
        let pair = KeyPair::generate(group, &mut alice.random);
        let values = no_public_values(group);
        let count = values.len();
        for public in values {
            let spi = IkeSpi(alice.word());
            let mut payloads = alice.init_payloads(spi, &pair, &[1; 32]);
            payloads[1] = Payload::Ke(KeyExchange { group: group.iana(), public });
            let before = drawn.lock().unwrap().len();
            assert!(world.deliver(&alice.on_500(build(&init_header(spi), &payloads))).is_empty());
            assert_eq!(drawn.lock().unwrap().len(), before, "{suite}");
        }
        assert_eq!(world.engine.counters().ignored(Ignored::Malformed), count as u64);
        world.assert_nothing_left();
        alice.init(&mut world);
        assert_eq!(world.engine.holdings().half_open, 1);
    }
}

/// Spoofed first messages are many, and a key exchange is dear.
#[test]
fn nobody_makes_us_compute_a_key_for_an_answer_that_is_longer_than_its_question() {
    let mut config = config();
    peer::login(&mut config).ike_proposals = vec![IkeProposal::parse("aes128gcm16-prfsha512-x25519").unwrap()];
    let (mut world, drawn) = counted(config);
    let before = drawn.lock().unwrap().len();
    let mut alice = Client::new("alice@rig", 2);
    alice.ike = vec![IkeProposal::parse("aes128gcm16-prfsha512-x25519").unwrap()];
    let mut ask = |world: &mut World, spoil: &dyn Fn(&mut Vec<Payload>)| {
        let spi_i = IkeSpi(alice.word());
        let pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
        let mut payloads = alice.init_payloads(spi_i, &pair, &[7; 32]);
        spoil(&mut payloads);
        world.deliver(&alice.on_500(build(&init_header(spi_i), &payloads)))
    };
    let spoilt = |payloads: &mut Vec<Payload>, at: usize, data: &[u8]| match &mut payloads[at] {
        Payload::Notify(notify) => notify.data = data.to_vec(),
        other => panic!("{other:?}"),
    };
    // A hash has 20 octets (RFC 7296 section 2.23): anything else is none.
    for at in [3, 4] {
        // Errors in the clear have a budget.
        world.pass(Duration::from_secs(1));
        for data in [&[][..], &[1; 19], &[1; 21]] {
            let sent = ask(&mut world, &|payloads| spoilt(payloads, at, data));
            assert_eq!(in_the_clear(&sent[0]), (NotifyKind::NoProposalChosen, vec![]));
        }
    }
    // Ours has to be half as long as the PRF's key at least.
    assert!(ask(&mut world, &|payloads| payloads[2] = Payload::Nonce(vec![7; 16])).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::WouldAmplify), 1);
    assert_eq!(drawn.lock().unwrap().len(), before, "no key pair was made");
    assert_eq!(ask(&mut world, &|_| ()).len(), 1);
    assert!(drawn.lock().unwrap().len() > before);
}
