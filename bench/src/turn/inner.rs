//! What is inside a case's tunnels, and whether its flows are counted or limited.

use adit_dataplane::contract::{Rate, Rates};
use adit_dataplane::inner_flows::InnerFlowsConfig;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The table of inner flows, as `[flows]` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FlowTable {
    /// There is none
    Off,
    /// 100 000 flows, every packet looked at
    On,
    /// One packet of 100 looked at
    Sampled,
}

impl FlowTable {
    pub(super) fn setup(self) -> Option<InnerFlowsConfig> {
        let sample = match self {
            Self::Off => return None,
            Self::On => 1,
            Self::Sampled => 100,
        };
        Some(InnerFlowsConfig { limit: 100_000, sample, seed: [3; 16] })
    }
}

/// Whether the tunnels have limits of rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RateLimit {
    /// They have none
    Off,
    /// Both ways, and so high that nothing is dropped
    On,
}

impl RateLimit {
    pub(super) fn rates(self) -> Rates {
        let rate = match self {
            Self::Off => None,
            Self::On => Rate::new(Rate::FASTEST, Duration::from_secs(1)),
        };
        Rates { up: rate, down: rate }
    }
}

/// What the inner packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Inner {
    /// UDP
    Udp,
    /// TCP segments with data, each behind the one before
    Tcp,
}

impl Inner {
    /// In IPv4, addresses left out.
    pub(super) fn packet(self, size: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0];
        packet[2..4].copy_from_slice(&size.to_be_bytes());
        packet.resize(24, 0);
        match self {
            Self::Udp => packet.extend((size - 20).to_be_bytes()),
            Self::Tcp => {
                packet[9] = 6;
                packet.extend([0; 8]);
                packet.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
            }
        }
        packet.resize(size.into(), 0x5a);
        packet
    }

    /// Makes this packet of so many octets the flow's next one.
    pub(super) fn number(self, packet: &mut [u8], round: u32) {
        let payload = packet.len().saturating_sub(40) as u32;
        if let (Self::Tcp, Some(seq)) = (self, packet.get_mut(24..28)) {
            seq.copy_from_slice(&round.wrapping_mul(payload).to_be_bytes());
        }
    }
}

/// The other end of this flow: a server each.
pub(super) fn server(flow: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 16, 0, 1)) + flow)
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl fmt::Display for FlowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
