//! A super-packet cut into the packets that would have been sent without segmentation offload.

use super::headers::{CWR, FIN, Headers, PSH, TCP, UDP, Version};
use crate::fate::DropReason;
use crate::packet::{Burst, Meta, PacketBuf, Pool, Segments};

/// Cuts `super_packet` as its `meta.segments` says and appends the pieces to `out` in order, each whole: IP length,
/// IPv4 identification counted up, TCP sequence number, FIN and PSH on the last alone, CWR on the first alone
/// (RFC 3168 section 6.1.2), checksums complete. No TCP segment is longer than `meta.limit` octets: where to cut was left
/// to us, so cutting smaller loses nothing and spares the sender a loss and an ICMP message. Datagrams of UDP keep their
/// bounds. A piece's meta is the super-packet's, but for `segments` and `checksum`,
/// which are done with. An ordinary packet comes out as a copy.
///
/// # Errors
/// `out` is unchanged. [`DropReason::BadInner`]: not the TCP or UDP that `meta.segments` says (IPv6 extension headers
/// other than hop-by-hop, routing and destination options count as such); [`DropReason::NoBuffer`]: the pool has not
/// enough for all pieces.
pub fn split(super_packet: &PacketBuf, pool: &mut Pool, out: &mut Burst) -> Result<(), DropReason> {
    let bytes = super_packet.bytes();
    let (protocol, per_piece) = match super_packet.meta.segments {
        Segments::One => return copy(super_packet, pool, out),
        Segments::Tcp { payload } => (TCP, usize::from(payload)),
        Segments::Udp { payload } => (UDP, usize::from(payload)),
    };
    let headers = Headers::parse(bytes).filter(|h| h.protocol == protocol).ok_or(DropReason::BadInner)?;
    let (head, payload) = bytes.split_at(headers.payload);
    // what the length fields can say; IPv6's leaves out its own header
    let longest = match headers.version {
        Version::V4 => 65_535,
        Version::V6 => 65_535 + 40,
    };
    let per_piece = match (super_packet.meta.segments, super_packet.meta.limit) {
        (Segments::Tcp { .. }, Some(limit)) => match usize::from(limit).checked_sub(head.len()) {
            Some(fits @ 1..) => per_piece.min(fits),
            Some(0) | None => per_piece,
        },
        (Segments::Tcp { .. } | Segments::Udp { .. } | Segments::One, _) => per_piece,
    };
    if per_piece == 0 || bytes.len() > longest {
        return Err(DropReason::BadInner);
    }
    if payload.is_empty() {
        return copy(super_packet, pool, out);
    }
    let pieces = payload.len().div_ceil(per_piece);
    let small = head.len() + per_piece.min(payload.len()) <= small_room(pool);
    let free = if small { pool.free().0 } else { pool.free().1 };
    if free < pieces {
        return Err(DropReason::NoBuffer);
    }
    let meta = Meta { segments: Segments::One, checksum: None, ..super_packet.meta };
    for (index, piece) in payload.chunks(per_piece).enumerate() {
        let Some(mut packet) = (if small { pool.take_small() } else { pool.take_large() }) else { break };
        let Some(room) = packet.extend_back(head.len() + piece.len()) else {
            pool.put(packet);
            break;
        };
        room[..head.len()].copy_from_slice(head);
        room[head.len()..].copy_from_slice(piece);
        let place = Place { index, offset: index * per_piece, last: index + 1 == pieces };
        write_headers(room, &headers, &place);
        packet.meta = meta;
        out.push(packet);
    }
    Ok(())
}

/// Where a piece was.
struct Place {
    index: usize,
    offset: usize,
    last: bool,
}

fn write_headers(bytes: &mut [u8], headers: &Headers, place: &Place) {
    if headers.version == Version::V4 {
        let identification = u16::from_be_bytes([bytes[4], bytes[5]]).wrapping_add(place.index as u16);
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
    }
    headers.set_length(bytes, 0);
    let transport = headers.transport;
    if headers.protocol == TCP {
        let header = &mut bytes[transport..transport + 20];
        let sequence =
            u32::from_be_bytes([header[4], header[5], header[6], header[7]]).wrapping_add(place.offset as u32);
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        if !place.last {
            header[13] &= !(FIN | PSH);
        }
        if place.index > 0 {
            header[13] &= !CWR;
        }
    }
    let field = headers.checksum_at();
    bytes[field..field + 2].fill(0);
    let sum = headers.pseudo(bytes, bytes.len() - transport).bytes(&bytes[transport..]);
    let sum = if headers.protocol == UDP { sum.nonzero_checksum() } else { sum.checksum() };
    bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

fn copy(packet: &PacketBuf, pool: &mut Pool, out: &mut Burst) -> Result<(), DropReason> {
    let small = packet.len() <= small_room(pool);
    let taken = if small { pool.take_small() } else { pool.take_large() };
    let mut whole = taken.ok_or(DropReason::NoBuffer)?;
    let Some(room) = whole.extend_back(packet.len()) else {
        pool.put(whole);
        return Err(DropReason::NoBuffer);
    };
    room.copy_from_slice(packet.bytes());
    whole.meta = Meta { segments: Segments::One, ..packet.meta };
    if let Err(reason) = super::finish_checksum(&mut whole) {
        pool.put(whole);
        return Err(reason);
    }
    out.push(whole);
    Ok(())
}

/// The longest packet that a small buffer holds with its tailroom left free.
fn small_room(pool: &Pool) -> usize {
    pool.sizes().small_capacity.saturating_sub(PacketBuf::HEADROOM + PacketBuf::TAILROOM)
}
