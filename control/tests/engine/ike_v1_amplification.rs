//! Nobody who has not proven to be where it says gets more octets than it has sent, by IKEv1: summed up for every
//! address, after every message, for every kind of first message and in every state before the proof.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::config::checked::*;
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire::*;
use adit_control::pki::OwnCertificate;
use adit_crypto::kex::KeyPair;
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::IkeDatagram;
use peer::World;
use peer::v1::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What has come from an address, and what has gone there.
struct Ledger {
    world: World,
    sums: BTreeMap<IpAddr, (usize, usize)>,
}

impl Ledger {
    fn new(config: Config) -> Self {
        Self { world: World::new(config), sums: BTreeMap::new() }
    }

    /// One message; what was answered. No address is in debt to us.
    #[track_caller]
    fn send(&mut self, datagram: &IkeDatagram) -> Vec<IkeDatagram> {
        self.sums.entry(datagram.path.peer.ip()).or_default().0 += datagram.bytes.len();
        let sent = self.world.deliver(datagram);
        self.pay(&sent);
        sent
    }

    #[track_caller]
    fn pay(&mut self, sent: &[IkeDatagram]) {
        for answer in sent {
            self.sums.entry(answer.path.peer.ip()).or_default().1 += answer.bytes.len();
        }
        for (address, (brought, got)) in &self.sums {
            assert!(got <= brought, "{address} got {got} for {brought}");
        }
    }

    /// Nothing is said unasked, and nothing is left.
    #[track_caller]
    fn end(mut self) -> (usize, usize) {
        assert!(self.world.pass(Duration::from_secs(120)).is_empty(), "nothing is repeated to an unproven source");
        self.world.assert_nothing_left();
        self.sums.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

fn from(datagram: &IkeDatagram, host: u8) -> IkeDatagram {
    let mut datagram = datagram.clone();
    datagram.path.peer.set_ip([192, 0, 2, host].into());
    datagram
}

const PKI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pki/");

fn own_certificate() -> Arc<OwnCertificate> {
    let read = |name: &str| std::fs::read(format!("{PKI}{name}")).unwrap();
    let key = adit_crypto::secret::SecretBytes::from(read("headend.key").as_slice());
    Arc::new(OwnCertificate::from_pem(&read("headend.pem"), &key).unwrap())
}

fn hybrid() -> Config {
    let mut config = config_v1();
    config.certificate = Some(own_certificate());
    login_v1(&mut config).auth = AuthV1::Hybrid { secret: peer::PSK.into(), xauth: xauth() };
    config
}

fn hybrid_client() -> ClientV1 {
    let mut client = ClientV1::new("alice", 2);
    client.method = AuthMethod::HybridInitRsa;
    client
}

/// Every first message: as long as a client makes it, as short as it can be, for groups that there are and are not.
fn first_messages() -> Vec<(&'static str, Config, Vec<u8>)> {
    let mut out = Vec::new();
    let all = ClientV1::new("alice", 2).vendors;
    for vendors in [vec![], vec![Vendor::Xauth], all.clone(), [&all[..], &[Vendor::Fragmentation]].concat()] {
        for group in [GROUP, "keyid:nobody", "keyid:x"] {
            for kex in [KexGroup::Ecp256, KexGroup::Modp2048, KexGroup::Modp4096] {
                let mut client = ClientV1::new("alice", 2);
                (client.vendors, client.kex) = (vendors.clone(), kex);
                client.group = Id::parse(group).unwrap();
                out.push(("aggressive", config_v1(), client.aggressive_1().0));
                let sa = client.sa_payload();
                let vendor_ids = client.vendors.iter().map(|vendor| Payload::VendorId(vendor.octets()));
                let payloads: Vec<Payload> = std::iter::once(sa).chain(vendor_ids).collect();
                let cookies = (IkeSpi(client.word()), IkeSpi(0));
                out.push(("main", config_v1(), build(&header(cookies, Exchange::MainMode, 0), &payloads)));
                client.method = AuthMethod::HybridInitRsa;
                out.push(("aggressive, hybrid", hybrid(), client.aggressive_1().0));
                client.method = AuthMethod::XauthInitRsa;
                out.push(("aggressive, refused", config_v1(), client.aggressive_1().0));
            }
        }
    }
    // A proposal that is refused, as short as can be; an empty one; a nonce as short as allowed.
    for exchange in [Exchange::MainMode, Exchange::Aggressive] {
        for attributes in [vec![], vec![Attribute::short(1, 1)]] {
            let transform = Transform { number: 1, id: 1, attributes };
            let proposal = Proposal { number: 1, protocol: Protocol::Isakmp, spi: vec![], transforms: vec![transform] };
            let id = Identification::of(Id::parse("keyid:x").unwrap());
            let payloads =
                [Payload::Sa(vec![proposal]), Payload::Ke(vec![7; 64]), Payload::Nonce(vec![1; 8]), Payload::Id(id)];
            let cookies = (IkeSpi(77), IkeSpi(0));
            out.push(("refused", config_v1(), build(&header(cookies, exchange, 0), &payloads)));
            out.push(("refused, short", config_v1(), build(&header(cookies, exchange, 0), &payloads[..1])));
        }
    }
    // What can be no first message.
    for exchange in [Exchange::Informational, Exchange::Transaction, Exchange::QuickMode, Exchange::MainMode] {
        for responder in [0, 99] {
            for message_id in [0, 5] {
                let header = header((IkeSpi(78), IkeSpi(responder)), exchange, message_id);
                let notify =
                    Notify { protocol: Protocol::Isakmp, spi: vec![], kind: NotifyKind::RUThere, data: vec![] };
                out.push(("nothing", config_v1(), build(&header, &[Payload::Notify(notify)])));
                let fragment = Fragment { id: 1, index: 1, place: FragmentPlace::Last, data: &[7; 60] };
                out.push(("a fragment", config_v1(), build_fragment(&header, &fragment)));
                let mut sealed = build(&header, &[Payload::Unknown(200, vec![0; 60])]);
                sealed[19] = 1;
                out.push(("sealed", config_v1(), sealed));
            }
        }
    }
    out
}

#[test]
fn no_first_message_is_answered_by_more_than_it_brought_however_often_it_comes_and_from_how_many() {
    let mut answered = BTreeMap::<&str, usize>::new();
    for (name, config, bytes) in first_messages() {
        let mut ledger = Ledger::new(config);
        let datagram = ClientV1::new("alice", 2).on_500(bytes);
        // From one address again and again, from others, from other ports; then cut short.
        for host in [1, 1, 2, 1, 3, 1, 1, 1, 1, 1] {
            ledger.send(&from(&datagram, host));
        }
        let mut elsewhere = from(&datagram, 1);
        elsewhere.path.peer.set_port(4242);
        ledger.send(&elsewhere);
        elsewhere.path.local.set_port(4500);
        ledger.send(&elsewhere);
        let mut short = from(&datagram, 4);
        short.bytes.truncate(short.bytes.len() - 1);
        ledger.send(&short);
        let (_, got) = ledger.end();
        *answered.entry(name).or_default() += usize::from(got > 0);
    }
    // The test would hold for a headend that says nothing.
    for (name, nothing) in [("nothing", true), ("a fragment", true), ("sealed", true), ("aggressive", false)] {
        assert_eq!(answered[name] == 0, nothing, "{answered:?}");
    }
    for name in ["main", "aggressive, hybrid", "aggressive, refused", "refused"] {
        assert!(answered[name] > 0, "{answered:?}");
    }
}

/// Hybrid mode's certificates are longer than any question: the client repeats it until it has paid for them.
#[test]
fn a_long_certificate_waits_until_the_question_has_come_often_enough() {
    let mut ledger = Ledger::new(hybrid());
    let (request, ..) = hybrid_client().aggressive_1();
    let datagram = from(&hybrid_client().on_500(request.clone()), 1);
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(ledger.send(&datagram).iter().map(|answer| answer.bytes.len()).sum::<usize>());
    }
    let long = *answers.iter().max().unwrap();
    assert!(long > request.len());
    assert!(answers[0] == 0 && ledger.world.engine.counters().ignored(Ignored::WouldAmplify) > 0, "{answers:?}");
    assert!(answers.iter().filter(|len| **len == long).count() >= 2, "{answers:?}");
    ledger.end();
}

/// Both modes up to where the peer has to prove itself, and who may say what comes then.
fn half_opens() -> Vec<(&'static str, Ledger, (IkeSpi, IkeSpi), ClientV1)> {
    let mut out = Vec::new();
    for (name, config, mut client) in
        [("aggressive", config_v1(), ClientV1::new("alice", 2)), ("hybrid", hybrid(), hybrid_client())]
    {
        let mut ledger = Ledger::new(config);
        let (request, ..) = client.aggressive_1();
        let cookies = loop {
            let sent = ledger.send(&client.on_500(request.clone()));
            let Some(answer) = sent.first() else { continue };
            let header = parse_header(&answer.bytes).unwrap();
            break (header.initiator_cookie, header.responder_cookie);
        };
        out.push((name, ledger, cookies, client));
    }
    for third in [false, true] {
        let mut client = ClientV1::new("alice", 2);
        let mut ledger = Ledger::new(config_v1());
        let cookies = main_mode(&mut ledger, &mut client, third, 1);
        out.push((if third { "main, keys exchanged" } else { "main" }, ledger, cookies, client));
    }
    out
}

/// The first message of main mode, and the third from `host`.
fn main_mode(ledger: &mut Ledger, client: &mut ClientV1, third: bool, host: u8) -> (IkeSpi, IkeSpi) {
    let vendor_ids = client.vendors.iter().map(|vendor| Payload::VendorId(vendor.octets()));
    let payloads: Vec<Payload> = std::iter::once(client.sa_payload()).chain(vendor_ids).collect();
    let cookie = IkeSpi(client.word());
    let first = build(&header((cookie, IkeSpi(0)), Exchange::MainMode, 0), &payloads);
    let sent = ledger.send(&client.on_500(first));
    let cookies = (cookie, parse_header(&sent[0].bytes).unwrap().responder_cookie);
    if third {
        let pair = KeyPair::generate(client.kex, &mut client.random);
        let payloads = [Payload::Ke(pair.public().to_vec()), Payload::Nonce(vec![9; 8])];
        let third = build(&header(cookies, Exchange::MainMode, 0), &payloads);
        let datagram = client.on_500(third);
        let datagram = if host == 1 { datagram } else { from(&datagram, host) };
        for _ in 0..4 {
            ledger.send(&datagram);
        }
    }
    cookies
}

#[test]
fn nothing_in_an_unproven_state_is_answered_by_more_than_was_brought() {
    for (name, mut ledger, cookies, client) in half_opens() {
        let mut random = SeededRandom::new(11);
        let (before, mut kinds) = (ledger.world.engine.counters().received, 0);
        for exchange in [
            Exchange::MainMode,
            Exchange::Aggressive,
            Exchange::Informational,
            Exchange::Transaction,
            Exchange::QuickMode,
        ] {
            for message_id in [0, 7] {
                let mut junk = vec![0; 96];
                random.fill(&mut junk);
                let header = header(cookies, exchange, message_id);
                let pair = KeyPair::generate(client.kex, &mut random);
                let notify = Notify {
                    protocol: Protocol::Isakmp,
                    spi: vec![],
                    kind: NotifyKind::NoProposalChosen,
                    data: vec![],
                };
                let clear = [
                    vec![Payload::Notify(notify)],
                    vec![Payload::Delete(Delete::Isakmp(vec![cookies]))],
                    vec![Payload::Hash(vec![0; 20])],
                    vec![Payload::Ke(pair.public().to_vec()), Payload::Nonce(vec![1; 8])],
                    vec![Payload::Ke(vec![0; 8]), Payload::Nonce(vec![1; 8])],
                    vec![client.sa_payload()],
                ];
                let mut messages: Vec<Vec<u8>> = clear.iter().map(|payloads| build(&header, payloads)).collect();
                let mut sealed = build(&header, &[Payload::Unknown(200, junk.clone())]);
                sealed[19] = 1;
                sealed.truncate(28 + 96);
                sealed[24..28].copy_from_slice(&(28_u32 + 96).to_be_bytes());
                messages.push(sealed.clone());
                for (index, place) in [(1, FragmentPlace::Inner), (2, FragmentPlace::Last), (1, FragmentPlace::Last)] {
                    let fragment = Fragment { id: 3, index, place, data: &sealed };
                    messages.push(build_fragment(&header, &fragment));
                }
                for bytes in messages {
                    kinds += 1;
                    for datagram in [client.on_500(bytes.clone()), client.on_4500(bytes.clone())] {
                        ledger.send(&datagram);
                        ledger.send(&datagram);
                        ledger.send(&from(&datagram, 9));
                    }
                }
            }
        }
        assert!(ledger.world.engine.counters().received >= before + 6 * kinds, "{name}");
        assert_eq!(ledger.world.engine.holdings().sessions, 0, "{name}");
        ledger.end();
    }
}

/// Somebody does all of phase 1 from an address of its own, and sends its proof from a victim's.
#[test]
fn a_proof_from_another_address_than_phase_1s_brings_that_address_nothing() {
    // Aggressive mode.
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let half = alice.aggressive(&mut world);
    let (mut sa, third) = alice.aggressive_3(half);
    assert!(world.deliver(&from(&alice.later(third.clone()), 66)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::OtherAddress), 1);
    let asks = world.deliver(&alice.later(third));
    assert_eq!(asks[0].path.peer.ip(), alice.seen.ip(), "its own it may send from");

    // The user's name comes from elsewhere: what follows does not go there.
    let victim = SocketAddr::from(([192, 0, 2, 66], 500)).ip();
    alice.seen.set_ip(victim);
    alice.answer_user(&mut world, &mut sa, &asks[0].bytes);
    let mut sent = world.reject(adit_control::aaa::Why::WrongPassword);
    sent.extend(world.pass(Duration::from_secs(60)));
    assert!(sent.len() > 1 && sent.iter().all(|message| message.path.peer.ip() != victim), "{sent:?}");

    // Main mode.
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    alice.floats = true;
    let own = alice.seen;
    world.before = Some(Box::new(|world: &mut World, honest: &IkeDatagram| {
        // The fifth message is the only one that is sealed and has no message ID.
        if honest.bytes[19] & 1 == 1 && honest.bytes[20..24] == [0; 4] {
            assert!(world.deliver(&from(honest, 66)).is_empty());
            assert_eq!(world.engine.counters().ignored(Ignored::OtherAddress), 1);
        }
    }));
    let (_, asks) = alice.main_mode(&mut world).unwrap();
    assert_eq!(asks[0].path.peer.ip(), own.ip());
    assert_eq!(world.engine.counters().ignored(Ignored::OtherAddress), 1);
}

/// Three sources send whatever there is, in any order.
#[test]
fn whatever_strangers_send_in_whatever_order_no_address_gets_more_than_it_sent() {
    let firsts = first_messages();
    for seed in 0..40 {
        let mut random = SeededRandom::new(seed);
        let mut pick = |most: usize| {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            u64::from_be_bytes(bytes) as usize % most
        };
        let mut ledger = Ledger::new(if seed % 2 == 0 { config_v1() } else { hybrid() });
        let mut heard: Vec<Vec<u8>> = Vec::new();
        for _ in 0..150 {
            let mut bytes = match pick(3) {
                // What has been said to anybody comes back.
                0 if !heard.is_empty() => heard[pick(heard.len())].clone(),
                _ => firsts[pick(firsts.len())].2.clone(),
            };
            if pick(4) == 0 {
                let at = pick(bytes.len());
                bytes[at] ^= 1 << pick(8);
            }
            // Under a cookie that is known.
            if pick(4) == 0 && !heard.is_empty() {
                let cookies = heard[pick(heard.len())][..16].to_vec();
                bytes[..16].copy_from_slice(&cookies);
            }
            let client = ClientV1::new("alice", 2);
            let datagram = if pick(2) == 0 { client.on_500(bytes) } else { client.on_4500(bytes) };
            let sent = ledger.send(&from(&datagram, pick(3) as u8 + 1));
            heard.extend(sent.into_iter().map(|answer| answer.bytes));
            if pick(10) == 0 {
                let sent = ledger.world.pass(Duration::from_secs(1));
                assert!(sent.is_empty());
            }
        }
        assert!(!heard.is_empty());
        ledger.end();
    }
}

/// Who goes on after the end is told again that it is over, by no more than it brought.
#[test]
fn after_the_end_nobody_gets_more_than_it_sends() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, ..) = alice.connect(&mut world);
    let id = world.engine.sessions(world.now)[0].id[1..].parse().unwrap();
    world.engine.disconnect(world.now, adit_control::session::SessionId(id));
    assert_eq!(world.drain().len(), 1);
    let mut ledger = Ledger { world, sums: BTreeMap::new() };
    for message_id in 1..20 {
        let mut bytes = sa.inform(message_id, dpd(NotifyKind::RUThere, sa.cookies, message_id));
        for len in [bytes.len(), 60, 28] {
            bytes.truncate(len);
            ledger.send(&from(&alice.later(bytes.clone()), 3));
        }
    }
    assert!(ledger.sums.values().any(|(_, got)| *got > 0), "it is told again");
    ledger.end();
}
