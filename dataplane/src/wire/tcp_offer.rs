//! What a SYN says of its sender's TCP (RFC 9293 section 3.2, RFC 7323 section 2.2, RFC 2018 section 2).

use super::tcp::{Seq, Shift, TCP_HEADER, TcpHeader};

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;

/// Whether selective acknowledgments are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sack {
    /// Yes.
    Permitted,
    /// No.
    Unknown,
}

/// What a SYN offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SynOffer {
    /// Octets of data that a segment to its sender may have.
    pub mss: Option<u16>,
    /// By how many bits its sender's windows are to be shifted.
    pub scale: Option<u8>,
    /// Whether it may be told of holes.
    pub sack: Sack,
}

/// Octets of all options that an answer can have.
pub const MAX_OFFER: usize = 12;

impl SynOffer {
    /// Of a SYN whose header is sound. A broken option ends the list.
    pub fn read(syn: &[u8]) -> Self {
        let mut offer = Self { mss: None, scale: None, sack: Sack::Unknown };
        let len = syn.get(12).map_or(0, |octet| usize::from(octet >> 4) * 4);
        let mut options = syn.get(TCP_HEADER..len).unwrap_or_default();
        loop {
            options = match options {
                [] | [END_OF_OPTIONS, ..] => return offer,
                [NO_OPERATION, rest @ ..] => rest,
                [kind, len @ 2..=u8::MAX, ..] => {
                    let Some((option, rest)) = options.split_at_checked(usize::from(*len)) else { return offer };
                    match (*kind, &option[2..]) {
                        (MAXIMUM_SEGMENT_SIZE, [high, low]) => offer.mss = Some(u16::from_be_bytes([*high, *low])),
                        (WINDOW_SCALE, [scale]) => offer.scale = Some(Shift::new(*scale).bits()),
                        (SACK_PERMITTED, []) => offer.sack = Sack::Permitted,
                        (_, _) => {}
                    }
                    rest
                }
                [_, ..] => return offer,
            };
        }
    }

    /// Selective acknowledgments, where windows are scaled as well: real TCP offers both.
    pub const fn sack_of_real_tcp(&self) -> Sack {
        match self.scale {
            Some(_) => self.sack,
            None => Sack::Unknown,
        }
    }

    /// As what stands behind `header`.
    pub fn behind(&self, header: &TcpHeader) -> Offering {
        let (options, len) = self.options();
        let mut offering = Offering { octets: [0; TCP_HEADER + MAX_OFFER], len: TCP_HEADER + len };
        let (first, rest) = offering.octets.split_at_mut(TCP_HEADER);
        first.copy_from_slice(&header.octets());
        first[12] = ((offering.len / 4) << 4) as u8;
        rest.copy_from_slice(&options);
        offering
    }

    /// As options, and how many octets of them there are: a multiple of four.
    pub fn options(&self) -> ([u8; MAX_OFFER], usize) {
        let mut options = [NO_OPERATION; MAX_OFFER];
        let mut len = 0;
        let mut put = |option: &[u8]| {
            options[len..len + option.len()].copy_from_slice(option);
            len += option.len().next_multiple_of(4);
        };
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            put(&[MAXIMUM_SEGMENT_SIZE, 4, high, low]);
        }
        if let Some(scale) = self.scale {
            put(&[WINDOW_SCALE, 3, scale]);
        }
        match self.sack {
            Sack::Permitted => put(&[SACK_PERMITTED, 2]),
            Sack::Unknown => {}
        }
        (options, len)
    }
}

/// A SYN with its options, its checksum still zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offering {
    octets: [u8; TCP_HEADER + MAX_OFFER],
    len: usize,
}

impl AsRef<[u8]> for Offering {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What a peer has of what lies behind a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// So many octets,
    pub octets: usize,
    /// up to here.
    pub highest: Seq,
}

/// What a segment says to have come behind `acknowledged` all the same (RFC 2018 section 3).
pub fn selectively(acknowledged: Seq, segment: &[u8]) -> Selected {
    let nothing = Selected { octets: 0, highest: acknowledged };
    let len = segment.get(12).map_or(0, |octet| usize::from(octet >> 4) * 4);
    let mut options = segment.get(TCP_HEADER..len).unwrap_or_default();
    loop {
        options = match options {
            [NO_OPERATION, rest @ ..] => rest,
            [SACK, len, ..] => {
                let blocks = options.get(2..usize::from(*len)).unwrap_or_default();
                let edge =
                    |octets: &[u8]| octets.try_into().map_or(acknowledged, |edge| Seq::new(u32::from_be_bytes(edge)));
                return blocks.chunks_exact(8).fold(nothing, |all, block| {
                    let [begins, ends] = [edge(&block[..4]), edge(&block[4..])];
                    match begins.is_after(acknowledged) {
                        true => Selected {
                            octets: all.octets + ends.octets_since(begins),
                            highest: all.highest.later(ends),
                        },
                        false => all,
                    }
                });
            }
            [END_OF_OPTIONS, ..] | [_] | [] => return nothing,
            [_, len @ 2..=u8::MAX, ..] => options.get(usize::from(*len)..).unwrap_or_default(),
            [_, _, ..] => return nothing,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn syn(options: &[u8]) -> Vec<u8> {
        let mut syn = vec![0; TCP_HEADER];
        syn[12] = (((TCP_HEADER + options.len()) / 4) << 4) as u8;
        syn.extend(options);
        syn
    }

    #[test]
    fn what_is_written_behind_a_header_is_read_back_and_leaves_it_as_it_was() {
        let header = TcpHeader::parse(&syn(&[])).unwrap();
        for (mss, scale, len) in
            [(None, None, 20), (Some(1460), None, 24), (None, Some(7), 24), (Some(536), Some(0), 28)]
        {
            let offer = SynOffer { mss, scale, sack: Sack::Unknown };
            let octets = offer.behind(&header);
            assert_eq!(SynOffer::read(octets.as_ref()), offer);
            assert_eq!(TcpHeader::parse(octets.as_ref()), Some(TcpHeader { len, ..header }));
            assert_eq!(octets.as_ref().len(), len);
        }
    }

    #[test]
    fn the_options_that_matter_are_found_among_others_and_broken_ones_are_none() {
        let both = |options: &[u8]| {
            let offer = SynOffer::read(&syn(options));
            (offer.mss, offer.scale)
        };
        let with = |options: &[u8]| both(options).0;
        assert_eq!(with(&[2, 4, 0x05, 0xb4]), Some(1460));
        assert_eq!(with(&[1, 3, 3, 7, 2, 4, 0x02, 0x18]), Some(536));
        assert_eq!(with(&[0, 0, 0, 0, 2, 4, 5, 0xb4]), None);
        assert_eq!(with(&[8, 0, 0, 0]), None, "an option of no length ends nowhere");
        assert_eq!(with(&[8, 99, 0, 0]), None);
        assert_eq!(with(&[2, 3, 0, 0]), None);
        // As Linux has it: a maximum segment size, selective acknowledgments, timestamps, and a scale behind a no-operation.
        let mut linux = vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(both(&linux), (Some(1460), Some(7)));
        linux[19] = 200;
        assert_eq!(both(&linux), (Some(1460), Some(14)), "RFC 7323 section 2.3");
        assert_eq!(both(&[3, 3, 7, 0, 3, 3, 9, 0]), (None, Some(7)), "the list ends behind the first");
        assert_eq!(both(&[3, 4, 7, 0]), (None, None));
    }

    #[test]
    fn what_is_offered_is_read_back() {
        for mss in [None, Some(1460)] {
            for scale in [None, Some(0), Some(7)] {
                for sack in [Sack::Permitted, Sack::Unknown] {
                    let offer = SynOffer { mss, scale, sack };
                    let (options, len) = offer.options();
                    assert_eq!(SynOffer::read(&syn(&options[..len])), offer);
                }
            }
        }
    }

    #[test]
    fn an_offer_is_found_as_linux_writes_it() {
        let linux = [2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 10];
        let offer = SynOffer { mss: Some(1460), scale: Some(10), sack: Sack::Permitted };
        assert_eq!(SynOffer::read(&syn(&linux)), offer);
    }

    #[test]
    fn what_has_come_behind_a_hole_is_counted_and_what_was_acknowledged_is_not() {
        let edges = |edges: &[u32]| edges.iter().flat_map(|edge| edge.to_be_bytes()).collect::<Vec<_>>();
        let blocks = edges(&[5, 10, u32::MAX - 100, u32::MAX - 50, 200, 260]);
        let options = [&[1, 1, SACK, 26][..], &blocks].concat();
        assert_eq!(selectively(Seq::new(u32::MAX - 200), &syn(&options)).octets, 5 + 50 + 60);
        assert_eq!(selectively(Seq::new(100), &syn(&options)).octets, 60);
        assert_eq!(selectively(Seq::new(100), &syn(&[1, 1, SACK, 2])).octets, 0);
        assert_eq!(selectively(Seq::new(100), &syn(&[2, 4, 5, 0xb4])).octets, 0);
    }

    #[test]
    fn any_options_are_an_offer() {
        check!().for_each(|octets: &[u8]| {
            assert!(SynOffer::read(octets).scale.is_none_or(|scale| scale <= Shift::MOST.bits()));
            selectively(Seq::new(7), octets);
        });
    }
}
