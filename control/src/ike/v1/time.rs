//! What a session does when something has happened or its time has come: who is asked, what is replaced, what is over.

use super::asked::Asked;
use super::dpd::{self, Silence};
use super::established::{Established, Former, Service, Verdict};
use super::life_time::Quiet;
use super::wire::{Delete, NotifyKind, Payload, Vendor};
use super::{mode_config, quick_mode, rekey};
use crate::ike::service::{Child, Node, Retry, Role, closed, keepalive};
use crate::session::Cause;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// How long a session may be without an ESP SA. Adit's own choice: IKEv1 clients make the next one when they need it,
/// or after they have typed a password.
const CHILDLESS: Duration = Duration::from_secs(60);

impl Established {
    /// What is to be done after anything has happened.
    pub(super) fn go_on(&mut self, now: Instant, node: &mut Node) {
        quick_mode::expire(now, node, self);
        rekey::expire(now, node, self);
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        tunnel.sweep(now, node);
        let doomed = tunnel.take_doomed();
        if !doomed.is_empty() {
            // IKEv1 has no answer to a delete (RFC 2408 section 3.15): said is done.
            tunnel.deleted(&doomed, now + node.config.ike.rekey_grace);
            let spis = doomed.iter().map(|spi| spi.get()).collect();
            self.inform(now, node, Payload::Delete(Delete::Esp(spis)));
        }
        let Service::Tunnel(tunnel) = &self.service else { return };
        self.agreed.retain(|spi, _| tunnel.children.iter().any(|child| child.spi_in == *spi));
        let in_use = tunnel.children.iter().any(Child::is_active);
        if in_use && !self.books.is_open() {
            self.open_books(now, node);
        }
        if in_use {
            self.in_use(node);
        }
        rekey::ask_if_time(now, node, self);
    }

    /// Its time has come.
    pub(crate) fn timeout(&mut self, now: Instant, node: &mut Node) -> Verdict {
        self.go_on(now, node);
        if let Some(cause) = self.over(now) {
            return self.close(node, cause);
        }
        closed::reopen_if_time(now, node, &mut self.peer, self.service.tunnel());
        self.forget_former(now, node);
        self.again_if_time(now, node);
        self.renew_if_time(now, node);
        quick_mode::repeat_if_time(now, node, self);
        if self.push_at.is_some_and(|at| at <= now) {
            self.push_at = None;
            if let Err(cause) = mode_config::push(now, node, self) {
                return self.close(node, cause);
            }
        }
        let patience = node.patience();
        match self.asked.as_mut().map(|asked| asked.retry(now, &patience)) {
            None | Some(Retry::NotYet) => {}
            Some(Retry::Again(bytes)) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                if let Some(before) = self.asked.as_ref().and_then(Asked::before) {
                    self.send(now, node, before);
                }
                self.send(now, node, bytes);
            }
            Some(Retry::Dead) => {
                let needed = self.cannot_do_without();
                match self.asked.take() {
                    // Nobody answers that; DPD finds out whether there is anybody.
                    None | Some(Asked::LifeTime(_)) => {}
                    Some(asked @ (Asked::Quick(_) | Asked::Push { .. } | Asked::Pull(_))) => {
                        asked.let_go(node);
                        if needed || !self.sa.client.is(Vendor::Dpd) {
                            return Verdict::Gone(Cause::PeerDead, None);
                        }
                        rekey::put_off(now, node, self);
                    }
                }
            }
        }
        let traffic = self.traffic();
        self.books.look(now, node, traffic);
        keepalive::send_if_quiet(now, node, &mut self.peer, self.service.tunnel());
        match self.look_for_answer(now, node) {
            Verdict::Stay => self.ask_if_quiet(now, node),
            gone @ Verdict::Gone(..) => gone,
        }
    }

    /// What we ask for decides whether there is a session at all: our address, or the only ESP SA.
    fn cannot_do_without(&self) -> bool {
        match (&self.asked, &self.service) {
            (Some(Asked::Pull(_)), _) => true,
            (Some(Asked::Quick(_)), Service::Tunnel(tunnel)) => !tunnel.in_service(),
            (Some(Asked::Quick(_) | Asked::Push { .. } | Asked::LifeTime(_)) | None, _) => false,
        }
    }

    /// ISAKMP SAs that were replaced end. Who has started phase 1 says so.
    fn forget_former(&mut self, now: Instant, node: &mut Node) {
        for at in (0..self.former.len()).rev() {
            if self.former.get(at).is_none_or(|former| former.until > now) {
                continue;
            }
            let Former { mut sa, .. } = self.former.remove(at);
            match sa.role() {
                Role::Initiator => {
                    let bytes = sa.goodbye(node);
                    self.send(now, node, bytes);
                }
                Role::Responder => {}
            }
            node.forget_ike_spi(sa.spi());
        }
    }

    /// Asks the peer whether it lives, unless it is being asked.
    pub(crate) fn probe(&mut self, now: Instant, node: &mut Node) {
        if !self.sa.client.is(Vendor::Dpd) {
            return;
        }
        if let Some(number) = self.dpd.ask(now, &node.patience()) {
            self.inform(now, node, dpd::payload(NotifyKind::RUThere, self.sa.cookies(), number));
        }
    }

    fn ask_if_quiet(&mut self, now: Instant, node: &mut Node) -> Verdict {
        if !self.sa.client.is(Vendor::Dpd) {
            return Verdict::Stay;
        }
        let (heard, delay, patience) = (self.heard(), node.config.ike.dpd_delay, node.patience());
        if self.dpd.due(heard, delay).is_some_and(|due| Quiet::behind(self.sa.quiet, due) > now) {
            return Verdict::Stay;
        }
        match self.dpd.look(now, heard, delay, &patience) {
            Silence::NotYet => Verdict::Stay,
            Silence::Dead => Verdict::Gone(Cause::PeerDead, None),
            Silence::Ask(number) => {
                tracing::debug!("asking whether the peer lives");
                let question = dpd::payload(NotifyKind::RUThere, self.sa.cookies(), number);
                self.inform(now, node, question);
                Verdict::Stay
            }
        }
    }

    /// Why it is to end now, if it is.
    fn over(&self, now: Instant) -> Option<Cause> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(cause) = self.peer.policy.over(now, self.peer.login, self.used()) {
            return Some(cause);
        }
        if passed(self.sa.end) {
            return Some(Cause::Expired);
        }
        passed(self.childless_end()).then_some(Cause::Childless)
    }

    /// When it ends for want of an ESP SA. One that we have started asks for another instead.
    fn childless_end(&self) -> Option<Instant> {
        match &self.called {
            Some(_) => None,
            None => self.empty_since().map(|since| since + CHILDLESS),
        }
    }

    /// When [`Established::timeout`] has something to do.
    pub(crate) fn deadline(&self, node: &Node) -> Option<Instant> {
        let tunnel = match &self.service {
            Service::Tunnel(tunnel) => tunnel.deadline(),
            Service::Nothing { .. } => None,
        };
        let dpd =
            self.sa.client.is(Vendor::Dpd).then(|| self.dpd.due(self.heard(), node.config.ike.dpd_delay)).flatten();
        let deadlines = [
            tunnel,
            dpd.map(|at| Quiet::behind(self.sa.quiet, at)),
            self.childless_end(),
            self.peer.policy.due(self.peer.login, self.used()),
            self.peer.closed.due(),
            self.sa.end,
            self.former.iter().map(|former| former.until).min(),
            quick_mode::due(self),
            self.called.as_ref().and_then(|called| called.due()),
            self.push_at,
            self.suspicion_due(),
            self.asked.as_ref().map(Asked::due),
            rekey::due(self),
            self.unheard.iter().map(|one| one.until).min(),
            self.yielded.as_ref().map(|yielded| yielded.until),
            self.books.due(),
            keepalive::due(node, &self.peer, self.service.tunnel()),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// When an authenticated packet last came, IKE or ESP.
    pub(super) fn heard(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.heard.max(tunnel.last_received()),
            Service::Nothing { .. } => self.peer.heard,
        }
    }

    /// When the client last sent an inner packet; its login if it never did.
    pub(super) fn used(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.login.max(tunnel.last_received()),
            Service::Nothing { .. } => self.peer.login,
        }
    }

    fn empty_since(&self) -> Option<Instant> {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.empty_since(),
            Service::Nothing { since } => Some(*since),
        }
    }
}
