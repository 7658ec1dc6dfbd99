//! What we ask the peer for: one thing at a time (RFC 7296 section 2.3), the most urgent first.

use super::established::{Established, Service, Verdict};
use super::message_id::Response;
use super::purpose::Purpose;
use super::{ask_child, ask_ike};
use crate::ike::counters::Ignored;
use crate::ike::service::{Node, Wanted};
use crate::ike::wire::{Delete, Payload, Protocol};
use crate::session::Cause;
use adit_dataplane::contract::{Direction, Lane, Reached, Selectors, Spi};
use adit_dataplane::time::Instant;

/// There is no room for one more child SA, or no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for one more child SA")]
pub struct NoRoom;

impl Established {
    /// Asks for the next thing that is due, if nothing is under way.
    pub(super) fn ask_next(&mut self, now: Instant, node: &mut Node) {
        if self.ike.ids.next_request().is_err() {
            return;
        }
        let doomed = match &mut self.service {
            Service::Tunnel(tunnel) => tunnel.take_doomed(),
            Service::Childless { .. } => Vec::new(),
        };
        if !doomed.is_empty() {
            let delete = Delete { protocol: Protocol::Esp, spis: doomed.iter().map(|spi| spi.get()).collect() };
            return self.ask(now, node, Purpose::DeleteChildren(doomed), &[Payload::Delete(delete)]);
        }
        if self.ike.life.is_old(now) {
            return ask_ike::ask(now, node, self);
        }
        ask_child::ask_if_due(now, node, self);
    }

    /// When [`Established::ask_next`] has something to ask for.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        self.ike.ids.next_request().ok()?;
        let child = match &self.service {
            Service::Tunnel(tunnel) => {
                let rekeys = tunnel.rekeys().map(|(at, _)| at);
                rekeys.chain(tunnel.wanted.iter().map(|wanted| wanted.at)).min()
            }
            Service::Childless { .. } => None,
        };
        self.ike.life.rekey.into_iter().chain(child).min()
    }

    /// A request of ours on the IKE SA in use.
    pub(super) fn ask(&mut self, now: Instant, node: &mut Node, mut purpose: Purpose, payloads: &[Payload]) {
        if self.ike.ids.next_request().is_err() {
            return purpose.let_go(node);
        }
        let Ok(bytes) = self.ike.ask(now, node, purpose, payloads) else { return };
        self.peer.send(now, node, bytes);
    }

    /// Lane of the child SA that is being asked for.
    pub(super) fn lane_asked(&self) -> Option<Lane> {
        match self.ike.ids.under_way() {
            Some(Purpose::Child(asked)) => Some(asked.lane),
            Some(
                Purpose::Login
                | Purpose::Liveness
                | Purpose::Goodbye
                | Purpose::DeleteChildren(_)
                | Purpose::RekeyIke(_)
                | Purpose::Abandoned(_),
            )
            | None => None,
        }
    }

    /// The answer to what we asked on the IKE SA in use.
    pub(super) fn answered(&mut self, now: Instant, node: &mut Node, id: u32, payloads: &[Payload]) -> Verdict {
        let purpose = match self.ike.ids.response(id) {
            Response::Answer(purpose) => purpose,
            Response::NotAsked => {
                node.ignore(Ignored::NotAsked);
                return Verdict::Stay;
            }
        };
        self.peer.heard = now;
        match purpose {
            Purpose::Liveness | Purpose::Abandoned(_) | Purpose::Login => Verdict::Stay,
            // It is asked in the state Closing, and on IKE SAs that are not in use.
            Purpose::Goodbye => Verdict::Gone(Cause::ShutDown, None),
            Purpose::DeleteChildren(spis) => {
                let until = now + node.config.ike.rekey_grace;
                if let Service::Tunnel(tunnel) = &mut self.service {
                    tunnel.deleted(&spis, until);
                }
                Verdict::Stay
            }
            Purpose::Child(asked) => ask_child::answered(now, node, self, *asked, payloads),
            Purpose::RekeyIke(asked) => ask_ike::answered(now, node, self, *asked, payloads),
        }
    }

    /// An SA of ours reached a limit.
    pub(crate) fn lifetime(
        &mut self,
        now: Instant,
        node: &mut Node,
        pair: Spi,
        direction: Direction,
        reached: Reached,
    ) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(index) = tunnel.child_from(pair) else { return };
        match reached {
            Reached::Soft => {
                tracing::debug!(spi_in = %pair, ?direction, "child SA is to be replaced");
                if let Some(child) = tunnel.children.get_mut(index) {
                    child.life.rekey = Some(child.life.rekey.map_or(now, |at| at.min(now)));
                }
            }
            Reached::Hard => {
                tracing::warn!(spi_in = %pair, ?direction, "child SA has ended: nobody replaced it in time");
                tunnel.doom(now, node, index);
            }
        }
        self.go_on(now, node);
    }

    /// Replaces the IKE SA as soon as it can.
    pub(crate) fn rekey_ike(&mut self, now: Instant, node: &mut Node) {
        self.ike.life.rekey = Some(now);
        self.go_on(now, node);
    }

    /// Replaces each child SA as soon as it can.
    pub(crate) fn rekey_children(&mut self, now: Instant, node: &mut Node) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            for child in &mut tunnel.children {
                child.life.rekey = Some(now);
            }
        }
        self.go_on(now, node);
    }

    /// Ends a child SA. Not while the peer replaces it: the peer may not have the new one yet, so it must not be all
    /// that is left, and the old one is the peer's to delete.
    pub(crate) fn delete_child(&mut self, now: Instant, node: &mut Node, spi_in: Spi) {
        if let Service::Tunnel(tunnel) = &mut self.service
            && let Some(index) = tunnel.child_from(spi_in)
            && !tunnel.is_being_replaced(index)
        {
            tunnel.doom(now, node, index);
        }
        self.go_on(now, node);
    }

    /// Asks for one more child SA.
    pub(crate) fn add_child(&mut self, now: Instant, node: &mut Node, selectors: Selectors) -> Result<(), NoRoom> {
        let asked = self.lane_asked();
        let Service::Tunnel(tunnel) = &mut self.service else { return Err(NoRoom) };
        let lane = tunnel.free_lane(node.config.ike.children_limit, asked).ok_or(NoRoom)?;
        tunnel.wanted.push(Wanted { lane, selectors, at: now });
        self.go_on(now, node);
        Ok(())
    }

    /// After everything that happens: what is over goes, what is due is asked.
    pub(super) fn go_on(&mut self, now: Instant, node: &mut Node) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            tunnel.sweep(now, node);
        }
        self.ask_next(now, node);
    }
}
