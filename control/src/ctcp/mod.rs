//! What an operator is told of connections by cTCP and in real TCP.

mod query;
mod remedy;
mod stream_view;
mod survey;
mod view;

pub use query::{ConnectionQuery, ListedConnections};
pub use remedy::{Remedy, Step, remedy};
pub use stream_view::{ConnectionView, StreamDownView, StreamUpView, StreamView};
#[cfg(test)]
pub(crate) use survey::tests::flow;
pub use survey::{Survey, Surveyed, Which};
pub use view::{ClearView, DownView, FlowView, LossView, MoveView, RemedyView, UpView};
