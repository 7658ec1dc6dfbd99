//! IKEv2 messages: shapes of RFC 7296 section 3, every way to break them, round trips, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::ike::wire::{
    Attribute, ConfigKind, ConfigPayload, Delete, Exchange, Fault, Flags, Header, Id, IdKind, IkeSpi, KeyExchange,
    Limited, Notify, NotifyKind, Payload, Proposal, Protocol, Transform, TransformKind, WireError, build, id_body,
    limits, parse, parse_header,
};
use adit_dataplane::contract::Selector;
use bolero::{TypeGenerator, check};
use std::net::IpAddr;

const HEADER: Header = Header {
    initiator_spi: IkeSpi(0x0102_0304_0506_0708),
    responder_spi: IkeSpi(0x1112_1314_1516_1718),
    exchange: Exchange::CreateChildSa,
    flags: Flags { initiator: true, response: false },
    message_id: 7,
};

/// A message of one payload with this type, flags and body.
fn message(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = build(&HEADER, &[]);
    bytes[16] = kind;
    bytes.extend([0, flags]);
    bytes.extend(((body.len() + 4) as u16).to_be_bytes());
    bytes.extend(body);
    fix_length(&mut bytes);
    bytes
}

fn fix_length(bytes: &mut [u8]) {
    let length = (bytes.len() as u32).to_be_bytes();
    bytes[24..28].copy_from_slice(&length);
}

fn only(kind: u8, body: &[u8]) -> Result<Payload, WireError> {
    parse(&message(kind, 0, body)).map(|mut incoming| {
        assert_eq!(incoming.payloads.len(), 1);
        incoming.payloads.remove(0)
    })
}

fn fault(kind: u8, body: &[u8]) -> Fault {
    match only(kind, body).unwrap_err() {
        WireError::BadPayload { kind: named, fault } => {
            assert_eq!(named, kind);
            fault
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_header_stands_as_the_rfc_draws_it() {
    #[rustfmt::skip]
    let expected = [
        1, 2, 3, 4, 5, 6, 7, 8,                 // IKE SA initiator's SPI
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, // IKE SA responder's SPI
        0, 0x20, 36, 0x08,                      // next payload, version 2.0, exchange, flags (I)
        0, 0, 0, 7,                             // message ID
        0, 0, 0, 28,                            // length
    ];
    assert_eq!(build(&HEADER, &[]), expected);
    assert_eq!(parse_header(&expected), Ok(HEADER));
    let incoming = parse(&expected).unwrap();
    assert_eq!((incoming.header, incoming.payloads.len(), incoming.sk()), (HEADER, 0, None));
}

#[test]
fn reserved_flags_and_the_minor_version_are_ignored() {
    let mut bytes = build(&HEADER, &[]);
    bytes[17] = 0x2f;
    bytes[19] = 0xdf;
    assert_eq!(parse_header(&bytes), Ok(HEADER));
    bytes[19] = 0x20;
    assert_eq!(parse_header(&bytes).unwrap().flags, Flags { initiator: false, response: true });
}

#[test]
fn a_header_that_is_wrong_is_told_from_one_that_is_not_ours() {
    let good = build(&HEADER, &[]);
    for len in 0..28 {
        assert_eq!(parse(&good[..len]).unwrap_err(), WireError::TooShort { len });
    }
    let mut version_1 = good.clone();
    version_1[17] = 0x10;
    version_1[18] = 99;
    let Header { initiator_spi, responder_spi, message_id, .. } = HEADER;
    let expected = WireError::MajorVersion { major: 1, initiator_spi, responder_spi, message_id };
    assert_eq!(parse_header(&version_1), Err(expected));
    for exchange in (0..=255).filter(|number| !(34..=37).contains(number)) {
        let mut bytes = good.clone();
        bytes[18] = exchange;
        assert_eq!(parse_header(&bytes), Err(WireError::BadExchange(exchange)));
    }
    for (header, extra) in [(27, 0), (29, 0), (28, 1), (u32::MAX, 0), (0, 0)] {
        let mut bytes = good.clone();
        bytes.resize(28 + extra, 0);
        bytes[24..28].copy_from_slice(&header.to_be_bytes());
        assert_eq!(parse(&bytes).unwrap_err(), WireError::LengthMismatch { header, datagram: 28 + extra });
        assert!(parse_header(&bytes).is_ok(), "routing by SPI does not need the length");
    }
}

#[test]
fn an_unknown_payload_is_skipped_unless_it_is_critical() {
    for kind in (1..=32).chain(49..=52).chain(54..=255) {
        assert_eq!(only(kind, b"whatever"), Ok(Payload::Unknown(kind, false)));
        assert_eq!(parse(&message(kind, 0x80, b"")).unwrap_err(), WireError::UnsupportedCritical(kind));
    }
    // On a payload that is known the bit means nothing, and neither do the reserved ones.
    let bytes = message(43, 0xff, b"x");
    assert_eq!(parse(&bytes).unwrap().payloads, [Payload::VendorId(b"x".to_vec())]);
}

#[test]
fn the_chain_of_payloads_must_fit_the_message() {
    let bad = |kind, fault| Err(WireError::BadPayload { kind, fault });
    let read = |bytes: &[u8]| parse(bytes).map(|incoming| incoming.payloads);
    for length in [0_u16, 3, 6, u16::MAX] {
        let mut bytes = message(43, 0, b"x");
        bytes[30..32].copy_from_slice(&length.to_be_bytes());
        assert_eq!(read(&bytes), bad(43, Fault::Length), "{length}");
    }
    let mut missing = build(&HEADER, &[]);
    missing[16] = 43;
    assert_eq!(read(&missing), bad(43, Fault::Truncated));
    let mut more = message(43, 0, b"x");
    more[28] = 40;
    assert_eq!(read(&more), bad(40, Fault::Truncated));
    let mut left_over = message(43, 0, b"x");
    left_over.push(0);
    fix_length(&mut left_over);
    assert_eq!(read(&left_over), bad(0, Fault::Trailing));
}

#[test]
fn the_encrypted_payload_is_last_and_its_front_is_the_associated_data() {
    let bytes = message(46, 0, b"iv, ciphertext, icv");
    let sk = parse(&bytes).unwrap().sk().unwrap();
    assert_eq!((sk.first_inner, sk.associated, sk.body), (0, &bytes[..32], &b"iv, ciphertext, icv"[..]));

    let mut after_another = build(&HEADER, &[Payload::VendorId(b"x".to_vec())]);
    after_another[28] = 46;
    after_another.extend([35, 0, 0, 6, 1, 2]);
    fix_length(&mut after_another);
    let incoming = parse(&after_another).unwrap();
    let sk = incoming.sk().unwrap();
    assert_eq!(incoming.payloads.len(), 1);
    assert_eq!((sk.first_inner, sk.associated.len(), sk.body), (35, 37, &[1, 2][..]));

    after_another.push(0);
    fix_length(&mut after_another);
    assert_eq!(parse(&after_another).unwrap_err(), WireError::BadPayload { kind: 46, fault: Fault::Nested });
}

/// One proposal: AES-CBC-256 and 3DES, SHA2-256, ESN off; SPI c0c1c2c3.
#[rustfmt::skip]
const SA: [u8; 52] = [
    0, 0, 0, 52,  1, 3, 4, 4,  0xc0, 0xc1, 0xc2, 0xc3,
    3, 0, 0, 12,  1, 0, 0, 12,  0x80, 14, 1, 0,
    3, 0, 0, 8,   1, 0, 0, 3,
    3, 0, 0, 8,   3, 0, 0, 12,
    0, 0, 0, 8,   5, 0, 0, 0,
    // (4 octets too many for the transforms above: cut off where used)
    9, 9, 9, 9,
];

fn sa() -> Vec<u8> {
    let mut bytes = SA[..48].to_vec();
    bytes[3] = 48;
    bytes
}

fn transform(kind: TransformKind, id: u16, key_bits: Option<u16>) -> Transform {
    Transform { kind, id, key_bits, unknown_attribute: false }
}

#[test]
fn a_proposal_is_read_as_the_rfc_draws_it() {
    let expected = Proposal {
        number: 1,
        protocol: Protocol::Esp,
        spi: vec![0xc0, 0xc1, 0xc2, 0xc3],
        transforms: vec![
            transform(TransformKind::Encr, 12, Some(256)),
            transform(TransformKind::Encr, 3, None),
            transform(TransformKind::Integ, 12, None),
            transform(TransformKind::Esn, 0, None),
        ],
    };
    assert_eq!(only(33, &sa()), Ok(Payload::Sa(vec![expected.clone()])));
    assert_eq!(build(&HEADER, &[Payload::Sa(vec![expected])])[32..], sa());
}

#[test]
fn each_way_to_break_a_proposal_is_named() {
    let with = |at: usize, value: u8| {
        let mut bytes = sa();
        bytes[at] = value;
        fault(33, &bytes)
    };
    assert_eq!(fault(33, &[]), Fault::NoProposal);
    assert_eq!(with(0, 2), Fault::LastSubstructure, "more proposals are promised");
    assert_eq!(with(0, 1), Fault::LastSubstructure);
    assert_eq!(with(3, 49), Fault::Truncated, "the proposal is longer than the payload");
    assert_eq!(with(3, 3), Fault::Truncated, "the proposal is shorter than its header");
    assert_eq!(with(6, 200), Fault::Truncated, "the SPI is longer than the proposal");
    assert_eq!(with(7, 3), Fault::LastSubstructure, "the third of three is not the last");
    assert_eq!(with(7, 5), Fault::LastSubstructure, "the fourth of five is the last");
    assert_eq!(with(12, 0), Fault::LastSubstructure);
    assert_eq!(with(40, 3), Fault::LastSubstructure);
    assert_eq!(with(15, 7), Fault::Truncated, "a transform shorter than its fields");
    assert_eq!(with(20, 0), Fault::Truncated, "an attribute with a length beyond its transform");
    let mut more = sa();
    more.extend(sa());
    assert_eq!(fault(33, &more), Fault::LastSubstructure, "a proposal after the last");
    let mut none_left = sa();
    none_left.truncate(40);
    none_left[3] = 40;
    assert_eq!(fault(33, &none_left), Fault::TransformCount);
    let mut left_over = SA.to_vec();
    left_over[3] = 52;
    assert_eq!(fault(33, &left_over), Fault::TransformCount);
}

#[test]
fn an_attribute_that_is_not_the_key_length_marks_its_transform() {
    for (attribute, key_bits) in [([0x80, 15, 1, 0], None), ([0x80, 14, 1, 0], Some(256)), ([0, 14, 0, 0], None)] {
        let mut bytes = sa();
        bytes[20..24].copy_from_slice(&attribute);
        let Ok(Payload::Sa(proposals)) = only(33, &bytes) else { panic!() };
        let first = proposals[0].transforms[0];
        assert_eq!((first.key_bits, first.unknown_attribute), (key_bits, key_bits.is_none()));
    }
}

#[test]
fn a_proposal_for_an_unknown_protocol_is_left_out_but_not_unchecked() {
    let mut bytes = sa();
    bytes[5] = 77;
    assert_eq!(only(33, &bytes), Ok(Payload::Sa(vec![])));
    bytes[7] = 5;
    assert_eq!(fault(33, &bytes), Fault::LastSubstructure);
}

#[test]
fn identities_fit_their_types() {
    let id = |kind: u8, bytes: &[u8]| [&[kind, 0xaa, 0xbb, 0xcc], bytes].concat();
    assert_eq!(only(35, &id(1, &[10, 0, 0, 1])), Ok(Payload::IdInitiator(Id::parse("10.0.0.1").unwrap())));
    assert_eq!(only(36, &id(2, b"a.b")), Ok(Payload::IdResponder(Id::parse("a.b").unwrap())));
    assert_eq!(id_body(&Id::parse("a@b").unwrap()), [3, 0, 0, 0, b'a', b'@', b'b']);
    assert_eq!(fault(35, &id(1, &[10, 0, 0])), Fault::IdLength(3));
    assert_eq!(fault(35, &id(5, &[0; 17])), Fault::IdLength(17));
    assert_eq!(fault(35, &id(2, b"")), Fault::IdLength(0));
    assert!(only(35, &id(11, &[7; 255])).is_ok());
    assert_eq!(fault(35, &id(11, &[7; 256])), Fault::IdLength(256));
    for unknown in [0, 4, 6, 7, 8, 12, 255] {
        assert_eq!(fault(36, &id(unknown, b"x")), Fault::IdKind(unknown));
    }
    assert_eq!(fault(35, &[2, 0, 0]), Fault::Truncated);
}

#[test]
fn a_nonce_has_16_to_256_octets() {
    assert_eq!(fault(40, &[1; 15]), Fault::NonceLength(15));
    assert!(only(40, &[1; 16]).is_ok());
    assert!(only(40, &[1; 256]).is_ok());
    assert_eq!(fault(40, &[1; 257]), Fault::NonceLength(257));
}

#[test]
fn short_payloads_that_have_fields_are_truncated() {
    for (kind, whole) in [(34, 4), (37, 1), (38, 1), (39, 4), (41, 4), (42, 4), (44, 4), (45, 4), (47, 4)] {
        for len in 0..whole {
            assert_eq!(fault(kind, &vec![1; len]), Fault::Truncated, "type {kind}, {len} octets");
        }
    }
}

#[test]
fn a_notification_is_about_an_sa_only_if_it_names_an_spi() {
    let notify = |about, kind, data: &[u8]| Ok(Payload::Notify(Notify { about, kind, data: data.to_vec() }));
    assert_eq!(only(41, &[1, 0, 0, 14]), notify(None, NotifyKind::NoProposalChosen, b""));
    assert_eq!(only(41, &[99, 0, 0xff, 0xff, 5]), notify(None, NotifyKind::Other(0xffff), &[5]));
    let about = Some((Protocol::Esp, vec![1, 2, 3, 4]));
    assert_eq!(only(41, &[3, 4, 0x40, 9, 1, 2, 3, 4]), notify(about, NotifyKind::RekeySa, b""));
    assert_eq!(fault(41, &[9, 4, 0x40, 9, 1, 2, 3, 4]), Fault::Protocol(9));
    assert_eq!(fault(41, &[3, 5, 0x40, 9, 1, 2, 3, 4]), Fault::Truncated);
}

#[test]
fn a_delete_names_the_ike_sa_or_esp_spis() {
    let delete = |protocol, spis: &[u32]| Ok(Payload::Delete(Delete { protocol, spis: spis.to_vec() }));
    assert_eq!(only(42, &[1, 0, 0, 0]), delete(Protocol::Ike, &[]));
    assert_eq!(only(42, &[3, 4, 0, 2, 0, 0, 1, 0, 0, 0, 1, 1]), delete(Protocol::Esp, &[256, 257]));
    assert_eq!(fault(42, &[1, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]), Fault::Spi);
    assert_eq!(fault(42, &[3, 0, 0, 0]), Fault::Spi);
    assert_eq!(fault(42, &[0, 0, 0, 0]), Fault::Protocol(0));
    assert_eq!(fault(42, &[3, 4, 0, 2, 0, 0, 1, 0]), Fault::Truncated);
    assert_eq!(fault(42, &[3, 4, 0, 1, 0, 0, 1, 0, 7]), Fault::Trailing);
}

fn v4_selector(first_port: u16, last_port: u16, first: u8, last: u8) -> Vec<u8> {
    let mut bytes = vec![7, 17, 0, 16];
    bytes.extend(first_port.to_be_bytes());
    bytes.extend(last_port.to_be_bytes());
    bytes.extend([10, 0, 0, first, 10, 0, 0, last]);
    bytes
}

#[test]
fn selectors_are_ranges_the_right_way_up() {
    let ts = |selectors: &[Vec<u8>]| [vec![selectors.len() as u8, 0, 0, 0], selectors.concat()].concat();
    let expected =
        Selector { addresses: IpAddr::from([10, 0, 0, 1])..=IpAddr::from([10, 0, 0, 9]), protocol: 17, ports: 53..=54 };
    assert_eq!(only(44, &ts(&[v4_selector(53, 54, 1, 9)])), Ok(Payload::TsInitiator(vec![expected.clone()])));
    assert_eq!(fault(45, &ts(&[v4_selector(53, 54, 9, 1)])), Fault::SelectorRange);
    assert_eq!(fault(45, &ts(&[v4_selector(54, 53, 1, 9)])), Fault::SelectorRange);

    // OPAQUE ports and an unknown type match nothing and are left out; what stands beside them stays.
    let opaque = v4_selector(65535, 0, 1, 9);
    let fibre_channel = vec![9, 0, 0, 8, 1, 2, 3, 4];
    let mixed = ts(&[opaque.clone(), v4_selector(53, 54, 1, 9), fibre_channel]);
    assert_eq!(only(45, &mixed), Ok(Payload::TsResponder(vec![expected])));
    assert_eq!(only(45, &ts(&[opaque])), Ok(Payload::TsResponder(vec![])));

    assert_eq!(fault(44, &[0, 0, 0, 0]), Fault::SelectorCount);
    let mut fewer = ts(&[v4_selector(0, 1, 1, 1), v4_selector(0, 1, 1, 1)]);
    fewer[0] = 1;
    assert_eq!(fault(44, &fewer), Fault::SelectorCount);
    fewer[0] = 3;
    assert_eq!(fault(44, &fewer), Fault::SelectorCount);
    for length in [0, 3, 15, 17] {
        let mut bytes = ts(&[v4_selector(0, 1, 1, 1)]);
        bytes[7] = length;
        assert_eq!(fault(44, &bytes), Fault::SelectorLength, "{length}");
    }
    let mut v6 = ts(&[v4_selector(0, 1, 1, 1)]);
    v6[4] = 8;
    assert_eq!(fault(44, &v6), Fault::SelectorLength);
}

#[test]
fn a_configuration_payload_has_whole_attributes_of_a_known_type() {
    let bytes = [1, 0, 0, 0, 0x80, 1, 0, 0, 0, 8, 0, 2, 5, 6];
    let attribute = |kind, value: &[u8]| Attribute { kind, value: value.to_vec() };
    let attributes = vec![attribute(Attribute::IP4_ADDRESS, b""), attribute(Attribute::IP6_ADDRESS, &[5, 6])];
    let expected = ConfigPayload { kind: ConfigKind::Request, attributes };
    assert_eq!(only(47, &bytes), Ok(Payload::Configuration(expected)), "the reserved bit is ignored");
    assert_eq!(fault(47, &bytes[..13]), Fault::Truncated);
    assert_eq!(fault(47, &bytes[..11]), Fault::Truncated);
    for kind in [0, 5, 255] {
        assert_eq!(fault(47, &[kind, 0, 0, 0]), Fault::ConfigKind(kind));
    }
}

#[test]
fn our_own_limits_hold_at_both_ends() {
    let too_many = |what| WireError::TooMany(what);
    let vendor = Payload::VendorId(Vec::new());
    let payloads = |count| parse(&build(&HEADER, &vec![vendor.clone(); count])).map(|incoming| incoming.payloads.len());
    assert_eq!(payloads(limits::MAX_PAYLOADS), Ok(limits::MAX_PAYLOADS));
    assert_eq!(payloads(limits::MAX_PAYLOADS + 1), Err(too_many(Limited::Payloads)));

    let sa = |proposals: usize, transforms: usize| {
        let transforms = vec![transform(TransformKind::Encr, 12, None); transforms];
        let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi: Vec::new(), transforms };
        parse(&build(&HEADER, &[Payload::Sa(vec![proposal; proposals])])).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(sa(64, 8), Ok(()));
    assert_eq!(sa(65, 1), Err("more than 64 proposals".to_owned()));
    assert_eq!(sa(57, 9), Err("more than 512 transforms".to_owned()));

    let mut attributes = vec![0, 0, 0, 12 + 4 * 17, 1, 1, 0, 1, 0, 0, 0, 4 + 4 + 4 * 17, 1, 0, 0, 12];
    attributes[3] = 8 + 8 + 4 * 17;
    attributes.extend([0x80, 99, 0, 0].repeat(17));
    assert_eq!(only(33, &attributes), Err(too_many(Limited::TransformAttributes)));

    let selectors =
        |count: u8| only(44, &[vec![count, 0, 0, 0], v4_selector(0, 1, 1, 1).repeat(count.into())].concat());
    assert!(selectors(255).is_ok(), "as many as can be counted");

    let spis =
        |count: u16| only(42, &[vec![3, 4], count.to_be_bytes().to_vec(), vec![1; 4 * usize::from(count)]].concat());
    assert!(spis(256).is_ok());
    assert_eq!(spis(257), Err(too_many(Limited::DeletedSpis)));
    assert_eq!(only(42, &[3, 4, 0xff, 0xff]), Err(too_many(Limited::DeletedSpis)), "before anything is made");

    let configuration = |count: usize| only(47, &[vec![1, 0, 0, 0], [0, 1, 0, 0].repeat(count)].concat());
    assert!(configuration(64).is_ok());
    assert_eq!(configuration(65), Err(too_many(Limited::ConfigAttributes)));
}

/// Number, protocol, SPI, transforms of kind, ID and key length.
type AnyProposal = (u8, u8, Vec<u8>, Vec<(u8, u16, Option<u16>)>);

/// Any payload that adit itself could send.
#[derive(Debug, TypeGenerator)]
enum Any {
    Sa(Vec<AnyProposal>),
    Ke(u16, Vec<u8>),
    Id { responder: bool, kind: u8, bytes: Vec<u8> },
    Tagged { which: u8, tag: u8, data: Vec<u8> },
    Nonce([u8; 16], Vec<u8>),
    Notify { about: Option<(u8, u8, Vec<u8>)>, kind: u16, data: Vec<u8> },
    Delete(Vec<u32>),
    DeleteIke,
    VendorId(Vec<u8>),
    Selectors { responder: bool, v4: Vec<(u32, u32, u8, u16, u16)>, v6: Vec<(u128, u128, u8, u16, u16)> },
    Configuration(u8, Vec<(u16, Vec<u8>)>),
    Eap(Vec<u8>),
    Unknown(u8),
}

fn protocol(number: u8) -> Protocol {
    [Protocol::Ike, Protocol::Ah, Protocol::Esp][usize::from(number % 3)]
}

fn selector<A: Ord + Copy>(
    (a, b, protocol, p, q): (A, A, u8, u16, u16),
    address: impl Fn(A) -> IpAddr,
) -> Option<Selector> {
    let ports = p.min(q)..=p.max(q);
    Some(Selector { addresses: address(a.min(b))..=address(a.max(b)), protocol, ports })
}

impl Any {
    fn payload(&self) -> Option<Payload> {
        Some(match self {
            Self::Sa(proposals) if proposals.is_empty() => return None,
            Self::Sa(proposals) => Payload::Sa(
                proposals
                    .iter()
                    .take(20)
                    .map(|(number, about, spi, transforms)| Proposal {
                        number: *number,
                        protocol: protocol(*about),
                        spi: spi.iter().copied().take(255).collect(),
                        transforms: transforms
                            .iter()
                            .take(20)
                            .map(|(kind, id, bits)| transform(TransformKind::from_iana(*kind), *id, *bits))
                            .collect(),
                    })
                    .collect(),
            ),
            Self::Ke(group, public) => Payload::Ke(KeyExchange { group: *group, public: public.clone() }),
            Self::Id { responder, kind, bytes } => {
                let kind = IdKind::from_iana(kind % 12)?;
                let mut bytes = bytes.clone();
                match kind {
                    IdKind::Ipv4 => bytes.resize(4, 1),
                    IdKind::Ipv6 => bytes.resize(16, 1),
                    _ => bytes.resize(bytes.len().clamp(1, 255), 1),
                }
                let id = Id { kind, bytes };
                if *responder { Payload::IdResponder(id) } else { Payload::IdInitiator(id) }
            }
            Self::Tagged { which, tag, data } => match which % 3 {
                0 => Payload::Certificate(*tag, data.clone()),
                1 => Payload::CertificateRequest(*tag, data.clone()),
                _ => Payload::Auth(*tag, data.clone()),
            },
            Self::Nonce(first, more) => Payload::Nonce(first.iter().chain(more).copied().take(256).collect()),
            Self::Notify { about, kind, data } => Payload::Notify(Notify {
                about: about.as_ref().map(|(about, first, spi)| {
                    (protocol(*about), [*first].iter().chain(spi).copied().take(255).collect())
                }),
                kind: NotifyKind::from_iana(*kind),
                data: data.clone(),
            }),
            Self::Delete(spis) => {
                Payload::Delete(Delete { protocol: Protocol::Esp, spis: spis.iter().copied().take(256).collect() })
            }
            Self::DeleteIke => Payload::Delete(Delete { protocol: Protocol::Ike, spis: Vec::new() }),
            Self::VendorId(data) => Payload::VendorId(data.clone()),
            Self::Selectors { responder, v4, v6 } => {
                let v4 = v4.iter().take(32).filter_map(|one| selector(*one, |number| IpAddr::V4(number.into())));
                let v6 = v6.iter().take(32).filter_map(|one| selector(*one, |number| IpAddr::V6(number.into())));
                let selectors: Vec<_> = v4.chain(v6).collect();
                if selectors.is_empty() {
                    return None;
                }
                if *responder { Payload::TsResponder(selectors) } else { Payload::TsInitiator(selectors) }
            }
            Self::Configuration(kind, attributes) => Payload::Configuration(ConfigPayload {
                kind: ConfigKind::from_iana(kind % 4 + 1)?,
                attributes: attributes
                    .iter()
                    .take(64)
                    .map(|(kind, value)| Attribute { kind: kind & 0x7fff, value: value.clone() })
                    .collect(),
            }),
            Self::Eap(data) => Payload::Eap(data.clone()),
            Self::Unknown(number) => Payload::Unknown(number % 200 + 54, false),
        })
    }
}

#[test]
fn what_is_built_is_read_back_as_it_was() {
    check!().with_type::<(u64, u64, u8, bool, bool, u32, Vec<Any>)>().for_each(
        |(initiator_spi, responder_spi, exchange, initiator, response, message_id, payloads)| {
            let header = Header {
                initiator_spi: IkeSpi(*initiator_spi),
                responder_spi: IkeSpi(*responder_spi),
                exchange: Exchange::from_iana(34 + exchange % 4).unwrap(),
                flags: Flags { initiator: *initiator, response: *response },
                message_id: *message_id,
            };
            let payloads: Vec<_> = payloads.iter().take(64).filter_map(Any::payload).collect();
            let bytes = build(&header, &payloads);
            let read = parse(&bytes).unwrap();
            assert_eq!((read.header, read.payloads), (header, payloads));
        },
    );
}

/// Octets on the heap that a parsed message holds, by what was reserved.
fn heap(payloads: &Vec<Payload>) -> usize {
    let inside = |payload: &Payload| match payload {
        Payload::Sa(proposals) => {
            let each =
                |proposal: &Proposal| proposal.spi.capacity() + proposal.transforms.capacity() * size_of::<Transform>();
            proposals.capacity() * size_of::<Proposal>() + proposals.iter().map(each).sum::<usize>()
        }
        Payload::Ke(ke) => ke.public.capacity(),
        Payload::IdInitiator(id) | Payload::IdResponder(id) => id.bytes.capacity(),
        Payload::Certificate(_, data) | Payload::CertificateRequest(_, data) | Payload::Auth(_, data) => {
            data.capacity()
        }
        Payload::Nonce(data) | Payload::VendorId(data) | Payload::Eap(data) => data.capacity(),
        Payload::Notify(notify) => notify.data.capacity() + notify.about.as_ref().map_or(0, |(_, spi)| spi.capacity()),
        Payload::Delete(delete) => delete.spis.capacity() * 4,
        Payload::TsInitiator(selectors) | Payload::TsResponder(selectors) => {
            selectors.capacity() * size_of::<Selector>()
        }
        Payload::Configuration(configuration) => {
            let values = configuration.attributes.iter().map(|attribute| attribute.value.capacity());
            configuration.attributes.capacity() * size_of::<Attribute>() + values.sum::<usize>()
        }
        Payload::Unknown(..) => 0,
    };
    payloads.capacity() * size_of::<Payload>() + payloads.iter().map(inside).sum::<usize>()
}

/// Whether building it again says the same: what was left out or marked when it was read cannot be sent.
fn can_be_sent(payload: &Payload) -> bool {
    match payload {
        Payload::Sa(proposals) => {
            let transforms = proposals.iter().flat_map(|proposal| &proposal.transforms);
            !proposals.is_empty() && transforms.into_iter().all(|transform| !transform.unknown_attribute)
        }
        Payload::TsInitiator(selectors) | Payload::TsResponder(selectors) => !selectors.is_empty(),
        _ => true,
    }
}

/// What holds for any datagram at all.
fn hostile(bytes: &[u8]) {
    let Ok(incoming) = parse(bytes) else { return };
    assert_eq!(parse_header(bytes), Ok(incoming.header));
    assert!(incoming.payloads.len() <= limits::MAX_PAYLOADS);
    let heap = heap(&incoming.payloads);
    assert!(heap <= 64 * bytes.len() + 1024, "{} octets made {heap} octets", bytes.len());
    if let Some(sk) = incoming.sk() {
        assert_eq!([sk.associated, sk.body].concat(), bytes);
    }
    if incoming.payloads.iter().all(can_be_sent) {
        let again = build(&incoming.header, &incoming.payloads);
        assert_eq!(parse(&again).unwrap().payloads, incoming.payloads);
    }
}

#[test]
fn any_bytes_are_read_or_refused_and_cost_no_more_than_they_weigh() {
    check!().for_each(hostile);
}

#[test]
fn a_broken_message_is_read_or_refused_and_costs_no_more_than_it_weighs() {
    check!().with_type::<(Vec<Any>, Vec<(u16, u8)>, Option<u16>, Vec<u8>)>().for_each(
        |(payloads, edits, cut, more)| {
            let payloads: Vec<_> = payloads.iter().take(64).filter_map(Any::payload).collect();
            let mut bytes = build(&HEADER, &payloads);
            for (at, value) in edits.iter().take(8) {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
            bytes.extend(more);
            if let Some(cut) = cut {
                bytes.truncate(28.max(usize::from(*cut) % bytes.len()));
            }
            fix_length(&mut bytes);
            hostile(&bytes);
        },
    );
}

/// The dearest messages there are: the most things of the smallest size.
#[test]
fn the_dearest_message_stays_within_the_cap() {
    let vendors = vec![Payload::VendorId(Vec::new()); 64];
    hostile(&build(&HEADER, &vendors));
    let transforms = vec![transform(TransformKind::Encr, 1, None); 8];
    let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi: vec![1], transforms };
    hostile(&build(&HEADER, &[Payload::Sa(vec![proposal; 64])]));
    let empty = Proposal { number: 1, protocol: Protocol::Esp, spi: Vec::new(), transforms: Vec::new() };
    hostile(&build(&HEADER, &vec![Payload::Sa(vec![empty; 33]); 64]));
    let attribute = Attribute { kind: 1, value: Vec::new() };
    let configuration = ConfigPayload { kind: ConfigKind::Request, attributes: vec![attribute; 33] };
    hostile(&build(&HEADER, &vec![Payload::Configuration(configuration); 64]));
}
