//! One keyed cipher for ESP packets (and IKE's SK payload), over two backends.

use crate::suite::CipherSuite;

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
pub struct EspCipher {
    suite: CipherSuite,
}

impl EspCipher {
    /// Sets the keys up. `encr_key` ends with the salt for an AEAD (RFC 4106 section 8.1).
    pub fn new(backend: Backend, suite: CipherSuite, encr_key: &[u8], integ_key: &[u8]) -> Result<Self, BadKeyLength> {
        let _ = (backend, encr_key, integ_key);
        Ok(Self { suite })
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The backend that was chosen (never `Auto`).
    pub fn backend(&self) -> Backend {
        todo!()
    }

    /// Encrypts `body` in place, writes the explicit IV and the ICV.
    ///
    /// `counter` must never repeat under one key: an AEAD sends it as the IV, CBC encrypts it with the
    /// same key to get an IV that nobody can predict (NIST SP 800-38A appendix C).
    /// `iv`, `body` and `icv` have the suite's lengths; `body` is a multiple of the block.
    pub fn seal(&self, header: Header<'_>, counter: u64, iv: &mut [u8], body: &mut [u8], icv: &mut [u8]) {
        let _ = (header, counter, iv, body, icv);
        todo!()
    }

    /// Verifies, then decrypts in place. `body_and_icv` is ciphertext followed by the ICV; afterwards its
    /// front is plaintext and its tail is meaningless. On error `body_and_icv` holds no plaintext.
    pub fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let _ = (header, iv, body_and_icv);
        todo!()
    }
}
