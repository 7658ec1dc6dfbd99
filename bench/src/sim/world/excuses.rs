//! Packets that no receiver has an SA for, and what explains them.

use super::super::finding::What;
use super::super::host::HostId;
use super::World;
use adit_control::ike::wire::Exchange;
use adit_dataplane::contract::Lane;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// By IKEv1 an end tells of an SA that it is to be dropped when it is no more than so long before: the grace for what is
/// under way, and some more for what is said with it.
const TOLD: Duration = Duration::from_secs(15);

impl World {
    /// Whether what the network lost explains what is wrong with a packet for `receiver` that was sent then.
    pub(super) fn is_excused(&self, receiver: HostId, sent: Instant, what: &What) -> bool {
        match what {
            What::NeverInstalled { spi, sender } => {
                self.answer_is_lost(receiver, *sender, *spi) || self.silence.untold(*sender, receiver, sent, TOLD)
            }
            What::SentAfterDrop { sender, dropped, .. } => self.silence.untold(receiver, *sender, *dropped, TOLD),
            _never_by_loss => false,
        }
    }

    /// Whether loss or delay explains that `receiver` does not have an SA that `sender` sends on: it asked for one and
    /// has no answer. In a tunnel's first lane that is no reason to send on it at once: there the sender must wait until
    /// it knows better (RFC 7296 section 2.8), unless its older SA comes to its end while the question is repeated.
    fn answer_is_lost(&self, receiver: HostId, sender: HostId, spi: u32) -> bool {
        let lane = self.machine(sender).and_then(|machine| machine.dataplane.lane_of(spi));
        let asked = self.questions.asked(receiver, sender, Exchange::CreateChildSa);
        asked > if lane == Some(Lane::FIRST) { 1 } else { 0 }
    }
}
