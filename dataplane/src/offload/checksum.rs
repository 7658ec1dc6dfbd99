//! The Internet checksum (RFC 1071) and what virtio's NEEDS_CSUM leaves to us.

use crate::fate::DropReason;
use crate::packet::PacketBuf;
use multiversion::multiversion;

/// A running ones' complement sum. It adds 64-bit words as they lie in memory, and what overflows at the other end: the sum does
/// not depend on the byte order or on the length of its words (RFC 1071 section 2 (B) and (C)), only its result has to be turned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds `bytes` as big-endian 16-bit words; an odd last octet counts as if a zero followed. Everything added
    /// before must have had an even length.
    #[must_use]
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (long, bytes) = match bytes.len() {
            ..LONG => (0, bytes),
            LONG.. => {
                let (blocks, rest) = bytes.as_chunks();
                (of_blocks(blocks), rest)
            }
        };
        let (pairs, rest) = bytes.as_chunks::<16>();
        // Two sums, of which neither waits for the other, and each with room for its overflow.
        let (mut first, mut second) = (u128::from(long), 0_u128);
        for pair in pairs {
            let [one, other] = pair.as_chunks::<8>().0 else { continue };
            first += u128::from(u64::from_ne_bytes(*one));
            second += u128::from(u64::from_ne_bytes(*other));
        }
        // There is at most one of each. Most packets end with a few words of four octets.
        let (eights, rest) = rest.as_chunks();
        let (fours, rest) = rest.as_chunks();
        let (twos, rest) = rest.as_chunks();
        first += eights.iter().map(|word| u128::from(u64::from_ne_bytes(*word))).sum::<u128>();
        second += fours.iter().map(|word| u128::from(u32::from_ne_bytes(*word))).sum::<u128>();
        second += twos.iter().map(|word| u128::from(u16::from_ne_bytes(*word))).sum::<u128>();
        second += rest.iter().map(|last| u128::from(u16::from_ne_bytes([*last, 0]))).sum::<u128>();
        let sum = first + second;
        self.plus(sum as u64).plus((sum >> 64) as u64)
    }

    /// Adds four octets as two big-endian 16-bit words.
    #[must_use]
    pub fn four(self, octets: [u8; 4]) -> Self {
        self.plus(u32::from_ne_bytes(octets).into())
    }

    /// Adds one 16-bit word, host order.
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        self.plus(u64::from(u16::from_ne_bytes(word.to_be_bytes())))
    }

    const fn plus(self, more: u64) -> Self {
        let (sum, overflow) = self.0.overflowing_add(more);
        Self(sum + overflow as u64)
    }

    /// The sum in 16 bits, host order, not complemented.
    pub fn fold(self) -> u16 {
        // Each half takes what overflows: 33 bits, then 18, 17 and 16. How often that is needed depends on the octets, and a CPU that
        // has to guess it guesses wrong.
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        u16::from_be_bytes((sum as u16).to_ne_bytes())
    }

    /// The checksum as it stands in an IP, TCP or ICMP header, host order.
    pub fn checksum(self) -> u16 {
        !self.fold()
    }

    /// The checksum as it stands in a UDP header: 0 would mean "none" (RFC 768), so it is written as 0xffff. For
    /// TCP the two say the same.
    pub fn nonzero_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

/// From here on it pays to ask which instructions the CPU has.
const LONG: usize = 256;
/// Octets that are added in one step.
const BLOCK: usize = 64;

/// The sum of 32-bit words, each among as many as a CPU with wide registers takes at once. A slice of 2^32 words would not overflow it.
#[multiversion(targets("x86_64+avx2"))]
fn of_blocks(blocks: &[[u8; BLOCK]]) -> u64 {
    let mut sums = [0_u64; BLOCK / 4];
    for block in blocks {
        // Not `zip`: where it is not inlined, it costs more than the sum.
        let words = block.as_chunks().0;
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum += u64::from(u32::from_ne_bytes(words[index]));
        }
    }
    sums.iter().sum()
}

/// The checksum of a header in which one 16-bit word was `old` and is `new` now (RFC 1624 section 3, equation 3).
pub fn replace(checksum: u16, old: u16, new: u16) -> u16 {
    !Sum::default().word(!checksum).word(!old).word(new).fold()
}

/// Completes a checksum that the kernel left to us: `meta.checksum` says where the transport header starts and
/// where in it the field is, and the field holds the pseudo-header's sum. Does nothing if there is none to do.
///
/// # Errors
/// [`DropReason::Malformed`] when the field is not inside the packet.
pub fn finish_checksum(packet: &mut PacketBuf) -> Result<(), DropReason> {
    let Some((start, offset)) = packet.meta.checksum else { return Ok(()) };
    let transport = packet.bytes_mut().get_mut(usize::from(start)..).ok_or(DropReason::Malformed)?;
    let sum = Sum::default().bytes(transport).nonzero_checksum();
    let offset = usize::from(offset);
    let field = transport.get_mut(offset..offset + 2).ok_or(DropReason::Malformed)?;
    field.copy_from_slice(&sum.to_be_bytes());
    packet.meta.checksum = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketBuf;

    /// RFC 1071 section 1, word by word.
    fn dull(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn the_sum_is_the_dull_sum_for_any_bytes() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            assert_eq!(Sum::default().bytes(bytes).fold(), dull(bytes));
        });
        // 0 and 0xffff are the same number to ones' complement: both ends of the range, all lengths mod 4
        for len in 0..20 {
            assert_eq!(Sum::default().bytes(&vec![0xff; len]).fold(), dull(&vec![0xff; len]));
            assert_eq!(Sum::default().bytes(&vec![0; len]).fold(), 0);
        }
        assert_eq!(Sum::default().bytes(&vec![0xff; 65_535]).fold(), dull(&vec![0xff; 65_535]));
    }

    #[test]
    fn the_example_of_rfc_1071_comes_out() {
        // section 3: 00 01 f2 03 f4 f5 f6 f7 -> ddf2
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03]).word(0xf4f5).word(0xf6f7);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(Sum::default().four([0x00, 0x01, 0xf2, 0x03]).four([0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
        assert_eq!(sum.checksum(), !0xddf2);
    }

    #[test]
    fn a_replaced_word_gives_the_sum_that_counting_anew_gives() {
        for old in [0, 1, 0x00ff, 0x5a5a, 0xfffe, 0xffff] {
            for new in [0, 1, 0x05b4, 0xfffe, 0xffff] {
                for other in [1, 0x1234, 0xfffe] {
                    let whole = |word| Sum::default().word(other).word(word).checksum();
                    assert_eq!(replace(whole(old), old, new), whole(new), "{old:x} {new:x} {other:x}");
                }
            }
        }
    }

    #[test]
    fn a_udp_checksum_is_never_zero() {
        assert_eq!(Sum::default().word(0xffff).checksum(), 0);
        assert_eq!(Sum::default().word(0xffff).nonzero_checksum(), 0xffff);
    }

    #[test]
    fn a_field_outside_the_packet_is_malformed() {
        for (start, offset) in [(0, 19), (0, 20), (20, 0), (21, 0), (u16::MAX, u16::MAX), (18, 1)] {
            let mut packet = PacketBuf::allocate(1024);
            packet.extend_back(20).unwrap();
            packet.meta.checksum = Some((start, offset));
            assert_eq!(finish_checksum(&mut packet), Err(DropReason::Malformed), "{start} {offset}");
        }
        let mut packet = PacketBuf::allocate(1024);
        packet.extend_back(20).unwrap().fill(0);
        packet.meta.checksum = Some((18, 0));
        assert_eq!(finish_checksum(&mut packet), Ok(()));
        assert_eq!(&packet.bytes()[18..], [0xff, 0xff]);
        assert_eq!(packet.meta.checksum, None);
    }
}
