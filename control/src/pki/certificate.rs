//! One certificate, read.

use super::{DistinguishedName, PemError, limits};
use crate::ike::wire::{Id, IdKind};
use adit_crypto::rsa_key::{BadRsaKey, BadSignature, RsaPublicKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fmt;
use std::time::Duration;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// An X.509 certificate with an RSA key. Reading it proves nothing: [`super::Authorities::verify`] does.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    subject: DistinguishedName,
    names: Vec<Id>,
    ends: Duration,
    public_key: RsaPublicKey,
}

/// Why octets are no certificate that adit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// Longer than [`limits::MAX_CERTIFICATE_LEN`].
    #[error("it has {0} octets, at most {limit} are taken", limit = limits::MAX_CERTIFICATE_LEN)]
    TooLong(usize),
    /// Not DER, or not an X.509 certificate.
    #[error("it is no X.509 certificate")]
    NotX509,
    /// An extension with the names that cannot be read.
    #[error("its alternative names cannot be read")]
    BadNames,
    /// Its key.
    #[error("its key: {0}")]
    Key(#[from] BadRsaKey),
}

impl Certificate {
    /// Reads one in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        let parsed = parsed(der)?;
        let tbs = parsed.tbs_certificate();
        let subject = tbs.subject().to_der().map_err(|_| BadCertificate::NotX509)?;
        let key = tbs.subject_public_key_info().to_der().map_err(|_| BadCertificate::NotX509)?;
        let names = match tbs.get_extension::<SubjectAltName>() {
            Ok(Some((_critical, SubjectAltName(names)))) => names.iter().filter_map(name).collect(),
            Ok(None) => Vec::new(),
            Err(_undecodable) => return Err(BadCertificate::BadNames),
        };
        Ok(Self {
            der: der.to_vec(),
            subject: DistinguishedName::from_der(&subject).ok_or(BadCertificate::NotX509)?,
            names,
            ends: tbs.validity().not_after.to_unix_duration(),
            public_key: RsaPublicKey::from_spki_der(&key)?,
        })
    }

    /// The time of day after which it is no longer good.
    pub const fn ends(&self) -> Duration {
        self.ends
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it names.
    pub const fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// The alternative names that can be identities: names, e-mail addresses, addresses.
    pub fn names(&self) -> &[Id] {
        &self.names
    }

    /// The key that it vouches for.
    pub const fn public_key(&self) -> &RsaPublicKey {
        &self.public_key
    }

    /// The identity to use with it where none is configured: its subject, or its first alternative name if the subject is
    /// empty.
    pub fn identity(&self) -> Id {
        match self.names.first() {
            Some(name) if self.subject.is_empty() => name.clone(),
            Some(_) | None => Id { kind: IdKind::DistinguishedName, bytes: self.subject.der().to_vec() },
        }
    }

    /// Whether it was made for this identity (RFC 4945 section 3.1): one of its alternative names, or its subject octet for
    /// octet. A key ID names a group, which no certificate does; nor is a wildcard name an identity.
    pub fn is_for(&self, id: &Id) -> bool {
        match id.kind {
            IdKind::Fqdn | IdKind::Email => {
                self.names.iter().any(|name| name.kind == id.kind && name.bytes.eq_ignore_ascii_case(&id.bytes))
            }
            IdKind::Ipv4 | IdKind::Ipv6 => self.names.contains(id),
            IdKind::DistinguishedName => self.subject.der() == id.bytes,
            IdKind::GeneralName | IdKind::KeyId => false,
        }
    }

    /// Whether `signature` is its key's over HASH_I or HASH_R (RFC 2409 section 5.1).
    pub fn verify_ike_v1(&self, hash: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.public_key.verify_ike_v1(hash, signature)
    }
}

/// Any certificate, whatever its key is.
fn parsed(der: &[u8]) -> Result<x509_cert::Certificate, BadCertificate> {
    if der.len() > limits::MAX_CERTIFICATE_LEN {
        return Err(BadCertificate::TooLong(der.len()));
    }
    x509_cert::Certificate::from_der(der).map_err(|_| BadCertificate::NotX509)
}

/// The first certificate of a PEM file, and all of them in DER, in its order. Those behind the first are authorities: with their keys
/// only peers have to do.
pub(super) fn chain_in(pem: &[u8]) -> Result<(Certificate, Vec<Vec<u8>>), PemError> {
    let mut leaf = None;
    let mut chain = Vec::new();
    for (position, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let der = der.map_err(|_broken| PemError::NotPem)?;
        let bad = |error| PemError::BadCertificate(position + 1, error);
        match leaf {
            None => leaf = Some(Certificate::from_der(&der).map_err(bad)?),
            Some(_) => drop(parsed(&der).map_err(bad)?),
        }
        chain.push(der.to_vec());
    }
    Ok((leaf.ok_or(PemError::NoCertificate)?, chain))
}

/// An alternative name as an identity, if it is one.
fn name(name: &GeneralName) -> Option<Id> {
    let (kind, bytes) = match name {
        GeneralName::DnsName(name) => (IdKind::Fqdn, name.as_bytes()),
        GeneralName::Rfc822Name(name) => (IdKind::Email, name.as_bytes()),
        GeneralName::IpAddress(octets) if octets.as_bytes().len() == 4 => (IdKind::Ipv4, octets.as_bytes()),
        GeneralName::IpAddress(octets) if octets.as_bytes().len() == 16 => (IdKind::Ipv6, octets.as_bytes()),
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::UniformResourceIdentifier(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => return None,
    };
    Some(Id { kind, bytes: bytes.to_vec() })
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject)
    }
}
