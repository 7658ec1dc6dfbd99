//! Whether octets are a frame.

use super::trailer::{Inside, MAGIC, MAGIC_AT, TRAILER_LEN, read_trailer};
use crate::wire::esp::{HEADER_LEN, IKE_HEADER_LEN, MAX_IKE_LEN};
use memchr::memmem::Finder;
use multiversion::multiversion;
use std::ops::Range;
use std::sync::LazyLock;

/// Octets of the UDP header before IKE.
pub(super) const UDP_HEADER: usize = 8;
/// What IKE begins with: port 500, to port 500 or, as some clients have it, to the port of the connection.
pub(super) const IKE_SOURCE_PORT: [u8; 2] = [0x01, 0xf4];
/// Cisco's client was seen to put so many zero octets behind an IKE message, and to count them in UDP's length.
const PADDING: [u8; 16] = [0; 16];
/// Looks for what trailers have in common. Made once: to make it costs as much as to look through a small packet.
static MAGICS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MAGIC));
/// Octets that ESP begins with.
const SPI_LEN: usize = 4;
/// Where an IKE header has the message's length (RFC 7296 section 3.1, RFC 2408 section 3.1).
const IKE_LENGTH_AT: usize = 24;
/// Octets of the longest frame.
pub(super) const MAX_FRAME: usize = UDP_HEADER + MAX_IKE_LEN + TRAILER_LEN;

/// One packet of the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub inside: Inside,
    /// Where the IKE message or the ESP packet lies in what was looked at.
    pub at: Range<usize>,
    /// Octets of all of it.
    pub len: usize,
}

impl Frame {
    /// Where it lies, counted from the beginning of a header of so many octets.
    pub(super) const fn behind(self, header: usize) -> Self {
        Self { at: header + self.at.start..header + self.at.end, ..self }
    }
}

/// What stands at the front of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Front {
    /// This.
    Frame(Frame),
    /// More must come.
    Unfinished,
    /// No frame begins here.
    Nothing,
}

/// Looks for a frame that begins with the first of `octets`.
pub(super) fn front(octets: &[u8]) -> Front {
    if octets.len() < SPI_LEN {
        return Front::Unfinished;
    }
    if !octets.starts_with(&IKE_SOURCE_PORT) {
        return esp(octets);
    }
    // It may be an SPI that looks like that port.
    match (ike(octets), esp(octets)) {
        (Front::Frame(frame), _) | (_, Front::Frame(frame)) => Front::Frame(frame),
        (Front::Unfinished, _) | (_, Front::Unfinished) => Front::Unfinished,
        (Front::Nothing, Front::Nothing) => Front::Nothing,
    }
}

/// A UDP header, an IKE message, a trailer. The checksum may be anything: Cisco's ends send 0.
fn ike(octets: &[u8]) -> Front {
    let Some(length) = octets.get(4..6) else { return Front::Unfinished };
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if !(UDP_HEADER + IKE_HEADER_LEN..=UDP_HEADER + MAX_IKE_LEN).contains(&length) {
        return Front::Nothing;
    }
    let Some(trailer) = octets.get(length..).and_then(<[u8]>::first_chunk) else { return Front::Unfinished };
    match read_trailer(trailer) {
        Some(Inside::Ike) => {
            let message = without_padding(&octets[UDP_HEADER..length]);
            let at = UDP_HEADER..UDP_HEADER + message.len();
            Front::Frame(Frame { inside: Inside::Ike, at, len: length + TRAILER_LEN })
        }
        Some(Inside::Esp) | None => Front::Nothing,
    }
}

/// An IKE message as long as its own header says, if what is behind it is that padding.
fn without_padding(octets: &[u8]) -> &[u8] {
    let said = octets.get(IKE_LENGTH_AT..).and_then(<[u8]>::first_chunk);
    let said = said.map_or(octets.len(), |length| u32::from_be_bytes(*length) as usize);
    match octets.split_at_checked(said) {
        Some((message, rest)) if rest == PADDING => message,
        Some(_) | None => octets,
    }
}

/// ESP says nothing of its length: it ends before the first trailer.
fn esp(octets: &[u8]) -> Front {
    match first_trailer(octets) {
        Some((at, Inside::Esp)) if at > HEADER_LEN && at <= MAX_FRAME - TRAILER_LEN => {
            Front::Frame(Frame { inside: Inside::Esp, at: 0..at, len: at + TRAILER_LEN })
        }
        Some(_) => Front::Nothing,
        None if octets.len() > MAX_FRAME => Front::Nothing,
        None => Front::Unfinished,
    }
}

/// Where the first trailer stands. Ciphertext contains its eight fixed octets once in 2^64 places.
pub(super) fn first_trailer(octets: &[u8]) -> Option<(usize, Inside)> {
    MAGICS.find_iter(octets).find_map(|magic| {
        let at = magic.checked_sub(MAGIC_AT)?;
        Some((at, read_trailer(octets.get(at..)?.first_chunk()?)?))
    })
}

/// The UDP header before an IKE message of so many octets. Its checksum is 0: Cisco's clients do not correct it behind a NAT.
pub const fn ike_in_udp(len: usize) -> [u8; UDP_HEADER] {
    let [a, b] = IKE_SOURCE_PORT;
    let [high, low] = ((UDP_HEADER + len) as u16).to_be_bytes();
    [a, b, a, b, high, low, 0, 0]
}

/// The frame that a segment's payload is, if it is one from its first octet to its last. The first trailer in it must be the
/// last thing: two frames that somebody has joined end with a trailer too.
#[inline]
pub fn whole(payload: &[u8]) -> Option<Frame> {
    let (before, last) = payload.split_last_chunk()?;
    let inside = read_trailer(last)?;
    // Nearly always: ESP, and nothing in it that looks like a trailer.
    if inside == Inside::Esp
        && (HEADER_LEN + 1..=MAX_FRAME - TRAILER_LEN).contains(&before.len())
        && !before.starts_with(&IKE_SOURCE_PORT)
        && !may_hold_magic(&payload[..payload.len() - MAGIC_AT])
    {
        return Some(Frame { inside, at: 0..before.len(), len: payload.len() });
    }
    match front(payload) {
        Front::Frame(frame) if frame.len == payload.len() => Some(frame),
        Front::Frame(_) | Front::Unfinished | Front::Nothing => None,
    }
}

/// Octets that are looked at in one step.
const STEP: usize = 16;

/// Whether what trailers have in common may be somewhere in `octets`. If it is, one of two pairs of its octets stands at an even
/// place. All even places are looked at without a branch, so that one instruction looks at many; a ciphertext of 1400 octets has
/// such a pair by chance once in fifty.
#[multiversion(targets("x86_64+avx2"))]
fn may_hold_magic(octets: &[u8]) -> bool {
    // The last step may overlap the one before; if that makes its places odd, the other pair stands there.
    let Some(last) = octets.last_chunk::<STEP>() else { return true };
    nearest_pair(octets.as_chunks::<STEP>().0.as_flattened()).min(nearest_pair(last)) == 0
}

/// 0 where one of the pairs stands at an even place. A plain loop, put where it is called: of a closure that adapters of iterators call,
/// builds without optimisation at link time make a call for each pair.
#[inline(always)]
fn nearest_pair(octets: &[u8]) -> u16 {
    const FIRST: u16 = u16::from_ne_bytes([MAGIC[1], MAGIC[2]]);
    const SECOND: u16 = u16::from_ne_bytes([MAGIC[2], MAGIC[3]]);
    let mut nearest = u16::MAX;
    for pair in octets.as_chunks().0 {
        let pair = u16::from_ne_bytes(*pair);
        nearest = nearest.min(pair ^ FIRST).min(pair ^ SECOND);
    }
    nearest
}

/// Whether these are the first octets of a UDP header and of an IKE message that a client may begin a connection with.
pub(super) fn is_ike_header(payload: &[u8]) -> bool {
    payload.starts_with(&IKE_SOURCE_PORT) && payload.get(UDP_HEADER..).is_some_and(begins_ike)
}

/// Whether this is an IKE message that a client may begin a connection with, as long as it says.
pub(in crate::carrier) fn is_ike_message(message: &[u8]) -> bool {
    let said = message.get(IKE_LENGTH_AT..).and_then(<[u8]>::first_chunk);
    begins_ike(message) && said.is_some_and(|said| u32::from_be_bytes(*said) as usize == message.len())
}

/// The first message of either version, with an initiator's SPI and no responder's, or one of an exchange under an IKE SA that there
/// may be (RFC 2408 section 3.1, RFC 7296 section 3.1).
fn begins_ike(octets: &[u8]) -> bool {
    let Some(header) = octets.first_chunk::<IKE_HEADER_LEN>() else { return false };
    let (initiator, rest) = header.split_at(8);
    let (responder, rest) = rest.split_at(8);
    let known = match (rest[1], rest[2], responder == [0; 8]) {
        // Main mode, aggressive mode, IKE_SA_INIT.
        (0x10, 2 | 4, true) | (0x20, 34, true) => true,
        // The rest of those; informational, transaction and quick mode; all others of version 2.
        (0x10, 2 | 4 | 5 | 6 | 32, false) | (0x20, 34..=37, false) => true,
        (_, _, true | false) => false,
    };
    initiator != [0; 8] && known
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::carrier::ctcp::trailer::trailer;
    use bolero::check;

    /// An ESP packet in its frame.
    pub(in super::super) fn esp_frame(spi: u32, len: usize) -> Vec<u8> {
        let mut frame = spi.to_be_bytes().to_vec();
        frame.extend((4..len).map(|at| (at * 7 + spi as usize) as u8));
        frame.extend(trailer(Inside::Esp));
        frame
    }

    /// An IKE message in its frame.
    pub(in super::super) fn ike_frame(len: usize) -> Vec<u8> {
        let mut frame = [IKE_SOURCE_PORT, IKE_SOURCE_PORT].concat();
        frame.extend(((len + UDP_HEADER) as u16).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend((0..len).map(|at| at as u8));
        frame.extend(trailer(Inside::Ike));
        frame
    }

    #[test]
    fn one_packet_is_whole_and_a_piece_or_two_are_not() {
        for frame in [esp_frame(0x1234_5678, 132), ike_frame(300)] {
            let found = whole(&frame).unwrap();
            assert_eq!(found.len, frame.len());
            assert_eq!(
                whole(&frame[1..]).map(|found| found.inside),
                (found.inside == Inside::Esp).then_some(Inside::Esp)
            );
            assert_eq!(whole(&frame[..frame.len() - 1]), None);
            assert_eq!(whole(&[&frame[..], &frame[..]].concat()), None);
        }
    }

    #[test]
    fn ike_lies_behind_its_udp_header_and_esp_lies_in_front() {
        assert_eq!(whole(&ike_frame(100)).unwrap().at, 8..108);
        assert_eq!(whole(&esp_frame(256, 100)).unwrap().at, 0..100);
    }

    #[test]
    fn ike_that_contains_a_trailer_ends_where_its_header_says() {
        let mut frame = ike_frame(100);
        frame[30..46].copy_from_slice(&trailer(Inside::Esp));
        assert_eq!(whole(&frame).unwrap().len, frame.len());
    }

    /// As ike-scan 1.9 sends it with --tcp=2, to port 10000.
    #[test]
    fn padding_behind_an_ike_message_is_taken_off_and_its_ports_may_differ() {
        let mut frame = vec![0x01, 0xf4, 0x27, 0x10, 0, 8 + 88 + 16, 0, 0];
        frame.extend([7; 24]);
        frame.extend([0, 0, 0, 88]);
        frame.extend([7; 60]);
        frame.extend(PADDING);
        frame.extend(trailer(Inside::Ike));
        let found = whole(&frame).unwrap();
        assert_eq!((found.inside, found.at, found.len), (Inside::Ike, 8..96, 128));
    }

    #[test]
    fn an_spi_that_looks_like_a_port_is_esp() {
        for frame in [esp_frame(0x01f4_01f4, 100), esp_frame(0x01f4_2710, 1300)] {
            assert_eq!(whole(&frame).unwrap().inside, Inside::Esp);
            assert_eq!(front(&frame[..frame.len() - 1]), Front::Unfinished);
        }
    }

    #[test]
    fn a_length_that_no_ike_message_has_begins_nothing() {
        for length in [0, 8, 8 + 27] {
            let mut frame = ike_frame(100);
            frame[4..6].copy_from_slice(&u16::to_be_bytes(length));
            assert_eq!(ike(&frame), Front::Nothing);
        }
        let mut frame = ike_frame(100);
        frame[4..6].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(ike(&frame), Front::Nothing);
    }

    #[test]
    fn no_octets_wait_for_ever() {
        assert_eq!(front(&vec![0x55; MAX_FRAME]), Front::Unfinished);
        assert_eq!(front(&vec![0x55; MAX_FRAME + 1]), Front::Nothing);
    }

    /// What stands in front says the same, slowly.
    fn dull(payload: &[u8]) -> Option<Frame> {
        match front(payload) {
            Front::Frame(frame) if frame.len == payload.len() => Some(frame),
            Front::Frame(_) | Front::Unfinished | Front::Nothing => None,
        }
    }

    #[test]
    fn a_trailer_is_found_wherever_it_stands_before_the_last_one() {
        for len in 9..140 {
            let frame = esp_frame(0x1234_5678, len);
            assert_eq!(whole(&frame).map(|found| found.at), Some(0..len));
            for at in 0..=len - MAGIC_AT {
                for inside in [Inside::Esp, Inside::Ike] {
                    let mut frame = frame.clone();
                    frame[at..at + MAGIC_AT].copy_from_slice(&trailer(inside)[MAGIC_AT..]);
                    assert_eq!(whole(&frame), dull(&frame), "{inside:?} at {at} of {len}");
                    assert_eq!(whole(&frame).is_some(), at < MAGIC_AT, "{inside:?} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn any_octets_are_whole_or_not_as_what_stands_in_front_says() {
        check!().with_type::<(Vec<u8>, u8, bool)>().for_each(|(octets, at, esp)| {
            let inside = if *esp { Inside::Esp } else { Inside::Ike };
            let mut payload = [octets, &trailer(Inside::Esp)[..]].concat();
            assert_eq!(whole(&payload), dull(&payload));
            let at = usize::from(*at) % payload.len();
            payload.splice(at..at, trailer(inside));
            assert_eq!(whole(&payload), dull(&payload));
            assert_eq!(whole(octets), dull(octets));
        });
    }

    #[test]
    fn any_octets_are_a_frame_or_not() {
        check!().for_each(|octets: &[u8]| {
            if let Front::Frame(frame) = front(octets) {
                assert!(frame.at.end <= octets.len() && frame.len <= octets.len() && !frame.at.is_empty());
                assert!(read_trailer(octets[frame.at.end..].first_chunk().unwrap()) == Some(frame.inside));
            }
        });
    }
}
