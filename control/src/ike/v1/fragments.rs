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
            *self = Self { id: fragment.id, ..Self::default() };
        }
        if self.octets + fragment.data.len() > limits::MAX_REASSEMBLED {
            *self = Self::default();
            return Err(Ignored::FragmentsTooMany);
        }
        if self.parts.contains_key(&fragment.index) {
            return Err(Ignored::FragmentRepeated);
        }
        if self.last.is_some_and(|last| fragment.index > last) {
            return Err(Ignored::FragmentMisfit);
        }
        if fragment.place == FragmentPlace::Last {
            if self.last.is_some() || self.parts.keys().any(|index| *index > fragment.index) {
                return Err(Ignored::FragmentMisfit);
            }
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
