//! How ESP and IKE stand in something that is neither IP nor UDP.

pub mod ctcp;
pub mod tcp;
