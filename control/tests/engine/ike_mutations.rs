//! Whole exchanges between an honest client and the headend in which one octet of one message is changed on its way,
//! either way. A small model says what may come of that; whatever it is, both ends agree or have nothing, and after a
//! while nothing is left.
//!
//! Before IKE_AUTH nothing is protected, so a change may go unnoticed until then: each is played from the beginning.
//! From IKE_AUTH on a change must have no effect at all, so all of them are played into one world, one after another.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::ike::keys::{AuthInput, IkeKeys, psk_auth};
use adit_control::ike::propose::choose_ike;
use adit_control::ike::wire::*;
use adit_crypto::kex::KeyPair;
use adit_dataplane::contract::IkeDatagram;
use peer::client::*;
use peer::dataplane::assert_same_keys;
use peer::{World, config};
use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of an octet: every bit flipped, and the values at both ends.
fn values(octet: u8) -> impl Iterator<Item = u8> {
    let flips = (0..8).map(move |bit| octet ^ 1 << bit);
    flips.chain([0, 0xff]).filter(move |value| *value != octet)
}

/// How a login ends, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Both ends have proven who they are.
    LoggedIn,
    /// The headend says, protected, that the client's proof is wrong.
    RefusedByHeadend,
    /// The headend's proof is wrong.
    RefusedByClient,
    /// No answer that makes sense.
    GaveUp,
}

/// The way between the two: the `message`th message on it arrives with octet `at` changed to `value`.
#[derive(Debug, Clone, Copy)]
struct Change {
    message: usize,
    at: usize,
    value: u8,
}

struct Line<'a> {
    world: &'a mut World,
    change: Option<Change>,
    passed: Vec<Vec<u8>>,
}

impl Line<'_> {
    fn pass(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(change) = self.change.filter(|change| change.message == self.passed.len()) {
            bytes[change.at] = change.value;
        }
        self.passed.push(bytes.clone());
        bytes
    }

    /// The client says this; what it hears.
    fn ask(&mut self, mut datagram: IkeDatagram) -> Vec<Vec<u8>> {
        datagram.bytes = self.pass(datagram.bytes);
        let sent = self.world.deliver(&datagram);
        assert!(sent.len() <= 1);
        sent.into_iter().map(|answer| self.pass(answer.bytes)).collect()
    }
}

/// What the answer to a first message means to a client that believes nothing that makes no sense.
enum Heard {
    Cookie(Vec<u8>),
    Keys(Box<Keyed>),
    Nonsense,
}

fn hear(client: &Client, request: &[u8], answer: &[u8], nonce_i: &[u8], pair: &KeyPair) -> Heard {
    let understood = || {
        let incoming = parse(answer).ok()?;
        let header = incoming.header;
        let ours = parse(request).unwrap().header.initiator_spi;
        let fits = header.flags == Flags { initiator: false, response: true }
            && (header.exchange, header.message_id, header.initiator_spi) == (Exchange::IkeSaInit, 0, ours);
        if !fits {
            return None;
        }
        if let [Payload::Notify(Notify { kind: NotifyKind::Cookie, data, .. })] = &incoming.payloads[..] {
            return Some(Heard::Cookie(data.clone()));
        }
        let [Payload::Sa(proposals), Payload::Ke(ke), Payload::Nonce(nonce_r), ..] = &incoming.payloads[..] else {
            return None;
        };
        let (_, suite) = choose_ike(proposals, &client.ike).ok()?;
        if proposals.len() != 1 || header.responder_spi == IkeSpi(0) || ke.group != pair.group().iana() {
            return None;
        }
        let shared = KeyPair::generate(pair.group(), &mut client.pair_random()).agree(&ke.public).ok()?;
        let keys = IkeKeys::derive(suite, &shared, nonce_i, nonce_r, header.initiator_spi, header.responder_spi);
        let sa = Sa::new(header.initiator_spi, header.responder_spi, keys, 1);
        let (request, response) = (request.to_vec(), answer.to_vec());
        let (nonce_i, nonce_r) = (nonce_i.to_vec(), nonce_r.clone());
        Some(Heard::Keys(Box::new(Keyed { request, response, nonce_i, nonce_r, sa, headend: Seen::AsItIs })))
    };
    understood().unwrap_or(Heard::Nonsense)
}

impl Client {
    /// A key pair is used up by agreeing; this makes the same one again.
    fn pair_random(&self) -> adit_crypto::random::SeededRandom {
        adit_crypto::random::SeededRandom::new(u64::from(self.own.port()) + 7)
    }
}

/// A login over the line; what is lost or makes no sense is said again, three times.
fn log_in(client: &mut Client, line: &mut Line<'_>) -> End {
    let spi_i = IkeSpi(client.word());
    let pair = KeyPair::generate(client.ike[0].groups[0], &mut client.pair_random());
    let nonce_i = client.bytes(32);
    let payloads = client.init_payloads(spi_i, &pair, &nonce_i);
    let mut request = build(&init_header(spi_i), &payloads);
    let mut keyed = None;
    for _ in 0..4 {
        for answer in line.ask(client.on_500(request.clone())) {
            match hear(client, &request, &answer, &nonce_i, &pair) {
                Heard::Cookie(cookie) => {
                    let mut with = payloads.clone();
                    with.insert(0, notify(NotifyKind::Cookie, cookie));
                    request = build(&init_header(spi_i), &with);
                }
                Heard::Keys(keys) => keyed = Some(keys),
                Heard::Nonsense => {}
            }
        }
        if keyed.is_some() {
            break;
        }
    }
    let Some(mut keyed) = keyed else { return End::GaveUp };
    let (_, payloads) = client.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    for _ in 0..3 {
        for answer in line.ask(client.on_4500(request.clone())) {
            let opened = parse(&answer).ok().and_then(|incoming| keyed.sa.theirs.open(&incoming).ok());
            let Some(inside) = opened else { continue };
            let [Payload::IdResponder(id), Payload::Auth(2, proof), ..] = &inside[..] else {
                assert_eq!(only_notify(&inside).0, NotifyKind::AuthenticationFailed);
                return End::RefusedByHeadend;
            };
            let input = AuthInput {
                first_message: &keyed.response,
                nonce_other: &keyed.nonce_i,
                sk_p: &keyed.sa.keys.sk_pr,
                id,
            };
            let right = psk_auth(keyed.sa.keys.suite().prf, &client.psk, &input).expose() == proof;
            return if right { End::LoggedIn } else { End::RefusedByClient };
        }
    }
    End::GaveUp
}

fn world(cookies: usize) -> World {
    let mut config = config();
    config.ike.cookie_threshold = cookies;
    World::new(config)
}

/// Plays a login with every change of the `message`th message, and counts how they end.
fn every_change(cookies: usize, message: usize) -> BTreeMap<End, usize> {
    let honest = {
        let mut world = world(cookies);
        let mut line = Line { world: &mut world, change: None, passed: Vec::new() };
        assert_eq!(log_in(&mut Client::new("alice@rig", 2), &mut line), End::LoggedIn);
        line.passed.swap_remove(message)
    };
    let mut ends = BTreeMap::new();
    for (at, octet) in honest.iter().enumerate() {
        for value in values(*octet) {
            let change = Change { message, at, value };
            let mut world = world(cookies);
            let mut line = Line { world: &mut world, change: Some(change), passed: Vec::new() };
            let end = log_in(&mut Client::new("alice@rig", 2), &mut line);
            *ends.entry(end).or_default() += 1;
            let held = world.engine.holdings();
            let (sessions, most_half_open) = match end {
                End::LoggedIn => (1, 1),
                // The headend cannot know that the client is not content.
                End::RefusedByClient => (1, 0),
                End::RefusedByHeadend => (0, 0),
                End::GaveUp => (0, 2),
            };
            assert_eq!((held.sessions, held.tunnels, held.spis), (sessions, sessions, sessions), "{change:?} {end:?}");
            assert_eq!((held.leases, held.routes), (2 * sessions, 2 * sessions), "{change:?} {end:?}");
            assert!(held.half_open <= most_half_open, "{change:?} {end:?}: {held:?}");
            // What came of it is over in time, by itself; and the client's next try is none the worse.
            world.pass(Duration::from_secs(300));
            world.assert_nothing_left();
            let mut line = Line { world: &mut world, change: None, passed: Vec::new() };
            assert_eq!(log_in(&mut Client::new("alice@rig", 2), &mut line), End::LoggedIn, "{change:?}");
        }
    }
    ends
}

#[track_caller]
fn only(ends: &BTreeMap<End, usize>, allowed: &[End]) {
    assert!(ends.keys().all(|end| allowed.contains(end)), "{ends:?}");
    assert!(allowed.iter().all(|end| ends.contains_key(end)), "the model allows more than there is: {ends:?}");
}

#[test]
fn a_changed_first_message_is_noticed_by_the_headend_or_leads_to_nothing() {
    only(&every_change(64, 0), &[End::LoggedIn, End::RefusedByHeadend, End::GaveUp]);
}

#[test]
fn a_changed_first_answer_is_noticed_by_the_client_or_leads_to_nothing() {
    only(&every_change(64, 1), &[End::LoggedIn, End::RefusedByClient, End::GaveUp]);
}

#[test]
fn a_changed_first_message_that_only_gets_a_cookie_does_no_harm() {
    only(&every_change(0, 0), &[End::LoggedIn]);
}

#[test]
fn a_changed_cookie_costs_a_round_trip() {
    only(&every_change(0, 1), &[End::LoggedIn]);
}

/// Every change of `bytes` as the headend hears it: nothing happens but that a stranger may be told something.
#[track_caller]
fn no_change_matters(world: &mut World, datagram: &IkeDatagram) {
    let before = (world.engine.holdings(), world.engine.sas(world.now).len(), world.dataplane.log.len());
    for (at, octet) in datagram.bytes.iter().enumerate() {
        for value in values(*octet) {
            let mut changed = datagram.clone();
            changed.bytes[at] = value;
            for said in world.deliver(&changed) {
                let (kind, _) = only_notify(&parse_any_exchange(&said.bytes));
                assert!(matches!(kind, NotifyKind::InvalidIkeSpi | NotifyKind::InvalidMajorVersion), "{kind:?}");
            }
            let after = (world.engine.holdings(), world.engine.sas(world.now).len(), world.dataplane.log.len());
            assert_eq!(after, before, "octet {at} changed to {value:#04x}");
        }
    }
}

/// The exchange type is copied from what may be none.
fn parse_any_exchange(bytes: &[u8]) -> Vec<Payload> {
    let mut bytes = bytes.to_vec();
    bytes[18] = 37;
    parse(&bytes).unwrap().payloads
}

/// Every change of an answer as the client hears it: it cannot be opened, and asking again brings the same octets.
#[track_caller]
fn no_changed_answer_opens(sa: &Sa, answer: &[u8]) {
    for (at, octet) in answer.iter().enumerate() {
        for value in values(*octet) {
            let mut changed = answer.to_vec();
            changed[at] = value;
            let opened = parse(&changed).ok().map(|incoming| sa.theirs.open(&incoming));
            assert!(!matches!(opened, Some(Ok(_))), "octet {at} changed to {value:#04x}");
        }
    }
}

/// A request, all its changes before it, all changes of its answer after it.
#[track_caller]
fn ask_changed(
    world: &mut World,
    client: &Client,
    sa: &mut Sa,
    exchange: Exchange,
    payloads: &[Payload],
) -> Vec<Payload> {
    let request = client.on_4500(sa.request(exchange, payloads));
    no_change_matters(world, &request);
    let sent = world.deliver(&request);
    let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
    no_changed_answer_opens(sa, &answer.bytes);
    assert_eq!(world.deliver(&request), sent, "the answer was lost");
    sa.answered(exchange, &answer.bytes)
}

#[test]
fn from_ike_auth_on_no_changed_octet_has_any_effect() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (spi_in, payloads) = alice.auth_payloads(&keyed);
    let answer = ask_changed(&mut world, &alice, &mut keyed.sa, Exchange::IkeAuth, &payloads);
    let child = alice.logged_in(&world, &keyed, spi_in, &answer);
    assert_same_keys(&child.sealer(), &world.dataplane.inbound(child.spi_out).cipher);
    let mut sa = keyed.sa;

    // The child is rekeyed, the old one deleted.
    let esp = [adit_control::config::checked::EspProposal::parse(peer::ESP).unwrap()];
    let payloads = rekey_payloads(&child, &esp, 0x7777_0001, &[9; 32], None);
    let answer = ask_changed(&mut world, &alice, &mut sa, Exchange::CreateChildSa, &payloads);
    assert!(matches!(answer[0], Payload::Sa(_)), "{answer:?}");
    assert_eq!(world.engine.sas(world.now).len(), 2);
    let answer = ask_changed(&mut world, &alice, &mut sa, Exchange::Informational, &[delete_esp(child.spi_in)]);
    assert!(matches!(answer[0], Payload::Delete(_)), "{answer:?}");
    world.pass(Duration::from_secs(6));
    assert_eq!(world.engine.sas(world.now).len(), 1);

    // The IKE SA is rekeyed: a request that makes the other one is played changed, too, and so is the old one's end.
    let mut next = alice.rekey_ike(&mut world, &mut sa);
    ask_changed(&mut world, &alice, &mut sa, Exchange::Informational, &[delete_ike()]);

    // The headend asks; both its question and the answer are changed.
    let asked = world.pass(Duration::from_secs(30));
    let [question] = &asked[..] else { panic!("one question, not {}", asked.len()) };
    no_changed_answer_opens(&next, &question.bytes);
    let (id, _) = next.asked(&question.bytes);
    let answer = alice.on_4500(next.answer(id, &[]));
    no_change_matters(&mut world, &answer);
    assert!(world.deliver(&answer).is_empty());
    assert!(world.pass(Duration::from_secs(29)).is_empty(), "it lives");

    assert_eq!(ask_changed(&mut world, &alice, &mut next, Exchange::Informational, &[delete_ike()]), []);
    world.assert_nothing_left();
}
