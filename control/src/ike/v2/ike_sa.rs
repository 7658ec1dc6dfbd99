//! One IKE SA: two SPIs, keys, its message IDs and its lifetime. Which end we are decides whose SPI comes first, the
//! flag in the header and which keys are ours (RFC 7296 sections 2.14 and 3.1).

use super::life::{Life, Times};
use super::message_id::{Busy, MessageIds};
use super::node::Node;
use super::purpose::Purpose;
use crate::config::checked::IkeSuite;
use crate::ike::keys::IkeKeys;
use crate::ike::sk::{SkCipher, SkError};
use crate::ike::wire::{Flags, Header, IkeSpi, Incoming, Payload};
use adit_crypto::esp_cipher::BadKeyLength;
use adit_dataplane::time::Instant;

/// Who started the exchange that made an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// The original initiator's and responder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IkeSpis {
    pub(crate) initiator: IkeSpi,
    pub(crate) responder: IkeSpi,
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
        Ok(Self { role, spis, keys, theirs, ours, ids, life })
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

    /// The answer to the expected request; it is kept in case the peer asks again.
    pub(super) fn answer(&mut self, request: &Header, payloads: &[Payload]) -> Vec<u8> {
        let header = Header { flags: self.flags(Said::Response), ..*request };
        let bytes = self.ours.seal(&header, payloads);
        self.ids.answered(bytes.clone());
        bytes
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
        let bytes = self.ours.seal(&header, payloads);
        self.ids.asked(now, &node.patience(), purpose, bytes.clone());
        Ok(bytes)
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
