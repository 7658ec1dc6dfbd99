//! The SA payload: proposals, transforms, attributes (RFC 7296 section 3.3).

use super::error::{Fault, Limited};
use super::numbers::{KEY_LENGTH_ATTRIBUTE, MORE_PROPOSALS, MORE_TRANSFORMS};
use super::parse_payload::Broken;
use super::reader::Reader;
use super::{Proposal, Protocol, Transform, TransformKind, limits};

/// All proposals of an SA payload. One for a protocol that adit does not know is checked and left out.
pub(super) fn sa(body: &[u8]) -> Result<Vec<Proposal>, Broken> {
    let mut reader = Reader::new(body);
    let mut proposals = Vec::new();
    let mut seen = 0;
    let mut transforms_left = limits::MAX_TRANSFORMS;
    loop {
        if reader.is_empty() {
            return Err(if seen == 0 { Fault::NoProposal } else { Fault::LastSubstructure }.into());
        }
        if seen == limits::MAX_PROPOSALS {
            return Err(Broken::TooMany(Limited::Proposals));
        }
        seen += 1;
        let (last, bytes) = reader.substructure(MORE_PROPOSALS).map_err(Fault::from)?;
        proposals.extend(proposal(bytes, &mut transforms_left)?);
        if last {
            break;
        }
    }
    if !reader.is_empty() {
        return Err(Fault::LastSubstructure.into());
    }
    Ok(proposals)
}

/// RFC 7296 section 3.3.1.
fn proposal(bytes: &[u8], transforms_left: &mut usize) -> Result<Option<Proposal>, Broken> {
    let mut reader = Reader::new(bytes);
    let [number, protocol, spi_len, transform_count] = reader.array().ok_or(Fault::Truncated)?;
    let spi = reader.take(usize::from(spi_len)).ok_or(Fault::Truncated)?.to_vec();
    *transforms_left =
        transforms_left.checked_sub(usize::from(transform_count)).ok_or(Broken::TooMany(Limited::Transforms))?;
    let mut transforms = Vec::new();
    for left in (0..transform_count).rev() {
        if reader.is_empty() {
            return Err(Fault::TransformCount.into());
        }
        let (last, bytes) = reader.substructure(MORE_TRANSFORMS).map_err(Fault::from)?;
        if last != (left == 0) {
            return Err(Fault::LastSubstructure.into());
        }
        transforms.push(transform(bytes)?);
    }
    if !reader.is_empty() {
        return Err(Fault::TransformCount.into());
    }
    Ok(Protocol::from_iana(protocol).map(|protocol| Proposal { number, protocol, spi, transforms }))
}

/// RFC 7296 section 3.3.2.
fn transform(bytes: &[u8]) -> Result<Transform, Broken> {
    let mut reader = Reader::new(bytes);
    let [kind, _reserved] = reader.array().ok_or(Fault::Truncated)?;
    let id = reader.u16().ok_or(Fault::Truncated)?;
    let mut transform =
        Transform { kind: TransformKind::from_iana(kind), id, key_bits: None, unknown_attribute: false };
    let mut attributes = 0;
    while !reader.is_empty() {
        if attributes == limits::MAX_TRANSFORM_ATTRIBUTES {
            return Err(Broken::TooMany(Limited::TransformAttributes));
        }
        attributes += 1;
        // RFC 7296 section 3.3.5: with the highest bit a value follows, without it a length and so many octets.
        let attribute = reader.u16().ok_or(Fault::Truncated)?;
        let value = reader.u16().ok_or(Fault::Truncated)?;
        if attribute & 0x8000 == 0 {
            reader.take(usize::from(value)).ok_or(Fault::Truncated)?;
        }
        if attribute == KEY_LENGTH_ATTRIBUTE && transform.key_bits.is_none() {
            transform.key_bits = Some(value);
        } else {
            transform.unknown_attribute = true;
        }
    }
    Ok(transform)
}
