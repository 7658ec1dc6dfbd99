//! Keys that are gone are nowhere in the memory of this process any more.
//!
//! The tests of this file take turns: a search reads a neighbour's keys too, and would leave copies of them for the neighbour's own.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::cbc::CbcKey;
use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::kex::{KeyPair, answer};
use adit_crypto::prf::{prf, prf_plus};
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::{CbcCipher, CipherSuite, Encr, KexGroup, PrfId};
use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::{Zeroize, Zeroizing, zeroize_stack};

/// What is searched for is held this way only, so that the search does not find itself.
const MASK: u8 = 0x5a;

/// So many octets of a key are searched for.
const SOUGHT: usize = 16;

/// Who holds it searches alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Octets that differ for every seed.
fn octet(seed: usize, at: usize) -> u8 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at as u32 * 7) ^ at as u64;
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as u8
}

fn key(seed: usize, len: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new((0..len).map(|at| octet(seed, at)).collect())
}

/// The first octets of these, masked.
fn masked(octets: impl Iterator<Item = u8>) -> Vec<u8> {
    let masked: Vec<u8> = octets.take(SOUGHT).map(|octet| octet ^ MASK).collect();
    assert_eq!(masked.len(), SOUGHT);
    masked
}

/// How many places in writable memory hold what each of these masks.
fn places(sought: &[Vec<u8>]) -> Vec<usize> {
    let mut may_begin = [false; 256];
    sought.iter().for_each(|masked| may_begin[usize::from(masked[0] ^ MASK)] = true);
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found = vec![0; sought.len()];
    let mut buffer = vec![0; 1 << 16];
    for line in read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let (from, to) = words.next().unwrap().split_once('-').unwrap();
        let (mut at, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        if !words.next().unwrap().starts_with("rw") {
            continue;
        }
        while at < to {
            let len = buffer.len().min((to - at) as usize);
            if memory.read_exact_at(&mut buffer[..len], at).is_err() {
                break;
            }
            let own = buffer.as_ptr_range();
            for (offset, window) in buffer[..len].windows(SOUGHT).enumerate() {
                let address = at as usize + offset;
                if !may_begin[usize::from(window[0])] || (own.start as usize..own.end as usize).contains(&address) {
                    continue;
                }
                for (found, masked) in found.iter_mut().zip(sought) {
                    *found += usize::from(window.iter().zip(masked).all(|(a, b)| a ^ MASK == *b));
                }
            }
            // Chunks overlap, so that a key across two of them is whole in one.
            at += if at + (len as u64) < to { (len - (SOUGHT - 1)) as u64 } else { len as u64 };
        }
    }
    buffer.zeroize();
    found
}

/// Those of these, by name, that are still there.
fn left<'a>(sought: &[(&'a str, Vec<u8>)]) -> Vec<(&'a str, usize)> {
    let (names, masked): (Vec<&str>, Vec<Vec<u8>>) = sought.iter().cloned().unzip();
    names.into_iter().zip(places(&masked)).filter(|(_, places)| *places > 0).collect()
}

/// Works so deep in the stack that no search writes over what is left there.
#[inline(never)]
fn deep<R>(work: impl FnOnce() -> R) -> R {
    let room = [0_u8; 1 << 15];
    let result = work();
    black_box(&room);
    result
}

fn set_up(backend: Backend, encr: Encr, seed: usize) -> EspCipher {
    let key = key(seed, encr.key_len());
    deep(|| EspCipher::new(backend, CipherSuite::new(encr, None).unwrap(), &key, &[]).unwrap())
}

/// On a CPU without AES instructions the schedules look otherwise, and the search has nothing to find.
fn schedule_begins_with_the_key() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[test]
fn a_dropped_cipher_has_left_its_key_nowhere() {
    let _alone = alone();
    let backends = [Backend::Auto, Backend::AwsLc, Backend::Ring, Backend::RustCrypto];
    let encrs = [Encr::Aes128Gcm16, Encr::Aes192Gcm16, Encr::Aes256Gcm16];
    for (seed, (backend, encr)) in backends.iter().flat_map(|backend| encrs.map(|encr| (*backend, encr))).enumerate() {
        let cipher = set_up(backend, encr, seed);
        let cipher = Box::new(cipher);
        // RustCrypto leaves round keys on the stack of whoever seals, where later calls write over them: what is looked
        // at there is setting up and dropping alone.
        if cipher.backend() != Backend::RustCrypto {
            let (mut iv, mut body, mut icv) = ([0; 8], [7; 100], [0; 16]);
            cipher.seal((&[1; 8][..]).into(), 1, &mut iv, &mut body, &mut icv);
        }
        let sought = [("key", masked((0..).map(|at| octet(seed, at))))];
        if schedule_begins_with_the_key() {
            assert_ne!(left(&sought), [], "{backend:?} {encr:?}: the search finds what is there");
        }
        drop(cipher);
        assert_eq!(left(&sought), [], "{backend:?} {encr:?}");
    }
}

#[test]
fn a_dropped_key_for_cbc_has_left_itself_nowhere() {
    let _alone = alone();
    for (seed, cipher) in [CbcCipher::Aes128, CbcCipher::Aes192, CbcCipher::Aes256].into_iter().enumerate() {
        let seed = 100 + seed;
        let key = key(seed, cipher.key_len());
        let cbc = deep(|| CbcKey::new(cipher, &key).unwrap());
        drop(key);
        cbc.encrypt(&[3; 16], &mut [7; 64]).unwrap();
        cbc.decrypt(&[3; 16], &mut [7; 64]).unwrap();
        let sought = [("key", masked((0..).map(|at| octet(seed, at))))];
        if schedule_begins_with_the_key() {
            assert_ne!(left(&sought), [], "{cipher:?}: the search finds what is there");
        }
        drop(cbc);
        assert_eq!(left(&sought), [], "{cipher:?}");
    }
}

/// HMAC-SHA-256's state behind its inner pad, which is as good as the key (RFC 2104 section 4).
fn inner_state(key: &[u8]) -> Vec<u8> {
    #[inline(never)]
    fn apart(key: &[u8]) -> Vec<u8> {
        let mut block = Zeroizing::new([0x36; 64]);
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        let mut state = Zeroizing::new([
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ]);
        sha2::block_api::compress256(&mut state, &[*block]);
        masked(state.iter().flat_map(|word: &u32| word.to_ne_bytes()))
    }
    let masked = apart(key);
    zeroize_stack::<65_536>();
    masked
}

#[test]
fn a_prf_leaves_neither_its_key_nor_what_came_out_of_it_anywhere() {
    let _alone = alone();
    for (seed, id) in PrfId::ALL.into_iter().enumerate() {
        let key = key(200 + seed, 40);
        let state = inner_state(&key);
        let out = deep(|| prf(id, &key, &[b"a seed", &[7; 200]]));
        let stream = deep(|| prf_plus(id, &key, &[b"a seed", &[7; 200]], 3 * id.output_len()));
        let mut sought = vec![
            ("key", masked(key.iter().copied())),
            ("output", masked(out.expose().iter().copied())),
            ("stream", masked(stream.expose().iter().skip(id.output_len()).copied())),
        ];
        assert_eq!(left(&sought).len(), sought.len(), "{id:?}: the search finds what is there");
        sought.push(("inner pad", masked(key.iter().map(|octet| octet ^ 0x36))));
        sought.push(("outer pad", masked(key.iter().map(|octet| octet ^ 0x5c))));
        sought.push(("inner state", state));
        // As hash functions hold what comes out: words of theirs.
        for word in [4, 8] {
            let words = out.expose().chunks(word);
            sought.push(("output in words", masked(words.flat_map(|word| word.iter().rev().copied()))));
        }
        drop((key, out, stream));
        assert_eq!(left(&sought), [], "{id:?}");
    }
}

/// Draws what is searched for.
struct Known(usize);

impl SecretRandom for Known {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().enumerate().for_each(|(at, out)| *out = octet(self.0, at));
    }
}

/// Octets that are drawn for a secret of this group.
const fn drawn(group: KexGroup) -> usize {
    match group {
        KexGroup::X25519 | KexGroup::Ecp256 | KexGroup::Modp768 | KexGroup::Modp1024 | KexGroup::Modp1536 => 32,
        KexGroup::Modp2048 => 40,
        KexGroup::Ecp384 => 48,
        KexGroup::Modp3072 => 56,
        KexGroup::Modp4096 => 64,
        KexGroup::Ecp521 => 66,
    }
}

/// A number in both orders of octets in which it may lie in memory. Groups change bits of the highest and the lowest octet only.
fn number<'a>(what: &'a str, octets: &[u8]) -> [(&'a str, Vec<u8>); 2] {
    let inside = &octets[1..octets.len() - 1];
    [(what, masked(inside.iter().copied())), (what, masked(inside.iter().rev().copied()))]
}

#[test]
fn a_key_exchange_leaves_neither_its_secret_nor_what_was_agreed_on_anywhere() {
    let _alone = alone();
    for (seed, group) in KexGroup::ALL.into_iter().enumerate() {
        let peer = KeyPair::generate(group, &mut SeededRandom::new(seed as u64)).public().to_vec();
        let seed = 300 + 2 * seed;
        let secret = number("secret", &key(seed, drawn(group)));
        let pair = deep(|| Box::new(KeyPair::generate(group, &mut Known(seed))));
        let shared = deep(|| pair.try_agree(&peer).unwrap());
        let agreed = number("agreed", shared.expose());
        let there = [left(&secret), left(&agreed)];
        assert!(there.iter().all(|there| !there.is_empty()), "{group:?}: the search finds what is there");
        drop((pair, shared));
        assert_eq!(left(&[secret, agreed].concat()), [], "{group:?}");

        let seed = seed + 1;
        let secret = number("secret", &key(seed, drawn(group)));
        let (public, shared) = deep(|| answer(group, &mut Known(seed), &peer).unwrap());
        let agreed = number("agreed", shared.expose());
        drop((public, shared));
        assert_eq!(left(&[secret, agreed].concat()), [], "{group:?}, of who answers");
    }
}
