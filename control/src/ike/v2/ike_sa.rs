//! One IKE SA: two SPIs, keys, and its message IDs. adit is the original responder of each: the peer starts the
//! first and, in this version, every rekey.

use super::message_id::{Busy, MessageIds, Patience};
use crate::config::checked::IkeSuite;
use crate::ike::keys::IkeKeys;
use crate::ike::sk::{SkCipher, SkError};
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Incoming, Payload};
use adit_crypto::esp_cipher::{Backend, BadKeyLength};
use adit_dataplane::time::Instant;

/// What a request of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Is the peer alive? (RFC 7296 section 2.4)
    Liveness,
    /// This IKE SA is to end (RFC 7296 section 1.4.1).
    Goodbye,
}

/// Keys and windows of one IKE SA.
pub(crate) struct IkeSa {
    pub(crate) spi_i: IkeSpi,
    pub(crate) spi_r: IkeSpi,
    pub(super) keys: IkeKeys,
    theirs: SkCipher,
    ours: SkCipher,
    pub(super) ids: MessageIds<Purpose>,
}

impl IkeSa {
    /// With fresh windows; the peer's first request will bear `expected`.
    pub(super) fn new(
        backend: Backend,
        spi_i: IkeSpi,
        spi_r: IkeSpi,
        keys: IkeKeys,
        expected: u32,
    ) -> Result<Self, BadKeyLength> {
        let theirs = keys.initiator_cipher(backend)?;
        let ours = keys.responder_cipher(backend)?;
        Ok(Self { spi_i, spi_r, keys, theirs, ours, ids: MessageIds::new(expected) })
    }

    /// The algorithms.
    pub(super) fn suite(&self) -> IkeSuite {
        self.keys.suite()
    }

    /// What the peer said, once proven.
    pub(crate) fn open(&self, incoming: &Incoming<'_>) -> Result<Vec<Payload>, SkError> {
        self.theirs.open(incoming)
    }

    /// The answer to the expected request; it is kept in case the peer asks again.
    pub(super) fn answer(&mut self, request: &Header, payloads: &[Payload]) -> Vec<u8> {
        let header = self.header(request.exchange, Flags { initiator: false, response: true }, request.message_id);
        let bytes = self.ours.seal(&header, payloads);
        self.ids.answered(bytes.clone());
        bytes
    }

    /// A request of our own, kept until answered.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        patience: &Patience,
        purpose: Purpose,
        payloads: &[Payload],
    ) -> Result<Vec<u8>, Busy> {
        let id = self.ids.next_request()?;
        let header = self.header(Exchange::Informational, Flags { initiator: false, response: false }, id);
        let bytes = self.ours.seal(&header, payloads);
        self.ids.asked(now, patience, purpose, bytes.clone());
        Ok(bytes)
    }

    fn header(&self, exchange: Exchange, flags: Flags, message_id: u32) -> Header {
        Header { initiator_spi: self.spi_i, responder_spi: self.spi_r, exchange, flags, message_id }
    }
}
