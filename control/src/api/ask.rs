//! Questions to the IKE thread: a bounded channel there, one answer each back.

use crate::aaa::window::NoView;
use crate::capture::Target;
use crate::ctcp::{ClearView, ConnectionQuery, ListedConnections, MoveView, Which};
use crate::flows::{InnerFlowsView, NoFlows, Wanted};
use crate::journal::Happening;
use crate::lease::{LeaseListing, LeasePage, PoolView};
use crate::reload::Proposal;
use crate::session::{Listed, Listing, SaQuery, SaView, SessionId, SessionQuery, SessionView};
use adit_dataplane::contract::FlowId;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::time::Duration;
use tokio::sync::oneshot;

use super::transports::TransportUse;
use super::views::{CertificateView, IkeView, StatusView};

/// Questions that may wait. More means that the IKE thread does not keep up: better told than queued.
const WAITING: usize = 16;
/// An answer is a copy of views; if it takes longer, something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the IKE thread is asked, and where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// How the daemon is.
    Status(oneshot::Sender<StatusView>),
    /// A page of sessions.
    Sessions(Listing, SessionQuery, oneshot::Sender<Listed<SessionView>>),
    /// This session.
    Session(SessionId, oneshot::Sender<Option<SessionView>>),
    /// A page of child SAs.
    Sas(Listing, SaQuery, oneshot::Sender<Listed<SaView>>),
    /// Our own certificates.
    Certificates(oneshot::Sender<Vec<CertificateView>>),
    /// All pools.
    Pools(oneshot::Sender<Vec<PoolView>>),
    /// A page of leases.
    Leases(LeaseListing, oneshot::Sender<LeasePage>),
    /// Something is to be done with a session.
    Order(SessionId, Order, oneshot::Sender<Obeyed>),
    /// What the IKE engine holds and did.
    Ike(oneshot::Sender<IkeView>),
    /// A page of connections by cTCP and in real TCP; the workers are asked.
    Flows(ConnectionQuery, oneshot::Sender<ListedConnections>),
    /// Some of the flows inside tunnels; the workers are asked.
    InnerFlows(Wanted, oneshot::Sender<Result<InnerFlowsView, NoFlows>>),
    /// Every transport: where it is listened for, and who goes by it.
    Transports(oneshot::Sender<Vec<TransportUse>>),
    /// Whose tunnel is to be captured, and where it goes; nothing if the session has none.
    CaptureTarget(SessionId, oneshot::Sender<Option<Target>>),
    /// Something has happened elsewhere.
    Tell(Box<Happening>),
    /// Nobody new is to be let in, or everybody again; the answer is how the daemon is then.
    Drain(DrainOrder, oneshot::Sender<StatusView>),
    /// Another configuration.
    Reload(Proposal),
    /// These are to end.
    ClearFlows(Which, oneshot::Sender<ClearView>),
    /// The session that has this one is to go by another transport.
    MoveFlow(MoveOrder, oneshot::Sender<Result<MoveView, CannotMove>>),
}

/// Which session is to go by another transport, for how long, and who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveOrder {
    /// The connection that it has.
    pub connection: FlowId,
    /// Its transport is closed to the session for so long.
    pub time: Duration,
    /// Which operator.
    pub by: String,
}

/// Why nothing is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotMove {
    /// There is no such connection.
    NoSuchConnection,
    /// It is no session's that is up.
    NotUp,
    /// This session may come by nothing else.
    NoOther(SessionId),
    /// This session is one that we have called for.
    WeHaveCalled(SessionId),
}

/// What is to be done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It ends: its peer is told.
    Disconnect,
    /// Its IKE SA is replaced.
    RekeyIke,
    /// Its child SAs are replaced, one after the other.
    RekeyChildren,
}

/// What is to be done about draining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOrder {
    /// Nobody new is let in.
    Begin {
        /// Who is still here after so long is told to go; `None` lets everybody stay.
        within: Option<Duration>,
        /// Whether the daemon ends when nobody is left.
        stop: bool,
    },
    /// Everybody is let in again.
    Cancel,
}

/// What became of an [`Order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obeyed {
    /// It has begun; the peer has its part in it.
    Begun,
    /// There is none of this name.
    NoSuchSession,
    /// It is not up, and nothing of it can be replaced.
    NotUp,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait.
    #[error("the IKE thread is busy: too many questions wait; ask again")]
    Busy,
    /// No answer in time.
    #[error("the IKE thread did not answer in time; ask again")]
    TooLate,
    /// Too many questions wait for another thread.
    #[error("{0} is busy: too many questions wait; ask again")]
    BusyElsewhere(&'static str),
    /// No answer from another thread in time.
    #[error("{0} did not answer in time; ask again")]
    TooLateElsewhere(&'static str),
    /// A reload has not come to its end in time.
    #[error(
        "the reload takes its time: it goes on, and may still be applied. `aditctl watch --kind reloaded` tells when it is"
    )]
    StillReloading,
    /// The daemon is leaving.
    #[error("aditd is ending")]
    Gone,
}

impl From<NoView> for NoAnswer {
    fn from(none: NoView) -> Self {
        const THREAD: &str = "the AAA thread";
        match none {
            NoView::Busy => Self::BusyElsewhere(THREAD),
            NoView::TooLate => Self::TooLateElsewhere(THREAD),
            NoView::Gone => Self::Gone,
        }
    }
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Asker(Sender<Question>);

/// Both ends.
pub fn channel() -> (Asker, Receiver<Question>) {
    let (sender, receiver) = bounded(WAITING);
    (Asker(sender), receiver)
}

impl Asker {
    /// Asks; where the answer goes is in the question.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub fn hand_in(&self, question: Question) -> Result<(), NoAnswer> {
        self.0.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Gone,
        })
    }

    /// Asks and waits for the answer, [`PATIENCE`] at most.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub async fn ask<A>(&self, question: impl FnOnce(oneshot::Sender<A>) -> Question) -> Result<A, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(question(answer))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(NoAnswer::Gone),
            Err(_elapsed) => Err(NoAnswer::TooLate),
        }
    }
}
