//! Configuration in two types: what the file says, and what has been checked and cannot be wrong.

pub mod checked;
mod proposal;

pub use proposal::ProposalTextError;
