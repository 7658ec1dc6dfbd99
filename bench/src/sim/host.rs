//! An end: an IKE engine with its dataplane, at an address, behind an access line.

use super::dataplane::Dataplane;
use super::line::Line;
use super::network::RealmId;
use adit_control::ike::engine::{Engine, Output};
use adit_dataplane::contract::{Command, Event};
use adit_dataplane::time::Instant;
use std::fmt;

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(pub(crate) usize);

impl HostId {
    /// By convention the first host of a world.
    pub(crate) const HEADEND: Self = Self(0);
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::HEADEND => f.write_str("headend"),
            Self(number) => write!(f, "#{number}"),
        }
    }
}

/// Where it is and what it is.
pub(crate) struct Host {
    pub(crate) realm: RealmId,
    pub(crate) out: Line,
    pub(crate) into: Line,
    pub(crate) fault: Option<Fault>,
    /// `None` while it is switched off.
    pub(crate) machine: Option<Machine>,
}

/// What runs on it.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) dataplane: Dataplane,
    /// The entry in the agenda that will call it; others that may be there are out of date.
    pub(crate) wake: Option<Instant>,
    /// How often it was called in this instant.
    pub(crate) calls: u32,
}

impl Machine {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, dataplane: Dataplane::default(), wake: None, calls: 0 }
    }
}

/// A deliberate mistake, put in between an engine and its dataplane: a world with one must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// A rekeyed SA is never dropped.
    ForgetsDropPair,
    /// After a rekey it goes on sending on the old SA.
    ForgetsSwitchOutbound,
    /// The tunnel of a session that is over stays.
    ForgetsDropTunnel,
    /// Routes are never published.
    ForgetsRoutes,
    /// What retires is not told to control, so its slots are never free again.
    ForgetsRetired,
    /// An SA is gone as soon as there is another.
    BreaksBeforeMake,
    /// What AAA says about users gets lost.
    LosesAnswers,
}

impl Fault {
    /// Whether a world without IKEv1 can show it.
    #[cfg(test)]
    pub(crate) fn shows_by_ikev2(self) -> bool {
        self != Self::LosesAnswers
    }
}

impl Host {
    /// Whether this output gets as far as the dataplane.
    pub(crate) fn passes(&self, output: &Output) -> bool {
        match (self.fault, output) {
            (Some(Fault::ForgetsRoutes), Output::Routes(_)) => false,
            (Some(Fault::ForgetsDropPair), Output::Command(_, Command::DropPair { .. })) => false,
            (Some(Fault::ForgetsDropTunnel), Output::Command(_, Command::DropTunnel { .. })) => false,
            (Some(Fault::ForgetsSwitchOutbound), Output::Command(_, Command::SwitchOutbound { spi })) => {
                let tunnel = self.machine.as_ref().and_then(|machine| machine.dataplane.tunnel_with(spi.get()));
                tunnel.is_none_or(|tunnel| !tunnel.sends_in_lane_of(*spi))
            }
            (
                Some(_) | None,
                Output::Routes(_)
                | Output::Command(..)
                | Output::Ask(_)
                | Output::Account(_)
                | Output::Happened(_)
                | Output::Reconfigured(..),
            ) => true,
        }
    }

    /// Whether this event gets as far as control.
    pub(crate) fn reports(&self, event: &Event) -> bool {
        !matches!((self.fault, event), (Some(Fault::ForgetsRetired), Event::Retired(_)))
    }
}
