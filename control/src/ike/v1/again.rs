//! Re-authentication of a session that we have started: another phase 1, in time, for the same user, who asks for the
//! address that is here already. The headend then goes on with the session under the new ISAKMP SA, and so do we:
//! address, tunnel and ESP SAs stay.

use super::calling::{CallStep, Calling};
use super::entering::{EnterStep, Entering};
use super::established::Established;
use super::phase_1::User;
use super::pull;
use super::reached::Reached;
use crate::ike::service::{Call, CallFailed, Contact, Node, Refused, pause};
use crate::ike::wire::IkeSpi;
use crate::journal::{By, Renewed, What};
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

/// Another login, under way.
pub(super) enum Again {
    Calling(Box<Calling>),
    Entering(Box<Entering>),
}

impl Again {
    /// Our cookie.
    pub(super) fn spi(&self) -> IkeSpi {
        match self {
            Self::Calling(calling) => calling.held().ike,
            Self::Entering(entering) => entering.reached.sa.spi(),
        }
    }

    /// When it has something to do.
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Calling(calling) => calling.deadline(),
            Self::Entering(entering) => entering.deadline(),
        }
    }
}

impl Established {
    /// Another phase 1, as soon as there is none under way.
    pub(crate) fn renew(&mut self, now: Instant, node: &mut Node) {
        if let Some(called) = &mut self.called {
            called.renew = Some(now);
        }
        self.renew_if_time(now, node);
    }

    /// Begins another phase 1 if it is time.
    pub(super) fn renew_if_time(&mut self, now: Instant, node: &mut Node) {
        let (id, worker, path) = (self.peer.id, self.peer.worker, self.peer.path);
        let Some(called) = &mut self.called else { return };
        if called.again.is_some() || called.address().is_none() || called.renew.is_none_or(|at| at > now) {
            return;
        }
        // It has lost nothing; and it calls whom it talks to.
        let mut call = Call { contact: Contact::Further, ..called.call.clone() };
        call.path.peer.set_ip(path.peer.ip());
        call.natt.peer.set_ip(path.peer.ip());
        match Calling::begin(now, node, id, worker, call) {
            Some(calling) => {
                tracing::debug!("re-authenticating");
                called.again = Some(Again::Calling(Box::new(calling)));
            }
            None => called.renew = None,
        }
    }

    /// A datagram for the login under way.
    pub(super) fn again(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram) {
        let Some(again) = self.called.as_mut().and_then(|called| called.again.take()) else { return };
        match again {
            Again::Calling(calling) => {
                let step = calling.handle(now, node, datagram);
                self.called_again(now, node, step);
            }
            Again::Entering(entering) => {
                let step = entering.handle(now, node, datagram);
                self.entered_again(now, node, step);
            }
        }
    }

    /// Its time may have come.
    pub(super) fn again_if_time(&mut self, now: Instant, node: &mut Node) {
        let due = |again: &mut Again| again.deadline() <= now;
        let Some(again) = self.called.as_mut().and_then(|called| called.again.take_if(due)) else { return };
        match again {
            Again::Calling(calling) => {
                let step = calling.timeout(now, node);
                self.called_again(now, node, step);
            }
            Again::Entering(entering) => {
                let step = entering.timeout(now, node);
                self.entered_again(now, node, step);
            }
        }
    }

    fn called_again(&mut self, now: Instant, node: &mut Node, step: CallStep) {
        match step {
            CallStep::Waits(calling) => self.goes_on(Again::Calling(calling)),
            CallStep::Failed(held, failed) => {
                node.forget_ike_spi(held.ike);
                self.not_again(now, node, &failed);
            }
            CallStep::Reached(reached) => match reached.user {
                User::Asked => self.goes_on(Again::Entering(Box::new(Entering::begin(now, node, *reached)))),
                User::NotAsked => self.renewed(now, node, *reached),
            },
        }
    }

    fn entered_again(&mut self, now: Instant, node: &mut Node, step: EnterStep) {
        match step {
            EnterStep::Waits(entering) => self.goes_on(Again::Entering(entering)),
            EnterStep::In(reached) => self.renewed(now, node, *reached),
            EnterStep::Over(entering, failed, farewell) => {
                node.forget_ike_spi(entering.reached.sa.spi());
                if let Some(farewell) = farewell {
                    node.keep_farewell(now, farewell);
                }
                self.not_again(now, node, &failed);
            }
        }
    }

    fn goes_on(&mut self, again: Again) {
        if let Some(called) = &mut self.called {
            called.again = Some(again);
        }
    }

    /// The session is as good as before, until its ISAKMP SA ends; it is tried again.
    fn not_again(&mut self, now: Instant, node: &mut Node, failed: &CallFailed) {
        node.counters.refusals += 1;
        tracing::warn!(
            cause = failed.cause.name(),
            why = failed.why,
            "re-authentication failed: {}",
            failed.cause.sentence()
        );
        let wait = pause(&mut *node.random, Refused::Altogether);
        if let Some(called) = &mut self.called {
            called.renew = Some(now + wait);
        }
    }

    /// The session goes on under the new ISAKMP SA. The headend hears so by our question for the address.
    fn renewed(&mut self, now: Instant, node: &mut Node, reached: Reached) {
        let Reached { sa, traversal, along, life, last, .. } = reached;
        self.succeed(now, node, sa, traversal, along);
        if let Some(called) = &mut self.called {
            called.renew = life.rekey;
        }
        tracing::info!(identity = %self.peer.identity, ike = %self.sa.suite(), "re-authenticated");
        node.tell(&self.peer, What::Rekey { what: Renewed::Ike, by: By::Us });
        pull::ask(now, node, self, last);
    }
}
