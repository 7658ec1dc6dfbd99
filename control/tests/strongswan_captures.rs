//! Whole IKE SAs between two strongSwans (login, child rekey, IKE rekey, child rekey, delete), with the secrets that
//! strongSwan logs. Our parser, key schedule, SK protection, proof of identity, choice and narrowing must come to
//! what was on the wire.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::config::checked::{EspProposal, IkeProposal};
use adit_control::ike::keys::{AuthInput, ChildKeys, IkeKeys, psk_auth};
use adit_control::ike::narrow::{narrow, selector_of_net};
use adit_control::ike::nat::nat_detection_hash;
use adit_control::ike::propose::{ChildExchange, choose_esp, choose_ike};
use adit_control::ike::sk::{SkCipher, SkError};
use adit_control::ike::wire::{
    Exchange, Header, Id, IkeSpi, Incoming, NotifyKind, Payload, Proposal, Protocol, build, parse, parse_header,
};
use adit_crypto::esp_cipher::Backend;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use serde::Deserialize;
use std::collections::VecDeque;

#[derive(Deserialize)]
struct Capture {
    psk: String,
    initiator: String,
    responder: String,
    ike_proposal: String,
    esp_proposals: Vec<String>,
    ike_sas: Vec<IkeSecrets>,
    children: Vec<ChildSecrets>,
    auth: [String; 2],
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct IkeSecrets {
    shared: String,
    sk_d: String,
    #[serde(default)]
    sk_ai: String,
    #[serde(default)]
    sk_ar: String,
    sk_ei: String,
    sk_er: String,
    sk_pi: String,
    sk_pr: String,
}

#[derive(Deserialize)]
struct ChildSecrets {
    shared: Option<String>,
    encr_i: String,
    encr_r: String,
    #[serde(default)]
    integ_i: String,
    #[serde(default)]
    integ_r: String,
}

#[derive(Deserialize)]
struct Message {
    payloads: String,
    bytes: String,
}

const CAPTURES: [&str; 4] = [
    include_str!("captures/gcm.json"),
    include_str!("captures/chacha.json"),
    include_str!("captures/cbc.json"),
    include_str!("captures/sha1.json"),
];

fn captures() -> impl Iterator<Item = Capture> {
    CAPTURES.into_iter().map(|text| serde_json::from_str(text).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::new(bytes(text))
}

/// The names that strongSwan's log gives to payloads.
fn names(payloads: &[Payload]) -> String {
    let name = |payload: &Payload| match payload {
        Payload::Sa(_) => "SA",
        Payload::Ke(_) => "KE",
        Payload::IdInitiator(_) => "IDi",
        Payload::IdResponder(_) => "IDr",
        Payload::Certificate(..) => "CERT",
        Payload::CertificateRequest(..) => "CERTREQ",
        Payload::Auth(..) => "AUTH",
        Payload::Nonce(_) => "No",
        Payload::Notify(_) => "N",
        Payload::Delete(_) => "D",
        Payload::VendorId(_) => "V",
        Payload::TsInitiator(_) => "TSi",
        Payload::TsResponder(_) => "TSr",
        Payload::Configuration(configuration) => match configuration.kind.iana() {
            1 => "CPRQ",
            _ => "CPRP",
        },
        Payload::Eap(_) => "EAP",
        Payload::Unknown(..) => "?",
    };
    payloads.iter().map(name).collect::<Vec<_>>().join(" ")
}

macro_rules! find {
    ($payloads:expr, $pattern:pat $(if $guard:expr)? => $value:expr) => {
        $payloads.iter().find_map(|payload| match payload {
            $pattern $(if $guard)? => Some($value),
            _ => None,
        })
    };
}

fn proposals(payloads: &[Payload]) -> Vec<Proposal> {
    find!(payloads, Payload::Sa(proposals) => proposals.clone()).unwrap()
}

fn nonce(payloads: &[Payload]) -> Vec<u8> {
    find!(payloads, Payload::Nonce(nonce) => nonce.clone()).unwrap()
}

/// One IKE SA as an onlooker with its keys sees it.
struct Onlooker {
    keys: IkeKeys,
    initiator: SkCipher,
    responder: SkCipher,
    /// Names an SA that came by rekeying.
    initiator_spi: Option<IkeSpi>,
}

impl Onlooker {
    fn new(keys: IkeKeys, secrets: &IkeSecrets) -> Self {
        for (ours, theirs) in [
            (&keys.sk_d, &secrets.sk_d),
            (&keys.sk_ai, &secrets.sk_ai),
            (&keys.sk_ar, &secrets.sk_ar),
            (&keys.sk_ei, &secrets.sk_ei),
            (&keys.sk_er, &secrets.sk_er),
            (&keys.sk_pi, &secrets.sk_pi),
            (&keys.sk_pr, &secrets.sk_pr),
        ] {
            assert_eq!(hex::encode(ours.expose()), *theirs);
        }
        let initiator = keys.initiator_cipher(Backend::Auto).unwrap();
        let responder = keys.responder_cipher(Backend::RustCrypto).unwrap();
        Self { keys, initiator, responder, initiator_spi: None }
    }

    fn named(self, initiator_spi: IkeSpi) -> Self {
        Self { initiator_spi: Some(initiator_spi), ..self }
    }

    fn is_for(&self, header: &Header) -> bool {
        self.initiator_spi == Some(header.initiator_spi)
    }

    fn open(&mut self, incoming: &Incoming<'_>) -> Vec<Payload> {
        let initiator = incoming.header.flags.initiator;
        let (right, wrong) =
            if initiator { (&mut self.initiator, &self.responder) } else { (&mut self.responder, &self.initiator) };
        assert_eq!(wrong.open(incoming), Err(SkError::BadIcv));
        let payloads = right.open(incoming).unwrap();

        // What we would have sent in its place is as long and says the same.
        let again = right.seal(&incoming.header, &payloads);
        assert_eq!(again.len(), incoming.bytes.len());
        assert_eq!(right.open(&parse(&again).unwrap()).unwrap(), payloads);
        payloads
    }
}

fn check_child(keys: &ChildKeys, secrets: &ChildSecrets) {
    for (ours, theirs) in [
        (&keys.initiator_to_responder.encr, &secrets.encr_i),
        (&keys.responder_to_initiator.encr, &secrets.encr_r),
        (&keys.initiator_to_responder.integ, &secrets.integ_i),
        (&keys.responder_to_initiator.integ, &secrets.integ_r),
    ] {
        assert_eq!(hex::encode(ours.expose()), *theirs);
    }
}

#[test]
fn an_onlooker_with_the_shared_secrets_reads_all_and_comes_to_the_same_keys() {
    for capture in captures() {
        let datagrams: Vec<Vec<u8>> = capture.messages.iter().map(|message| bytes(&message.bytes)).collect();
        let ike_allowed = [IkeProposal::parse(&capture.ike_proposal).unwrap()];
        let esp_allowed: Vec<_> = capture.esp_proposals.iter().map(|text| EspProposal::parse(text).unwrap()).collect();
        let mut secrets: VecDeque<_> = capture.ike_sas.iter().collect();
        let mut children: VecDeque<_> = capture.children.iter().collect();

        // initiator --> HDR, SAi1, KEi, Ni, …
        // responder <-- HDR, SAr1, KEr, Nr, …
        let request = parse(&datagrams[0]).unwrap();
        let response = parse(&datagrams[1]).unwrap();
        for message in [&request, &response] {
            assert_eq!(message.header.exchange, Exchange::IkeSaInit);
            assert_eq!(build(&message.header, &message.payloads), message.bytes);
        }
        let (answer, suite) = choose_ike(&proposals(&request.payloads), &ike_allowed).unwrap();
        assert_eq!(proposals(&response.payloads), [answer]);
        assert_eq!(suite.to_string(), capture.ike_proposal);
        let first_secrets = secrets.pop_front().unwrap();
        let (ni, nr) = (nonce(&request.payloads), nonce(&response.payloads));
        let Header { initiator_spi, responder_spi, .. } = response.header;
        let shared = secret(&first_secrets.shared);
        let keys = IkeKeys::derive(suite, &shared, &ni, &nr, initiator_spi, responder_spi);
        let mut onlooker = Onlooker::new(keys, first_secrets);
        let mut next: Option<Onlooker> = None;

        // initiator --> HDR, SK {…}
        // responder <-- HDR, SK {…}      and so on, both ways
        let mut requests: Vec<(Header, Vec<Payload>)> = Vec::new();
        for (datagram, expected) in datagrams.iter().zip(&capture.messages).skip(2) {
            let incoming = parse(datagram).unwrap();
            assert!(incoming.payloads.is_empty());
            let is_next = next.as_ref().is_some_and(|next| next.is_for(&incoming.header));
            let sa = if is_next { next.as_mut().unwrap() } else { &mut onlooker };
            let payloads = sa.open(&incoming);
            assert_eq!(names(&payloads), expected.payloads);
            if !incoming.header.flags.response {
                requests.push((incoming.header, payloads));
                continue;
            }
            let (_, request) = requests
                .iter()
                .rfind(|(header, _)| {
                    header.message_id == incoming.header.message_id
                        && header.initiator_spi == incoming.header.initiator_spi
                        && header.flags.initiator != incoming.header.flags.initiator
                })
                .unwrap();
            if find!(payloads, Payload::Sa(proposals) => proposals.len()).is_none() {
                continue;
            }
            let (offered, answered) = (proposals(request), proposals(&payloads));
            match (incoming.header.exchange, offered[0].protocol) {
                (Exchange::IkeAuth, _) => {
                    check_auth(&capture, &datagrams, &ni, &nr, &sa.keys, request, &payloads);
                    let choice = choose_esp(&offered, &esp_allowed, ChildExchange::IkeAuth).unwrap();
                    assert_eq!(answered, [Proposal { spi: answered[0].spi.clone(), ..choice.answer }]);
                    let secrets = children.pop_front().unwrap();
                    check_child(&sa.keys.child_keymat(choice.cipher, None, &ni, &nr), secrets);
                    check_narrowing(request, &payloads);
                }
                (Exchange::CreateChildSa, Protocol::Esp) => {
                    let choice = choose_esp(&offered, &esp_allowed, ChildExchange::CreateChildSa).unwrap();
                    assert_eq!(answered, [Proposal { spi: answered[0].spi.clone(), ..choice.answer }]);
                    let ke = find!(request, Payload::Ke(ke) => ke.group);
                    assert_eq!(choice.group.map(KexGroup::iana), ke);
                    let secrets = children.pop_front().unwrap();
                    let shared = secrets.shared.as_deref().map(secret);
                    let (ni, nr) = (nonce(request), nonce(&payloads));
                    check_child(&sa.keys.child_keymat(choice.cipher, shared.as_ref(), &ni, &nr), secrets);
                }
                (Exchange::CreateChildSa, Protocol::Ike) => {
                    let (answer, suite) = choose_ike(&offered, &ike_allowed).unwrap();
                    assert_eq!(answer.spi, offered[0].spi);
                    let spi =
                        |proposal: &Proposal| IkeSpi(u64::from_be_bytes(proposal.spi.as_slice().try_into().unwrap()));
                    let secrets = secrets.pop_front().unwrap();
                    let (spi_i, spi_r) = (spi(&offered[0]), spi(&answered[0]));
                    let (ni, nr) = (nonce(request), nonce(&payloads));
                    let keys = IkeKeys::rekey(&sa.keys, suite, &secret(&secrets.shared), &ni, &nr, spi_i, spi_r);
                    next = Some(Onlooker::new(keys, secrets).named(spi_i));
                }
                (other, protocol) => panic!("{other:?} {protocol:?}"),
            }
        }
        assert!(secrets.is_empty() && children.is_empty(), "the capture shows fewer SAs than its secrets");
    }
}

fn check_auth(
    capture: &Capture,
    datagrams: &[Vec<u8>],
    ni: &[u8],
    nr: &[u8],
    keys: &IkeKeys,
    request: &[Payload],
    response: &[Payload],
) {
    let psk = SecretBytes::from(capture.psk.as_bytes());
    let prf = keys.suite().prf;
    let id_i = find!(request, Payload::IdInitiator(id) => id).unwrap();
    let id_r = find!(response, Payload::IdResponder(id) => id).unwrap();
    assert_eq!((id_i, id_r), (&Id::parse(&capture.initiator).unwrap(), &Id::parse(&capture.responder).unwrap()));
    let sides = [
        (request, AuthInput { first_message: &datagrams[0], nonce_other: nr, sk_p: &keys.sk_pi, id: id_i }),
        (response, AuthInput { first_message: &datagrams[1], nonce_other: ni, sk_p: &keys.sk_pr, id: id_r }),
    ];
    for ((payloads, input), logged) in sides.into_iter().zip(&capture.auth) {
        // Method 2: shared key message integrity code (RFC 7296 section 3.8).
        let sent = find!(payloads, Payload::Auth(2, data) => SecretBytes::from(data.as_slice())).unwrap();
        assert_eq!(psk_auth(prf, &psk, &input), sent);
        assert_eq!(hex::encode(sent.expose()), *logged);
        assert_ne!(psk_auth(prf, &SecretBytes::from(&b"another"[..]), &input), sent);
    }
}

/// The responder's TSr is the offered one narrowed to what it allows; here client and responder name the same.
fn check_narrowing(request: &[Payload], response: &[Payload]) {
    let offered = find!(request, Payload::TsResponder(selectors) => selectors).unwrap();
    let answered = find!(response, Payload::TsResponder(selectors) => selectors).unwrap();
    let allowed = ["10.20.0.0/24", "fd20::/64"].map(|net| selector_of_net(net.parse().unwrap()));
    assert_eq!(narrow(offered, &allowed), *answered);
}

#[test]
fn nat_detection_sees_where_the_first_message_went() {
    for capture in captures() {
        let datagram = bytes(&capture.messages[0].bytes);
        let message = parse(&datagram).unwrap();
        let Header { initiator_spi, responder_spi, .. } = parse_header(&datagram).unwrap();
        let hash = find!(message.payloads, Payload::Notify(notify) if notify.kind == NotifyKind::NatDetectionDestinationIp => &notify.data);
        let to = nat_detection_hash(initiator_spi, responder_spi, "192.0.2.2:500".parse().unwrap());
        let mapped = nat_detection_hash(initiator_spi, responder_spi, "[::ffff:192.0.2.2]:500".parse().unwrap());
        let elsewhere = nat_detection_hash(initiator_spi, responder_spi, "192.0.2.2:501".parse().unwrap());
        assert_eq!(hash.unwrap().as_slice(), to);
        assert_eq!(to, mapped);
        assert_ne!(to, elsewhere);
    }
}

#[test]
fn one_changed_octet_anywhere_is_found() {
    for capture in captures() {
        let datagrams: Vec<Vec<u8>> = capture.messages.iter().map(|message| bytes(&message.bytes)).collect();
        let suite_text = IkeProposal::parse(&capture.ike_proposal).unwrap();
        let (_, suite) = choose_ike(&proposals(&parse(&datagrams[0]).unwrap().payloads), &[suite_text]).unwrap();
        let cipher = SkCipher::new(
            Backend::Auto,
            suite.cipher,
            &bytes(&capture.ike_sas[0].sk_ei),
            &bytes(&capture.ike_sas[0].sk_ai),
        )
        .unwrap();
        let good = &datagrams[2];
        assert!(cipher.open(&parse(good).unwrap()).is_ok());
        let mut opened = 0;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let Ok(incoming) = parse(&bad) else { continue };
            opened += 1;
            assert_eq!(cipher.open(&incoming), Err(SkError::BadIcv), "octet {at}");
        }
        // Only version, exchange, payload type and lengths are found before the ICV.
        assert!(opened >= good.len() - 12, "{opened} of {}", good.len());
    }
}
