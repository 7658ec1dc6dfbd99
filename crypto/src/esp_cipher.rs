//! One keyed cipher for ESP packets (and IKE's SK payload), over three backends.

use std::fmt;

use crate::aead::Aead;
use crate::backend::Refused;
use crate::backend::aws_lc::AwsLcAead;
use crate::backend::choice::set_up;
use crate::backend::ring::RingGcm;
use crate::frame::Frame;
use crate::suite::CipherSuite;
use crate::wiping::{FOR_KEYS, wiping};

/// Which library does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// The fastest for this CPU, found at start-up.
    #[default]
    Auto,
    /// `aws-lc-rs`; what it does not have (CCM, GCM with a short ICV, Triple DES, MD5) comes from RustCrypto.
    AwsLc,
    /// `ring` for AES-GCM with keys of 128 and 256 bits and an ICV of 16 octets; all else as with [`Self::AwsLc`].
    Ring,
    /// The RustCrypto crates (`aes-gcm`, `ccm`, `chacha20poly1305`, `cbc`, `hmac`).
    RustCrypto,
}

impl Backend {
    /// The name used in config and views.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AwsLc => "aws-lc",
            Self::Ring => "ring",
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
    backend: Backend,
    keys: Keys,
}

/// The AEADs that nearly every packet uses are called directly; their key schedules lie in memory of their own.
pub(crate) enum Keys {
    AwsLc(Aead<AwsLcAead, 12, 16>),
    Ring(Aead<RingGcm, 12, 16>),
    Other(Box<dyn Frame>),
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
        let keyed = wiping::<FOR_KEYS, _>(|| set_up(backend, suite, encr_key, integ_key));
        let (keys, backend) = keyed.ok_or(bad_length)?;
        Ok(Self { suite, backend, keys })
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The backend that encrypts (never `Auto`), or authenticates where nothing is encrypted. Under `Auto`, CBC on
    /// AWS-LC may take its HMAC from RustCrypto.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Encrypts `body` in place, writes the explicit IV and the ICV.
    ///
    /// `counter` must never repeat under one key: an AEAD sends it as the IV, CBC encrypts it with the
    /// same key to get an IV that nobody can predict (NIST SP 800-38A appendix C), an HMAC alone has no use for it.
    /// `iv`, `body` and `icv` have the suite's lengths; `body` is a multiple of the block; with `esn_high` the
    /// header is SPI and sequence number. A caller that gets this wrong trips an assertion in a debug build;
    /// in a release build IV, body and ICV become zeros, so that the peer drops the packet and no plaintext leaves.
    #[inline]
    pub fn seal(&self, header: Header<'_>, counter: u64, iv: &mut [u8], body: &mut [u8], icv: &mut [u8]) {
        let sealed = match &self.keys {
            Keys::Ring(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::AwsLc(keys) => keys.seal(header, counter, iv, body, icv),
            Keys::Other(keys) => keys.seal(header, counter, iv, body, icv),
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
            Keys::Ring(keys) => keys.open(header, iv, body_and_icv),
            Keys::AwsLc(keys) => keys.open(header, iv, body_and_icv),
            Keys::Other(keys) => keys.open(header, iv, body_and_icv),
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
