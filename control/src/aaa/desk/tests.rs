//! The desk with its users and servers, in virtual time.

use super::super::radius::tests::{Sign, respond};
use super::super::testing::{caller, question, server, user};
use super::super::*;
use super::*;
use crate::config::checked::*;
use crate::session::SessionId;
use adit_crypto::random::SeededRandom;
use std::collections::BTreeMap;

const START: Instant = Instant::from_nanos(1_000_000_000_000);
const UNIX_AT_ZERO: Duration = Duration::from_secs(1_800_000_000);

/// A configuration whose one connection asks `users`, with so many servers.
fn config(users: Vec<UserSource>, servers: u8) -> Config {
    let text = "[node]\nidentity = \"headend.rig\"\n[[pool]]\nname = \"p\"\naddresses = [\"10.30.0.0/16\"]\n\
                [[connection]]\nname = \"ezvpn\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
                pools = [\"p\"]\nnetworks = [\"0.0.0.0/0\"]\n";
    let around = crate::config::Surroundings { folder: std::path::PathBuf::new(), cores: vec![0] };
    let (mut config, _) = crate::config::read("test", text, &around).unwrap();
    let secret = b"a group's secret".as_slice().into();
    let xauth = Xauth { users, prompt: String::new(), interim: Some(Duration::from_secs(600)) };
    config.connections[0].login = Login::V1(Box::new(LoginV1 {
        auth: AuthV1::XauthPsk { secret, xauth },
        modes: Modes::Both,
        ike_proposals: Vec::new(),
        pfs: Pfs::Optional,
        unity: Unity::default(),
        reauth: None,
        aggressive_limit: std::num::NonZeroU32::MIN,
    }));
    for (name, access) in [("alice", Access::Open), ("mallory", Access::Locked)] {
        config.users.0.insert(UserName::new(name.as_bytes()).unwrap(), user("alice-pass", access));
    }
    config.radius =
        (0..servers).map(|index| RadiusServer { address: [192, 0, 2, 9 + index].into(), ..server() }).collect();
    config
}

/// A desk, and what it has given out so far.
struct World {
    desk: Desk,
    now: Instant,
    sent: Vec<(Instant, Door, Vec<u8>)>,
    answers: BTreeMap<QuestionId, Vec<(Instant, Verdict)>>,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl World {
    fn new(users: &[UserSource], servers: u8) -> Self {
        Self::with(config(users.to_vec(), servers))
    }

    fn with(config: Config) -> Self {
        let desk = Desk::new(Arc::new(config), UNIX_AT_ZERO, Box::new(SeededRandom::new(5)));
        Self { desk, now: START, sent: Vec::new(), answers: BTreeMap::new(), kept: BTreeMap::new() }
    }

    fn ask(&mut self, question: Question) {
        self.desk.handle_question(self.now, question);
        self.take();
    }

    fn take(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Send(door, octets) => self.sent.push((self.now, door, octets)),
                Output::Keep(key, Some(value)) => drop(self.kept.insert(key, value)),
                Output::Keep(key, None) => drop(self.kept.remove(&key)),
                Output::Check(check) => self.desk.handle_checked(self.now, check.run()),
                Output::Answer(answer) => {
                    let Answer { id, verdict } = *answer;
                    self.answers.entry(id).or_default().push((self.now, verdict));
                }
            }
        }
    }

    /// The last packet through a door.
    fn last(&self, door: Door) -> Vec<u8> {
        self.sent.iter().rev().find(|(_, through, _)| *through == door).expect("something was sent").2.clone()
    }

    fn count(&self, door: Door) -> usize {
        self.sent.iter().filter(|(_, through, _)| *through == door).count()
    }

    fn reply(&mut self, door: Door, to: &[u8], code: u8, attributes: &[(u8, &[u8])]) {
        let octets = respond(to, code, attributes, Sign::Yes, &server().secret);
        self.desk.handle_packet(self.now, door, &octets);
        self.take();
    }

    /// Time passes, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0;
        while let Some(at) = self.desk.poll_timeout().filter(|at| *at <= end) {
            turns += 1;
            assert!(turns < 100_000, "the desk asks to be called without end");
            self.now = self.now.max(at);
            self.desk.handle_timeout(self.now);
            self.take();
        }
        self.now = end;
    }

    fn verdict(&self, id: u64) -> &Verdict {
        let answers = self.answers.get(&QuestionId(id)).expect("an answer");
        assert_eq!(answers.len(), 1, "one answer to each question");
        &answers[0].1
    }

    fn view(&self) -> DeskView {
        self.desk.view(self.now)
    }

    fn states(&self) -> Vec<String> {
        self.view().servers.into_iter().map(|one| one.state).collect()
    }

    fn why(&self, id: u64) -> Why {
        match self.verdict(id) {
            Verdict::Reject(rejection) => rejection.why,
            other => panic!("a rejection, not {other:?}"),
        }
    }

    fn source(&self, id: u64) -> Source {
        match self.verdict(id) {
            Verdict::Accept(profile) => profile.source,
            other => panic!("a welcome, not {other:?}"),
        }
    }
}

const fn logins(server: usize) -> Door {
    Door { server, port: Port::Logins }
}

const fn books(server: usize) -> Door {
    Door { server, port: Port::Books }
}

/// One Argon2 computation, and the answer behind it: the time that takes is all that anybody can measure.
#[test]
fn every_question_about_a_local_user_is_one_check_whoever_it_is_about() {
    for (name, password) in
        [("alice", "alice-pass"), ("alice", "wrong"), ("mallory", "alice-pass"), ("mallory", "wrong"), ("bob", "wrong")]
    {
        let config = Arc::new(config(vec![UserSource::Local], 0));
        let mut desk = Desk::new(config, UNIX_AT_ZERO, Box::new(SeededRandom::new(5)));
        desk.handle_question(START, question(1, name, password));
        let Some(Output::Check(check)) = desk.poll_output() else { panic!("{name}: no check") };
        assert!(desk.poll_output().is_none(), "{name}: something before the check is done");
        desk.handle_checked(START, check.run());
        assert!(matches!(desk.poll_output(), Some(Output::Answer(_))), "{name}");
        assert!(desk.poll_output().is_none(), "{name}");
    }
}

/// Each costs some tens of milliseconds, and whoever waits behind them waits for all.
#[test]
fn one_source_has_half_of_the_checks_that_may_wait_and_leaves_the_others_to_others() {
    let config = Arc::new(config(vec![UserSource::Local], 0));
    let mut desk = Desk::new(config, UNIX_AT_ZERO, Box::new(SeededRandom::new(5)));
    let mut id = 0;
    let mut checks = |desk: &mut Desk, peer: &str, questions: usize| {
        let mut checks = Vec::new();
        for _ in 0..questions {
            id += 1;
            let caller = Caller { peer: peer.parse().unwrap(), ..caller() };
            desk.handle_question(START, Question { caller, ..question(id, "alice", "wrong") });
            match desk.poll_output() {
                Some(Output::Check(check)) => checks.push(check),
                Some(Output::Answer(answer)) => assert_eq!(answer.verdict, Verdict::Unavailable),
                other => panic!("{other:?}"),
            }
        }
        checks
    };
    let of_stranger = checks(&mut desk, "[2001:db8::1]:4500", 70);
    assert_eq!(of_stranger.len(), 64);
    assert!(checks(&mut desk, "[2001:db8::2]:4500", 1).is_empty(), "the same network");
    let of_others = checks(&mut desk, "192.0.2.1:4500", 10);
    assert_eq!(of_others.len(), 10);
    desk.handle_checked(START, of_stranger[0].run());
    assert!(matches!(desk.poll_output(), Some(Output::Answer(_))));
    assert_eq!(checks(&mut desk, "[2001:db8::1]:4501", 2).len(), 1, "one has made room");
    assert_eq!(checks(&mut desk, "203.0.113.1:4500", 64).len(), 128 - 64 - 10, "all together");
}

#[test]
fn local_users_are_known_by_their_password_alone() {
    let mut world = World::new(&[UserSource::Local], 0);
    for (id, name, password) in
        [(1, "alice", "alice-pass"), (2, "alice", "wrong"), (3, "mallory", "alice-pass"), (4, "bob", "alice-pass")]
    {
        world.ask(question(id, name, password));
    }
    assert_eq!(world.source(1), Source::Local);
    assert_eq!((world.why(2), world.why(3), world.why(4)), (Why::WrongPassword, Why::Locked, Why::UnknownUser));
    let chap = Proof::Chap { identifier: 1, challenge: vec![1; 16], response: [2; 16] };
    world.ask(Question { proof: chap.clone(), ..question(5, "alice", "") });
    world.ask(Question { proof: chap, ..question(6, "bob", "") });
    assert_eq!((world.why(5), world.why(6)), (Why::NeedsPassword, Why::UnknownUser));
    assert_eq!(world.desk.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn whom_the_table_does_not_know_the_server_is_asked_about() {
    let mut world = World::new(&[UserSource::Local, UserSource::Radius], 1);
    world.ask(question(1, "alice", "alice-pass"));
    world.ask(question(2, "alice", "wrong"));
    assert_eq!(world.sent.len(), 0);
    world.ask(question(3, "bob", "bob-pass"));
    let request = world.last(logins(0));
    world.reply(logins(0), &request, 2, &[(27, &[0, 0, 0, 60])]);
    assert_eq!((world.source(1), world.source(3)), (Source::Local, Source::Radius(0)));
    assert_eq!(world.why(2), Why::WrongPassword);
}

#[test]
fn the_table_serves_while_no_server_answers() {
    let mut world = World::new(&[UserSource::Radius, UserSource::Local], 1);
    world.ask(question(1, "alice", "alice-pass"));
    world.ask(question(2, "bob", "bob-pass"));
    world.pass(Duration::from_secs(30));
    assert_eq!(world.source(1), Source::Local);
    assert_eq!(world.verdict(2), &Verdict::Unavailable, "bob may exist: the server could not say");
    world.ask(question(3, "alice", "alice-pass"));
    let request = world.last(logins(0));
    world.reply(logins(0), &request, 3, &[(18, b"no")]);
    assert_eq!(world.why(3), Why::Server);
}

#[test]
fn a_server_that_does_not_answer_is_passed_over_for_a_while() {
    let mut world = World::new(&[UserSource::Radius], 2);
    world.ask(question(1, "alice", "x"));
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (1, 0));
    world.pass(server().timeout * 3);
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (3, 1));
    let request = world.last(logins(1));
    world.reply(logins(1), &request, 2, &[]);
    assert_eq!(world.source(1), Source::Radius(1));
    world.ask(question(2, "alice", "x"));
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (3, 2), "the second is asked at once");
    let request = world.last(logins(1));
    world.reply(logins(1), &request, 2, &[]);
    assert_eq!(world.states(), ["dead", "ready", "ready", "ready"]);
    world.pass(server().dead_time);
    world.ask(question(3, "alice", "x"));
    assert_eq!(world.count(logins(0)), 4, "the first gets another chance");
    let state = |world: &World| world.view().servers[0].state.clone();
    assert_eq!(state(&world), "dead", "until it answers");
    let request = world.last(logins(0));
    world.reply(logins(0), &request, 2, &[]);
    assert_eq!(state(&world), "ready");
}

#[test]
fn a_server_that_may_take_longer_than_a_login_is_passed_over_all_the_same() {
    let mut config = config(vec![UserSource::Radius], 2);
    for server in &mut config.radius {
        (server.timeout, server.tries) = (Duration::from_secs(10), 3);
    }
    let mut world = World::with(config);
    world.ask(question(1, "alice", "x"));
    world.pass(Duration::from_secs(30));
    assert!(matches!(world.verdict(1), Verdict::Unavailable));
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (3, 0));
    let first = &world.view().servers[0];
    assert_eq!((first.state.as_str(), first.unanswered), ("dead", 1));
    world.ask(question(2, "alice", "x"));
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (3, 1), "the second is asked at once");
    let request = world.last(logins(1));
    world.reply(logins(1), &request, 2, &[]);
    assert_eq!(world.source(2), Source::Radius(1));
}

#[test]
fn a_server_that_was_asked_when_a_login_had_no_time_left_is_not_dead() {
    let mut config = config(vec![UserSource::Radius], 2);
    for server in &mut config.radius {
        (server.timeout, server.tries) = (Duration::from_secs(9), 3);
    }
    let mut world = World::with(config);
    world.ask(question(1, "alice", "x"));
    world.pass(Duration::from_secs(30));
    assert!(matches!(world.verdict(1), Verdict::Unavailable));
    assert_eq!((world.count(logins(0)), world.count(logins(1))), (3, 1));
    assert_eq!(world.states(), ["dead", "ready", "ready", "ready"]);
}

#[test]
fn questions_under_way_leave_a_dead_server_with_their_next_try() {
    let mut world = World::new(&[UserSource::Radius], 2);
    world.ask(question(1, "alice", "x"));
    world.pass(server().timeout * 2);
    world.ask(question(2, "bob", "x"));
    world.pass(server().timeout);
    // The first was given up right now; the second has its next try due at the same time or later.
    world.pass(server().timeout);
    let to_second = world.sent.iter().filter(|(_, door, _)| *door == logins(1)).count();
    assert!(to_second >= 2, "both went on to the second server, not {to_second}");
    assert!(world.answers.is_empty());
}

#[test]
fn a_server_that_nobody_asks_any_more_is_not_dead_for_ever() {
    let mut world = World::new(&[UserSource::Radius], 2);
    world.ask(question(1, "alice", "x"));
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    world.pass(server().timeout * 6);
    assert_eq!(world.states(), ["dead"; 4]);
    // The first is back and answers all that there is.
    let answers = |world: &mut World, id: u64| {
        world.ask(question(id, "alice", "x"));
        let request = world.last(logins(0));
        world.reply(logins(0), &request, 2, &[]);
        assert_eq!(world.source(id), Source::Radius(0));
    };
    answers(&mut world, 2);
    assert_eq!(world.states(), ["ready", "dead", "dead", "dead"], "it was silent just now");
    world.pass(server().dead_time);
    answers(&mut world, 3);
    assert_eq!(world.states(), ["ready", "unknown", "dead", "dead"], "books have servers of their own");
    while world.view().servers[2].waiting == 0 {
        world.pass(Duration::from_secs(1));
    }
    let request = world.last(books(0));
    world.reply(books(0), &request, 5, &[]);
    assert_eq!(world.states(), ["ready", "unknown", "ready", "dead"]);
    world.pass(server().dead_time);
    assert_eq!(world.states(), ["ready", "unknown", "ready", "unknown"]);
    // The first fails again: the second has its chance, and is judged by it.
    world.pass(Duration::from_secs(1));
    world.ask(question(4, "alice", "x"));
    world.pass(server().timeout * 3);
    assert_eq!(world.states()[..2], ["dead", "dead"], "it is being asked");
    let request = world.last(logins(1));
    world.reply(logins(1), &request, 2, &[]);
    assert_eq!(world.states()[..2], ["dead", "ready"]);
}

#[test]
fn servers_that_are_all_silent_stay_dead_though_nobody_logs_in() {
    for servers in [1, 2] {
        let mut world = World::new(&[UserSource::Radius], servers);
        world.ask(question(1, "alice", "x"));
        world.pass(Duration::from_secs(86_400));
        let states = world.states();
        assert!(states[..usize::from(servers)].iter().all(|state| state == "dead"), "{states:?}");
    }
}

#[test]
fn who_lets_his_own_login_pass_makes_nobody_else_fail_sooner() {
    // By the end of his patience, or by the last of his tries.
    for (tries, ends, asked) in [(6, 30, 20), (3, 15, 10)] {
        let mut config = config(vec![UserSource::Radius], 1);
        for server in &mut config.radius {
            (server.timeout, server.tries) = (Duration::from_secs(5), tries);
        }
        let mut world = World::with(config);
        world.ask(question(1, "alice", "x"));
        world.pass(Duration::from_secs(asked));
        world.ask(question(2, "bob", "x"));
        world.pass(Duration::from_secs(ends - asked));
        assert_eq!(world.verdict(1), &Verdict::Unavailable);
        world.pass(Duration::from_secs(8));
        assert!(!world.answers.contains_key(&QuestionId(2)), "there is nobody else to ask: {tries} tries");
        let request = world.last(logins(0));
        world.reply(logins(0), &request, 2, &[]);
        assert_eq!(world.source(2), Source::Radius(0));
    }
}

#[test]
fn records_at_a_dead_server_have_all_their_tries_if_there_is_no_other() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for id in [7, 8] {
        world.desk.handle_record(world.now, Record { account: account(id), moment: Moment::Start });
        world.take();
        world.pass(server().timeout * 2);
    }
    // The first was given up meanwhile; the second is not written anew, but sent again.
    let sent: Vec<_> = world.sent.iter().map(|(_, _, octets)| octets[1]).collect();
    assert_eq!(sent, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn every_question_is_answered_once_and_in_time_though_nobody_answers() {
    let mut world = World::new(&[UserSource::Radius], 3);
    for id in 0..600 {
        world.ask(question(id, "alice", "x"));
    }
    world.pass(Duration::from_secs(60));
    assert_eq!(world.answers.len(), 600);
    for id in 0..600 {
        assert_eq!(world.verdict(id), &Verdict::Unavailable);
    }
    let latest = world.answers.values().map(|answers| answers[0].0).max().unwrap();
    assert!(latest <= START + Duration::from_secs(30), "{:?}", latest.since(START));
    assert_eq!(world.desk.poll_timeout(), None);
    assert_eq!(world.view().questions, 0);
}

#[test]
fn more_questions_than_identifiers_wait_for_their_turn() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for id in 0..300 {
        world.ask(question(id, "alice", "x"));
    }
    assert_eq!(world.count(logins(0)), 256);
    let mut next = 0;
    while next < world.sent.len() {
        let request = world.sent[next].2.clone();
        world.reply(logins(0), &request, 2, &[]);
        next += 1;
    }
    assert_eq!(world.answers.len(), 300);
    for id in 0..300 {
        assert_eq!(world.source(id), Source::Radius(0));
    }
}

#[test]
fn a_question_too_many_is_answered_at_once() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for id in 0..4097 {
        world.ask(question(id, "alice", "x"));
    }
    assert_eq!(world.answers.len(), 1);
    assert_eq!(world.verdict(4096), &Verdict::Unavailable);
}

#[test]
fn a_challenge_comes_back_to_the_server_that_made_it() {
    let mut world = World::new(&[UserSource::Local, UserSource::Radius], 2);
    world.ask(question(1, "bob", "x"));
    world.pass(server().timeout * 3);
    let request = world.last(logins(1));
    world.reply(logins(1), &request, 11, &[(18, b"passcode?"), (24, b"round 2")]);
    let Verdict::Challenge(challenge) = world.verdict(1).clone() else { panic!("a challenge") };
    assert_eq!(challenge.message.as_deref(), Some("passcode?"));
    world.pass(server().dead_time);
    world.ask(Question { state: Some(challenge.state.clone()), ..question(2, "bob", "123456") });
    let request = world.last(logins(1));
    assert!(request.windows(9).any(|window| window == b"\x18\x09round 2"));
    world.reply(logins(1), &request, 2, &[]);
    assert_eq!(world.source(2), Source::Radius(1));
    // Nobody else knows what that state means.
    let before = world.count(logins(0));
    world.ask(Question { state: Some(challenge.state), ..question(3, "bob", "123456") });
    world.pass(Duration::from_secs(30));
    assert_eq!(world.verdict(3), &Verdict::Unavailable);
    assert_eq!(world.count(logins(0)), before);
}

#[test]
fn forged_answers_let_nobody_in_and_leave_the_question_open() {
    let mut world = World::new(&[UserSource::Radius], 1);
    world.ask(question(1, "bob", "x"));
    let request = world.last(logins(0));
    let other_secret = respond(&request, 2, &[], Sign::Yes, &b"guess"[..].into());
    let unsigned = respond(&request, 2, &[], Sign::No, &server().secret);
    for forged in [&other_secret[..], &unsigned, &[], &request, &[2; 19]] {
        world.desk.handle_packet(world.now, logins(0), forged);
        world.take();
    }
    assert!(world.answers.is_empty());
    world.reply(logins(0), &request, 3, &[]);
    assert_eq!(world.why(1), Why::Server);
    world.reply(logins(0), &request, 2, &[]);
    assert_eq!(world.why(1), Why::Server, "an answer counts once");
}

fn account(id: u64) -> Arc<Account> {
    Arc::new(Account {
        id: AccountId(id),
        session: SessionId(1),
        connection: 0,
        user: UserName::new(b"alice").unwrap(),
        authentic: Authentic::Radius,
        caller: caller(),
        addresses: Vec::new(),
        class: Vec::new(),
    })
}

fn status(octets: &[u8]) -> u8 {
    assert_eq!(octets[20..25], [40, 6, 0, 0, 0]);
    octets[25]
}

const USED: Usage = Usage { time: Duration::from_secs(9), octets_in: 1, octets_out: 2, packets_in: 3, packets_out: 4 };
const STOP: Moment = Moment::Stop(USED, Terminated::UserRequest);

#[test]
fn records_of_a_session_are_written_one_after_the_other_each_once() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for moment in [Moment::Start, Moment::Interim(USED), STOP] {
        world.desk.handle_record(world.now, Record { account: account(7), moment });
    }
    world.take();
    let mut written = Vec::new();
    while !world.desk.books_are_written() {
        let request = world.last(books(0));
        written.push(status(&request));
        world.reply(books(0), &request, 5, &[]);
    }
    assert_eq!(written, [1, 2], "a stop tells all that the interim in between would have told");
    assert_eq!(world.count(books(0)), 2);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.count(books(0)), 2, "what was answered is not sent again");
}

#[test]
fn interims_on_their_own_are_all_written() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for moment in [Moment::Start, Moment::Interim(USED), Moment::Interim(USED), STOP] {
        world.desk.handle_record(world.now, Record { account: account(7), moment });
        world.take();
        let request = world.last(books(0));
        world.reply(books(0), &request, 5, &[]);
    }
    let written: Vec<u8> = world.sent.iter().map(|(_, _, octets)| status(octets)).collect();
    assert_eq!(written, [1, 3, 3, 2]);
    assert!(world.desk.books_are_written());
}

#[test]
fn a_record_is_repeated_as_it_was_and_goes_to_the_next_server_with_its_age() {
    let mut world = World::new(&[UserSource::Radius], 2);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    world.pass(server().timeout * 3);
    let first: Vec<_> = world.sent.iter().filter(|(_, door, _)| *door == books(0)).map(|(_, _, o)| o).collect();
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|octets| *octets == first[0]));
    let second = world.last(books(1));
    let has = |octets: &[u8], attribute: &[u8]| octets.windows(attribute.len()).any(|window| window == attribute);
    let name = b"\x2c\x120000000000000007";
    let time = [&[55, 6][..], &1_800_001_000_u32.to_be_bytes()].concat();
    for octets in [first[0], &second] {
        assert!(has(octets, name), "Acct-Session-Id is the same everywhere");
        assert!(has(octets, &time), "Event-Timestamp, too");
    }
    assert!(has(first[0], &[41, 6, 0, 0, 0, 0]));
    assert!(has(&second, &[41, 6, 0, 0, 0, 6]));
    world.reply(books(1), &second, 5, &[]);
    assert!(world.desk.books_are_written());
}

#[test]
fn a_clock_that_is_set_changes_the_time_of_later_records_and_the_age_of_none() {
    let mut world = World::new(&[UserSource::Radius], 2);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    let set = Duration::from_secs(1_900_000_000);
    world.desk.set_time_of_day(set);
    world.pass(server().timeout * 3);
    let second = world.last(books(1));
    assert_eq!((number(&second, 55), number(&second, 41)), (Some(1_800_001_000), Some(6)), "it is one record");
    world.reply(books(1), &second, 5, &[]);
    world.desk.handle_record(world.now, Record { account: account(8), moment: Moment::Start });
    world.take();
    let now = set + world.now.since(Instant::ZERO);
    let later = world.sent.last().unwrap().2.clone();
    assert_eq!((number(&later, 55), number(&later, 41)), (u32::try_from(now.as_secs()).ok(), Some(0)));
}

#[test]
fn records_wait_for_servers_that_come_back_and_are_given_up_in_the_end() {
    let mut world = World::new(&[UserSource::Radius], 1);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.desk.handle_record(world.now, Record { account: account(8), moment: Moment::Start });
    world.take();
    world.pass(Duration::from_secs(300));
    assert_eq!(world.view().accounts, 2);
    while world.view().servers[1].waiting == 0 {
        world.pass(Duration::from_secs(1));
    }
    let request = world.last(books(0));
    world.reply(books(0), &request, 5, &[]);
    assert_eq!(world.view().accounts, 1);
    world.pass(Duration::from_secs(330));
    let view = world.view();
    assert_eq!((view.accounts, view.records_written, view.records_lost), (0, 1, 1));
    assert_eq!(world.desk.poll_timeout(), None);
}

/// Attribute `kind` of a packet, as a number.
fn number(octets: &[u8], kind: u8) -> Option<u32> {
    let mut rest = octets.get(20..)?;
    loop {
        let (head, length) = (*rest.first()?, usize::from(*rest.get(1)?));
        if head == kind {
            return Some(u32::from_be_bytes(rest.get(2..6)?.try_into().unwrap()));
        }
        rest = rest.get(length..)?;
    }
}

impl World {
    /// A desk that keeps its books, with those of another so much later.
    fn after(before: &Self, later: Duration) -> Self {
        let mut world = Self::new(&[UserSource::Radius], 1);
        world.now = before.now + later;
        world.desk.keep_books();
        for (key, value) in &before.kept {
            world.desk.restore(world.now, key, value).unwrap();
        }
        world.kept = before.kept.clone();
        world.take();
        world
    }

    /// Takes all records; what they are, when they were made and how long ago that is.
    fn books_taken(&mut self) -> Vec<(u8, u32, u32)> {
        let mut taken = Vec::new();
        while !self.desk.books_are_written() {
            let request = self.last(books(0));
            let at = number(&request, 55).unwrap() - UNIX_AT_ZERO.as_secs() as u32;
            taken.push((status(&request), at, number(&request, 41).unwrap()));
            self.reply(books(0), &request, 5, &[]);
        }
        taken
    }
}

#[test]
fn what_no_server_has_taken_is_written_after_another_start_with_its_time_and_age() {
    let mut world = World::after(&World::new(&[UserSource::Radius], 1), Duration::ZERO);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    world.pass(Duration::from_secs(5));
    world.desk.handle_record(world.now, Record { account: account(7), moment: STOP });
    world.take();
    let mut world = World::after(&world, Duration::from_secs(100));
    assert_eq!(world.books_taken(), [(1, 1000, 105), (2, 1005, 100)]);
    assert!(world.kept.is_empty());
    let mut world = World::after(&world, Duration::from_secs(1));
    assert_eq!(world.books_taken(), [], "each once");
}

#[test]
fn who_was_here_when_the_process_was_killed_gets_a_stop_of_what_was_told_last() {
    let mut world = World::after(&World::new(&[UserSource::Radius], 1), Duration::ZERO);
    for moment in [Moment::Start, Moment::Interim(USED)] {
        world.desk.handle_record(world.now, Record { account: account(7), moment });
        world.take();
        world.books_taken();
    }
    assert_eq!(world.kept.len(), 1, "it is still here");
    let mut world = World::after(&world, Duration::from_secs(30));
    let request = world.last(books(0));
    assert_eq!((number(&request, 49), number(&request, 46)), (Some(11), Some(9)), "NAS reboot, as long as was told");
    assert_eq!(world.books_taken(), [(2, 1030, 0)]);
    assert!(world.kept.is_empty());
}

#[test]
fn books_of_a_connection_that_is_gone_or_that_nobody_takes_are_left_out() {
    let mut world = World::after(&World::new(&[UserSource::Radius], 1), Duration::ZERO);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    let (key, value) = world.kept.pop_first().unwrap();
    let other = String::from_utf8(value.clone()).unwrap().replace("ezvpn", "other");
    assert_eq!(world.desk.restore(world.now, &key, other.as_bytes()), Err(NotABook::NoConnection));
    let mut nobody = World::new(&[UserSource::Radius], 0);
    assert_eq!(nobody.desk.restore(nobody.now, &key, &value), Err(NotABook::NoServer));
}

#[test]
fn connections_without_radius_keep_no_books() {
    let mut world = World::new(&[UserSource::Local], 1);
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    assert!(world.sent.is_empty() && world.desk.books_are_written());
}

#[test]
fn more_accounts_than_identifiers_are_all_written() {
    let mut world = World::new(&[UserSource::Radius], 1);
    for id in 0..1000 {
        world.desk.handle_record(world.now, Record { account: account(id), moment: Moment::Start });
    }
    world.take();
    let mut next = 0;
    while next < world.sent.len() {
        let request = world.sent[next].2.clone();
        world.reply(books(0), &request, 5, &[]);
        next += 1;
    }
    assert_eq!(world.view().records_written, 1000);
    assert!(world.desk.books_are_written());
}

#[test]
fn another_configuration_is_the_next_questions_while_what_is_open_goes_on() {
    let mut world = World::new(&[UserSource::Local, UserSource::Radius], 1);
    world.ask(question(1, "bob", "bob-pass"));
    let asked = world.last(logins(0));
    world.desk.handle_record(world.now, Record { account: account(7), moment: Moment::Start });
    world.take();
    assert_eq!((world.count(logins(0)), world.count(books(0))), (1, 1));
    // The connection is the second now, and alice is locked.
    let mut new = config(vec![UserSource::Local, UserSource::Radius], 1);
    new.connections.insert(0, Connection { name: "first".to_owned(), ..new.connections[0].clone() });
    new.users.0.insert(UserName::new(b"alice").unwrap(), user("alice-pass", Access::Locked));
    let places = Renumbering::new(&config(vec![UserSource::Local], 1), &new);
    assert_eq!((places.place(0), places.place(1)), (1, usize::MAX));
    world.desk.take_config(Arc::new(new), &places);
    world.reply(logins(0), &asked, 2, &[]);
    assert!(matches!(world.verdict(1), Verdict::Accept(_)));
    let started = world.last(books(0));
    world.reply(books(0), &started, 5, &[]);
    assert!(world.desk.books_are_written());
    world.ask(question(2, "alice", "alice-pass"));
    assert_eq!(world.why(2), Why::Locked);
}

/// Any mix of questions, answers, forgeries and time: each question gets exactly one answer, and nothing is left.
#[test]
fn whatever_happens_each_question_gets_one_answer() {
    bolero::check!().with_type::<(u64, Vec<(u8, u8)>)>().with_max_len(256).for_each(|(_seed, steps)| {
        let mut world = World::new(&[UserSource::Radius], 2);
        let mut asked = 0;
        for (what, value) in steps {
            match what % 4 {
                0 => {
                    world.ask(question(asked, "bob", "x"));
                    asked += 1;
                }
                1 => world.pass(Duration::from_millis(u64::from(*value) * 20)),
                2 | 3 => {
                    let Some((_, door, octets)) = world.sent.get(usize::from(*value)).cloned() else { continue };
                    world.reply(door, &octets, [2, 3, 11, 5][usize::from(*value) % 4], &[]);
                }
                _never => {}
            }
        }
        world.pass(Duration::from_secs(60));
        for id in 0..asked {
            world.verdict(id);
        }
        assert_eq!(world.view().questions, 0);
        assert_eq!(world.desk.poll_timeout(), None);
    });
}
