//! What can happen: stable words for scripts, a sentence each for people.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::ToSchema;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The ordinary course of things.
    Info,
    /// Somebody is without service, or will be.
    Warning,
    /// The service as a whole suffers.
    Error,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $severity:ident $sentence:literal,)+) => {
        /// One kind of happening.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = EventKind)]
        pub enum Kind {
            $(#[doc = $sentence] $variant,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

kinds! {
    Login "login" Info "a client is logged in",
    LoginRefused "login_refused" Warning "a client is not let in; the reason is a cause",
    Logout "logout" Info "a session has ended; the reason is a cause",
    Rekey "rekey" Info "an IKE SA or a child SA has been replaced",
    TransportMoved "transport_moved" Info "a session goes by another address or another transport",
    TransportClosed "transport_closed" Info "an operator has closed a transport to a session for a while, so that it goes by another",
    StallSuspected "stall_suspected" Info "a cTCP connection seems to bring nothing of its client's; the client is asked whether it lives",
    StallFound "stall_found" Warning "a cTCP connection has stalled and its session ends; the reason is a finding, with its remedy",
    StallRefuted "stall_refuted" Info "the client of a suspected cTCP connection was heard after all",
    CaptureStarted "capture_started" Info "an operator has a session's packets written to a file",
    CaptureEnded "capture_ended" Info "a capture has ended; the reason says by what",
    PoolLow "pool_low" Warning "nine of ten addresses of a pool are in use",
    PoolRecovered "pool_recovered" Info "fewer than eight of ten addresses of a pool are in use again",
    CertificateExpiring "certificate_expiring" Warning "a certificate of the headend's ends soon or has ended",
    WorkerOverloaded "worker_overloaded" Error "a worker has had more packets than it can carry for three seconds",
    WorkerRecovered "worker_recovered" Info "a worker that was overloaded has had room for five seconds",
    DaemonStarted "daemon_started" Info "aditd has begun to serve",
    Reloaded "reloaded" Info "another configuration is in force",
    StateNotWritten "state_not_written" Warning "the disk does not take what is to outlive the process; everything else goes on",
    StateWritten "state_written" Info "the disk takes what is to outlive the process again, and has all of it",
    Draining "draining" Info "nobody new is let in from now on",
    DrainingOver "draining_over" Info "everybody is let in again",
    DaemonLeaving "daemon_leaving" Info "aditd says goodbye to its clients and ends",
}

impl Kind {
    /// Whether peers make it happen as often as they like: then it may not push out everything else.
    pub const fn is_cheap(self) -> bool {
        match self {
            Self::LoginRefused | Self::Rekey | Self::TransportMoved | Self::StallSuspected | Self::StallRefuted => true,
            Self::Login
            | Self::Logout
            | Self::TransportClosed
            | Self::StallFound
            | Self::CaptureStarted
            | Self::CaptureEnded
            | Self::PoolLow
            | Self::PoolRecovered
            | Self::CertificateExpiring
            | Self::WorkerOverloaded
            | Self::WorkerRecovered
            | Self::DaemonStarted
            | Self::Reloaded
            | Self::StateNotWritten
            | Self::StateWritten
            | Self::Draining
            | Self::DrainingOver
            | Self::DaemonLeaving => false,
        }
    }
}

/// Not the name of any kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind {0:?}; there are {all}", all = names())]
pub struct NoKind(String);

fn names() -> String {
    Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        let kind = Self::ALL.iter().find(|kind| kind.name() == text);
        kind.copied().ok_or_else(|| NoKind(text.chars().take(40).collect()))
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_word_of_its_own_that_reads_back_and_a_sentence() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{:?}", kind.name()));
            assert!(kind.sentence().len() > 15 && !kind.sentence().ends_with('.'), "{kind}");
        }
        let wrong = "logins".parse::<Kind>().unwrap_err().to_string();
        assert!(wrong.starts_with("there is no kind \"logins\"; there are login, login_refused, "), "{wrong}");
    }
}
