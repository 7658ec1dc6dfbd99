//! Packet memory: buffers with headroom from a preallocated pool, and what is known about each packet.

mod buf;
mod meta;
mod pool;

pub use buf::PacketBuf;
pub use meta::{Carriage, Channel, Meta, Origin, OuterFragments, Segments, Standing};
pub use pool::{Pool, PoolSizes};

/// A burst: packets that walk through the stages together. Never grows past its capacity.
pub type Burst = Vec<PacketBuf>;
