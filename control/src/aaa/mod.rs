//! Who is it, may they in, and what did they use: questions about users, answered by the local table or by RADIUS.
//!
//! ```text
//! IKE thread                                AAA thread
//!   Output::Ask(Question)      ───────▶    local users (argon2), RADIUS with its retries and its servers
//!   Engine::handle_answer      ◀───────    Answer: exactly one for each question, in time
//!   Output::Account(Record)    ───────▶    accounting: start, interims, stop
//! ```
//!
//! The IKE thread never waits for any of it. A question that finds no room is answered [`Verdict::Unavailable`] at
//! once; a question that no server answers is so later, by AAA's own clock. Neither needs a timer in the engine.

mod account;
mod answer;
pub mod desk;
mod local;
mod question;
mod radius;
#[cfg(test)]
mod testing;
mod user_name;
pub mod window;

pub use account::{Account, AccountId, Authentic, Moment, Record, Terminated, Usage};
pub use answer::{Answer, Bandwidth, Challenge, Limits, Profile, Rejection, Source, Verdict, Why};
pub use local::{Check, Checked};
pub use question::{Caller, ChallengeState, Proof, Question, QuestionId};
pub use radius::LineCounters;
pub use user_name::{UserName, UserNameError};
