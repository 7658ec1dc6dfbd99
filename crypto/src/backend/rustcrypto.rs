//! The RustCrypto crates: portable, no C. Their `zeroize` features wipe key schedules when dropped.

use aes_gcm::aead::{AeadCore, AeadInOut};
use cbc::cipher::array::{Array, ArraySize};
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit,
};
use cbc::{Decryptor, Encryptor};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::{AeadKey, BlockKey, KeptBySa, MacKey, Refused};
use crate::esp_cipher::{Backend, Header};
use crate::suite::Integ;

/// An AEAD of these crates.
pub(crate) struct RustCryptoAead<A>(A);

impl<A: KeyInit> RustCryptoAead<A> {
    /// `None` if `key` (without salt) has not its length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        A::new_from_slice(key).ok().map(Self)
    }
}

impl<A, const NONCE: usize, const ICV: usize> AeadKey<NONCE, ICV> for RustCryptoAead<A>
where
    A: AeadInOut + KeptBySa,
    <A as AeadCore>::NonceSize: ArraySize<ArrayType<u8> = [u8; NONCE]>,
    <A as AeadCore>::TagSize: ArraySize<ArrayType<u8> = [u8; ICV]>,
{
    fn seal(&self, nonce: [u8; NONCE], aad: &[u8], body: &mut [u8], icv: &mut [u8; ICV]) -> Result<(), Refused> {
        *icv = self.0.encrypt_inout_detached(&Array(nonce), aad, body.into()).map_err(|_| Refused)?.0;
        Ok(())
    }

    fn open(&self, nonce: [u8; NONCE], aad: &[u8], body: &mut [u8], icv: &[u8; ICV]) -> Result<(), Refused> {
        // GCM and ChaCha20-Poly1305 verify first and leave the ciphertext alone when the tag is wrong. CCM has to
        // decrypt to verify, and clears what it decrypted.
        self.0.decrypt_inout_detached(&Array(nonce), aad, body.into(), &Array(*icv)).map_err(|_| Refused)
    }
}

/// A block cipher of these crates, for unpadded CBC.
pub(crate) struct RustCryptoCbc<C>(C);

impl<C: KeyInit> RustCryptoCbc<C> {
    /// `None` if `key` has not its length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        C::new_from_slice(key).ok().map(Self)
    }
}

impl<C, const BLOCK: usize> BlockKey<BLOCK> for RustCryptoCbc<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + KeptBySa,
    <C as BlockSizeUser>::BlockSize: ArraySize<ArrayType<u8> = [u8; BLOCK]>,
{
    fn encrypt(&self, iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), Refused> {
        let (blocks, rest) = Array::slice_as_chunks_mut(body);
        if !rest.is_empty() {
            return Err(Refused);
        }
        Encryptor::inner_iv_init(&self.0, &Array(*iv)).encrypt_blocks(blocks);
        Ok(())
    }

    fn decrypt(&self, iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), Refused> {
        let (blocks, rest) = Array::slice_as_chunks_mut(body);
        if !rest.is_empty() {
            return Err(Refused);
        }
        Decryptor::inner_iv_init(&self.0, &Array(*iv)).decrypt_blocks(blocks);
        Ok(())
    }
}

pub(crate) enum RustCryptoMac {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl MacKey for RustCryptoMac {
    const BACKEND: Backend = Backend::RustCrypto;

    fn new(integ: Integ, key: &[u8]) -> Option<Self> {
        Some(match integ {
            Integ::HmacMd5_96 => Self::Md5(keyed(key)),
            Integ::HmacSha1_96 => Self::Sha1(keyed(key)),
            Integ::HmacSha256_128 => Self::Sha256(keyed(key)),
            Integ::HmacSha384_192 => Self::Sha384(keyed(key)),
            Integ::HmacSha512_256 => Self::Sha512(keyed(key)),
        })
    }

    fn tag<R>(&self, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Md5(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha1(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha256(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha384(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha512(mac) => tag(mac.clone(), header, iv, body, use_tag),
        }
    }
}

/// An HMAC with its key absorbed.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 section 2); the error cannot occur")]
pub(crate) fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn tag<M: Mac, R>(mut mac: M, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R {
    mac.update(header.bytes);
    mac.update(iv);
    mac.update(body);
    if let Some(high) = header.esn_high {
        mac.update(&high.to_be_bytes());
    }
    use_tag(&mac.finalize().into_bytes())
}
