//! Another configuration while aditd runs: what it would change, whom that touches, and how it is shown.

mod facts;
mod plan;
mod proposal;
mod view;

pub use facts::SessionFacts;
pub use plan::{Plan, Step, Verdict};
pub use proposal::{Decision, Proposal, Wanted};
pub use view::{ChangeView, ConfigView, EndedView, MistakeView, Outcome, PlanView, SettingView};
