//! MS-CHAP version 2 (RFC 2759), as the one who answers a challenge. Weak by today's measure (MD4, DES); it is what
//! directories take that have NT hashes only.

use adit_crypto::secret::SecretBytes;
use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;

/// What a client answers, and what a server that knows the password says to it.
pub(super) struct Answered {
    pub(super) response: [u8; 24],
    /// Without the leading `S=`: 40 digits.
    pub(super) server_proof: String,
}

/// RFC 2759 sections 8.1 and 8.7.
pub(super) fn answer(
    user: &str,
    password: &SecretBytes,
    challenge: &[u8; 16],
    peer_challenge: &[u8; 16],
) -> Option<Answered> {
    let hash = nt_hash(password)?;
    let challenge_hash = challenge_hash(user, challenge, peer_challenge);
    let response = challenge_response(&challenge_hash, &hash);
    let hash_hash: [u8; 16] = Md4::digest(hash).into();
    let inner = Sha1::new().chain_update(hash_hash).chain_update(response).chain_update(MAGIC_1).finalize();
    let proof = Sha1::new().chain_update(inner).chain_update(challenge_hash).chain_update(MAGIC_2).finalize();
    let server_proof = proof.iter().map(|octet| format!("{octet:02X}")).collect();
    Some(Answered { response, server_proof })
}

/// RFC 2759 section 8.7.
const MAGIC_1: &[u8] = b"Magic server to client signing constant";
const MAGIC_2: &[u8] = b"Pad to make it do more than one iteration";

/// RFC 2759 section 8.2: the name without its domain.
fn challenge_hash(user: &str, challenge: &[u8; 16], peer_challenge: &[u8; 16]) -> [u8; 8] {
    let name = user.rsplit('\\').next().unwrap_or(user);
    let hash = Sha1::new().chain_update(peer_challenge).chain_update(challenge).chain_update(name).finalize();
    let mut short = [0; 8];
    for (place, octet) in short.iter_mut().zip(hash) {
        *place = octet;
    }
    short
}

/// RFC 2759 section 8.3: MD4 over the password in UTF-16.
fn nt_hash(password: &SecretBytes) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(password.expose()).ok()?;
    let wide = SecretBytes::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    Some(Md4::digest(wide.expose()).into())
}

/// RFC 2759 section 8.5: three keys of seven octets.
fn challenge_response(challenge: &[u8; 8], hash: &[u8; 16]) -> [u8; 24] {
    let mut keys = [0; 21];
    for (place, octet) in keys.iter_mut().zip(hash) {
        *place = *octet;
    }
    let mut response = [0; 24];
    let (places, _) = response.as_chunks_mut::<8>();
    let (keys, _) = keys.as_chunks::<7>();
    for (place, key) in places.iter_mut().zip(keys) {
        let mut block = (*challenge).into();
        Des::new(&spread(key).into()).encrypt_block(&mut block);
        *place = block.into();
    }
    response
}

/// DES keys have seven bits in each octet and a parity bit that nobody looks at.
fn spread(key: &[u8; 7]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = *key;
    let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    let mut spread = [0; 8];
    for (place, shift) in spread.iter_mut().zip((0..8).rev().map(|index| index * 7)) {
        let [.., low] = ((bits >> shift) & 0x7f).to_be_bytes();
        *place = low << 1;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2759 section 9.2.
    #[test]
    fn the_example_of_rfc_2759_answers() {
        let challenge = hex::decode("5b5d7c7d7b3f2f3e3c2c602132262628").unwrap().try_into().unwrap();
        let peer_challenge = hex::decode("21402324255e262a28295f2b3a337c7e").unwrap().try_into().unwrap();
        let password = SecretBytes::from(&b"clientPass"[..]);
        assert_eq!(hex::encode(challenge_hash("User", &challenge, &peer_challenge)), "d02e4386bce91226");
        assert_eq!(hex::encode(nt_hash(&password).unwrap()), "44ebba8d5312b8d611474411f56989ae");
        for name in ["User", "DOMAIN\\User"] {
            let answered = answer(name, &password, &challenge, &peer_challenge).unwrap();
            assert_eq!(hex::encode(answered.response), "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
            assert_eq!(answered.server_proof, "407A5589115FD0D6209F510FE9C04566932CDA56");
        }
    }

    #[test]
    fn a_password_that_is_no_text_has_no_answer() {
        assert!(answer("User", &[0xff][..].into(), &[0; 16], &[0; 16]).is_none());
    }
}
