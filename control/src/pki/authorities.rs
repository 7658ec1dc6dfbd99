//! Whom we trust to vouch for peers.

use super::certificate::{BadCertificate, Certificate};
use super::{PemError, UnixTime, limits};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use webpki::aws_lc_rs as algorithms;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    anchor_from_trusted_cert,
};

/// Certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    subjects: Vec<Vec<u8>>,
}

/// Why a peer's certificates are not believed. For the log alone: the peer hears that authentication failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It showed none.
    #[error("it showed no certificate")]
    Nothing,
    /// More than [`limits::MAX_CERTIFICATES`].
    #[error("it showed {0} certificates, at most {limit} are read", limit = limits::MAX_CERTIFICATES)]
    TooMany(usize),
    /// Its own certificate cannot be read.
    #[error("its certificate: {0}")]
    Unreadable(#[from] BadCertificate),
    /// No chain leads to an authority.
    #[error("`{subject}`: {reason}")]
    NoPath {
        /// Whom the certificate names.
        subject: String,
        /// What is wrong with the path.
        reason: webpki::Error,
    },
}

impl Authorities {
    /// From a PEM file of authorities' certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemError> {
        let mut anchors = Vec::new();
        let mut subjects = Vec::new();
        for (position, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let der = der.map_err(|_broken| PemError::NotPem)?;
            let anchor = anchor_from_trusted_cert(&der)
                .map_err(|_broken| PemError::BadCertificate(position + 1, BadCertificate::NotX509))?
                .to_owned();
            subjects.push(sequence(&anchor.subject));
            anchors.push(anchor);
        }
        if anchors.is_empty() {
            return Err(PemError::NoCertificate);
        }
        Ok(Self { anchors, subjects })
    }

    /// Their distinguished names in DER: one CERTREQ payload each (RFC 2408 section 3.10).
    pub fn subjects(&self) -> &[Vec<u8>] {
        &self.subjects
    }

    /// Whether one of them vouches, through the other certificates that the peer showed, for the first of them at this
    /// time. What it was made for, if it says so, must be IPsec or the authentication of clients or servers.
    pub fn verify<'c>(
        &self,
        shown: impl IntoIterator<Item = &'c [u8]>,
        at: UnixTime,
    ) -> Result<Certificate, Untrusted> {
        let shown: Vec<CertificateDer<'c>> = shown.into_iter().map(CertificateDer::from).collect();
        let (leaf, others) = shown.split_first().ok_or(Untrusted::Nothing)?;
        if shown.len() > limits::MAX_CERTIFICATES {
            return Err(Untrusted::TooMany(shown.len()));
        }
        let certificate = Certificate::from_der(leaf)?;
        let no_path = |reason| Untrusted::NoPath { subject: certificate.subject().to_string(), reason };
        let end_entity = EndEntityCert::try_from(leaf).map_err(no_path)?;
        end_entity.verify_for_usage(ALGORITHMS, &self.anchors, others, at, ForIke, None, None).map_err(no_path)?;
        Ok(certificate)
    }
}

/// What may sign certificates: no SHA-1, no RSA below 2048 bits.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
];

/// Extended key usages that are good for IKE (RFC 4945 section 5.1.3.12), as OIDs below.
struct ForIke;

impl ExtendedKeyUsageValidator for ForIke {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut any = false;
        for usage in usages {
            any = true;
            if FOR_IKE.contains(&usage?.to_decoded_oid().as_slice()) {
                return Ok(());
            }
        }
        let required = KeyUsage::required_if_present(IPSEC_IKE);
        let none = RequiredEkuNotFoundContext { required, present: Vec::new() };
        if any { Err(webpki::Error::RequiredEkuNotFoundContext(none)) } else { Ok(()) }
    }
}

/// id-kp-ipsecIKE as webpki wants it: the content of the OID in DER.
const IPSEC_IKE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 17];

const FOR_IKE: [&[usize]; 6] = [
    // anyExtendedKeyUsage
    &[2, 5, 29, 37, 0],
    // id-kp-serverAuth and id-kp-clientAuth, which is what most authorities write.
    &[1, 3, 6, 1, 5, 5, 7, 3, 1],
    &[1, 3, 6, 1, 5, 5, 7, 3, 2],
    // id-kp-ipsecUser, which old authorities wrote.
    &[1, 3, 6, 1, 5, 5, 7, 3, 7],
    // id-kp-ipsecIKE
    &[1, 3, 6, 1, 5, 5, 7, 3, 17],
    // Microsoft's and Apple's iKEIntermediate
    &[1, 3, 6, 1, 5, 5, 8, 2, 2],
];

/// A DER SEQUENCE around its content.
fn sequence(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x30];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=127) => out.push(short),
        Ok(_) | Err(_) => {
            let octets = content.len().to_be_bytes();
            let significant = octets.iter().skip_while(|octet| **octet == 0);
            out.push(0x80 | significant.clone().count() as u8);
            out.extend(significant);
        }
    }
    out.extend(content);
    out
}
