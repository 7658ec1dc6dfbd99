//! CBC alone against NIST SP 800-38A, OpenSSL and what must be refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_crypto::cbc::{CbcKey, NotBlocks};
use adit_crypto::suite::CbcCipher;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(char::is_whitespace, "")).unwrap()
}

/// Plaintext of NIST SP 800-38A appendix F.2.
const NIST_PLAIN: &str = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
                          30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710";
const NIST_IV: &str = "000102030405060708090a0b0c0d0e0f";

/// Cipher, key, IV, plaintext, ciphertext.
const VECTORS: [(CbcCipher, &str, &str, &str, &str); 4] = [
    (
        CbcCipher::Aes128,
        "2b7e151628aed2a6abf7158809cf4f3c",
        NIST_IV,
        NIST_PLAIN,
        "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2
         73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
    ),
    (
        CbcCipher::Aes192,
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        NIST_IV,
        NIST_PLAIN,
        "4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a
         571b242012fb7ae07fa9baac3df102e0 08b0e27988598881d920a9e64f5615cd",
    ),
    (
        CbcCipher::Aes256,
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        NIST_IV,
        NIST_PLAIN,
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d
         39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
    ),
    // `openssl enc -des-ede3-cbc -nopad`
    (
        CbcCipher::TripleDes,
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        "f69f2445df4f9b17",
        NIST_PLAIN,
        "2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da79bd86425fae429fdbd65a7a21b6e5d20925d8b0ef919a428154b96ed90f2bc1e",
    ),
];

#[test]
fn known_answers_come_out_both_ways() {
    for (cipher, key, iv, plain, sealed) in VECTORS {
        let key = CbcKey::new(cipher, &bytes(key)).unwrap();
        assert_eq!(key.cipher(), cipher);
        let (iv, plain, sealed) = (bytes(iv), bytes(plain), bytes(sealed));
        let mut body = plain.clone();
        key.encrypt(&iv, &mut body).unwrap();
        assert_eq!(hex::encode(&body), hex::encode(&sealed), "{}", cipher.name());
        key.decrypt(&iv, &mut body).unwrap();
        assert_eq!(body, plain);
        // The last block of what went before is the next IV.
        let (first, rest) = plain.split_at(cipher.block_len());
        let (mut first, mut rest) = (first.to_vec(), rest.to_vec());
        key.encrypt(&iv, &mut first).unwrap();
        key.encrypt(&first, &mut rest).unwrap();
        assert_eq!([first, rest].concat(), sealed);
    }
}

#[test]
fn what_is_no_whole_block_or_no_key_is_refused() {
    for (cipher, key, iv, _, _) in VECTORS {
        let (key, iv) = (bytes(key), bytes(iv));
        assert!(CbcKey::new(cipher, &key[1..]).is_none());
        assert!(CbcKey::new(cipher, &[key.as_slice(), &[0]].concat()).is_none());
        assert!(CbcKey::new(cipher, &[]).is_none());
        let key = CbcKey::new(cipher, &key).unwrap();
        assert_eq!(format!("{key:?}"), format!("CbcKey({})", cipher.name()));
        for len in 0..=3 * cipher.block_len() {
            let whole = if len % cipher.block_len() == 0 { Ok(()) } else { Err(NotBlocks) };
            assert_eq!(key.encrypt(&iv, &mut vec![0; len]), whole);
            assert_eq!(key.decrypt(&iv, &mut vec![0; len]), whole);
        }
        assert_eq!(key.encrypt(&iv[1..], &mut [0; 48]), Err(NotBlocks));
        assert_eq!(key.decrypt(&[iv.as_slice(), &[0]].concat(), &mut [0; 48]), Err(NotBlocks));
    }
}
