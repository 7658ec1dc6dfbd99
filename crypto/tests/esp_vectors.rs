//! The ESP frame against packets printed in RFCs, and against the cipher spelled out step by step.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::esp_cipher::{Backend, EspCipher, Header};
use adit_crypto::suite::{CipherSuite, Encr, Integ};
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;

const BACKENDS: [Backend; 3] = [Backend::AwsLc, Backend::RustCrypto, Backend::Auto];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(char::is_whitespace, "")).unwrap()
}

#[test]
fn rfc_7634_appendix_a_an_esp_packet_with_chacha20_poly1305() {
    let mut key: Vec<u8> = (0x80..=0x9f).collect();
    key.extend([0xa0, 0xa1, 0xa2, 0xa3]);
    let header = bytes("0102030400000005");
    let plaintext = bytes(
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10
         0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223
         2425262728292a2b2c2d2e2f303132333435363701020204",
    );
    let ciphertext = bytes(
        "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6
         14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3
         cbec163fac469b502773f6fb94e664da9165b82829f641e0",
    );
    let suite = CipherSuite::new(Encr::ChaCha20Poly1305, None).unwrap();
    for backend in BACKENDS {
        let cipher = EspCipher::new(backend, suite, &key, &[]).unwrap();
        let (mut iv, mut body, mut icv) = ([0; 8], plaintext.clone(), [0; 16]);
        cipher.seal(header.as_slice().into(), 0x1011121314151617, &mut iv, &mut body, &mut icv);
        assert_eq!(iv.as_slice(), bytes("1011121314151617"));
        assert_eq!(body, ciphertext);
        assert_eq!(icv.as_slice(), bytes("76aaa8266b7fb0f7b11b369907e1ad43"));
        body.extend(icv);
        cipher.open(header.as_slice().into(), &iv, &mut body).unwrap();
        assert_eq!(body[..plaintext.len()], plaintext);
    }
}

#[test]
fn an_extended_sequence_number_stands_in_the_middle_of_an_aeads_aad() {
    // RFC 4106 section 5: SPI, high half, low half. The frame with ESN is the plain one over these 12 octets.
    let suite = CipherSuite::new(Encr::Aes128Gcm16, None).unwrap();
    for backend in BACKENDS {
        let cipher = EspCipher::new(backend, suite, &[9; 20], &[]).unwrap();
        let seal = |header: Header<'_>| {
            let (mut iv, mut body, mut icv) = ([0; 8], [5; 40], [0; 16]);
            cipher.seal(header, 77, &mut iv, &mut body, &mut icv);
            (iv, body, icv)
        };
        let with_esn = seal(Header { bytes: b"SPI_low_", esn_high: Some(u32::from_be_bytes(*b"high")) });
        assert_eq!(with_esn, seal(Header { bytes: b"SPI_highlow_", esn_high: None }));
    }
}

#[test]
fn gmac_is_gcm_over_nothing_with_the_whole_packet_as_aad() {
    // RFC 4543 section 3, spelled out over the third place where a GCM is to be had: the crate itself.
    type Gcm = aes_gcm::AesGcm<aes::Aes192, aes_gcm::aead::consts::U12>;
    let key: Vec<u8> = (1..=28).collect();
    let suite = CipherSuite::new(Encr::Aes192Gmac, None).unwrap();
    let gcm = Gcm::new_from_slice(&key[..24]).unwrap();
    for backend in BACKENDS {
        let cipher = EspCipher::new(backend, suite, &key, &[]).unwrap();
        for esn_high in [None, Some(0), Some(0x01020304)] {
            for len in [0, 4, 1400, 9000, 65_000] {
                let (mut iv, mut body, mut icv) = ([0; 8], vec![5; len], [0; 16]);
                cipher.seal(Header { bytes: b"SPI_low_", esn_high }, 77, &mut iv, &mut body, &mut icv);
                assert_eq!(iv, 77u64.to_be_bytes());
                assert!(body.iter().all(|octet| *octet == 5), "nothing is encrypted");
                let high = esn_high.map(|high| high.to_be_bytes().to_vec()).unwrap_or_default();
                let aad = [b"SPI_", &high[..], b"low_", &iv, &body].concat();
                let nonce: [u8; 12] = [&key[24..], &iv].concat().try_into().unwrap();
                let want = gcm.encrypt_inout_detached(&nonce.into(), &aad, (&mut [][..]).into()).unwrap();
                assert_eq!(icv, want.0);
            }
        }
    }
}

#[test]
fn the_iv_of_triple_des_is_the_counter_encrypted_under_the_same_key() {
    let suite = CipherSuite::new(Encr::TripleDesCbc, Some(Integ::HmacSha256_128)).unwrap();
    let key: [u8; 24] = std::array::from_fn(|octet| octet as u8);
    let cipher = EspCipher::new(Backend::Auto, suite, &key, &[1; 32]).unwrap();
    for counter in [0, 1, 0x0102030405060708, u64::MAX] {
        let (mut iv, mut body, mut icv) = ([0; 8], [0; 16], [0; 16]);
        cipher.seal(b"12345678".as_slice().into(), counter, &mut iv, &mut body, &mut icv);
        let mut want = counter.to_be_bytes().into();
        des::TdesEde3::new(&key.into()).encrypt_block(&mut want);
        assert_eq!(iv, want.0);
    }
}

#[test]
fn the_iv_of_cbc_is_the_counter_encrypted_under_the_same_key() {
    let suite = CipherSuite::new(Encr::Aes128Cbc, Some(Integ::HmacSha256_128)).unwrap();
    let key = [0x42; 16];
    for backend in BACKENDS {
        let cipher = EspCipher::new(backend, suite, &key, &[1; 32]).unwrap();
        for counter in [0, 1, 0x0102030405060708, u64::MAX] {
            let (mut iv, mut body, mut icv) = ([0; 16], [0; 16], [0; 16]);
            cipher.seal(b"12345678".as_slice().into(), counter, &mut iv, &mut body, &mut icv);
            let mut want = aes::Block::default();
            want[8..].copy_from_slice(&counter.to_be_bytes());
            aes::Aes128::new(&key.into()).encrypt_block(&mut want);
            assert_eq!(iv.as_slice(), want.as_slice());
        }
    }
}
