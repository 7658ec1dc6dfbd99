//! Where the machines meet the world: clock, signals, threads, files. The composition root is [`daemon`].

pub mod clock;
pub mod daemon;
pub mod first_start;
pub mod host;
pub mod ike_thread;
mod privileges;
mod signals;
