//! One thing that has happened, as whoever saw it tells it: values, no text, no number, no time.

use super::Kind;
use crate::capture::{self, CaptureEnd, CaptureName};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{FlowId, FlowReport, Transport};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Something has happened.
#[derive(Debug, Clone)]
pub struct Happening {
    /// To whom, if it is about a client.
    pub who: Option<Who>,
    /// What.
    pub what: What,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Its session, or what was to become one.
    pub session: Option<SessionId>,
    /// Who it has proven, or claims, to be.
    pub identity: Option<String>,
    /// The `[[connection]]`, where that is known.
    pub connection: Option<String>,
    /// Its outer address, after NAT.
    pub peer: SocketAddr,
}

/// What a certificate of ours is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUse {
    /// Logins: `[node] certificate`.
    Ike,
    /// The API by TCP: `[api] certificate`.
    Api,
}

/// What has happened.
#[derive(Debug, Clone)]
pub enum What {
    /// See [`Kind::Login`].
    Login {
        /// By which version of IKE: `v1`, `v2`.
        ike: &'static str,
        /// How its ESP comes and goes, unless there is none yet.
        transport: Option<Transport>,
        /// Whether it is behind a NAT.
        nat: Spell,
        /// What it has got.
        addresses: Vec<IpAddr>,
        /// The IKE SA's algorithms.
        algorithms: String,
    },
    /// See [`Kind::LoginRefused`].
    LoginRefused {
        /// Why.
        cause: Cause,
        /// So many others before were left out.
        left_out: u64,
    },
    /// See [`Kind::Logout`].
    Logout {
        /// Why.
        cause: Cause,
        /// How long it was here.
        up: Duration,
        /// Inner octets from the client,
        bytes_in: u64,
        /// and to it.
        bytes_out: u64,
    },
    /// See [`Kind::Rekey`].
    Rekey {
        /// What was replaced.
        what: Renewed,
        /// Who has begun.
        by: By,
    },
    /// See [`Kind::TransportMoved`].
    Moved {
        /// Where its packets went before, and how if that is known,
        from: (Option<Transport>, SocketAddr),
        /// and go now.
        to: (Option<Transport>, SocketAddr),
        /// What showed it: `ESP`, `IKE`, …
        by: &'static str,
    },
    /// See [`Kind::TransportClosed`].
    TransportClosed {
        /// Which.
        transport: Transport,
        /// For so long.
        time: Duration,
        /// Which operator wants it.
        by: String,
    },
    /// See [`Kind::StallSuspected`].
    StallSuspected(FlowId),
    /// See [`Kind::StallRefuted`].
    StallRefuted(FlowId),
    /// See [`Kind::StallFound`].
    StallFound(Box<FlowReport>),
    /// See [`Kind::CaptureStarted`].
    CaptureStarted {
        /// Its name.
        capture: CaptureName,
        /// Which packets.
        what: capture::What,
        /// Which operator wants it.
        by: String,
    },
    /// See [`Kind::CaptureEnded`].
    CaptureEnded {
        /// Its name.
        capture: CaptureName,
        /// By what.
        end: CaptureEnd,
        /// Which operator had begun it, or has stopped it.
        by: String,
        /// Packets in the file,
        packets: u64,
        /// and those that found no room on their way there.
        missed: u64,
    },
    /// See [`Kind::PoolLow`] and [`Kind::PoolRecovered`].
    Pool {
        /// Its name.
        pool: String,
        /// Addresses that are lent,
        in_use: u64,
        /// of so many.
        of: u64,
        /// Which of the two.
        low: Spell,
    },
    /// See [`Kind::CertificateExpiring`].
    CertificateExpiring {
        /// What we show it for.
        used_for: CertificateUse,
        /// Whose it is, as it says itself.
        subject: String,
        /// Until it ends; nothing if it has.
        left: Option<Duration>,
    },
    /// See [`Kind::WorkerOverloaded`] and [`Kind::WorkerRecovered`].
    Worker {
        /// Its number.
        worker: usize,
        /// What it was overloaded by; nothing if that is over.
        strain: Option<Strain>,
    },
    /// See [`Kind::DaemonStarted`].
    DaemonStarted {
        /// adit's.
        version: &'static str,
    },
    /// See [`Kind::Reloaded`].
    Reloaded {
        /// Keys and sections that are otherwise,
        changes: usize,
        /// and sessions that did not fit any more.
        ended: usize,
    },
    /// See [`Kind::StateNotWritten`].
    StateNotWritten {
        /// The file, or the directory.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// See [`Kind::StateWritten`].
    StateWritten {
        /// The file.
        file: String,
    },
    /// See [`Kind::Draining`].
    Draining {
        /// Sessions that are still here,
        sessions: usize,
        /// and how long they may stay, if there is a limit.
        within: Option<Duration>,
    },
    /// See [`Kind::DrainingOver`].
    DrainingOver,
    /// See [`Kind::DaemonLeaving`].
    DaemonLeaving,
}

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spell {
    /// It is.
    On,
    /// It is not, or no more.
    Off,
}

/// What a rekey replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The IKE SA; with IKEv1, phase 1.
    Ike,
    /// A child SA.
    Child,
}

/// Who has begun something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The headend.
    Us,
    /// The client.
    Peer,
}

/// Packets that a worker could not carry within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strain {
    /// That found no room to leave,
    pub transmit_full: u64,
    /// or none in a neighbour's ring,
    pub ring_full: u64,
    /// of so many that it took in.
    pub of: u64,
}

impl What {
    /// The stable word for it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Login { .. } => Kind::Login,
            Self::LoginRefused { .. } => Kind::LoginRefused,
            Self::Logout { .. } => Kind::Logout,
            Self::Rekey { .. } => Kind::Rekey,
            Self::Moved { .. } => Kind::TransportMoved,
            Self::TransportClosed { .. } => Kind::TransportClosed,
            Self::StallSuspected(_) => Kind::StallSuspected,
            Self::StallRefuted(_) => Kind::StallRefuted,
            Self::StallFound(_) => Kind::StallFound,
            Self::CaptureStarted { .. } => Kind::CaptureStarted,
            Self::CaptureEnded { .. } => Kind::CaptureEnded,
            Self::Pool { low: Spell::On, .. } => Kind::PoolLow,
            Self::Pool { low: Spell::Off, .. } => Kind::PoolRecovered,
            Self::CertificateExpiring { .. } => Kind::CertificateExpiring,
            Self::Worker { strain: Some(_), .. } => Kind::WorkerOverloaded,
            Self::Worker { strain: None, .. } => Kind::WorkerRecovered,
            Self::DaemonStarted { .. } => Kind::DaemonStarted,
            Self::Reloaded { .. } => Kind::Reloaded,
            Self::StateNotWritten { .. } => Kind::StateNotWritten,
            Self::StateWritten { .. } => Kind::StateWritten,
            Self::Draining { .. } => Kind::Draining,
            Self::DrainingOver => Kind::DrainingOver,
            Self::DaemonLeaving => Kind::DaemonLeaving,
        }
    }
}

impl From<What> for Happening {
    fn from(what: What) -> Self {
        Self { who: None, what }
    }
}
