//! Identities as text, and patterns of them (RFC 7296 section 3.5).

use super::wire::{Id, IdKind, limits::MAX_ID_LEN};
use crate::config::checked::IdPattern;
use crate::pki::DistinguishedName;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is no identity, or no pattern of identities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTextError {
    /// Nothing there.
    #[error(
        "the identity is empty; write for example `vpn.example.org`, `alice@example.org`, `192.0.2.1`, `keyid:staff`"
    )]
    Empty,
    /// Longer than [`MAX_ID_LEN`].
    #[error("the identity has {0} octets, at most {MAX_ID_LEN} are allowed")]
    TooLong(usize),
    /// A distinguished name where it cannot stand.
    #[error(
        "`{0}` looks like a distinguished name, which only a pattern of others' identities can be (its own adit takes from its certificate); use a name, an e-mail address, an address or `keyid:…`"
    )]
    DistinguishedName(String),
    /// A part of a distinguished name without an equals sign.
    #[error("`{0}` is no part of a distinguished name; write for example `C=CH, O=rig, CN=*`")]
    NoPartOfAName(String),
    /// A name or e-mail address with octets that it cannot have.
    #[error("`{0}` is no name or e-mail address: only printable ASCII without spaces; for other octets use `keyid:…`")]
    NotPrintable(String),
    /// An address with a star.
    #[error("`{0}` is no address; a star cannot stand in an address")]
    StarInAddress(String),
    /// A star where one identity is wanted.
    #[error("`{0}` has a star, but one identity is wanted here")]
    Star(String),
}

impl Id {
    /// `vpn.example.org`, `alice@rig`, `192.0.2.1`, `2001:db8::1`, `keyid:group`; `fqdn:` and `email:` force a kind.
    pub fn parse(text: &str) -> Result<Self, IdTextError> {
        let (kind, bytes) = kind_and_bytes(text)?;
        if kind != IdKind::KeyId && bytes.contains(&b'*') {
            return Err(IdTextError::Star(text.to_owned()));
        }
        Ok(Self { kind, bytes })
    }

    /// Whether both are the same name. Names and e-mail addresses compare without case (RFC 4343), as [`IdPattern::matches`] does.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.kind == other.kind && comparison(self.kind)(&self.bytes, &other.bytes)
    }
}

/// Names and e-mail addresses compare without case (RFC 4343; strongSwan too).
const fn has_no_case(kind: IdKind) -> bool {
    match kind {
        IdKind::Fqdn | IdKind::Email => true,
        IdKind::Ipv4 | IdKind::Ipv6 | IdKind::DistinguishedName | IdKind::GeneralName | IdKind::KeyId => false,
    }
}

/// How octets of that kind are compared.
const fn comparison(kind: IdKind) -> fn(&[u8], &[u8]) -> bool {
    match has_no_case(kind) {
        true => <[u8]>::eq_ignore_ascii_case,
        false => |one, other| one == other,
    }
}

impl Id {
    /// The one spelling of all that [`IdPattern::matches`] takes for the same: to find somebody by, not to show or to prove.
    #[must_use]
    pub fn folded(&self) -> Self {
        let bytes = match has_no_case(self.kind) {
            true => self.bytes.to_ascii_lowercase(),
            false => self.bytes.clone(),
        };
        Self { kind: self.kind, bytes }
    }
}

impl IdPattern {
    /// As [`Id::parse`], and `*` stands for any octets. `*` alone takes every kind. A distinguished name is written as
    /// its certificate has it, from the country down: `C=CH, O=rig, CN=*`; a star stays within its part.
    pub fn parse(text: &str) -> Result<Self, IdTextError> {
        if text.trim() == "*" {
            return Ok(Self { kind: None, parts: vec![Vec::new(), Vec::new()] });
        }
        let (kind, bytes) = match kind_and_bytes(text) {
            Err(IdTextError::DistinguishedName(text)) if !has_other_hex_prefix(&text) => {
                (IdKind::DistinguishedName, distinguished_name_pattern(&text)?.into_bytes())
            }
            other => other?,
        };
        if matches!(kind, IdKind::Ipv4 | IdKind::Ipv6) {
            return Ok(Self { kind: Some(kind), parts: vec![bytes] });
        }
        if kind == IdKind::Fqdn && bytes.contains(&b'*') && bytes.iter().all(|octet| b"0123456789.*".contains(octet)) {
            return Err(IdTextError::StarInAddress(text.to_owned()));
        }
        Ok(Self { kind: Some(kind), parts: bytes.split(|octet| *octet == b'*').map(<[u8]>::to_vec).collect() })
    }

    /// Whether it is for this identity. Names and e-mail addresses compare without case.
    pub fn matches(&self, id: &Id) -> bool {
        if self.kind.is_some_and(|kind| kind != id.kind) {
            return false;
        }
        if self.kind == Some(IdKind::DistinguishedName) {
            return self.matches_distinguished_name(&id.bytes);
        }
        glob(&self.parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), &id.bytes, comparison(id.kind))
    }

    /// Part by part, so that no star reaches over a comma; without case, as X.520 compares most of them.
    fn matches_distinguished_name(&self, der: &[u8]) -> bool {
        let Some(name) = DistinguishedName::from_der(der) else { return false };
        let pattern = String::from_utf8_lossy(&self.parts.join(&b'*')).into_owned();
        let wanted = DistinguishedName::split(&pattern);
        wanted.len() == name.parts().len()
            && wanted.iter().zip(name.parts()).all(|(wanted, part)| {
                let wanted: Vec<&[u8]> = wanted.as_bytes().split(|octet| *octet == b'*').collect();
                glob(&wanted, part.as_bytes(), <[u8]>::eq_ignore_ascii_case)
            })
    }
}

/// Whether `bytes` are the parts of a pattern with anything between them.
pub(crate) fn glob(parts: &[&[u8]], bytes: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
    let (first, last, middle) = match parts {
        [] => return false,
        [only] => return same(only, bytes),
        [first, middle @ .., last] => (*first, *last, middle),
    };
    let fits = |part: &[u8], bytes: Option<&[u8]>| bytes.is_some_and(|bytes| same(part, bytes));
    if bytes.len() < first.len() + last.len()
        || !fits(first, bytes.get(..first.len()))
        || !fits(last, bytes.get(bytes.len() - last.len()..))
    {
        return false;
    }
    // Each middle part at its first place after the one before: if that fails, no later place helps.
    let mut rest = bytes.get(first.len()..bytes.len() - last.len()).unwrap_or_default();
    for part in middle.iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| same(part, window)) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// As config writes it. Octets that are not printable ASCII, and the backslash, read `\x00`; nothing raw reaches a log.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.as_slice();
        match self.kind {
            IdKind::Ipv4 => match <[u8; 4]>::try_from(bytes) {
                Ok(octets) => write!(f, "{}", Ipv4Addr::from(octets)),
                Err(_wrong_length) => write_hex(f, "ipv4", bytes),
            },
            IdKind::Ipv6 => match <[u8; 16]>::try_from(bytes) {
                Ok(octets) => write!(f, "{}", Ipv6Addr::from(octets)),
                Err(_wrong_length) => write_hex(f, "ipv6", bytes),
            },
            IdKind::Fqdn => {
                // So that a name that looks like another kind cannot pass for it.
                if !matches!(kind_and_bytes(&String::from_utf8_lossy(bytes)), Ok((IdKind::Fqdn, _))) {
                    f.write_str("fqdn:")?;
                }
                write_escaped(f, bytes)
            }
            IdKind::Email => {
                if !bytes.contains(&b'@') || bytes.contains(&b'=') || has_prefix(bytes) {
                    f.write_str("email:")?;
                }
                write_escaped(f, bytes)
            }
            IdKind::KeyId => {
                f.write_str("keyid:")?;
                write_escaped(f, bytes)
            }
            IdKind::DistinguishedName => match DistinguishedName::from_der(bytes) {
                Some(name) if !name.is_empty() => write!(f, "{name}"),
                Some(_) | None => write_hex(f, "dn", bytes),
            },
            IdKind::GeneralName => write_hex(f, "gn", bytes),
        }
    }
}

/// As [`IdPattern::parse`] reads it.
impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            None => f.write_str("*"),
            Some(IdKind::DistinguishedName) => f.write_str(&String::from_utf8_lossy(&self.parts.join(&b'*'))),
            Some(kind) => write!(f, "{}", Id { kind, bytes: self.parts.join(&b'*') }),
        }
    }
}

const PREFIXES: [(&str, IdKind); 3] = [("keyid:", IdKind::KeyId), ("fqdn:", IdKind::Fqdn), ("email:", IdKind::Email)];

/// How [`Id`] shows what has no text: a name may not begin like that.
const SHOWN_AS_HEX: [&str; 4] = ["dn:", "gn:", "ipv4:", "ipv6:"];

/// Hex that stands for no distinguished name.
fn has_other_hex_prefix(text: &str) -> bool {
    SHOWN_AS_HEX.iter().filter(|name| **name != "dn:").any(|name| text.starts_with(name))
}

/// A pattern of a distinguished name as [`DistinguishedName`] shows names, without `dn:` in front.
fn distinguished_name_pattern(text: &str) -> Result<String, IdTextError> {
    let text = text.strip_prefix("dn:").unwrap_or(text);
    if text.len() > MAX_ID_LEN {
        return Err(IdTextError::TooLong(text.len()));
    }
    if !text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        return Err(IdTextError::NotPrintable(text.escape_debug().to_string()));
    }
    let parts = DistinguishedName::split(text);
    match parts.iter().find(|part| !part.contains('=')) {
        Some(part) => Err(IdTextError::NoPartOfAName(part.clone())),
        None => Ok(parts.join(", ")),
    }
}

fn has_prefix(bytes: &[u8]) -> bool {
    let text_prefixes = PREFIXES.iter().map(|(prefix, _)| *prefix);
    text_prefixes.chain(SHOWN_AS_HEX).any(|prefix| bytes.starts_with(prefix.as_bytes()))
}

fn kind_and_bytes(text: &str) -> Result<(IdKind, Vec<u8>), IdTextError> {
    let text = text.trim();
    let prefixed = PREFIXES.iter().find_map(|(prefix, kind)| Some((*kind, text.strip_prefix(prefix)?)));
    let (kind, rest) = match prefixed {
        Some((kind, rest)) => (kind, rest),
        None => match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => return Ok((IdKind::Ipv4, v4.octets().to_vec())),
            Ok(IpAddr::V6(v6)) => return Ok((IdKind::Ipv6, v6.octets().to_vec())),
            Err(_) if text.contains('=') || SHOWN_AS_HEX.iter().any(|name| text.starts_with(name)) => {
                return Err(IdTextError::DistinguishedName(text.to_owned()));
            }
            Err(_) if text.contains('@') => (IdKind::Email, text),
            Err(_) => (IdKind::Fqdn, text),
        },
    };
    if rest.is_empty() {
        return Err(IdTextError::Empty);
    }
    if rest.len() > MAX_ID_LEN {
        return Err(IdTextError::TooLong(rest.len()));
    }
    if kind != IdKind::KeyId && !rest.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(IdTextError::NotPrintable(rest.escape_debug().to_string()));
    }
    Ok((kind, rest.as_bytes().to_vec()))
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (at, octet) in bytes.iter().enumerate() {
        match octet {
            // A space at an end would be overlooked.
            b' ' if at == 0 || at + 1 == bytes.len() => f.write_str("\\x20")?,
            b'\\' => f.write_str("\\x5c")?,
            b' '..=b'~' => write!(f, "{}", char::from(*octet))?,
            other => write!(f, "\\x{other:02x}")?,
        }
    }
    Ok(())
}

fn write_hex(f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]) -> fmt::Result {
    write!(f, "{name}:")?;
    bytes.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn id(kind: IdKind, bytes: &[u8]) -> Id {
        Id { kind, bytes: bytes.to_vec() }
    }

    #[test]
    fn each_kind_is_read_and_shown_as_it_was_written() {
        for (text, kind, bytes) in [
            ("vpn.example.org", IdKind::Fqdn, &b"vpn.example.org"[..]),
            ("alice@rig", IdKind::Email, b"alice@rig"),
            ("10.0.0.1", IdKind::Ipv4, &[10, 0, 0, 1]),
            ("2001:db8::1", IdKind::Ipv6, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("keyid:riggroup", IdKind::KeyId, b"riggroup"),
            ("email:alice", IdKind::Email, b"alice"),
            ("fqdn:10.0.0.1", IdKind::Fqdn, b"10.0.0.1"),
            ("fqdn:a@b", IdKind::Fqdn, b"a@b"),
            ("keyid:two words *", IdKind::KeyId, b"two words *"),
        ] {
            let parsed = Id::parse(text).unwrap();
            assert_eq!(parsed, id(kind, bytes), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_identity_is_told_why() {
        assert_eq!(Id::parse(" "), Err(IdTextError::Empty));
        assert_eq!(Id::parse("keyid:"), Err(IdTextError::Empty));
        assert_eq!(Id::parse(&"a".repeat(256)), Err(IdTextError::TooLong(256)));
        assert!(Id::parse(&"a".repeat(255)).is_ok());
        assert!(matches!(Id::parse("C=CH, O=rig"), Err(IdTextError::DistinguishedName(_))));
        assert!(matches!(IdPattern::parse("C=CH, rig"), Err(IdTextError::NoPartOfAName(_))));
        assert!(matches!(IdPattern::parse("C=CH,"), Err(IdTextError::NoPartOfAName(_))));
        assert!(matches!(IdPattern::parse("CN=\u{e9}"), Err(IdTextError::NotPrintable(_))));
        assert!(matches!(IdPattern::parse("gn:0011"), Err(IdTextError::DistinguishedName(_))));
        assert!(matches!(Id::parse("two words"), Err(IdTextError::NotPrintable(_))));
        assert!(matches!(Id::parse("*@rig"), Err(IdTextError::Star(_))));
        assert!(matches!(IdPattern::parse("10.0.*"), Err(IdTextError::StarInAddress(_))));
    }

    #[test]
    fn no_control_octet_reaches_a_log() {
        assert_eq!(id(IdKind::Fqdn, b"a\n\x1b[31m\\\xff").to_string(), "fqdn:a\\x0a\\x1b[31m\\x5c\\xff");
        check!().with_type::<(u8, Vec<u8>)>().for_each(|(number, bytes)| {
            let Some(kind) = IdKind::from_iana(*number % 12) else { return };
            let text = id(kind, bytes).to_string();
            assert!(text.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{text:?}");
            // What is shown and can be read back is read back as the same identity.
            if kind != IdKind::KeyId
                && let Ok(again) = Id::parse(&text)
                && !text.contains('\\')
            {
                assert_eq!(again, id(kind, bytes));
            }
        });
    }

    #[test]
    fn patterns_match_what_they_say() {
        let matches = |pattern: &str, text: &str| IdPattern::parse(pattern).unwrap().matches(&Id::parse(text).unwrap());
        for (pattern, text, expected) in [
            ("*", "alice@rig", true),
            ("*", "10.0.0.1", true),
            ("*", "keyid:group", true),
            ("alice@rig", "alice@rig", true),
            ("alice@rig", "ALICE@Rig", true),
            ("alice@rig", "malice@rig", false),
            ("*@rig", "alice@rig", true),
            ("*@rig", "alice@rigs", false),
            ("*@rig", "fqdn:alice@rig", false),
            ("*.example.org", "vpn.example.org", true),
            ("*.example.org", "example.org", false),
            ("a*a", "fqdn:a", false),
            ("a*a", "fqdn:aa", true),
            ("a*bc*c", "abcc", true),
            ("a*bc*c", "abc", false),
            ("a**c", "ac", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "fqdn:10.0.0.1", false),
            ("keyid:group", "keyid:group", true),
            ("keyid:group", "keyid:Group", false),
            ("keyid:*", "keyid:group", true),
            ("keyid:*", "group", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} and {text}");
        }
    }

    /// C=CH, O=Rig, CN=alice@rig and one whose common name pretends to be more.
    #[test]
    fn distinguished_names_are_shown_and_matched_part_by_part() {
        let name = |hex: &str| id(IdKind::DistinguishedName, &hex::decode(hex).unwrap());
        let alice =
            name("302f310b3009060355040613024348310c300a060355040a0c035269673112301006035504030c09616c69636540726967");
        let sly = name("3026310b30090603550406130243483117301506035504030c0e612c204f3d5269672c20434e3d62");
        assert_eq!(alice.to_string(), "C=CH, O=Rig, CN=alice@rig");
        assert_eq!(sly.to_string(), "C=CH, CN=a\\, O=Rig\\, CN=b");
        assert_eq!(name("3000").to_string(), "dn:3000");
        assert_eq!(name("30ff").to_string(), "dn:30ff");
        for (pattern, of_alice, of_sly) in [
            ("*", true, true),
            ("C=CH, O=Rig, CN=alice@rig", true, false),
            ("dn:c=ch,o=rig,cn=ALICE@rig", true, false),
            ("C=CH, O=Rig, CN=*", true, false),
            ("C=CH, O=Rig, CN=*@rig", true, false),
            ("C=CH, O=Rig, CN=b", false, false),
            ("C=CH, CN=*", false, true),
            ("C=*, CN=a*b", false, true),
            ("C=CH, *, CN=b", false, false),
            ("C=CH, O=Rig", false, false),
            ("CN=alice@rig", false, false),
            ("CN=alice@rig, O=Rig, C=CH", false, false),
        ] {
            let Ok(parsed) = IdPattern::parse(pattern) else {
                assert!(pattern.contains(" *,"), "{pattern}");
                continue;
            };
            assert_eq!((parsed.matches(&alice), parsed.matches(&sly)), (of_alice, of_sly), "{pattern}");
            assert!(!parsed.matches(&Id::parse("alice@rig").unwrap()) || pattern == "*");
            assert_eq!(IdPattern::parse(&parsed.to_string()).unwrap(), parsed);
        }
    }

    /// The dull twin: stars tried at every length.
    #[test]
    fn a_pattern_matches_as_the_textbook_says() {
        fn dull(pattern: &[u8], bytes: &[u8]) -> bool {
            match pattern.split_first() {
                None => bytes.is_empty(),
                Some((b'*', rest)) => (0..=bytes.len()).any(|skip| dull(rest, &bytes[skip..])),
                Some((octet, rest)) => {
                    bytes.split_first().is_some_and(|(first, left)| first == octet && dull(rest, left))
                }
            }
        }
        check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(pattern, bytes)| {
            let pattern: Vec<u8> = pattern.iter().take(8).map(|octet| b"ab*"[usize::from(octet % 3)]).collect();
            let bytes: Vec<u8> = bytes.iter().take(10).map(|octet| b"ab"[usize::from(octet % 2)]).collect();
            let compiled = IdPattern {
                kind: Some(IdKind::KeyId),
                parts: pattern.split(|octet| *octet == b'*').map(<[u8]>::to_vec).collect(),
            };
            assert_eq!(compiled.matches(&id(IdKind::KeyId, &bytes)), dull(&pattern, &bytes), "{pattern:?} {bytes:?}");
        });
    }
}
