//! Each backend is the other's oracle: what one seals the other opens, octet for octet, for every suite that both have.
//! The others are held by known answers (`src/backend/tests.rs`, the packets in the dataplane's tests).

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::esp_cipher::{Backend, BadIcv, EspCipher, Header};
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::{CipherSuite, Encr};

const BACKENDS: [Backend; 4] = [Backend::AwsLc, Backend::Ring, Backend::RustCrypto, Backend::Auto];

fn all_suites() -> Vec<CipherSuite> {
    CipherSuite::all().collect()
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
fn which_suites_only_one_library_has() {
    let mut random = SeededRandom::new(6);
    let by = |case: &Case, backend| case.cipher(backend).backend();
    let alone: Vec<String> = CipherSuite::all()
        .map(|suite| Case::random(suite, 0, &mut random))
        .filter(|case| {
            assert_eq!(by(case, Backend::RustCrypto), Backend::RustCrypto, "{}", case.suite);
            let by_ring = matches!(case.suite.encr(), Encr::Aes128Gcm16 | Encr::Aes256Gcm16);
            assert_eq!(by(case, Backend::Ring) == Backend::Ring, by_ring, "{}", case.suite);
            by(case, Backend::AwsLc) == Backend::RustCrypto
        })
        .map(|case| case.suite.to_string())
        .collect();
    let short_or_ccm = |name: &String| name.contains("ccm") || name.ends_with("gcm8") || name.ends_with("gcm12");
    assert_eq!(alone.iter().filter(|name| short_or_ccm(name)).count(), 6 + 9);
    let rest: Vec<&String> = alone.iter().filter(|name| !short_or_ccm(name)).collect();
    // AES beside MD5 is not here: its cipher is in both.
    assert_eq!(rest, ["3des-sha256", "3des-sha384", "3des-sha512", "3des-sha1", "3des-md5", "null-md5"]);
}

#[test]
fn what_one_backend_seals_the_other_opens_for_every_suite() {
    // Every length of a few blocks with every remainder, then long ones with a step that meets every remainder too.
    let lengths = || (0..273).chain((273..2048).step_by(17));
    let mut random = SeededRandom::new(1);
    for suite in all_suites() {
        for len in lengths().filter(|len| len % suite.encr().block_len() == 0) {
            let case = Case::random(suite, len, &mut random);
            let (iv, body) = case.sealed_by(Backend::AwsLc);
            for backend in BACKENDS {
                assert_eq!(case.sealed_by(backend), (iv.clone(), body.clone()), "{suite} {len} {backend:?}");
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
                let check = |header: Header<'_>, iv: &[u8], body: Vec<u8>| {
                    let mut opened = body.clone();
                    assert_eq!(cipher.open(header, iv, &mut opened), Err(BadIcv), "{suite} {backend:?} {len}");
                    // Either untouched or cleared: nothing in it can be plaintext.
                    let (found, given) = (&opened[..case.plaintext.len()], &body[..case.plaintext.len()]);
                    assert!(found == given || found.iter().all(|octet| *octet == 0), "{suite} {backend:?} {len}");
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

#[test]
fn open_refuses_whatever_the_network_sends_at_any_length() {
    let mut random = SeededRandom::new(3);
    for suite in all_suites() {
        let case = Case::random(suite, 0, &mut random);
        for backend in BACKENDS {
            let cipher = case.cipher(backend);
            for len in 0..200 {
                let mut body = vec![0; len];
                random.fill(&mut body);
                let iv = vec![0; suite.encr().iv_len()];
                assert_eq!(cipher.open(case.header(), &iv, &mut body), Err(BadIcv), "{suite} {backend:?} {len}");
            }
        }
    }
}

#[test]
fn open_of_bytes_chosen_by_a_fuzzer_never_panics() {
    let mut random = SeededRandom::new(4);
    let ciphers: Vec<EspCipher> = all_suites()
        .into_iter()
        .flat_map(|suite| BACKENDS.map(|backend| (suite, backend)))
        .map(|(suite, backend)| Case::random(suite, 0, &mut random).cipher(backend))
        .collect();
    bolero::check!().with_type::<(Vec<u8>, Option<u32>, [u8; 16], Vec<u8>)>().for_each(|(header, esn, iv, body)| {
        for cipher in &ciphers {
            let iv = &iv[..cipher.suite().encr().iv_len()];
            let header = Header { bytes: header, esn_high: *esn };
            assert_eq!(cipher.open(header, iv, &mut body.clone()), Err(BadIcv));
        }
    });
}

#[test]
fn seal_with_wrong_lengths_lets_no_plaintext_out() {
    let mut random = SeededRandom::new(5);
    for suite in all_suites() {
        let case = Case::random(suite, 64, &mut random);
        let (iv_len, block_len, icv_len) = (suite.encr().iv_len(), suite.encr().block_len(), suite.icv_len());
        let short_body = if block_len > 1 { 63 } else { 64 };
        for backend in BACKENDS {
            let cipher = case.cipher(backend);
            let mut wrong = vec![(iv_len + 1, 64, icv_len)];
            wrong.extend(iv_len.checked_sub(1).map(|shorter| (shorter, 64, icv_len)));
            wrong.extend([(iv_len, 64, icv_len - 1), (iv_len, 64, icv_len + 1), (iv_len, 64, 0)]);
            wrong.extend((short_body != 64).then_some((iv_len, short_body, icv_len)));
            for (iv_len, body_len, icv_len) in wrong {
                let (mut iv, mut body, mut icv) = (vec![1; iv_len], vec![1; body_len], vec![1; icv_len]);
                // A debug build trips an assertion after it has cleared the buffers.
                let sealed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    cipher.seal(case.header(), 1, &mut iv, &mut body, &mut icv);
                }));
                assert_eq!(sealed.is_err(), cfg!(debug_assertions));
                assert!(body.iter().chain(&iv).chain(&icv).all(|octet| *octet == 0), "{suite} {backend:?}");
            }
        }
    }
}

#[test]
fn keys_of_any_other_length_are_refused_with_what_was_wanted() {
    for suite in all_suites() {
        let (encr_len, integ_len) = (suite.encr().key_len(), suite.integ_key_len());
        for backend in BACKENDS {
            for (encr, integ) in
                [(encr_len.wrapping_sub(1), integ_len), (encr_len + 1, integ_len), (encr_len, integ_len + 1), (0, 0)]
            {
                // NULL has no key that could be shorter.
                if encr == usize::MAX {
                    continue;
                }
                let error = EspCipher::new(backend, suite, &vec![0; encr], &vec![0; integ]).unwrap_err();
                assert_eq!((error.want_encr, error.want_integ), (encr_len, integ_len));
                assert_eq!((error.got_encr, error.got_integ), (encr, integ));
            }
        }
    }
}

#[test]
fn a_cipher_says_suite_and_backend_and_nothing_of_its_keys() {
    let suite = CipherSuite::new(Encr::Aes128Gcm16, None).unwrap();
    let cipher = EspCipher::new(Backend::AwsLc, suite, &[0xab; 20], &[]).unwrap();
    assert_eq!(
        format!("{cipher:?}"),
        "EspCipher { suite: CipherSuite { encr: Aes128Gcm16, integ: None }, backend: AwsLc, .. }"
    );
    fn sendable<T: Send>(_: T) {}
    sendable(cipher);
}
