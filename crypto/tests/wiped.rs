//! A cipher that is gone has left its key nowhere in the memory of this process.
//!
//! The only test of this file: a neighbour's keys would be searched through too.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::suite::{CipherSuite, Encr};
use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use zeroize::{Zeroize, Zeroizing};

/// What is searched for is held this way only, so that the search does not find itself.
const MASK: u8 = 0x5a;

/// Octets that differ for every suite and library.
fn octet(seed: usize, at: usize) -> u8 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at as u32 * 7) ^ at as u64;
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as u8
}

/// Places in writable memory that hold the first 16 octets of this key: the first round key of every AES-NI schedule.
fn places(seed: usize) -> usize {
    let masked: Vec<u8> = (0..16).map(|at| octet(seed, at) ^ MASK).collect();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found = 0;
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
            found += buffer[..len]
                .windows(masked.len())
                .enumerate()
                .filter(|(offset, window)| {
                    let address = at as usize + offset;
                    let in_buffer = (own.start as usize..own.end as usize).contains(&address);
                    !in_buffer
                        && window[0] ^ MASK == masked[0]
                        && window.iter().zip(&masked).all(|(a, b)| a ^ MASK == *b)
                })
                .count();
            // Chunks overlap, so that a key across two of them is whole in one.
            at += if at + (len as u64) < to { len as u64 - 15 } else { len as u64 };
        }
    }
    buffer.zeroize();
    found
}

fn set_up(backend: Backend, encr: Encr, seed: usize) -> EspCipher {
    let key: Zeroizing<Vec<u8>> = Zeroizing::new((0..encr.key_len()).map(|at| octet(seed, at)).collect());
    EspCipher::new(backend, CipherSuite::new(encr, None).unwrap(), &key, &[]).unwrap()
}

#[test]
fn a_dropped_cipher_has_left_its_key_nowhere() {
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
        // On a CPU without AES instructions the schedules look otherwise, and this test has nothing to find.
        if std::arch::is_x86_feature_detected!("aes") {
            assert_ne!(places(seed), 0, "{backend:?} {encr:?}: the search finds what is there");
        }
        drop(cipher);
        assert_eq!(places(seed), 0, "{backend:?} {encr:?}");
    }
}
