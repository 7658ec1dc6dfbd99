//! One keyed cipher for ESP packets (and IKE's SK payload), over two backends.

use std::fmt;

use crate::aead::Aead;
use crate::backend::Refused;
use crate::backend::aws_lc::{AwsLcAead, AwsLcCbc, AwsLcMac};
use crate::backend::rustcrypto::{RustCryptoAead, RustCryptoCbc, RustCryptoMac};
use crate::cbc_hmac::CbcHmac;
use crate::suite::{CipherSuite, Integ};

/// Which library does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// The fastest for this CPU, found at start-up.
    #[default]
    Auto,
    /// `aws-lc-rs`.
    AwsLc,
    /// The RustCrypto crates (`aes-gcm`, `chacha20poly1305`, `cbc`, `hmac`).
    RustCrypto,
}

impl Backend {
    /// The name used in config and views.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AwsLc => "aws-lc",
            Self::RustCrypto => "rustcrypto",
        }
    }
}

/// Key material has the wrong length for the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key material does not fit {suite}: want {want_encr}+{want_integ} octets, got {got_encr}+{got_integ}")]
pub struct BadKeyLength {
    /// The suite asked for.
    pub suite: CipherSuite,
    /// Octets of encryption key (with salt) wanted.
    pub want_encr: usize,
    /// Octets of integrity key wanted.
    pub want_integ: usize,
    /// Octets of encryption key given.
    pub got_encr: usize,
    /// Octets of integrity key given.
    pub got_integ: usize,
}

/// The ICV does not verify. Nothing else is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("integrity check failed")]
pub struct BadIcv;

/// What is authenticated but not encrypted, before the IV.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// ESP: SPI and sequence number (8 octets). IKE: the message up to and with the SK payload's generic header.
    pub bytes: &'a [u8],
    /// The high half of an extended sequence number: between SPI and sequence number for an AEAD
    /// (RFC 4106 section 5), after the ciphertext for an HMAC (RFC 4303 section 2.2.1).
    pub esn_high: Option<u32>,
}

impl<'a> From<&'a [u8]> for Header<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, esn_high: None }
    }
}

/// A cipher with its keys set up. Made once per SA and direction; sealing and opening allocate nothing.
/// Key schedules are wiped when it is dropped.
pub struct EspCipher {
    suite: CipherSuite,
    keys: Keys,
}

/// AWS-LC keeps its AEAD state behind a pointer of its own; the boxes keep the others from making that variant big.
enum Keys {
    AwsLcAead(Aead<AwsLcAead>),
    RustCryptoAead(Box<Aead<RustCryptoAead>>),
    AwsLcCbcHmac(Box<CbcHmac<AwsLcCbc, AwsLcMac>>),
    AwsLcCbcRustCryptoHmac(Box<CbcHmac<AwsLcCbc, RustCryptoMac>>),
    RustCryptoCbcHmac(Box<CbcHmac<RustCryptoCbc, RustCryptoMac>>),
}

impl EspCipher {
    /// Sets the keys up. `encr_key` ends with the salt for an AEAD (RFC 4106 section 8.1).
    pub fn new(backend: Backend, suite: CipherSuite, encr_key: &[u8], integ_key: &[u8]) -> Result<Self, BadKeyLength> {
        let bad_length = BadKeyLength {
            suite,
            want_encr: suite.encr().key_len(),
            want_integ: suite.integ_key_len(),
            got_encr: encr_key.len(),
            got_integ: integ_key.len(),
        };
        if bad_length.want_encr != bad_length.got_encr || bad_length.want_integ != bad_length.got_integ {
            return Err(bad_length);
        }
        let encr = suite.encr();
        let keys = match suite.integ() {
            None => match backend.for_suite(suite) {
                Chosen::AwsLc | Chosen::AwsLcCbcRustCryptoHmac => Aead::new(encr, encr_key).map(Keys::AwsLcAead),
                Chosen::RustCrypto => Aead::new(encr, encr_key).map(|keys| Keys::RustCryptoAead(Box::new(keys))),
            },
            Some(integ) => match backend.for_suite(suite) {
                Chosen::AwsLc => {
                    CbcHmac::new(encr, encr_key, integ, integ_key).map(|keys| Keys::AwsLcCbcHmac(Box::new(keys)))
                }
                Chosen::AwsLcCbcRustCryptoHmac => CbcHmac::new(encr, encr_key, integ, integ_key)
                    .map(|keys| Keys::AwsLcCbcRustCryptoHmac(Box::new(keys))),
                Chosen::RustCrypto => {
                    CbcHmac::new(encr, encr_key, integ, integ_key).map(|keys| Keys::RustCryptoCbcHmac(Box::new(keys)))
                }
            },
        };
        keys.map(|keys| Self { suite, keys }).ok_or(bad_length)
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The backend that encrypts (never `Auto`). Under `Auto`, CBC on AWS-LC may take its HMAC from RustCrypto.
    pub fn backend(&self) -> Backend {
        match self.keys {
            Keys::AwsLcAead(_) | Keys::AwsLcCbcHmac(_) | Keys::AwsLcCbcRustCryptoHmac(_) => Backend::AwsLc,
            Keys::RustCryptoAead(_) | Keys::RustCryptoCbcHmac(_) => Backend::RustCrypto,
        }
    }

    /// Encrypts `body` in place, writes the explicit IV and the ICV.
    ///
    /// `counter` must never repeat under one key: an AEAD sends it as the IV, CBC encrypts it with the
    /// same key to get an IV that nobody can predict (NIST SP 800-38A appendix C).
    /// `iv`, `body` and `icv` have the suite's lengths; `body` is a multiple of the block; with `esn_high` the
    /// header is SPI and sequence number. A caller that gets this wrong trips an assertion in a debug build;
    /// in a release build IV, body and ICV become zeros, so that the peer drops the packet and no plaintext leaves.
    #[inline]
    pub fn seal(&self, header: Header<'_>, counter: u64, iv: &mut [u8], body: &mut [u8], icv: &mut [u8]) {
        let sealed = match &self.keys {
            Keys::AwsLcAead(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::RustCryptoAead(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::AwsLcCbcHmac(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::AwsLcCbcRustCryptoHmac(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::RustCryptoCbcHmac(keys) => keys.seal(header, counter, iv, body, icv),
        };
        if sealed == Err(Refused) {
            iv.fill(0);
            body.fill(0);
            icv.fill(0);
            debug_assert!(false, "wrong lengths: iv {}, body {}, icv {}", iv.len(), body.len(), icv.len());
        }
    }

    /// Verifies, then decrypts in place. `body_and_icv` is ciphertext followed by the ICV; afterwards its
    /// front is plaintext and its tail is meaningless. On error `body_and_icv` holds no plaintext.
    ///
    /// Lengths come from the network here: one that cannot be right is a `BadIcv` like any other.
    #[inline]
    pub fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        debug_assert_eq!(iv.len(), self.suite.encr().iv_len(), "the IV has the suite's length");
        match &self.keys {
            Keys::AwsLcAead(keys) => keys.open(header, iv, body_and_icv),
            Keys::RustCryptoAead(keys) => keys.open(header, iv, body_and_icv),
            Keys::AwsLcCbcHmac(keys) => keys.open(header, iv, body_and_icv),
            Keys::AwsLcCbcRustCryptoHmac(keys) => keys.open(header, iv, body_and_icv),
            Keys::RustCryptoCbcHmac(keys) => keys.open(header, iv, body_and_icv),
        }
    }
}

impl fmt::Debug for EspCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EspCipher")
            .field("suite", &self.suite)
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

/// [`Backend`] once `Auto` is decided.
#[derive(Clone, Copy)]
enum Chosen {
    AwsLc,
    RustCrypto,
    AwsLcCbcRustCryptoHmac,
}

impl Backend {
    /// What `Auto` means in a build for the baseline CPU, measured on Zen 4 (ns per packet, sealing):
    ///
    /// ```text
    ///                        64 octets                1408 octets
    ///                  aws-lc  RustCrypto  both   aws-lc  RustCrypto  both
    /// AES-128-GCM          91         191              240         714
    /// ChaCha20-Poly1305    195        1582             736        2568
    /// AES-128-CBC/SHA1     374         257   282      2026        2151  1898
    /// AES-256-CBC/SHA2-256 409         311   285      2496        2621  2351
    /// ```
    ///
    /// So AWS-LC for the AEADs at every size. For CBC its block cipher, but the RustCrypto HMAC, whose keyed
    /// state is cheaper to copy, where the CPU has the SHA instructions that make it as fast per octet.
    fn for_suite(self, suite: CipherSuite) -> Chosen {
        match self {
            Self::AwsLc => Chosen::AwsLc,
            Self::RustCrypto => Chosen::RustCrypto,
            Self::Auto => match suite.integ() {
                Some(Integ::HmacSha1_96 | Integ::HmacSha256_128) if cpu_has_sha() => Chosen::AwsLcCbcRustCryptoHmac,
                Some(_) | None => Chosen::AwsLc,
            },
        }
    }
}

/// Whether SHA-1 and SHA-256 are instructions of this CPU. Asked when keys are set up, never per packet.
fn cpu_has_sha() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("sha")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
