//! Whole ESP packets that others wrote (see `vectors/README.md`): every suite that adit has, by both libraries.
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
use harness::{natt, path_v4, whole_world};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Deserialize)]
struct Set {
    set: String,
    enc: String,
    icv: usize,
    enc_key: String,
    salt: String,
    auth: Option<String>,
    auth_key: String,
    vectors: Vec<Vector>,
}

/// A line of the file.
#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: Expect,
    mode: Mode,
    seq: u32,
    seq_hi: Option<u32>,
    next_header: u8,
    inner: String,
    esp: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Ok,
    Fail,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Tunnel,
    Transport,
}

impl Vector {
    fn numbers(&self) -> SequenceNumbers {
        match self.seq_hi {
            None => SequenceNumbers::Plain,
            Some(_high) => SequenceNumbers::Extended,
        }
    }

    fn packet(&self) -> PacketBuf {
        let esp = hex(&self.esp);
        let mut packet = PacketBuf::allocate(2048);
        packet.extend_back(esp.len()).unwrap().copy_from_slice(&esp);
        packet
    }
}

impl Set {
    fn suite(&self) -> CipherSuite {
        let bits = self.enc_key.len() / 2 * 8;
        let name = match (self.enc.as_str(), self.auth.as_deref()) {
            ("AES-GCM", None) => format!("aes{bits}gcm{}", self.icv),
            ("AES-CCM", None) => format!("aes{bits}ccm{}", self.icv),
            ("AES-NULL-GMAC", None) => format!("aes{bits}gmac"),
            ("CHACHA20-POLY1305", None) => "chacha20poly1305".to_owned(),
            ("AES-CBC", Some(_)) => format!("aes{bits}"),
            ("3DES", Some(_)) => "3des".to_owned(),
            ("NULL", Some(_)) => "null".to_owned(),
            other => panic!("{}: {other:?} is not among adit's", self.set),
        };
        let encr = Encr::ALL.into_iter().find(|encr| encr.name() == name).expect(&name);
        let integ = self.auth.as_deref().map(|auth| match auth {
            "HMAC-MD5-96" => Integ::HmacMd5_96,
            "HMAC-SHA1-96" => Integ::HmacSha1_96,
            "SHA2-256-128" => Integ::HmacSha256_128,
            "SHA2-384-192" => Integ::HmacSha384_192,
            "SHA2-512-256" => Integ::HmacSha512_256,
            other => panic!("{}: {other} is not among adit's", self.set),
        });
        let suite = CipherSuite::new(encr, integ).unwrap();
        assert_eq!(suite.icv_len(), self.icv, "{}", self.set);
        suite
    }

    fn cipher(&self, backend: Backend) -> EspCipher {
        let key = hex(&format!("{}{}", self.enc_key, self.salt));
        EspCipher::new(backend, self.suite(), &key, &hex(&self.auth_key)).unwrap()
    }

    /// An SA that awaits this vector.
    fn sa(&self, vector: &Vector, backend: Backend) -> InboundSa {
        let everything = Selectors { local: whole_world(), remote: whole_world() };
        let spec = InboundSpec {
            tunnel: TunnelKey { worker: WorkerId(0), slot: 0 },
            spi: Spi::new(0x1000_0001).unwrap(),
            cipher: self.cipher(backend),
            numbers: vector.numbers(),
            window: 1024,
            lifetime: Lifetime::default(),
            selectors: Arc::new(everything),
            counters: Arc::default(),
        };
        let mut sa = InboundSa::new(spec, natt(path_v4(1)));
        // So that the guess at the high half is the vector's.
        sa.resume_at((u64::from(vector.seq_hi.unwrap_or(0)) << 32 | u64::from(vector.seq)).saturating_sub(1000));
        sa
    }

    /// What the cipher alone makes of the packet: payload and next header.
    fn payload(&self, vector: &Vector, backend: Backend) -> Option<(Vec<u8>, u8)> {
        let cipher = self.cipher(backend);
        let esp = hex(&vector.esp);
        let (front, rest) = esp.split_at_checked(8)?;
        let (iv, rest) = rest.split_at_checked(cipher.suite().encr().iv_len())?;
        let mut body = rest.to_vec();
        cipher.open(Header { bytes: front, esn_high: vector.seq_hi }, iv, &mut body).ok()?;
        body.truncate(body.len() - self.icv);
        let next_header = body.pop().unwrap();
        let pad_len = usize::from(body.pop().unwrap());
        let padding = body.split_off(body.len() - pad_len);
        assert!(padding.iter().copied().eq(1..=pad_len as u8), "{}", vector.name);
        Some((body, next_header))
    }

    /// The packet made again from its plaintext, padded as we pad.
    fn seal(&self, vector: &Vector, backend: Backend) -> String {
        let cipher = self.cipher(backend);
        let iv_len = cipher.suite().encr().iv_len();
        let esp = hex(&vector.esp);
        let header = &esp[..8];
        assert_eq!(header[4..], vector.seq.to_be_bytes(), "{}", vector.name);
        let counter = esp[8..8 + iv_len].iter().fold(0, |counter, octet| counter << 8 | u64::from(*octet));
        let mut body = hex(&vector.inner);
        let pad_len = (4 - (body.len() + 2) % 4) % 4;
        body.extend(1..=pad_len as u8);
        body.extend([pad_len as u8, vector.next_header]);
        let (mut iv, mut icv) = (vec![0; iv_len], vec![0; self.icv]);
        let header = Header { bytes: header, esn_high: vector.seq_hi };
        cipher.seal(header, counter, &mut iv, &mut body, &mut icv);
        hex::encode([header.bytes, &iv, &body, &icv].concat())
    }

    /// The vector that a broken one was made from.
    fn genuine(&self, broken: &Vector) -> &Vector {
        let (name, _what) = broken.name.split_once('!').unwrap();
        self.vectors.iter().find(|vector| vector.name == name).unwrap()
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn sets() -> Vec<Set> {
    let scapy: Vec<Set> = serde_json::from_str(include_str!("vectors/esp_scapy.json")).unwrap();
    let pycryptodome: Vec<Set> = serde_json::from_str(include_str!("vectors/esp_pycryptodome.json")).unwrap();
    assert_eq!(scapy.iter().map(|set| set.vectors.len()).sum::<usize>(), 1350);
    assert_eq!(pycryptodome.iter().map(|set| set.vectors.len()).sum::<usize>(), 704);
    scapy.into_iter().chain(pycryptodome).collect()
}

#[test]
fn no_suite_is_without_vectors() {
    let names = |suites: &mut dyn Iterator<Item = CipherSuite>| {
        suites.map(|suite| suite.to_string()).collect::<BTreeSet<String>>()
    };
    let have = names(&mut sets().iter().map(Set::suite));
    assert_eq!(have, names(&mut CipherSuite::all()));
    assert_eq!(have.len(), 47);
}

/// How many vectors of each kind did what they must.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    opened: usize,
    not_for_a_tunnel: usize,
    refused: usize,
    opened_with_esn: usize,
    refused_with_esn: usize,
    sealed_alike: usize,
}

#[test]
fn every_vector_opens_or_fails_as_it_must() {
    for backend in [Backend::AwsLc, Backend::RustCrypto] {
        let mut tally = Tally::default();
        for set in &sets() {
            for vector in &set.vectors {
                open(set, vector, backend, &mut tally);
                let iv_is_the_counter = set.suite().encr().is_aead() || set.suite().encr() == Encr::Null;
                if iv_is_the_counter && (vector.expect, vector.mode) == (Expect::Ok, Mode::Tunnel) {
                    assert_eq!(set.seal(vector, backend), vector.esp, "{} {}", set.set, vector.name);
                    tally.sealed_alike += 1;
                }
            }
        }
        let must = Tally {
            opened: 25 * 37 + 22 * 20,
            not_for_a_tunnel: 25 * 2,
            refused: 25 * 4 + 22 * 4,
            opened_with_esn: 25 * 6 + 22 * 3,
            refused_with_esn: 25 * 5 + 22 * 5,
            sealed_alike: 10 * 43 + 17 * 23,
        };
        assert_eq!(tally, must, "{backend:?}");
    }
}

fn open(set: &Set, vector: &Vector, backend: Backend, tally: &mut Tally) {
    let name = format!("{} {} {backend:?}", set.set, vector.name);
    let mut sa = set.sa(vector, backend);
    let mut packet = vector.packet();
    let verdict = sa.open(&mut packet, Instant::ZERO);
    match (vector.expect, vector.mode) {
        (Expect::Ok, Mode::Tunnel) => {
            assert_eq!(verdict, Ok(()), "{name}");
            assert_eq!(packet.bytes(), hex(&vector.inner), "{name}");
            assert_eq!(sa.open(&mut vector.packet(), Instant::ZERO), Err(DropReason::Replayed), "{name}");
            match vector.numbers() {
                SequenceNumbers::Plain => tally.opened += 1,
                SequenceNumbers::Extended => tally.opened_with_esn += 1,
            }
        }
        (Expect::Ok, Mode::Transport) => {
            // Authentic, so its number is used up; but there is no packet inside.
            assert_eq!(verdict, Err(DropReason::BadNextHeader), "{name}");
            assert_eq!(sa.open(&mut vector.packet(), Instant::ZERO), Err(DropReason::Replayed), "{name}");
            let inner = hex(&vector.inner);
            let ip_header = if inner[0] >> 4 == 4 { 20 } else { 40 };
            let payload = (inner[ip_header..].to_vec(), vector.next_header);
            assert_eq!(set.payload(vector, backend), Some(payload), "{name}");
            tally.not_for_a_tunnel += 1;
        }
        (Expect::Fail, Mode::Tunnel | Mode::Transport) => {
            let reason = verdict.expect_err(&name);
            let cause = vector.name.split_once('!').unwrap().1;
            assert!(
                matches!(
                    (cause, reason),
                    ("seqflip" | "bodyflip" | "icvflip" | "wrong_seq_hi", DropReason::BadIcv)
                        | ("seqflip", DropReason::ZeroSequence)
                        | ("trunc", DropReason::BadIcv | DropReason::Malformed | DropReason::TooShort)
                ),
                "{name}: {reason:?}"
            );
            match vector.numbers() {
                SequenceNumbers::Plain => tally.refused += 1,
                SequenceNumbers::Extended => tally.refused_with_esn += 1,
            }
            // Its original has another high half than this SA awaits.
            if cause == "wrong_seq_hi" {
                return;
            }
            // The forgery moved nothing: the packet it was made from still counts as new.
            assert_eq!(sa.open(&mut set.genuine(vector).packet(), Instant::ZERO), Ok(()), "{name}");
        }
    }
}
