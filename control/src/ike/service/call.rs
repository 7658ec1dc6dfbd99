//! Sessions that we start, by either version of IKE: whom to call, and what a call has taken.

use super::node::Node;
use crate::ike::wire::{Id, IkeSpi};
use crate::lease::Want;
use crate::pki::Authorities;
use crate::session::{Cause, SessionId};
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{IkeFraming, Path, Spi, WorkerId};
use std::sync::Arc;

/// Whom to call, as whom, and what for. For load tools and simulations: the configuration file knows no peer to call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Index into the configuration's connections: by which version of IKE, key, proposals, who the peer may be
    /// (`remote_ids`), and the networks behind it (`networks`).
    pub connection: usize,
    /// Who we say to be (IDi); by IKEv1 usually the group.
    pub identity: Id,
    /// Where the first message goes, bare: usually between two ports 500.
    pub path: Path,
    /// Where everything goes after NAT detection, if that leads there: usually between two ports 4500.
    pub natt: Path,
    /// Inner addresses to ask for.
    pub want: Want,
    /// Whether the peer is to forget what it still has of us.
    pub contact: Contact,
    /// What everything travels in.
    pub carriage: Carriage,
    /// What only IKEv1 has to know.
    pub v1: CallV1,
}

/// Whether an end says that it has lost whatever sessions it had (RFC 7296 section 2.4, RFC 2407 section 4.6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// INITIAL_CONTACT: whatever is still there of this identity is lost.
    Initial,
    /// Not said.
    Further,
}

/// What only a call by IKEv1 has to know.
#[derive(Debug, Clone, Default)]
pub struct CallV1 {
    /// Which exchange phase 1 is.
    pub mode: Mode,
    /// Who is to log in after phase 1, where the connection has XAUTH.
    pub user: Option<Credentials>,
    /// Who vouches for the headend's certificate; without any, those of the connection do.
    pub authorities: Option<Arc<Authorities>>,
    /// What our end of a cTCP connection is like, if it travels in one.
    pub ctcp: CtcpManner,
}

/// What a call travels in. NAT detection decides, or the caller has: nothing in a first message can ask for Cisco's own ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carriage {
    /// UDP 500, then what NAT detection leads to.
    #[default]
    Detected,
    /// Cisco's IPsec over UDP: IKE stays on UDP 500, ESP goes to the port that mode config names.
    CiscoUdp,
    /// cTCP: IKE and ESP in one connection, along the call's path.
    Ctcp,
    /// RFC 9329: likewise, in real TCP. By IKEv2 alone.
    Tcp,
}

/// What our end of a cTCP connection is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CtcpManner {
    /// As a headend's: it repeats what is asked for.
    #[default]
    Ours,
    /// As Cisco's clients: it repeats nothing, and acknowledges nothing but with data.
    Legacy,
}

/// Which exchange phase 1 is (RFC 2409 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Three messages; the first says who is calling.
    #[default]
    Aggressive,
    /// Six messages; who is calling is encrypted.
    Main,
}

/// A user's, for XAUTH.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// Wiped with the last copy.
    pub password: SecretBytes,
    /// What is said to a challenge, if anything is known for that.
    pub passcode: Option<SecretBytes>,
}

impl Carriage {
    /// How its first message stands in its packets.
    pub(crate) const fn framing(self) -> IkeFraming {
        match self {
            Self::Detected | Self::CiscoUdp => IkeFraming::Bare,
            Self::Ctcp => IkeFraming::Ctcp,
            Self::Tcp => IkeFraming::Tcp,
        }
    }
}

/// What a call has taken, to be given back when it fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) id: SessionId,
    pub(crate) ike: IkeSpi,
    pub(crate) worker: WorkerId,
    pub(crate) esp: Option<Spi>,
}

impl Held {
    /// Gives it back.
    pub(crate) fn let_go(self, node: &mut Node) {
        node.forget_ike_spi(self.ike);
        node.installer.session_left(self.worker);
        if let Some(spi) = self.esp {
            node.installer.give_back_spi(spi);
        }
    }
}

/// Why not; for the log.
#[derive(Debug, Clone)]
pub(crate) struct CallFailed {
    pub(crate) cause: Cause,
    pub(crate) why: String,
}

impl CallFailed {
    pub(crate) fn new(cause: Cause, why: impl std::fmt::Display) -> Self {
        Self { cause, why: why.to_string() }
    }
}
