//! What happens, for those who watch and for those who ask later: a numbered list with an end, and each session's own story.
//!
//! ```text
//!  engine ── Output::Happened ──▶ IKE thread ── Feed (bounded, never waits) ──▶ API thread: Journal ◀── readers pull
//! ```
//! Everything gets its number on the IKE thread, so whatever is lost on the way, or has made place, shows as a gap.

mod advice;
mod board;
mod entry;
mod feed;
mod happening;
mod kind;
mod pages;
#[cfg(test)]
mod reason_codes;
mod ring;
mod story;

pub use board::{Board, Closed, Waiting};
pub use entry::{DiagnosisView, Entry};
pub use feed::{Arriving, Feed, feed};
pub use happening::{By, CertificateUse, Happening, Renewed, Spell, Strain, What, Who};
pub use kind::{Kind, NoKind, Severity};
pub use pages::{BadSince, EventId, EventsView, Since, Wanted};
pub use ring::Journal;
pub use story::StoryView;
