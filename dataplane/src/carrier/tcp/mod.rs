//! RFC 9329: IKE and ESP in an ordinary TCP connection.
//!
//! ```text
//! IKETCP | length, 2 octets | 4 zero octets + IKE, or ESP | length | …
//! ```
//! Behind the same door as cTCP (`carrier/ctcp/carrier`): what begins with `IKETCP` is a stream. Its TCP is smoltcp's: a stack in
//! user space that repeats, has congestion control and knows what a FIN is, without sockets, threads or a clock of its own, and
//! without `unsafe`. The kernel's cannot be had: its listener would share the port with cTCP's segments, which it would reset.
//!
//! | file | knows |
//! |---|---|
//! | `offer` | what a cookie remembers of a SYN |
//! | `beginning` | a connection until IKE has come by it |
//! | `frames` | where frames begin and end |
//! | `losses` | what of ours has to go again |
//! | `queue` | what waits to be sent, and what gives way |
//! | `round_trip` | how long an acknowledgment takes |
//! | `stack` | smoltcp, one for each connection |
//! | `stream` | all of one connection |

mod beginning;
mod frames;
mod losses;
mod offer;
mod queue;
mod round_trip;
mod stack;
mod stream;

pub use beginning::{Began, Beginning, Goodbye};
pub use frames::{Begins, BrokenStream, Frames, LENGTH as FRAME_LENGTH, PREFIX, begins_stream};
pub use offer::Offer;
pub use queue::{Queue, QueueFull};
pub use stack::{RECEIVE, SEND, Scratch, our_offer};
pub use stream::{Fed, Outside, Stream};
