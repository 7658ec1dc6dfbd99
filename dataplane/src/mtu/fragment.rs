//! An IPv4 packet cut into fragments (RFC 791 section 3.2). A fragment is cut like any other packet.

use crate::fate::DropReason;
use crate::offload::Sum;
use crate::packet::{Burst, Meta, PacketBuf, Pool, Segments};
use crate::wire::ip::IPV4_HEADER;

/// Flag of octet 6: more fragments follow.
const MORE: u16 = 0x2000;
/// The offset, in units of 8 octets.
const OFFSET: u16 = 0x1fff;
/// Of an option's kind: it stands in every fragment.
const COPIED: u8 = 0x80;
const END: u8 = 0;
const NOP: u8 = 1;
/// Octets of the longest IPv4 datagram.
const LONGEST: usize = 65_535;

/// Cuts `packet`, which [`crate::wire::ip::IpPacket::parse`] took as IPv4 and whose checksums are complete, into
/// fragments of at most `mtu` octets and appends them to `out` in order. Their meta is the packet's, but for what is
/// done with.
///
/// # Errors
/// `out` is unchanged. [`DropReason::TooBig`]: not even 8 octets fit behind the header. [`DropReason::BadInner`]: its
/// options or its offset are not sound. [`DropReason::NoBuffer`]: the pool has not enough for all of them.
pub fn fragment(packet: &PacketBuf, mtu: u16, pool: &mut Pool, out: &mut Burst) -> Result<(), DropReason> {
    let bytes = packet.bytes();
    let header_len = bytes.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    let (header, payload) = bytes.split_at_checked(header_len).ok_or(DropReason::BadInner)?;
    let (fixed, options) = header.split_first_chunk::<IPV4_HEADER>().ok_or(DropReason::BadInner)?;
    let field = u16::from_be_bytes([fixed[6], fixed[7]]);
    let base = usize::from(field & OFFSET) * 8;
    if header_len + base + payload.len() > LONGEST {
        return Err(DropReason::BadInner);
    }
    let copied = Options::copied(options).ok_or(DropReason::BadInner)?;
    let meta = Meta { segments: Segments::One, checksum: None, limit: None, ..packet.meta };

    let before = out.len();
    let mut rest = payload;
    while !rest.is_empty() {
        let options = if out.len() == before { options } else { copied.octets() };
        let head = IPV4_HEADER + options.len();
        let room = usize::from(mtu).saturating_sub(head);
        let take = if rest.len() <= room { rest.len() } else { room & !7 };
        let piece = if take > 0 { pool.take(head + take) } else { None };
        let Some((mut piece, (data, behind))) = piece.zip(rest.split_at_checked(take)) else {
            out.drain(before..).for_each(|piece| pool.put(piece));
            return Err(if take == 0 { DropReason::TooBig } else { DropReason::NoBuffer });
        };
        let offset = (base + payload.len() - rest.len()) / 8;
        let more = if behind.is_empty() { field & MORE } else { MORE };
        // The reserved flag stays what it is; DF is clear, or nothing would be cut.
        let field = field & !(MORE | OFFSET) | more | offset as u16;
        write(&mut piece, fixed, options, data, field);
        piece.meta = meta;
        out.push(piece);
        rest = behind;
    }
    Ok(())
}

/// The piece is empty and has room for all of it.
fn write(piece: &mut PacketBuf, fixed: &[u8; IPV4_HEADER], options: &[u8], data: &[u8], field: u16) {
    let head = IPV4_HEADER + options.len();
    let len = head + data.len();
    let Some(room) = piece.extend_back(len) else { return };
    room[..IPV4_HEADER].copy_from_slice(fixed);
    room[IPV4_HEADER..head].copy_from_slice(options);
    room[head..].copy_from_slice(data);
    room[0] = 0x40 | (head / 4) as u8;
    room[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    room[6..8].copy_from_slice(&field.to_be_bytes());
    room[10..12].fill(0);
    let sum = Sum::default().bytes(&room[..head]).checksum();
    room[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The options of all fragments but the first.
struct Options {
    octets: [u8; 40],
    len: usize,
}

impl Options {
    /// `None` if an option is longer than its header.
    fn copied(mut options: &[u8]) -> Option<Self> {
        let mut copied = Self { octets: [0; 40], len: 0 };
        while let &[kind, ref rest @ ..] = options {
            if kind == END {
                break;
            }
            if kind == NOP {
                options = rest;
                continue;
            }
            let len = usize::from(*rest.first()?);
            let (option, behind) = options.split_at_checked(len).filter(|_| len >= 2)?;
            if kind & COPIED != 0 {
                copied.octets.get_mut(copied.len..copied.len + len)?.copy_from_slice(option);
                copied.len += len;
            }
            options = behind;
        }
        Some(copied)
    }

    /// Filled up with zeros to whole words.
    fn octets(&self) -> &[u8] {
        &self.octets[..self.len.next_multiple_of(4)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PoolSizes;

    fn pool() -> Pool {
        Pool::new(PoolSizes { small: 64, small_capacity: 2048, large: 2 })
    }

    fn packet(options: &[u8], payload: &[u8], field: u16) -> PacketBuf {
        let head = 20 + options.len();
        let mut bytes = vec![0x40 | (head / 4) as u8, 7, 0, 0, 0xab, 0xcd, 0, 0, 9, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        bytes[2..4].copy_from_slice(&((head + payload.len()) as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        bytes.extend(options);
        bytes.extend(payload);
        let sum = Sum::default().bytes(&bytes[..head]).checksum();
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut packet = PacketBuf::allocate(70_000);
        packet.extend_back(bytes.len()).unwrap().copy_from_slice(&bytes);
        packet
    }

    fn cut(packet: &PacketBuf, mtu: u16) -> Result<Vec<Vec<u8>>, DropReason> {
        let (mut pool, mut out) = (pool(), Burst::new());
        let free = pool.free();
        let result = fragment(packet, mtu, &mut pool, &mut out);
        let pieces = out.iter().map(|piece| piece.bytes().to_vec()).collect();
        assert!(result.is_ok() || (out.is_empty() && pool.free() == free), "an error takes nothing");
        result.map(|()| pieces)
    }

    /// The dull twin: each octet goes where its fragment says, as a receiver would put it.
    fn joined(pieces: &[Vec<u8>], field: u16) -> Vec<u8> {
        let (mut payload, mut ends) = (vec![None; 65_535], Vec::new());
        for piece in pieces {
            let head = usize::from(piece[0] & 0xf) * 4;
            assert_eq!(Sum::default().bytes(&piece[..head]).checksum(), 0);
            assert_eq!(usize::from(u16::from_be_bytes([piece[2], piece[3]])), piece.len());
            assert_eq!((piece[1], &piece[4..6], &piece[8..10]), (7, &[0xab, 0xcd][..], &[9, 17][..]));
            let own = u16::from_be_bytes([piece[6], piece[7]]);
            let start = usize::from((own & OFFSET) - (field & OFFSET)) * 8;
            for (at, octet) in piece[head..].iter().enumerate() {
                assert_eq!(payload[start + at].replace(*octet), None, "no octet comes twice");
            }
            if own & MORE == field & MORE {
                ends.push(start + piece.len() - head);
            } else {
                assert_eq!((piece.len() - head) % 8, 0);
            }
        }
        let len = ends.into_iter().max().unwrap();
        assert!(payload[len..].iter().all(Option::is_none));
        payload[..len].iter().map(|octet| octet.unwrap()).collect()
    }

    #[test]
    fn fragments_of_any_packet_join_to_what_it_was_and_all_fit() {
        let payload: Vec<u8> = (0..4000u32).map(|i| ((i * 7) >> 3) as u8).collect();
        for len in [8, 9, 100, 1379, 1380, 1381, 2752, 2753, 3999, 4000] {
            for mtu in [68, 576, 1279, 1280, 1400, 1438] {
                // whole, a first fragment, a middle one, a last one
                for field in [0, MORE, MORE | 11, 13] {
                    let len = if field & MORE != 0 { len / 8 * 8 } else { len };
                    let mut pool = Pool::new(PoolSizes { small: 128, small_capacity: 2048, large: 2 });
                    let mut out = Burst::new();
                    fragment(&packet(&[], &payload[..len], field), mtu, &mut pool, &mut out).unwrap();
                    let pieces: Vec<Vec<u8>> = out.iter().map(|piece| piece.bytes().to_vec()).collect();
                    assert!(pieces.iter().all(|piece| piece.len() <= usize::from(mtu)));
                    let least = len.div_ceil((usize::from(mtu) - 20) & !7);
                    assert!(pieces.len() == least || pieces.len() == least.max(2) - 1, "no more than need be");
                    assert_eq!(joined(&pieces, field), payload[..len], "{len} in {mtu}");
                }
            }
        }
    }

    #[test]
    fn options_that_are_to_be_copied_stand_in_every_fragment_and_the_others_in_the_first() {
        // record route (not copied), loose source route (copied), nop, end
        let options = [7, 7, 4, 1, 2, 3, 4, 0x83, 7, 4, 5, 6, 7, 8, 1, 0];
        let payload = [9; 3000];
        let pieces = cut(&packet(&options, &payload, 0), 1000).unwrap();
        assert_eq!(pieces[0][..1], [0x49]);
        assert_eq!(pieces[0][20..36], options);
        for piece in &pieces[1..] {
            assert_eq!(piece[0], 0x47);
            assert_eq!(piece[20..28], [0x83, 7, 4, 5, 6, 7, 8, 0]);
        }
        assert_eq!(joined(&pieces, 0), payload);
    }

    #[test]
    fn what_cannot_be_cut_is_an_error_that_takes_nothing() {
        let payload = vec![1; 40_000];
        assert_eq!(cut(&packet(&[], &payload[..100], 0), 27), Err(DropReason::TooBig));
        assert!(cut(&packet(&[], &payload[..100], 0), 28).is_ok());
        assert_eq!(cut(&packet(&[], &payload[..100], 0), 0), Err(DropReason::TooBig));
        assert_eq!(cut(&packet(&[], &payload, 0), 100), Err(DropReason::NoBuffer));
        // offset and length together reach past the longest datagram
        assert_eq!(cut(&packet(&[], &payload[..3000], OFFSET), 1000), Err(DropReason::BadInner));
        assert_eq!(cut(&packet(&[], &payload[..16], OFFSET), 1000), Err(DropReason::BadInner));
        for options in [[0x83, 5, 0, 0], [0x83, 1, 0, 0], [0x83, 0, 0, 0], [1, 1, 1, 0x83]] {
            assert_eq!(cut(&packet(&options, &payload[..3000], 0), 1000), Err(DropReason::BadInner), "{options:?}");
        }
    }

    #[test]
    fn any_bytes_are_cut_without_panic_into_what_fits() {
        bolero::check!().with_type::<(Vec<u8>, u16)>().for_each(|(bytes, mtu)| {
            let mut packet = PacketBuf::allocate(70_000);
            let Some(room) = packet.extend_back(bytes.len()) else { return };
            room.copy_from_slice(bytes);
            if crate::wire::ip::IpPacket::parse(bytes).is_some()
                && let Ok(pieces) = cut(&packet, *mtu)
            {
                assert!(pieces.iter().all(|piece| piece.len() <= usize::from(*mtu)));
            }
        });
    }
}
