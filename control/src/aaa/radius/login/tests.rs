use super::super::packet::digest;
use super::super::packet::tests::{Sign, respond};
use super::*;
use crate::aaa::radius::attribute::parse;
use crate::aaa::testing::{question, server};
use crate::config::checked::Signature;
use adit_crypto::random::SeededRandom;

const NAMES: (&str, &str) = ("headend.rig", "ezvpn");

fn ask(question: &Question, server: &RadiusServer) -> Login {
    login_request(question, NAMES, server, 9, &mut SeededRandom::new(7)).unwrap()
}

fn value(login: &Login, kind: u8) -> Option<Vec<u8>> {
    find(&parse(&login.request.octets[20..]).unwrap(), kind).map(<[u8]>::to_vec)
}

fn vendor(login: &Login, kind: u8) -> Option<Vec<u8>> {
    let attributes = parse(&login.request.octets[20..]).unwrap();
    attributes.iter().find_map(|one| of_vendor(one, microsoft::VENDOR, kind)).map(<[u8]>::to_vec)
}

#[test]
fn a_login_says_who_where_and_by_which_connection() {
    let login = ask(&question(1, "alice", "secret"), &server());
    assert_eq!(login.request.octets[20..22], [80, 18], "the signature stands first");
    assert_eq!(value(&login, kind::USER_NAME).unwrap(), b"alice");
    assert_eq!(value(&login, kind::NAS_IDENTIFIER).unwrap(), b"headend.rig");
    assert_eq!(value(&login, kind::NAS_PORT_ID).unwrap(), b"ezvpn");
    assert_eq!(value(&login, kind::NAS_IP_ADDRESS).unwrap(), [192, 0, 2, 1]);
    assert_eq!(value(&login, kind::CALLING_STATION_ID).unwrap(), b"198.51.100.7");
    assert_eq!(value(&login, kind::TUNNEL_CLIENT_AUTH_ID).unwrap(), b"sales");
    assert_eq!(value(&login, kind::USER_PASSWORD).unwrap().len(), 16);
    assert_eq!(value(&login, kind::STATE), None);
    let shown = format!("{login:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_passcode_goes_back_with_its_state_and_as_pap_whatever_passwords_go_as() {
    let mut asked = question(1, "alice", "123456");
    asked.state = Some(ChallengeState::new(0, b"round two".to_vec()));
    for password in [PasswordProtocol::Pap, PasswordProtocol::Chap, PasswordProtocol::MsChapV2] {
        let login = ask(&asked, &RadiusServer { password, ..server() });
        assert_eq!(value(&login, kind::STATE).unwrap(), b"round two");
        assert!(value(&login, kind::USER_PASSWORD).is_some());
    }
}

#[test]
fn a_password_can_go_as_chap() {
    let login = ask(&question(1, "alice", "secret"), &RadiusServer { password: PasswordProtocol::Chap, ..server() });
    assert_eq!(value(&login, kind::USER_PASSWORD), None);
    let (chap, challenge) = (value(&login, kind::CHAP_PASSWORD).unwrap(), value(&login, kind::CHAP_CHALLENGE).unwrap());
    assert_eq!(chap[1..], digest(&[&chap[..1], b"secret", &challenge]));
}

#[test]
fn a_client_that_did_chap_itself_is_passed_on() {
    let mut asked = question(1, "alice", "");
    asked.proof = Proof::Chap { identifier: 5, challenge: vec![1; 20], response: [2; 16] };
    let login = ask(&asked, &server());
    assert_eq!(value(&login, kind::CHAP_PASSWORD).unwrap(), [&[5][..], &[2; 16]].concat());
    assert_eq!(value(&login, kind::CHAP_CHALLENGE).unwrap(), [1; 20]);
    asked.proof = Proof::MsChapV2 { identifier: 5, challenge: [1; 16], peer_challenge: [2; 16], response: [3; 24] };
    let login = ask(&asked, &server());
    assert_eq!(vendor(&login, microsoft::CHAP_CHALLENGE).unwrap(), [1; 16]);
    let response = vendor(&login, microsoft::CHAP2_RESPONSE).unwrap();
    assert_eq!(response, [&[5, 0][..], &[2; 16], &[0; 8], &[3; 24]].concat());
    assert!(login.success.0.is_none(), "only the client can judge what the server shows");
}

#[test]
fn by_ms_chap_the_server_must_show_that_it_knows_the_password() {
    let server = RadiusServer { password: PasswordProtocol::MsChapV2, ..server() };
    let login = ask(&question(1, "alice", "secret"), &server);
    let wanted = login.success.0.clone().unwrap();
    let says = |value: &[u8]| {
        let inner = [&311_u32.to_be_bytes()[..], &[26, u8::try_from(value.len() + 2).unwrap()], value].concat();
        let octets = respond(&login.request.octets, 2, &[(26, &inner)], Sign::Yes, &server.secret);
        let response = login.request.answer(&octets, &server.secret, Signature::Required).unwrap();
        login.success.is_in(&response)
    };
    assert!(says(&wanted));
    assert!(says(&[&wanted[..], b" M=welcome"].concat()));
    let mut other = wanted.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(!says(&other));
    assert!(!says(b""));
    let reject = respond(&login.request.octets, 3, &[], Sign::Yes, &server.secret);
    assert!(login.success.is_in(&login.request.answer(&reject, &server.secret, Signature::Required).unwrap()));
}

fn verdict(code: u8, attributes: &[(u8, &[u8])]) -> Verdict {
    let login = ask(&question(1, "alice", "secret"), &server());
    let octets = respond(&login.request.octets, code, attributes, Sign::Yes, &server().secret);
    let response = login.request.answer(&octets, &server().secret, Signature::Required).unwrap();
    read_reply(&response, 3, Some(Duration::from_secs(600)))
}

#[test]
fn a_welcome_says_what_the_user_gets() {
    let Verdict::Accept(profile) = verdict(
        2,
        &[
            (1, "Älice".as_bytes()),
            (8, &[10, 30, 7, 7]),
            (9, &[255, 255, 255, 0]),
            (25, b"one"),
            (25, b"two"),
            (11, b"split-sales"),
            (27, &[0, 0, 14, 16]),
            (28, &[0, 0, 0, 60]),
            (62, &[0, 0, 0, 2]),
            (26, &[0, 0, 55, 42, 7, 6, 0, 15, 66, 64]),
            (26, &[0, 0, 55, 42, 8, 6, 0, 152, 150, 128]),
            (18, b"hello \x1b[31m"),
            (18, b"there\n"),
            (85, &[0, 0, 0, 5]),
        ],
    ) else {
        panic!("a welcome")
    };
    assert_eq!(
        *profile,
        Profile {
            source: Source::Radius(3),
            name: Some(UserName::new("Älice".as_bytes()).unwrap()),
            address: Some([10, 30, 7, 7].into()),
            netmask: Some([255, 255, 255, 0].into()),
            class: vec![b"one".to_vec(), b"two".to_vec()],
            filter: Some("split-sales".to_owned()),
            limits: Limits { session: Some(Duration::from_secs(3600)), idle: Some(Duration::from_secs(60)) },
            bandwidth: Bandwidth { up: NonZeroU32::new(1_000_000), down: NonZeroU32::new(10_000_000) },
            max_logins: NonZeroU32::new(2),
            interim: Some(SHORTEST_INTERIM),
            message: Some("hello [31mthere\n".to_owned()),
        }
    );
}

#[test]
fn what_a_welcome_leaves_out_is_the_connections_business() {
    for address in [[255, 255, 255, 255], [255, 255, 255, 254], [0, 0, 0, 0]] {
        // Zero is no limit, and neither is what is no number, or another vendor's.
        let (zero, other) = ([0, 0, 55, 42, 7, 6, 0, 0, 0, 0], [0, 0, 0, 9, 8, 6, 0, 0, 0, 1]);
        let attributes: &[(u8, &[u8])] =
            &[(8, &address), (27, &[0; 4]), (28, &[9]), (62, &[0; 4]), (26, &zero), (26, &other)];
        let Verdict::Accept(profile) = verdict(2, attributes) else { panic!("a welcome") };
        assert_eq!((profile.bandwidth, profile.max_logins), (Bandwidth::default(), None));
        assert_eq!(profile.address, None);
        assert_eq!(profile.limits, Limits::default());
        assert_eq!(profile.interim, Some(Duration::from_secs(600)));
    }
}

#[test]
fn a_name_that_is_none_leaves_the_user_s_own() {
    let long = [b'a'; 254 - 2];
    for (name, read) in [(&b"a\nb"[..], false), (b"\xff", false), (b"", false), (&long, true)] {
        let Verdict::Accept(profile) = verdict(2, &[(1, name)]) else { panic!("a welcome") };
        assert_eq!(profile.name.is_some(), read, "{name:?}");
    }
}

/// Whoever has the secret: a server of ours, or of somebody it asks.
#[test]
fn whatever_a_server_says_is_read_and_can_be_shown() {
    let server = server();
    let login = ask(&question(1, "alice", "secret"), &server);
    bolero::check!().with_type::<(u8, Vec<(u8, Vec<u8>)>)>().for_each(|(code, attributes)| {
        let mut room = 4000;
        let fits = attributes.iter().take_while(|(_, value)| {
            room -= (value.len() + 2).min(room);
            room > 0 && value.len() < 254
        });
        let attributes: Vec<(u8, &[u8])> = fits.map(|(kind, value)| (*kind, &value[..])).collect();
        let octets = respond(&login.request.octets, 2 + code % 10, &attributes, Sign::Yes, &server.secret);
        let Ok(response) = login.request.answer(&octets, &server.secret, Signature::Required) else { return };
        let can_be_shown = |text: &str| text.chars().all(|letter| letter == '\n' || !letter.is_control());
        match read_reply(&response, 0, None) {
            Verdict::Accept(profile) => {
                let texts = [
                    profile.message.as_deref(),
                    profile.filter.as_deref(),
                    profile.name.as_ref().map(UserName::as_str),
                ];
                assert!(texts.into_iter().flatten().all(can_be_shown), "{profile:?}");
                assert!(profile.class.iter().map(|class| class.len() + 2).sum::<usize>() <= MAX_CLASS);
                assert!(profile.interim.is_none_or(|interim| interim >= SHORTEST_INTERIM));
            }
            Verdict::Reject(Rejection { message, .. }) | Verdict::Challenge(Challenge { message, .. }) => {
                assert!(message.is_none_or(|message| can_be_shown(&message)));
            }
            Verdict::Unavailable => panic!("code {}", octets[0]),
        }
    });
}

#[test]
fn classes_beyond_what_the_books_have_room_for_are_left_out() {
    let class: (u8, &[u8]) = (25, &[7; 253]);
    let Verdict::Accept(profile) = verdict(2, &[class; 12]) else { panic!("a welcome") };
    assert_eq!(profile.class.len(), MAX_CLASS / 255);
}

#[test]
fn a_refusal_and_a_challenge_bring_their_words() {
    assert_eq!(
        verdict(3, &[(18, b"no")]),
        Verdict::Reject(Rejection { why: Why::Server, message: Some("no".to_owned()) })
    );
    let state = ChallengeState { server: 3, state: b"abc".to_vec() };
    assert_eq!(
        verdict(11, &[(18, b"passcode?"), (24, b"abc")]),
        Verdict::Challenge(Challenge { message: Some("passcode?".to_owned()), state })
    );
}

#[test]
fn a_password_that_cannot_be_hidden_is_not_sent() {
    let long = "x".repeat(129);
    let random = &mut SeededRandom::new(7);
    assert!(login_request(&question(1, "alice", &long), NAMES, &server(), 9, random).is_none());
}
