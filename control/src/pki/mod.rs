//! Certificates: our own with its key, those of the authorities we trust, and what peers show.
//!
//! Sans-IO: files are read by whoever reads the configuration, the time of day is an argument.

mod authorities;
mod certificate;
mod distinguished_name;
mod error;
pub mod limits;
mod own;

pub use authorities::{Authorities, Untrusted};
pub use certificate::{BadCertificate, Certificate};
pub use distinguished_name::DistinguishedName;
pub use error::PemError;
pub use own::OwnCertificate;
pub use rustls_pki_types::UnixTime;
