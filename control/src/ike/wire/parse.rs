//! Bytes to messages. What comes out is whole: every length is checked here and never again.

use super::error::{Fault, Limited, WireError};
use super::numbers::{CRITICAL, FLAG_INITIATOR, FLAG_RESPONSE, GENERIC_LEN, VERSION, kind};
use super::reader::Reader;
use super::{Exchange, Flags, Header, IkeSpi, LENGTH_AT, Payload, limits, parse_payload};

/// A message as it came in.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// The header.
    pub header: Header,
    /// Cleartext payloads, in the order of the wire. Where something is sealed nobody has vouched for these until it
    /// is opened, and nothing that belongs inside may be taken from here.
    pub payloads: Vec<Payload>,
    /// The encrypted payload, which is always the last.
    pub sealed: Sealed<'a>,
    /// The whole datagram (without the non-ESP marker): what AUTH covers. Of a message in fragments, the first one.
    pub bytes: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// The encrypted payload of a message that came whole.
    pub fn sk(&self) -> Option<SkPayload<'a>> {
        match self.sealed {
            Sealed::Whole(sk) => Some(sk),
            Sealed::Nothing | Sealed::Fragment(_) | Sealed::Joined(_) => None,
        }
    }
}

/// What is encrypted in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed<'a> {
    /// All is in the clear.
    Nothing,
    /// SK: all of it.
    Whole(SkPayload<'a>),
    /// SKF: a part of it (RFC 7383 section 2.5).
    Fragment(SkfPayload<'a>),
    /// All parts of it.
    Joined(Joined<'a>),
}

/// What stood in all fragments of a message, each of them authenticated, decrypted and put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined<'a> {
    /// Type of the first payload; 0 if there is none.
    pub(in crate::ike) first_inner: u8,
    /// The payloads.
    pub(in crate::ike) plain: &'a [u8],
}

/// The encrypted fragment payload (RFC 7383 section 2.5), still closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkfPayload<'a> {
    /// From 1 to `total`.
    pub number: u16,
    /// Into so many the message was cut.
    pub total: u16,
    /// As in SK; what is authenticated includes the two numbers.
    pub sk: SkPayload<'a>,
}

/// The encrypted payload (RFC 7296 section 3.14), still closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkPayload<'a> {
    /// Type of the first payload inside; 0 if there is none.
    pub first_inner: u8,
    /// The message up to and with the SK payload's generic header: authenticated, not encrypted.
    pub associated: &'a [u8],
    /// IV, ciphertext, ICV.
    pub body: &'a [u8],
}

/// Reads the header alone, for finding whose message it is before any more work.
///
/// The length field is not looked at: [`parse`] does that.
pub fn parse_header(datagram: &[u8]) -> Result<Header, WireError> {
    read_header(datagram).map(|(header, _, _)| header)
}

/// Messages that stand one after the other, apart: each says its own length (RFC 7296 section 3.1). What says no
/// length that fits is the last.
pub fn messages(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if octets.is_empty() {
            return None;
        }
        let said = octets.get(LENGTH_AT..Header::LEN).and_then(|field| field.first_chunk::<4>());
        let len = said.map_or(usize::MAX, |field| usize::try_from(u32::from_be_bytes(*field)).unwrap_or(usize::MAX));
        let len = if (Header::LEN..=octets.len()).contains(&len) { len } else { octets.len() };
        let (message, rest) = octets.split_at(len);
        octets = rest;
        Some(message)
    })
}

/// Reads a whole message, without the non-ESP marker. SK stays closed: `SkCipher::open` reads what is inside.
pub fn parse(datagram: &[u8]) -> Result<Incoming<'_>, WireError> {
    let (header, first, length) = read_header(datagram)?;
    if usize::try_from(length).ok() != Some(datagram.len()) {
        return Err(WireError::LengthMismatch { header: length, datagram: datagram.len() });
    }
    let body = datagram.get(Header::LEN..).unwrap_or_default();
    let (payloads, sk_body) = walk(first, body, SkMay::ComeLast)?;
    let sealed = match sk_body {
        None => Sealed::Nothing,
        Some(SkBody { first_inner, piece: Piece::All, body }) => {
            Sealed::Whole(SkPayload { first_inner, associated: before(datagram, body), body })
        }
        Some(SkBody { first_inner, piece: Piece::One { number, total }, body }) => {
            let sk = SkPayload { first_inner, associated: before(datagram, body), body };
            Sealed::Fragment(SkfPayload { number, total, sk })
        }
    };
    Ok(Incoming { header, payloads, sealed, bytes: datagram })
}

/// SK ends the message, so all that is not its body is associated data.
fn before<'a>(datagram: &'a [u8], body: &[u8]) -> &'a [u8] {
    datagram.get(..datagram.len().saturating_sub(body.len())).unwrap_or_default()
}

/// Reads a chain of payloads that stood inside SK.
pub(in crate::ike) fn parse_inner(first: u8, bytes: &[u8]) -> Result<Vec<Payload>, WireError> {
    walk(first, bytes, SkMay::NotBeInside).map(|(payloads, _)| payloads)
}

/// Header, type of the first payload, length field.
fn read_header(datagram: &[u8]) -> Result<(Header, u8, u32), WireError> {
    let mut reader = Reader::new(datagram);
    let fields = || {
        let initiator_spi = IkeSpi(reader.u64()?);
        let responder_spi = IkeSpi(reader.u64()?);
        let [first, version, exchange, flags] = reader.array()?;
        Some((initiator_spi, responder_spi, first, version, exchange, flags, reader.u32()?, reader.u32()?))
    };
    let Some((initiator_spi, responder_spi, first, version, exchange, flags, message_id, length)) = { fields }() else {
        return Err(WireError::TooShort { len: datagram.len() });
    };
    // RFC 7296 section 2.5: the minor version is ignored, and so are the version flag and reserved flags.
    let major = version >> 4;
    if major != VERSION >> 4 {
        return Err(WireError::MajorVersion { major, initiator_spi, responder_spi, message_id });
    }
    let exchange = Exchange::from_iana(exchange).ok_or(WireError::BadExchange(exchange))?;
    let flags = Flags { initiator: flags & FLAG_INITIATOR != 0, response: flags & FLAG_RESPONSE != 0 };
    Ok((Header { initiator_spi, responder_spi, exchange, flags, message_id }, first, length))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SkMay {
    ComeLast,
    NotBeInside,
}

struct SkBody<'a> {
    first_inner: u8,
    piece: Piece,
    body: &'a [u8],
}

/// How much of a message an encrypted payload holds.
#[derive(Clone, Copy)]
enum Piece {
    All,
    One { number: u16, total: u16 },
}

/// Follows the chain of generic payload headers (RFC 7296 section 3.2) to its end.
fn walk(first: u8, bytes: &[u8], sk_may: SkMay) -> Result<(Vec<Payload>, Option<SkBody<'_>>), WireError> {
    let mut payloads = Vec::new();
    let mut reader = Reader::new(bytes);
    let mut next = first;
    while next != kind::NONE {
        let this = next;
        let bad = |fault| WireError::BadPayload { kind: this, fault };
        let (following, critical, body) = take_payload(&mut reader).map_err(bad)?;
        if this == kind::SK || this == kind::SKF {
            if sk_may == SkMay::NotBeInside || !reader.is_empty() {
                return Err(bad(Fault::Nested));
            }
            let (piece, body) =
                if this == kind::SK { (Piece::All, body) } else { fragment(following, body).map_err(bad)? };
            return Ok((payloads, Some(SkBody { first_inner: following, piece, body })));
        }
        if payloads.len() == limits::MAX_PAYLOADS {
            return Err(WireError::TooMany(Limited::Payloads));
        }
        payloads.push(parse_payload(this, critical, body)?);
        next = following;
    }
    if !reader.is_empty() {
        return Err(WireError::BadPayload { kind: kind::NONE, fault: Fault::Trailing });
    }
    Ok((payloads, None))
}

/// Takes the numbers off an SKF payload (RFC 7383 section 2.5): neither is zero, the first is no larger than the
/// second, and only the first fragment says what is inside.
fn fragment(first_inner: u8, body: &[u8]) -> Result<(Piece, &[u8]), Fault> {
    let mut reader = Reader::new(body);
    let number = reader.u16().ok_or(Fault::Truncated)?;
    let total = reader.u16().ok_or(Fault::Truncated)?;
    let says_what_is_inside = number == 1 || first_inner == kind::NONE;
    if !(1..=total).contains(&number) || !says_what_is_inside {
        return Err(Fault::FragmentNumber { number, total });
    }
    Ok((Piece::One { number, total }, reader.rest()))
}

/// Type of the next payload, critical bit, body.
fn take_payload<'a>(reader: &mut Reader<'a>) -> Result<(u8, bool, &'a [u8]), Fault> {
    let following = reader.u8().ok_or(Fault::Truncated)?;
    let critical = reader.u8().ok_or(Fault::Truncated)? & CRITICAL != 0;
    let length = usize::from(reader.u16().ok_or(Fault::Truncated)?);
    let body = length.checked_sub(GENERIC_LEN).and_then(|len| reader.take(len)).ok_or(Fault::Length)?;
    Ok((following, critical, body))
}
