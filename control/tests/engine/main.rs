//! The IKE engine from outside: other ends of every kind, a dataplane that only remembers, and time that is told.
//!
//! One program for all of it: what they share, `peer`, is a few thousand lines, which thirty programs would each compile.

mod peer;

mod ike_cookies;
mod ike_ctcp;
mod ike_events;
mod ike_fragments;
mod ike_hostile;
mod ike_initiator;
mod ike_log;
mod ike_login;
mod ike_mutations;
mod ike_policy;
mod ike_rekey;
mod ike_restart;
mod ike_sealed;
mod ike_service;
mod ike_strangers;
mod ike_tcp;
mod ike_v1_amplification;
mod ike_v1_carriage;
mod ike_v1_ctcp;
mod ike_v1_drafts;
mod ike_v1_initiator;
mod ike_v1_life;
mod ike_v1_limits;
mod ike_v1_login;
mod ike_v1_mutations;
mod ike_v1_rekey;
mod ike_v1_stalled;
mod ike_v1_tells;
mod ike_ways;
mod reload_engine;
