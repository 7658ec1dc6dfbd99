//! Bytes to messages. What comes out is whole: every length is checked here and never again.

use super::chain::{Chain, Placed};
use super::error::{Fault, Limited, WireError};
use super::fragment::fragment;
use super::numbers::{FLAG_COMMIT, FLAG_ENCRYPTED, GENERIC_LEN, VERSION, kind};
use super::parse_payload::parse_payload;
use super::{Exchange, Flags, Fragment, Header, IkeSpi, limits};
use crate::ike::wire::reader::Reader;

/// A message as it came in.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// The header.
    pub header: Header,
    /// What follows it.
    pub body: Body<'a>,
    /// The whole datagram, without the non-ESP marker.
    pub bytes: &'a [u8],
}

/// What follows the header.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// Payloads that anybody on the way can read.
    Clear(Chain<'a>),
    /// Payloads under phase 1's key.
    Sealed(Sealed<'a>),
    /// A piece of a message (Cisco).
    Fragment(Fragment<'a>),
}

/// Encrypted payloads, still closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Type of the first payload inside.
    pub first: u8,
    /// One block at least, in multiples of 8 octets; the cipher's own block is for it to check.
    pub ciphertext: &'a [u8],
}

/// Reads the header alone, for finding whose message it is before any more work. The length field is not looked at:
/// [`parse`] does that.
pub fn parse_header(datagram: &[u8]) -> Result<Header, WireError> {
    read_header(datagram).map(|(header, _, _)| header)
}

/// Reads a whole message, without the non-ESP marker. What is encrypted stays closed.
pub fn parse(datagram: &[u8]) -> Result<Incoming<'_>, WireError> {
    let (header, first, length) = read_header(datagram)?;
    if usize::try_from(length).ok() != Some(datagram.len()) {
        return Err(WireError::LengthMismatch { header: length, datagram: datagram.len() });
    }
    let octets = datagram.get(Header::LEN..).unwrap_or_default();
    let body = if first == kind::FRAGMENT {
        // Before the flag: fragments of an encrypted message may carry its header as it was.
        Body::Fragment(only_fragment(octets)?)
    } else if header.flags.encrypted {
        if octets.is_empty() || !octets.len().is_multiple_of(8) {
            return Err(WireError::BadSealedLength(octets.len()));
        }
        Body::Sealed(Sealed { first, ciphertext: octets })
    } else {
        Body::Clear(walk(first, octets, Behind::Nothing)?)
    };
    Ok(Incoming { header, body, bytes: datagram })
}

/// Reads a chain of payloads that was encrypted: padding may follow it.
pub(in crate::ike) fn parse_inner(first: u8, plain: &[u8]) -> Result<Chain<'_>, WireError> {
    walk(first, plain, Behind::Padding)
}

/// Header, type of the first payload, length field.
fn read_header(datagram: &[u8]) -> Result<(Header, u8, u32), WireError> {
    let mut reader = Reader::new(datagram);
    let fields = || {
        let initiator_cookie = IkeSpi(reader.u64()?);
        let responder_cookie = IkeSpi(reader.u64()?);
        let [first, version, exchange, flags] = reader.array()?;
        Some((initiator_cookie, responder_cookie, first, version, exchange, flags, reader.u32()?, reader.u32()?))
    };
    let Some((initiator_cookie, responder_cookie, first, version, exchange, flags, message_id, length)) = { fields }()
    else {
        return Err(WireError::TooShort { len: datagram.len() });
    };
    // RFC 2408 section 3.1: the major version decides.
    if version >> 4 != VERSION >> 4 {
        return Err(WireError::MajorVersion(version >> 4));
    }
    if initiator_cookie == IkeSpi::default() {
        return Err(WireError::NoCookie);
    }
    let exchange = Exchange::from_iana(exchange).ok_or(WireError::BadExchange(exchange))?;
    let flags = Flags { encrypted: flags & FLAG_ENCRYPTED != 0, commit: flags & FLAG_COMMIT != 0 };
    Ok((Header { initiator_cookie, responder_cookie, exchange, flags, message_id }, first, length))
}

fn only_fragment(octets: &[u8]) -> Result<Fragment<'_>, WireError> {
    let bad = |fault| WireError::BadPayload { kind: kind::FRAGMENT, fault };
    let mut reader = Reader::new(octets);
    let (next, body) = take_payload(&mut reader).map_err(bad)?;
    if next != kind::NONE || !reader.is_empty() {
        return Err(bad(Fault::Fragment));
    }
    fragment(body).map_err(bad)
}

/// What may follow the last payload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// Octets that fill the last block. RFC 2409 section 5 wants zeros, some peers pad otherwise; they mean nothing.
    Padding,
}

/// Follows the chain of generic payload headers (RFC 2408 section 3.2) to its end.
fn walk(first: u8, octets: &[u8], behind: Behind) -> Result<Chain<'_>, WireError> {
    let mut payloads = Vec::new();
    let mut reader = Reader::new(octets);
    let mut next = first;
    while next != kind::NONE {
        let this = next;
        if payloads.len() == limits::MAX_PAYLOADS {
            return Err(WireError::TooMany(Limited::Payloads));
        }
        let (following, body) =
            take_payload(&mut reader).map_err(|fault| WireError::BadPayload { kind: this, fault })?;
        payloads.push(Placed { payload: parse_payload(this, body)?, body });
        next = following;
    }
    let left = reader.rest().len();
    match behind {
        Behind::Nothing if left > 0 => Err(WireError::BadPayload { kind: kind::NONE, fault: Fault::Trailing }),
        Behind::Padding if left > limits::MAX_PADDING => Err(WireError::TooMany(Limited::Padding)),
        Behind::Nothing | Behind::Padding => {
            let octets = octets.get(..octets.len() - left).unwrap_or_default();
            Ok(Chain { payloads, octets })
        }
    }
}

/// Type of the next payload, body. The reserved octet must be zero (RFC 2408 section 3.2), which also tells most
/// messages that were decrypted with a wrong key from good ones.
fn take_payload<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Fault> {
    let [following, reserved] = reader.array().ok_or(Fault::Truncated)?;
    let length = usize::from(reader.u16().ok_or(Fault::Truncated)?);
    if reserved != 0 {
        return Err(Fault::Reserved);
    }
    let body = length.checked_sub(GENERIC_LEN).and_then(|len| reader.take(len)).ok_or(Fault::Length)?;
    Ok((following, body))
}
