//! User-Password under the shared secret (RFC 2865 section 5.2).

use super::packet::digest;
use adit_crypto::secret::SecretBytes;

/// Octets of the longest password.
pub(super) const MAX_PASSWORD: usize = 128;

/// `password`, padded with zeros to whole blocks, each xored with MD5(secret | what came before it). `None` if it is
/// longer than an attribute may hide.
pub(super) fn hide(password: &SecretBytes, secret: &SecretBytes, authenticator: &[u8; 16]) -> Option<Vec<u8>> {
    if password.len() > MAX_PASSWORD {
        return None;
    }
    let mut hidden = Vec::with_capacity(MAX_PASSWORD);
    let mut before = *authenticator;
    let (blocks, rest) = password.expose().as_chunks::<16>();
    let mut last = [0; 16];
    for (place, octet) in last.iter_mut().zip(rest) {
        *place = *octet;
    }
    // An empty password is one block of padding.
    let last = (!rest.is_empty() || blocks.is_empty()).then_some(&last);
    for block in blocks.iter().chain(last) {
        let mask = digest(&[secret.expose(), &before]);
        for ((place, octet), mask) in before.iter_mut().zip(block).zip(mask) {
            *place = octet ^ mask;
        }
        hidden.extend(before);
    }
    Some(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2865 section 7.1.
    #[test]
    fn the_example_of_rfc_2865_hides() {
        let authenticator: [u8; 16] = hex::decode("0f403f9473978057bd83d5cb98f4227a").unwrap().try_into().unwrap();
        let hidden = hide(&b"arctangent"[..].into(), &b"xyzzy5461"[..].into(), &authenticator).unwrap();
        assert_eq!(hex::encode(hidden), "0dbe708d93d413ce3196e43f782a0aee");
    }

    /// Against the dull twin: reveal it again.
    #[test]
    fn passwords_of_every_length_come_back() {
        let secret = SecretBytes::from(&b"secret"[..]);
        for length in 0..=MAX_PASSWORD {
            let password: Vec<u8> = (1..=255).take(length).collect();
            let hidden = hide(&password[..].into(), &secret, &[5; 16]).unwrap();
            assert_eq!(hidden.len(), length.div_ceil(16).max(1) * 16);
            let mut before = [5; 16];
            let mut shown = Vec::new();
            for block in hidden.chunks(16) {
                let mask = digest(&[secret.expose(), &before]);
                shown.extend(block.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
                before = block.try_into().unwrap();
            }
            shown.truncate(length);
            assert_eq!(shown, password);
        }
        assert_eq!(hide(&[1; 129][..].into(), &secret, &[5; 16]), None);
    }
}
