//! The virtio_net_hdr in front of each packet on a TUN queue (virtio 1.2 section 5.1.6), read into and written from
//! a packet's meta. Ten octets in the machine's own byte order: what Linux calls a legacy header.
//!
//! ```text
//! | flags : 8 | gso_type : 8 | hdr_len : 16 | gso_size : 16 | csum_start : 16 | csum_offset : 16 |
//! ```

use crate::fate::DropReason;
use crate::packet::{Meta, Segments};

/// Octets of it.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// TCP with ECN: beside one of the TCP types.
const GSO_ECN: u8 = 0x80;

/// What the kernel says of a packet it hands to us: how to cut it, and which checksum it left to us.
///
/// # Errors
/// [`DropReason::Malformed`]: a kind of super-packet that was never asked for.
pub(super) fn read(header: [u8; LEN]) -> Result<(Segments, Option<(u16, u16)>), DropReason> {
    let [flags, kind, _, _, size_0, size_1, start_0, start_1, offset_0, offset_1] = header;
    let payload = u16::from_ne_bytes([size_0, size_1]);
    let segments = match kind & !GSO_ECN {
        GSO_NONE => Segments::One,
        _ if payload == 0 => return Err(DropReason::Malformed),
        GSO_TCPV4 | GSO_TCPV6 => Segments::Tcp { payload },
        GSO_UDP_L4 => Segments::Udp { payload },
        _ => return Err(DropReason::Malformed),
    };
    let checksum = (flags & NEEDS_CSUM != 0)
        .then(|| (u16::from_ne_bytes([start_0, start_1]), u16::from_ne_bytes([offset_0, offset_1])));
    Ok((segments, checksum))
}

/// The header for a packet that starts with `bytes` (its headers at least).
pub(super) fn write(meta: &Meta, bytes: &[u8]) -> [u8; LEN] {
    let Some((start, offset)) = meta.checksum else { return [0; LEN] };
    let v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    let (kind, payload, transport) = match meta.segments {
        Segments::One => (GSO_NONE, 0, 0),
        Segments::Tcp { payload } => {
            let words = bytes.get(usize::from(start) + 12).map_or(5, |offset| offset >> 4);
            (if v6 { GSO_TCPV6 } else { GSO_TCPV4 }, payload, u16::from(words) * 4)
        }
        Segments::Udp { payload } => (GSO_UDP_L4, payload, 8),
    };
    let headers = if kind == GSO_NONE { 0 } else { start.saturating_add(transport) };
    let [headers_0, headers_1] = headers.to_ne_bytes();
    let [size_0, size_1] = payload.to_ne_bytes();
    let [start_0, start_1] = start.to_ne_bytes();
    let [offset_0, offset_1] = offset.to_ne_bytes();
    [NEEDS_CSUM, kind, headers_0, headers_1, size_0, size_1, start_0, start_1, offset_0, offset_1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let tcp = {
            let mut bytes = [0; 60];
            bytes[0] = 0x45;
            bytes[32] = 0x80;
            bytes
        };
        for segments in [Segments::One, Segments::Tcp { payload: 1448 }, Segments::Udp { payload: 1 }] {
            for checksum in [Some((20, 16)), Some((40, 6))] {
                let meta = Meta { segments, checksum, ..Meta::default() };
                assert_eq!(read(write(&meta, &tcp)), Ok((segments, checksum)));
            }
        }
        assert_eq!(read(write(&Meta::default(), &tcp)), Ok((Segments::One, None)));
        let meta = Meta { segments: Segments::Tcp { payload: 9 }, checksum: Some((20, 16)), ..Meta::default() };
        let header = write(&meta, &tcp);
        assert_eq!(u16::from_ne_bytes([header[2], header[3]]), 52, "hdr_len is both headers");
        assert_eq!(header[1], GSO_TCPV4);
        assert_eq!(write(&meta, &[0x60])[1], GSO_TCPV6);
    }

    #[test]
    fn any_ten_octets_are_read_without_panic_and_no_super_packet_is_cut_into_nothing() {
        bolero::check!().with_type::<[u8; LEN]>().for_each(|header| match read(*header) {
            Ok((Segments::Tcp { payload } | Segments::Udp { payload }, _)) => assert!(payload > 0),
            Ok((Segments::One, _)) => assert_eq!(header[1] & !GSO_ECN, 0),
            Err(reason) => assert_eq!(reason, DropReason::Malformed),
        });
    }
}
