//! The certificate that we show, and the key that signs for it.

use super::certificate::chain_in;
use super::{Certificate, PemError};
use adit_crypto::random::SecretRandom;
use adit_crypto::rsa_key::RsaPrivateKey;
use adit_crypto::secret::SecretBytes;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::fmt;

/// A chain, leaf first, and the leaf's key.
#[derive(Clone)]
pub struct OwnCertificate {
    leaf: Certificate,
    chain: Vec<Vec<u8>>,
    key: RsaPrivateKey,
}

impl OwnCertificate {
    /// From a PEM file of certificates, leaf first, and one with the leaf's key (PKCS #8 or PKCS #1). That is RSA; those of the others may
    /// be of any kind.
    pub fn from_pem(chain: &[u8], key: &SecretBytes) -> Result<Self, PemError> {
        let (leaf, chain) = chain_in(chain)?;
        let key = private_key_in(key)?;
        if *leaf.public_key() != key.public() {
            return Err(PemError::KeyOfAnother);
        }
        Ok(Self { leaf, chain, key })
    }

    /// The certificate that speaks for us.
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// All certificates in DER, leaf first: one CERT payload each.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// SIG over HASH_I or HASH_R (RFC 2409 section 5.1).
    pub fn sign_ike_v1(&self, hash: &[u8], random: &mut dyn SecretRandom) -> Vec<u8> {
        self.key.sign_ike_v1(hash, random)
    }
}

/// Whom it names and how much there is: neither the key nor pages of octets.
impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leaf, chain, key } = self;
        write!(f, "OwnCertificate(`{}`, {} certificates, {key:?})", leaf.subject(), chain.len())
    }
}

/// The first private key of a PEM file.
fn private_key_in(pem: &SecretBytes) -> Result<RsaPrivateKey, PemError> {
    let key = match PrivateKeyDer::from_pem_slice(pem.expose()) {
        Ok(key) => key,
        Err(rustls_pki_types::pem::Error::NoItemsFound) => return Err(PemError::NoPrivateKey),
        Err(_broken) => return Err(PemError::NotPem),
    };
    match key {
        PrivateKeyDer::Pkcs8(der) => Ok(RsaPrivateKey::from_pkcs8_der(der.secret_pkcs8_der())?),
        PrivateKeyDer::Pkcs1(der) => Ok(RsaPrivateKey::from_pkcs1_der(der.secret_pkcs1_der())?),
        _elliptic => Err(PemError::BadKey(adit_crypto::rsa_key::BadRsaKey::NotRsa)),
    }
}
