//! Phase-1 proposals of IKEv1 as text, in the spelling of the others: `aes256-sha256-modp2048`.

use super::checked::{IkeProposal, Phase1Proposal};
use super::legacy::Weak;
use super::proposal::ProposalTextError;
use adit_crypto::suite::{CbcCipher, Encr, Hash, Integ, KexGroup};
use std::fmt;

impl Phase1Proposal {
    /// Reads one proposal. The hash is spelled as the integrity algorithm that is made of it.
    pub fn parse(text: &str) -> Result<Self, ProposalTextError> {
        let IkeProposal { encr, integ, prf, groups } = IkeProposal::parse(text)?;
        let cipher = |encr: Encr| {
            let cipher = CbcCipher::ALL.into_iter().find(|cipher| cipher.name() == encr.name());
            cipher.ok_or(ProposalTextError::NotInPhase1(encr.name()))
        };
        let hash = |integ: Integ| {
            let hash = Hash::ALL.into_iter().find(|hash| hash.name() == integ.name());
            hash.ok_or(ProposalTextError::NotInPhase1(integ.name()))
        };
        let encr = encr.into_iter().map(cipher).collect::<Result<Vec<_>, _>>()?;
        let hash = integ.into_iter().map(hash).collect::<Result<Vec<_>, _>>()?;
        // RFC 2409 section 4: the PRF is the hash's HMAC, and no other can be named.
        if let Some(named) = prf.iter().find(|prf| !hash.iter().any(|hash| hash.prf() == **prf)) {
            return Err(ProposalTextError::NotInPhase1(named.name()));
        }
        if let Some(group) = groups.iter().find(|group| **group == KexGroup::X25519) {
            return Err(ProposalTextError::NotInPhase1(group.name()));
        }
        Ok(Self { encr, hash, groups })
    }

    /// What is weak in it.
    pub(super) fn weak(&self) -> Vec<Weak> {
        let encr = self.encr.iter().filter_map(|encr| Some((encr.name(), encr.weakness()?)));
        let hash = self.hash.iter().filter_map(|hash| Some((hash.name(), hash.weakness()?)));
        let groups = self.groups.iter().filter_map(|group| Some((group.name(), group.weakness()?)));
        encr.chain(hash).chain(groups).collect()
    }
}

/// As [`Phase1Proposal::parse`] reads it.
impl fmt::Display for Phase1Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encr = self.encr.iter().map(|encr| encr.name());
        let hash = self.hash.iter().map(|hash| hash.name());
        let groups = self.groups.iter().map(|group| group.name());
        super::proposal::write_words(f, encr.chain(hash).chain(groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::suite::PrfId;

    #[test]
    fn phase_1_is_spelled_as_other_proposals_are() {
        for text in ["aes256-sha256-modp2048", "3des-md5-modp1024", "aes256-aes128-sha1-sha512-ecp521-modp768"] {
            assert_eq!(Phase1Proposal::parse(text).unwrap().to_string(), text);
        }
        let read = Phase1Proposal::parse("aes-sha-ecp256").unwrap();
        assert_eq!(read.to_string(), "aes128-sha1-ecp256");
        assert_eq!((read.encr, read.hash), (vec![CbcCipher::Aes128], vec![Hash::Sha1]));
        let prf: Vec<PrfId> =
            Phase1Proposal::parse("aes-md5-sha1-ecp256").unwrap().hash.into_iter().map(Hash::prf).collect();
        assert_eq!(prf, [PrfId::HmacMd5, PrfId::HmacSha1]);
    }

    #[test]
    fn what_ikev1_cannot_say_is_refused() {
        for (text, word) in [
            ("aes128gcm16-prfsha256-modp2048", "aes128gcm16"),
            ("aes128-sha256-x25519", "x25519"),
            ("aes128-sha256-prfsha512-modp2048", "prfsha512"),
        ] {
            assert_eq!(Phase1Proposal::parse(text), Err(ProposalTextError::NotInPhase1(word)), "{text}");
        }
        assert_eq!(Phase1Proposal::parse("aes128-sha256"), Err(ProposalTextError::MissingGroup));
    }

    #[test]
    fn what_is_weak_in_phase_1_is_named() {
        let names =
            |text| Phase1Proposal::parse(text).unwrap().weak().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("aes256-3des-sha256-md5-modp2048-modp1024-modp768"), ["3des", "md5", "modp1024", "modp768"]);
        assert!(names("aes256-sha1-modp1536").is_empty());
    }
}
