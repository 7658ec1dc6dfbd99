//! Messages that come in fragments (RFC 7383 section 2.6): each authenticated by itself, put together in whatever
//! order they come, given out once. One message at a time, for the window is one.

use crate::ike::counters::Ignored;
use crate::ike::wire::{Header, Incoming, Joined, Sealed, SkfPayload};
use std::collections::BTreeMap;

/// Most fragments that a message may have. Adit's own limit, as the next; certificates that matter need about ten.
pub(super) const MOST_FRAGMENTS: u16 = 64;
/// Most octets that a message may have inside.
pub(super) const MOST_OCTETS: usize = 32 << 10;

/// What has come of a message.
#[derive(Debug, Default)]
pub(super) enum Reassembly {
    /// Nothing.
    #[default]
    Empty,
    /// Some fragments.
    Partial(Partial),
}

/// Fragments of one message, fewer than all.
#[derive(Debug)]
pub(super) struct Partial {
    header: Header,
    total: u16,
    /// The datagram that brought the first fragment, and the type of the first payload inside.
    first: Option<(Vec<u8>, u8)>,
    /// By number.
    plain: BTreeMap<u16, Vec<u8>>,
}

/// A message whose fragments have all come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WholeMessage {
    header: Header,
    first: Vec<u8>,
    first_inner: u8,
    plain: Vec<u8>,
}

impl WholeMessage {
    /// As if it had come in one piece. Its octets are those of the first fragment, which stands for the message when
    /// it is repeated (RFC 7383 section 2.6.1).
    pub(crate) fn incoming(&self) -> Incoming<'_> {
        let joined = Joined { first_inner: self.first_inner, plain: &self.plain };
        Incoming { header: self.header, payloads: Vec::new(), sealed: Sealed::Joined(joined), bytes: &self.first }
    }
}

impl Reassembly {
    /// Is a fragment wanted, if its ICV is good? Asked first, because opening costs more.
    pub(super) fn wants(&self, header: &Header, skf: &SkfPayload<'_>) -> Result<(), Ignored> {
        if skf.total > MOST_FRAGMENTS {
            return Err(Ignored::FragmentsTooMany);
        }
        match self {
            Self::Empty => Ok(()),
            Self::Partial(partial) if partial.header.message_id != header.message_id => Ok(()),
            Self::Partial(partial) if partial.header != *header => Err(Ignored::FragmentMisfit),
            // RFC 7383 section 2.5.2: the peer has cut the message again, smaller.
            Self::Partial(partial) if partial.total < skf.total => Ok(()),
            Self::Partial(partial) if partial.total > skf.total => Err(Ignored::FragmentMisfit),
            Self::Partial(partial) if partial.plain.contains_key(&skf.number) => Err(Ignored::FragmentRepeated),
            Self::Partial(_) => Ok(()),
        }
    }

    /// A fragment that is wanted and authenticated, with what stood in it. The message, if it was the last.
    pub(super) fn add(
        &mut self,
        incoming: &Incoming<'_>,
        skf: &SkfPayload<'_>,
        plain: Vec<u8>,
    ) -> Result<Option<WholeMessage>, Ignored> {
        let mut partial = match std::mem::take(self) {
            Self::Partial(partial) if partial.header == incoming.header && partial.total == skf.total => partial,
            // Of another message, or of this one cut otherwise: fragments of the two never mix.
            Self::Partial(_) | Self::Empty => {
                Partial { header: incoming.header, total: skf.total, first: None, plain: BTreeMap::new() }
            }
        };
        let held: usize = partial.plain.values().map(Vec::len).sum();
        if held + plain.len() > MOST_OCTETS {
            return Err(Ignored::FragmentsTooMany);
        }
        if skf.number == 1 {
            partial.first = Some((incoming.bytes.to_vec(), skf.sk.first_inner));
        }
        partial.plain.insert(skf.number, plain);
        if partial.plain.len() < usize::from(partial.total) {
            *self = Self::Partial(partial);
            return Ok(None);
        }
        let Partial { header, first, plain, total: _ } = partial;
        // All numbers are there, the first among them.
        let (first, first_inner) = first.unwrap_or_default();
        let plain = plain.into_values().flatten().collect();
        Ok(Some(WholeMessage { header, first, first_inner, plain }))
    }

    /// Whether there is anything to forget.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}
