//! One payload's body to data.

use super::error::{Fault, Limited, WireError};
use super::numbers::{TS_IPV4, TS_IPV6, kind};
use super::reader::Reader;
use super::{
    Attribute, ConfigKind, ConfigPayload, Delete, Id, IdKind, KeyExchange, Notify, NotifyKind, Payload, Protocol,
    limits, parse_sa,
};
use adit_dataplane::contract::Selector;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

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

/// Reads the body of a payload of type `number`. SK is not a payload in this sense.
pub(super) fn parse_payload(number: u8, critical: bool, body: &[u8]) -> Result<Payload, WireError> {
    let payload = match number {
        kind::SA => parse_sa::sa(body).map(Payload::Sa),
        kind::KE => key_exchange(body).map(Payload::Ke),
        kind::ID_I => identity(body).map(Payload::IdInitiator),
        kind::ID_R => identity(body).map(Payload::IdResponder),
        kind::CERT => tagged(body).map(|(encoding, data)| Payload::Certificate(encoding, data)),
        kind::CERTREQ => tagged(body).map(|(encoding, data)| Payload::CertificateRequest(encoding, data)),
        kind::AUTH => auth(body).map(|(method, data)| Payload::Auth(method, data)),
        kind::NONCE => nonce(body).map(Payload::Nonce),
        kind::NOTIFY => notify(body).map(Payload::Notify),
        kind::DELETE => delete(body).map(Payload::Delete),
        kind::VENDOR_ID => Ok(Payload::VendorId(body.to_vec())),
        kind::TS_I => selectors(body).map(Payload::TsInitiator),
        kind::TS_R => selectors(body).map(Payload::TsResponder),
        kind::CP => configuration(body).map(Payload::Configuration),
        kind::EAP => Ok(Payload::Eap(body.to_vec())),
        // RFC 7296 section 2.5: an unknown payload is skipped unless it is critical.
        unknown if critical => return Err(WireError::UnsupportedCritical(unknown)),
        unknown => Ok(Payload::Unknown(unknown, critical)),
    };
    payload.map_err(|broken| match broken {
        Broken::Fault(fault) => WireError::BadPayload { kind: number, fault },
        Broken::TooMany(what) => WireError::TooMany(what),
    })
}

/// RFC 7296 section 3.4.
fn key_exchange(body: &[u8]) -> Result<KeyExchange, Broken> {
    let mut reader = Reader::new(body);
    let group = reader.u16().ok_or(Fault::Truncated)?;
    let _reserved = reader.u16().ok_or(Fault::Truncated)?;
    Ok(KeyExchange { group, public: reader.rest().to_vec() })
}

/// RFC 7296 section 3.5.
fn identity(body: &[u8]) -> Result<Id, Broken> {
    let mut reader = Reader::new(body);
    let [number, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    let kind = IdKind::from_iana(number).ok_or(Fault::IdKind(number))?;
    let bytes = reader.rest();
    let fits = match kind {
        IdKind::Ipv4 => bytes.len() == 4,
        IdKind::Ipv6 => bytes.len() == 16,
        IdKind::Fqdn | IdKind::Email | IdKind::DistinguishedName | IdKind::GeneralName | IdKind::KeyId => {
            (1..=limits::MAX_ID_LEN).contains(&bytes.len())
        }
    };
    if !fits {
        return Err(Fault::IdLength(bytes.len()).into());
    }
    Ok(Id { kind, bytes: bytes.to_vec() })
}

/// CERT and CERTREQ (RFC 7296 sections 3.6 and 3.7): an encoding, then data.
fn tagged(body: &[u8]) -> Result<(u8, Vec<u8>), Broken> {
    let (encoding, data) = body.split_first().ok_or(Fault::Truncated)?;
    Ok((*encoding, data.to_vec()))
}

/// RFC 7296 section 3.8.
fn auth(body: &[u8]) -> Result<(u8, Vec<u8>), Broken> {
    let mut reader = Reader::new(body);
    let [method, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    Ok((method, reader.rest().to_vec()))
}

/// RFC 7296 section 3.9.
fn nonce(body: &[u8]) -> Result<Vec<u8>, Broken> {
    if !(16..=256).contains(&body.len()) {
        return Err(Fault::NonceLength(body.len()).into());
    }
    Ok(body.to_vec())
}

/// RFC 7296 section 3.10.
fn notify(body: &[u8]) -> Result<Notify, Broken> {
    let mut reader = Reader::new(body);
    let [protocol, spi_len] = reader.array().ok_or(Fault::Truncated)?;
    let kind = NotifyKind::from_iana(reader.u16().ok_or(Fault::Truncated)?);
    let spi = reader.take(usize::from(spi_len)).ok_or(Fault::Truncated)?;
    // "If the SPI field is empty, this field MUST be sent as zero and MUST be ignored on receipt."
    let about = if spi.is_empty() {
        None
    } else {
        Some((Protocol::from_iana(protocol).ok_or(Fault::Protocol(protocol))?, spi.to_vec()))
    };
    Ok(Notify { about, kind, data: reader.rest().to_vec() })
}

/// RFC 7296 section 3.11.
fn delete(body: &[u8]) -> Result<Delete, Broken> {
    let mut reader = Reader::new(body);
    let [number, spi_len] = reader.array().ok_or(Fault::Truncated)?;
    let count = usize::from(reader.u16().ok_or(Fault::Truncated)?);
    let protocol = Protocol::from_iana(number).ok_or(Fault::Protocol(number))?;
    let fits = match protocol {
        Protocol::Ike => spi_len == 0 && count == 0,
        Protocol::Ah | Protocol::Esp => spi_len == 4,
    };
    if !fits {
        return Err(Fault::Spi.into());
    }
    if count > limits::MAX_DELETED_SPIS {
        return Err(Broken::TooMany(Limited::DeletedSpis));
    }
    let spis = (0..count).map(|_| reader.u32().ok_or(Fault::Truncated)).collect::<Result<_, _>>()?;
    if !reader.is_empty() {
        return Err(Fault::Trailing.into());
    }
    Ok(Delete { protocol, spis })
}

/// RFC 7296 section 3.13: 255 at most, for one octet counts them; so many we say ourselves where there are so many networks. Selectors of
/// a type that adit does not know are left out: they match nothing.
fn selectors(body: &[u8]) -> Result<Vec<Selector>, Broken> {
    let mut reader = Reader::new(body);
    let [count, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    if count == 0 {
        return Err(Fault::SelectorCount.into());
    }
    let mut selectors = Vec::new();
    for _ in 0..count {
        if reader.is_empty() {
            return Err(Fault::SelectorCount.into());
        }
        selectors.extend(selector(&mut reader)?);
    }
    if !reader.is_empty() {
        return Err(Fault::SelectorCount.into());
    }
    Ok(selectors)
}

/// RFC 7296 section 3.13.1. `None` for what can match no packet of a tunnel: an unknown type, or OPAQUE ports
/// (RFC 4301 section 4.4.1.1, spelt 65535 to 0), because adit never lets a packet pass whose ports it cannot see.
fn selector(reader: &mut Reader<'_>) -> Result<Option<Selector>, Fault> {
    let [ts_type, protocol] = reader.array().ok_or(Fault::Truncated)?;
    let length = usize::from(reader.u16().ok_or(Fault::Truncated)?);
    let mut rest = Reader::new(length.checked_sub(4).and_then(|len| reader.take(len)).ok_or(Fault::SelectorLength)?);
    let addresses: fn(&mut Reader<'_>) -> Option<RangeInclusive<IpAddr>> = match ts_type {
        TS_IPV4 => |rest| {
            let [first, last] = [rest.array::<4>()?, rest.array()?].map(|octets| Ipv4Addr::from(octets).into());
            Some(first..=last)
        },
        TS_IPV6 => |rest| {
            let [first, last] = [rest.array::<16>()?, rest.array()?].map(|octets| Ipv6Addr::from(octets).into());
            Some(first..=last)
        },
        _unknown => return Ok(None),
    };
    let first_port = rest.u16().ok_or(Fault::SelectorLength)?;
    let last_port = rest.u16().ok_or(Fault::SelectorLength)?;
    let addresses = addresses(&mut rest).ok_or(Fault::SelectorLength)?;
    if !rest.is_empty() {
        return Err(Fault::SelectorLength);
    }
    if addresses.is_empty() {
        return Err(Fault::SelectorRange);
    }
    match (first_port, last_port) {
        (u16::MAX, 0) => Ok(None),
        (first, last) if first > last => Err(Fault::SelectorRange),
        (first, last) => Ok(Some(Selector { addresses, protocol, ports: first..=last })),
    }
}

/// RFC 7296 section 3.15.
fn configuration(body: &[u8]) -> Result<ConfigPayload, Broken> {
    let mut reader = Reader::new(body);
    let [number, _reserved @ ..] = reader.array::<4>().ok_or(Fault::Truncated)?;
    let kind = ConfigKind::from_iana(number).ok_or(Fault::ConfigKind(number))?;
    let mut attributes = Vec::new();
    while !reader.is_empty() {
        if attributes.len() == limits::MAX_CONFIG_ATTRIBUTES {
            return Err(Broken::TooMany(Limited::ConfigAttributes));
        }
        // The highest bit is reserved and ignored (RFC 7296 section 3.15.1).
        let kind = reader.u16().ok_or(Fault::Truncated)? & 0x7fff;
        let length = usize::from(reader.u16().ok_or(Fault::Truncated)?);
        let value = reader.take(length).ok_or(Fault::Truncated)?.to_vec();
        attributes.push(Attribute { kind, value });
    }
    Ok(ConfigPayload { kind, attributes })
}
