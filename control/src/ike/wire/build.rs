//! Messages to bytes. Cannot fail: what adit itself says is far below every length field, and a debug build checks.

use super::numbers::{
    CRITICAL, FLAG_INITIATOR, FLAG_RESPONSE, GENERIC_LEN, KEY_LENGTH_ATTRIBUTE, MORE_PROPOSALS, MORE_TRANSFORMS,
    TS_IPV4, TS_IPV6, VERSION, kind,
};
use super::writer::{octet, put_address, put_u16, put_u32, put_u64, with_length};
use super::{Attribute, ConfigPayload, Delete, Header, Id, KeyExchange, Notify, Payload, Proposal, Transform};
use adit_dataplane::contract::Selector;

/// A message in the clear, without the non-ESP marker.
pub fn build(header: &Header, payloads: &[Payload]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    put_header(&mut out, header, first_kind(payloads));
    put_payloads(&mut out, payloads);
    let length = (out.len() as u32).to_be_bytes();
    if let Some(field) = out.get_mut(LENGTH_AT..Header::LEN) {
        field.copy_from_slice(&length);
    }
    out
}

/// An ID payload without its generic header: what AUTH covers as "RestOfInitIDPayload" (RFC 7296 section 2.15).
pub fn id_body(id: &Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + id.bytes.len());
    put_identity(&mut out, id);
    out
}

/// Where the length field stands in the header.
pub(in crate::ike) const LENGTH_AT: usize = 24;

/// Header with a zero length, to be filled in when the end is known.
pub(in crate::ike) fn put_header(out: &mut Vec<u8>, header: &Header, first: u8) {
    let mut flags = 0;
    if header.flags.initiator {
        flags |= FLAG_INITIATOR;
    }
    if header.flags.response {
        flags |= FLAG_RESPONSE;
    }
    put_u64(out, header.initiator_spi.0);
    put_u64(out, header.responder_spi.0);
    out.extend([first, VERSION, header.exchange.iana(), flags]);
    put_u32(out, header.message_id);
    put_u32(out, 0);
}

/// Payloads with their generic headers, the last saying that none follows.
pub(in crate::ike) fn put_payloads(out: &mut Vec<u8>, payloads: &[Payload]) {
    let following = payloads.iter().skip(1).map(payload_kind).chain([kind::NONE]);
    for (payload, next) in payloads.iter().zip(following) {
        let critical = matches!(payload, Payload::Unknown(_, true));
        out.extend([next, if critical { CRITICAL } else { 0 }]);
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
        Payload::IdInitiator(_) => kind::ID_I,
        Payload::IdResponder(_) => kind::ID_R,
        Payload::Certificate(..) => kind::CERT,
        Payload::CertificateRequest(..) => kind::CERTREQ,
        Payload::Auth(..) => kind::AUTH,
        Payload::Nonce(_) => kind::NONCE,
        Payload::Notify(_) => kind::NOTIFY,
        Payload::Delete(_) => kind::DELETE,
        Payload::VendorId(_) => kind::VENDOR_ID,
        Payload::TsInitiator(_) => kind::TS_I,
        Payload::TsResponder(_) => kind::TS_R,
        Payload::Configuration(_) => kind::CP,
        Payload::Eap(_) => kind::EAP,
        Payload::Unknown(number, _) => *number,
    }
}

fn put_body(out: &mut Vec<u8>, payload: &Payload) {
    match payload {
        Payload::Sa(proposals) => put_proposals(out, proposals),
        Payload::Ke(KeyExchange { group, public }) => {
            put_u16(out, *group);
            put_u16(out, 0);
            out.extend(public);
        }
        Payload::IdInitiator(id) | Payload::IdResponder(id) => put_identity(out, id),
        Payload::Certificate(encoding, data) | Payload::CertificateRequest(encoding, data) => {
            out.push(*encoding);
            out.extend(data);
        }
        Payload::Auth(method, data) => {
            out.extend([*method, 0, 0, 0]);
            out.extend(data);
        }
        Payload::Nonce(data) | Payload::VendorId(data) | Payload::Eap(data) => out.extend(data),
        Payload::Notify(notify) => put_notify(out, notify),
        Payload::Delete(delete) => put_delete(out, delete),
        Payload::TsInitiator(selectors) | Payload::TsResponder(selectors) => put_selectors(out, selectors),
        Payload::Configuration(configuration) => put_configuration(out, configuration),
        Payload::Unknown(..) => {}
    }
}

fn put_proposals(out: &mut Vec<u8>, proposals: &[Proposal]) {
    let following = (0..proposals.len()).rev();
    for (Proposal { number, protocol, spi, transforms }, left) in proposals.iter().zip(following) {
        out.extend([if left == 0 { 0 } else { MORE_PROPOSALS }, 0]);
        with_length(out, 2, |out| {
            out.extend([*number, protocol.iana(), octet(spi.len()), octet(transforms.len())]);
            out.extend(spi);
            put_transforms(out, transforms);
        });
    }
}

fn put_transforms(out: &mut Vec<u8>, transforms: &[Transform]) {
    let following = (0..transforms.len()).rev();
    for (Transform { kind, id, key_bits, unknown_attribute }, left) in transforms.iter().zip(following) {
        debug_assert!(!unknown_attribute, "adit sends no attribute that it does not know");
        out.extend([if left == 0 { 0 } else { MORE_TRANSFORMS }, 0]);
        with_length(out, 2, |out| {
            out.extend([kind.iana(), 0]);
            put_u16(out, *id);
            if let Some(bits) = key_bits {
                put_u16(out, KEY_LENGTH_ATTRIBUTE);
                put_u16(out, *bits);
            }
        });
    }
}

fn put_identity(out: &mut Vec<u8>, id: &Id) {
    out.extend([id.kind.iana(), 0, 0, 0]);
    out.extend(&id.bytes);
}

fn put_notify(out: &mut Vec<u8>, Notify { about, kind, data }: &Notify) {
    match about {
        Some((protocol, spi)) => {
            out.extend([protocol.iana(), octet(spi.len())]);
            put_u16(out, kind.iana());
            out.extend(spi);
        }
        None => {
            out.extend([0, 0]);
            put_u16(out, kind.iana());
        }
    }
    out.extend(data);
}

fn put_delete(out: &mut Vec<u8>, Delete { protocol, spis }: &Delete) {
    let spi_len = if spis.is_empty() && *protocol == super::Protocol::Ike { 0 } else { 4 };
    out.extend([protocol.iana(), spi_len]);
    debug_assert!(spis.len() <= usize::from(u16::MAX));
    put_u16(out, spis.len() as u16);
    for spi in spis {
        put_u32(out, *spi);
    }
}

fn put_selectors(out: &mut Vec<u8>, selectors: &[Selector]) {
    out.extend([octet(selectors.len()), 0, 0, 0]);
    for Selector { addresses, protocol, ports } in selectors {
        debug_assert!(addresses.start().is_ipv4() == addresses.end().is_ipv4());
        out.extend([if addresses.start().is_ipv4() { TS_IPV4 } else { TS_IPV6 }, *protocol]);
        with_length(out, 2, |out| {
            put_u16(out, *ports.start());
            put_u16(out, *ports.end());
            put_address(out, *addresses.start());
            put_address(out, *addresses.end());
        });
    }
}

fn put_configuration(out: &mut Vec<u8>, ConfigPayload { kind, attributes }: &ConfigPayload) {
    out.extend([kind.iana(), 0, 0, 0]);
    for Attribute { kind, value } in attributes {
        debug_assert!(value.len() <= usize::from(u16::MAX));
        put_u16(out, kind & 0x7fff);
        put_u16(out, value.len() as u16);
        out.extend(value);
    }
}
