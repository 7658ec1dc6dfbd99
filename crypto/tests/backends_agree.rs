//! Each backend is the other's oracle: what one seals the other opens, octet for octet, for every suite.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::esp_cipher::{Backend, BadIcv, EspCipher, Header};
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::{CipherSuite, Encr, Integ};

const BACKENDS: [Backend; 2] = [Backend::AwsLc, Backend::RustCrypto];

fn all_suites() -> Vec<CipherSuite> {
    let integs = || Integ::ALL.into_iter().map(Some).chain([None]);
    Encr::ALL.into_iter().flat_map(|encr| integs().filter_map(move |integ| CipherSuite::new(encr, integ))).collect()
}

/// A packet in pieces, with everything a suite needs.
struct Case {
    suite: CipherSuite,
    encr_key: Vec<u8>,
    integ_key: Vec<u8>,
    header: Vec<u8>,
    esn_high: Option<u32>,
    counter: u64,
    plaintext: Vec<u8>,
}

impl Case {
    fn random(suite: CipherSuite, len: usize, random: &mut SeededRandom) -> Self {
        let mut octets = |len: usize| {
            let mut octets = vec![0; len];
            random.fill(&mut octets);
            octets
        };
        let number = |octets: Vec<u8>| u64::from_be_bytes(octets.try_into().unwrap());
        let esn = number(octets(8));
        Self {
            suite,
            encr_key: octets(suite.encr().key_len()),
            integ_key: octets(suite.integ_key_len()),
            header: octets(8),
            esn_high: (esn & 1 == 1).then_some((esn >> 32) as u32),
            counter: number(octets(8)),
            plaintext: octets(len.next_multiple_of(suite.encr().block_len())),
        }
    }

    fn cipher(&self, backend: Backend) -> EspCipher {
        EspCipher::new(backend, self.suite, &self.encr_key, &self.integ_key).unwrap()
    }

    fn header(&self) -> Header<'_> {
        Header { bytes: &self.header, esn_high: self.esn_high }
    }

    /// IV, and ciphertext with ICV.
    fn sealed_by(&self, backend: Backend) -> (Vec<u8>, Vec<u8>) {
        let mut iv = vec![0; self.suite.encr().iv_len()];
        let mut body = self.plaintext.clone();
        let mut icv = vec![0; self.suite.icv_len()];
        self.cipher(backend).seal(self.header(), self.counter, &mut iv, &mut body, &mut icv);
        body.extend(icv);
        (iv, body)
    }
}

#[test]
fn what_one_backend_seals_the_other_opens_for_every_length_and_suite() {
    let mut random = SeededRandom::new(1);
    for suite in all_suites() {
        for len in (0..2048).step_by(suite.encr().block_len()) {
            let case = Case::random(suite, len, &mut random);
            let (iv, body) = case.sealed_by(Backend::AwsLc);
            assert_eq!((&iv, &body), (&case.sealed_by(Backend::RustCrypto).0, &case.sealed_by(Backend::RustCrypto).1));
            for backend in BACKENDS {
                let mut opened = body.clone();
                assert_eq!(case.cipher(backend).open(case.header(), &iv, &mut opened), Ok(()), "{suite} {len}");
                assert_eq!(&opened[..case.plaintext.len()], case.plaintext, "{suite} {len}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_fails_and_leaves_no_plaintext() {
    let mut random = SeededRandom::new(2);
    for suite in all_suites() {
        for (len, esn_high) in [(0, None), (16, Some(7)), (64, None), (80, Some(0))] {
            let mut case = Case::random(suite, len, &mut random);
            case.esn_high = esn_high;
            let (iv, body) = case.sealed_by(Backend::AwsLc);
            for backend in BACKENDS {
                let cipher = case.cipher(backend);
                let check = |header: Header<'_>, iv: &[u8], mut body: Vec<u8>| {
                    assert_eq!(cipher.open(header, iv, &mut body), Err(BadIcv), "{suite} {backend:?} {len}");
                    for window in case.plaintext.windows(8) {
                        assert!(body.windows(8).all(|found| found != window), "plaintext left: {suite} {backend:?}");
                    }
                };
                let flipped = |octets: &[u8], bit: usize| {
                    let mut octets = octets.to_vec();
                    octets[bit / 8] ^= 1 << (bit % 8);
                    octets
                };
                for bit in 0..case.header.len() * 8 {
                    let header = flipped(&case.header, bit);
                    check(Header { bytes: &header, esn_high }, &iv, body.clone());
                }
                for bit in 0..iv.len() * 8 {
                    check(case.header(), &flipped(&iv, bit), body.clone());
                }
                for bit in 0..body.len() * 8 {
                    check(case.header(), &iv, flipped(&body, bit));
                }
                if let Some(high) = esn_high {
                    for bit in 0..32 {
                        let header = Header { bytes: &case.header, esn_high: Some(high ^ (1 << bit)) };
                        check(header, &iv, body.clone());
                    }
                    check(Header { bytes: &case.header, esn_high: None }, &iv, body.clone());
                } else {
                    check(Header { bytes: &case.header, esn_high: Some(0) }, &iv, body.clone());
                }
            }
        }
    }
}
