//! adit's own limits on what a message may hold. They are no part of the RFC: they bound the work and the memory
//! that one datagram can ask for, far above what known peers send.

/// Payloads in one message, inside and outside SK counted apart. Windows sends about 15.
pub const MAX_PAYLOADS: usize = 64;
/// Proposals in one SA payload. Windows sends 18.
pub const MAX_PROPOSALS: usize = 64;
/// Transforms in one SA payload, all proposals together. strongSwan's defaults are about 60.
pub const MAX_TRANSFORMS: usize = 512;
/// Attributes of one transform. The RFC knows a single one.
pub const MAX_TRANSFORM_ATTRIBUTES: usize = 16;
/// SPIs in one Delete payload.
pub const MAX_DELETED_SPIS: usize = 256;
/// Attributes in one Configuration payload.
pub const MAX_CONFIG_ATTRIBUTES: usize = 64;
/// Octets of an identity.
pub const MAX_ID_LEN: usize = 255;
/// Octets of a first message, whose sender has proven nothing and which is kept until it has. strongSwan's default is
/// about 1 000, one with several key exchanges and a long cookie 2 000.
pub const MAX_FIRST_MESSAGE: usize = 4096;
