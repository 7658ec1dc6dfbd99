//! What the attributes of a transform say: of phase 1 (RFC 2409 appendix A), of ESP (RFC 2407 section 4.5).

use super::build::put_attribute;
use super::parse_payload::attribute;
use super::{Attribute, AuthMethod, NatNumbers, Transform, Value};
use crate::ike::wire::reader::Reader;
use adit_crypto::suite::{CbcCipher, CipherSuite, Encr, Hash, Integ, KexGroup, SequenceNumbers};

/// A phase-1 transform that adit could choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IkeOffer {
    /// Encrypts messages.
    pub cipher: CbcCipher,
    /// Also the PRF, as HMAC.
    pub hash: Hash,
    /// Key exchange.
    pub group: KexGroup,
    /// Who proves what.
    pub method: AuthMethod,
    /// How long the SA may live.
    pub life: LifeTime,
}

/// A transform of an ESP proposal that adit could choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EspOffer {
    /// Encryption and integrity.
    pub suite: CipherSuite,
    /// With PFS, its group.
    pub group: Option<KexGroup>,
    /// Tunnel or transport, and whether in UDP.
    pub encapsulation: Encapsulation,
    /// 32 or 64 bits.
    pub numbers: SequenceNumbers,
    /// How long the SA may live.
    pub life: LifeTime,
}

/// Life time; what is not said is 28800 seconds (RFC 2407 section 4.5) and no volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifeTime {
    /// Seconds.
    pub seconds: Option<u64>,
    /// Units of 1024 octets.
    pub kilobytes: Option<u64>,
}

/// Encapsulation modes (RFC 2407 section 4.5, RFC 3947 section 5.1 and its drafts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// 1: also for Cisco's IPsec-over-UDP, which mode config agrees on.
    Tunnel,
    /// 2
    Transport,
    /// 3, or 61443 in the drafts.
    UdpTunnel(NatNumbers),
    /// 4, or 61444 in the drafts.
    UdpTransport(NatNumbers),
}

/// Why a transform cannot be chosen. For the log; the peer hears NO-PROPOSAL-CHOSEN at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It lacks what it must have.
    #[error("no {0}")]
    Missing(&'static str),
    /// It says the same thing twice.
    #[error("{0} stands there twice")]
    Repeated(&'static str),
    /// A value that adit does not know.
    #[error("{what} {value} is unknown")]
    UnknownValue {
        /// Of which attribute.
        what: &'static str,
        /// As sent.
        value: u64,
    },
    /// A number that is too long.
    #[error("value of attribute {0} is no number")]
    NoNumber(u16),
    /// An attribute that adit does not know: the transform must not be chosen, for it might be a condition.
    #[error("attribute {0} is unknown")]
    UnknownAttribute(u16),
    /// Cipher, key length and integrity make no suite.
    #[error("cipher {cipher} with key length {key_bits:?} and integrity {integ:?} is no suite that adit has")]
    NoSuite {
        /// Transform ID, or value of the encryption attribute.
        cipher: u16,
        /// Key-length attribute.
        key_bits: Option<u16>,
        /// Authentication-algorithm attribute.
        integ: Option<u16>,
    },
}

/// KEY_IKE, the only transform of phase 1 (RFC 2407 section 4.4.2).
const KEY_IKE: u8 = 1;

/// Attributes of phase 1 (RFC 2409 appendix A).
mod ike {
    pub(super) const ENCRYPTION: u16 = 1;
    pub(super) const HASH: u16 = 2;
    pub(super) const AUTH_METHOD: u16 = 3;
    pub(super) const GROUP: u16 = 4;
    pub(super) const LIFE_TYPE: u16 = 11;
    pub(super) const LIFE_DURATION: u16 = 12;
    pub(super) const KEY_LENGTH: u16 = 14;
}

/// Attributes of ESP (RFC 2407 section 4.5; 11 from RFC 4304).
mod esp {
    pub(super) const LIFE_TYPE: u16 = 1;
    pub(super) const LIFE_DURATION: u16 = 2;
    pub(super) const GROUP: u16 = 3;
    pub(super) const ENCAPSULATION: u16 = 4;
    pub(super) const INTEGRITY: u16 = 5;
    pub(super) const KEY_LENGTH: u16 = 6;
    pub(super) const EXTENDED_NUMBERS: u16 = 11;
}

/// Units of a life time (RFC 2407 section 4.5, RFC 2409 appendix A).
const SECONDS: u16 = 1;
const KILOBYTES: u16 = 2;

impl Transform {
    /// Reads it as one of phase 1.
    pub fn ike(&self) -> Result<IkeOffer, Unusable> {
        if self.id != KEY_IKE {
            return Err(Unusable::UnknownValue { what: "transform", value: self.id.into() });
        }
        let mut life = Life::default();
        let [mut encryption, mut hash, mut method, mut group, mut key_bits] = [None; 5];
        for Attribute { kind, value } in &self.attributes {
            let (field, what) = match *kind {
                ike::ENCRYPTION => (&mut encryption, "encryption algorithm"),
                ike::HASH => (&mut hash, "hash algorithm"),
                ike::AUTH_METHOD => (&mut method, "authentication method"),
                ike::GROUP => (&mut group, "group"),
                ike::KEY_LENGTH => (&mut key_bits, "key length"),
                ike::LIFE_TYPE => {
                    life.unit(small(*kind, "life type", value)?)?;
                    continue;
                }
                ike::LIFE_DURATION => {
                    life.duration(value.number().ok_or(Unusable::NoNumber(*kind))?)?;
                    continue;
                }
                unknown => return Err(Unusable::UnknownAttribute(unknown)),
            };
            set(field, what, small(*kind, what, value)?)?;
        }
        let cipher = encryption.ok_or(Unusable::Missing("encryption algorithm"))?;
        let hash = hash.ok_or(Unusable::Missing("hash algorithm"))?;
        let method = method.ok_or(Unusable::Missing("authentication method"))?;
        let group = group.ok_or(Unusable::Missing("group"))?;
        let no_suite = Unusable::NoSuite { cipher, key_bits, integ: None };
        Ok(IkeOffer {
            cipher: CbcCipher::from_ike_v1(cipher, key_bits).ok_or(no_suite)?,
            hash: Hash::from_ike_v1(hash).ok_or(unknown("hash algorithm", hash))?,
            group: KexGroup::from_iana(group).ok_or(unknown("group", group))?,
            method: AuthMethod::from_iana(method).ok_or(unknown("authentication method", method))?,
            life: life.done()?,
        })
    }

    /// Reads it as one of an ESP proposal.
    pub fn esp(&self) -> Result<EspOffer, Unusable> {
        let mut life = Life::default();
        let [mut group, mut encapsulation, mut integ, mut key_bits, mut numbers] = [None; 5];
        for Attribute { kind, value } in &self.attributes {
            let (field, what) = match *kind {
                esp::GROUP => (&mut group, "group"),
                esp::ENCAPSULATION => (&mut encapsulation, "encapsulation mode"),
                esp::INTEGRITY => (&mut integ, "integrity algorithm"),
                esp::KEY_LENGTH => (&mut key_bits, "key length"),
                esp::EXTENDED_NUMBERS => (&mut numbers, "extended sequence numbers"),
                esp::LIFE_TYPE => {
                    life.unit(small(*kind, "life type", value)?)?;
                    continue;
                }
                esp::LIFE_DURATION => {
                    life.duration(value.number().ok_or(Unusable::NoNumber(*kind))?)?;
                    continue;
                }
                unknown => return Err(Unusable::UnknownAttribute(unknown)),
            };
            set(field, what, small(*kind, what, value)?)?;
        }
        let no_suite = Unusable::NoSuite { cipher: self.id.into(), key_bits, integ };
        let encr = encr_of(self.id, key_bits).ok_or(no_suite)?;
        let integrity = integ.map(|value| integ_of(value).ok_or(no_suite)).transpose()?;
        let encapsulation = encapsulation.ok_or(Unusable::Missing("encapsulation mode"))?;
        Ok(EspOffer {
            suite: CipherSuite::new(encr, integrity).ok_or(no_suite)?,
            group: group.map(|group| KexGroup::from_iana(group).ok_or(unknown("group", group))).transpose()?,
            encapsulation: Encapsulation::from_iana(encapsulation)
                .ok_or(unknown("encapsulation mode", encapsulation))?,
            numbers: match numbers {
                None => SequenceNumbers::Plain,
                Some(1) => SequenceNumbers::Extended,
                Some(other) => return Err(unknown("extended sequence numbers", other)),
            },
            life: life.done()?,
        })
    }
}

impl IkeOffer {
    /// The transform that says this.
    pub fn transform(&self, number: u8) -> Transform {
        let (encryption, key_bits) = self.cipher.ike_v1();
        let mut attributes = vec![Attribute::short(ike::ENCRYPTION, encryption)];
        attributes.extend(key_bits.map(|bits| Attribute::short(ike::KEY_LENGTH, bits)));
        attributes.push(Attribute::short(ike::HASH, self.hash.ike_v1()));
        attributes.push(Attribute::short(ike::GROUP, self.group.iana()));
        attributes.push(Attribute::short(ike::AUTH_METHOD, self.method.iana()));
        self.life.put(&mut attributes, ike::LIFE_TYPE, ike::LIFE_DURATION);
        Transform { number, id: KEY_IKE, attributes }
    }
}

impl EspOffer {
    /// The transform that says this. `None` for a cipher that IKEv1 has no number for (ChaCha20-Poly1305).
    pub fn transform(&self, number: u8) -> Option<Transform> {
        let (id, key_bits) = number_of(self.suite.encr())?;
        let mut attributes = Vec::with_capacity(8);
        self.life.put(&mut attributes, esp::LIFE_TYPE, esp::LIFE_DURATION);
        attributes.extend(self.group.map(|group| Attribute::short(esp::GROUP, group.iana())));
        attributes.push(Attribute::short(esp::ENCAPSULATION, self.encapsulation.iana()));
        attributes.extend(self.suite.integ().map(|integ| Attribute::short(esp::INTEGRITY, integ_number(integ))));
        attributes.extend(key_bits.map(|bits| Attribute::short(esp::KEY_LENGTH, bits)));
        match self.numbers {
            SequenceNumbers::Plain => {}
            SequenceNumbers::Extended => attributes.push(Attribute::short(esp::EXTENDED_NUMBERS, 1)),
        }
        Some(Transform { number, id, attributes })
    }
}

impl Encapsulation {
    /// Value of the attribute.
    pub const fn iana(self) -> u16 {
        match self {
            Self::Tunnel => 1,
            Self::Transport => 2,
            Self::UdpTunnel(NatNumbers::Rfc) => 3,
            Self::UdpTransport(NatNumbers::Rfc) => 4,
            Self::UdpTunnel(NatNumbers::Draft) => 61443,
            Self::UdpTransport(NatNumbers::Draft) => 61444,
        }
    }

    /// From the value of the attribute.
    pub const fn from_iana(value: u16) -> Option<Self> {
        match value {
            1 => Some(Self::Tunnel),
            2 => Some(Self::Transport),
            3 => Some(Self::UdpTunnel(NatNumbers::Rfc)),
            4 => Some(Self::UdpTransport(NatNumbers::Rfc)),
            61443 => Some(Self::UdpTunnel(NatNumbers::Draft)),
            61444 => Some(Self::UdpTransport(NatNumbers::Draft)),
            _ => None,
        }
    }
}

impl LifeTime {
    /// As RESPONDER-LIFETIME says it of an ISAKMP SA (RFC 2407 section 4.6.3.1).
    pub fn of_isakmp(&self) -> Vec<u8> {
        self.octets(ike::LIFE_TYPE, ike::LIFE_DURATION)
    }

    /// Reads that; `None` if it is not about a life time.
    pub fn read_isakmp(data: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        let mut life = Life::default();
        while !reader.is_empty() {
            let Attribute { kind, value } = attribute(&mut reader).ok()?;
            match kind {
                ike::LIFE_TYPE => life.unit(small(kind, "life type", &value).ok()?).ok()?,
                ike::LIFE_DURATION => life.duration(value.number()?).ok()?,
                _another => {}
            }
        }
        life.done().ok()
    }

    /// The same of an ESP SA.
    pub fn of_esp(&self) -> Vec<u8> {
        self.octets(esp::LIFE_TYPE, esp::LIFE_DURATION)
    }

    fn octets(&self, unit_kind: u16, duration_kind: u16) -> Vec<u8> {
        let mut attributes = Vec::with_capacity(4);
        self.put(&mut attributes, unit_kind, duration_kind);
        let mut out = Vec::with_capacity(24);
        attributes.iter().for_each(|attribute| put_attribute(&mut out, attribute));
        out
    }

    fn put(&self, attributes: &mut Vec<Attribute>, unit_kind: u16, duration_kind: u16) {
        for (unit, duration) in [(SECONDS, self.seconds), (KILOBYTES, self.kilobytes)] {
            let Some(duration) = duration else { continue };
            attributes.push(Attribute::short(unit_kind, unit));
            attributes.push(match (u16::try_from(duration), u32::try_from(duration)) {
                (Ok(short), _) => Attribute::short(duration_kind, short),
                (Err(_), Ok(long)) => Attribute::long(duration_kind, long.to_be_bytes()),
                (Err(_), Err(_)) => Attribute::long(duration_kind, duration.to_be_bytes()),
            });
        }
    }
}

/// A life time in the making: each duration belongs to the unit before it (RFC 2407 section 4.5.4).
#[derive(Default)]
struct Life {
    unit: Option<u16>,
    time: LifeTime,
}

impl Life {
    fn unit(&mut self, unit: u16) -> Result<(), Unusable> {
        set(&mut self.unit, "life type", unit)
    }

    fn duration(&mut self, duration: u64) -> Result<(), Unusable> {
        let field = match self.unit.take() {
            Some(SECONDS) => &mut self.time.seconds,
            Some(KILOBYTES) => &mut self.time.kilobytes,
            Some(other) => return Err(unknown("life type", other)),
            None => return Err(Unusable::Missing("life type")),
        };
        set(field, "life duration", duration)
    }

    fn done(self) -> Result<LifeTime, Unusable> {
        if self.unit.is_some() { Err(Unusable::Missing("life duration")) } else { Ok(self.time) }
    }
}

/// ESP transform IDs (RFC 2407 section 4.4.4 and IANA's list): the same numbers as IKEv2's, except for GMAC; and IKEv1
/// has none for ChaCha20-Poly1305.
fn number_of(encr: Encr) -> Option<(u8, Option<u16>)> {
    let (id, key_bits) = encr.iana();
    match encr {
        Encr::ChaCha20Poly1305 => None,
        Encr::Aes128Gmac | Encr::Aes192Gmac | Encr::Aes256Gmac => Some((ESP_GMAC, key_bits)),
        _the_others => Some((u8::try_from(id).ok()?, key_bits)),
    }
}

/// ESP_NULL_AUTH_AES-GMAC (RFC 4543 section 9).
const ESP_GMAC: u8 = 23;

fn encr_of(id: u8, key_bits: Option<u16>) -> Option<Encr> {
    Encr::ALL.into_iter().find(|encr| number_of(*encr) == Some((id, key_bits)))
}

/// Authentication algorithms (RFC 2407 section 4.5, RFC 4868).
const fn integ_number(integ: Integ) -> u16 {
    match integ {
        Integ::HmacMd5_96 => 1,
        Integ::HmacSha1_96 => 2,
        Integ::HmacSha256_128 => 5,
        Integ::HmacSha384_192 => 6,
        Integ::HmacSha512_256 => 7,
    }
}

fn integ_of(value: u16) -> Option<Integ> {
    Integ::ALL.into_iter().find(|integ| integ_number(*integ) == value)
}

fn small(kind: u16, what: &'static str, value: &Value) -> Result<u16, Unusable> {
    let value = value.number().ok_or(Unusable::NoNumber(kind))?;
    u16::try_from(value).map_err(|_too_large| Unusable::UnknownValue { what, value })
}

fn set<T>(field: &mut Option<T>, what: &'static str, value: T) -> Result<(), Unusable> {
    match field {
        Some(_) => Err(Unusable::Repeated(what)),
        None => {
            *field = Some(value);
            Ok(())
        }
    }
}

fn unknown(what: &'static str, value: u16) -> Unusable {
    Unusable::UnknownValue { what, value: value.into() }
}
