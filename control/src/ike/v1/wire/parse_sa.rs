//! The SA payload: proposals, transforms, attributes (RFC 2408 sections 3.4 to 3.6, RFC 2407 section 4.6.1).

use super::error::{Fault, Limited};
use super::numbers::{DOI_IPSEC, SITUATION, kind};
use super::parse_payload::{Broken, attribute};
use super::{Proposal, Protocol, Transform, Value, limits};
use crate::ike::wire::reader::Reader;

/// All proposals of an SA payload.
pub(super) fn sa(body: &[u8]) -> Result<Vec<Proposal>, Broken> {
    let mut reader = Reader::new(body);
    let doi = reader.u32().ok_or(Fault::Truncated)?;
    if doi != DOI_IPSEC {
        return Err(Fault::Doi(doi).into());
    }
    // The other situations bring labels, which no peer of ours uses (RFC 2407 section 4.6.1).
    let situation = reader.u32().ok_or(Fault::Truncated)?;
    if situation != SITUATION {
        return Err(Fault::Situation(situation).into());
    }
    let mut proposals = Vec::new();
    let mut transforms_left = limits::MAX_TRANSFORMS;
    loop {
        if reader.is_empty() {
            return Err(if proposals.is_empty() { Fault::NoProposal } else { Fault::LastSubstructure }.into());
        }
        if proposals.len() == limits::MAX_PROPOSALS {
            return Err(Broken::TooMany(Limited::Proposals));
        }
        let (last, bytes) = reader.substructure(kind::PROPOSAL).map_err(Fault::from)?;
        proposals.push(proposal(bytes, &mut transforms_left)?);
        if last {
            break;
        }
    }
    if !reader.is_empty() {
        return Err(Fault::LastSubstructure.into());
    }
    Ok(proposals)
}

/// RFC 2408 section 3.5.
fn proposal(bytes: &[u8], transforms_left: &mut usize) -> Result<Proposal, Broken> {
    let mut reader = Reader::new(bytes);
    let [number, protocol, spi_len, transform_count] = reader.array().ok_or(Fault::Truncated)?;
    let spi = reader.take(usize::from(spi_len)).ok_or(Fault::Truncated)?.to_vec();
    if transform_count == 0 {
        return Err(Fault::NoProposal.into());
    }
    *transforms_left =
        transforms_left.checked_sub(usize::from(transform_count)).ok_or(Broken::TooMany(Limited::Transforms))?;
    let mut transforms = Vec::new();
    for left in (0..transform_count).rev() {
        if reader.is_empty() {
            return Err(Fault::TransformCount.into());
        }
        let (last, bytes) = reader.substructure(kind::TRANSFORM).map_err(Fault::from)?;
        if last != (left == 0) {
            return Err(Fault::LastSubstructure.into());
        }
        transforms.push(transform(bytes)?);
    }
    if !reader.is_empty() {
        return Err(Fault::TransformCount.into());
    }
    Ok(Proposal { number, protocol: Protocol::from_iana(protocol), spi, transforms })
}

/// RFC 2408 section 3.6.
fn transform(bytes: &[u8]) -> Result<Transform, Broken> {
    let mut reader = Reader::new(bytes);
    let [number, id, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    let mut attributes = Vec::new();
    while !reader.is_empty() {
        if attributes.len() == limits::MAX_TRANSFORM_ATTRIBUTES {
            return Err(Broken::TooMany(Limited::TransformAttributes));
        }
        let attribute = attribute(&mut reader)?;
        if let Value::Long(octets) = &attribute.value
            && octets.len() > limits::MAX_TRANSFORM_ATTRIBUTE_LEN
        {
            return Err(Fault::AttributeLength(octets.len()).into());
        }
        attributes.push(attribute);
    }
    Ok(Transform { number, id, attributes })
}
