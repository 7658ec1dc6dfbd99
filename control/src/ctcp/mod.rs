//! What an operator is told of cTCP connections.

mod remedy;
mod survey;
mod view;

pub use remedy::{Remedy, Step, remedy};
pub use survey::{Survey, Surveyed, Which};
pub use view::{ClearView, DownView, FlowView, LossView, RemedyView, UpView};
