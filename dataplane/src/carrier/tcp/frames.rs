//! Where frames begin and end (RFC 9329 sections 3 and 4).

use crate::wire::esp::{MAX_IKE_LEN, MAX_UDP_PAYLOAD, NON_ESP_MARKER};

/// What whoever has begun the connection says first.
pub const PREFIX: &[u8; 6] = b"IKETCP";
/// Octets of a length. It counts itself.
pub const LENGTH: usize = 2;
/// Octets of the longest frame with an IKE message in it.
const MOST_IKE: usize = LENGTH + NON_ESP_MARKER.len() + MAX_IKE_LEN;
/// Octets that whoever has begun the connection may need to show that IKE is what it wants.
pub(super) const INTRODUCTION: usize = PREFIX.len() + MOST_IKE;
/// Pieces are kept in that much at least, so that nothing is allocated for ordinary packets again and again.
const USUAL: usize = 4096;

/// Whether these octets, at the front of a connection, are the prefix or its beginning.
pub fn begins_stream(payload: &[u8]) -> bool {
    let first = &payload[..payload.len().min(PREFIX.len())];
    !first.is_empty() && PREFIX.starts_with(first)
}

/// What the peer's stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// The prefix: the peer has begun the connection.
    Prefix,
    /// A frame: the peer has answered.
    Frame,
}

/// There is no way to tell where the next frame begins, or it is not worth it: the connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenStream {
    /// It does not begin as it must.
    #[error("it does not begin with IKETCP")]
    NoPrefix,
    /// What comes first is neither IKE nor ESP.
    #[error("what it begins with is neither IKE nor ESP")]
    Garbage,
    /// A length of 0 or 1.
    #[error("a frame is shorter than its own length")]
    Short,
    /// More than is ever taken in.
    #[error("a frame is longer than any that is taken in")]
    Long,
}

/// Finds frames in octets that come in pieces.
#[derive(Debug)]
pub struct Frames {
    /// What is to come of the prefix.
    prefix: &'static [u8],
    /// The beginning of a frame whose end has not come.
    held: Vec<u8>,
    /// Octets of the longest frame.
    most: usize,
}

impl Frames {
    /// Nothing has come.
    pub fn new(begins: Begins) -> Self {
        let (prefix, most): (&[u8], _) = match begins {
            Begins::Prefix => (PREFIX, MOST_IKE),
            Begins::Frame => (&[], LENGTH + MAX_UDP_PAYLOAD),
        };
        Self { prefix, held: Vec::new(), most }
    }

    /// Whoever speaks means it: frames may be as long as any.
    #[must_use]
    pub fn of_any_length(self) -> Self {
        Self { most: LENGTH + MAX_UDP_PAYLOAD, ..self }
    }

    /// The next octets of the stream. `deliver` gets what is behind each length.
    pub fn take(&mut self, octets: &[u8], mut deliver: impl FnMut(&[u8])) -> Result<(), BrokenStream> {
        let (first, mut rest) = octets.split_at(octets.len().min(self.prefix.len()));
        self.prefix = self.prefix.strip_prefix(first).ok_or(BrokenStream::NoPrefix)?;
        while !rest.is_empty() {
            if self.held.is_empty()
                && let Some(len) = frame_len(rest, self.most)?
                && let Some((frame, behind)) = rest.split_at_checked(len)
            {
                deliver(&frame[LENGTH..]);
                rest = behind;
                continue;
            }
            let whole = frame_len(&self.held, self.most)?;
            let missing = whole.unwrap_or(LENGTH) - self.held.len();
            let (next, behind) = rest.split_at(rest.len().min(missing));
            self.held.extend_from_slice(next);
            rest = behind;
            if frame_len(&self.held, self.most)? == Some(self.held.len()) {
                deliver(&self.held[LENGTH..]);
                self.held.clear();
                self.held.shrink_to(USUAL);
            }
        }
        Ok(())
    }

    /// Octets of memory.
    pub fn memory(&self) -> usize {
        self.held.capacity()
    }
}

/// Octets of the frame that begins here, its length included, as soon as that is known.
fn frame_len(octets: &[u8], most: usize) -> Result<Option<usize>, BrokenStream> {
    let Some((length, behind)) = octets.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes(*length));
    let most = match behind.starts_with(&NON_ESP_MARKER) {
        true => MOST_IKE,
        false => most,
    };
    match len {
        ..LENGTH => Err(BrokenStream::Short),
        LENGTH.. if len > most => Err(BrokenStream::Long),
        LENGTH.. => Ok(Some(len)),
    }
}

/// The length that goes before so many octets; `None` if no frame can hold them.
pub(super) fn length(octets: usize) -> Option<[u8; LENGTH]> {
    Some(u16::try_from(LENGTH + octets).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn framed(inside: &[u8]) -> Vec<u8> {
        [&length(inside.len()).unwrap()[..], inside].concat()
    }

    fn all(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, BrokenStream> {
        all_of(Frames::new(Begins::Prefix).of_any_length(), pieces)
    }

    fn all_of(mut frames: Frames, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, BrokenStream> {
        let mut out = Vec::new();
        for piece in pieces {
            frames.take(piece, |octets| out.push(octets.to_vec()))?;
        }
        Ok(out)
    }

    fn stream() -> (Vec<u8>, Vec<Vec<u8>>) {
        let inside = vec![vec![0; 32], vec![7; 1400], vec![0xff], vec![], vec![9; 100]];
        let octets = inside.iter().fold(PREFIX.to_vec(), |stream, inside| [stream, framed(inside)].concat());
        (octets, inside)
    }

    #[test]
    fn frames_are_found_however_their_stream_is_cut() {
        let (octets, inside) = stream();
        for size in 1..octets.len() {
            assert_eq!(all(&octets.chunks(size).collect::<Vec<_>>()).as_ref(), Ok(&inside), "{size}");
        }
        check!().with_type::<Vec<u16>>().for_each(|cuts| {
            let mut rest = &octets[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, behind) = rest.split_at(usize::from(*cut).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            assert_eq!(all(&pieces).as_ref(), Ok(&inside));
        });
    }

    #[test]
    fn a_stream_that_begins_otherwise_is_broken_at_its_first_wrong_octet() {
        assert!(begins_stream(b"I") && begins_stream(b"IKETCP") && begins_stream(b"IKETCPxyz"));
        assert!(!begins_stream(b"") && !begins_stream(b"GET /") && !begins_stream(b"IKEX"));
        assert_eq!(all(&[b"IKE", b"TC"]), Ok(vec![]));
        assert_eq!(all(&[b"IKE", b"X"]), Err(BrokenStream::NoPrefix));
        assert_eq!(all(&[b"IKETCPIKETCP"]), Ok(vec![]), "the second is a length of 18763");
    }

    #[test]
    fn lengths_that_cannot_be_break_the_stream() {
        for length in [[0, 0], [0, 1]] {
            assert_eq!(all(&[PREFIX, &length]), Err(BrokenStream::Short));
        }
        let ike = |len: usize| [&((LENGTH + 4 + len) as u16).to_be_bytes()[..], &[0; 4]].concat();
        assert_eq!(all(&[PREFIX, &ike(MAX_IKE_LEN)]), Ok(vec![]));
        assert_eq!(all(&[PREFIX, &ike(MAX_IKE_LEN + 1)]), Err(BrokenStream::Long));
        assert_eq!(all(&[PREFIX, &[0xff, 0xe5]]), Ok(vec![]));
        assert_eq!(all(&[PREFIX, &[0xff, 0xe6]]), Err(BrokenStream::Long));
        let first = |octets: &[u8]| all_of(Frames::new(Begins::Prefix), &[PREFIX, octets]);
        assert_eq!(first(&[0x40, 6]), Ok(vec![]), "nobody has to show more than an IKE message");
        assert_eq!(first(&[0x40, 7]), Err(BrokenStream::Long));
    }

    #[test]
    fn any_octets_are_frames_or_break_the_stream_and_never_take_more_memory_than_a_frame() {
        check!().with_type::<Vec<Vec<u8>>>().for_each(|pieces| {
            let mut frames = Frames::new(Begins::Frame);
            for piece in pieces {
                let taken = frames.take(piece, |octets| assert!(octets.len() <= MAX_UDP_PAYLOAD));
                assert!(frames.memory() <= 2 * 65_536);
                if taken.is_err() {
                    return;
                }
            }
        });
    }
}
