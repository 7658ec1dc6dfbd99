//! Two ends that start something at once (RFC 7296 sections 2.8.1, 2.8.2 and 2.25), and a network that loses chosen
//! messages of what follows.

use super::chance::Chance;
use super::datagram::Datagram;
use super::finding::{Finding, What};
use super::host::HostId;
use super::line::Line;
use super::model::{self, Headend, Subscriber, Wants};
use super::neighbourhood::{Address, HEADEND_V4};
use super::network::Network;
use super::person::{Person, engine};
use super::script::{Matching, Script};
use super::settings::Settings;
use super::world::World;
use adit_control::config::ConfigErrors;
use adit_control::ike::engine::Contact;
use adit_control::session::SessionId;
use std::time::Duration;

/// What an end starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    RekeyChild,
    RekeyIke,
    DeleteIke,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::RekeyChild, Self::RekeyIke, Self::DeleteIke];
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Collision {
    pub(crate) seed: u64,
    pub(crate) client: Act,
    pub(crate) headend: Act,
    /// The headend starts so much later than the client.
    pub(crate) later: Duration,
    /// Which IKE messages after the start are lost.
    pub(crate) lost: Vec<usize>,
}

/// How it went.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    /// IKE messages from the start until it was quiet.
    pub(crate) messages: usize,
    pub(crate) ladder: Vec<String>,
}

/// One way through the network.
pub(crate) const ONE_WAY: Duration = Duration::from_millis(100);
const BETWEEN_PACKETS: Duration = Duration::from_millis(70);
/// Packets flow for so long: as long as it takes to give up and more.
const BUSY: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_secs(200);
