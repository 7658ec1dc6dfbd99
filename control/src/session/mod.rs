//! Sessions as others see them: copied views, no secrets.

mod cause;
mod health;
mod listing;
pub(crate) mod log_budget;

pub use cause::Cause;
pub use health::{Health, Reason};
pub use listing::{Listed, Listing, SaQuery, SessionQuery};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use utoipa::ToSchema;

/// A session's name on every log line and in the API: short, unique while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct SessionId(pub u32);

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let number = text.strip_prefix('s').filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
        number.and_then(|number| number.parse().ok()).map(Self).ok_or(NoSessionId)
    }
}

/// This is no session's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session's name looks like \"s17\"")]
pub struct NoSessionId;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Key exchange done, identity not yet proven.
    Connecting,
    /// In service.
    Up,
    /// Deletes are under way.
    Closing,
}

/// One session, copied for the API. Times are seconds, counters inner octets and packets since login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// `s1`, `s2`, …
    pub id: String,
    /// Where it stands.
    pub state: SessionState,
    /// How it does.
    pub health: Health,
    /// Why it is not simply up: `connecting`, `unanswered`, `stall_suspected`, or the cause why it ends. Empty if it is.
    pub reason: String,
    /// By which version of IKE it came: `v1`, `v2`.
    pub ike: String,
    /// The peer's proven identity, or the user that XAUTH has proven; empty while connecting.
    pub identity: String,
    /// What IKEv1's phase 1 has proven before XAUTH: the group, or the peer's own name. Empty for IKEv2.
    pub group: String,
    /// Name of the `[[connection]]` it matched; empty while connecting.
    pub connection: String,
    /// Inner addresses leased to it.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The peer's public address and port: the outer one, after NAT.
    #[schema(value_type = String)]
    pub peer: SocketAddr,
    /// The outer address of ours that it talks to.
    #[schema(value_type = String)]
    pub local: SocketAddr,
    /// How its ESP comes and goes: `nat-t`, `nat-t-500`, `cisco-udp`, `esp`, `ctcp`, `tcp`; empty while there is none.
    pub transport: String,
    /// Whether a NAT was seen in front of the peer.
    pub peer_behind_nat: bool,
    /// The IKE SA's algorithms, as config spells them.
    pub ike_algorithms: String,
    /// Both IKE SPIs, `initiator_responder`, hex.
    pub ike_spis: String,
    /// Worker that owns its tunnel.
    pub worker: u8,
    /// Seconds since login.
    pub up_seconds: u64,
    /// Seconds since an authenticated packet came.
    pub idle_seconds: u64,
    /// From the peer.
    pub bytes_in: u64,
    /// To the peer.
    pub bytes_out: u64,
    /// From the peer.
    pub packets_in: u64,
    /// To the peer.
    pub packets_out: u64,
    /// What it may.
    #[serde(flatten)]
    pub policy: PolicyView,
    /// Packets of its own that were dropped since login, by name of the reason (as in `/v1/drops`). What cannot be told to be of
    /// one session is counted for the workers alone.
    pub drops: BTreeMap<String, u64>,
}

/// What a session may. Null is without limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Name of its `[[class]]`.
    pub class: Option<String>,
    /// From the peer: bits of inner packets a second.
    pub rate_up: Option<u64>,
    /// To the peer: bits of inner packets a second.
    pub rate_down: Option<u64>,
    /// It ends after so many seconds without an inner packet of the peer's …
    pub idle_timeout: Option<u64>,
    /// … which is so many seconds from now, if none comes.
    pub idle_timeout_in: Option<u64>,
    /// It ends so many seconds after its login …
    pub session_timeout: Option<u64>,
    /// … which is so many seconds from now.
    pub session_timeout_in: Option<u64>,
    /// Sessions that its user may have at a time.
    pub max_logins: Option<u32>,
}

/// Sessions that go by one transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransportLoad {
    /// So many.
    pub sessions: usize,
    /// Inner octets from them since their login,
    pub bytes_in: u64,
    /// and to them.
    pub bytes_out: u64,
}

/// One child SA pair, copied for the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaView {
    /// Its session.
    pub session: String,
    /// The session's identity.
    pub identity: String,
    /// Ours, hex with 0x.
    pub spi_in: String,
    /// The peer's, hex with 0x; empty if nothing is sent on it.
    pub spi_out: String,
    /// ESP algorithms, as config spells them.
    pub algorithms: String,
    /// Which library encrypts: `aws-lc`, `ring` or `rustcrypto`.
    pub library: String,
    /// `active`, `rekeyed` (waiting out its grace) or `new` (peer has not used it yet).
    pub state: String,
    /// Worker that owns it.
    pub worker: u8,
    /// Our side, e.g. `10.20.0.0/24`; ranges as `a-b`; protocol and ports appended when narrower.
    pub local: Vec<String>,
    /// The peer's side.
    pub remote: Vec<String>,
    /// Seconds since installed.
    pub age_seconds: u64,
    /// From the peer on this SA.
    pub bytes_in: u64,
    /// To the peer on this SA.
    pub bytes_out: u64,
    /// From the peer on this SA.
    pub packets_in: u64,
    /// To the peer on this SA.
    pub packets_out: u64,
    /// Octets of the largest inner packet that is sent on it whole; 0 if nothing is sent on it yet.
    pub inner_mtu: u64,
}
