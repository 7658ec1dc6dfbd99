//! Why a PEM file is not what it should be. Names no content: a private key may be in it.

use super::BadCertificate;
use adit_crypto::rsa_key::BadRsaKey;

/// Why a PEM file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Broken between the lines that begin and end a section.
    #[error("it is no PEM file, or a damaged one")]
    NotPem,
    /// No certificate in it.
    #[error("there is no certificate in it (a section `BEGIN CERTIFICATE`)")]
    NoCertificate,
    /// A certificate that cannot be read.
    #[error("certificate {0} in it: {1}")]
    BadCertificate(usize, BadCertificate),
    /// No private key in it.
    #[error(
        "there is no private key in it (a section `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`); adit cannot read one that is encrypted with a passphrase"
    )]
    NoPrivateKey,
    /// A private key of another kind.
    #[error("the private key in it: {0}")]
    BadKey(#[from] BadRsaKey),
    /// Certificate and key do not belong together.
    #[error("the private key does not belong to the first certificate")]
    KeyOfAnother,
}
