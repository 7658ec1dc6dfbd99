//! How long it takes until a user's password is judged.

use super::{TellError, Tried, config, rounds};
use adit_control::aaa::desk::{Desk, Output};
use adit_control::aaa::{Caller, Proof, Question, QuestionId, UserName, Verdict};
use adit_control::session::SessionId;
use adit_crypto::random::SeededRandom;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// With the cost that `aditctl hash-password` gives.
const CONFIG: &str = r#"
    [node]
    identity = "headend.rig"
    [[pool]]
    name = "pool"
    addresses = ["10.30.0.0/16"]
    [[user]]
    name = "alice"
    password_hash = "$argon2id$v=19$m=19456,t=2,p=1$SYlJttmyRZ8N1qPLuqQE7Q$xP4gPUWRCcht2AO7RUO2lXQSym6R2EXVC0ZLEelRlYM"
    [[user]]
    name = "mallory"
    password_hash = "$argon2id$v=19$m=19456,t=2,p=1$SYlJttmyRZ8N1qPLuqQE7Q$xP4gPUWRCcht2AO7RUO2lXQSym6R2EXVC0ZLEelRlYM"
    locked = true
    [[connection]]
    name = "ezvpn"
    ike = "v1"
    auth = "xauth-psk"
    remote_ids = ["keyid:sales"]
    psk = "a group's secret"
    users = "local"
    pools = ["pool"]
    networks = ["10.20.0.0/24"]
"#;

/// All cases.
pub(super) fn measure(times: u32) -> Result<Vec<Tried>, TellError> {
    let mut desk = Desk::new(config(CONFIG)?, Duration::ZERO, Box::new(SeededRandom::new(3)));
    let names = ["wrong password", "unknown user", "locked user", "locked user, right password"];
    let clock = quanta::Clock::new();
    let mut number = 0;
    rounds(names, times, |case, round| {
        number += 1;
        let unknown = format!("nobody{round}");
        let (user, password) = match case {
            0 => ("alice", "another"),
            1 => (unknown.as_str(), "another"),
            2 => ("mallory", "another"),
            _ => ("mallory", "alice-pass"),
        };
        let question = Question {
            id: QuestionId(number),
            session: SessionId(1),
            connection: 0,
            user: UserName::new(user.as_bytes()).map_err(|_error| TellError::Void("a user's name"))?,
            proof: Proof::Password(SecretBytes::from(password.as_bytes())),
            state: None,
            caller: Caller {
                peer: ([198, 51, 100, 7], 4500).into(),
                local: ([192, 0, 2, 1], 4500).into(),
                group: "keyid:sales".to_owned(),
            },
        };
        let begin = clock.now();
        let verdict = judge(&mut desk, question);
        let took = clock.now() - begin;
        match verdict {
            Some(Verdict::Reject(_)) => Ok(took),
            Some(Verdict::Accept(_) | Verdict::Challenge(_) | Verdict::Unavailable) | None => {
                Err(TellError::Void("somebody was let in"))
            }
        }
    })
}

fn judge(desk: &mut Desk, question: Question) -> Option<Verdict> {
    desk.handle_question(Instant::ZERO, question);
    loop {
        match desk.poll_output()? {
            Output::Check(check) => desk.handle_checked(Instant::ZERO, check.run()),
            Output::Answer(answer) => return Some(answer.verdict),
            Output::Send(..) | Output::Keep(..) => {}
        }
    }
}
