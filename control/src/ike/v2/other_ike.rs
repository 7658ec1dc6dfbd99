//! IKE SAs of a session beside the one in use: what a rekey leaves behind, and what a collision of two rekeys makes
//! too many (RFC 7296 sections 2.8 and 2.8.2).

use super::ike_sa::IkeSa;
use super::purpose::Purpose;
use crate::ike::service::{FORMER, Node, Retry};
use crate::ike::wire::{Delete, Payload, Protocol};
use adit_dataplane::time::Instant;

/// So many may wait for the peer's delete, and so many for its answer to ours; an older one is forgotten.
const MOST_FORMER: usize = 2;

/// It answers, and makes nothing new.
pub(super) struct Other {
    pub(super) ike: IkeSa,
    pub(super) fate: Fate,
}

/// What becomes of it.
pub(super) enum Fate {
    /// The peer deletes it, or it is forgotten.
    Theirs { until: Instant },
    /// We have asked the peer to delete it.
    Ours,
    /// The peer has made it while we rekey the same IKE SA: the nonces will decide (RFC 7296 section 2.8.2). This is
    /// the lower of its two.
    Rival { lowest: Vec<u8> },
}

/// All of a session's.
#[derive(Default)]
pub(super) struct Others(Vec<Other>);

impl Others {
    /// The peer deletes it.
    pub(super) fn await_delete(&mut self, now: Instant, node: &mut Node, mut ike: IkeSa) {
        if let Some(mut purpose) = ike.ids.forget() {
            purpose.let_go(node);
        }
        self.make_room(node, |fate| matches!(fate, Fate::Theirs { .. }));
        self.0.push(Other { ike, fate: Fate::Theirs { until: now + FORMER } });
    }

    /// We delete it. What is to be sent comes back.
    pub(super) fn part_with(&mut self, now: Instant, node: &mut Node, mut ike: IkeSa) -> Option<Vec<u8>> {
        if let Some(mut purpose) = ike.ids.forget() {
            purpose.let_go(node);
        }
        let delete = Payload::Delete(Delete { protocol: Protocol::Ike, spis: Vec::new() });
        let Ok(bytes) = ike.ask(now, node, Purpose::Goodbye, &[delete]) else {
            // Its Message IDs have run out.
            node.forget_ike_spi(ike.spi());
            return None;
        };
        self.make_room(node, |fate| matches!(fate, Fate::Ours));
        self.0.push(Other { ike, fate: Fate::Ours });
        Some(bytes)
    }

    /// Forgets the oldest with such a fate if there are as many as there may be.
    fn make_room(&mut self, node: &mut Node, such: impl Fn(&Fate) -> bool) {
        let mut places = self.0.iter().enumerate().filter(|(_, other)| such(&other.fate)).map(|(at, _)| at);
        if let Some(oldest) = places.next()
            && 1 + places.count() >= MOST_FORMER
        {
            self.forget(node, oldest);
        }
    }

    /// The nonces will decide.
    pub(super) fn add_rival(&mut self, ike: IkeSa, lowest: Vec<u8>) {
        self.0.push(Other { ike, fate: Fate::Rival { lowest } });
    }

    /// Whether there is one.
    pub(super) fn has_rival(&self) -> bool {
        self.0.iter().any(|other| matches!(other.fate, Fate::Rival { .. }))
    }

    /// It is decided: the rival and its lower nonce.
    pub(super) fn take_rival(&mut self) -> Option<(IkeSa, Vec<u8>)> {
        let at = self.0.iter().position(|other| matches!(other.fate, Fate::Rival { .. }))?;
        match self.0.remove(at) {
            Other { ike, fate: Fate::Rival { lowest } } => Some((ike, lowest)),
            Other { fate: Fate::Theirs { .. } | Fate::Ours, .. } => None,
        }
    }

    /// Fragments of unfinished messages have been held for long enough.
    pub(super) fn forget_fragments(&mut self) {
        for other in &mut self.0 {
            other.ike.forget_fragments();
        }
    }

    /// Where one is.
    pub(super) fn position(&self, is_it: impl Fn(&IkeSa) -> bool) -> Option<usize> {
        self.0.iter().position(|other| is_it(&other.ike))
    }

    pub(super) fn get(&self, at: usize) -> Option<&IkeSa> {
        self.0.get(at).map(|other| &other.ike)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut IkeSa> {
        self.0.get_mut(at).map(|other| &mut other.ike)
    }

    /// It is over.
    pub(super) fn forget(&mut self, node: &mut Node, at: usize) {
        if at < self.0.len() {
            node.forget_ike_spi(self.0.remove(at).ike.spi());
        }
    }

    /// All are over, with their session. A delete of the peer's may have been lost and come again.
    pub(super) fn forget_all(&mut self, now: Instant, node: &mut Node) {
        for Other { mut ike, fate } in self.0.drain(..) {
            if let Some(mut purpose) = ike.ids.forget() {
                purpose.let_go(node);
            }
            node.forget_ike_spi(ike.spi());
            let last_word = match fate {
                Fate::Theirs { .. } => ike.last_word(),
                Fate::Ours | Fate::Rival { .. } => None,
            };
            if let Some(farewell) = last_word {
                node.keep_farewell(now, farewell);
            }
        }
    }

    /// Deletes that are to be sent again; what has waited long enough is forgotten.
    pub(super) fn timeout(&mut self, now: Instant, node: &mut Node) -> Vec<Vec<u8>> {
        let patience = node.patience();
        let mut again = Vec::new();
        self.0.retain_mut(|other| {
            let stays = match other.fate {
                Fate::Theirs { until } => until > now,
                Fate::Rival { .. } => true,
                Fate::Ours => match other.ike.ids.retry(now, &patience) {
                    Retry::NotYet => true,
                    Retry::Again(bytes) => {
                        again.push(bytes.to_vec());
                        true
                    }
                    // Whether the peer lives is for the IKE SA in use to find out.
                    Retry::Dead => false,
                },
            };
            if !stays {
                node.forget_ike_spi(other.ike.spi());
            }
            stays
        });
        again
    }

    /// When [`Others::timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.0.iter().filter_map(|other| match other.fate {
            Fate::Theirs { until } => Some(until),
            Fate::Ours => other.ike.ids.due(),
            Fate::Rival { .. } => None,
        });
        due.min()
    }
}
