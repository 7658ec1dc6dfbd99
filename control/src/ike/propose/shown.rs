//! Proposals as the log shows them, in config's spelling.

use crate::ike::wire::{Proposal, Protocol, Transform, TransformKind};
use adit_crypto::suite::{Encr, Integ, KexGroup, PrfId, SequenceNumbers};
use std::borrow::Cow;
use std::fmt::{Display, Write};

/// Octets of text after which the rest of an offer is only counted: a log line is no place for a flood.
const MAX_TEXT: usize = 700;

/// `aes256-sha1-modp1024, 3des-md5-modp1024, … (7 more)`
pub(super) fn offered_text(offered: &[Proposal]) -> String {
    let mut text = String::new();
    for (shown, proposal) in offered.iter().enumerate() {
        if text.len() > MAX_TEXT {
            let _infallible = write!(text, ", … ({} more)", offered.len() - shown);
            break;
        }
        if shown > 0 {
            text.push_str(", ");
        }
        push_proposal(&mut text, proposal);
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// Config's proposals, by comma.
pub(super) fn wanted_text<T: Display>(allowed: &[T]) -> String {
    allowed.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn push_proposal(text: &mut String, proposal: &Proposal) {
    match proposal.protocol {
        Protocol::Ike | Protocol::Esp => {}
        Protocol::Ah => text.push_str("ah:"),
    }
    for (position, transform) in proposal.transforms.iter().enumerate() {
        if text.len() > MAX_TEXT {
            text.push('…');
            return;
        }
        if position > 0 {
            text.push('-');
        }
        text.push_str(&word(transform));
    }
}

fn word(transform: &Transform) -> Cow<'static, str> {
    let Transform { kind, id, key_bits, unknown_attribute } = *transform;
    let known = match kind {
        TransformKind::Encr => Encr::from_iana(id, key_bits).map(Encr::name),
        TransformKind::Prf => PrfId::from_iana(id).map(PrfId::name),
        TransformKind::Integ => Integ::from_iana(id).map(Integ::name),
        TransformKind::KeyExchange => KexGroup::from_iana(id).map(KexGroup::name),
        TransformKind::Esn => SequenceNumbers::from_iana(id).map(SequenceNumbers::name),
        TransformKind::Other(_) => None,
    };
    match known.or_else(|| foreign(kind, id, key_bits)) {
        Some(name) if unknown_attribute => format!("{name}+?").into(),
        Some(name) => name.into(),
        None => {
            let bits = key_bits.map(|bits| format!("/{bits}")).unwrap_or_default();
            format!("{}{id}{bits}", kind_name(kind)).into()
        }
    }
}

fn kind_name(kind: TransformKind) -> Cow<'static, str> {
    match kind {
        TransformKind::Encr => "encr#".into(),
        TransformKind::Prf => "prf#".into(),
        TransformKind::Integ => "integ#".into(),
        TransformKind::KeyExchange => "group#".into(),
        TransformKind::Esn => "esn#".into(),
        TransformKind::Other(number) => format!("type{number}#").into(),
    }
}

/// Names of what adit does not have, so that the log speaks of `3des` and not of a number.
/// IANA: "Internet Key Exchange Version 2 (IKEv2) Parameters"; spelling: strongSwan.
fn foreign(kind: TransformKind, id: u16, key_bits: Option<u16>) -> Option<&'static str> {
    Some(match (kind, id, key_bits) {
        (TransformKind::Encr, 2, None) => "des",
        (TransformKind::Encr, 3, None) => "3des",
        (TransformKind::Encr, 11, None) => "null",
        (TransformKind::Encr, 12, Some(192)) => "aes192",
        (TransformKind::Encr, 13, Some(128)) => "aes128ctr",
        (TransformKind::Encr, 13, Some(192)) => "aes192ctr",
        (TransformKind::Encr, 13, Some(256)) => "aes256ctr",
        (TransformKind::Encr, 16, Some(128)) => "aes128ccm16",
        (TransformKind::Encr, 16, Some(256)) => "aes256ccm16",
        (TransformKind::Encr, 18, Some(128)) => "aes128gcm8",
        (TransformKind::Encr, 18, Some(256)) => "aes256gcm8",
        (TransformKind::Encr, 19, Some(128)) => "aes128gcm12",
        (TransformKind::Encr, 19, Some(256)) => "aes256gcm12",
        (TransformKind::Encr, 20, Some(192)) => "aes192gcm16",
        (TransformKind::Encr, 23, Some(128)) => "camellia128",
        (TransformKind::Encr, 23, Some(192)) => "camellia192",
        (TransformKind::Encr, 23, Some(256)) => "camellia256",
        (TransformKind::Prf, 1, None) => "prfmd5",
        (TransformKind::Prf, 4, None) => "prfaesxcbc",
        (TransformKind::Prf, 8, None) => "prfaescmac",
        (TransformKind::Integ, 0, None) => "nointeg",
        (TransformKind::Integ, 1, None) => "md5",
        (TransformKind::Integ, 5, None) => "aesxcbc",
        (TransformKind::Integ, 8, None) => "aescmac",
        (TransformKind::KeyExchange, 0, None) => "nogroup",
        (TransformKind::KeyExchange, 1, None) => "modp768",
        (TransformKind::KeyExchange, 2, None) => "modp1024",
        (TransformKind::KeyExchange, 5, None) => "modp1536",
        (TransformKind::KeyExchange, 15, None) => "modp3072",
        (TransformKind::KeyExchange, 16, None) => "modp4096",
        (TransformKind::KeyExchange, 17, None) => "modp6144",
        (TransformKind::KeyExchange, 18, None) => "modp8192",
        (TransformKind::KeyExchange, 21, None) => "ecp521",
        (TransformKind::KeyExchange, 32, None) => "x448",
        _unnamed => return None,
    })
}
