//! RSA as IKEv1 signs with it. Keys and signatures were made by OpenSSL (`pkeyutl -sign` without a digest, which pads
//! the hash in PKCS #1 v1.5 as it is).

use adit_crypto::random::SeededRandom;
use adit_crypto::rsa_key::{BadRsaKey, BadSignature, RsaPrivateKey, RsaPublicKey};

const PKCS8: &[u8] = include_bytes!("rsa/pkcs8.der");
const PKCS1: &[u8] = include_bytes!("rsa/pkcs1.der");
const SPKI: &[u8] = include_bytes!("rsa/spki.der");
const PUBLIC_PKCS1: &[u8] = include_bytes!("rsa/public-pkcs1.der");
const SHORT_PKCS1: &[u8] = include_bytes!("rsa/short-pkcs1.der");
const SHORT_SPKI: &[u8] = include_bytes!("rsa/short-spki.der");

/// A hash of each length that IKEv1 has, and OpenSSL's signature over it.
const SIGNED: [(&[u8], &[u8]); 5] = [
    (include_bytes!("rsa/hash-16"), include_bytes!("rsa/signature-16")),
    (include_bytes!("rsa/hash-20"), include_bytes!("rsa/signature-20")),
    (include_bytes!("rsa/hash-32"), include_bytes!("rsa/signature-32")),
    (include_bytes!("rsa/hash-48"), include_bytes!("rsa/signature-48")),
    (include_bytes!("rsa/hash-64"), include_bytes!("rsa/signature-64")),
];

#[test]
fn signatures_are_those_of_openssl_whatever_blinds_them() {
    let key = RsaPrivateKey::from_pkcs8_der(PKCS8).unwrap();
    for (seed, (hash, signature)) in (0..).zip(SIGNED) {
        assert_eq!(key.sign_ike_v1(hash, &mut SeededRandom::new(seed)), signature);
        assert_eq!(key.public().verify_ike_v1(hash, signature), Ok(()));
    }
}

#[test]
fn every_encoding_of_a_key_is_the_same_key() {
    let key = RsaPrivateKey::from_pkcs1_der(PKCS1).unwrap();
    assert_eq!(key.public(), RsaPrivateKey::from_pkcs8_der(PKCS8).unwrap().public());
    assert_eq!(key.public(), RsaPublicKey::from_spki_der(SPKI).unwrap());
    assert_eq!(key.public(), RsaPublicKey::from_pkcs1_der(PUBLIC_PKCS1).unwrap());
    assert_eq!(key.public().signature_len(), 256);
}

#[test]
fn what_is_signed_otherwise_or_changed_does_not_verify() {
    let key = RsaPublicKey::from_spki_der(SPKI).unwrap();
    for (hash, signature) in SIGNED {
        for at in [0, 1, 100, 255] {
            let mut changed = signature.to_vec();
            changed[at] ^= 1;
            assert_eq!(key.verify_ike_v1(hash, &changed), Err(BadSignature));
        }
        let mut changed = hash.to_vec();
        changed[0] ^= 1;
        assert_eq!(key.verify_ike_v1(&changed, signature), Err(BadSignature));
        assert_eq!(key.verify_ike_v1(&hash[1..], signature), Err(BadSignature));
        assert_eq!(key.verify_ike_v1(&[], signature), Err(BadSignature));
        for length in [0, 1, 255] {
            assert_eq!(key.verify_ike_v1(hash, &signature[..length]), Err(BadSignature));
        }
        assert_eq!(key.verify_ike_v1(hash, &[signature, &[0]].concat()), Err(BadSignature));
        assert_eq!(key.verify_ike_v1(hash, &[0xff; 256]), Err(BadSignature));
        assert_eq!(key.verify_ike_v1(hash, &[0; 256]), Err(BadSignature));
    }
}

#[test]
fn short_and_broken_keys_are_refused() {
    assert_eq!(RsaPrivateKey::from_pkcs1_der(SHORT_PKCS1).unwrap_err(), BadRsaKey::TooShort(1024));
    assert_eq!(RsaPublicKey::from_spki_der(SHORT_SPKI).unwrap_err(), BadRsaKey::TooShort(1024));
    for broken in [&[][..], &[0x30], &SPKI[1..], &SPKI[..SPKI.len() - 1], PKCS8] {
        assert_eq!(RsaPublicKey::from_spki_der(broken).unwrap_err(), BadRsaKey::NotRsa);
        assert_eq!(RsaPrivateKey::from_pkcs1_der(broken).unwrap_err(), BadRsaKey::NotRsa);
    }
    // A prime that is none of this modulus.
    let mut damaged = PKCS1.to_vec();
    damaged[700] ^= 4;
    assert_eq!(RsaPrivateKey::from_pkcs1_der(&damaged).unwrap_err(), BadRsaKey::NotRsa);
}

#[test]
fn a_private_key_does_not_show_itself() {
    let key = RsaPrivateKey::from_pkcs8_der(PKCS8).unwrap();
    assert_eq!(format!("{key:?} {:?}", key.public()), "RsaPrivateKey(2048 bits) RsaPublicKey(2048 bits)");
}

/// A public key with a modulus of so many octets, the first and the last of them 1.
fn public_key(octets: usize) -> Vec<u8> {
    let number = |value: &[u8]| [&[2, 0x82][..], &(value.len() as u16).to_be_bytes(), value].concat();
    let mut modulus = vec![0; octets];
    (modulus[0], modulus[octets - 1]) = (1, 1);
    let inside = [number(&modulus), vec![2, 3, 1, 0, 1]].concat();
    [&[0x30, 0x82][..], &(inside.len() as u16).to_be_bytes(), &inside].concat()
}

#[test]
fn a_key_that_is_too_long_is_told_so() {
    assert_eq!(RsaPublicKey::from_pkcs1_der(&public_key(1025)).unwrap_err(), BadRsaKey::TooLong(8193));
    assert!(RsaPublicKey::from_pkcs1_der(&public_key(1024)).is_ok());
    // In a SubjectPublicKeyInfo: rsaEncryption, and a bit string.
    let key = public_key(1025);
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let len = |len: usize| (len as u16).to_be_bytes();
    let bits = [&[3, 0x82][..], &len(key.len() + 1), &[0], &key].concat();
    let spki = [&[0x30, 0x82][..], &len(algorithm.len() + bits.len()), &algorithm, &bits].concat();
    assert_eq!(RsaPublicKey::from_spki_der(&spki).unwrap_err(), BadRsaKey::TooLong(8193));
    assert_eq!(RsaPublicKey::from_spki_der(&spki[1..]).unwrap_err(), BadRsaKey::NotRsa);
}
