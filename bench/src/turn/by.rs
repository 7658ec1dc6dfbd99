//! What carries ESP in a case.

use crate::connection;
use adit_dataplane::carrier::ctcp::{CtcpConfig, Mode};
use adit_dataplane::contract::{Path, Transport};
use adit_dataplane::packet::Channel;
use adit_dataplane::worker::CtcpSetup;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;

/// What ESP travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum By {
    /// UDP 4500 (RFC 3948)
    NatT,
    /// Cisco's UDP 10000
    CiscoUdp,
    /// IP alone (RFC 4303)
    Esp,
    /// Cisco's IPsec over TCP, kept from stalling
    Ctcp,
    /// The same without state
    CtcpStateless,
}

impl By {
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::NatT => Transport::NatT,
            Self::CiscoUdp => Transport::CiscoUdp,
            Self::Esp => Transport::Esp,
            Self::Ctcp | Self::CtcpStateless => Transport::Ctcp,
        }
    }

    pub(super) const fn channel(self) -> Channel {
        match self {
            Self::NatT => Channel::NatT,
            Self::CiscoUdp => Channel::CiscoUdp,
            Self::Esp => Channel::Esp,
            Self::Ctcp | Self::CtcpStateless => Channel::Ctcp,
        }
    }

    /// Of the client that has this place; by cTCP each has a connection of its own.
    pub(super) fn path(self, slot: u32) -> Path {
        let (local, peer) = match self {
            Self::NatT => (4500, 4500),
            Self::CiscoUdp => (10_000, 10_000),
            Self::Esp => (0, 0),
            Self::Ctcp | Self::CtcpStateless => return connection::path(slot),
        };
        Path { local: ([192, 0, 2, 1], local).into(), peer: ([198, 51, 100, 7], peer).into() }
    }

    pub(super) fn setup(self) -> Option<CtcpSetup> {
        let mode = self.mode()?;
        let unlimited =
            CtcpConfig { flows: 1 << 20, unproven: 1 << 20, unproven_per_source: 1 << 20, ..CtcpConfig::DEFAULT };
        Some(CtcpSetup { config: CtcpConfig { mode, ..unlimited }, secret: [5; 24] })
    }

    const fn mode(self) -> Option<Mode> {
        match self {
            Self::NatT | Self::CiscoUdp | Self::Esp => None,
            Self::Ctcp => Some(Mode::Adaptive),
            Self::CtcpStateless => Some(Mode::Stateless),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
