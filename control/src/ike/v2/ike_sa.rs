//! One IKE SA: two SPIs, keys, its message IDs and its lifetime. Which end we are decides whose SPI comes first, the
//! flag in the header and which keys are ours (RFC 7296 sections 2.14 and 3.1).

use super::message_id::{Busy, MessageIds, Request};
use super::purpose::Purpose;
use super::reassembly::{Reassembly, WholeMessage};
use crate::config::checked::IkeSuite;
use crate::ike::counters::Ignored;
use crate::ike::keys::IkeKeys;
use crate::ike::service::{Farewell, Life, Node, Role, Times};
use crate::ike::sk::{SkCipher, SkError};
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Incoming, Payload, SkfPayload};
use adit_crypto::esp_cipher::BadKeyLength;
use adit_dataplane::time::Instant;

/// The original initiator's and responder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IkeSpis {
    pub(crate) initiator: IkeSpi,
    pub(crate) responder: IkeSpi,
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
    pub(crate) role: Role,
    pub(crate) spis: IkeSpis,
    pub(super) keys: IkeKeys,
    theirs: SkCipher,
    ours: SkCipher,
    pub(super) ids: MessageIds<Purpose>,
    pub(super) life: Life,
    pub(super) fragmentation: Fragmentation,
    /// The peer's next request, in fragments.
    request: Reassembly,
    /// The response to ours, in fragments.
    response: Reassembly,
}

impl IkeSa {
    /// Its life begins now.
    pub(super) fn new(
        now: Instant,
        node: &mut Node,
        role: Role,
        spis: IkeSpis,
        keys: IkeKeys,
        ids: MessageIds<Purpose>,
    ) -> Result<Self, BadKeyLength> {
        let backend = node.config.crypto;
        let (initiator, responder) = (keys.initiator_cipher(backend)?, keys.responder_cipher(backend)?);
        let (ours, theirs) = match role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        let time = Times { rekey: node.config.ike.rekey_time, over: node.config.ike.over_time };
        let life = Life::new(now, &mut *node.random, time);
        let fragmentation = Fragmentation::NotAgreed;
        let (request, response) = (Reassembly::Empty, Reassembly::Empty);
        Ok(Self { role, spis, keys, theirs, ours, ids, life, fragmentation, request, response })
    }

    /// The same with what both ends agreed on.
    pub(super) fn fragmenting(self, fragmentation: Fragmentation) -> Self {
        Self { fragmentation, ..self }
    }

    /// The algorithms.
    pub(super) fn suite(&self) -> IkeSuite {
        self.keys.suite()
    }

    /// Our own SPI, by which messages find it.
    pub(crate) fn spi(&self) -> IkeSpi {
        match self.role {
            Role::Initiator => self.spis.initiator,
            Role::Responder => self.spis.responder,
        }
    }

    /// Whether a message with this header is for this IKE SA, from its other end.
    pub(crate) fn is_addressed(&self, header: &Header) -> bool {
        let from = match header.flags.initiator {
            true => Role::Responder,
            false => Role::Initiator,
        };
        let spis = IkeSpis { initiator: header.initiator_spi, responder: header.responder_spi };
        from == self.role && spis == self.spis
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
        let header = Header { flags: self.flags(Said::Response), ..*request };
        let bytes = self.seal(&header, payloads);
        // What came whole makes its fragments needless.
        self.request = Reassembly::Empty;
        self.ids.answered(bytes.clone());
        bytes
    }

    /// What the peer hears when it deletes this after its session is over: an empty answer, sealed now with the last use of
    /// the keys. `None` if the peer has no Message ID left.
    pub(super) fn last_word(mut self) -> Option<Farewell> {
        let initiator = self.role == Role::Responder;
        let request = Header {
            initiator_spi: self.spis.initiator,
            responder_spi: self.spis.responder,
            exchange: Exchange::Informational,
            flags: Flags { initiator, response: false },
            message_id: self.ids.expected()?,
        };
        let answer = self.answer(&request, &[]);
        Some(Farewell::to_next(self.spi(), request, answer))
    }

    /// A request of our own, kept until answered.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        node: &Node,
        purpose: Purpose,
        payloads: &[Payload],
    ) -> Result<Vec<u8>, Busy> {
        let header = Header {
            initiator_spi: self.spis.initiator,
            responder_spi: self.spis.responder,
            exchange: purpose.exchange(),
            flags: self.flags(Said::Request),
            message_id: self.ids.next_request()?,
        };
        let bytes = self.seal(&header, payloads);
        self.response = Reassembly::Empty;
        self.ids.asked(now, &node.patience(), purpose, bytes.clone());
        Ok(bytes)
    }

    /// One message, or its fragments one after the other: [`Node::send_ike`](crate::ike::service::Node::send_ike) takes them
    /// apart. Kept as they are, for what is repeated must be the same octets (RFC 7383 section 2.6.1).
    fn seal(&mut self, header: &Header, payloads: &[Payload]) -> Vec<u8> {
        match self.fragmentation {
            Fragmentation::NotAgreed => self.ours.seal(header, payloads),
            Fragmentation::Agreed { most } => self.ours.seal_in_fragments(most, header, payloads),
        }
    }

    fn flags(&self, said: Said) -> Flags {
        Flags { initiator: self.role == Role::Initiator, response: said == Said::Response }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Request,
    Response,
}
