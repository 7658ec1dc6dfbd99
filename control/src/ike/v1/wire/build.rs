//! Messages to bytes. Cannot fail: what adit itself says is far below every length field, and a debug build checks.

use super::numbers::{
    COOKIES_LEN, DOI_IPSEC, FLAG_COMMIT, FLAG_ENCRYPTED, GENERIC_LEN, LENGTH_AT, SHORT_ATTRIBUTE, SITUATION, VERSION,
    kind,
};
use super::{
    Attribute, Delete, Header, IdKind, ModeConfig, NatNumbers, Notify, Payload, Proposal, Protocol, Transform, Value,
};
use crate::ike::wire::writer::{octet, put_address, put_u16, put_u32, with_length};
use std::net::IpAddr;

/// A message in the clear, without the non-ESP marker.
pub fn build(header: &Header, payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    put_header(&mut out, header, first_kind(payloads));
    put_payloads(&mut out, payloads);
    fill_length(&mut out);
    out
}

/// A payload without its generic header: what RFC 2409 section 3.2 writes as `<P>_b`.
pub fn payload_body(payload: &Payload) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    put_body(&mut out, payload);
    out
}

/// Header with a zero length, to be filled in when the end is known.
pub(in crate::ike) fn put_header(out: &mut Vec<u8>, header: &Header, first: u8) {
    let mut flags = 0;
    if header.flags.encrypted {
        flags |= FLAG_ENCRYPTED;
    }
    if header.flags.commit {
        flags |= FLAG_COMMIT;
    }
    out.extend(header.initiator_cookie.0.to_be_bytes());
    out.extend(header.responder_cookie.0.to_be_bytes());
    out.extend([first, VERSION, header.exchange.iana(), flags]);
    put_u32(out, header.message_id);
    put_u32(out, 0);
}

/// Fills in the length of a message that is all of `out`.
pub(super) fn fill_length(out: &mut [u8]) {
    let length = (out.len() as u32).to_be_bytes();
    if let Some(field) = out.get_mut(LENGTH_AT..Header::LEN) {
        field.copy_from_slice(&length);
    }
}

/// Payloads with their generic headers, the last saying that none follows.
pub(in crate::ike) fn put_payloads(out: &mut Vec<u8>, payloads: &[Payload]) {
    let following = payloads.iter().skip(1).map(payload_kind).chain([kind::NONE]);
    for (payload, next) in payloads.iter().zip(following) {
        out.extend([next, 0]);
        with_length(out, GENERIC_LEN - 2, |out| put_body(out, payload));
    }
}

/// Type of the first payload, for the field before it.
pub(in crate::ike) fn first_kind(payloads: &[Payload]) -> u8 {
    payloads.first().map_or(kind::NONE, payload_kind)
}

fn payload_kind(payload: &Payload) -> u8 {
    match payload {
        Payload::Sa(_) => kind::SA,
        Payload::Ke(_) => kind::KE,
        Payload::Id(_) => kind::ID,
        Payload::Certificate(..) => kind::CERT,
        Payload::CertificateRequest(..) => kind::CERTREQ,
        Payload::Hash(_) => kind::HASH,
        Payload::Signature(_) => kind::SIG,
        Payload::Nonce(_) => kind::NONCE,
        Payload::Notify(_) => kind::NOTIFY,
        Payload::Delete(_) => kind::DELETE,
        Payload::VendorId(_) => kind::VENDOR_ID,
        Payload::ModeConfig(_) => kind::ATTRIBUTES,
        Payload::NatD(NatNumbers::Rfc, _) => kind::NAT_D,
        Payload::NatD(NatNumbers::Draft, _) => kind::NAT_D_DRAFT,
        Payload::NatOa(NatNumbers::Rfc, _) => kind::NAT_OA,
        Payload::NatOa(NatNumbers::Draft, _) => kind::NAT_OA_DRAFT,
        Payload::Unknown(number, _) => *number,
    }
}

fn put_body(out: &mut Vec<u8>, payload: &Payload) {
    match payload {
        Payload::Sa(proposals) => {
            put_u32(out, DOI_IPSEC);
            put_u32(out, SITUATION);
            put_proposals(out, proposals);
        }
        Payload::Id(identification) => identification.put(out),
        Payload::Certificate(encoding, data) | Payload::CertificateRequest(encoding, data) => {
            out.push(*encoding);
            out.extend(data);
        }
        Payload::Ke(data)
        | Payload::Hash(data)
        | Payload::Signature(data)
        | Payload::Nonce(data)
        | Payload::VendorId(data)
        | Payload::NatD(_, data)
        | Payload::Unknown(_, data) => out.extend(data),
        Payload::Notify(notify) => put_notify(out, notify),
        Payload::Delete(delete) => put_delete(out, delete),
        Payload::ModeConfig(ModeConfig { kind, identifier, attributes }) => {
            out.extend([kind.iana(), 0]);
            put_u16(out, *identifier);
            attributes.iter().for_each(|attribute| put_attribute(out, attribute));
        }
        Payload::NatOa(_, address) => {
            let kind = match address {
                IpAddr::V4(_) => IdKind::Ipv4,
                IpAddr::V6(_) => IdKind::Ipv6,
            };
            out.extend([kind.iana(), 0, 0, 0]);
            put_address(out, *address);
        }
    }
}

fn put_proposals(out: &mut Vec<u8>, proposals: &[Proposal]) {
    let following = (0..proposals.len()).rev();
    for (Proposal { number, protocol, spi, transforms }, left) in proposals.iter().zip(following) {
        out.extend([if left == 0 { kind::NONE } else { kind::PROPOSAL }, 0]);
        with_length(out, 2, |out| {
            out.extend([*number, protocol.iana(), octet(spi.len()), octet(transforms.len())]);
            out.extend(spi);
            put_transforms(out, transforms);
        });
    }
}

fn put_transforms(out: &mut Vec<u8>, transforms: &[Transform]) {
    let following = (0..transforms.len()).rev();
    for (Transform { number, id, attributes }, left) in transforms.iter().zip(following) {
        out.extend([if left == 0 { kind::NONE } else { kind::TRANSFORM }, 0]);
        with_length(out, 2, |out| {
            out.extend([*number, *id, 0, 0]);
            attributes.iter().for_each(|attribute| put_attribute(out, attribute));
        });
    }
}

pub(super) fn put_attribute(out: &mut Vec<u8>, Attribute { kind, value }: &Attribute) {
    match value {
        Value::Short(value) => {
            put_u16(out, kind | SHORT_ATTRIBUTE);
            put_u16(out, *value);
        }
        Value::Long(octets) => {
            debug_assert!(octets.len() <= usize::from(u16::MAX));
            put_u16(out, kind & !SHORT_ATTRIBUTE);
            put_u16(out, octets.len() as u16);
            out.extend(octets);
        }
    }
}

fn put_notify(out: &mut Vec<u8>, Notify { protocol, spi, kind, data }: &Notify) {
    put_u32(out, DOI_IPSEC);
    out.extend([protocol.iana(), octet(spi.len())]);
    put_u16(out, kind.iana());
    out.extend(spi);
    out.extend(data);
}

fn put_delete(out: &mut Vec<u8>, delete: &Delete) {
    let (protocol, spi_len, count) = match delete {
        Delete::Isakmp(sas) => (Protocol::Isakmp, COOKIES_LEN, sas.len()),
        Delete::Esp(spis) => (Protocol::Esp, 4, spis.len()),
        Delete::Other(protocol) => (*protocol, 0, 0),
    };
    debug_assert!(count <= usize::from(u16::MAX));
    put_u32(out, DOI_IPSEC);
    out.extend([protocol.iana(), spi_len]);
    put_u16(out, count as u16);
    match delete {
        Delete::Isakmp(sas) => {
            for (initiator, responder) in sas {
                out.extend(initiator.0.to_be_bytes());
                out.extend(responder.0.to_be_bytes());
            }
        }
        Delete::Esp(spis) => spis.iter().for_each(|spi| put_u32(out, *spi)),
        Delete::Other(_) => {}
    }
}
