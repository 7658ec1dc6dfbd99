//! Whole ESP packets that others wrote (see `vectors/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails its test")]

mod harness;

use adit_crypto::esp_cipher::{Backend, EspCipher, Header};
use adit_crypto::suite::{CipherSuite, Encr, Integ};
use adit_dataplane::contract::{
    DropReason, InboundSpec, Lifetime, Selectors, SequenceNumbers, Spi, TunnelKey, WorkerId,
};
use adit_dataplane::esp::InboundSa;
use adit_dataplane::packet::PacketBuf;
use adit_dataplane::time::Instant;
use harness::{path_v4, whole_world};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: String,
    enc: String,
    enc_key: String,
    salt: Option<String>,
    auth: Option<String>,
    auth_key: String,
    seq: u32,
    seq_hi: Option<u32>,
    iv: String,
    inner: String,
    next_header: u8,
    esp: String,
}

impl Vector {
    fn suite(&self) -> CipherSuite {
        let encr = match (self.enc.as_str(), self.enc_key.len() / 2) {
            ("AES-GCM", 16) => Encr::Aes128Gcm16,
            ("AES-GCM", 32) => Encr::Aes256Gcm16,
            ("CHACHA20-POLY1305", 32) => Encr::ChaCha20Poly1305,
            ("AES-CBC", 16) => Encr::Aes128Cbc,
            ("AES-CBC", 32) => Encr::Aes256Cbc,
            other => panic!("{}: {other:?} is not among adit's", self.name),
        };
        let integ = self.auth.as_deref().map(|auth| match auth {
            "HMAC-SHA1-96" => Integ::HmacSha1_96,
            "SHA2-256-128" => Integ::HmacSha256_128,
            "SHA2-384-192" => Integ::HmacSha384_192,
            "SHA2-512-256" => Integ::HmacSha512_256,
            other => panic!("{}: {other} is not among adit's", self.name),
        });
        CipherSuite::new(encr, integ).unwrap()
    }

    fn cipher(&self, backend: Backend) -> EspCipher {
        let key = hex(&format!("{}{}", self.enc_key, self.salt.as_deref().unwrap_or_default()));
        EspCipher::new(backend, self.suite(), &key, &hex(&self.auth_key)).unwrap()
    }

    fn sa(&self, backend: Backend) -> InboundSa {
        let everything = Selectors { local: whole_world(), remote: whole_world() };
        let numbers = match self.seq_hi {
            None => SequenceNumbers::Plain,
            Some(_) => SequenceNumbers::Extended,
        };
        let spec = InboundSpec {
            tunnel: TunnelKey { worker: WorkerId(0), slot: 0 },
            spi: Spi::new(0x1000_0001).unwrap(),
            cipher: self.cipher(backend),
            numbers,
            window: 1024,
            lifetime: Lifetime::default(),
            selectors: Arc::new(everything),
            counters: Arc::default(),
        };
        let mut sa = InboundSa::new(spec, path_v4(1));
        // So that the guess at the high half is the vector's.
        sa.resume_at((u64::from(self.seq_hi.unwrap_or(0)) << 32 | u64::from(self.seq)).saturating_sub(1000));
        sa
    }

    fn packet(&self) -> PacketBuf {
        let esp = hex(&self.esp);
        let mut packet = PacketBuf::allocate(2048);
        packet.extend_back(esp.len()).unwrap().copy_from_slice(&esp);
        packet
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn every_vector_of_our_algorithms_opens_or_fails_as_it_must() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors/esp_tunnel.json")).unwrap();
    let by_name: BTreeMap<&str, &Vector> = vectors.iter().map(|vector| (vector.name.as_str(), vector)).collect();
    let (mut opened, mut refused, mut sealed) = (0, 0, 0);
    for vector in &vectors {
        for backend in [Backend::AwsLc, Backend::RustCrypto] {
            let mut sa = vector.sa(backend);
            let mut packet = vector.packet();
            let verdict = sa.open(&mut packet, Instant::ZERO);
            if vector.expect == "ok" {
                assert_eq!(verdict, Ok(()), "{}", vector.name);
                assert_eq!(packet.bytes(), hex(&vector.inner), "{}", vector.name);
                assert_eq!(sa.open(&mut vector.packet(), Instant::ZERO), Err(DropReason::Replayed), "{}", vector.name);
                opened += 1;
                if vector.suite().encr().is_aead() {
                    assert_eq!(seal(vector, backend), vector.esp, "{}", vector.name);
                    sealed += 1;
                }
            } else {
                let reason = verdict.expect_err(&vector.name);
                let cause = vector.name.split_once('!').unwrap().1;
                assert!(
                    matches!(
                        (cause, reason),
                        ("seqflip" | "bodyflip" | "icvflip" | "wrong_seq_hi", DropReason::BadIcv)
                            | ("seqflip", DropReason::ZeroSequence)
                            | ("trunc", DropReason::BadIcv | DropReason::Malformed | DropReason::TooShort)
                    ),
                    "{}: {reason:?}",
                    vector.name
                );
                refused += 1;
                if cause == "wrong_seq_hi" {
                    continue;
                }
                // The forgery moved nothing: the packet it was made from still counts as new.
                let genuine = by_name[vector.name.split_once('!').unwrap().0];
                assert_eq!(sa.open(&mut genuine.packet(), Instant::ZERO), Ok(()), "{}", vector.name);
            }
        }
    }
    println!("{opened} opened, {refused} refused, {sealed} sealed alike");
    assert_eq!((opened, refused, sealed), (2 * (407 + 66), 2 * (44 + 55), 2 * (111 + 18)));
}

/// The same plaintext under the same IV, padded as we pad.
fn seal(vector: &Vector, backend: Backend) -> String {
    let cipher = vector.cipher(backend);
    let mut body = hex(&vector.inner);
    let pad_len = (4 - (body.len() + 2) % 4) % 4;
    body.extend(1..=pad_len as u8);
    body.extend([pad_len as u8, vector.next_header]);
    let header = [hex(&vector.esp[..8]), vector.seq.to_be_bytes().to_vec()].concat();
    let counter = u64::from_str_radix(&vector.iv, 16).unwrap();
    let (mut iv, mut icv) = ([0; 8], [0; 16]);
    cipher.seal(Header { bytes: &header, esn_high: vector.seq_hi }, counter, &mut iv, &mut body, &mut icv);
    hex::encode([&header[..], &iv, &body, &icv].concat())
}
