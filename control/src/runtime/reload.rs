//! Another configuration on the IKE thread: it is taken whole, or nothing of it.

use super::clock;
use super::dataplane::tuning;
use super::ike_thread::{IkeThread, worker};
use super::lookout::Certificate;
use super::outbox::WorkerGone;
use crate::config::checked::Config;
use crate::journal::What;
use crate::reload::{Decision, Proposal, Verdict, Wanted};
use adit_dataplane::contract::Command;
use std::sync::Arc;

impl IkeThread {
    pub(super) fn reload(&mut self, proposal: Proposal) -> Result<(), WorkerGone> {
        let Proposal { config, wanted, answer } = proposal;
        let decision = match wanted {
            Wanted::Plan => Decision::Planned(self.engine.plan(&config)),
            Wanted::Apply => self.take_config(&config)?,
        };
        // The reload thread waits for it, unless the process ends.
        let _gone = answer.send(decision);
        Ok(())
    }

    fn take_config(&mut self, config: &Arc<Config>) -> Result<Decision, WorkerGone> {
        if self.leaving.is_some() {
            return Ok(Decision::Refused("aditd is leaving"));
        }
        // Without room for it users would be those of before.
        let Some(room) = self.aaa.room_for_config() else {
            return Ok(Decision::Refused("the AAA thread does not keep up; ask again"));
        };
        let plan = match self.engine.reconfigure(clock::now(), Arc::clone(config)) {
            Ok(plan) => plan,
            Err(plan) => return Ok(Decision::Planned(plan)),
        };
        if plan.verdict() == Verdict::NothingToDo {
            return Ok(Decision::Applied(plan));
        }
        self.aaa_room = Some(room);
        self.facts.identity = config.identity.to_string();
        self.lookout.looks_after(Certificate::all(config));
        let now = clock::now();
        for index in 0..self.dataplane.workers.len() {
            let command = Command::Tune(Box::new(tuning(config)));
            self.outbox.send(now, &self.dataplane.workers, worker(index), command)?;
        }
        self.log_level.set(&config.log.level);
        self.feed.tell(now, What::Reloaded { changes: plan.steps.len(), ended: plan.ends().len() });
        self.carry_out()?;
        Ok(Decision::Applied(plan))
    }
}
