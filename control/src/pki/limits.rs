//! adit's own limits on what a peer may show, to bound the work before anybody has proven anything.

/// Certificates in one message.
pub const MAX_CERTIFICATES: usize = 8;
/// Octets of one certificate.
pub const MAX_CERTIFICATE_LEN: usize = 16 * 1024;
/// Bits of modulus of a peer's key: a longer one costs more to check than it proves.
pub const MAX_KEY_BITS: usize = 8192;
