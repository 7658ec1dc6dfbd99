//! What the tests of AAA ask, and whom.

use super::{Caller, Proof, Question, QuestionId, UserName};
use crate::config::checked::{Access, PasswordHash, PasswordProtocol, RadiusServer, Signature, User};
use crate::session::SessionId;
use std::num::NonZeroU16;
use std::time::Duration;

pub(super) fn server() -> RadiusServer {
    RadiusServer {
        address: [192, 0, 2, 9].into(),
        auth_port: NonZeroU16::new(1812).unwrap(),
        acct_port: NonZeroU16::new(1813),
        secret: b"radius-secret"[..].into(),
        timeout: Duration::from_secs(2),
        tries: 3,
        dead_time: Duration::from_secs(60),
        password: PasswordProtocol::Pap,
        signature: Signature::Required,
    }
}

pub(super) fn caller() -> Caller {
    Caller {
        peer: "198.51.100.7:4500".parse().unwrap(),
        local: "192.0.2.1:4500".parse().unwrap(),
        group: "sales".to_owned(),
    }
}

pub(super) fn question(id: u64, user: &str, password: &str) -> Question {
    Question {
        id: QuestionId(id),
        session: SessionId(1),
        connection: 0,
        user: UserName::new(user.as_bytes()).unwrap(),
        proof: Proof::Password(password.as_bytes().into()),
        state: None,
        caller: caller(),
    }
}

/// With so many KiB of memory.
pub(super) fn cheap_hash(password: &str, memory: u32) -> PasswordHash {
    PasswordHash::make_with(&password.as_bytes().into(), &[7; 16], (memory, 1, 1)).unwrap()
}

pub(super) fn user(password: &str, access: Access) -> User {
    User { password: cheap_hash(password, 8), access, address: Some([10, 30, 7, 7].into()) }
}
