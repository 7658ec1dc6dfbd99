//! cTCP, Cisco's IPsec over TCP: IKE and ESP dressed as TCP segments, without what makes TCP reliable.
//!
//! ```text
//! IP | TCP, 20 octets | UDP header + IKE, or ESP | trailer, 16 octets
//! ```
//! A Cisco client sends each packet in one segment, acknowledges the highest octet that it has seen, repeats nothing and looks
//! at no acknowledgment. What a firewall makes of that decides whether the connection lives; this module keeps it alive from
//! our end. It is sans-IO, and both ends use it: the headend, and a client of ours that repeats what is asked for.
//!
//! | file | knows |
//! |---|---|
//! | `trailer` | what a frame ends with |
//! | `frame` | whether a segment is one whole frame |
//! | `stream` | frames that a proxy has cut and joined |
//! | `seen` | which octets of the peer's have come |
//! | `ring` | which octets of ours the peer has not acknowledged |
//! | `receive` | what we acknowledge, and when |
//! | `ladder` | what we acknowledge before it has come |
//! | `send` | what we send, and what of it again |
//! | `filler` | what goes in the place of what is no longer kept |
//! | `carrier` | all connections of a worker |
//! | `carrier/dial` | those that we begin |
//! | `further` | where a peer is that has lost too much at once |
//! | `flow` | both directions of one connection |
//! | `stall` | whether the peer sends what no longer arrives |
//! | `esp_order` | whether ESP's numbers have the stream's gaps |
//! | `diagnosis` | what all of that says of peer and path |
//! | `cookie` | that whoever answers our SYN is where it says to be |

mod carrier;
mod cookie;
mod diagnosis;
mod esp_order;
mod filler;
mod flow;
mod frame;
mod further;
mod ladder;
mod receive;
mod ring;
mod seen;
mod send;
mod slot;
mod stall;
mod stream;
mod trailer;

pub use carrier::{Carrier, CtcpConfig, Outlet, Part, Taken};
pub use cookie::{Cookies, SynFacts, SynOptions};
pub use diagnosis::diagnose;
pub use flow::{Arrived, Ended, Flow, Limits};
pub(in crate::carrier) use flow::{SCALE, segment_size};
pub(in crate::carrier) use frame::is_ike_message;
pub use frame::{Frame, ike_in_udp, whole};
pub use receive::{Due, Mode, Receive};
pub use ring::Ring;
pub use seen::{Novelty, Seen};
pub use send::{Acknowledged, Alone, Full, Room, Send};
pub use stall::Stalling;
pub use stream::Stream;
pub use trailer::{Inside, TRAILER_LEN, trailer};
