//! One IKE SA: two SPIs, keys, and its message IDs. adit is the original responder of each: the peer starts the
//! first and, in this version, every rekey.

use super::message_id::{Busy, MessageIds, Patience, Request};
use super::reassembly::{Reassembly, WholeMessage};
use crate::config::checked::IkeSuite;
use crate::ike::counters::Ignored;
use crate::ike::keys::IkeKeys;
use crate::ike::sk::{SkCipher, SkError};
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Incoming, Payload, SkfPayload};
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

/// Whether messages may come and go in fragments (RFC 7383 section 2.3). A rekeyed IKE SA inherits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragmentation {
    /// One of the two ends cannot.
    NotAgreed,
    /// Both can; ours are of at most so many octets, IKE header included.
    Agreed { most: usize },
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Others are still missing.
    Held,
    /// It was the last.
    Whole(WholeMessage),
    /// It repeats a request that was answered with these octets.
    Again(Vec<u8>),
    /// It led to nothing.
    Ignored(Ignored),
}

/// Keys and windows of one IKE SA.
pub(crate) struct IkeSa {
    pub(crate) spi_i: IkeSpi,
    pub(crate) spi_r: IkeSpi,
    pub(super) keys: IkeKeys,
    theirs: SkCipher,
    ours: SkCipher,
    pub(super) ids: MessageIds<Purpose>,
    pub(super) fragmentation: Fragmentation,
    /// The peer's next request, in fragments.
    request: Reassembly,
    /// The response to ours, in fragments.
    response: Reassembly,
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
        let ids = MessageIds::new(expected);
        let fragmentation = Fragmentation::NotAgreed;
        let (request, response) = (Reassembly::Empty, Reassembly::Empty);
        Ok(Self { spi_i, spi_r, keys, theirs, ours, ids, fragmentation, request, response })
    }

    /// The same with what both ends agreed on.
    pub(super) fn fragmenting(self, fragmentation: Fragmentation) -> Self {
        Self { fragmentation, ..self }
    }

    /// The algorithms.
    pub(super) fn suite(&self) -> IkeSuite {
        self.keys.suite()
    }

    /// What the peer said, once proven.
    pub(crate) fn open(&self, incoming: &Incoming<'_>) -> Result<Vec<Payload>, SkError> {
        self.theirs.open(incoming)
    }

    /// A fragment of what the peer says. Nothing changes unless its ICV is good and its message is one to come now.
    pub(crate) fn take_fragment(&mut self, incoming: &Incoming<'_>, skf: &SkfPayload<'_>) -> Taken {
        let header = &incoming.header;
        if self.fragmentation == Fragmentation::NotAgreed {
            return Taken::Ignored(Ignored::FragmentNotAgreed);
        }
        let reassembly = match header.flags.response {
            true if !self.ids.waits_for(header.message_id) => return Taken::Ignored(Ignored::NotAsked),
            true => &mut self.response,
            false => match self.ids.request(header.message_id) {
                Request::Next => &mut self.request,
                // RFC 7383 section 2.6.1: the first fragment alone asks for the answer again.
                Request::Again(answer) if skf.number == 1 => {
                    return match self.theirs.open_fragment(skf) {
                        Ok(_) => Taken::Again(answer.to_vec()),
                        Err(_) => Taken::Ignored(Ignored::BadIcv),
                    };
                }
                Request::Again(_) | Request::Old => return Taken::Ignored(Ignored::OldMessageId),
                Request::Ahead => return Taken::Ignored(Ignored::FutureMessageId),
            },
        };
        if let Err(unwanted) = reassembly.wants(header, skf) {
            return Taken::Ignored(unwanted);
        }
        let plain = match self.theirs.open_fragment(skf) {
            Ok(plain) => plain,
            Err(SkError::BadIcv) => return Taken::Ignored(Ignored::BadIcv),
            Err(SkError::Syntax(_)) => return Taken::Ignored(Ignored::FragmentMisfit),
        };
        match reassembly.add(incoming, skf, plain) {
            Ok(None) => Taken::Held,
            Ok(Some(message)) => Taken::Whole(message),
            Err(too_many) => Taken::Ignored(too_many),
        }
    }

    /// Whether fragments of an unfinished message are held.
    pub(crate) fn holds_fragments(&self) -> bool {
        !self.request.is_empty() || !self.response.is_empty()
    }

    /// The rest of them has not come in time.
    pub(crate) fn forget_fragments(&mut self) {
        (self.request, self.response) = (Reassembly::Empty, Reassembly::Empty);
    }

    /// The answer to the expected request; it is kept in case the peer asks again.
    pub(super) fn answer(&mut self, request: &Header, payloads: &[Payload]) -> Vec<u8> {
        let header = self.header(request.exchange, Flags { initiator: false, response: true }, request.message_id);
        let bytes = self.seal(&header, payloads);
        // What came whole makes its fragments needless.
        self.request = Reassembly::Empty;
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
        let bytes = self.seal(&header, payloads);
        self.response = Reassembly::Empty;
        self.ids.asked(now, patience, purpose, bytes.clone());
        Ok(bytes)
    }

    /// One message, or its fragments one after the other: [`Node::send_ike`](super::node::Node::send_ike) takes them
    /// apart. Kept as they are, for what is repeated must be the same octets (RFC 7383 section 2.6.1).
    fn seal(&mut self, header: &Header, payloads: &[Payload]) -> Vec<u8> {
        match self.fragmentation {
            Fragmentation::NotAgreed => self.ours.seal(header, payloads),
            Fragmentation::Agreed { most } => self.ours.seal_in_fragments(most, header, payloads),
        }
    }

    fn header(&self, exchange: Exchange, flags: Flags, message_id: u32) -> Header {
        Header { initiator_spi: self.spi_i, responder_spi: self.spi_r, exchange, flags, message_id }
    }
}
