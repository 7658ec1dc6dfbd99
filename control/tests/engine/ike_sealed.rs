//! Hostile input from a peer that has the keys: any octets inside SK, from somebody whom the ICV calls authentic.
//! Octets that do not authenticate end before anything is read, so the other targets hardly get here.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{EspProposal, IkeProposal};
use adit_control::ike::narrow::selector_of_net;
use adit_control::ike::propose::{ChildExchange, offer_esp, offer_ike};
use adit_control::ike::wire::*;
use adit_control::session::SessionId;
use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::kex::KeyPair;
use adit_crypto::random::SeededRandom;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{Event, IkeDatagram, Selectors};
use bolero::check;
use peer::client::*;
use peer::{ESP, World, config, log_to_nowhere};
use std::time::Duration;

/// The types of an encrypted payload and of a fragment of one (RFC 7383 section 2.5).
const SK: u8 = 46;
const SKF: u8 = 53;

/// What an input is made of: `kind`, `turn`, two octets of length, and so many octets of text. `kind` is one of these
/// with some of the bits below; `turn` is the type of the first payload in the text where nothing else is said.
mod kind {
    /// IKE_AUTH in the half-open SA.
    pub(super) const LOGIN: u8 = 0;
    /// The same, with an honest IDi and AUTH before the text.
    pub(super) const PROVEN: u8 = 1;
    pub(super) const CREATE_CHILD_SA: u8 = 2;
    pub(super) const INFORMATIONAL: u8 = 3;
    /// To what the headend asked last.
    pub(super) const ANSWER: u8 = 4;
    /// Of a request; its number and how many there are come first in the text.
    pub(super) const FRAGMENT: u8 = 5;
    /// `turn` seconds.
    pub(super) const TIME: u8 = 6;
    /// The operator wants something, or the dataplane reports.
    pub(super) const ORDER: u8 = 7;
    pub(super) const ALL: u8 = 7;

    /// The text brings its own padding; a fragment is one of CREATE_CHILD_SA.
    pub(super) const OTHERWISE: u8 = 0x08;
    /// The Message ID was used before.
    pub(super) const AGAIN: u8 = 0x10;
    pub(super) const FROM_ELSEWHERE: u8 = 0x20;
    /// In the oldest SA, not in the newest.
    pub(super) const OLDEST: u8 = 0x40;
    /// The Message ID is the one after the next.
    pub(super) const AHEAD: u8 = 0x80;
}

struct Story {
    world: World,
    alice: Client,
    /// What she receives on.
    alice_child: u32,
    bob: Client,
    half_open: Keyed,
    /// Of both peers, the newest last.
    sas: Vec<Sa>,
    /// What the headend wants to know: in which SA, in which exchange, by which Message ID.
    asked: Vec<(IkeSpi, Exchange, u32)>,
    sealed: u64,
}

impl Story {
    /// Alice has a session, Bob is at its door.
    fn new() -> Self {
        let mut config = config();
        config.ike.half_open_limit = 5;
        config.ike.session_limit = 2;
        config.ike.fragment_size = 576;
        let mut world = World::new(config);
        let first_notifies = vec![NotifyKind::IkeFragmentationSupported];
        let mut alice = Client { first_notifies: first_notifies.clone(), ..Client::new("alice@rig", 2) };
        let (sa, child) = alice.login(&mut world);
        let mut bob = Client { first_notifies, ..Client::new("bob@rig", 3) };
        let half_open = bob.init(&mut world);
        let alice_child = child.spi_in;
        Self { world, alice, alice_child, bob, half_open, sas: vec![sa], asked: Vec::new(), sealed: 0 }
    }

    fn tell(&mut self, mut input: &[u8]) {
        while let [kind, turn, high, low, rest @ ..] = input {
            let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
            let (text, rest) = rest.split_at(len);
            self.step(*kind, *turn, text);
            self.check();
            input = rest;
        }
    }

    fn step(&mut self, kind: u8, turn: u8, text: &[u8]) {
        match kind & kind::ALL {
            kind::LOGIN => self.login(kind, turn, text),
            kind::PROVEN => {
                let (_, payloads) = self.bob.auth_payloads(&self.half_open);
                let honest: Vec<_> = payloads
                    .into_iter()
                    .filter(|payload| matches!(payload, Payload::IdInitiator(_) | Payload::Auth(..)))
                    .collect();
                let (first, mut plain) = plain(&honest);
                // The last of the honest says what follows.
                let [_id, Payload::Auth(_, proof)] = &honest[..] else { panic!("{honest:?}") };
                let auth_at = plain.len() - proof.len() - 8;
                plain[auth_at] = turn;
                plain.extend(text);
                self.login(kind, first, &plain);
            }
            kind::CREATE_CHILD_SA => self.request(kind, Exchange::CreateChildSa, turn, text),
            kind::INFORMATIONAL => self.request(kind, Exchange::Informational, turn, text),
            kind::ANSWER => {
                let Some((spi, exchange, id)) = self.asked.pop() else { return };
                let Some(at) = self.sas.iter().position(|sa| sa.spi_r == spi) else { return };
                let header = self.sas[at].header(exchange, true, id);
                let bytes = self.sealed(at, &header, turn, None, &padded(kind, text));
                self.deliver(kind, bytes);
            }
            kind::FRAGMENT => {
                let [number, total, text @ ..] = text else { return };
                let exchange = match kind & kind::OTHERWISE {
                    0 => Exchange::Informational,
                    _ => Exchange::CreateChildSa,
                };
                let Some(at) = self.at(kind) else { return };
                let header = self.sas[at].header(exchange, false, message_id(kind, self.sas[at].next));
                let part = Some((u16::from(*number), u16::from(*total)));
                let bytes = self.sealed(at, &header, turn, part, &padded(0, text));
                if self.deliver(kind, bytes) {
                    self.sas[at].next += 1;
                }
            }
            kind::TIME => {
                let sent = self.world.pass(Duration::from_secs(turn.into()));
                self.listen(&sent);
            }
            _order => self.order(turn),
        }
    }

    fn login(&mut self, kind: u8, first: u8, plain: &[u8]) {
        let sa = &self.half_open.sa;
        let header = sa.header(Exchange::IkeAuth, false, message_id(kind, sa.next));
        let bytes = seal(sa, self.sealed, &header, first, None, &padded(kind, plain));
        self.sealed += 1;
        let before = self.world.engine.holdings().sessions;
        self.deliver(kind, bytes);
        if self.world.engine.holdings().sessions > before {
            let Sa { spi_i, spi_r, keys, next, .. } = &self.half_open.sa;
            self.sas.push(Sa::new(*spi_i, *spi_r, keys.clone(), next + 1));
        }
    }

    fn request(&mut self, kind: u8, exchange: Exchange, first: u8, text: &[u8]) {
        let Some(at) = self.at(kind) else { return };
        let header = self.sas[at].header(exchange, false, message_id(kind, self.sas[at].next));
        let bytes = self.sealed(at, &header, first, None, &padded(kind, text));
        if self.deliver(kind, bytes) && header.message_id == self.sas[at].next {
            self.sas[at].next += 1;
        }
    }

    fn order(&mut self, turn: u8) {
        let now = self.world.now;
        let tunnels = self.world.dataplane.tunnels.iter();
        let spis: Vec<_> =
            tunnels.flat_map(|(key, tunnel)| tunnel.inbound.keys().map(|spi| (key.worker, *spi))).collect();
        let picked = spis.get(usize::from(turn >> 4) % spis.len().max(1)).copied();
        let engine = &mut self.world.engine;
        let mut ids = engine.sessions(now).into_iter().map(|view| SessionId(view.id[1..].parse().unwrap()));
        let Some(id) = (if turn & 8 == 0 { ids.next() } else { ids.next_back() }) else { return };
        match (turn % 8, picked) {
            (0, _) => engine.rekey_ike(now, id),
            (1, _) => engine.rekey_children(now, id),
            (2, Some((_, spi))) => engine.delete_child(now, id, spi),
            (3, _) => {
                let net = |text: &str| vec![selector_of_net(text.parse().unwrap())];
                let selectors = Selectors { local: net("10.20.0.0/28"), remote: net("0.0.0.0/0") };
                // There may be as many as there can be.
                let _ = engine.add_child(now, id, selectors);
            }
            (4, Some((worker, spi))) => engine.handle_event(now, worker, Event::FirstUse { spi }),
            (5, _) => engine.disconnect(now, id),
            (6, _) => {
                let Some(old) = self.sas.last_mut() else { return };
                let new = self.alice.rekey_ike_perhaps(&mut self.world, old);
                self.sas.extend(new);
                return;
            }
            _ => return,
        }
        let sent = self.world.drain();
        self.listen(&sent);
    }

    /// The SA to speak in.
    fn at(&self, kind: u8) -> Option<usize> {
        match kind & kind::OLDEST {
            0 => self.sas.len().checked_sub(1),
            _ => (!self.sas.is_empty()).then_some(0),
        }
    }

    fn sealed(&mut self, at: usize, header: &Header, first: u8, part: Option<(u16, u16)>, plain: &[u8]) -> Vec<u8> {
        self.sealed += 1;
        seal(&self.sas[at], self.sealed, header, first, part, plain)
    }

    /// Whether there was an answer.
    fn deliver(&mut self, kind: u8, bytes: Vec<u8>) -> bool {
        let mut datagram = self.alice.on_4500(bytes);
        if kind & kind::FROM_ELSEWHERE != 0 {
            datagram.path.peer.set_port(4242);
        }
        let sent = self.world.deliver(&datagram);
        self.listen(&sent);
        sent.iter().filter_map(|said| parse_header(&said.bytes).ok()).any(|header| header.flags.response)
    }

    fn listen(&mut self, sent: &[IkeDatagram]) {
        let headers = sent.iter().filter_map(|said| parse_header(&said.bytes).ok());
        let questions = headers.filter(|header| !header.flags.response);
        self.asked.extend(questions.map(|header| (header.responder_spi, header.exchange, header.message_id)));
    }

    fn check(&mut self) {
        self.world.assert_books_agree();
        let held = self.world.engine.holdings();
        assert!(held.sessions <= 2 && held.half_open <= 5 && held.farewells <= 5);
    }

    fn end(mut self) {
        self.world.pass(Duration::from_secs(2000));
        self.world.assert_nothing_left();
    }
}

fn message_id(kind: u8, next: u32) -> u32 {
    match (kind & kind::AGAIN, kind & kind::AHEAD) {
        (0, 0) => next,
        (0, _) => next + 1,
        (_, 0) => next.saturating_sub(1),
        (_, _) => u32::MAX,
    }
}

/// No padding, and the octet that says so.
fn padded(kind: u8, text: &[u8]) -> Vec<u8> {
    match kind & kind::OTHERWISE {
        0 => [text, &[0]].concat(),
        _ => text.to_vec(),
    }
}

/// The type of the first payload, and all of them as they stand inside SK.
fn plain(payloads: &[Payload]) -> (u8, Vec<u8>) {
    let message = build(&init_header(IkeSpi(1)), payloads);
    (message[16], message[Header::LEN..].to_vec())
}

/// A message of the initiator's with anything inside SK.
fn seal(sa: &Sa, counter: u64, header: &Header, first: u8, part: Option<(u16, u16)>, plain: &[u8]) -> Vec<u8> {
    let suite = sa.keys.suite().cipher;
    let cipher = EspCipher::new(Backend::Auto, suite, sa.keys.sk_ei.expose(), sa.keys.sk_ai.expose()).unwrap();
    let (mut iv, mut body, mut icv) = (vec![0; suite.encr().iv_len()], plain.to_vec(), vec![0; suite.icv_len()]);
    let numbers: Vec<u8> =
        part.iter().flat_map(|(number, total)| [*number, *total]).flat_map(u16::to_be_bytes).collect();
    let sk_len = 4 + numbers.len() + iv.len() + body.len() + icv.len();
    let mut message = build(header, &[]);
    message[16] = if part.is_some() { SKF } else { SK };
    message[24..28].copy_from_slice(&((Header::LEN + sk_len) as u32).to_be_bytes());
    message.extend([first, 0]);
    message.extend((sk_len as u16).to_be_bytes());
    message.extend(numbers);
    cipher.seal(message.as_slice().into(), counter, &mut iv, &mut body, &mut icv);
    message.extend([iv, body, icv].concat());
    message
}

#[test]
fn any_payloads_of_a_peer_with_the_keys_leave_nothing_behind() {
    log_to_nowhere();
    // One second hardly sees the corpus through.
    check!(name = "engine_sealed").with_test_time(Duration::from_secs(2)).for_each(|input: &[u8]| {
        let mut story = Story::new();
        story.tell(&input[..input.len().min(8192)]);
        story.end();
    });
}

/// One step of an input.
fn step(kind: u8, payloads: &[Payload]) -> Vec<u8> {
    let (first, text) = plain(payloads);
    written(kind, first, &text)
}

fn written(kind: u8, turn: u8, text: &[u8]) -> Vec<u8> {
    [&[kind, turn][..], &(text.len() as u16).to_be_bytes(), text].concat()
}

fn order(turn: u8) -> Vec<u8> {
    written(kind::ORDER, turn, &[])
}

fn esp(text: &str) -> Payload {
    Payload::Sa(offer_esp(&[EspProposal::parse(text).unwrap()], 0x8888, ChildExchange::CreateChildSa))
}

fn ke() -> Payload {
    let pair = KeyPair::generate(KexGroup::X25519, &mut SeededRandom::new(7));
    Payload::Ke(KeyExchange { group: 31, public: pair.public().to_vec() })
}

/// What a client wants with IKE_AUTH, after its proof.
fn wishes() -> Vec<Payload> {
    let all = [Attribute::IP4_ADDRESS, Attribute::IP4_DNS, Attribute::IP6_ADDRESS, Attribute::APPLICATION_VERSION];
    let attributes = all.map(|kind| Attribute { kind, value: Vec::new() }).to_vec();
    vec![
        notify(NotifyKind::InitialContact, Vec::new()),
        Payload::Configuration(ConfigPayload { kind: ConfigKind::Request, attributes }),
        Payload::Sa(offer_esp(&[EspProposal::parse(ESP).unwrap()], 0x7777, ChildExchange::IkeAuth)),
        Payload::TsInitiator(everything()),
        Payload::TsResponder(everything()),
    ]
}

/// What it is, the steps, and how many sessions, tunnels, child SAs and IKE SAs there are afterwards.
type Honest = (&'static str, Vec<Vec<u8>>, [usize; 4]);

/// What honest peers do, as inputs: the fuzzer starts behind the ICV, not in front of it.
fn stories() -> Vec<Honest> {
    let child = Story::new().alice_child;
    let rekey = |esp_text: &str, ke: Option<Payload>| {
        let about = Some((Protocol::Esp, child.to_be_bytes().to_vec()));
        let mut payloads = vec![
            Payload::Notify(Notify { about, kind: NotifyKind::RekeySa, data: Vec::new() }),
            esp(esp_text),
            Payload::Nonce(vec![1; 32]),
        ];
        payloads.extend(ke);
        payloads.extend([Payload::TsInitiator(everything()), Payload::TsResponder(everything())]);
        payloads
    };
    let answer = || {
        vec![
            esp("aes128gcm16-x25519"),
            Payload::Nonce(vec![1; 32]),
            ke(),
            Payload::TsInitiator(everything()),
            Payload::TsResponder(everything()),
        ]
    };
    let next_ike = |nonce: u8| {
        let ike = IkeProposal::parse(peer::IKE).unwrap();
        vec![Payload::Sa(offer_ike(&[ike], &[9; 8])), Payload::Nonce(vec![nonce; 32]), ke()]
    };
    let create = |payloads: &[Payload]| step(kind::CREATE_CHILD_SA, payloads);
    let inform = |payloads: &[Payload]| step(kind::INFORMATIONAL, payloads);
    let no = |kind, data: &[u8]| step(kind::ANSWER, &[notify(kind, data.to_vec())]);
    let grace = || written(kind::TIME, 6, &[]);
    let (first, delete) = plain(&[delete_esp(child)]);
    vec![
        ("a login", vec![step(kind::PROVEN, &wishes())], [2, 2, 2, 2]),
        ("a login without a child", vec![step(kind::PROVEN, &[])], [2, 1, 1, 2]),
        ("a login without a proof", vec![step(kind::LOGIN, &wishes())], [1, 1, 1, 1]),
        ("a child rekeyed", vec![create(&rekey(ESP, None))], [1, 1, 2, 1]),
        ("a child rekeyed with a key exchange", vec![create(&rekey("aes128gcm16-x25519", Some(ke())))], [1, 1, 2, 1]),
        ("one more child", vec![create(&rekey(ESP, None)[1..])], [1, 1, 2, 1]),
        ("an IKE SA rekeyed", vec![create(&next_ike(1))], [1, 1, 1, 2]),
        ("the old one deleted", vec![create(&next_ike(1)), inform(&[delete_ike()])], [1, 1, 1, 1]),
        ("an IKE SA deleted", vec![inform(&[delete_ike()])], [0, 0, 0, 0]),
        ("a child deleted", vec![inform(&[delete_esp(child)]), grace()], [1, 1, 0, 1]),
        (
            "a child deleted in fragments, from elsewhere",
            vec![
                written(kind::FRAGMENT, 0, &[&[2, 2], &delete[5..]].concat()),
                written(kind::FRAGMENT | kind::FROM_ELSEWHERE, first, &[&[1, 2], &delete[..5]].concat()),
                grace(),
            ],
            [1, 1, 0, 1],
        ),
        ("a sign of life", vec![written(kind::TIME, 40, &[]), written(kind::ANSWER, 0, &[])], [1, 1, 1, 1]),
        ("our rekey of a child", vec![order(1), step(kind::ANSWER, &answer())], [1, 1, 2, 1]),
        ("our one more child", vec![order(3), step(kind::ANSWER, &answer())], [1, 1, 2, 1]),
        ("our rekey of an IKE SA", vec![order(0), step(kind::ANSWER, &next_ike(1))], [1, 1, 1, 2]),
        ("our rekey of a child put off", vec![order(1), no(NotifyKind::TemporaryFailure, &[])], [1, 1, 1, 1]),
        ("our rekey of a child refused", vec![order(1), no(NotifyKind::NoAdditionalSas, &[])], [1, 1, 1, 1]),
        (
            "our rekey of a child in another group",
            vec![order(1), no(NotifyKind::InvalidKePayload, &[0, 31]), step(kind::ANSWER, &answer())],
            [1, 1, 2, 1],
        ),
        (
            "our rekey of a child that is gone",
            vec![order(1), no(NotifyKind::ChildSaNotFound, &[]), step(kind::ANSWER, &answer())],
            [1, 1, 2, 1],
        ),
        ("our rekey of an IKE SA put off", vec![order(0), no(NotifyKind::TemporaryFailure, &[])], [1, 1, 1, 1]),
        (
            "both rekey the IKE SA",
            vec![order(0), create(&next_ike(0)), step(kind::ANSWER, &next_ike(255))],
            [1, 1, 1, 3],
        ),
        (
            "both rekey the child",
            vec![order(1), create(&rekey(ESP, None)), step(kind::ANSWER, &answer())],
            [1, 1, 3, 1],
        ),
        ("an answer in a new IKE SA", vec![order(6), inform(&[delete_esp(child)]), grace()], [1, 1, 0, 2]),
        ("our deletion of a child", vec![order(2), step(kind::ANSWER, &[delete_esp(child)]), grace()], [1, 1, 0, 1]),
        ("our farewell", vec![order(5), written(kind::ANSWER, 0, &[])], [0, 0, 0, 0]),
    ]
}

#[test]
fn what_honest_peers_do_gets_as_far_as_it_should() {
    for (name, steps, expected) in stories() {
        let mut story = Story::new();
        story.tell(&steps.concat());
        let held = story.world.engine.holdings();
        let children = story.world.dataplane.tunnels.values().map(|tunnel| tunnel.inbound.len()).sum();
        assert_eq!([held.sessions, held.tunnels, children, held.ike_sas - held.half_open], expected, "{name}");
        story.end();
    }
}
