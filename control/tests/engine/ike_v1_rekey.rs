//! What goes on in a session by IKEv1: quick modes by either end, another phase 1, deletes; two real engines, packets
//! flowing, and a network that loses chosen messages.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::aaa::{Rejection, Verdict, Why};
use adit_control::config::checked::*;
use adit_control::ike::engine::{Engine, Mode};
use adit_control::session::{SessionId, SessionState};
use peer::calls::*;
use peer::line::{CALLER, HEADEND, Line};
use peer::v1::login_v1;
use std::time::Duration;

const MODES: [Mode; 2] = [Mode::Aggressive, Mode::Main];

/// Longer than an ISAKMP SA that was replaced, or an ESP SA that its peer should delete, stays.
const AFTERWARDS: Duration = Duration::from_secs(70);

fn logged_in(method: Method, mode: Mode, spoil: impl FnOnce(&mut [Config; 2])) -> (Line, SessionId) {
    let mut configs = without_native_esp(configs(method));
    for config in &mut configs {
        config.ike.dpd_delay = Duration::ZERO;
    }
    spoil(&mut configs);
    let mut line = connect(configs);
    let id = line.call(call(method, mode));
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
    line.pass_with_traffic(Duration::from_millis(100));
    (line, id)
}

fn up() -> (Line, SessionId) {
    logged_in(Method::XauthPsk, Mode::Aggressive, |_| {})
}

/// The one session of an end.
fn session(line: &Line, end: usize) -> SessionId {
    let mut sessions = line.ends[end].engine.sessions(line.now);
    sessions.retain(|session| session.state == SessionState::Up && !session.addresses.is_empty());
    let [one] = &sessions[..] else { panic!("{sessions:#?}") };
    SessionId(one.id.strip_prefix('s').unwrap().parse().unwrap())
}

fn rekey(line: &mut Line, end: usize) {
    let id = session(line, end);
    line.at(end, |engine, now| engine.rekey_children(now, id));
}

fn renew(line: &mut Line) {
    let id = session(line, CALLER);
    line.at(CALLER, |engine, now| engine.rekey_ike(now, id));
}

/// What each end sends on.
fn sent_on(line: &Line) -> Vec<u32> {
    line.ends.iter().flat_map(|end| end.dataplane.outbound().map(|sa| sa.spi)).collect()
}

#[test]
fn either_end_rekeys_by_a_quick_mode_and_no_packet_is_lost() {
    for end in [CALLER, HEADEND] {
        for method in [Method::XauthPsk, Method::Psk] {
            let (mut line, id) = logged_in(method, Mode::Main, |configs| {
                for config in configs {
                    config.connections[0].esp_proposals = vec![EspProposal::parse("aes128gcm16-ecp256").unwrap()];
                }
            });
            let before = sent_on(&line);
            rekey(&mut line, end);
            line.pass_with_traffic(Duration::from_secs(10));
            line.assert_mirrored(1);
            assert!(sent_on(&line).iter().all(|spi| !before.contains(spi)), "{:#?}", line.ladder);
            line.lose.clear();
            line.logout(id);
        }
    }
}

#[test]
fn a_quick_mode_survives_the_loss_of_each_of_its_messages_by_either_end() {
    for end in [CALLER, HEADEND] {
        for lost in 0..6 {
            let (mut line, id) = up();
            line.lose.insert(line.sent + lost);
            rekey(&mut line, end);
            line.pass(Duration::from_secs(20));
            line.pass_with_traffic(AFTERWARDS);
            line.assert_mirrored(1);
            line.lose.clear();
            line.logout(id);
        }
    }
}

// initiator --> HDR*, HASH(1), SA, Ni, IDci, IDcr
// responder <-- HDR*, HASH(2), SA, Nr, IDci, IDcr
// initiator --> HDR*, HASH(3)                        (lost)
// responder <-- HDR*, HASH(2), SA, Nr, IDci, IDcr    again
// initiator --> HDR*, HASH(3)                        again
#[test]
fn a_second_message_is_repeated_until_the_third_or_a_packet_shows_that_it_came() {
    for end in [CALLER, HEADEND] {
        let (mut line, id) = up();
        line.lose.insert(line.sent + 2);
        rekey(&mut line, end);
        line.pass(Duration::from_secs(1));
        let old = sent_on(&line);
        line.pass(Duration::from_secs(3));
        let new = sent_on(&line);
        assert_ne!(old, new, "the other end sends on the new SA as well: {:#?}", line.ladder);
        let sent = line.sent;
        line.pass(Duration::from_secs(40));
        assert!(line.sent <= sent + 1, "and nothing is repeated any more: {:#?}", line.ladder);
        line.pass(AFTERWARDS);
        line.assert_mirrored(1);
        line.lose.clear();
        line.logout(id);
    }
}

#[test]
fn quick_modes_of_both_ends_at_once_leave_one_sa_whichever_message_is_lost() {
    for offset in [0, 5, 9, 11, 15, 21, 25] {
        for lost in std::iter::once(None).chain((0..10).map(Some)) {
            for first in [CALLER, HEADEND] {
                let (mut line, id) = up();
                line.lose.extend(lost.map(|lost| line.sent + lost));
                rekey(&mut line, first);
                line.pass(Duration::from_millis(offset));
                rekey(&mut line, 1 - first);
                line.pass(Duration::from_secs(20));
                line.pass_with_traffic(Duration::from_secs(3));
                line.pass(AFTERWARDS);
                line.assert_mirrored(1);
                line.lose.clear();
                line.logout(id);
            }
        }
    }
}

// A new phase 1, XAUTH, and a question for the address that is here already: the headend goes on with the session under
// the new ISAKMP SA, and no ESP SA changes.
#[test]
fn another_phase_1_takes_the_session_over_while_packets_flow() {
    for method in Method::ALL {
        for mode in MODES {
            let (mut line, id) = logged_in(method, mode, |_| {});
            let (ike, esp) = (line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone(), sent_on(&line));
            renew(&mut line);
            line.pass_with_traffic(AFTERWARDS);
            line.assert_mirrored(1);
            assert_eq!(session(&line, CALLER), id, "it is the same session");
            assert_ne!(line.ends[CALLER].engine.sessions(line.now)[0].ike_spis, ike, "{method:?} {mode:?}");
            assert_eq!(sent_on(&line), esp, "and the same SAs");
            let records = line.ends[HEADEND].dataplane.records.len();
            assert!(records <= 1, "the books go on");
            line.lose.clear();
            line.logout(id);
        }
    }
}

#[test]
fn another_phase_1_survives_the_loss_of_each_of_its_messages() {
    for (method, mode, messages) in [(Method::XauthPsk, Mode::Main, 12), (Method::Psk, Mode::Aggressive, 5)] {
        for lost in 0..messages {
            let (mut line, id) = logged_in(method, mode, |_| {});
            let ike = line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone();
            line.lose.insert(line.sent + lost);
            renew(&mut line);
            line.pass_with_traffic(AFTERWARDS);
            line.assert_mirrored(1);
            assert_ne!(line.ends[CALLER].engine.sessions(line.now)[0].ike_spis, ike, "{lost} {:#?}", line.ladder);
            line.lose.clear();
            line.logout(id);
        }
    }
}

#[test]
fn a_session_is_renewed_before_its_isakmp_sa_ends_and_for_as_long_as_it_lasts() {
    let (mut line, id) = logged_in(Method::XauthPsk, Mode::Aggressive, |configs| {
        for config in configs {
            config.ike.rekey_time = Duration::from_secs(300);
            config.esp.rekey.time = Some(Duration::from_secs(170));
        }
    });
    let mut isakmp = std::collections::BTreeSet::new();
    for _ in 0..20 {
        line.pass_with_traffic(Duration::from_secs(100));
        isakmp.insert(line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone());
    }
    assert!(isakmp.len() >= 6, "{isakmp:?}");
    line.pass(Duration::from_secs(1));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up));
    line.lose.clear();
    line.logout(id);
}

#[test]
fn a_renewal_that_is_refused_is_tried_again_until_the_isakmp_sa_ends() {
    let (mut line, id) = logged_in(Method::XauthPsk, Mode::Main, |configs| {
        configs[CALLER].ike.rekey_time = Duration::from_secs(300);
    });
    line.judge = |_| Verdict::Reject(Rejection { why: Why::WrongPassword, message: None });
    line.pass_with_traffic(Duration::from_secs(340));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "the old one is good for a while");
    assert!(line.ends[CALLER].engine.counters().refusals >= 1);
    line.pass(Duration::from_secs(40));
    assert_eq!(line.ends[CALLER].engine.state(id), None);
    line.pass(Duration::from_secs(200));
    line.assert_nothing_left();
}

/// The headend has forgotten the session, and somebody else has its address.
#[test]
fn a_renewal_that_leads_to_another_address_ends_the_session() {
    let (mut line, id) = up();
    let old = session(&line, HEADEND);
    // The caller does not hear of it.
    line.lose.extend(line.sent..line.sent + 1);
    line.at(HEADEND, |engine, now| engine.disconnect(now, old));
    let mut other = call(Method::XauthPsk, Mode::Main);
    let address = line.ends[CALLER].engine.told(id).unwrap().address;
    other.want.v4 = adit_control::lease::Ask::Rather(address);
    other.v1.user.as_mut().unwrap().user = "bob".to_owned();
    for path in [&mut other.path, &mut other.natt] {
        path.local.set_port(path.local.port() + 7);
    }
    let bob = line.login(other);
    assert_eq!(line.ends[CALLER].engine.told(bob).unwrap().address, address);
    line.at(CALLER, |engine, now| engine.rekey_ike(now, id));
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), None, "{:#?}", line.ladder);
    assert_eq!(line.ends[HEADEND].engine.sessions(line.now).len(), 1);
    line.logout(bob);
}

#[test]
fn a_quick_mode_and_another_phase_1_at_once_leave_one_of_each_whichever_message_is_lost() {
    for offset in [0, 5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105] {
        for lost in std::iter::once(None).chain((0..16).map(Some)) {
            for rekeys in [CALLER, HEADEND] {
                let (mut line, id) = up();
                line.lose.extend(lost.map(|lost| line.sent + lost));
                renew(&mut line);
                line.pass(Duration::from_millis(offset));
                rekey(&mut line, rekeys);
                line.pass(Duration::from_secs(20));
                line.pass_with_traffic(Duration::from_secs(3));
                line.pass(AFTERWARDS * 2);
                line.assert_mirrored(1);
                line.lose.clear();
                line.logout(id);
            }
        }
    }
}

#[test]
fn an_esp_sa_that_either_end_deletes_is_made_anew_by_who_has_called() {
    for end in [CALLER, HEADEND] {
        let (mut line, id) = up();
        let before = sent_on(&line);
        let spi_in = line.ends[end].dataplane.added.last().copied().unwrap();
        let of = session(&line, end);
        line.at(end, |engine, now| engine.delete_child(now, of, spi_in));
        line.pass(Duration::from_secs(10));
        line.assert_mirrored(1);
        assert!(sent_on(&line).iter().all(|spi| !before.contains(spi)));
        line.pass_with_traffic(Duration::from_secs(1));
        line.lose.clear();
        line.logout(id);
    }
}

#[test]
fn both_ends_may_say_goodbye_at_once_and_a_goodbye_that_is_lost_is_found_out() {
    let (mut line, _) = up();
    line.at(CALLER, Engine::shut_down);
    line.at(HEADEND, Engine::shut_down);
    line.pass(Duration::from_secs(1));
    line.assert_nothing_left();
    for leaves in [CALLER, HEADEND] {
        let (mut line, _) = logged_in(Method::XauthPsk, Mode::Main, |configs| {
            for config in configs {
                config.ike.dpd_delay = Duration::from_secs(10);
            }
        });
        line.lose.insert(line.sent);
        line.at(leaves, Engine::shut_down);
        // Who asks whether we live is told again.
        line.pass(Duration::from_secs(12));
        line.assert_nothing_left();
    }
}

#[test]
fn a_user_who_may_have_one_session_renews_it_all_the_same() {
    let (mut line, id) = logged_in(Method::XauthPsk, Mode::Aggressive, |configs| {
        configs[HEADEND].connections[0].rules.max_logins = Some(1.try_into().unwrap());
    });
    for _ in 0..3 {
        renew(&mut line);
        line.pass_with_traffic(AFTERWARDS);
    }
    line.assert_mirrored(1);
    line.lose.clear();
    line.logout(id);
}

// initiator --> HDR*, HASH(1), SA, Ni, IDci, IDcr
// responder <-- HDR*, HASH(2), SA, Nr, IDci, IDcr        (lost)
// responder <-- HDR*, HASH, D(the older SA)              the operator's
// initiator --> HDR*, HASH(1), SA, Ni, IDci, IDcr        again
#[test]
fn a_quick_mode_goes_on_if_what_it_replaces_is_deleted_meanwhile() {
    let (mut line, id) = up();
    let old = line.ends[HEADEND].dataplane.added.last().copied().unwrap();
    line.lose.insert(line.sent + 1);
    rekey(&mut line, CALLER);
    line.pass(Duration::from_millis(15));
    let of = session(&line, HEADEND);
    line.at(HEADEND, |engine, now| engine.delete_child(now, of, old));
    line.pass(Duration::from_secs(3));
    line.pass_with_traffic(AFTERWARDS);
    line.assert_mirrored(1);
    line.logout(id);
}

/// Its question for the address is lost, and a headend tells whoever says nothing.
#[test]
fn who_logs_in_again_is_not_given_another_address_before_it_could_ask() {
    let (mut line, id) = logged_in(Method::Psk, Mode::Main, |configs| {
        configs[CALLER].ike.retransmit_initial = Duration::from_secs(6);
    });
    line.lose.insert(line.sent + 6);
    renew(&mut line);
    line.pass_with_traffic(AFTERWARDS);
    line.assert_mirrored(1);
    assert_eq!(session(&line, CALLER), id);
    line.logout(id);
}

#[test]
fn a_headend_that_dies_is_found_out_in_either_mode() {
    for mode in MODES {
        let (mut line, id) = logged_in(Method::XauthPsk, mode, |configs| {
            configs[CALLER].ike.dpd_delay = Duration::from_secs(10);
        });
        line.lose.extend(line.sent..line.sent + 1000);
        line.pass(Duration::from_secs(60));
        assert_eq!(line.ends[CALLER].engine.state(id), None, "{:#?}", line.ladder);
    }
}

// client  --> HDR*, HASH(1), SA, Ni, IDci, IDcr
// headend <-- HDR*, HASH(2), SA, Nr, IDci, IDcr          again and again
// headend <-- HDR*, HASH, D(what came of it)
#[test]
fn a_quick_mode_that_is_never_finished_is_told_to_be_over() {
    use adit_control::ike::v1::wire::{Delete, Exchange, Payload, parse_header};
    let mut config = peer::v1::config_v1();
    config.ike.dpd_delay = Duration::ZERO;
    let mut world = peer::World::new(config);
    let mut alice = peer::v1::ClientV1::new("alice", 2);
    let (mut sa, address, old) = alice.connect(&mut world);
    let (unfinished, _third) = alice.quick(&mut world, &mut sa, address);
    let sent = world.pass(Duration::from_secs(61));
    let (last, repeated) = sent.split_last().unwrap();
    assert!((1..=3).contains(&repeated.len()), "{}", repeated.len());
    assert!(repeated.iter().all(|again| parse_header(&again.bytes).unwrap().exchange == Exchange::QuickMode));
    assert_eq!(sa.informed(&last.bytes), [Payload::Delete(Delete::Esp(vec![unfinished.spi_out]))]);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, old.spi_in, "the older one is still good");
}

/// More of them than are waited for.
#[test]
fn a_quick_mode_that_makes_place_for_later_ones_leaves_no_sa() {
    use adit_control::ike::v1::wire::{Delete, Exchange, Payload, parse_header};
    let mut config = peer::v1::config_v1();
    config.ike.dpd_delay = Duration::ZERO;
    let mut world = peer::World::new(config);
    let mut alice = peer::v1::ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let address = peer::v1::address_in(&alice.pull(&mut world, &mut sa));
    let mut quick = |world: &mut peer::World| alice.quick(world, &mut sa, address);
    let unfinished = [quick(&mut world), quick(&mut world), quick(&mut world)];
    let (used, third) = quick(&mut world);
    assert_eq!(world.dataplane.outbound().count(), 0, "none is sent on before its third message");
    world.deliver(&alice.later(third));
    let mut deleted = Vec::new();
    for sent in world.pass(Duration::from_secs(130)) {
        if parse_header(&sent.bytes).unwrap().exchange == Exchange::Informational
            && let [Payload::Delete(Delete::Esp(spis))] = &sa.informed(&sent.bytes)[..]
        {
            deleted.extend(spis.clone());
        }
    }
    deleted.sort_unstable();
    let mut expected = unfinished.map(|(esp, _)| esp.spi_out);
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert_eq!(world.engine.holdings().spis, 1);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, used.spi_in);
}

// responder --> HDR*, HASH, N(RESPONDER-LIFETIME)        shorter than what was offered
#[test]
fn a_headend_that_wants_a_login_anew_sooner_than_was_offered_gets_it() {
    for method in [Method::XauthPsk, Method::Psk] {
        let (mut line, id) = logged_in(method, Mode::Main, |configs| {
            login_v1(&mut configs[HEADEND]).reauth = Some(Duration::from_secs(120));
        });
        let first = line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone();
        for _ in 0..6 {
            line.pass_with_traffic(Duration::from_secs(100));
        }
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
        assert_ne!(line.ends[CALLER].engine.sessions(line.now)[0].ike_spis, first);
        line.logout(id);
    }
}
