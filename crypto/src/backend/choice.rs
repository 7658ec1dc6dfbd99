//! Which library does what.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::consts::{U8, U11, U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use des::TdesEde3;

use super::aws_lc::{AwsLcAead, AwsLcCbc, AwsLcMac};
use super::ring::RingGcm;
use super::rustcrypto::{RustCryptoAead, RustCryptoCbc, RustCryptoMac};
use super::{AeadKey, BlockKey, KeptBySa, MacKey};
use crate::aead::Aead;
use crate::cbc_hmac::CbcHmac;
use crate::esp_cipher::{Backend, Keys};
use crate::frame::Frame;
use crate::gmac::Gmac;
use crate::null_hmac::NullHmac;
use crate::suite::{CipherSuite, Encr, Integ};
use crate::truncated_mac::TruncatedMac;

/// Keys set up, and by whom.
type SetUp = Option<(Keys, Backend)>;

/// Sets the keys up in `wanted`, or in the other library where that one has no such algorithm. `None` if a key has
/// not its length.
///
/// What `Auto` means in a build for the baseline CPU, measured on Zen 4 (sealing):
///
/// ```text
/// clocks of the TSC               64     128     256     512    1024    1424 octets
/// AES-128-GCM      ring          218     255     312     356     555     778    VAES, VPCLMULQDQ, AVX2
///                  aws-lc        314     427     428     589    1103    1403    without AVX-512
///                  RustCrypto    340     350     462     690    1439    2181
///
/// ns per packet          64 octets                1408 octets
///                  aws-lc  RustCrypto  both   aws-lc  RustCrypto  both
/// ChaCha20-Poly1305    195        1582             736        2568
/// AES-128-CBC/SHA1     374         257   282      2026        2151  1898
/// AES-256-CBC/SHA2-256 409         311   285      2496        2621  2351
/// ```
///
/// So `ring` for AES-GCM, at every size, where the CPU has what makes it fast; with AVX-512 AWS-LC comes up to it at
/// 1400 octets and not before, and without VAES both run the same kind of code. AWS-LC for ChaCha20-Poly1305. For CBC
/// its block cipher, but the RustCrypto HMAC, whose keyed state is cheaper to copy, where the CPU has the SHA
/// instructions that make it as fast per octet.
pub(crate) fn set_up(wanted: Backend, suite: CipherSuite, encr_key: &[u8], integ_key: &[u8]) -> SetUp {
    let encr = suite.encr();
    match (suite.integ(), wanted) {
        (None, Backend::Auto) if cpu_has_vaes() => aead_of_ring(encr, encr_key),
        (None, Backend::Ring) => aead_of_ring(encr, encr_key),
        (None, Backend::Auto | Backend::AwsLc) => aead_of_aws_lc(encr, encr_key),
        (None, Backend::RustCrypto) => aead_of_rustcrypto(encr, encr_key),
        (Some(integ), _) => match mac_library(wanted, integ) {
            Backend::RustCrypto => {
                with_hmac(wanted, encr, encr_key, TruncatedMac::<RustCryptoMac>::new(integ, integ_key)?)
            }
            Backend::AwsLc | Backend::Ring | Backend::Auto => {
                with_hmac(wanted, encr, encr_key, TruncatedMac::<AwsLcMac>::new(integ, integ_key)?)
            }
        },
    }
}

/// What it lacks comes from AWS-LC, and what that lacks from RustCrypto.
fn aead_of_ring(encr: Encr, key: &[u8]) -> SetUp {
    match encr {
        Encr::Aes128Gcm16 | Encr::Aes256Gcm16 => Some((Keys::Ring(Aead::new(key, RingGcm::new)?), Backend::Ring)),
        _not_in_ring => aead_of_aws_lc(encr, key),
    }
}

/// What it lacks comes from RustCrypto.
fn aead_of_aws_lc(encr: Encr, key: &[u8]) -> SetUp {
    let keys = match encr {
        Encr::Aes128Gcm16 | Encr::Aes192Gcm16 | Encr::Aes256Gcm16 => Keys::AwsLc(Aead::new(key, AwsLcAead::gcm)?),
        Encr::ChaCha20Poly1305 => Keys::AwsLc(Aead::new(key, AwsLcAead::chacha20_poly1305)?),
        Encr::Aes128Gmac | Encr::Aes192Gmac | Encr::Aes256Gmac => {
            Keys::Other(Box::new(Gmac::new(key, AwsLcAead::gcm)?))
        }
        _not_in_aws_lc => return aead_of_rustcrypto(encr, key),
    };
    Some((keys, Backend::AwsLc))
}

fn aead_of_rustcrypto(encr: Encr, key: &[u8]) -> SetUp {
    let keys = match encr {
        Encr::Aes128Gcm16 => aead::<Aes128Gcm, 12, 16>(key),
        Encr::Aes192Gcm16 => aead::<AesGcm<Aes192, U12, U16>, 12, 16>(key),
        Encr::Aes256Gcm16 => aead::<Aes256Gcm, 12, 16>(key),
        Encr::ChaCha20Poly1305 => aead::<ChaCha20Poly1305, 12, 16>(key),
        Encr::Aes128Gcm12 => aead::<AesGcm<Aes128, U12, U12>, 12, 12>(key),
        Encr::Aes192Gcm12 => aead::<AesGcm<Aes192, U12, U12>, 12, 12>(key),
        Encr::Aes256Gcm12 => aead::<AesGcm<Aes256, U12, U12>, 12, 12>(key),
        Encr::Aes128Gcm8 => aead::<AesGcm<Aes128, U12, U8>, 12, 8>(key),
        Encr::Aes192Gcm8 => aead::<AesGcm<Aes192, U12, U8>, 12, 8>(key),
        Encr::Aes256Gcm8 => aead::<AesGcm<Aes256, U12, U8>, 12, 8>(key),
        // RFC 4309 section 4: a nonce of 11 octets, and so a counter of 4.
        Encr::Aes128Ccm16 => aead::<Ccm<Aes128, U16, U11>, 11, 16>(key),
        Encr::Aes192Ccm16 => aead::<Ccm<Aes192, U16, U11>, 11, 16>(key),
        Encr::Aes256Ccm16 => aead::<Ccm<Aes256, U16, U11>, 11, 16>(key),
        Encr::Aes128Ccm12 => aead::<Ccm<Aes128, U12, U11>, 11, 12>(key),
        Encr::Aes192Ccm12 => aead::<Ccm<Aes192, U12, U11>, 11, 12>(key),
        Encr::Aes256Ccm12 => aead::<Ccm<Aes256, U12, U11>, 11, 12>(key),
        Encr::Aes128Ccm8 => aead::<Ccm<Aes128, U8, U11>, 11, 8>(key),
        Encr::Aes192Ccm8 => aead::<Ccm<Aes192, U8, U11>, 11, 8>(key),
        Encr::Aes256Ccm8 => aead::<Ccm<Aes256, U8, U11>, 11, 8>(key),
        Encr::Aes128Gmac => gmac::<Aes128Gcm>(key),
        Encr::Aes192Gmac => gmac::<AesGcm<Aes192, U12, U16>>(key),
        Encr::Aes256Gmac => gmac::<Aes256Gcm>(key),
        Encr::Aes128Cbc | Encr::Aes192Cbc | Encr::Aes256Cbc | Encr::TripleDesCbc | Encr::Null => None,
    };
    keys.map(|keys| (Keys::Other(keys), Backend::RustCrypto))
}

fn aead<A, const NONCE: usize, const ICV: usize>(key_and_salt: &[u8]) -> Option<Box<dyn Frame>>
where
    A: AeadInOut + KeyInit + KeptBySa,
    RustCryptoAead<A>: AeadKey<NONCE, ICV>,
{
    let frame = Aead::<RustCryptoAead<A>, NONCE, ICV>::new(key_and_salt, RustCryptoAead::new)?;
    Some(Box::new(frame))
}

fn gmac<A>(key_and_salt: &[u8]) -> Option<Box<dyn Frame>>
where
    A: AeadInOut + KeyInit + KeptBySa,
    RustCryptoAead<A>: AeadKey<12, 16>,
{
    Some(Box::new(Gmac::<RustCryptoAead<A>>::new(key_and_salt, RustCryptoAead::new)?))
}

/// Never `Auto`.
fn mac_library(wanted: Backend, integ: Integ) -> Backend {
    match (wanted, integ) {
        (_, Integ::HmacMd5_96) | (Backend::RustCrypto, _) => Backend::RustCrypto,
        (Backend::Auto, Integ::HmacSha1_96 | Integ::HmacSha256_128) if cpu_has_sha() => Backend::RustCrypto,
        (Backend::Auto | Backend::AwsLc | Backend::Ring, _) => Backend::AwsLc,
    }
}

fn with_hmac<M: MacKey>(wanted: Backend, encr: Encr, key: &[u8], mac: TruncatedMac<M>) -> SetUp {
    let (frame, by) = match (encr, wanted) {
        (Encr::Null, _) => (Some(Box::new(NullHmac(mac)) as Box<dyn Frame>), M::BACKEND),
        (Encr::TripleDesCbc, _) => (cbc(RustCryptoCbc::<TdesEde3>::new(key), mac), Backend::RustCrypto),
        (Encr::Aes128Cbc, Backend::RustCrypto) => (cbc(RustCryptoCbc::<Aes128>::new(key), mac), Backend::RustCrypto),
        (Encr::Aes192Cbc, Backend::RustCrypto) => (cbc(RustCryptoCbc::<Aes192>::new(key), mac), Backend::RustCrypto),
        (Encr::Aes256Cbc, Backend::RustCrypto) => (cbc(RustCryptoCbc::<Aes256>::new(key), mac), Backend::RustCrypto),
        (Encr::Aes128Cbc | Encr::Aes192Cbc | Encr::Aes256Cbc, Backend::Auto | Backend::AwsLc | Backend::Ring) => {
            (cbc(AwsLcCbc::new(key), mac), Backend::AwsLc)
        }
        (_aead, _) => return None,
    };
    frame.map(|frame| (Keys::Other(frame), by))
}

fn cbc<C, M, const BLOCK: usize>(cipher: Option<C>, mac: TruncatedMac<M>) -> Option<Box<dyn Frame>>
where
    C: BlockKey<BLOCK>,
    M: MacKey,
{
    Some(Box::new(CbcHmac { cipher: cipher?, mac }))
}

/// Whether AES and the product that GHASH wants are instructions on registers of 256 bits. Asked when keys are set up,
/// never per packet.
fn cpu_has_vaes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("vaes")
            && std::arch::is_x86_feature_detected!("vpclmulqdq")
            && std::arch::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
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
