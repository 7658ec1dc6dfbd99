//! What AAA is asked.

use super::UserName;
use crate::session::SessionId;
use adit_crypto::secret::SecretBytes;
use std::net::SocketAddr;

/// The asker's name for a question, given back in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// One round of a login.
#[derive(Debug, Clone)]
pub struct Question {
    /// The asker's name for it, never used twice.
    pub id: QuestionId,
    /// On whose behalf.
    pub session: SessionId,
    /// Index into the configuration's connections: it says who answers (`users`), and in which order.
    pub connection: usize,
    /// Who they say they are.
    pub user: UserName,
    /// How they prove it.
    pub proof: Proof,
    /// From the challenge that this answers, `None` in the first round.
    pub state: Option<ChallengeState>,
    /// Where they come from.
    pub caller: Caller,
}

/// How a user proves who they are.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The password itself, or what a challenge asked for. The only proof that local users can give: their hashes
    /// answer nothing else.
    Password(SecretBytes),
    /// CHAP (RFC 1994): the client has answered a challenge of ours.
    Chap {
        /// Identifier of the CHAP packet.
        identifier: u8,
        /// Ours.
        challenge: Vec<u8>,
        /// MD5 over both and the password.
        response: [u8; 16],
    },
    /// MS-CHAP version 2 (RFC 2759): the client has answered a challenge of ours.
    MsChapV2 {
        /// Identifier of the CHAP packet.
        identifier: u8,
        /// Ours.
        challenge: [u8; 16],
        /// The client's.
        peer_challenge: [u8; 16],
        /// By the password's NT hash.
        response: [u8; 24],
    },
}

/// Where a user comes from, as the server's operator wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Outer address (Calling-Station-Id).
    pub peer: SocketAddr,
    /// Ours that they called (Called-Station-Id).
    pub local: SocketAddr,
    /// The group or identity that IKE has proven.
    pub group: String,
}

/// What goes back to the server that asked one more thing (RFC 2865 section 5.24). Only AAA looks inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeState {
    pub(super) server: usize,
    pub(super) state: Vec<u8>,
}

impl ChallengeState {
    /// `state` is of the server with this index in the configuration. For tests of those who pass it on.
    pub fn new(server: usize, state: Vec<u8>) -> Self {
        Self { server, state }
    }
}
