//! How much a capture may be.

use std::time::Duration;

/// Within these it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long.
    pub time: Duration,
    /// Octets of the file.
    pub octets: u64,
    /// Octets of each packet.
    pub snap: u32,
}

/// A limit that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLimit {
    /// How long.
    #[error("seconds: a capture takes 1 to {}", Limits::MOST_SECONDS)]
    Seconds,
    /// How much.
    #[error("octets: a capture's file has {} to {}", Limits::LEAST_OCTETS, Limits::MOST_OCTETS)]
    Octets,
    /// How much of each packet.
    #[error("snap: of each packet {} to {} octets are kept", Limits::LEAST_SNAP, Limits::MOST_SNAP)]
    Snap,
}

impl Limits {
    /// Nothing was said.
    pub const DEFAULT_SECONDS: u64 = 60;
    /// An hour.
    pub const MOST_SECONDS: u64 = 3600;
    /// Nothing was said.
    pub const DEFAULT_OCTETS: u64 = 10_000_000;
    /// A few packets.
    pub const LEAST_OCTETS: u64 = 4096;
    /// A file that can still be handled.
    pub const MOST_OCTETS: u64 = 1_000_000_000;
    /// The headers of an inner packet by IPv6 with TCP and options.
    pub const LEAST_SNAP: u32 = 96;
    /// Every IP packet whole.
    pub const MOST_SNAP: u32 = 65_535;

    /// Checks what somebody asks for; what he does not say is as usual.
    ///
    /// # Errors
    /// What cannot be.
    pub fn new(seconds: Option<u64>, octets: Option<u64>, snap: Option<u32>) -> Result<Self, NoLimit> {
        let time = match seconds.unwrap_or(Self::DEFAULT_SECONDS) {
            seconds @ 1..=Self::MOST_SECONDS => Duration::from_secs(seconds),
            _too_long => return Err(NoLimit::Seconds),
        };
        let octets = match octets.unwrap_or(Self::DEFAULT_OCTETS) {
            octets @ Self::LEAST_OCTETS..=Self::MOST_OCTETS => octets,
            _too_much => return Err(NoLimit::Octets),
        };
        let snap = match snap.unwrap_or(Self::MOST_SNAP) {
            snap @ Self::LEAST_SNAP..=Self::MOST_SNAP => snap,
            _too_much => return Err(NoLimit::Snap),
        };
        Ok(Self { time, octets, snap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_both_ends() {
        for (seconds, good) in [(0, false), (1, true), (3600, true), (3601, false)] {
            assert_eq!(Limits::new(Some(seconds), None, None).is_ok(), good, "{seconds} s");
        }
        for (octets, good) in [(4095, false), (4096, true), (1_000_000_000, true), (1_000_000_001, false)] {
            assert_eq!(Limits::new(None, Some(octets), None).is_ok(), good, "{octets} octets");
        }
        for (snap, good) in [(95, false), (96, true), (65_535, true), (65_536, false)] {
            assert_eq!(Limits::new(None, None, Some(snap)).is_ok(), good, "{snap} of each");
        }
        let usual = Limits { time: Duration::from_secs(60), octets: 10_000_000, snap: 65_535 };
        assert_eq!(Limits::new(None, None, None), Ok(usual));
    }
}
