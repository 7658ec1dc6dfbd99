//! IKE fragmentation (RFC 7383), both ways, with the honest initiator and with one that is not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::config::checked::{EspProposal, IkeProposal};
use adit_control::ike::counters::Ignored;
use adit_control::ike::wire::*;
use adit_control::session::SessionId;
use adit_dataplane::contract::{IkeDatagram, Transport};
use bolero::{TypeGenerator, check};
use peer::client::*;
use peer::{World, config};
use std::collections::BTreeMap;
use std::time::Duration;

/// The least that the configuration allows, without the headers of IPv6 and of cTCP.
const SMALL: usize = 576 - 76;

fn small() -> adit_control::config::checked::Config {
    let mut config = config();
    config.ike.fragment_size = 576;
    config
}

fn client() -> Client {
    let mut alice = Client::new("alice@rig", 2);
    alice.first_notifies = vec![NotifyKind::IkeFragmentationSupported];
    alice
}

/// Something to make a message long that nobody minds.
fn ballast(octets: usize) -> Payload {
    Payload::VendorId(vec![0xad; octets])
}

/// The next request, in messages of at most `limit` octets.
fn cut(sa: &mut Sa, limit: usize, exchange: Exchange, payloads: &[Payload]) -> Vec<Vec<u8>> {
    let header = sa.header(exchange, false, sa.next);
    sa.next += 1;
    messages(&sa.ours.seal_in_fragments(limit, &header, payloads)).map(<[u8]>::to_vec).collect()
}

/// What is inside the fragments of an answer, in whatever order they stand.
#[track_caller]
fn joined(sa: &Sa, fragments: &[IkeDatagram]) -> Vec<Payload> {
    let mut pieces = BTreeMap::new();
    let mut first = 0;
    for fragment in fragments {
        let incoming = parse(&fragment.bytes).unwrap();
        let Sealed::Fragment(skf) = incoming.sealed else { panic!("a fragment") };
        assert_eq!((incoming.header.message_id, usize::from(skf.total)), (sa.next - 1, fragments.len()));
        assert!(incoming.header.flags.response && incoming.payloads.is_empty());
        if skf.number == 1 {
            first = skf.sk.first_inner;
        }
        pieces.insert(skf.number, sa.theirs.open_fragment(&skf).unwrap());
    }
    assert_eq!(pieces.len(), fragments.len());
    let plain: Vec<u8> = pieces.into_values().flatten().collect();
    let mut message = build(&sa.header(Exchange::Informational, true, 0), &[]);
    message[16] = first;
    message.extend(plain);
    let len = (message.len() as u32).to_be_bytes();
    message[24..28].copy_from_slice(&len);
    parse(&message).unwrap().payloads
}

fn deliver(world: &mut World, client: &Client, messages: &[Vec<u8>]) -> Vec<IkeDatagram> {
    messages.iter().flat_map(|bytes| world.deliver(&client.on_4500(bytes.clone()))).collect()
}

#[test]
fn a_login_in_fragments_both_ways_with_an_aead_and_with_cbc() {
    for proposal in [peer::IKE, "aes256-sha256-modp2048"] {
        let mut config = small();
        // So many networks that the answer does not fit either.
        config.connections[0].networks = (0..60_u8).map(|n| format!("10.20.{n}.0/24").parse().unwrap()).collect();
        let mut world = World::new(config);
        let mut alice = client();
        alice.ike = vec![IkeProposal::parse(proposal).unwrap()];
        alice.attributes.push(Attribute::IP4_SUBNET);
        let mut keyed = alice.init(&mut world);
        let said = parse(&keyed.response).unwrap().payloads;
        assert!(said.contains(&notify(NotifyKind::IkeFragmentationSupported, vec![])));
        let (spi_in, mut payloads) = alice.auth_payloads(&keyed);
        payloads.push(ballast(1000));
        let request = cut(&mut keyed.sa, SMALL, Exchange::IkeAuth, &payloads);
        assert!(request.len() >= 3 && request.iter().all(|bytes| bytes.len() <= SMALL), "{}", request.len());
        let sent = deliver(&mut world, &alice, &request);
        assert!(sent.len() >= 2, "{} fragments", sent.len());
        assert!(sent.iter().all(|datagram| datagram.bytes.len() <= SMALL));
        let answer = joined(&keyed.sa, &sent);
        let child = alice.logged_in(&world, &keyed, spi_in, &answer);
        assert_eq!(child.configuration.iter().filter(|attribute| attribute.kind == Attribute::IP4_SUBNET).count(), 60);
        let counters = world.engine.counters();
        assert_eq!((counters.logins, counters.messages_joined, counters.messages_cut), (1, 1, 1));

        // What fits goes whole, and what is sealed later is no less secret: another IV for each.
        assert_eq!(alice.ask(&mut world, &mut keyed.sa, Exchange::Informational, &[]), []);
    }
}

#[test]
fn fragments_may_come_in_any_order_and_more_than_once() {
    for order in [[2, 1, 0], [0, 2, 1], [1, 0, 2]] {
        let mut world = World::new(small());
        let mut alice = client();
        let mut keyed = alice.init(&mut world);
        let (spi_in, mut payloads) = alice.auth_payloads(&keyed);
        payloads.push(ballast(1000));
        let request = cut(&mut keyed.sa, SMALL, Exchange::IkeAuth, &payloads);
        assert_eq!(request.len(), 3);
        let mut sent = Vec::new();
        for (index, number) in order.into_iter().enumerate() {
            for _ in 0..=usize::from(index < 2) {
                sent.extend(world.deliver(&alice.on_4500(request[number].clone())));
            }
        }
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert_eq!(world.engine.counters().ignored(Ignored::FragmentRepeated), 2);
        let answer = keyed.sa.answered(Exchange::IkeAuth, &answer.bytes);
        alice.logged_in(&world, &keyed, spi_in, &answer);
        assert_eq!(world.engine.holdings().timers, 1, "no timer waits for the rest of what is whole");
    }
}

/// RFC 7383 section 2.6.1.
#[test]
fn only_the_first_fragment_of_a_repeated_request_gets_the_answer_again() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    let request = cut(&mut sa, SMALL, Exchange::Informational, &[ballast(1100)]);
    let first = deliver(&mut world, &alice, &request);
    assert_eq!(first.len(), 1);
    assert_eq!(deliver(&mut world, &alice, &request), first);
    assert_eq!(world.engine.counters().ignored(Ignored::OldMessageId), 2);
    // One that says to be it and is not.
    let mut forged = request[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(world.deliver(&alice.on_4500(forged)).is_empty());
    // The end of it all in fragments can be asked for again, too.
    let goodbye = cut(&mut sa, SMALL, Exchange::Informational, &[delete_ike(), ballast(1100)]);
    let first = deliver(&mut world, &alice, &goodbye);
    assert_eq!(first.len(), 1);
    assert_eq!(deliver(&mut world, &alice, &goodbye), first);
    world.assert_nothing_left();
}

/// Whoever recorded a first fragment must not have all fragments of the answer sent to a third party.
#[test]
fn the_answer_in_fragments_goes_again_to_where_it_went_before_only() {
    let mut config = small();
    config.connections[0].networks = (0..60_u8).map(|n| format!("10.20.{n}.0/24").parse().unwrap()).collect();
    let mut world = World::new(config);
    let mut alice = client();
    alice.attributes.push(Attribute::IP4_SUBNET);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let sent = world.deliver(&alice.on_4500(request.clone()));
    assert!(sent.len() > 1);
    assert_eq!(world.deliver(&alice.on_4500(request.clone())), sent);
    let mut elsewhere = alice.on_4500(request);
    elsewhere.path.peer.set_ip([203, 0, 113, 7].into());
    assert!(world.deliver(&elsewhere).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::WouldAmplify), 1);
}

/// RFC 7383 section 2.5.2.
#[test]
fn a_message_cut_again_into_smaller_fragments_replaces_the_larger_and_never_the_other_way() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    let large = cut(&mut sa, 500, Exchange::Informational, &[ballast(1100)]);
    sa.next -= 1;
    let less = cut(&mut sa, 300, Exchange::Informational, &[ballast(1100)]);
    assert!(large.len() < less.len());
    assert!(deliver(&mut world, &alice, &large[..1]).is_empty());
    assert!(deliver(&mut world, &alice, &less[..1]).is_empty());
    assert!(deliver(&mut world, &alice, &large).is_empty(), "these never become whole any more");
    assert_eq!(world.engine.counters().ignored(Ignored::FragmentMisfit), large.len() as u64);
    assert_eq!(deliver(&mut world, &alice, &less[1..]).len(), 1);
}

#[test]
fn a_whole_message_ends_the_wait_for_its_fragments() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    let fragments = cut(&mut sa, SMALL, Exchange::Informational, &[ballast(1100)]);
    assert!(deliver(&mut world, &alice, &fragments[1..]).is_empty());
    sa.next -= 1;
    assert_eq!(alice.ask(&mut world, &mut sa, Exchange::Informational, &[]), []);
    assert_eq!(deliver(&mut world, &alice, &fragments[..1]).len(), 1, "its answer again");
    assert_eq!(world.engine.counters().messages_joined, 0);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]);
    world.assert_nothing_left();
}

#[test]
fn fragments_are_held_for_a_while_and_end_with_their_ike_sa() {
    let mut world = World::new(small());
    let mut alice = client();
    let mut keyed = alice.init(&mut world);
    let (_, mut payloads) = alice.auth_payloads(&keyed);
    payloads.push(ballast(1100));
    let request = cut(&mut keyed.sa, SMALL, Exchange::IkeAuth, &payloads);
    assert!(deliver(&mut world, &alice, &request[..2]).is_empty());
    assert_eq!(world.engine.holdings().timers, 2);
    world.pass(Duration::from_secs(20));
    world.assert_nothing_left();

    let (mut sa, _) = alice.login(&mut world);
    let request = cut(&mut sa, SMALL, Exchange::Informational, &[ballast(1100)]);
    assert!(deliver(&mut world, &alice, &request[..2]).is_empty());
    // So that nobody is asked meanwhile.
    for datagram in world.pass(Duration::from_secs(31)) {
        let (id, _) = sa.asked(&datagram.bytes);
        let answer = sa.answer(id, &[]);
        world.deliver(&alice.on_4500(answer));
    }
    assert!(deliver(&mut world, &alice, &request[2..]).is_empty(), "the others are forgotten");
    assert_eq!(deliver(&mut world, &alice, &request).len(), 1);
}

#[test]
fn without_agreement_no_fragment_is_taken_and_none_is_sent() {
    let mut config = small();
    config.connections[0].networks = (0..60_u8).map(|n| format!("10.20.{n}.0/24").parse().unwrap()).collect();
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.attributes.push(Attribute::IP4_SUBNET);
    let mut keyed = alice.init(&mut world);
    assert!(!parse(&keyed.response).unwrap().payloads.contains(&notify(NotifyKind::IkeFragmentationSupported, vec![])));
    let (spi_in, payloads) = alice.auth_payloads(&keyed);
    let fragments = cut(&mut keyed.sa, 200, Exchange::IkeAuth, &payloads);
    assert!(deliver(&mut world, &alice, &fragments).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::FragmentNotAgreed), fragments.len() as u64);
    let request = keyed.sa.next - 1;
    keyed.sa.next = request;
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let sent = world.deliver(&alice.on_4500(request));
    let [answer] = &sent[..] else { panic!("one message, not {}", sent.len()) };
    assert!(answer.bytes.len() > SMALL);
    let answer = keyed.sa.answered(Exchange::IkeAuth, &answer.bytes);
    alice.logged_in(&world, &keyed, spi_in, &answer);
}

#[test]
fn a_rekeyed_ike_sa_takes_fragments_too_and_so_do_our_own_requests() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut old, child) = alice.login(&mut world);
    let mut sa = alice.rekey_ike(&mut world, &mut old);
    alice.ask(&mut world, &mut old, Exchange::Informational, &[delete_ike()]);
    let spi_in = 0x4242;
    let esp = [EspProposal::parse(peer::ESP).unwrap()];
    let mut payloads = rekey_payloads(&child, &esp, spi_in, &[3; 32], None);
    payloads.push(ballast(1100));
    let request = cut(&mut sa, SMALL, Exchange::CreateChildSa, &payloads);
    let sent = deliver(&mut world, &alice, &request);
    let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
    assert!(matches!(sa.answered(Exchange::CreateChildSa, &answer.bytes)[0], Payload::Sa(_)));

    // We ask whether it lives; the answer comes in fragments.
    let asked = world.pass(Duration::from_secs(30));
    let (id, _) = sa.asked(&asked[0].bytes);
    let header = sa.header(Exchange::Informational, true, id);
    let answer = sa.ours.seal_in_fragments(SMALL, &header, &[ballast(1100)]);
    assert!(world.engine.poll_timeout().is_some());
    let before = world.engine.counters().messages_joined;
    for fragment in messages(&answer) {
        assert!(world.deliver(&alice.on_4500(fragment.to_vec())).is_empty());
    }
    assert_eq!(world.engine.counters().messages_joined, before + 1);
    assert!(world.pass(Duration::from_secs(29)).is_empty(), "it lives");
}

#[test]
fn no_message_is_put_together_that_is_larger_than_the_limits() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    // 65 fragments are one too many.
    let many = cut(&mut sa, 100, Exchange::Informational, &[ballast(64 * 39)]);
    assert!(many.len() > 64, "{}", many.len());
    assert!(deliver(&mut world, &alice, &many).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::FragmentsTooMany), many.len() as u64);
    sa.next -= 1;
    // 32 KiB with the payload's header are not too much …
    let most = cut(&mut sa, 1200, Exchange::Informational, &[ballast((32 << 10) - 4)]);
    assert_eq!(deliver(&mut world, &alice, &most).len(), 1);
    // … and an octet more is.
    let large = cut(&mut sa, 1200, Exchange::Informational, &[ballast((32 << 10) - 3)]);
    assert!(large.len() <= 64 && deliver(&mut world, &alice, &large).is_empty());
}

#[test]
fn no_changed_octet_of_a_fragment_has_an_effect() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    let request = cut(&mut sa, SMALL, Exchange::Informational, &[ballast(1100)]);
    assert!(deliver(&mut world, &alice, &request[..2]).is_empty());
    let held = world.engine.holdings();
    for at in 0..request[2].len() {
        for bit in 0..8 {
            let mut bad = request[2].clone();
            bad[at] ^= 1 << bit;
            let sent = world.deliver(&alice.on_4500(bad));
            assert!(
                sent.iter().all(|said| said.bytes.len() == 36),
                "octet {at}, bit {bit}: at most a clear notification"
            );
            assert_eq!(world.engine.holdings(), held, "octet {at}, bit {bit}");
        }
    }
    assert_eq!(deliver(&mut world, &alice, &request[2..]).len(), 1);
}

/// One delivery: which message, cut how, which fragment, spoilt or not.
#[derive(Debug, Clone, Copy, TypeGenerator)]
struct Piece {
    finer: bool,
    number: u8,
    spoilt: u8,
}

/// The dull twin keeps sets of numbers; an answer must come exactly when it says so.
#[test]
fn any_order_of_fragments_is_answered_when_they_are_all_there_and_not_before() {
    check!(name = "fragments").with_type::<Vec<Piece>>().with_max_len(256).for_each(|pieces| {
        let mut world = World::new(small());
        let mut alice = client();
        let (mut sa, _) = alice.login(&mut world);
        let coarse = cut(&mut sa, 500, Exchange::Informational, &[ballast(1100)]);
        sa.next -= 1;
        let fine = cut(&mut sa, 300, Exchange::Informational, &[ballast(1100)]);
        let (mut total, mut have, mut answered) = (0, std::collections::BTreeSet::new(), false);
        for piece in pieces.iter().take(60) {
            let set = if piece.finer { &fine } else { &coarse };
            let number = usize::from(piece.number) % set.len();
            let mut bytes = set[number].clone();
            let spoilt = piece.spoilt > 200;
            if spoilt {
                *bytes.last_mut().unwrap() ^= 1;
            }
            let expected = if spoilt {
                false
            } else if answered {
                number == 0
            } else {
                if set.len() > total {
                    total = set.len();
                    have.clear();
                }
                if set.len() == total {
                    have.insert(number);
                }
                answered = have.len() == total;
                answered
            };
            let sent = world.deliver(&alice.on_4500(bytes));
            assert_eq!(sent.len(), usize::from(expected), "{piece:?}");
        }
        alice.ask_whatever(&mut world, &mut sa, answered);
        world.pass(Duration::from_secs(1000));
        world.assert_nothing_left();
    });
}

impl Client {
    /// The session goes on, whatever has become of the fragments.
    fn ask_whatever(&self, world: &mut World, sa: &mut Sa, answered: bool) {
        if !answered {
            sa.next -= 1;
        }
        assert_eq!(self.ask(world, sa, Exchange::Informational, &[]), []);
    }
}

#[test]
fn a_request_that_comes_again_in_fragments_by_a_transport_that_is_closed_is_not_answered() {
    let mut world = World::new(small());
    let mut alice = client();
    let (mut sa, _) = alice.login(&mut world);
    let request = cut(&mut sa, SMALL, Exchange::Informational, &[ballast(1000)]);
    assert!(request.len() > 1);
    assert_eq!(deliver(&mut world, &alice, &request).len(), 1);
    assert_eq!(deliver(&mut world, &alice, &request[..1]).len(), 1, "the answer may have been lost");
    world.engine.close_transport(world.now, SessionId(1), Transport::NatT, Duration::from_secs(60), "root").unwrap();
    world.drain();
    assert_eq!(deliver(&mut world, &alice, &request), []);
    assert_eq!(world.engine.counters().ignored(Ignored::TransportClosed), 1);
}
