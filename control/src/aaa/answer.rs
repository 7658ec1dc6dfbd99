//! What AAA answers.

use super::question::{ChallengeState, QuestionId};
use super::user_name::UserName;
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

/// The one answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// To which question.
    pub id: QuestionId,
    /// What it is.
    pub verdict: Verdict,
}

/// May they in?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, with this.
    Accept(Box<Profile>),
    /// No.
    Reject(Rejection),
    /// Not yet: show this and ask again with the state.
    Challenge(Challenge),
    /// Nobody could say: no server answered, or there was no room for the question.
    Unavailable,
}

/// What a user gets beside being let in. What is `None` is as the connection has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who said so.
    pub source: Source,
    /// Who it is (User-Name), if the server says so: the name of the session and in the books then, however the user has spelt it
    /// (RFC 2865 section 5.1).
    pub name: Option<UserName>,
    /// Inner address of their own (Framed-IP-Address); `None` is one of the pool's.
    pub address: Option<Ipv4Addr>,
    /// Framed-IP-Netmask.
    pub netmask: Option<Ipv4Addr>,
    /// Class attributes, which go back to the server in accounting, unread (RFC 2865 section 5.25).
    pub class: Vec<Vec<u8>>,
    /// Filter-Id: the name of a `[[class]]`.
    pub filter: Option<String>,
    /// Time limits of their own.
    pub limits: Limits,
    /// Bandwidth of their own.
    pub bandwidth: Bandwidth,
    /// Sessions that they may have at a time (Port-Limit).
    pub max_logins: Option<NonZeroU32>,
    /// How often accounting wants an interim record; `None` is never. Already decided: the server's wish
    /// (Acct-Interim-Interval) or else the configuration's.
    pub interim: Option<Duration>,
    /// Reply-Message, to be shown.
    pub message: Option<String>,
}

impl Profile {
    /// Let in, and nothing beside.
    pub fn plain(source: Source) -> Self {
        Self {
            source,
            name: None,
            address: None,
            netmask: None,
            class: Vec::new(),
            filter: None,
            limits: Limits::default(),
            bandwidth: Bandwidth::default(),
            max_logins: None,
            interim: None,
            message: None,
        }
    }

    /// What to call a user who has typed this name.
    pub fn call(&self, typed: UserName) -> UserName {
        self.name.clone().unwrap_or(typed)
    }
}

/// Time limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// From login to the end (Session-Timeout).
    pub session: Option<Duration>,
    /// Without a packet of the client's (Idle-Timeout).
    pub idle: Option<Duration>,
}

/// How fast a session may be, in bits a second; `None` is as its class says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// From the client (WISPr-Bandwidth-Max-Up).
    pub up: Option<NonZeroU32>,
    /// To the client (WISPr-Bandwidth-Max-Down).
    pub down: Option<NonZeroU32>,
}

/// Who knows a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The configuration's `[[user]]` table.
    Local,
    /// The RADIUS server with this index in the configuration.
    Radius(usize),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Radius(server) => write!(f, "radius {}", server + 1),
        }
    }
}

/// No.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// For our log only: the peer is told the same in every case.
    pub why: Why,
    /// What the server wants the user to read (Reply-Message).
    pub message: Option<String>,
}

/// Why not. Never for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nobody has heard of them.
    UnknownUser,
    /// Known, but this is not their password.
    WrongPassword,
    /// Known, and the configuration keeps them out.
    Locked,
    /// Their proof is CHAP or MS-CHAP, and a local user's hash can check a password only.
    NeedsPassword,
    /// A RADIUS server said no, and keeps its reasons.
    Server,
}

impl Why {
    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UnknownUser => "no such user",
            Self::WrongPassword => "wrong password",
            Self::Locked => "the user is locked",
            Self::NeedsPassword => "local users can be checked by password only",
            Self::Server => "the RADIUS server refused",
        }
    }
}

/// One more thing is asked of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// To be shown.
    pub message: Option<String>,
    /// Goes into the next question.
    pub state: ChallengeState,
}
