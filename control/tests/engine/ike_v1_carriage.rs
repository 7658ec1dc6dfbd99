//! What a call by IKEv1 travels in, where Cisco's own ways are wanted: two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::*;
use adit_control::ike::engine::{Carriage, Mode};
use adit_control::session::SessionState;
use adit_dataplane::contract::{EspPath, IkeFraming, Path};
use peer::calls::*;
use peer::line::{CALLER, HEADEND, Line};
use std::time::Duration;

fn call_in(carriage: Carriage, mode: Mode) -> adit_control::ike::engine::Call {
    let mut call = call(Method::XauthPsk, mode);
    call.carriage = carriage;
    call
}

fn up(line: &mut Line, carriage: Carriage, mode: Mode) -> adit_control::session::SessionId {
    let id = line.call(call_in(carriage, mode));
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{mode:?} {:#?}", line.ladder);
    line.assert_mirrored(1);
    line.packet(CALLER);
    line.packet(HEADEND);
    id
}

#[test]
fn a_call_by_ctcp_stays_on_its_connection_with_all_that_it_says() {
    for mode in [Mode::Aggressive, Mode::Main] {
        let [mut caller, headend] = configs(Method::XauthPsk);
        caller.listen.ctcp_ports = vec![40_001];
        let mut line = connect([caller, headend]);
        let mut call = call_in(Carriage::Ctcp, mode);
        call.path.local.set_port(40_001);
        call.path.peer.set_port(10_000);
        let path = call.path;
        let id = line.call(call);
        line.pass(Duration::from_secs(5));
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{mode:?} {:#?}", line.ladder);
        line.assert_mirrored(1);
        let [caller, headend] = &line.ends;
        let back = Path { local: path.peer, peer: path.local };
        assert_eq!(caller.dataplane.tunnel().1.path, EspPath::new(Transport::Ctcp, path));
        assert_eq!(headend.dataplane.tunnel().1.path, EspPath::new(Transport::Ctcp, back));
        assert_eq!((&caller.dataplane.kept[..], &headend.dataplane.kept[..]), (&[path][..], &[back][..]));
        line.packet(CALLER);
        line.packet(HEADEND);
        line.logout(id);
    }
}

/// NAT traversal would lead away from where the headend looks for it.
#[test]
fn a_call_in_ciscos_ways_announces_no_nat_traversal() {
    let rfc3947 = [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45];
    for (carriage, framing, announced) in [
        (Carriage::Detected, IkeFraming::Bare, true),
        (Carriage::CiscoUdp, IkeFraming::Bare, false),
        (Carriage::Ctcp, IkeFraming::Ctcp, false),
    ] {
        let [caller, headend] = configs(Method::XauthPsk);
        let mut line = connect([caller, headend]);
        let now = line.now;
        let world = &mut line.ends[CALLER];
        world.engine.connect(now, call_in(carriage, Mode::Aggressive)).unwrap();
        let sent = world.drain();
        let [first] = &sent[..] else { panic!("one message") };
        assert_eq!(first.framing, framing);
        assert_eq!(first.bytes.windows(8).any(|window| window == rfc3947), announced, "{carriage:?}");
    }
}

#[test]
fn a_call_by_ciscos_udp_sends_esp_where_mode_config_says() {
    for mode in [Mode::Aggressive, Mode::Main] {
        let mut line = connect(configs(Method::XauthPsk));
        let id = up(&mut line, Carriage::CiscoUdp, mode);
        for end in &line.ends {
            let path = end.dataplane.tunnel().1.path;
            assert_eq!(path.transport(), Transport::CiscoUdp);
            assert_eq!((path.path().local.port(), path.path().peer.port()), (10_000, 10_000));
        }
        let told = line.ends[CALLER].engine.told(id).unwrap();
        assert_eq!(told.cisco_udp_port.map(u16::from), Some(10_000));
        assert_eq!(line.ends[CALLER].engine.sessions(line.now)[0].peer.port(), 500, "IKE stays");
        line.logout(id);
    }
}

#[test]
fn a_headend_without_ciscos_udp_leads_to_no_session_by_another_way() {
    let [caller, mut headend] = configs(Method::XauthPsk);
    headend.listen.cisco_udp_port = None;
    let mut line = connect([caller, headend]);
    let id = line.call(call_in(Carriage::CiscoUdp, Mode::Aggressive));
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), None, "{:#?}", line.ladder);
    line.pass(Duration::from_secs(120));
    line.assert_nothing_left();
}

#[test]
fn a_tunnel_for_everything_does_not_take_back_what_comes_out_of_it() {
    let mut both = configs(Method::XauthPsk);
    for config in &mut both {
        config.connections[0].networks = vec!["0.0.0.0/0".parse().unwrap()];
    }
    let mut line = connect(both);
    let id = up(&mut line, Carriage::Detected, Mode::Aggressive);
    let address = line.ends[CALLER].engine.told(id).unwrap().address;
    let caller = &line.ends[CALLER].dataplane;
    assert_eq!(caller.route([198, 18, 0, 1].into()), Some(*caller.tunnel().0));
    assert_eq!(caller.route(address.into()), None, "it is ours");
    line.logout(id);
    assert_eq!(line.ends[CALLER].dataplane.route(address.into()), None);
}
