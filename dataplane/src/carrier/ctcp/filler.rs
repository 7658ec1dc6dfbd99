//! What goes in the place of octets that are no longer kept, where real TCP waits for them: it hands on nothing of what is behind.
//!
//! ```text
//! | SPI of the peer's SA | sequence number 0 | zeros | trailer |
//! ```
//! No sender uses number 0 (RFC 4303 section 2.2), so the peer's replay window refuses it before any key is tried. Where several
//! segments are missing the frame ends elsewhere than they did; a stream of frames is found again behind the next trailer.
//!
//! Other octets than those that were sent are what an attack looks like, so this comes after all else: only where nothing is kept, and
//! where the peer's SYN was real TCP's. Never in the place of IKE: that repeats itself, and begins again at what was acknowledged.

use super::trailer::{Inside, TRAILER_LEN, trailer};
use crate::wire::esp::HEADER_LEN;
use crate::wire::tcp::Seq;

/// The shortest frame.
const LEAST: usize = HEADER_LEN + 1 + TRAILER_LEN;
/// The longest: what a segment holds with either family.
const MOST: usize = 1440;

/// What a flow knows for its fillers.
#[derive(Debug, Default)]
pub(super) struct Filler {
    /// Of what we send.
    spi: Option<[u8; 4]>,
    /// From the first octet of an IKE message to the last of the latest.
    ike: Option<(Seq, Seq)>,
}

/// A frame of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    octets: [u8; MOST],
    len: usize,
}

impl Frame {
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl Filler {
    /// A frame of ours went at this place, `acknowledged` being what the peer has.
    #[inline]
    pub(super) fn sent(&mut self, begins: Seq, inside: Inside, frame: &[u8], acknowledged: Seq) {
        match inside {
            Inside::Esp => self.spi = frame.first_chunk().copied(),
            Inside::Ike => {
                let first = self.ike.filter(|(_, end)| end.is_after(acknowledged)).map_or(begins, |(first, _)| first);
                self.ike = Some((first, begins.plus(frame.len())));
            }
        }
    }

    /// What fills up to `len` octets from `begins` on, if anything may.
    pub(super) fn frame(&self, begins: Seq, len: usize) -> Option<Frame> {
        let spi = self.spi?;
        let room = match self.ike.filter(|(_, end)| end.is_after(begins)) {
            Some((first, _)) if first.is_after(begins) => len.min(first.octets_since(begins)),
            Some(_) => return None,
            None => len,
        };
        if room < LEAST {
            return None;
        }
        let mut frame = Frame { octets: [0; MOST], len: room.min(MOST) };
        let (rest, end) = frame.octets.get_mut(..frame.len)?.split_last_chunk_mut()?;
        *end = trailer(Inside::Esp);
        *rest.first_chunk_mut()? = spi;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::ctcp::whole;

    const START: Seq = Seq::new(u32::MAX - 999);

    #[test]
    fn it_is_one_frame_of_esp_with_number_0_however_long_the_hole() {
        let mut filler = Filler::default();
        assert_eq!(filler.frame(START, 1000), None, "before any ESP there is nothing to look like");
        filler.sent(START, Inside::Esp, &[1, 2, 3, 4, 0, 0, 0, 9, 7, 7], START);
        for len in [LEAST, 100, MOST, MOST + 1, 100_000] {
            let frame = filler.frame(START, len).unwrap();
            let octets = frame.octets();
            assert_eq!((octets.len(), &octets[..8]), (len.min(MOST), &[1, 2, 3, 4, 0, 0, 0, 0][..]));
            let found = whole(octets).unwrap();
            assert_eq!((found.inside, found.at), (Inside::Esp, 0..octets.len() - TRAILER_LEN));
        }
        for len in [0, 1, LEAST - 1] {
            assert_eq!(filler.frame(START, len), None, "{len} octets are no frame");
        }
    }

    #[test]
    fn nothing_stands_in_the_place_of_ike() {
        let mut filler = Filler::default();
        filler.sent(START, Inside::Esp, &[9; 500], START);
        filler.sent(START.plus(500), Inside::Ike, &[0; 300], START);
        filler.sent(START.plus(1100), Inside::Ike, &[0; 100], START);
        let len = |begins: usize| filler.frame(START.plus(begins), 400).map(|frame| frame.octets().len());
        assert_eq!([len(0), len(200), len(500), len(900), len(1199)], [Some(400), Some(300), None, None, None]);
        assert_eq!(len(1200), Some(400));
        // What the peer has is no longer in the way.
        filler.sent(START.plus(2000), Inside::Ike, &[0; 100], START.plus(1200));
        assert_eq!(filler.frame(START.plus(1300), 5000).map(|frame| frame.octets().len()), Some(700));
    }
}
