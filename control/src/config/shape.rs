//! What a value may look like: its kind, its range, and the words for it.

mod secret;

pub(super) use secret::{HashText, SecretText};

use super::checked::{EspProposal, IdPattern, IkeProposal, Phase1Proposal};
use super::error::{Problem, nearest};
use super::proposal::ProposalTextError;
use super::quantity::{parse_duration, parse_rate, parse_size, show_duration, show_rate, show_size};
use crate::ike::wire::Id;
use adit_dataplane::contract::OuterDscp;
use adit_dataplane::wire::traffic_class::Dscp;
use ipnet::IpNet;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

/// Why a value does not fit.
pub(super) enum Misfit {
    /// Of the wrong kind or out of range.
    Kind {
        /// What was probably meant.
        hint: Option<String>,
    },
    /// Something that has its own words.
    Problem(Problem),
}

impl Misfit {
    pub(super) const PLAIN: Self = Self::Kind { hint: None };
}

/// Reads a value or says why not.
pub(super) trait Shape {
    type Value;

    fn read(&self, value: &DeValue<'_>) -> Result<Self::Value, Misfit>;

    /// After "expected".
    fn expected(&self) -> String;

    /// After "found".
    fn show(&self, value: &DeValue<'_>) -> String {
        match value {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
}

/// Any text that is not empty.
pub(super) struct Text(pub(super) &'static str);

impl Shape for Text {
    type Value = String;

    fn read(&self, value: &DeValue<'_>) -> Result<String, Misfit> {
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        self.0.to_owned()
    }
}

/// Text that something else parses.
pub(super) struct Parsed<T> {
    pub(super) expected: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
}

impl<T> Shape for Parsed<T> {
    type Value = T;

    fn read(&self, value: &DeValue<'_>) -> Result<T, Misfit> {
        value.as_str().and_then(self.parse).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        self.expected.to_owned()
    }
}

/// Whether a text is a host's or a domain's name (RFC 1123 section 2.1).
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let clean = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_');
        (1..=63).contains(&label.len()) && clean && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A switch.
pub(super) struct YesOrNo;

impl Shape for YesOrNo {
    type Value = bool;

    fn read(&self, value: &DeValue<'_>) -> Result<bool, Misfit> {
        let quoted = value.as_str().is_some_and(|text| ["true", "false"].contains(&text));
        let hint = quoted.then(|| "take the quotes away".to_owned());
        value.as_bool().ok_or(Misfit::Kind { hint })
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }
}

/// A network without bits after its prefix.
pub(super) struct Network;

impl Shape for Network {
    type Value = IpNet;

    fn read(&self, value: &DeValue<'_>) -> Result<IpNet, Misfit> {
        let net: IpNet = value.as_str().and_then(|text| text.parse().ok()).ok_or(Misfit::PLAIN)?;
        if net.addr() == net.network() {
            return Ok(net);
        }
        Err(Misfit::Kind { hint: Some(format!("it has bits after the prefix; did you mean \"{}\"?", net.trunc())) })
    }

    fn expected(&self) -> String {
        "a network such as \"10.30.0.0/16\" or \"fd30::/64\"".to_owned()
    }
}

/// One of a few words.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy> Shape for OneOf<T> {
    type Value = T;

    fn read(&self, value: &DeValue<'_>) -> Result<T, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| Misfit::Kind {
            hint: nearest(text, self.0.iter().map(|(word, _)| *word)).map(|near| format!("did you mean \"{near}\"?")),
        })
    }

    fn expected(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("one of {}", words.join(", "))
    }
}

/// A time with a unit.
pub(super) struct Time {
    pub(super) range: RangeInclusive<Duration>,
    pub(super) example: &'static str,
}

impl Shape for Time {
    type Value = Duration;

    fn read(&self, value: &DeValue<'_>) -> Result<Duration, Misfit> {
        if let DeValue::Integer(number) = value {
            return Err(Misfit::Kind { hint: Some(format!("it has no unit; seconds are written \"{number}s\"")) });
        }
        let duration = value.as_str().and_then(parse_duration).ok_or(Misfit::PLAIN)?;
        if self.range.contains(&duration) { Ok(duration) } else { Err(Misfit::PLAIN) }
    }

    fn expected(&self) -> String {
        let (low, high) = (show_duration(*self.range.start()), show_duration(*self.range.end()));
        format!("a time with a unit from {low} to {high} such as \"{}\"", self.example)
    }
}

/// A number of octets, with or without a unit.
pub(super) struct Size {
    pub(super) range: RangeInclusive<u64>,
    pub(super) example: &'static str,
}

impl Shape for Size {
    type Value = u64;

    fn read(&self, value: &DeValue<'_>) -> Result<u64, Misfit> {
        let octets = match value {
            DeValue::Integer(_) => integer(value),
            DeValue::String(text) => parse_size(text),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        };
        octets.filter(|octets| self.range.contains(octets)).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        let (low, high) = (show_size(*self.range.start()), show_size(*self.range.end()));
        format!("a size in octets from {low} to {high} such as \"{}\"", self.example)
    }
}

/// Bits a second, with a unit.
pub(super) struct Bandwidth {
    pub(super) range: RangeInclusive<u64>,
    pub(super) example: &'static str,
}

impl Shape for Bandwidth {
    type Value = u64;

    fn read(&self, value: &DeValue<'_>) -> Result<u64, Misfit> {
        if let DeValue::Integer(number) = value {
            return Err(Misfit::Kind {
                hint: Some(format!("it has no unit; bits a second are written \"{number}bit\"")),
            });
        }
        let bits = value.as_str().and_then(parse_rate).ok_or(Misfit::PLAIN)?;
        if self.range.contains(&bits) { Ok(bits) } else { Err(Misfit::PLAIN) }
    }

    fn expected(&self) -> String {
        let (low, high) = (show_rate(*self.range.start()), show_rate(*self.range.end()));
        format!("bits a second with a unit from {low} to {high} such as \"{}\"", self.example)
    }
}

/// A whole number.
pub(super) struct Count {
    pub(super) of: &'static str,
    pub(super) range: RangeInclusive<u64>,
}

impl Shape for Count {
    type Value = u64;

    fn read(&self, value: &DeValue<'_>) -> Result<u64, Misfit> {
        integer(value).filter(|number| self.range.contains(number)).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        format!("{} from {} to {}", self.of, self.range.start(), self.range.end())
    }
}

/// A code point, or the word for that of the inner header.
pub(super) struct DscpOrCopy;

impl Shape for DscpOrCopy {
    type Value = OuterDscp;

    fn read(&self, value: &DeValue<'_>) -> Result<OuterDscp, Misfit> {
        if value.as_str() == Some("copy") {
            return Ok(OuterDscp::Copy);
        }
        let dscp = integer(value).and_then(|number| Dscp::new(u8::try_from(number).ok()?));
        dscp.map(OuterDscp::Fixed).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        "\"copy\", or a code point from 0 to 63".to_owned()
    }
}

/// A number that is a multiple of another.
pub(super) struct MultipleOf {
    pub(super) step: u64,
    pub(super) of: &'static str,
    pub(super) range: RangeInclusive<u64>,
}

impl Shape for MultipleOf {
    type Value = u64;

    fn read(&self, value: &DeValue<'_>) -> Result<u64, Misfit> {
        integer(value)
            .filter(|number| self.range.contains(number) && number.is_multiple_of(self.step))
            .ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        format!("{} from {} to {}, a multiple of {}", self.of, self.range.start(), self.range.end(), self.step)
    }
}

/// A number that need not be whole.
pub(super) struct Factor(pub(super) RangeInclusive<f64>);

impl Shape for Factor {
    type Value = f64;

    fn read(&self, value: &DeValue<'_>) -> Result<f64, Misfit> {
        let number = match value {
            DeValue::Float(float) => float.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
            DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        };
        number.filter(|number| self.0.contains(number)).ok_or(Misfit::PLAIN)
    }

    fn expected(&self) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }
}

/// An identity.
pub(super) struct Identity;

impl Identity {
    const EXAMPLE: &'static str = "vpn.example.org";
}

impl Shape for Identity {
    type Value = Id;

    fn read(&self, value: &DeValue<'_>) -> Result<Id, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        Id::parse(text).map_err(|error| {
            Misfit::Problem(Problem::Identity { example: Self::EXAMPLE, found: text.to_owned(), error })
        })
    }

    fn expected(&self) -> String {
        format!("an identity such as \"{}\"", Self::EXAMPLE)
    }
}

/// A pattern of identities.
pub(super) struct IdentityPattern;

impl IdentityPattern {
    const EXAMPLE: &'static str = "*@example.org";
}

impl Shape for IdentityPattern {
    type Value = IdPattern;

    fn read(&self, value: &DeValue<'_>) -> Result<IdPattern, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        IdPattern::parse(text).map_err(|error| {
            Misfit::Problem(Problem::Identity { example: Self::EXAMPLE, found: text.to_owned(), error })
        })
    }

    fn expected(&self) -> String {
        format!("an identity such as \"{}\"", Self::EXAMPLE)
    }
}

/// A proposal.
pub(super) struct ProposalText<T> {
    pub(super) example: &'static str,
    pub(super) parse: fn(&str) -> Result<T, ProposalTextError>,
}

/// What an IKE SA may be made of.
pub(super) const IKE_PROPOSAL: ProposalText<IkeProposal> =
    ProposalText { example: "aes256gcm16-prfsha384-ecp384", parse: IkeProposal::parse };
/// What an ISAKMP SA may be made of.
pub(super) const PHASE_1_PROPOSAL: ProposalText<Phase1Proposal> =
    ProposalText { example: "aes256-sha256-modp2048", parse: Phase1Proposal::parse };
/// What a child SA may be made of.
pub(super) const ESP_PROPOSAL: ProposalText<EspProposal> =
    ProposalText { example: "aes256gcm16-x25519", parse: EspProposal::parse };

impl<T> Shape for ProposalText<T> {
    type Value = T;

    fn read(&self, value: &DeValue<'_>) -> Result<T, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        (self.parse)(text).map_err(|error| {
            let word = word_at_fault(text, &error);
            Misfit::Problem(Problem::Proposal { example: self.example, found: text.to_owned(), word, error })
        })
    }

    fn expected(&self) -> String {
        format!("a proposal such as \"{}\"", self.example)
    }
}

/// Which word of a proposal an error is about, from 1. What is missing is missing after the last.
fn word_at_fault(text: &str, error: &ProposalTextError) -> usize {
    let words: Vec<String> = text.split('-').map(|word| word.trim().to_ascii_lowercase()).collect();
    let first = |name: &str| words.iter().position(|word| word == &name.to_ascii_lowercase()).map(|at| at + 1);
    let last = |name: &str| words.iter().rposition(|word| word == name).map(|at| at + 1);
    let found = match error {
        ProposalTextError::UnknownWord { word, .. } => first(word),
        ProposalTextError::Repeated(name) => last(name),
        ProposalTextError::MixedAead { plain, .. } => first(plain),
        ProposalTextError::NeedlessIntegrity { integ, .. } => first(integ),
        ProposalTextError::MissingIntegrity(name)
        | ProposalTextError::MissingPrf(name)
        | ProposalTextError::PrfInEsp(name)
        | ProposalTextError::NumbersInIke(name)
        | ProposalTextError::NotSecret(name)
        | ProposalTextError::NotInPhase1(name) => first(name),
        ProposalTextError::Empty(_) | ProposalTextError::MissingEncryption => Some(1),
        ProposalTextError::MissingGroup => None,
    };
    found.unwrap_or(words.len())
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str().trim_start_matches('+'), number.radix()).ok()
}
