//! adit's own limits on what a message may hold. They are no part of an RFC: they bound the work and the memory that
//! one datagram can ask for, far above what known peers send.

/// Payloads in one message. A Cisco client sends about 20, most of them vendor IDs.
pub const MAX_PAYLOADS: usize = 64;
/// Proposals in one SA payload. vpnc sends 12 in quick mode.
pub const MAX_PROPOSALS: usize = 64;
/// Transforms in one SA payload, all proposals together. vpnc sends 24, a generous strongSwan about 200.
pub const MAX_TRANSFORMS: usize = 512;
/// Attributes of one transform. RFC 2409 knows 16.
pub const MAX_TRANSFORM_ATTRIBUTES: usize = 24;
/// Octets of an attribute of a transform that says its own length. The longest known is a life time of 8.
pub const MAX_TRANSFORM_ATTRIBUTE_LEN: usize = 64;
/// Attributes in one mode-config message.
pub const MAX_CONFIG_ATTRIBUTES: usize = 128;
/// SPIs in one Delete payload.
pub const MAX_DELETED_SPIS: usize = 256;
/// Octets of an identity. The same as for IKEv2.
pub const MAX_ID_LEN: usize = crate::ike::wire::limits::MAX_ID_LEN;
/// Octets of padding behind the payloads of an encrypted message. RFC 2409 needs less than a block; some peers pad
/// with more to hide lengths.
pub const MAX_PADDING: usize = 255;
/// Octets of a message that was put together from fragments. Two RSA chains fit in several times.
pub const MAX_REASSEMBLED: usize = 32 * 1024;
