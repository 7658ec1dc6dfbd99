//! What a session used, for the server that keeps the books (RFC 2866).

use super::answer::Source;
use super::question::Caller;
use super::user_name::UserName;
use crate::session::{Cause, SessionId};
use adit_crypto::random::SecretRandom;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A session's name in the books (Acct-Session-Id): random, so that no restart of adit gives it out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

impl AccountId {
    /// A new one.
    pub fn new(random: &mut dyn SecretRandom) -> Self {
        let mut octets = [0; 8];
        random.fill(&mut octets);
        Self(u64::from_be_bytes(octets))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What stays the same in all records of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name in the books.
    pub id: AccountId,
    /// Its name in our log.
    pub session: SessionId,
    /// Index into the configuration's connections. Those without RADIUS keep no books: their records go nowhere.
    pub connection: usize,
    /// Who.
    pub user: UserName,
    /// By whom they were let in.
    pub authentic: Authentic,
    /// From where.
    pub caller: Caller,
    /// Inner addresses.
    pub addresses: Vec<IpAddr>,
    /// From [`Profile::class`](super::Profile::class).
    pub class: Vec<Vec<u8>>,
}

/// Acct-Authentic (RFC 2866 section 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentic {
    /// A RADIUS server knows the user.
    Radius,
    /// We do.
    Local,
}

impl Authentic {
    /// The attribute's value.
    pub const fn value(self) -> u32 {
        match self {
            Self::Radius => 1,
            Self::Local => 2,
        }
    }
}

impl From<Source> for Authentic {
    fn from(source: Source) -> Self {
        match source {
            Source::Radius(_) => Self::Radius,
            Source::Local => Self::Local,
        }
    }
}

/// One line in the books. For each account: one start, then interims, then one stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub account: Arc<Account>,
    /// When in its life.
    pub moment: Moment,
}

/// A moment in a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is up.
    Start,
    /// It is still up.
    Interim(Usage),
    /// It has ended.
    Stop(Usage, Terminated),
}

/// What a session has used since login, inner octets and packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Since login.
    pub time: Duration,
    /// From the client.
    pub octets_in: u64,
    /// To the client.
    pub octets_out: u64,
    /// From the client.
    pub packets_in: u64,
    /// To the client.
    pub packets_out: u64,
}

/// Acct-Terminate-Cause (RFC 2866 section 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Terminated {
    /// The client said goodbye.
    UserRequest,
    /// The client was not heard any more.
    LostCarrier,
    /// No packet of the client's for too long.
    IdleTimeout,
    /// The session's time was over.
    SessionTimeout,
    /// The operator ended it.
    AdminReset,
    /// adit is shutting down.
    AdminReboot,
    /// adit was killed, or the machine was.
    NasReboot,
    /// Something went wrong here.
    NasError,
    /// The client broke the protocol, or did not go on.
    NasRequest,
    /// The same user came again.
    Preempted,
}

impl Terminated {
    const ALL: [Self; 10] = [
        Self::UserRequest,
        Self::LostCarrier,
        Self::IdleTimeout,
        Self::SessionTimeout,
        Self::AdminReset,
        Self::AdminReboot,
        Self::NasError,
        Self::NasRequest,
        Self::NasReboot,
        Self::Preempted,
    ];

    /// What has this value.
    pub fn from_value(value: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.value() == value)
    }

    /// The attribute's value.
    pub const fn value(self) -> u32 {
        match self {
            Self::UserRequest => 1,
            Self::LostCarrier => 2,
            Self::IdleTimeout => 4,
            Self::SessionTimeout => 5,
            Self::AdminReset => 6,
            Self::AdminReboot => 7,
            Self::NasError => 9,
            Self::NasRequest => 10,
            Self::NasReboot => 11,
            Self::Preempted => 13,
        }
    }
}

/// How the books call the end of a session that was up. What can only end a login counts as an error here.
impl From<Cause> for Terminated {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::PeerDeleted => Self::UserRequest,
            Cause::PeerDead | Cause::Stalled | Cause::Unheard => Self::LostCarrier,
            Cause::InitialContact | Cause::Replaced | Cause::TakenOver => Self::Preempted,
            Cause::IdleTimeout => Self::IdleTimeout,
            Cause::SessionTimeout => Self::SessionTimeout,
            Cause::Asked | Cause::Reconfigured => Self::AdminReset,
            Cause::ShutDown | Cause::Drained => Self::AdminReboot,
            Cause::AddressLost
            | Cause::Childless
            | Cause::Expired
            | Cause::InvalidSyntax
            | Cause::UnsupportedCritical => Self::NasRequest,
            Cause::NoIkeProposal
            | Cause::WrongGroup
            | Cause::NoUdpEncapsulation
            | Cause::WrongPsk
            | Cause::UnknownIdentity
            | Cause::WrongResponderIdentity
            | Cause::EapNotOffered
            | Cause::WrongAuthMethod
            | Cause::NoChildProposal
            | Cause::TsUnacceptable
            | Cause::PoolEmpty
            | Cause::NoAddressAsked
            | Cause::ChildLimit
            | Cause::SessionLimit
            | Cause::DataplaneFull
            | Cause::UnknownUser
            | Cause::WrongPassword
            | Cause::UserLocked
            | Cause::UserNeedsPassword
            | Cause::ServerRefused
            | Cause::AaaUnavailable
            | Cause::XauthGivenUp
            | Cause::XauthTimeout
            | Cause::LoginLimit
            | Cause::NoCertificate
            | Cause::UntrustedCertificate
            | Cause::WrongCertificate
            | Cause::WrongSignature
            | Cause::Refused
            | Cause::HalfOpenTimeout => Self::NasError,
        }
    }
}
