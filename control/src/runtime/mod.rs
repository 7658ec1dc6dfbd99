//! Where the machines meet the world: clock, signals, threads, files. The composition root is [`daemon`].

pub mod aaa_thread;
pub mod api_thread;
mod capture_seat;
pub mod capture_thread;
pub mod clock;
pub mod daemon;
mod dataplane;
mod drain;
pub mod errand;
pub mod first_start;
mod flows;
pub mod host;
mod ike_thread;
mod inner_flows;
mod lookout;
pub mod outbox;
pub mod privileges;
mod reload;
mod reload_thread;
mod signals;
mod state;

pub use reload_thread::ConfigSource;
