//! adit's own limits on what a peer may show, to bound the work before anybody has proven anything.

/// Certificates in one message.
pub const MAX_CERTIFICATES: usize = 8;
/// Octets of one certificate.
pub const MAX_CERTIFICATE_LEN: usize = 16 * 1024;
