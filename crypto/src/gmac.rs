//! ENCR_NULL_AUTH_AES_GMAC (RFC 4543): AES-GCM over an empty plaintext, with all of the packet as its AAD.
//!
//! ```text
//! nonce = salt (4 octets) | IV (8 octets)                                     RFC 4543 section 3
//! AAD   = SPI | sequence number, or with ESN its halves | IV | payload        RFC 4543 section 3
//! ```

use crate::aead::{Aad, Aead, IV_LEN};
use crate::backend::{AeadKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::frame::Frame;

/// Octets of nonce.
const NONCE: usize = 12;
/// Octets of ICV (RFC 4543 section 3: never cut).
const ICV: usize = 16;

/// AES-GMAC with its key set up in the library behind `K`.
pub(crate) struct Gmac<K>(Aead<K, NONCE, ICV>);

impl<K: AeadKey<NONCE, ICV>> Gmac<K> {
    /// `None` if there is no salt behind the key, or `set_up` does not take the key.
    pub(crate) fn new(key_and_salt: &[u8], set_up: impl FnOnce(&[u8]) -> Option<K>) -> Option<Self> {
        Aead::new(key_and_salt, set_up).map(Self)
    }
}

impl<K: AeadKey<NONCE, ICV>> Frame for Gmac<K> {
    fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        let iv: &mut [u8; IV_LEN] = iv.try_into().map_err(|_| Refused)?;
        let icv: &mut [u8; ICV] = icv.try_into().map_err(|_| Refused)?;
        *iv = counter.to_be_bytes();
        let aad = Aad::new(header).ok_or(Refused)?;
        let nonce = self.0.nonce(*iv);
        in_one_piece([aad.octets(), iv, body], |aad| self.0.key().seal(nonce, aad, &mut [], icv))
            .unwrap_or(Err(Refused))
    }

    fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: [u8; IV_LEN] = iv.try_into().map_err(|_| BadIcv)?;
        let (body, icv) = body_and_icv.split_last_chunk::<ICV>().ok_or(BadIcv)?;
        let aad = Aad::new(header).ok_or(BadIcv)?;
        let nonce = self.0.nonce(iv);
        in_one_piece([aad.octets(), &iv, body], |aad| self.0.key().open(nonce, aad, &mut [], icv))
            .unwrap_or(Err(Refused))
            .map_err(|Refused| BadIcv)
    }
}

/// The libraries take the AAD as one slice; the pieces are put together on the stack, so that nothing is allocated.
/// They travel in the clear, so nothing has to be wiped. `None` if they are longer than any packet.
fn in_one_piece<R>(pieces: [&[u8]; 3], with: impl FnOnce(&[u8]) -> R) -> Option<R> {
    match pieces.iter().map(|piece| piece.len()).sum() {
        0..=2048 => in_room_of::<2048, R>(pieces, with),
        2049..=10_240 => in_room_of::<10_240, R>(pieces, with),
        10_241..=65_536 => in_room_of::<65_536, R>(pieces, with),
        65_537.. => None,
    }
}

/// Not inlined: the stack of a small packet is not to be that of the largest.
#[inline(never)]
fn in_room_of<const ROOM: usize, R>(pieces: [&[u8]; 3], with: impl FnOnce(&[u8]) -> R) -> Option<R> {
    let mut room = [0; ROOM];
    let mut filled = 0;
    for piece in pieces {
        room.get_mut(filled..filled + piece.len())?.copy_from_slice(piece);
        filled += piece.len();
    }
    room.get(..filled).map(with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_size_class_come_in_one() {
        for len in [0, 1, 2047, 2048, 2049, 10_240, 10_241, 65_536] {
            let whole: Vec<u8> = (0..len).map(|octet| octet as u8).collect();
            for cut in [0, len / 3, len] {
                let (front, rest) = whole.split_at(cut);
                let (middle, back) = rest.split_at(rest.len() / 2);
                assert_eq!(in_one_piece([front, middle, back], <[u8]>::to_vec), Some(whole.clone()));
            }
        }
        assert_eq!(in_one_piece([&[0; 65_536], &[0], &[]], <[u8]>::to_vec), None);
    }
}
