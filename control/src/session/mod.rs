//! Sessions as others see them: copied views, no secrets.

mod cause;
pub(crate) mod log_budget;

pub use cause::Cause;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A session's name on every log line and in the API: short, unique while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u32);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// `s1`, `s2`, …
    pub id: String,
    /// Where it stands.
    pub state: SessionState,
    /// By which version of IKE it came: `v1`, `v2`.
    pub ike: String,
    /// The peer's proven identity, or the user that XAUTH has proven; empty while connecting.
    pub identity: String,
    /// What IKEv1's phase 1 has proven before XAUTH: the group, or the peer's own name. Empty for IKEv2.
    pub group: String,
    /// Name of the `[[connection]]` it matched; empty while connecting.
    pub connection: String,
    /// Inner addresses leased to it.
    pub addresses: Vec<IpAddr>,
    /// The peer's outer address, after NAT.
    pub peer: SocketAddr,
    /// The outer address of ours that it talks to.
    pub local: SocketAddr,
    /// How its ESP comes and goes: `nat-t`, `cisco-udp`, `esp`; empty while there is none.
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
}

/// One child SA pair, copied for the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
