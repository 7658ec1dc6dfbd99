//! What must not be: every way in which a world can fail, with a sentence.

use super::host::HostId;
use adit_dataplane::contract::{Spi, TunnelKey};
use adit_dataplane::time::Instant;
use std::fmt;

/// Something that no correct pair of ends does, whatever the network does to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) at: Instant,
    pub(crate) host: HostId,
    pub(crate) what: What,
}

/// Which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    // Commands that make no sense to a dataplane.
    SlotTaken(TunnelKey),
    SpiTaken(Spi),
    NoSuchTunnel(TunnelKey),
    NoSuchSa(Spi),
    TooManyInbound(TunnelKey),
    /// Control drops what it sends on: its lane is mute from there on.
    DroppedInUse(Spi),
    // Packets.
    /// A packet came for a living tunnel on an SPI that was never installed.
    NeverInstalled {
        spi: u32,
        sender: HostId,
    },
    /// A packet came for a living tunnel that was sent after its SA had been dropped.
    SentAfterDrop {
        spi: Spi,
        sender: HostId,
        dropped: Instant,
    },
    /// Both ends have the SA and disagree on its keys.
    OtherKeys {
        spi: Spi,
    },
    // What both ends hold.
    LeaseTwice(String),
    /// An inner address leads to a tunnel that is not its session's, or to none.
    WrongRoute(String),
    /// The ends' views of their SAs do not fit together.
    Unpaired(String),
    /// The session should be up, and its end is not explained by what the network lost.
    NotUp(String),
    /// The session should be gone.
    StillUp(String),
    /// Something is held that belongs to nothing.
    LeftOver(String),
    /// An end wants to be called again and again without moving on.
    Restless,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s, {}: {}", self.at.since(Instant::ZERO).as_secs_f64(), self.host, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlotTaken(key) => write!(f, "a tunnel is set up in a slot that is taken ({key:?})"),
            Self::SpiTaken(spi) => write!(f, "an SA is installed on an SPI that is taken ({spi})"),
            Self::NoSuchTunnel(key) => write!(f, "a command for a tunnel that is not there ({key:?})"),
            Self::NoSuchSa(spi) => write!(f, "a command for an SA that is not there ({spi})"),
            Self::TooManyInbound(key) => write!(f, "more inbound SAs than a tunnel has room for ({key:?})"),
            Self::DroppedInUse(spi) => write!(f, "an SA is dropped that is sent on ({spi})"),
            Self::NeverInstalled { spi, sender } => {
                write!(f, "{sender} sends on an SPI that was never installed ({spi:#010x})")
            }
            Self::SentAfterDrop { spi, sender, dropped: _ } => {
                write!(f, "{sender} sends on an SA that has been dropped ({spi})")
            }
            Self::OtherKeys { spi } => write!(f, "the ends have different keys for one SA ({spi})"),
            Self::LeaseTwice(which) => write!(f, "one inner address, two sessions: {which}"),
            Self::WrongRoute(which) => write!(f, "an inner address leads elsewhere than to its session: {which}"),
            Self::Unpaired(which) => write!(f, "the ends do not hold the same: {which}"),
            Self::NotUp(which) => write!(f, "should be up and nothing that was lost explains why not: {which}"),
            Self::StillUp(which) => write!(f, "should be gone: {which}"),
            Self::LeftOver(which) => write!(f, "left over: {which}"),
            Self::Restless => f.write_str("wants to be called again and again without moving on"),
        }
    }
}
