//! TCP's maximum segment size (RFC 9293 section 3.7.1), lowered in SYNs on their way through.
//!
//! What a SYN announces is the largest segment that its sender wants to receive. Lowered on both SYNs of a
//! connection, both ends send what fits the tunnel from the first segment on, and no one depends on ICMP.

use crate::offload::headers::{Headers, SYN, TCP, TCP_CHECKSUM};
use crate::offload::replace;
use crate::packet::PacketBuf;
use crate::wire::ip::{IPV4_HEADER, IPV6_HEADER};

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clamped {
    /// Nothing: no SYN, no such option, or a size that fits.
    Left,
    /// Its MSS is lower now.
    Lowered,
}

/// Octets of a TCP header without options. An MSS counts none (RFC 6691 section 2).
const TCP_HEADER: u16 = 20;
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;

/// Lowers the MSS of a SYN to what leaves `mtu` octets with IP and TCP headers. The checksum follows.
/// The packet is one that [`crate::wire::ip::IpPacket::parse`] took.
#[inline]
pub fn clamp_mss(packet: &mut PacketBuf, mtu: u16) -> Clamped {
    if may_be_syn(packet.bytes()) { clamp(packet, mtu) } else { Clamped::Left }
}

/// Cheap, and wrong only for IPv6 with extension headers.
#[inline]
fn may_be_syn(bytes: &[u8]) -> bool {
    let flags_at = match bytes {
        [first, _, _, _, _, _, _, _, _, TCP, ..] if first >> 4 == 4 => usize::from(first & 0xf) * 4 + 13,
        [first, _, _, _, _, _, TCP, ..] if first >> 4 == 6 => IPV6_HEADER + 13,
        // Hop-by-hop options, routing, destination options: what follows is to be seen.
        [first, _, _, _, _, _, 0 | 43 | 60, ..] if first >> 4 == 6 => return true,
        _ => return false,
    };
    bytes.get(flags_at).is_some_and(|flags| flags & SYN != 0)
}

fn clamp(packet: &mut PacketBuf, mtu: u16) -> Clamped {
    let Some(headers) = Headers::parse(packet.bytes()).filter(|headers| headers.protocol == TCP) else {
        return Clamped::Left;
    };
    let ip = if packet.bytes()[0] >> 4 == 4 { IPV4_HEADER } else { IPV6_HEADER };
    let most = mtu.saturating_sub(ip as u16 + TCP_HEADER);
    // A checksum that is left to us is counted over the whole segment later: its field holds something else.
    let counted = packet.meta.checksum.is_none();
    let tcp = &mut packet.bytes_mut()[headers.transport..headers.payload];
    if tcp[13] & SYN == 0 || most == 0 {
        return Clamped::Left;
    }
    let mut clamped = Clamped::Left;
    let mut at = usize::from(TCP_HEADER);
    loop {
        let len = match tcp.get(at..) {
            None | Some([] | [END, ..]) => return clamped,
            Some([NOP, ..]) => 1,
            Some([MSS, 4, high, low, ..]) => {
                let old = u16::from_be_bytes([*high, *low]);
                if old > most {
                    tcp[at + 2..at + 4].copy_from_slice(&most.to_be_bytes());
                    if counted {
                        count(tcp, at + 2, old, most);
                    }
                    clamped = Clamped::Lowered;
                }
                4
            }
            Some([_, len, ..]) if *len >= 2 => usize::from(*len),
            // A length that cannot be: what follows is no option.
            Some([_, ..]) => return clamped,
        };
        at += len;
    }
}

fn count(tcp: &mut [u8], at: usize, old: u16, new: u16) {
    // An option may begin anywhere; a word that straddles two counts with its octets the other way round.
    let turn = |word: u16| if at.is_multiple_of(2) { word } else { word.swap_bytes() };
    let sum = replace(u16::from_be_bytes([tcp[TCP_CHECKSUM], tcp[TCP_CHECKSUM + 1]]), turn(old), turn(new));
    tcp[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::Sum;

    /// TCP over IPv4 or IPv6 with these flags and options, checksum good.
    fn tcp(v6: Option<&[u8]>, flags: u8, options: &[u8], payload: &[u8]) -> PacketBuf {
        let segment_len = 20 + options.len() + payload.len();
        let mut bytes = match v6 {
            None => {
                let mut header = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
                header[2..4].copy_from_slice(&(20 + segment_len as u16).to_be_bytes());
                header
            }
            Some(extensions) => {
                let mut header = vec![0x60, 0, 0, 0, 0, 0, if extensions.is_empty() { 6 } else { 60 }, 64];
                header.extend([0xfd; 32]);
                header[4..6].copy_from_slice(&((extensions.len() + segment_len) as u16).to_be_bytes());
                header.extend(extensions);
                header
            }
        };
        let at = bytes.len();
        bytes.extend([0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 0, ((20 + options.len()) / 4 * 16) as u8, flags]);
        bytes.extend([0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes.extend(payload);
        let sum = sum(&bytes, at);
        bytes[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = PacketBuf::allocate(4096);
        packet.extend_back(bytes.len()).unwrap().copy_from_slice(&bytes);
        packet
    }

    /// Zero if the checksum is good.
    fn sum(bytes: &[u8], at: usize) -> u16 {
        let addresses = if bytes[0] >> 4 == 4 { &bytes[12..20] } else { &bytes[8..40] };
        Sum::default().bytes(addresses).word(6).word((bytes.len() - at) as u16).bytes(&bytes[at..]).checksum()
    }

    #[test]
    fn a_syns_mss_is_lowered_wherever_it_stands_and_the_checksum_stays_good() {
        let destination_options = [6, 0, 1, 4, 0, 0, 0, 0];
        for (v6, headers) in [(None, 40), (Some(&[][..]), 60), (Some(&destination_options[..]), 60)] {
            for before in 0..5 {
                for (mss, flags) in [(1460u16, SYN), (1460, SYN | 0x10), (65_000, SYN), (1301, SYN)] {
                    let [high, low] = mss.to_be_bytes();
                    let mut options = vec![NOP; before];
                    options.extend([MSS, 4, high, low, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
                    options.resize(options.len().next_multiple_of(4), END);
                    let mut packet = tcp(v6, flags, &options, b"odd");
                    let at = packet.len() - 3 - options.len() - 20;
                    let untouched = packet.bytes().to_vec();
                    assert_eq!(clamp_mss(&mut packet, mss + headers), Clamped::Left);
                    assert_eq!(packet.bytes(), untouched);
                    assert_eq!(clamp_mss(&mut packet, 1300 + headers), Clamped::Lowered);
                    let option = at + 20 + before;
                    assert_eq!(packet.bytes()[option..option + 4], [MSS, 4, 0x05, 0x14]);
                    assert_eq!(sum(packet.bytes(), at), 0, "{before} {mss}");
                    let mut rest = packet.bytes().to_vec();
                    rest[option + 2..option + 4].copy_from_slice(&mss.to_be_bytes());
                    rest[at + 16..at + 18].copy_from_slice(&untouched[at + 16..at + 18]);
                    assert_eq!(rest, untouched, "nothing else changed");
                }
            }
        }
    }

    #[test]
    fn what_is_no_syn_or_has_no_such_option_is_left_alone() {
        let mss = [MSS, 4, 0x20, 0];
        let mut fragment = tcp(None, SYN, &mss, b"");
        fragment.bytes_mut()[7] = 1;
        let mut udp = tcp(None, SYN, &mss, b"");
        udp.bytes_mut()[9] = 17;
        for mut packet in [
            tcp(None, 0x10, &mss, b""),
            tcp(None, SYN, &[], b""),
            tcp(None, SYN, &[END, MSS, 4, 0x20], b""),
            tcp(None, SYN, &[4, 2, 8, 1, MSS, 4, 0x20, 0], b""),
            tcp(None, SYN, &[MSS, 3, 0x20, 0], b""),
            tcp(None, SYN, &[NOP, NOP, MSS, 4], &[0x20, 0]),
            tcp(None, SYN, &[NOP, NOP, NOP, MSS], b""),
            tcp(Some(&[6, 0, 1, 4, 0, 0, 0, 0]), 0x10, &mss, b""),
            fragment,
            udp,
        ] {
            let before = packet.bytes().to_vec();
            assert_eq!(clamp_mss(&mut packet, 1000), Clamped::Left, "{before:x?}");
            assert_eq!(packet.bytes(), before);
        }
        let mut no_room = tcp(None, SYN, &mss, b"");
        assert_eq!(clamp_mss(&mut no_room, 40), Clamped::Left);
    }

    #[test]
    fn a_checksum_that_is_left_to_us_is_not_counted_twice() {
        let mut packet = tcp(None, SYN, &[MSS, 4, 0x20, 0], b"");
        packet.meta.checksum = Some((20, 16));
        let pseudo = Sum::default().bytes(&packet.bytes()[12..20]).word(6).word(24).fold();
        packet.bytes_mut()[36..38].copy_from_slice(&pseudo.to_be_bytes());
        assert_eq!(clamp_mss(&mut packet, 1240), Clamped::Lowered);
        crate::offload::finish_checksum(&mut packet).unwrap();
        assert_eq!(sum(packet.bytes(), 20), 0);
        assert_eq!(packet.bytes()[42..44], [0x04, 0xb0]);
    }

    #[test]
    fn any_bytes_are_walked_without_panic_and_only_ever_lowered() {
        bolero::check!().with_type::<(Vec<u8>, u16, u8)>().for_each(|(bytes, mtu, shape)| {
            let mut packet = PacketBuf::allocate(70_000);
            let Some(room) = packet.extend_back(bytes.len()) else { return };
            room.copy_from_slice(bytes);
            // Most random bytes are no TCP at all: make some that are.
            match (shape % 3, packet.bytes_mut()) {
                (1, [first, _, _, _, _, _, flags, more, _, protocol, ..]) => {
                    (*first, *flags, *more, *protocol) = (0x45, 0, 0, TCP);
                }
                (2, [first, _, _, _, _, _, next, ..]) => (*first, *next) = (0x60, TCP),
                (_, _) => {}
            }
            let before = packet.bytes().to_vec();
            if clamp_mss(&mut packet, *mtu) == Clamped::Left {
                assert_eq!(packet.bytes(), before);
            }
            assert_eq!(packet.len(), before.len());
        });
    }
}
