//! Ciphers, PRFs and key exchange for adit.
//!
//! This crate knows no packets, no time and no I/O. Randomness comes in as an argument
//! ([`random::SecretRandom`]); keys are set up once and wiped when dropped.
#![forbid(unsafe_code)]

mod aead;
mod backend;
pub mod cbc;
mod cbc_hmac;
pub mod esp_cipher;
mod frame;
mod gmac;
pub mod hash;
pub mod kex;
mod null_hmac;
pub mod prf;
pub mod random;
pub mod rsa_key;
pub mod secret;
pub mod suite;
mod truncated_mac;
mod wiping;
