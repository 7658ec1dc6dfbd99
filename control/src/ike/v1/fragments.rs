//! Cisco's fragments of IKE messages: cut and put together. Nothing protects a single fragment, so what is held is
//! bounded and one message at a time; the message that comes out is checked like any other.

use super::wire::{Fragment, FragmentPlace, Header, build_fragment, limits};
use crate::ike::counters::Ignored;
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an unfinished message is held. Adit's own choice: as for IKEv2.
const HELD: Duration = Duration::from_secs(30);
/// Octets before the data: header, generic header, and what says where it stands.
const OVERHEAD: usize = Header::LEN + 8;
/// The number of all our messages: none is cut while another is under way to the same peer that would matter.
const ID: u16 = 1;

/// Fragments of one message.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    id: u16,
    parts: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
    octets: usize,
    until: Option<Instant>,
}

impl Reassembly {
    /// Takes one; the message if it was the last that was missing. Another number begins another message.
    pub(super) fn add(&mut self, now: Instant, fragment: &Fragment<'_>) -> Result<Option<Vec<u8>>, Ignored> {
        if self.id != fragment.id || self.until.is_none_or(|until| until <= now) {
            self.begin_again(fragment.id);
        }
        if self.octets + fragment.data.len() > limits::MAX_REASSEMBLED {
            *self = Self::default();
            return Err(Ignored::FragmentsTooMany);
        }
        match self.parts.get(&fragment.index) {
            Some(held) if held == fragment.data && self.place(fragment.index) == fragment.place => {
                return Err(Ignored::FragmentRepeated);
            }
            None if !self.contradicts(fragment) => {}
            Some(_) | None => self.begin_again(fragment.id),
        }
        if fragment.place == FragmentPlace::Last {
            self.last = Some(fragment.index);
        }
        self.until = Some(now + HELD);
        self.octets += fragment.data.len();
        self.parts.insert(fragment.index, fragment.data.to_vec());
        if self.last.map(usize::from) != Some(self.parts.len()) {
            return Ok(None);
        }
        let whole = std::mem::take(self).parts.into_values().collect::<Vec<_>>().concat();
        Ok(Some(whole))
    }

    fn begin_again(&mut self, id: u16) {
        *self = Self { id, ..Self::default() };
    }

    /// Of one that is held.
    fn place(&self, index: u8) -> FragmentPlace {
        if self.last == Some(index) { FragmentPlace::Last } else { FragmentPlace::Inner }
    }

    /// Whether what is held and this new fragment cannot be of one message. One of the two is not the peer's, and if it is
    /// this one, the peer's next try makes that good.
    fn contradicts(&self, fragment: &Fragment<'_>) -> bool {
        match fragment.place {
            FragmentPlace::Last => self.last.is_some() || self.parts.keys().any(|index| *index > fragment.index),
            FragmentPlace::Inner => self.last.is_some_and(|last| fragment.index > last),
        }
    }
}

/// The message in pieces of at most `most` octets, one after the other.
pub(super) fn cut(header: &Header, message: &[u8], most: usize) -> Vec<u8> {
    let pieces: Vec<&[u8]> = message.chunks(most.saturating_sub(OVERHEAD).max(64)).collect();
    let last = pieces.len();
    let mut out = Vec::with_capacity(message.len() + last * OVERHEAD);
    for (data, index) in pieces.into_iter().zip(1_u8..=u8::MAX) {
        let place = if usize::from(index) == last { FragmentPlace::Last } else { FragmentPlace::Inner };
        out.extend(build_fragment(header, &Fragment { id: ID, index, place, data }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(
        held: &mut Reassembly,
        id: u16,
        index: u8,
        place: FragmentPlace,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, Ignored> {
        held.add(Instant::ZERO, &Fragment { id, index, place, data })
    }

    #[test]
    fn a_message_is_whole_in_any_order_and_a_repeated_piece_counts_once() {
        use FragmentPlace::{Inner, Last};
        let mut held = Reassembly::default();
        assert_eq!(add(&mut held, 1, 3, Last, b"c"), Ok(None));
        assert_eq!(add(&mut held, 1, 1, Inner, b"a"), Ok(None));
        assert_eq!(add(&mut held, 1, 1, Inner, b"a"), Err(Ignored::FragmentRepeated));
        assert_eq!(add(&mut held, 1, 3, Last, b"c"), Err(Ignored::FragmentRepeated));
        assert_eq!(add(&mut held, 1, 2, Inner, b"b"), Ok(Some(b"abc".to_vec())));
        assert_eq!(add(&mut held, 1, 1, Last, b"all"), Ok(Some(b"all".to_vec())));
    }

    /// Anybody can send a fragment; the peer's own, said once more, must not wait for its end.
    #[test]
    fn what_contradicts_takes_the_place_of_what_is_held() {
        use FragmentPlace::{Inner, Last};
        for (index, place, data) in [(1, Inner, &b"x"[..]), (1, Last, b"a"), (2, Inner, b"b"), (9, Inner, b"x")] {
            let mut held = Reassembly::default();
            add(&mut held, 1, index, place, data).ok();
            let tries: Vec<_> = (0..2)
                .flat_map(|_| [add(&mut held, 1, 1, Inner, b"a"), add(&mut held, 1, 2, Last, b"b")])
                .filter_map(|tried| tried.ok().flatten())
                .filter(|whole| whole == b"ab")
                .collect();
            assert!(!tries.is_empty(), "{index} {place:?}");
        }
    }
}
