//! TLS for the API by TCP: 1.3 alone, by rustls and AWS-LC.

use crate::config::checked::Named;
use adit_crypto::secret::SecretBytes;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::CN;

/// What is wrong with what the configuration names.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// With our own certificate or its key.
    #[error("{0}")]
    Own(String),
    /// With those who sign operators'.
    #[error("{0}")]
    Authorities(String),
}

/// From PEM: our certificates, leaf first, their key, and who signs operators' certificates. Who has none shows a token.
///
/// # Errors
/// See [`TlsProblem`].
pub fn server(chain: &[u8], key: &SecretBytes, authorities: Option<&[u8]>) -> Result<Arc<ServerConfig>, TlsProblem> {
    let provider = Arc::new(default_provider());
    let own = |error: &dyn std::fmt::Display| TlsProblem::Own(error.to_string());
    let chain = certificates(chain).map_err(|error| own(&error))?;
    // The parser's error may quote the file, which is a key.
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| own(&"private_key is no private key in PEM"))?;
    let clients = match authorities {
        None => Arc::new(NoClientAuth),
        Some(pem) => {
            let wrong = |error: &dyn std::fmt::Display| TlsProblem::Authorities(error.to_string());
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem).map_err(|error| wrong(&error))? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            verifier.allow_unauthenticated().build().map_err(|error| wrong(&error))?
        }
    };
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let config = config.map_err(|error| own(&error))?.with_client_cert_verifier(clients);
    let mut config = config.with_single_cert(chain, key).map_err(|error| own(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(none) if none.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}

/// What is told of the first of ours.
pub fn named(chain: &[u8]) -> Option<Named> {
    let leaf = CertificateDer::pem_slice_iter(chain).next()?.ok()?;
    let parsed = x509_cert::Certificate::from_der(&leaf).ok()?;
    let tbs = parsed.tbs_certificate();
    Some(Named { subject: tbs.subject().to_string(), ends: tbs.validity().not_after.to_unix_duration() })
}

/// The one common name of a certificate that was verified.
pub fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let subject = parsed.tbs_certificate().subject().clone();
    let mut names = subject.iter().filter(|attribute| attribute.oid == CN).filter_map(|attribute| {
        let octets = attribute.value.value();
        std::str::from_utf8(octets).ok().map(str::to_owned)
    });
    // Of two one could be somebody else's.
    let name = names.next()?;
    names.next().is_none().then_some(name)
}
