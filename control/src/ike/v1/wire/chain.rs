//! Payloads together with the octets they stood in: RFC 2409 hashes both whole payloads and what follows one.

use super::numbers::GENERIC_LEN;
use super::{Identification, Notify, Payload, Proposal};

/// A chain of payloads.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    /// In the order of the wire.
    pub payloads: Vec<Placed<'a>>,
    /// All of them with their generic headers, without padding.
    pub(super) octets: &'a [u8],
}

/// One payload and its octets.
#[derive(Debug, Clone)]
pub struct Placed<'a> {
    /// What it says.
    pub payload: Payload,
    /// Without its generic header: what RFC 2409 section 3.2 writes as `<P>_b`.
    pub body: &'a [u8],
}

impl<'a> Chain<'a> {
    /// The payloads alone.
    pub fn iter(&self) -> impl Iterator<Item = &Payload> {
        self.payloads.iter().map(|placed| &placed.payload)
    }

    /// HASH, if it stands first, and everything behind it with its generic headers: what HASH(1), HASH(2) and the
    /// hashes of informational and transaction exchanges cover (RFC 2409 sections 5.5 and 5.7).
    pub fn hash_first(&self) -> Option<(&[u8], &'a [u8])> {
        let Placed { payload: Payload::Hash(hash), body } = self.payloads.first()? else { return None };
        Some((hash, self.octets.get(GENERIC_LEN + body.len()..)?))
    }

    /// The SA payload, if there is exactly one, with its `SA_b`.
    pub fn sa(&self) -> Option<(&[Proposal], &'a [u8])> {
        self.only(|payload| match payload {
            Payload::Sa(proposals) => Some(proposals.as_slice()),
            _another => None,
        })
    }

    /// The public value, if there is exactly one.
    pub fn ke(&self) -> Option<&'a [u8]> {
        self.only(|payload| matches!(payload, Payload::Ke(_)).then_some(())).map(|(_, body)| body)
    }

    /// The nonce, if there is exactly one.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.only(|payload| matches!(payload, Payload::Nonce(_)).then_some(())).map(|(_, body)| body)
    }

    /// The identification of phase 1, if there is exactly one, with its `ID_b`.
    pub fn id(&self) -> Option<(&Identification, &'a [u8])> {
        self.only(|payload| match payload {
            Payload::Id(identification) => Some(identification),
            _another => None,
        })
    }

    /// Both identifications of quick mode, the initiator's first (RFC 2409 section 5.5), if there are exactly two.
    pub fn client_ids(&self) -> Option<[(&Identification, &'a [u8]); 2]> {
        let mut found = self.payloads.iter().filter_map(|placed| match &placed.payload {
            Payload::Id(identification) => Some((identification, placed.body)),
            _another => None,
        });
        let both = [found.next()?, found.next()?];
        found.next().is_none().then_some(both)
    }

    /// HASH, if there is exactly one, wherever it stands.
    pub fn hash(&self) -> Option<&'a [u8]> {
        self.only(|payload| matches!(payload, Payload::Hash(_)).then_some(())).map(|(_, body)| body)
    }

    /// SIG, if there is exactly one.
    pub fn signature(&self) -> Option<&'a [u8]> {
        self.only(|payload| matches!(payload, Payload::Signature(_)).then_some(())).map(|(_, body)| body)
    }

    /// The vendor IDs.
    pub fn vendor_ids(&self) -> impl Iterator<Item = &'a [u8]> {
        self.payloads.iter().filter_map(|Placed { payload, body }| {
            let vendor_id: Option<&'a [u8]> = matches!(payload, Payload::VendorId(_)).then_some(*body);
            vendor_id
        })
    }

    /// The notifications.
    pub fn notifications(&self) -> impl Iterator<Item = &Notify> {
        self.iter().filter_map(|payload| match payload {
            Payload::Notify(notify) => Some(notify),
            _another => None,
        })
    }

    /// What `pick` finds, with the payload's octets, if it finds it once.
    fn only<'p, T>(&'p self, pick: impl Fn(&'p Payload) -> Option<T>) -> Option<(T, &'a [u8])> {
        let mut found =
            self.payloads.iter().filter_map(|placed| pick(&placed.payload).map(|picked| (picked, placed.body)));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}
