//! What sessions may: how fast, how long, how many.

use crate::aaa::Limits;
use std::num::NonZeroU32;
use std::time::Duration;

/// A `[[class]]` of bandwidth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// From the client, in bits a second; `None` is without limit.
    pub up: Option<u64>,
    /// To the client.
    pub down: Option<u64>,
    /// So much time's worth may come at once.
    pub burst: Duration,
}

impl Class {
    /// What is taken where nobody says how much may come at once. Over a short line a TCP that has lost the only segment under way waits for
    /// its timer, 200 ms at least (RFC 6298 has a second): a bucket that is full before that loses what TCP does not send meanwhile.
    pub const BURST: Duration = Duration::from_millis(500);
}

/// What a connection's sessions may. What a user's RADIUS server says wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Index into [`super::Config::classes`]; `None` is as fast as they can.
    pub class: Option<usize>,
    /// How long they may last.
    pub limits: Limits,
    /// Sessions that one user, or one identity, may have at a time; `None` is any number.
    pub max_logins: Option<NonZeroU32>,
    /// What becomes of one more.
    pub when_full: WhenFull,
}

/// What becomes of a login of somebody who has as many sessions as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// It takes the place of the oldest session, which ends.
    Replace,
}
