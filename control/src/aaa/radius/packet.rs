//! A packet as a whole: header, authenticators, signature (RFC 2865 section 3, RFC 2866 section 3, RFC 3579
//! section 3.2).
//!
//! ```text
//!  0               1               2               3
//! +-------+-------+-------+-------+
//! | code  | ident |    length     |
//! +-------+-------+-------+-------+
//! |         authenticator         |   16 octets
//! +-------+-------+-------+-------+
//! | attributes …
//! ```

use super::attribute::{Attribute, MAX_VALUE, kind, parse};
use crate::config::checked::Signature;
use adit_crypto::secret::SecretBytes;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Octets before the attributes.
const HEADER: usize = 20;
/// No packet is longer (RFC 2865 section 3).
const MAX_PACKET: usize = 4096;
/// Octets of a Message-Authenticator, with its type and length.
const SIGNATURE: usize = 18;

/// Kinds of packet that we send or take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Code {
    AccessRequest,
    AccessAccept,
    AccessReject,
    AccountingRequest,
    AccountingResponse,
    AccessChallenge,
}

impl Code {
    const ALL: [Self; 6] = [
        Self::AccessRequest,
        Self::AccessAccept,
        Self::AccessReject,
        Self::AccountingRequest,
        Self::AccountingResponse,
        Self::AccessChallenge,
    ];

    const fn value(self) -> u8 {
        match self {
            Self::AccessRequest => 1,
            Self::AccessAccept => 2,
            Self::AccessReject => 3,
            Self::AccountingRequest => 4,
            Self::AccountingResponse => 5,
            Self::AccessChallenge => 11,
        }
    }

    /// Whether `self` can be the answer to `request`.
    const fn answers(self, request: Self) -> bool {
        match self {
            Self::AccessAccept | Self::AccessReject | Self::AccessChallenge => matches!(request, Self::AccessRequest),
            Self::AccountingResponse => matches!(request, Self::AccountingRequest),
            Self::AccessRequest | Self::AccountingRequest => false,
        }
    }
}

/// A request that is being written.
pub(super) struct Builder {
    code: Code,
    octets: Vec<u8>,
}

impl Builder {
    /// A login. The Message-Authenticator comes first: what an attacker may add in front of it is what makes its hash
    /// collide (CVE-2024-3596).
    pub(super) fn access(identifier: u8, authenticator: [u8; 16]) -> Self {
        let mut builder = Self::new(Code::AccessRequest, identifier, authenticator);
        builder.add(kind::MESSAGE_AUTHENTICATOR, &[0; 16]);
        builder
    }

    /// A line for the books. Its authenticator signs all of it, so it has no other signature (RFC 2866 section 3).
    pub(super) fn accounting(identifier: u8) -> Self {
        Self::new(Code::AccountingRequest, identifier, [0; 16])
    }

    fn new(code: Code, identifier: u8, authenticator: [u8; 16]) -> Self {
        let mut octets = vec![code.value(), identifier, 0, 0];
        octets.extend(authenticator);
        Self { code, octets }
    }

    /// One attribute. What is longer than an attribute can be is cut; what finds no room in the packet is left out.
    pub(super) fn add(&mut self, kind: u8, value: &[u8]) {
        let value = value.get(..MAX_VALUE).unwrap_or(value);
        let length = value.len() + 2;
        let Ok(octet) = u8::try_from(length) else { return };
        if self.octets.len() + length <= MAX_PACKET {
            self.octets.extend([kind, octet]);
            self.octets.extend(value);
        }
    }

    /// A number of 32 bits.
    pub(super) fn add_number(&mut self, kind: u8, value: u32) {
        self.add(kind, &value.to_be_bytes());
    }

    /// One attribute of a vendor's.
    pub(super) fn add_vendor(&mut self, vendor: u32, kind: u8, value: &[u8]) {
        let Ok(length) = u8::try_from(value.len() + 2) else { return };
        let mut envelope = vendor.to_be_bytes().to_vec();
        envelope.extend([kind, length]);
        envelope.extend(value);
        self.add(kind::VENDOR_SPECIFIC, &envelope);
    }

    /// Length and signature, then it can go.
    pub(super) fn seal(self, secret: &SecretBytes) -> Request {
        let Self { code, mut octets } = self;
        let length = u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(field) = octets.get_mut(2..4) {
            field.copy_from_slice(&length);
        }
        let (at, value) = match code {
            Code::AccountingRequest => (4, digest(&[&octets, secret.expose()])),
            Code::AccessRequest
            | Code::AccessAccept
            | Code::AccessReject
            | Code::AccountingResponse
            | Code::AccessChallenge => (HEADER + 2, signature(secret, &[&octets])),
        };
        if let Some(place) = octets.get_mut(at..at + 16) {
            place.copy_from_slice(&value);
        }
        Request { code, octets }
    }
}

/// A request that has gone, or will again: the same octets each time, so that the server can tell.
#[derive(Debug, Clone)]
pub(in super::super) struct Request {
    code: Code,
    pub(super) octets: Vec<u8>,
}

/// An answer whose authenticators are right.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Response<'a> {
    pub(in super::super) code: Code,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Shorter than it says, or its attributes do not fit.
    #[error("it is misshapen")]
    Misshapen,
    /// To no request that waits.
    #[error("it answers nothing that was asked")]
    Unasked,
    /// Its Response Authenticator is wrong: another secret, or a forgery.
    #[error("its authenticator is wrong; do both ends have the same secret?")]
    WrongAuthenticator,
    /// It must have a Message-Authenticator.
    #[error(
        "it has no Message-Authenticator; update the server, or set message_authenticator = \"when-present\" for it"
    )]
    Unsigned,
    /// Its Message-Authenticator is wrong.
    #[error("its Message-Authenticator is wrong")]
    WrongSignature,
}

impl Request {
    /// The answer to this request, if it is one. Nothing in it counts before its authenticator is right.
    pub(super) fn answer<'a>(
        &self,
        octets: &'a [u8],
        secret: &SecretBytes,
        wanted: Signature,
    ) -> Result<Response<'a>, NoAnswer> {
        let [code, identifier, high, low, ..] = *octets else { return Err(NoAnswer::Misshapen) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // RFC 2865 section 3: what comes after the length is padding.
        let octets = octets.get(..length).filter(|_| (HEADER..=MAX_PACKET).contains(&length));
        let octets = octets.ok_or(NoAnswer::Misshapen)?;
        let (Some((start, rest)), Some(asked)) = (octets.split_first_chunk::<4>(), self.authenticator()) else {
            return Err(NoAnswer::Misshapen);
        };
        let Some((authenticator, body)) = rest.split_first_chunk::<16>() else { return Err(NoAnswer::Misshapen) };
        let code = Code::ALL.into_iter().find(|known| known.value() == code && known.answers(self.code));
        let code = code.filter(|_| Some(&identifier) == self.octets.get(1)).ok_or(NoAnswer::Unasked)?;
        let expected = digest(&[start, asked, body, secret.expose()]);
        if !bool::from(expected.ct_eq(authenticator)) {
            return Err(NoAnswer::WrongAuthenticator);
        }
        let attributes = parse(body).ok_or(NoAnswer::Misshapen)?;
        match (check_signature(start, asked, body, secret)?, wanted, code) {
            (Signed::No, Signature::Required, Code::AccessAccept | Code::AccessReject | Code::AccessChallenge) => {
                return Err(NoAnswer::Unsigned);
            }
            // RFC 2866: the authenticator is all that an Accounting-Response has.
            (Signed::No, Signature::Required, Code::AccountingResponse)
            | (Signed::No, Signature::Required, Code::AccessRequest | Code::AccountingRequest)
            | (Signed::No, Signature::WhenPresent, _)
            | (Signed::Yes, _, _) => {}
        }
        Ok(Response { code, attributes })
    }

    /// As it was sent: what hides passwords, and what the answer is bound to.
    fn authenticator(&self) -> Option<&[u8; 16]> {
        self.octets.get(4..)?.first_chunk()
    }
}

enum Signed {
    Yes,
    No,
}

/// RFC 3579 section 3.2: over the answer with the request's authenticator in it, and zeros in place of the signature.
fn check_signature(start: &[u8; 4], asked: &[u8; 16], body: &[u8], secret: &SecretBytes) -> Result<Signed, NoAnswer> {
    let mut at = 0;
    let mut found = None;
    while let Some([kind, length]) = body.get(at..at + 2) {
        if *kind == kind::MESSAGE_AUTHENTICATOR {
            if found.is_some() || usize::from(*length) != SIGNATURE {
                return Err(NoAnswer::WrongSignature);
            }
            found = Some(at + 2);
        }
        at += usize::from(*length).max(2);
    }
    let Some(at) = found else { return Ok(Signed::No) };
    let (Some(before), Some(there), Some(after)) = (body.get(..at), body.get(at..at + 16), body.get(at + 16..)) else {
        return Err(NoAnswer::WrongSignature);
    };
    let expected = signature(secret, &[start, asked, before, &[0; 16], after]);
    if bool::from(expected.ct_eq(there)) { Ok(Signed::Yes) } else { Err(NoAnswer::WrongSignature) }
}

/// MD5, as RFC 2865 wants it.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn signature(secret: &SecretBytes, parts: &[&[u8]]) -> [u8; 16] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Md5>::new_from_slice(secret.expose()).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    pub(in super::super::super) fn secret() -> SecretBytes {
        SecretBytes::from(&b"xyzzy5461"[..])
    }

    /// A server, as dull as RFC 2865 lets it be.
    pub(in super::super::super) fn respond(
        request: &[u8],
        code: u8,
        attributes: &[(u8, &[u8])],
        sign: Sign,
        secret: &SecretBytes,
    ) -> Vec<u8> {
        let mut body = Vec::new();
        let mut sign_at = None;
        if let Sign::Yes = sign {
            sign_at = Some(22);
            body.extend([80, 18]);
            body.extend([0; 16]);
        }
        for (kind, value) in attributes {
            body.extend([*kind, u8::try_from(value.len() + 2).unwrap()]);
            body.extend(*value);
        }
        let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
        let mut octets = vec![code, request[1], length[0], length[1]];
        octets.extend(&request[4..20]);
        octets.extend(&body);
        if let Some(at) = sign_at {
            let value = signature(secret, &[&octets]);
            octets[at..at + 16].copy_from_slice(&value);
        }
        let value = digest(&[&octets, secret.expose()]);
        octets[4..20].copy_from_slice(&value);
        octets
    }

    #[derive(Clone, Copy)]
    pub(in super::super::super) enum Sign {
        Yes,
        No,
    }

    fn request() -> Request {
        let mut builder = Builder::access(7, [9; 16]);
        builder.add(kind::USER_NAME, b"alice");
        builder.seal(&secret())
    }

    /// RFC 2865 section 7.1: the example of a login, octet for octet.
    #[test]
    fn the_example_of_rfc_2865_opens() {
        let request = hex::decode(
            "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003",
        )
        .unwrap();
        let answer =
            hex::decode("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103").unwrap();
        let request = Request { code: Code::AccessRequest, octets: request };
        let response = request.answer(&answer, &secret(), Signature::WhenPresent).unwrap();
        assert_eq!(response.code, Code::AccessAccept);
        assert_eq!(response.attributes[0], Attribute { kind: 6, value: &[0, 0, 0, 1] });
        assert_eq!(request.answer(&answer, &secret(), Signature::Required), Err(NoAnswer::Unsigned));
    }

    #[test]
    fn a_signed_answer_opens_and_no_octet_of_it_can_be_changed() {
        let request = request();
        let answer = respond(&request.octets, 2, &[(kind::FILTER_ID, b"sales")], Sign::Yes, &secret());
        let response = request.answer(&answer, &secret(), Signature::Required).unwrap();
        assert_eq!((response.code, response.attributes.len()), (Code::AccessAccept, 2));
        for at in 0..answer.len() {
            let mut changed = answer.clone();
            changed[at] ^= 1;
            assert!(request.answer(&changed, &secret(), Signature::Required).is_err(), "octet {at}");
        }
        let padded = [&answer[..], b"padding"].concat();
        assert!(request.answer(&padded, &secret(), Signature::Required).is_ok());
        for short in 0..answer.len() {
            assert!(request.answer(&answer[..short], &secret(), Signature::Required).is_err());
        }
    }

    #[test]
    fn each_kind_of_answer_must_be_signed_and_answer_its_kind_of_request() {
        let request = request();
        for code in [2, 3, 11] {
            let unsigned = respond(&request.octets, code, &[], Sign::No, &secret());
            assert_eq!(request.answer(&unsigned, &secret(), Signature::Required), Err(NoAnswer::Unsigned));
            assert!(request.answer(&unsigned, &secret(), Signature::WhenPresent).is_ok());
        }
        for code in [0, 1, 4, 5, 12, 255] {
            let other = respond(&request.octets, code, &[], Sign::Yes, &secret());
            assert_eq!(request.answer(&other, &secret(), Signature::Required), Err(NoAnswer::Unasked));
        }
        let books = Builder::accounting(3).seal(&secret());
        let response = respond(&books.octets, 5, &[], Sign::No, &secret());
        assert!(books.answer(&response, &secret(), Signature::Required).is_ok());
    }

    #[test]
    fn another_secret_opens_nothing() {
        let request = request();
        let other = SecretBytes::from(&b"other"[..]);
        let answer = respond(&request.octets, 2, &[], Sign::Yes, &other);
        assert_eq!(request.answer(&answer, &secret(), Signature::Required), Err(NoAnswer::WrongAuthenticator));
    }

    #[test]
    fn two_signatures_are_one_too_many() {
        let request = request();
        let answer = respond(&request.octets, 2, &[(80, &[0; 16])], Sign::Yes, &secret());
        assert_eq!(request.answer(&answer, &secret(), Signature::WhenPresent), Err(NoAnswer::WrongSignature));
    }

    #[test]
    fn a_packet_never_grows_beyond_what_may_be_sent() {
        let mut builder = Builder::accounting(0);
        for _ in 0..40 {
            builder.add(kind::CLASS, &[7; 300]);
        }
        let request = builder.seal(&secret());
        assert!(request.octets.len() <= MAX_PACKET);
        assert_eq!(usize::from(u16::from_be_bytes([request.octets[2], request.octets[3]])), request.octets.len());
        assert!(parse(&request.octets[HEADER..]).unwrap().iter().all(|one| one.value.len() == MAX_VALUE));
    }

    #[test]
    fn any_octets_are_an_answer_or_are_refused() {
        let request = request();
        bolero::check!().for_each(|octets: &[u8]| {
            assert!(request.answer(octets, &secret(), Signature::WhenPresent).is_err());
        });
    }
}
