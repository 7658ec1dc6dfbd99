//! ESP in tunnel mode (RFC 4303).

mod decap;
mod encap;
mod filter;
mod meter;
mod news;
mod padding;
mod replay;

pub use decap::InboundSa;
pub use encap::{IvSpace, OutboundSa};
pub use filter::Filter;
pub use news::{News, Tiding};
pub use replay::ReplayWindow;

use adit_crypto::suite::CipherSuite;

/// Lengths of a suite, looked up once.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    iv: usize,
    icv: usize,
    /// What plaintext with padding and trailer is a multiple of.
    align: usize,
}

impl Geometry {
    fn of(suite: CipherSuite) -> Self {
        let align = padding::alignment(suite.encr().block_len());
        Self { iv: suite.encr().iv_len(), icv: suite.icv_len(), align }
    }
}
