//! One payload's body to data.

use super::error::{Fault, Limited, WireError};
use super::numbers::{COOKIES_LEN, DOI_IPSEC, SHORT_ATTRIBUTE, kind};
use super::{
    Attribute, Delete, IdKind, Identification, IkeSpi, ModeConfig, NatNumbers, Notify, NotifyKind, Payload, Protocol,
    limits, parse_sa,
};
use crate::ike::wire::reader::Reader;
use std::net::IpAddr;

/// Why a body cannot be read; its payload's type is added by [`parse_payload`].
pub(super) enum Broken {
    Fault(Fault),
    TooMany(Limited),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the body of a payload of type `number`.
pub(super) fn parse_payload(number: u8, body: &[u8]) -> Result<Payload, WireError> {
    let payload = match number {
        kind::SA => parse_sa::sa(body).map(Payload::Sa),
        kind::KE => Ok(Payload::Ke(body.to_vec())),
        kind::ID => Identification::parse(body).map(Payload::Id).map_err(Broken::from),
        kind::CERT => tagged(body).map(|(encoding, data)| Payload::Certificate(encoding, data)),
        kind::CERTREQ => tagged(body).map(|(encoding, data)| Payload::CertificateRequest(encoding, data)),
        kind::HASH => Ok(Payload::Hash(body.to_vec())),
        kind::SIG => Ok(Payload::Signature(body.to_vec())),
        kind::NONCE => nonce(body).map(Payload::Nonce),
        kind::NOTIFY => notify(body).map(Payload::Notify),
        kind::DELETE => delete(body).map(Payload::Delete),
        kind::VENDOR_ID => Ok(Payload::VendorId(body.to_vec())),
        kind::ATTRIBUTES => ModeConfig::parse(body).map(Payload::ModeConfig),
        kind::NAT_D => Ok(Payload::NatD(NatNumbers::Rfc, body.to_vec())),
        kind::NAT_D_DRAFT => Ok(Payload::NatD(NatNumbers::Draft, body.to_vec())),
        kind::NAT_OA => original_address(body).map(|address| Payload::NatOa(NatNumbers::Rfc, address)),
        kind::NAT_OA_DRAFT => original_address(body).map(|address| Payload::NatOa(NatNumbers::Draft, address)),
        // Alone behind a header it is read by `parse`; among payloads it is nothing.
        kind::FRAGMENT => Err(Fault::Fragment.into()),
        unknown => Ok(Payload::Unknown(unknown, body.to_vec())),
    };
    payload.map_err(|broken| match broken {
        Broken::Fault(fault) => WireError::BadPayload { kind: number, fault },
        Broken::TooMany(what) => WireError::TooMany(what),
    })
}

/// A data attribute (RFC 2408 section 3.3).
pub(super) fn attribute(reader: &mut Reader<'_>) -> Result<Attribute, Fault> {
    let kind = reader.u16().ok_or(Fault::Truncated)?;
    let value = reader.u16().ok_or(Fault::Truncated)?;
    if kind & SHORT_ATTRIBUTE != 0 {
        return Ok(Attribute::short(kind, value));
    }
    Ok(Attribute::long(kind, reader.take(usize::from(value)).ok_or(Fault::Truncated)?))
}

/// CERT and CERTREQ (RFC 2408 sections 3.9 and 3.10): an encoding, then data.
fn tagged(body: &[u8]) -> Result<(u8, Vec<u8>), Broken> {
    let (encoding, data) = body.split_first().ok_or(Fault::Truncated)?;
    Ok((*encoding, data.to_vec()))
}

/// RFC 2409 section 5: "The length of nonce payload MUST be between 8 and 256 bytes inclusive."
fn nonce(body: &[u8]) -> Result<Vec<u8>, Broken> {
    if !(8..=256).contains(&body.len()) {
        return Err(Fault::NonceLength(body.len()).into());
    }
    Ok(body.to_vec())
}

/// RFC 2408 section 3.14. Some peers say domain of interpretation 0, "ISAKMP itself", about phase 1.
fn notify(body: &[u8]) -> Result<Notify, Broken> {
    let mut reader = Reader::new(body);
    let doi = reader.u32().ok_or(Fault::Truncated)?;
    if doi != DOI_IPSEC && doi != 0 {
        return Err(Fault::Doi(doi).into());
    }
    let [protocol, spi_len] = reader.array().ok_or(Fault::Truncated)?;
    let kind = NotifyKind::from_iana(reader.u16().ok_or(Fault::Truncated)?);
    let spi = reader.take(usize::from(spi_len)).ok_or(Fault::Truncated)?.to_vec();
    Ok(Notify { protocol: Protocol::from_iana(protocol), spi, kind, data: reader.rest().to_vec() })
}

/// RFC 2408 section 3.15.
fn delete(body: &[u8]) -> Result<Delete, Broken> {
    let mut reader = Reader::new(body);
    let doi = reader.u32().ok_or(Fault::Truncated)?;
    if doi != DOI_IPSEC && doi != 0 {
        return Err(Fault::Doi(doi).into());
    }
    let [protocol, spi_len] = reader.array().ok_or(Fault::Truncated)?;
    let count = usize::from(reader.u16().ok_or(Fault::Truncated)?);
    if count > limits::MAX_DELETED_SPIS {
        return Err(Broken::TooMany(Limited::DeletedSpis));
    }
    let delete = match Protocol::from_iana(protocol) {
        Protocol::Isakmp if spi_len == COOKIES_LEN => {
            let mut cookies = || Some((IkeSpi(reader.u64()?), IkeSpi(reader.u64()?)));
            Delete::Isakmp((0..count).map(|_| cookies().ok_or(Fault::Truncated)).collect::<Result<_, _>>()?)
        }
        Protocol::Esp if spi_len == 4 => {
            Delete::Esp((0..count).map(|_| reader.u32().ok_or(Fault::Truncated)).collect::<Result<_, _>>()?)
        }
        Protocol::Isakmp | Protocol::Esp => return Err(Fault::Spi.into()),
        other @ (Protocol::Ah | Protocol::Ipcomp | Protocol::Other(_)) => {
            reader.take(usize::from(spi_len) * count).ok_or(Fault::Truncated)?;
            Delete::Other(other)
        }
    };
    // Cisco puts a reason behind the SPIs (see `Vendor::DeleteWithReason`). The SAs end whatever it says.
    Ok(delete)
}

/// RFC 3947 section 5.2.
fn original_address(body: &[u8]) -> Result<IpAddr, Broken> {
    let mut reader = Reader::new(body);
    let [number, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    let bytes = reader.rest();
    let address = match IdKind::from_iana(number) {
        Some(IdKind::Ipv4) => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        Some(IdKind::Ipv6) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        Some(IdKind::Fqdn | IdKind::Email | IdKind::DistinguishedName | IdKind::GeneralName | IdKind::KeyId) | None => {
            return Err(Fault::OriginalAddress(number).into());
        }
    };
    address.ok_or_else(|| Fault::IdLength(bytes.len()).into())
}
