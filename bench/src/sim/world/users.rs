//! Who knows the users: AAA of these worlds.

use super::super::host::{Fault, HostId};
use super::{Happening, World};
use adit_control::aaa::{Answer, Profile, QuestionId, Source, Verdict};
use std::time::Duration;

/// How long whoever knows the users may take.
const LONGEST_THOUGHT: Duration = Duration::from_secs(2);

impl World {
    /// Somebody is asked about a user, and takes their time. Everybody may in.
    pub(super) fn ask(&mut self, id: HostId, question: QuestionId) {
        let at = self.now + self.chance.up_to(LONGEST_THOUGHT);
        let answer = Answer { id: question, verdict: Verdict::Accept(Box::new(Profile::plain(Source::Local))) };
        self.agenda.enter(at, Happening::Judged(id, answer));
    }

    pub(super) fn judged(&mut self, id: HostId, answer: Answer) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(id.0) else { return };
        let Some(machine) = host.machine.as_mut().filter(|_| host.fault != Some(Fault::LosesAnswers)) else { return };
        machine.engine.handle_answer(now, answer);
        self.carry_out(id);
    }
}
