//! Proposals as text, in strongSwan's spelling: `aes128gcm16-prfsha256-x25519`, `aes256-sha256-modp2048`,
//! `aes256gcm16-esn-noesn`. Several words of one kind give several choices, best first.

use super::checked::{EspProposal, IkeProposal, IkeSuite};
use super::legacy::Weak;
use adit_crypto::suite::{Encr, Integ, KexGroup, PrfId, Secrecy, SequenceNumbers};
use std::fmt;

/// What is wrong with a proposal's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalTextError {
    /// Nothing there.
    #[error("the proposal is empty; write for example `{0}`")]
    Empty(&'static str),
    /// A word that names no algorithm of adit.
    #[error("`{word}` is no algorithm that adit knows{}", did_you_mean(*.nearest))]
    UnknownWord {
        /// As written.
        word: String,
        /// The nearest known word, if one is near.
        nearest: Option<&'static str>,
    },
    /// The same word twice.
    #[error("`{0}` stands there twice")]
    Repeated(&'static str),
    /// No encryption algorithm.
    #[error("an encryption algorithm is missing (one of {})", names(&good_encr()))]
    MissingEncryption,
    /// Ciphers that authenticate beside ciphers that do not.
    #[error("`{aead}` authenticates by itself and `{plain}` does not: write two proposals")]
    MixedAead {
        /// The first AEAD.
        aead: &'static str,
        /// The first plain cipher.
        plain: &'static str,
    },
    /// A plain cipher without an integrity algorithm.
    #[error("`{word}` needs an integrity algorithm beside it (one of {})", names(&good_integ()), word = .0)]
    MissingIntegrity(&'static str),
    /// An AEAD with an integrity algorithm.
    #[error("`{aead}` authenticates by itself: drop `{integ}`{}", .prf.map(|prf| format!(" or write `{prf}`")).unwrap_or_default())]
    NeedlessIntegrity {
        /// The first AEAD.
        aead: &'static str,
        /// The first integrity algorithm.
        integ: &'static str,
        /// The PRF that may have been meant; not for ESP.
        prf: Option<&'static str>,
    },
    /// An AEAD for IKE without a PRF.
    #[error("`{word}` needs a PRF beside it (one of {})", names(&good_prf()), word = .0)]
    MissingPrf(&'static str),
    /// IKE without key exchange.
    #[error("a key exchange group is missing (one of {})", names(&good_groups()))]
    MissingGroup,
    /// IKE carries identities and keys.
    #[error("`{0}` encrypts nothing: it may protect ESP, never IKE")]
    NotSecret(&'static str),
    /// Phase 1 of IKEv1 has fewer.
    #[error("`{0}` cannot be said in IKEv1: it has AES-CBC and 3DES, a hash that is its PRF, MODP and ECP groups")]
    NotInPhase1(&'static str),
    /// ESP derives no keys of its own.
    #[error("`{0}` is a PRF: it belongs in an IKE proposal, ESP takes its keys from there")]
    PrfInEsp(&'static str),
    /// Only ESP's packets are numbered.
    #[error("`{0}` is about the numbers of ESP packets: it belongs in an ESP proposal")]
    NumbersInIke(&'static str),
}

impl IkeProposal {
    /// Reads one proposal. PRFs that are not named follow the integrity algorithms.
    pub fn parse(text: &str) -> Result<Self, ProposalTextError> {
        let words = Words::parse(text, "aes128gcm16-prfsha256-x25519", Use::Ike)?;
        if let Some(numbers) = words.numbers.first() {
            return Err(ProposalTextError::NumbersInIke(numbers.name()));
        }
        if let Some(encr) = words.encr.iter().find(|encr| encr.secrecy() == Secrecy::AuthenticatesOnly) {
            return Err(ProposalTextError::NotSecret(encr.name()));
        }
        let prf = match (&words.prf[..], words.integ.is_empty()) {
            ([], true) => {
                return Err(ProposalTextError::MissingPrf(words.encr.first().map_or("", |encr| encr.name())));
            }
            ([], false) => words.integ.iter().copied().map(usual_prf).collect(),
            (_named, _) => words.prf,
        };
        if words.groups.is_empty() {
            return Err(ProposalTextError::MissingGroup);
        }
        Ok(Self { encr: words.encr, integ: words.integ, prf, groups: words.groups })
    }

    /// Whether nobody who has better would offer this alone: there is something weak in it, or nothing but SHA-1 to authenticate with.
    pub(crate) fn is_for_old_clients(&self) -> bool {
        !self.weak().is_empty() || self.integ == [Integ::HmacSha1_96]
    }

    /// What is weak in it, as it is spelled: a PRF that only follows its integrity algorithm does not count again.
    pub(super) fn weak(&self) -> Vec<Weak> {
        let spelled = self.prf.iter().filter(|prf| self.integ.iter().all(|integ| usual_prf(*integ) != **prf));
        let prf = spelled.filter_map(|prf| Some((prf.name(), prf.weakness()?)));
        weak_encr(&self.encr).chain(weak_integ(&self.integ)).chain(prf).chain(weak_groups(&self.groups)).collect()
    }
}

impl EspProposal {
    /// Reads one proposal. Groups are for perfect forward secrecy at rekeying. Without a word about sequence numbers
    /// they have 32 bits.
    pub fn parse(text: &str) -> Result<Self, ProposalTextError> {
        let words = Words::parse(text, "aes128gcm16", Use::Esp)?;
        if let Some(prf) = words.prf.first() {
            return Err(ProposalTextError::PrfInEsp(prf.name()));
        }
        let numbers = if words.numbers.is_empty() { vec![SequenceNumbers::Plain] } else { words.numbers };
        Ok(Self { encr: words.encr, integ: words.integ, groups: words.groups, numbers })
    }

    /// What is weak in it.
    pub(super) fn weak(&self) -> Vec<Weak> {
        weak_encr(&self.encr).chain(weak_integ(&self.integ)).chain(weak_groups(&self.groups)).collect()
    }
}

fn weak_encr(list: &[Encr]) -> impl Iterator<Item = Weak> {
    list.iter().filter_map(|encr| Some((encr.name(), encr.weakness()?)))
}

fn weak_integ(list: &[Integ]) -> impl Iterator<Item = Weak> {
    list.iter().filter_map(|integ| Some((integ.name(), integ.weakness()?)))
}

fn weak_groups(list: &[KexGroup]) -> impl Iterator<Item = Weak> {
    list.iter().filter_map(|group| Some((group.name(), group.weakness()?)))
}

/// As [`IkeProposal::parse`] reads it.
impl fmt::Display for IkeProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual: Vec<PrfId> = self.integ.iter().copied().map(usual_prf).collect();
        let prf = if usual == self.prf { &[][..] } else { &self.prf };
        let encr = self.encr.iter().map(|encr| encr.name());
        let integ = self.integ.iter().map(|integ| integ.name());
        let groups = self.groups.iter().map(|group| group.name());
        write_words(f, encr.chain(integ).chain(prf.iter().map(|prf| prf.name())).chain(groups))
    }
}

/// As [`EspProposal::parse`] reads it.
impl fmt::Display for EspProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encr = self.encr.iter().map(|encr| encr.name());
        let integ = self.integ.iter().map(|integ| integ.name());
        let groups = self.groups.iter().map(|group| group.name());
        let numbers = if self.numbers == [SequenceNumbers::Plain] { &[][..] } else { &self.numbers };
        write_words(f, encr.chain(integ).chain(groups).chain(numbers.iter().map(|numbers| numbers.name())))
    }
}

/// As [`IkeProposal::parse`] reads it.
impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cipher)?;
        if self.cipher.integ().map(usual_prf) != Some(self.prf) {
            write!(f, "-{}", self.prf.name())?;
        }
        write!(f, "-{}", self.group.name())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Ike,
    Esp,
}

/// The words of one proposal, by kind, in the order written.
#[derive(Default)]
struct Words {
    encr: Vec<Encr>,
    integ: Vec<Integ>,
    prf: Vec<PrfId>,
    groups: Vec<KexGroup>,
    numbers: Vec<SequenceNumbers>,
}

impl Words {
    fn parse(text: &str, example: &'static str, use_for: Use) -> Result<Self, ProposalTextError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ProposalTextError::Empty(example));
        }
        let mut words = Self::default();
        for word in text.split('-').map(str::trim) {
            words.add(word)?;
        }
        words.check_authentication(use_for)?;
        Ok(words)
    }

    fn add(&mut self, written: &str) -> Result<(), ProposalTextError> {
        let lower = written.to_ascii_lowercase();
        let word = ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, name)| name);
        if let Some(encr) = Encr::ALL.into_iter().find(|encr| encr.name() == word) {
            push_new(&mut self.encr, encr, encr.name())
        } else if let Some(integ) = Integ::ALL.into_iter().find(|integ| integ.name() == word) {
            push_new(&mut self.integ, integ, integ.name())
        } else if let Some(prf) = PrfId::ALL.into_iter().find(|prf| prf.name() == word) {
            push_new(&mut self.prf, prf, prf.name())
        } else if let Some(group) = KexGroup::ALL.into_iter().find(|group| group.name() == word) {
            push_new(&mut self.groups, group, group.name())
        } else if let Some(numbers) = SequenceNumbers::ALL.into_iter().find(|numbers| numbers.name() == word) {
            push_new(&mut self.numbers, numbers, numbers.name())
        } else {
            Err(ProposalTextError::UnknownWord { word: written.to_owned(), nearest: nearest(word) })
        }
    }

    fn check_authentication(&self, use_for: Use) -> Result<(), ProposalTextError> {
        let aead = self.encr.iter().find(|encr| encr.is_aead());
        let plain = self.encr.iter().find(|encr| !encr.is_aead());
        match (aead, plain, self.integ.first()) {
            (None, None, _) => Err(ProposalTextError::MissingEncryption),
            (Some(aead), Some(plain), _) => {
                Err(ProposalTextError::MixedAead { aead: aead.name(), plain: plain.name() })
            }
            (Some(aead), None, Some(integ)) => Err(ProposalTextError::NeedlessIntegrity {
                aead: aead.name(),
                integ: integ.name(),
                prf: (use_for == Use::Ike && self.prf.is_empty()).then(|| usual_prf(*integ).name()),
            }),
            (None, Some(plain), None) => Err(ProposalTextError::MissingIntegrity(plain.name())),
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
        }
    }
}

/// Other spellings that strongSwan takes.
const ALIASES: [(&str, &str); 31] = [
    ("aes", "aes128"),
    ("aes128gcm", "aes128gcm16"),
    ("aes128gcm64", "aes128gcm8"),
    ("aes128gcm96", "aes128gcm12"),
    ("aes128gcm128", "aes128gcm16"),
    ("aes128ccm64", "aes128ccm8"),
    ("aes128ccm96", "aes128ccm12"),
    ("aes128ccm128", "aes128ccm16"),
    ("aes192gcm", "aes192gcm16"),
    ("aes192gcm64", "aes192gcm8"),
    ("aes192gcm96", "aes192gcm12"),
    ("aes192gcm128", "aes192gcm16"),
    ("aes192ccm64", "aes192ccm8"),
    ("aes192ccm96", "aes192ccm12"),
    ("aes192ccm128", "aes192ccm16"),
    ("aes256gcm", "aes256gcm16"),
    ("aes256gcm64", "aes256gcm8"),
    ("aes256gcm96", "aes256gcm12"),
    ("aes256gcm128", "aes256gcm16"),
    ("aes256ccm64", "aes256ccm8"),
    ("aes256ccm96", "aes256ccm12"),
    ("aes256ccm128", "aes256ccm16"),
    ("chacha20", "chacha20poly1305"),
    ("sha", "sha1"),
    ("sha2_256", "sha256"),
    ("sha2_384", "sha384"),
    ("sha2_512", "sha512"),
    ("curve25519", "x25519"),
    ("ecp256r1", "ecp256"),
    ("ecp384r1", "ecp384"),
    ("ecp521r1", "ecp521"),
];

/// The PRF that shares its hash with an integrity algorithm.
const fn usual_prf(integ: Integ) -> PrfId {
    match integ {
        Integ::HmacSha1_96 => PrfId::HmacSha1,
        Integ::HmacSha256_128 => PrfId::HmacSha256,
        Integ::HmacSha384_192 => PrfId::HmacSha384,
        Integ::HmacSha512_256 => PrfId::HmacSha512,
        Integ::HmacMd5_96 => PrfId::HmacMd5,
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T, name: &'static str) -> Result<(), ProposalTextError> {
    if list.contains(&item) {
        return Err(ProposalTextError::Repeated(name));
    }
    list.push(item);
    Ok(())
}

fn all_names() -> impl Iterator<Item = &'static str> {
    let encr = Encr::ALL.into_iter().map(Encr::name);
    let integ = Integ::ALL.into_iter().map(Integ::name);
    let prf = PrfId::ALL.into_iter().map(PrfId::name);
    let groups = KexGroup::ALL.into_iter().map(KexGroup::name);
    encr.chain(integ).chain(prf).chain(groups).chain(SequenceNumbers::ALL.into_iter().map(SequenceNumbers::name))
}

/// What is worth proposing to somebody who named nothing.
fn good_encr() -> Vec<&'static str> {
    let good = |encr: &Encr| encr.weakness().is_none() && encr.secrecy() == Secrecy::Encrypts;
    Encr::ALL.into_iter().filter(good).map(Encr::name).collect()
}

fn good_integ() -> Vec<&'static str> {
    Integ::ALL.into_iter().filter(|integ| integ.weakness().is_none()).map(Integ::name).collect()
}

fn good_prf() -> Vec<&'static str> {
    PrfId::ALL.into_iter().filter(|prf| prf.weakness().is_none()).map(PrfId::name).collect()
}

fn good_groups() -> Vec<&'static str> {
    KexGroup::ALL.into_iter().filter(|group| group.weakness().is_none()).map(KexGroup::name).collect()
}

fn nearest(word: &str) -> Option<&'static str> {
    let (near, similarity) = all_names()
        .map(|name| (name, strsim::jaro_winkler(word, name)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (similarity > 0.75).then_some(near)
}

fn did_you_mean(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; the nearest is `{name}`"),
        None => format!(" (it knows {})", names(&all_names().collect::<Vec<_>>())),
    }
}

fn names(list: &[&str]) -> String {
    list.join(", ")
}

pub(super) fn write_words<'a>(f: &mut fmt::Formatter<'_>, words: impl Iterator<Item = &'a str>) -> fmt::Result {
    for (position, word) in words.enumerate() {
        if position > 0 {
            f.write_str("-")?;
        }
        f.write_str(word)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_reads_back_as_it_was_written() {
        for text in [
            "aes128gcm16-prfsha256-x25519",
            "aes256-sha256-modp2048",
            "aes128-aes256-sha256-sha1-ecp256-x25519",
            "aes256-sha384-prfsha256-ecp384",
            "aes192-3des-sha256-md5-modp2048",
            "aes128gcm8-aes256gcm12-aes192ccm16-prfsha256-x25519",
            "aes256gcm16-chacha20poly1305-prfsha384-prfsha512-x25519-ecp384-modp2048",
        ] {
            assert_eq!(IkeProposal::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "aes128gcm16",
            "chacha20poly1305-x25519",
            "aes128-aes256-sha1-modp2048",
            "aes128gcm16-esn",
            "aes256-sha256-x25519-esn-noesn",
            "aes128gcm16-noesn-esn",
            "aes128gcm8-aes192gcm12-aes256ccm16-aes192gmac",
            "3des-null-md5-sha512",
        ] {
            assert_eq!(EspProposal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(EspProposal::parse("aes128gcm16-noesn"), EspProposal::parse("aes128gcm16"), "as strongSwan has it");
    }

    #[test]
    fn a_prf_that_is_not_named_follows_the_integrity_algorithms() {
        let proposal = IkeProposal::parse("aes256-sha1-sha512-modp2048").unwrap();
        assert_eq!(proposal.prf, [PrfId::HmacSha1, PrfId::HmacSha512]);
    }

    #[test]
    fn what_is_weak_is_named_once_and_as_it_is_spelled() {
        let ike = |text: &str| IkeProposal::parse(text).unwrap().weak().iter().map(|weak| weak.0).collect::<Vec<_>>();
        let esp = |text: &str| EspProposal::parse(text).unwrap().weak().iter().map(|weak| weak.0).collect::<Vec<_>>();
        assert_eq!(ike("3des-aes128-md5-sha1-modp2048"), ["3des", "md5"]);
        assert_eq!(ike("aes128gcm16-prfmd5-prfsha256-x25519"), ["prfmd5"]);
        assert_eq!(ike("aes128-sha256-prfmd5-x25519"), ["prfmd5"]);
        assert_eq!(ike("aes128-sha256-modp2048-modp1024-modp768"), ["modp1024", "modp768"]);
        assert_eq!(esp("null-aes256-sha1-md5"), ["null", "md5"]);
        assert_eq!(esp("aes256-sha1-modp1024-modp1536"), ["modp1024"]);
        for name in all_names().filter(|name| !["3des", "null", "md5", "prfmd5", "modp1024", "modp768"].contains(name))
        {
            let weak = |integ| EspProposal::parse(&format!("{name}{integ}")).map(|proposal| proposal.weak());
            for weak in [weak(""), weak("-sha1"), weak("-sha256")].into_iter().flatten() {
                assert_eq!(weak, [], "{name}");
            }
        }
    }

    #[test]
    fn other_spellings_of_strongswan_and_capitals_are_taken() {
        let proposal = IkeProposal::parse(" AES128GCM128-PRFSHA256-curve25519 ").unwrap();
        assert_eq!(proposal.to_string(), "aes128gcm16-prfsha256-x25519");
        for (alias, name) in ALIASES {
            assert!(all_names().any(|known| known == name), "{alias} stands for nothing");
            assert!(all_names().all(|known| known != alias), "{alias} is a name already");
        }
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        let ike = |text: &str| IkeProposal::parse(text).unwrap_err().to_string();
        let esp = |text: &str| EspProposal::parse(text).unwrap_err().to_string();
        assert_eq!(ike(""), "the proposal is empty; write for example `aes128gcm16-prfsha256-x25519`");
        assert_eq!(esp(" "), "the proposal is empty; write for example `aes128gcm16`");
        assert_eq!(
            ike("aes128gmc16-prfsha256-x25519"),
            "`aes128gmc16` is no algorithm that adit knows; the nearest is `aes128gcm16`"
        );
        assert_eq!(ike("aes128--x25519").split(" (").next(), Some("`` is no algorithm that adit knows"));
        assert!(ike("qqq").contains("(it knows aes128gcm16, "), "{}", ike("qqq"));
        assert_eq!(ike("aes256-aes256-sha1-x25519"), "`aes256` stands there twice");
        assert_eq!(
            ike("prfsha256-x25519"),
            "an encryption algorithm is missing (one of aes128gcm16, aes192gcm16, aes256gcm16, chacha20poly1305, \
             aes128gcm12, aes192gcm12, aes256gcm12, aes128gcm8, aes192gcm8, aes256gcm8, aes128ccm16, aes192ccm16, \
             aes256ccm16, aes128ccm12, aes192ccm12, aes256ccm12, aes128ccm8, aes192ccm8, aes256ccm8, aes128, aes192, \
             aes256)"
        );
        assert_eq!(
            ike("aes128gcm16-aes128-sha256-x25519"),
            "`aes128gcm16` authenticates by itself and `aes128` does not: write two proposals"
        );
        assert_eq!(
            esp("aes128"),
            "`aes128` needs an integrity algorithm beside it (one of sha256, sha384, sha512, sha1)"
        );
        assert_eq!(
            ike("aes128gcm16-sha256-x25519"),
            "`aes128gcm16` authenticates by itself: drop `sha256` or write `prfsha256`"
        );
        assert_eq!(esp("aes128gcm16-sha256"), "`aes128gcm16` authenticates by itself: drop `sha256`");
        assert_eq!(
            ike("aes128gcm16-x25519"),
            "`aes128gcm16` needs a PRF beside it (one of prfsha256, prfsha384, prfsha512, prfsha1)"
        );
        assert_eq!(
            ike("aes128gcm16-prfsha256"),
            "a key exchange group is missing (one of x25519, ecp256, ecp384, ecp521, modp2048, modp3072, modp4096, \
             modp1536)"
        );
        assert_eq!(ike("aes128gmac-prfsha256-x25519"), "`aes128gmac` encrypts nothing: it may protect ESP, never IKE");
        assert_eq!(ike("aes128-null-sha256-x25519"), "`null` encrypts nothing: it may protect ESP, never IKE");
        assert_eq!(
            esp("aes128gcm16-prfsha256"),
            "`prfsha256` is a PRF: it belongs in an IKE proposal, ESP takes its keys from there"
        );
        assert_eq!(
            ike("aes128gcm16-prfsha256-x25519-esn"),
            "`esn` is about the numbers of ESP packets: it belongs in an ESP proposal"
        );
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_reads_back() {
        bolero::check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(words, bytes)| {
            let names: Vec<_> = all_names().collect();
            let words: Vec<_> = words.iter().map(|word| names[usize::from(*word) % names.len()]).collect();
            for text in [words.join("-"), String::from_utf8_lossy(bytes).into_owned()] {
                if let Ok(proposal) = IkeProposal::parse(&text) {
                    assert_eq!(IkeProposal::parse(&proposal.to_string()), Ok(proposal));
                }
                match EspProposal::parse(&text) {
                    Ok(proposal) => assert_eq!(EspProposal::parse(&proposal.to_string()), Ok(proposal)),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        });
    }
}
