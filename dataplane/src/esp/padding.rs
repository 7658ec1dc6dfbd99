//! Padding (RFC 4303 section 2.4): octets 1, 2, 3, … so that the ciphertext ends on its boundary.

use crate::wire::esp::TRAILER_LEN;

/// Every legal padding is a prefix of this.
static PATTERN: [u8; 255] = {
    let mut pattern = [0; 255];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = at as u8 + 1;
        at += 1;
    }
    pattern
};

/// What padding, pad length and next header align the plaintext to: 4 octets, or the cipher's block if larger.
pub(super) const fn alignment(block_len: usize) -> usize {
    if block_len > 4 { block_len } else { 4 }
}

/// Octets of padding for `payload` octets, below `align` (a power of two).
pub(super) const fn len_for(payload: usize, align: usize) -> usize {
    (payload + TRAILER_LEN).wrapping_neg() & (align - 1)
}

/// Writes 1, 2, 3, … into up to 255 octets.
pub(super) fn write(padding: &mut [u8]) {
    for (octet, value) in padding.iter_mut().zip(&PATTERN) {
        *octet = *value;
    }
}

/// Whether it reads 1, 2, 3, …
pub(super) fn is_sound(padding: &[u8]) -> bool {
    PATTERN.starts_with(padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_legal_length_is_written_and_read() {
        for len in 0..=255 {
            let mut padding = vec![0; len];
            write(&mut padding);
            assert!(is_sound(&padding), "{len} octets");
            for wrong in 0..len {
                padding[wrong] ^= 0x80;
                assert!(!is_sound(&padding), "octet {wrong} of {len} is wrong");
                padding[wrong] ^= 0x80;
            }
        }
        assert!(!is_sound(&[1; 256]));
    }

    #[test]
    fn payload_padding_and_trailer_end_on_the_boundary() {
        for block in [1, 4, 8, 16] {
            let align = alignment(block);
            for payload in 0..100 {
                let padding = len_for(payload, align);
                assert_eq!((payload + padding + TRAILER_LEN) % align, 0);
                assert!(padding < align);
            }
        }
    }
}
