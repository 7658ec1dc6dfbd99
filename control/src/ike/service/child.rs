//! One child SA pair (RFC 7296 section 2.8): made before the old one breaks.
//!
//! ```text
//! Fresh ──first packet, or the old one is deleted──▶ Active ──a newer one is Active──▶ Superseded (the peer's rekey)
//!   │      (ours: as soon as it is answered)           │  │                               │      │ too slow
//!   │                                                  │  └──── our rekey, or its time is over ──┤
//!   └── lost a collision ──────────────────────────────│─────────────────────────────────│──────▼
//!                                                      ▼                                 ▼   Doomed ──▶ Deleting
//!                                                   Draining ◀────── the peer deletes it ─┘      answered │
//!                                                      ▲──────────────────────────────────────────────────┘
//! ```

use super::life::{Life, Times};
use super::node::Node;
use super::role::Role;
use super::tunnel::Traffic;
use crate::config::checked::{Esp, Rekey};
use crate::ike::keys::ChildKeys;
use adit_crypto::esp_cipher::{Backend, BadKeyLength, EspCipher};
use adit_crypto::suite::CipherSuite;
use adit_dataplane::contract::{
    Command, InboundSpec, Lane, Lifetime, Limits, OutboundSpec, PairSpec, SaCounters, Selectors, SequenceNumbers, Spi,
    TunnelKey,
};
use adit_dataplane::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// Both directions. The keys are with the worker.
pub(crate) struct Child {
    pub(crate) spi_in: Spi,
    pub(crate) spi_out: u32,
    pub(crate) lane: Lane,
    /// Who started the exchange that made it.
    pub(crate) role: Role,
    pub(crate) suite: CipherSuite,
    pub(crate) numbers: SequenceNumbers,
    /// Which library encrypts.
    pub(crate) library: Backend,
    pub(crate) selectors: Arc<Selectors>,
    pub(crate) received: Arc<SaCounters>,
    pub(crate) sent: Arc<SaCounters>,
    pub(crate) since: Instant,
    pub(crate) life: Life,
    pub(crate) stage: ChildStage,
}

/// How far it is.
pub(crate) enum ChildStage {
    /// We receive on it; it is not known whether the peer does (RFC 7296 section 2.8 on loss of the response). Where
    /// nothing else is sent on in its lane, the worker does not wait for us to hear of the peer's first packet.
    Fresh,
    /// We send on it.
    Active,
    /// We send on another; the peer deletes this, or we do so after that time.
    Superseded { until: Instant },
    /// It is for us to delete it.
    Doomed,
    /// We have asked the peer to delete it.
    Deleting,
    /// Deleted; what is under way may still come in.
    Draining { until: Instant },
}

/// What it is made of.
pub(crate) struct ChildParts {
    pub(crate) tunnel: TunnelKey,
    pub(crate) lane: Lane,
    pub(crate) spi_in: Spi,
    pub(crate) spi_out: u32,
    pub(crate) suite: CipherSuite,
    pub(crate) numbers: SequenceNumbers,
    pub(crate) selectors: Selectors,
    pub(crate) role: Role,
}

impl Child {
    /// Receives from now on; sends when it is switched to, or when the peer has used it and nothing else is sent on.
    pub(crate) fn install(
        now: Instant,
        node: &mut Node,
        parts: ChildParts,
        keys: &ChildKeys,
    ) -> Result<Self, BadKeyLength> {
        let ChildParts { tunnel, lane, spi_in, spi_out, suite, numbers, selectors, role } = parts;
        let backend = node.config.crypto;
        let (theirs, ours) = match role {
            Role::Initiator => (&keys.responder_to_initiator, &keys.initiator_to_responder),
            Role::Responder => (&keys.initiator_to_responder, &keys.responder_to_initiator),
        };
        // Exposed to set the ciphers up; they and the keys wipe themselves.
        let inbound = EspCipher::new(backend, suite, theirs.encr.expose(), theirs.integ.expose())?;
        let outbound = EspCipher::new(backend, suite, ours.encr.expose(), ours.integ.expose())?;
        let library = outbound.backend();
        let selectors = Arc::new(selectors);
        let (received, sent) = (Arc::<SaCounters>::default(), Arc::<SaCounters>::default());
        let life = Life::new(now, &mut *node.random, times(&node.config.esp));
        let lifetime = lifetime(life, &node.config.esp);
        let inbound = InboundSpec {
            tunnel,
            spi: spi_in,
            cipher: inbound,
            numbers,
            window: node.config.esp.replay_window,
            lifetime,
            selectors: Arc::clone(&selectors),
            counters: Arc::clone(&received),
        };
        let outbound = OutboundSpec {
            lane,
            spi: spi_out,
            cipher: outbound,
            numbers,
            lifetime,
            selectors: Arc::clone(&selectors),
            counters: Arc::clone(&sent),
        };
        node.installer.command(tunnel.worker, Command::AddPair(Box::new(PairSpec { inbound, outbound })));
        tracing::debug!(spi_in = %spi_in, spi_out = format_args!("{spi_out:#010x}"), %suite, "child SA installed");
        let (since, stage) = (now, ChildStage::Fresh);
        Ok(Self { spi_in, spi_out, lane, role, suite, numbers, library, selectors, received, sent, since, life, stage })
    }

    /// Sends on it from now on, if it did not before.
    pub(crate) fn switch_to(&mut self, node: &mut Node, tunnel: TunnelKey) {
        if self.is_fresh() {
            self.stage = ChildStage::Active;
            node.installer.command(tunnel.worker, Command::SwitchOutbound { spi: self.spi_in });
        }
    }

    /// It is to be sent on no more. One that is fresh never was, unless its worker has begun already: so that is said.
    pub(crate) fn give_way(&mut self, node: &mut Node, tunnel: TunnelKey, stage: ChildStage) {
        if self.is_fresh() {
            node.installer.command(tunnel.worker, Command::StopOutbound { spi: self.spi_in });
        }
        self.stage = stage;
    }

    /// So far.
    pub(crate) fn traffic(&self) -> Traffic {
        let (received, sent) = (self.received.totals(), self.sent.totals());
        Traffic {
            packets_in: received.packets,
            bytes_in: received.octets,
            packets_out: sent.packets,
            bytes_out: sent.octets,
        }
    }

    /// As config spells it.
    pub(crate) fn algorithms(&self) -> String {
        match self.numbers {
            SequenceNumbers::Plain => self.suite.to_string(),
            SequenceNumbers::Extended => format!("{}-{}", self.suite, self.numbers.name()),
        }
    }

    /// The word for the API.
    pub(crate) fn state(&self) -> &'static str {
        match self.stage {
            ChildStage::Fresh => "new",
            ChildStage::Active => "active",
            ChildStage::Superseded { .. } | ChildStage::Doomed | ChildStage::Deleting | ChildStage::Draining { .. } => {
                "rekeyed"
            }
        }
    }

    /// It is not known yet whether the peer has it.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.stage, ChildStage::Fresh)
    }

    /// We send on it.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.stage, ChildStage::Active)
    }

    /// Both ends know that it is no more.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.stage, ChildStage::Draining { .. })
    }
}

fn times(esp: &Esp) -> Times {
    let rekey = esp.rekey.time.unwrap_or_default();
    let over = Duration::try_from_secs_f64(rekey.as_secs_f64() * (esp.hard_factor - 1.0)).unwrap_or_default();
    Times { rekey, over }
}

/// What the worker looks after. Its age is looked after here as well: a worker says nothing of an SA without packets.
fn lifetime(life: Life, esp: &Esp) -> Lifetime {
    let Rekey { time: _, octets, packets } = esp.rekey;
    let at = |factor: f64, time| Limits {
        packets: packets.map(|limit| scaled(limit, factor)),
        octets: octets.map(|limit| scaled(limit, factor)),
        time,
    };
    Lifetime { soft: at(1.0, life.rekey), hard: at(esp.hard_factor, life.end) }
}

/// Limits are far below 2⁵³ times the factor's precision, and a packet more or less is nothing to them.
fn scaled(limit: u64, factor: f64) -> u64 {
    (limit as f64 * factor) as u64
}
