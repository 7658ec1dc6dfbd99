//! IKEv1 against whoever sits on the way and changes one octet of one message, and against a peer that has all keys and
//! lies. A small model says what may come of it; whatever it is, the headend has nothing left after a while, and the
//! next honest login is none the worse.
//!
//! What is in the clear may be changed unnoticed until phase 1's proof: each such change is played from the beginning.
//! What is sealed must not be: all its changes are played before the honest message, into one world.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::aaa::{Challenge, ChallengeState, Verdict, Why};
use adit_control::config::checked::*;
use adit_control::ike::v1::wire::*;
use adit_control::pki::{Authorities, OwnCertificate};
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{Event, IkeDatagram, WorkerId};
use mode_config_number as number;
use peer::World;
use peer::v1::attempt::{Attempt, Change, End, Phase1};
use peer::v1::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for whatever waits for anything.
const FOR_EVER: Duration = Duration::from_secs(200_000);

fn client(mode: Phase1) -> ClientV1 {
    let mut client = ClientV1::new("alice", 2);
    client.pfs = Some(KexGroup::Ecp256);
    // Main mode's answers are shorter than its questions in any case.
    if mode == Phase1::Aggressive {
        client.vendors.push(Vendor::CiscoClient);
    }
    client
}

/// How the client proves itself in phase 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Secret,
    Certificate,
    Hybrid,
}

macro_rules! pem_file {
    ($name:literal) => {
        include_bytes!(concat!("../pki/", $name)).as_slice()
    };
}

fn own(chain: &[u8], key: &[u8]) -> Arc<OwnCertificate> {
    Arc::new(OwnCertificate::from_pem(chain, &SecretBytes::from(key)).unwrap())
}

impl Proof {
    fn world(self) -> World {
        let mut config = config_v1();
        let auth = match self {
            Self::Secret => return World::new(config),
            Self::Certificate => {
                let authorities = Arc::new(Authorities::from_pem(pem_file!("authority.pem")).unwrap());
                AuthV1::XauthRsa { authorities, xauth: xauth() }
            }
            Self::Hybrid => AuthV1::Hybrid { secret: peer::PSK.into(), xauth: xauth() },
        };
        config.connections[0].remote_ids.push(IdPattern::parse("alice@rig").unwrap());
        config.certificate = Some(own(pem_file!("headend.pem"), pem_file!("headend.key")));
        login_v1(&mut config).auth = auth;
        let mut world = World::new(config);
        // 2030: all certificates are valid.
        world.engine.set_time_of_day(Duration::from_secs(1_893_456_000));
        world
    }

    fn attempt(self, world: &mut World, mode: Phase1) -> Attempt<'_> {
        let mut attempt = Attempt::new(world, client(mode));
        match self {
            Self::Secret => return attempt,
            Self::Certificate => {
                attempt.client.method = AuthMethod::XauthInitRsa;
                let chain = [pem_file!("alice.pem"), pem_file!("office.pem")].concat();
                attempt.certificate = Some(own(&chain, pem_file!("alice.key")));
            }
            Self::Hybrid => attempt.client.method = AuthMethod::HybridInitRsa,
        }
        attempt.client.group = Id::parse("alice@rig").unwrap();
        attempt
    }
}

/// Messages on the line, by number.
fn name(mode: Phase1, message: usize) -> &'static str {
    match (mode, message) {
        (_, 0) => "1st",
        (_, 1) => "2nd",
        (_, 2) => "3rd",
        (Phase1::Main, 3) => "4th",
        (Phase1::Main, 4) => "5th",
        (Phase1::Main, 5) => "6th",
        _ => "later",
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// A changed octet in phase 1.

/// Where an octet of a message in the clear stands.
fn place(message: &[u8], at: usize) -> String {
    match at {
        0..8 => return "initiator cookie".to_owned(),
        8..16 => return "responder cookie".to_owned(),
        16 => return "next payload".to_owned(),
        17 => return "version".to_owned(),
        18 => return "exchange".to_owned(),
        19 => return "flags".to_owned(),
        20..24 => return "message ID".to_owned(),
        24..28 => return "length".to_owned(),
        _ => {}
    }
    if message[19] & 1 == 1 {
        // The two blocks that HASH_I stands in; main mode's proof is all of its message.
        return if message[18] == 4 && at >= 28 + 32 { "behind the HASH" } else { "sealed" }.to_owned();
    }
    let (mut kind, mut start) = (message[16], 28);
    loop {
        let length = usize::from(u16::from_be_bytes([message[start + 2], message[start + 3]]));
        let name = match kind {
            1 => "SA",
            4 => "KE",
            5 => "ID",
            8 => "HASH",
            10 => "NONCE",
            13 => "VID",
            20 | 130 => "NAT-D",
            other => panic!("payload {other}"),
        };
        match at - start {
            offset if offset >= length => (kind, start) = (message[start], start + length),
            0 => return format!("next payload in {name}"),
            1..4 => return format!("header of {name}"),
            _ => return name.to_owned(),
        }
    }
}

/// Few values, another few for each octet, so that over a field every bit is turned.
fn few_values(at: usize, octet: u8) -> impl Iterator<Item = u8> {
    [octet ^ 1 << (at % 8), octet ^ 0x80 >> (at % 5), !octet].into_iter().collect::<BTreeSet<u8>>().into_iter()
}

/// Plays a login with every change of the `message`th message. How they end, and where the octets stand that lead there.
fn every_change(mode: Phase1, message: usize) -> BTreeMap<End, BTreeSet<String>> {
    let honest = {
        let mut world = World::new(config_v1());
        let mut attempt = Attempt::new(&mut world, client(mode));
        assert_eq!(attempt.run(mode), End::Connected);
        attempt.passed.swap_remove(message)
    };
    let mut ends = BTreeMap::<End, BTreeSet<String>>::new();
    for (at, octet) in honest.iter().enumerate() {
        for value in few_values(at, *octet) {
            let change = Change { message, at, value };
            let mut world = World::new(config_v1());
            let mut attempt = Attempt::new(&mut world, client(mode));
            attempt.change = Some(change);
            let end = attempt.run(mode);
            ends.entry(end).or_default().insert(place(&honest, at));
            let told = format!("{mode:?} {} {}: {change:?} {end:?}", name(mode, message), place(&honest, at));
            let held = world.engine.holdings();
            let tunnels = match end {
                End::Connected | End::AtLast => 1..=1,
                // A vendor ID was changed, and the client misses what it says: DPD, for one.
                End::Stuck => 0..=1,
                End::RefusedByClient | End::Silence => 0..=0,
            };
            assert!(tunnels.contains(&held.tunnels) && held.leases == held.tunnels, "{told}: {held:?}");
            assert!(held.sessions <= 1 && held.half_open <= 2, "{told}: {held:?}");
            if end == End::Silence {
                assert_eq!(held.questions, 0, "{told}");
            }
            world.assert_books_agree();
            world.pass(FOR_EVER);
            world.assert_nothing_left();
            // Every now and then: the next login is none the worse.
            if at % 16 == 0 {
                let mut attempt = Attempt::new(&mut world, client(mode));
                assert_eq!(attempt.run(mode), End::Connected, "{told}");
            }
        }
    }
    ends
}

/// Octets of the client's messages, by where they stand: those that anybody can change unnoticed, and those by which
/// anybody can spoil a login, so that the client has to begin another.
///
/// Unnoticed, in every message: the minor version and the flags that mean nothing, which nobody looks at.
/// - VID, and the octet before it that says what it is: no proof of phase 1 covers vendor IDs (RFC 2409 section 5).
///   Who hides one makes both ends do without what it announces.
/// - NAT-D of main mode's third message: RFC 3947 leaves it uncovered. A NAT is seen where none is, or none where one is.
/// - What stands behind HASH_I in aggressive mode's third message: NAT-D and INITIAL-CONTACT, sealed but not covered.
///
/// Spoiled: the first of two messages that make different keys is the one that is answered, and the honest one that
/// comes later is another (SA, ID, nonce); and all that follows is encrypted from the last block of phase 1, so a change
/// in aggressive mode's last block is found by the client.
#[test]
fn a_changed_octet_of_phase_1_is_found_by_the_proof_or_stands_where_no_proof_reaches() {
    for (mode, message, unnoticed, spoiled) in [
        (Phase1::Aggressive, 0, &["VID", "next payload in ID", "next payload in VID"][..], &["ID", "NONCE", "SA"][..]),
        (Phase1::Aggressive, 2, &["behind the HASH"], &["behind the HASH"]),
        (Phase1::Main, 0, &["VID", "next payload in SA", "next payload in VID"], &["SA"]),
        (Phase1::Main, 2, &["NAT-D", "next payload in NAT-D", "next payload in NONCE"], &["NONCE"]),
        (Phase1::Main, 4, &[], &[]),
    ] {
        let mut ends = every_change(mode, message);
        let mut places = |end| ends.remove(&end).unwrap_or_default().into_iter();
        let header = ["flags", "version"];
        let connected: BTreeSet<String> = places(End::Connected).filter(|at| !header.contains(&at.as_str())).collect();
        assert_eq!(connected.iter().collect::<Vec<_>>(), unnoticed, "{mode:?}, message {message}: unnoticed");
        let lost: BTreeSet<String> = places(End::RefusedByClient).chain(places(End::Silence)).collect();
        assert_eq!(lost.iter().collect::<Vec<_>>(), spoiled, "{mode:?}, message {message}: spoiled");
        // Who does not hear of DPD does not ask.
        let vendors: Vec<String> = places(End::Stuck).collect();
        assert!(vendors.iter().all(|at| at.ends_with("VID")), "{mode:?}, message {message}: {vendors:?}");
        assert!(places(End::AtLast).count() > 5, "{mode:?}, message {message}: the honest one still counts");
    }
}

/// Four changed ones in each world, for no more are looked at; then the honest one.
#[test]
fn no_changed_octet_of_a_signed_proof_is_taken_for_it() {
    for proof in [Proof::Certificate, Proof::Hybrid] {
        let honest = {
            let mut world = proof.world();
            let mut attempt = proof.attempt(&mut world, Phase1::Main);
            assert_eq!(attempt.run(Phase1::Main), End::Connected, "{proof:?}");
            attempt.passed.swap_remove(4)
        };
        let octets: Vec<usize> = (28..honest.len()).collect();
        for changed in octets.chunks(4).map(<[usize]>::to_vec) {
            let mut world = proof.world();
            world.before = Some(Box::new(move |world, honest| {
                if honest.bytes[19] & 1 == 0 || honest.bytes[20..24] != [0; 4] {
                    return;
                }
                for at in &changed {
                    let mut other = honest.clone();
                    other.bytes[*at] ^= 1 << (at % 8);
                    assert!(world.event(WorkerId(0), Event::Ike(other)).is_empty(), "octet {at}");
                    assert_eq!(world.engine.holdings().sessions, 0, "octet {at}");
                }
            }));
            let mut attempt = proof.attempt(&mut world, Phase1::Main);
            assert_eq!(attempt.run(Phase1::Main), End::Connected, "{proof:?}");
            assert_eq!(attempt.passed[4].len(), honest.len());
        }
    }
}

/// What the client makes of it is the client's affair; the headend's books agree whatever that is.
#[test]
fn a_changed_answer_of_phase_1_leaves_the_headend_with_a_session_or_with_nothing() {
    for (mode, message) in [(Phase1::Aggressive, 1), (Phase1::Main, 1), (Phase1::Main, 3), (Phase1::Main, 5)] {
        let ends = every_change(mode, message);
        assert!(ends.contains_key(&End::Connected) && !ends.contains_key(&End::Stuck), "{ends:?}");
        assert!(ends.contains_key(&End::RefusedByClient) || ends.contains_key(&End::Silence), "{ends:?}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// A changed octet in what is sealed under phase 1's keys.

/// All of the headend that can be seen.
fn state(world: &World) -> impl PartialEq + std::fmt::Debug + use<> {
    let now = world.now;
    let dataplane = &world.dataplane;
    let orders = (dataplane.log.len(), dataplane.questions.len(), dataplane.records.len());
    (world.engine.holdings(), world.engine.sessions(now), world.engine.sas(now), orders, world.engine.poll_timeout())
}

/// Every bit, and the ends; of the exchange, every one that there is.
fn many_values(at: usize, octet: u8) -> impl Iterator<Item = u8> {
    let flips = (0..8).map(move |bit| octet ^ 1 << bit);
    let exchanges = [2, 4, 5, 6, 32, 33].into_iter().filter(move |_| at == 18);
    flips.chain([0, 0xff]).chain(exchanges).filter(move |value| *value != octet)
}

/// What no hash covers and nobody looks at: the minor version, and all flags but the one that says "encrypted". RFC
/// 2409 hashes what stands behind the header, and the message ID; the exchange has to fit what it holds, the cookies
/// lead to the keys.
fn is_looked_at_by_nobody(at: usize, value: u8) -> bool {
    at == 17 && value >> 4 == 1 || at == 19 && value & 1 == 1
}

/// Somebody on the way sends every change of this message first: nothing comes of it, and the honest one still counts.
fn every_octet(world: &mut World, honest: &IkeDatagram) {
    let before = state(world);
    let sealed = honest.bytes[19] & 1 == 1;
    let proof = honest.bytes[20..24] == [0; 4];
    // Every octet of a proof is played elsewhere; few wrong ones are looked at.
    let tried = |at: usize| !proof || (at < 28 && at != 16) || [16, 28, 43].contains(&at);
    for (at, octet) in honest.bytes.iter().enumerate().filter(|(at, _)| sealed && tried(*at)) {
        let most = if proof && (at == 16 || at >= 28) { 1 } else { usize::MAX };
        let values = many_values(at, *octet).filter(|value| !is_looked_at_by_nobody(at, *value));
        for value in values.take(most) {
            let mut changed = honest.clone();
            changed.bytes[at] = value;
            let sent = world.event(WorkerId(0), Event::Ike(changed));
            // As another version of IKE somebody may be told that this is none.
            let octets = sent.iter().map(|answer| answer.bytes.len()).sum::<usize>();
            assert!(sent.is_empty() || at == 17 && octets <= honest.bytes.len(), "octet {at} changed to {value:#04x}");
            assert_eq!(state(world), before, "octet {at} of {} changed to {value:#04x}", honest.bytes.len());
        }
    }
}

fn watched(config: Config) -> World {
    let mut world = World::new(config);
    world.before = Some(Box::new(every_octet));
    world
}

/// Everything that a session can be made of, behind phase 1.
fn whole_session(world: &mut World, client: &mut ClientV1, mut sa: SaV1, question: &[u8]) {
    // XAUTH in three rounds: a wrong password, a challenge, the answer to it.
    client.answer_user(world, &mut sa, question);
    let again = world.reject(Why::WrongPassword);
    client.answer_user(world, &mut sa, &again[0].bytes);
    let state = ChallengeState::new(0, b"state".to_vec());
    let asked = world.judge(Verdict::Challenge(Challenge { message: Some("Token?".to_owned()), state }));
    client.answer_user(world, &mut sa, &asked[0].bytes);
    let told = world.accept();
    let (status, ack) = client.told(&mut sa, &told[0].bytes);
    assert_eq!(status, 1);
    assert!(world.deliver(&client.later(ack)).is_empty());

    // Mode config; quick modes with and without PFS, by the client.
    let address = address_in(&client.pull(world, &mut sa));
    let mut last = None;
    for pfs in [None, Some(KexGroup::Ecp256), Some(KexGroup::Modp2048), None] {
        client.pfs = pfs;
        let (esp, third) = client.quick(world, &mut sa, address);
        assert!(world.deliver(&client.later(third)).is_empty());
        if let Some(old) = last.replace(esp.spi_in) {
            let bytes = sa.inform(client.word() as u32, Payload::Delete(Delete::Esp(vec![old])));
            assert!(world.deliver(&client.later(bytes)).is_empty());
            world.pass(Duration::from_secs(6));
        }
    }
    // DPD, the client's and the headend's.
    client.are_you_there(world, &mut sa);
    let asked = world.pass(Duration::from_secs(30));
    let [Payload::Notify(notify)] = &sa.informed(&asked[0].bytes)[..] else { panic!("one question") };
    let dpd_number = u32::from_be_bytes(notify.data.as_slice().try_into().unwrap());
    let bytes = sa.inform(client.word() as u32, dpd(NotifyKind::RUThereAck, sa.cookies, dpd_number));
    assert!(world.deliver(&client.later(bytes)).is_empty());

    // Quick modes by the headend: without PFS, then with it.
    for pfs in [None, Some(KexGroup::Ecp256)] {
        client.pfs = pfs;
        let (_, third) = client.quick(world, &mut sa, address);
        assert!(world.deliver(&client.later(third)).is_empty());
        let id = world.engine.sessions(world.now)[0].id[1..].parse().unwrap();
        world.pass(Duration::from_secs(6));
        world.engine.rekey_children(world.now, adit_control::session::SessionId(id));
        let asked = world.drain();
        let (header, payloads) = sa.read(&asked[0].bytes);
        assert_eq!(payloads.iter().any(|payload| matches!(payload, Payload::Ke(_))), pfs.is_some());
        let sent = client.answer_quick(world, &mut sa, &header, &payloads);
        assert!(!sent.is_empty(), "the third message");
        world.pass(Duration::from_secs(6));
    }
    // What an error of the client's says.
    let no = Notify { protocol: Protocol::Esp, spi: Vec::new(), kind: NotifyKind::NoProposalChosen, data: Vec::new() };
    let bytes = sa.inform(client.word() as u32, Payload::Notify(no));
    assert!(world.deliver(&client.later(bytes)).is_empty());
    let bytes = sa.delete_isakmp(client.word() as u32);
    assert!(world.deliver(&client.later(bytes)).is_empty());
    world.assert_nothing_left();
}

#[test]
fn no_changed_octet_of_a_sealed_message_has_any_effect_in_aggressive_mode_over_nat_t() {
    let mut world = watched(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let half = alice.aggressive(&mut world);
    let (sa, third) = alice.aggressive_3(half);
    let asks = world.deliver(&alice.later(third));
    whole_session(&mut world, &mut alice, sa, &asks[0].bytes);
    assert!(world.met > 20, "{}", world.met);
}

#[test]
fn no_changed_octet_of_a_sealed_message_has_any_effect_over_nat_t_that_stays_on_port_500() {
    let mut world = watched(config_v1());
    let mut alice = ClientV1::staying("alice", 2, &[NatTraversal::Draft01]);
    let half = alice.aggressive(&mut world);
    let (sa, third) = alice.aggressive_3(half);
    let asks = world.deliver(&alice.later(third));
    whole_session(&mut world, &mut alice, sa, &asks[0].bytes);
    assert!(world.met > 20, "{}", world.met);
}

#[test]
fn no_changed_octet_of_a_sealed_message_has_any_effect_in_main_mode_as_native_esp() {
    let mut world = watched(config_v1());
    let mut alice = ClientV1::plain("alice", 9);
    let (sa, asks) = alice.main_mode(&mut world).unwrap();
    whole_session(&mut world, &mut alice, sa, &asks[0].bytes);
    assert!(world.met > 20, "{}", world.met);
}

#[test]
fn no_changed_octet_has_any_effect_on_a_client_that_is_pushed_to_nor_on_one_that_comes_again() {
    let mut world = watched(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let pushed = world.pass(MOMENT);
    let (message_id, config) = sa.transaction(&pushed[0].bytes);
    let address = address_in(&config);
    let mut ack = config;
    ack.kind = ConfigKind::Ack;
    let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(ack)]);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    let (_, third) = alice.quick(&mut world, &mut sa, address);
    assert!(world.deliver(&alice.later(third)).is_empty());
    // Another phase 1 for the same session, claimed by mode config, then one by quick mode alone.
    alice.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
    let mut second = alice.log_in(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
    let mut third = alice.log_in(&mut world);
    let (_, last) = alice.quick(&mut world, &mut third, address);
    assert!(world.deliver(&alice.later(last)).is_empty());
    for sa in [&mut sa, &mut second] {
        let bytes = sa.delete_isakmp(alice.word() as u32);
        assert!(world.deliver(&alice.later(bytes)).is_empty());
    }
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    let bytes = third.delete_isakmp(alice.word() as u32);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    world.assert_nothing_left();
}

/// See [`is_looked_at_by_nobody`].
#[test]
fn the_minor_version_and_the_flags_without_a_meaning_are_changed_by_anybody_and_read_by_nobody() {
    for (at, value) in [(17, 0x1f), (19, 0xff)] {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::new("alice", 2);
        let mut sa = alice.log_in(&mut world);
        sa.number = 7;
        let mut bytes = sa.inform(9, dpd(NotifyKind::RUThere, sa.cookies, 7));
        bytes[at] = value;
        let sent = world.deliver(&alice.later(bytes));
        assert_eq!(sa.informed(&sent[0].bytes), [dpd(NotifyKind::RUThereAck, sa.cookies, 7)]);
    }
}

#[test]
fn a_changed_fragment_costs_one_repetition_at_most() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    alice.vendors.push(Vendor::Fragmentation);
    let mut sa = alice.log_in(&mut world);
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 3, attributes: alice.asks.clone() };
    let whole = sa.say(Exchange::Transaction, 77, &[Payload::ModeConfig(request)]);
    let header = header(sa.cookies, Exchange::Transaction, 77);
    let pieces: Vec<&[u8]> = whole.chunks(whole.len().div_ceil(3)).collect();
    let fragment = |at: usize| {
        let place = if at + 1 == pieces.len() { FragmentPlace::Last } else { FragmentPlace::Inner };
        build_fragment(&header, &Fragment { id: 5, index: at as u8 + 1, place, data: pieces[at] })
    };
    let fragments: Vec<IkeDatagram> = (0..pieces.len()).map(|at| alice.later(fragment(at))).collect();
    let all = |world: &mut World| fragments.iter().flat_map(|one| world.deliver(one)).collect::<Vec<_>>();
    let stray = Fragment { id: 6, index: 9, place: FragmentPlace::Inner, data: &[1] };
    let another = alice.later(build_fragment(&header, &stray));
    let reply = all(&mut world);
    assert_eq!(reply.len(), 1);
    let before = state(&world);
    let mut at_once = 0;
    let mut rounds = 0;
    for (which, honest) in fragments.iter().enumerate() {
        for (at, octet) in honest.bytes.iter().enumerate() {
            for value in many_values(at, *octet) {
                // Another message's begins what is held anew. Those before it have come, it comes changed.
                assert!(world.deliver(&another).is_empty());
                for earlier in &fragments[..which] {
                    assert!(world.deliver(earlier).is_empty());
                }
                let mut changed = honest.clone();
                changed.bytes[at] = value;
                let heard = world.deliver(&changed);
                assert!(heard.is_empty() || heard == reply || at == 17, "fragment {which}, octet {at}, {value:#04x}");
                assert_eq!(state(&world), before);
                rounds += 1;
                let now = fragments[which..].iter().flat_map(|one| world.deliver(one)).collect::<Vec<_>>();
                if now == reply {
                    at_once += 1;
                } else {
                    let told = format!("fragment {which}, octet {at} changed to {value:#04x}");
                    assert!(now.is_empty(), "{told}");
                    let again = all(&mut world);
                    assert_eq!(again, reply, "{told}");
                }
            }
        }
    }
    assert!(at_once > rounds / 3 && at_once < rounds, "{at_once} of {rounds}");
}

// ---------------------------------------------------------------------------------------------------------------------
// What comes again, and what comes back.

#[test]
fn nothing_that_either_end_has_said_says_it_again_to_the_headend() {
    let mut world = World::new(config_v1());
    let mut attempt = Attempt::new(&mut world, client(Phase1::Aggressive));
    assert_eq!(attempt.run(Phase1::Aggressive), End::Connected);
    let passed = std::mem::take(&mut attempt.passed);
    let mut last = attempt.client;
    // The headend deletes what it has replaced, and has a question open.
    let questions = world.pass(Duration::from_secs(30));
    assert_eq!(questions.len(), 2);
    let (path, sas) = (world.engine.sessions(world.now)[0].peer, world.engine.sas(world.now).len());
    last.seen.set_ip([203, 0, 113, 66].into());
    for bytes in passed.into_iter().chain(questions.into_iter().map(|question| question.bytes)) {
        for datagram in [last.later(bytes.clone()), last.on_500(bytes.clone())] {
            let answers = world.deliver(&datagram);
            let to_stranger = answers.iter().filter(|answer| answer.path.peer != path);
            assert!(to_stranger.map(|answer| answer.bytes.len()).sum::<usize>() <= bytes.len());
        }
    }
    // A first message that comes from elsewhere, by one port or the other, is another first message.
    let held = world.engine.holdings();
    assert_eq!((held.sessions, held.half_open), (1, 2), "{held:?}");
    assert_eq!(world.engine.sessions(world.now)[0].peer, path, "it has not moved");
    assert_eq!(world.engine.sas(world.now).len(), sas);
    // Nor does any of it prove that the peer lives.
    world.pass(Duration::from_secs(100));
    assert_eq!(world.engine.holdings().sessions, 0, "it is found dead");
    world.assert_nothing_left();
}

// ---------------------------------------------------------------------------------------------------------------------
// A peer that has all keys and lies.

/// One of each kind, harmless or not.
fn samples(sa: (IkeSpi, IkeSpi)) -> Vec<Payload> {
    let spi = [sa.0.0.to_be_bytes(), sa.1.0.to_be_bytes()].concat();
    let notify = |kind, data: &[u8]| {
        Payload::Notify(Notify { protocol: Protocol::Isakmp, spi: spi.clone(), kind, data: data.to_vec() })
    };
    let config = |kind, attributes| Payload::ModeConfig(ModeConfig { kind, identifier: 7, attributes });
    let everything = adit_control::ike::narrow::selector_of_net("0.0.0.0/0".parse().unwrap());
    let esp = |spi: &[u8]| Proposal { number: 1, protocol: Protocol::Esp, spi: spi.to_vec(), transforms: Vec::new() };
    let address = vec![asked(number::IP4_ADDRESS), asked(number::UNITY_UDP_PORT)];
    vec![
        Payload::Sa(Vec::new()),
        Payload::Sa(vec![esp(&[0; 4])]),
        Payload::Ke(vec![0; 64]),
        Payload::Ke(vec![4; 256]),
        Payload::Id(Identification::of(Id::parse("mallory@rig").unwrap())),
        Payload::Id(Identification::of_selector(&everything).unwrap()),
        Payload::Certificate(Payload::X509_SIGNATURE, vec![0x30; 40]),
        Payload::CertificateRequest(Payload::X509_SIGNATURE, Vec::new()),
        Payload::Hash(vec![0; 20]),
        Payload::Signature(vec![1; 256]),
        Payload::Nonce(vec![0; 8]),
        Payload::Nonce(vec![0; 256]),
        notify(NotifyKind::InitialContact, &[]),
        notify(NotifyKind::NoProposalChosen, &[]),
        notify(NotifyKind::RUThere, &[0, 0, 0, 9]),
        notify(NotifyKind::RUThereAck, &[0, 0, 0, 9]),
        notify(NotifyKind::PresharedKeyHash, &[0; 20]),
        Payload::Delete(Delete::Esp((0..256).collect())),
        Payload::Delete(Delete::Isakmp(vec![sa, (IkeSpi(1), IkeSpi(2))])),
        Payload::VendorId(Vendor::Fragmentation.octets()),
        config(ConfigKind::Request, address.clone()),
        config(ConfigKind::Reply, vec![Attribute::long(number::XAUTH_USER_NAME, vec![b'x'; 300])]),
        config(ConfigKind::Set, address),
        config(ConfigKind::Ack, vec![Attribute::short(number::XAUTH_STATUS, 0)]),
        Payload::NatD(NatNumbers::Rfc, vec![0; 20]),
        Payload::NatOa(NatNumbers::Draft, [10, 0, 0, 1].into()),
        Payload::Unknown(132, vec![0, 1, 1, 1, 9]),
        Payload::Unknown(200, vec![0; 500]),
    ]
}

/// Of another length, as whatever it is.
fn cut(payload: &Payload, to: impl Fn(usize) -> usize) -> Payload {
    let body = payload_body(payload);
    let number = build(&header((IkeSpi(1), IkeSpi(2)), Exchange::Informational, 1), std::slice::from_ref(payload))[16];
    let mut other = body.clone();
    other.resize(to(body.len()), 0);
    Payload::Unknown(number, other)
}

/// Everything that a liar may say in the place of this.
fn lies(meant: &[Payload], sa: (IkeSpi, IkeSpi)) -> Vec<Vec<Payload>> {
    let mut lies = vec![Vec::new(), meant.iter().rev().cloned().collect()];
    let instead = |at: usize, with: &[Payload]| [&meant[..at], with, &meant[at + 1..]].concat();
    for (at, payload) in meant.iter().enumerate() {
        lies.push(instead(at, &[]));
        lies.push(instead(at, &[payload.clone(), payload.clone()]));
        for to in [|_| 0, |len: usize| len / 2, |len: usize| len.saturating_sub(1), |len: usize| len + 1] {
            lies.push(instead(at, &[cut(payload, to)]));
        }
        // What a vendor ID is replaced by is what it is followed by.
        if !matches!(payload, Payload::VendorId(_)) {
            lies.extend(samples(sa).into_iter().map(|sample| instead(at, &[sample])));
        }
        let mut swapped = meant.to_vec();
        swapped.swap(at, (at + 1) % meant.len());
        lies.push(swapped);
    }
    lies.extend(samples(sa).into_iter().map(|sample| [meant, &[sample]].concat()));
    lies.push(meant.iter().cycle().take(meant.len() * 8).cloned().collect());
    lies
}

/// Plays every lie in the place of each of these messages of the client's.
fn every_lie(proof: Proof, mode: Phase1, messages: impl Fn(usize) -> bool) -> BTreeMap<End, usize> {
    let meant = {
        let mut world = proof.world();
        let mut attempt = proof.attempt(&mut world, mode);
        assert_eq!(attempt.run(mode), End::Connected);
        attempt.meant
    };
    let mut ends = BTreeMap::new();
    for (message, payloads) in meant.iter().enumerate().filter(|(message, _)| messages(*message)) {
        let cookies = (IkeSpi(client(mode).word()), IkeSpi(2));
        for (which, lie) in lies(payloads, cookies).into_iter().enumerate() {
            let mut world = proof.world();
            let mut attempt = proof.attempt(&mut world, mode);
            let say = |_: &[Payload]| lie.clone();
            attempt.lie = Some((message, &say));
            let end = attempt.run(mode);
            *ends.entry(end).or_default() += 1;
            let told = format!("{mode:?}, message {message}, lie {which}: {lie:?} {end:?}");
            let held = world.engine.holdings();
            assert!(
                held.sessions <= 1 && held.half_open <= 2 && held.leases <= 1 && held.tunnels <= 1,
                "{told} {held:?}"
            );
            assert!(held.spis <= 4, "{told}: {held:?}");
            world.assert_books_agree();
            world.dataplane.questions.clear();
            world.pass(FOR_EVER);
            world.assert_nothing_left();
            if which % 16 == 0 {
                let mut attempt = proof.attempt(&mut world, mode);
                assert_eq!(attempt.run(mode), End::Connected, "{told}");
            }
        }
    }
    ends
}

#[test]
fn a_peer_that_has_the_keys_and_lies_leaves_nothing_behind_by_aggressive_mode() {
    let ends = every_lie(Proof::Secret, Phase1::Aggressive, |_| true);
    // Some lies are none, some are found out at once, and some later.
    let all = [End::Connected, End::RefusedByClient, End::Silence, End::Stuck];
    assert_eq!(ends.into_keys().collect::<Vec<_>>(), all);
}

#[test]
fn a_peer_that_has_the_keys_and_lies_leaves_nothing_behind_by_main_mode() {
    let ends = every_lie(Proof::Secret, Phase1::Main, |_| true);
    assert_eq!(ends.into_keys().collect::<Vec<_>>(), [End::Connected, End::Silence, End::Stuck]);
}

#[test]
fn a_peer_that_has_a_certificate_and_lies_leaves_nothing_behind() {
    for proof in [Proof::Certificate, Proof::Hybrid] {
        let ends = every_lie(proof, Phase1::Main, |message| message == 2);
        assert_eq!(ends.into_keys().collect::<Vec<_>>(), [End::Connected, End::Silence], "{proof:?}");
    }
}

/// What phase 2 says without a right hash, though it is sealed with the right keys: nothing.
#[test]
fn whatever_has_no_right_hash_is_not_heard() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, esp) = alice.connect(&mut world);
    let before = state(&world);
    let delete = Payload::Delete(Delete::Isakmp(vec![sa.cookies]));
    let delete_esp = Payload::Delete(Delete::Esp(vec![esp.spi_in]));
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: alice.asks.clone() };
    let ids = ClientV1::quick_ids(address).map(Payload::Id);
    let transforms = vec![alice.esp_offer().transform(1).unwrap()];
    let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi: vec![9; 4], transforms };
    let quick = [&[Payload::Sa(vec![proposal]), Payload::Nonce(vec![7; 20])], &ids[..]].concat();
    for (exchange, payloads) in [
        (Exchange::Informational, vec![delete]),
        (Exchange::Informational, vec![delete_esp]),
        (Exchange::Informational, vec![dpd(NotifyKind::RUThere, sa.cookies, 3)]),
        (Exchange::Transaction, vec![Payload::ModeConfig(request)]),
        (Exchange::QuickMode, quick),
    ] {
        for message_id in [1000, 1001] {
            let behind = build(&header(sa.cookies, exchange, message_id), &payloads)[28..].to_vec();
            let right = sa.keys.hash_1(message_id, &behind).expose().to_vec();
            let other = sa.keys.hash_1(message_id ^ 1, &behind).expose().to_vec();
            let short = right[..right.len() - 1].to_vec();
            let long = [&right[..], &[0]].concat();
            for hash in [Vec::new(), short, long, other, vec![0; right.len()]] {
                let said = [&[Payload::Hash(hash)], &payloads[..]].concat();
                sa.forget_chain(message_id);
                let bytes = sa.seal(exchange, message_id, &said);
                assert!(world.deliver(&alice.later(bytes)).is_empty());
            }
            for said in [
                payloads.clone(),
                [&payloads[..], &[Payload::Hash(right.clone())]].concat(),
                [&[Payload::VendorId(vec![1; 16]), Payload::Hash(right.clone())], &payloads[..]].concat(),
                vec![Payload::Hash(right)],
            ] {
                sa.forget_chain(message_id);
                let bytes = sa.seal(exchange, message_id, &said);
                assert!(world.deliver(&alice.later(bytes)).is_empty());
            }
        }
        assert_eq!(state(&world), before, "{exchange:?}");
    }
    alice.are_you_there(&mut world, &mut sa);
}
