//! One cell of the matrix, what was measured in it, and what it should reach.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Gives a value its name on the command line, in JSON and in the cell's script.
macro_rules! named {
    ($($name:ident),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
            }
        }
    )* };
}
named!(Middlebox, Leg, Mode, Client, Direction);

/// What stands in between (bench/scenarios/boxes.sh).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Middlebox {
    /// Routes, and keeps no state
    Router,
    /// Linux's connection tracking; what it calls invalid is dropped
    Conntrack,
    /// The same behind nftables' SYN proxy
    Synproxy,
    /// A full TCP proxy
    Haproxy,
    /// The same under the client's address
    HaproxyTransparent,
    /// Passes segments in the order of their octets; three of them wait behind a hole for four seconds
    InOrder,
}

impl Middlebox {
    /// Whether it waits for what is missing.
    const fn waits(self) -> bool {
        matches!(self, Self::Haproxy | Self::HaproxyTransparent | Self::InOrder)
    }

    /// Whether it cuts and joins segments as it likes.
    const fn cuts(self) -> bool {
        matches!(self, Self::Haproxy | Self::HaproxyTransparent)
    }
}

/// Where segments are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Leg {
    /// From the client to the box
    ClientBox,
    /// From the box to the headend
    BoxHeadend,
    /// From the headend to the box
    HeadendBox,
    /// From the box to the client
    BoxClient,
}

/// `ctcp_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Holds, waits and repeats
    Adaptive,
    /// Does nothing of that
    Stateless,
}

/// How the client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Client {
    /// As Cisco's: repeats nothing, and looks at no acknowledgment
    Legacy,
    /// As adit's: answers duplicate acknowledgments
    Repaired,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    /// Both
    Both,
    /// From the client alone
    Up,
    /// To the client alone
    Down,
}

/// A combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) r#box: Middlebox,
    pub(super) leg: Option<Leg>,
    /// Percent.
    pub(super) loss: f64,
    pub(super) mode: Mode,
    pub(super) client: Client,
    pub(super) direction: Direction,
}

/// A line so long and packets so many that more than 128 KiB are under way: where a box counts what nobody has acknowledged, that shuts
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Milliseconds one way.
    pub(super) far: u32,
    pub(super) rate: u32,
}

const LONG: Line = Line { far: 150, rate: 1000 };

impl Cell {
    /// The line that it is measured on if packets are to come at `rate` in the other cells. One way alone it is a long one, unless the
    /// box waits for what is missing: at 300 ms for each repetition nobody can keep up with 20 losses a second. Nor through a SYN proxy: Linux's
    /// lets no window be scaled without timestamps, which cTCP has no room for, and unscaled TCP has 64 KiB under way.
    pub(super) const fn line(&self, rate: u32) -> Line {
        match (self.direction, self.r#box) {
            (Direction::Up | Direction::Down, Middlebox::Router | Middlebox::Conntrack) => LONG,
            (
                Direction::Up | Direction::Down,
                Middlebox::Synproxy | Middlebox::Haproxy | Middlebox::HaproxyTransparent | Middlebox::InOrder,
            )
            | (Direction::Both, _) => Line { far: 0, rate },
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { r#box, leg, loss, mode, client, direction } = self;
        match leg {
            Some(leg) => write!(f, "{box} {loss}% {leg} {mode} {client} {direction}"),
            None => write!(f, "{box} 0% {mode} {client} {direction}"),
        }
    }
}

/// What came of it. The names are those of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) r#box: Middlebox,
    #[serde(with = "leg")]
    pub(super) loss_leg: Option<Leg>,
    pub(super) loss_percent: f64,
    pub(super) mode: Mode,
    pub(super) client: Client,
    pub(super) direction: Direction,
    /// Percent of the packets that were sent; `None`: none were.
    pub(super) delivered_up: Option<f64>,
    pub(super) delivered_down: Option<f64>,
    pub(super) longest_gap_s: f64,
    /// Since when nothing arrived any more, in one direction at least.
    pub(super) dead_at_s: Option<f64>,
    /// When the client knew that its session was over.
    pub(super) ended_cleanly_s: Option<f64>,
    /// When the headend had found the stall out, said so, and ended the session.
    pub(super) ended_at_headend_s: Option<f64>,
    pub(super) segments_lost: u64,
    /// Packets that arrived in each half second.
    #[serde(skip_serializing, default)]
    pub(super) up: Option<Vec<u32>>,
    #[serde(skip_serializing, default)]
    pub(super) down: Option<Vec<u32>>,
}

/// So many seconds after the last packet a session that cannot be cured is over.
const END: f64 = 10.0;

/// So many seconds before the last packet it may be, for the clocks begin where processes do.
const EARLY: f64 = 1.0;

/// Where so many segments should have been lost and none was (by chance once in a thousand cells), nothing loses any.
const SURELY: f64 = 7.0;

/// Whether a cell is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Reached,
    Missed,
    /// Only the client, or nobody, can do better.
    None,
}

impl Measured {
    /// `stateless` is there to be compared with: where nobody repeats what a box waits for, it must die, or the box proves nothing.
    /// What a client in Cisco's manner alone could repair must end soon and in good order, and so must what it gets nothing of because it alone
    /// could put it together again; where some arrives that is measured and has no aim. A cell in which the leg has lost nothing shows nothing.
    pub(super) fn aim(&self) -> Aim {
        let passed = |reached| if reached { Aim::Reached } else { Aim::Missed };
        let repaired = self.client == Client::Repaired;
        let (waits, cuts) = (self.r#box.waits(), self.r#box.cuts());
        let hole_up = waits && self.loss_leg == Some(Leg::ClientBox) && self.direction != Direction::Down;
        let hole_down = waits && self.loss_leg == Some(Leg::HeadendBox) && self.direction != Direction::Up;
        if self.segments_lost == 0 && self.to_lose() >= SURELY {
            return Aim::Missed;
        }
        match self.mode {
            Mode::Stateless if !repaired && (hole_up || hole_down) => passed(self.dead_at_s.is_some()),
            Mode::Stateless => Aim::None,
            Mode::Adaptive if repaired => {
                passed(self.dead_at_s.is_none() && self.at_least(if self.loss_percent > 0.5 { 96.0 } else { 99.0 }))
            }
            // A proxy that waits for the client looks at no acknowledgment of its either, and lets nothing through to it after the first
            // packet that was not acknowledged: not even that it is over.
            Mode::Adaptive if hole_up && cuts => {
                passed(self.dead_at_s.is_none_or(|dead| within(self.ended_at_headend_s, dead, END)))
            }
            Mode::Adaptive if hole_up => {
                passed(self.dead_at_s.is_none_or(|dead| within(self.ended_cleanly_s, dead, END)))
            }
            Mode::Adaptive if cuts && self.direction == Direction::Down => {
                passed(self.dead_at_s.is_none_or(|dead| within(self.ended_at_headend_s, dead, END)))
            }
            Mode::Adaptive if cuts && self.direction == Direction::Both => Aim::None,
            Mode::Adaptive => passed(self.dead_at_s.is_none() && self.at_least(99.0 - self.loss_percent)),
        }
    }

    /// Of what was sent; if nothing was, it is not.
    fn at_least(&self, percent: f64) -> bool {
        let mut delivered = [self.delivered_up, self.delivered_down].into_iter().flatten().peekable();
        delivered.peek().is_some() && delivered.all(|delivered| delivered >= percent)
    }

    /// How many segments the leg should have lost, of those whose packets arrived.
    fn to_lose(&self) -> f64 {
        let arrived = match self.loss_leg {
            Some(Leg::ClientBox | Leg::BoxHeadend) => self.up.as_deref(),
            Some(Leg::HeadendBox | Leg::BoxClient) => self.down.as_deref(),
            None => None,
        };
        let packets: f64 = arrived.unwrap_or_default().iter().copied().map(f64::from).sum();
        packets * self.loss_percent / 100.0
    }

    pub(super) fn row(&self) -> [String; 12] {
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
        let loss = match self.loss_leg {
            Some(leg) => format!("{}% {leg}", self.loss_percent),
            None => "-".to_owned(),
        };
        [
            self.r#box.to_string(),
            loss,
            self.mode.to_string(),
            self.client.to_string(),
            self.direction.to_string(),
            number(self.delivered_up),
            number(self.delivered_down),
            format!("{:.1}", self.longest_gap_s),
            number(self.dead_at_s),
            number(self.ended_cleanly_s),
            number(self.ended_at_headend_s),
            match self.aim() {
                Aim::Reached => "reached",
                Aim::Missed => "MISSED",
                Aim::None => "-",
            }
            .to_owned(),
        ]
    }
}

fn within(ended: Option<f64>, dead: f64, seconds: f64) -> bool {
    ended.is_some_and(|ended| (dead - EARLY..=dead + seconds).contains(&ended))
}

/// "none", or a leg.
mod leg {
    use super::Leg;
    use clap::ValueEnum as _;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    const NONE: &str = "none";

    pub(super) fn serialize<S: Serializer>(leg: &Option<Leg>, serializer: S) -> Result<S::Ok, S::Error> {
        match leg {
            Some(leg) => serializer.collect_str(leg),
            None => serializer.serialize_str(NONE),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Leg>, D::Error> {
        let name = String::deserialize(deserializer)?;
        (name != NONE).then(|| Leg::from_str(&name, false).map_err(D::Error::custom)).transpose()
    }
}
