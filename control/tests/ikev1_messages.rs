//! IKEv1 messages: shapes of RFC 2408 and 2407, every way to break them, round trips, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::ike::v1::suite::Suite;
use adit_control::ike::v1::wire::{
    Attribute, AuthMethod, Body, Chain, ConfigKind, Delete, Encapsulation, EspOffer, Exchange, Fault, Flags, Fragment,
    FragmentPlace, Header, Id, IdKind, Identification, IkeOffer, IkeSpi, LifeTime, Limited, ModeConfig, NatNumbers,
    NatTraversal, Notify, NotifyKind, Payload, Proposal, Protocol, Transform, Unusable, Value, Vendor, Whom, WireError,
    build, build_fragment, limits, mode_config_name, mode_config_number as number, parse, parse_header, payload_body,
};
use adit_crypto::suite::{CbcCipher, CipherSuite, Encr, Hash, Integ, KexGroup, SequenceNumbers};
use adit_dataplane::contract::Selector;
use bolero::{TypeGenerator, check};
use std::net::{IpAddr, Ipv4Addr};

const HEADER: Header = Header {
    initiator_cookie: IkeSpi(0x0102_0304_0506_0708),
    responder_cookie: IkeSpi(0x1112_1314_1516_1718),
    exchange: Exchange::QuickMode,
    flags: Flags { encrypted: false, commit: false },
    message_id: 7,
};

/// A message of one payload with this type and body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    build(&HEADER, &[Payload::Unknown(kind, body.to_vec())])
}

fn fix_length(bytes: &mut [u8]) {
    let length = (bytes.len() as u32).to_be_bytes();
    bytes[24..28].copy_from_slice(&length);
}

fn clear(bytes: &[u8]) -> Result<Chain<'_>, WireError> {
    match parse(bytes)?.body {
        Body::Clear(chain) => Ok(chain),
        other => panic!("{other:?}"),
    }
}

fn only(kind: u8, body: &[u8]) -> Result<Payload, WireError> {
    let bytes = message(kind, body);
    let mut chain = clear(&bytes)?;
    assert_eq!(chain.payloads.len(), 1);
    assert_eq!(chain.payloads[0].body, body);
    Ok(chain.payloads.remove(0).payload)
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

fn id(kind: IdKind, bytes: &[u8]) -> Id {
    Id { kind, bytes: bytes.to_vec() }
}

#[test]
fn the_header_stands_as_the_rfc_draws_it() {
    #[rustfmt::skip]
    let expected = [
        1, 2, 3, 4, 5, 6, 7, 8,                         // initiator cookie
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, // responder cookie
        0, 0x10, 32, 2,                                 // next payload, version 1.0, quick mode, commit
        0, 0, 0, 7,                                     // message ID
        0, 0, 0, 28,                                    // length
    ];
    let header = Header { flags: Flags { encrypted: false, commit: true }, ..HEADER };
    assert_eq!(build(&header, &[]), expected);
    assert_eq!(parse(&expected).unwrap().header, header);
}

#[test]
fn every_header_that_cannot_be_is_refused() {
    let good = build(&HEADER, &[]);
    for len in 0..28 {
        assert_eq!(parse(&good[..len]).unwrap_err(), WireError::TooShort { len });
    }
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(parse(&with(17, 0x20)).unwrap_err(), WireError::MajorVersion(2));
    assert!(parse(&with(17, 0x1f)).is_ok(), "the minor version decides nothing");
    assert_eq!(parse(&with(27, 29)).unwrap_err(), WireError::LengthMismatch { header: 29, datagram: 28 });
    for exchange in 0..=u8::MAX {
        let known = matches!(exchange, 2 | 4 | 5 | 6 | 32);
        assert_eq!(parse(&with(18, exchange)).is_ok(), known, "{exchange}");
        assert_eq!(parse_header(&with(18, exchange)).is_ok(), known);
    }
    let mut no_cookie = good.clone();
    no_cookie[..8].fill(0);
    assert_eq!(parse(&no_cookie).unwrap_err(), WireError::NoCookie);
    assert_eq!(
        parse(&[good.as_slice(), &[0]].concat()).unwrap_err(),
        WireError::LengthMismatch { header: 28, datagram: 29 }
    );
}

#[test]
fn what_is_encrypted_stays_closed_and_must_be_whole_blocks() {
    for len in 0..40 {
        let header = Header { flags: Flags { encrypted: true, commit: false }, ..HEADER };
        let mut bytes = build(&header, &[]);
        bytes[16] = 8;
        bytes.extend(vec![0xab; len]);
        fix_length(&mut bytes);
        match parse(&bytes) {
            Ok(incoming) => {
                let Body::Sealed(sealed) = incoming.body else { panic!("it is encrypted") };
                assert_eq!((sealed.first, sealed.ciphertext), (8, &vec![0xab; len][..]));
                assert!(len > 0 && len % 8 == 0);
            }
            Err(error) => {
                assert_eq!(error, WireError::BadSealedLength(len));
                assert!(len == 0 || len % 8 != 0);
            }
        }
    }
}

#[test]
fn a_generic_header_that_does_not_fit_is_refused() {
    let bad = |edit: fn(&mut Vec<u8>)| {
        let mut bytes = message(13, &[1, 2, 3, 4]);
        edit(&mut bytes);
        fix_length(&mut bytes);
        parse(&bytes).map(|_| ()).unwrap_err()
    };
    let payload = |fault| WireError::BadPayload { kind: 13, fault };
    assert_eq!(bad(|bytes| bytes[29] = 1), payload(Fault::Reserved));
    assert_eq!(bad(|bytes| bytes[31] = 3), payload(Fault::Length));
    assert_eq!(bad(|bytes| bytes[31] = 9), payload(Fault::Length));
    assert_eq!(bad(|bytes| bytes.truncate(30)), payload(Fault::Truncated));
    assert_eq!(bad(|bytes| bytes.push(0)), WireError::BadPayload { kind: 0, fault: Fault::Trailing });
    assert_eq!(bad(|bytes| bytes[28] = 13), payload(Fault::Truncated));
}

#[test]
fn payloads_of_unknown_types_are_kept_and_their_number_is_bounded() {
    assert_eq!(only(99, &[1, 2]), Ok(Payload::Unknown(99, vec![1, 2])));
    let many = |count| build(&HEADER, &vec![Payload::VendorId(vec![1]); count]);
    assert_eq!(clear(&many(limits::MAX_PAYLOADS)).unwrap().payloads.len(), limits::MAX_PAYLOADS);
    let too_many = many(limits::MAX_PAYLOADS + 1);
    assert_eq!(clear(&too_many).unwrap_err(), WireError::TooMany(Limited::Payloads));
}

/// What vpnc offers first, octet by octet.
#[test]
fn an_sa_payload_stands_as_the_rfc_draws_it() {
    #[rustfmt::skip]
    let body = [
        0, 0, 0, 1,                   // IPsec's domain of interpretation
        0, 0, 0, 1,                   // identity only
        0, 0, 0, 52, 1, 1, 0, 1,      // last proposal, number 1, ISAKMP, no SPI, one transform
        0, 0, 0, 44, 1, 1, 0, 0,      // last transform, number 1, KEY_IKE
        0x80, 1, 0, 7,                // AES
        0x80, 14, 1, 0,               // 256 bits
        0x80, 2, 0, 2,                // SHA-1
        0x80, 4, 0, 2,                // group 2
        0x80, 3, 0xfd, 0xe9,          // XAUTHInitPreShared
        0x80, 11, 0, 1,               // seconds
        0, 12, 0, 4, 0x7f, 0xff, 0xff, 0xff, // of them
        0, 15, 0, 0,                  // an attribute that nobody knows
    ];
    let Payload::Sa(proposals) = only(1, &body).unwrap() else { panic!() };
    assert_eq!(payload_body(&Payload::Sa(proposals.clone())), body);
    let [Proposal { number: 1, protocol: Protocol::Isakmp, spi, transforms }] = proposals.as_slice() else { panic!() };
    assert!(spi.is_empty());
    let [transform] = transforms.as_slice() else { panic!() };
    assert_eq!(transform.ike(), Err(Unusable::UnknownAttribute(15)));

    let mut transform = transform.clone();
    transform.attributes.pop();
    let offer = IkeOffer {
        cipher: CbcCipher::Aes256,
        hash: Hash::Sha1,
        group: KexGroup::Modp1024,
        method: AuthMethod::XauthInitPsk,
        life: LifeTime { seconds: Some(0x7fff_ffff), kilobytes: None },
    };
    assert_eq!(transform.ike(), Ok(offer));
    assert_eq!(offer.transform(1), transform);
    assert_eq!(Suite::from(offer).to_string(), "aes256-sha1-modp1024");
    assert_eq!(Suite::from(offer).weak().map(|(name, _)| name).collect::<Vec<_>>(), ["modp1024"]);
}

#[test]
fn every_sa_payload_that_cannot_be_is_refused() {
    let transform = [0, 0, 0, 8, 1, 1, 0, 0];
    let proposal = [&[0, 0, 0, 16, 1, 1, 0, 1], &transform[..]].concat();
    let good = [&[0, 0, 0, 1, 0, 0, 0, 1][..], &proposal].concat();
    assert!(only(1, &good).is_ok());
    for len in 0..good.len() {
        let fault = fault(1, &good[..len]);
        assert!(matches!(fault, Fault::Truncated | Fault::NoProposal), "{len}: {fault}");
    }
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        fault(1, &bytes)
    };
    assert_eq!(with(3, 0), Fault::Doi(0));
    assert_eq!(with(3, 2), Fault::Doi(2));
    assert_eq!(with(7, 3), Fault::Situation(3));
    assert_eq!(with(8, 2), Fault::LastSubstructure);
    assert_eq!(with(8, 9), Fault::LastSubstructure);
    assert_eq!(with(15, 0), Fault::NoProposal);
    assert_eq!(with(15, 2), Fault::LastSubstructure);
    assert_eq!(with(14, 4), Fault::Truncated, "an SPI in the transform's place");
    assert_eq!(with(16, 3), Fault::LastSubstructure);
    assert_eq!(with(19, 7), Fault::Truncated);
    assert_eq!(with(19, 9), Fault::Truncated);
    assert_eq!(fault(1, &[good.as_slice(), &[0]].concat()), Fault::LastSubstructure);
}

#[test]
fn proposals_transforms_and_attributes_are_bounded() {
    let transform = |attributes| Transform { number: 1, id: 1, attributes };
    let sa = |proposals: Vec<Proposal>| build(&HEADER, &[Payload::Sa(proposals)]);
    let proposal =
        |transforms: Vec<Transform>| Proposal { number: 1, protocol: Protocol::Esp, spi: vec![0; 4], transforms };
    let error = |bytes: Vec<u8>| clear(&bytes).map(|_| ()).unwrap_err();

    let good = vec![proposal(vec![transform(vec![]); 8]); limits::MAX_PROPOSALS];
    assert!(clear(&sa(good.clone())).is_ok());
    let one_more = [good, vec![proposal(vec![transform(vec![])])]].concat();
    assert_eq!(error(sa(one_more)), WireError::TooMany(Limited::Proposals));
    let transforms = vec![proposal(vec![transform(vec![]); 171]); 3];
    assert_eq!(error(sa(transforms)), WireError::TooMany(Limited::Transforms));
    let attributes = |count| vec![proposal(vec![transform(vec![Attribute::short(1, 7); count])])];
    assert!(clear(&sa(attributes(limits::MAX_TRANSFORM_ATTRIBUTES))).is_ok());
    let too_many = sa(attributes(limits::MAX_TRANSFORM_ATTRIBUTES + 1));
    assert_eq!(error(too_many), WireError::TooMany(Limited::TransformAttributes));
    let long = |len| vec![proposal(vec![transform(vec![Attribute::long(12, vec![0; len])])])];
    assert!(clear(&sa(long(64))).is_ok());
    assert_eq!(error(sa(long(65))), WireError::BadPayload { kind: 1, fault: Fault::AttributeLength(65) });
}

#[test]
fn a_transform_that_says_too_little_too_much_or_nonsense_cannot_be_chosen() {
    let good = IkeOffer {
        cipher: CbcCipher::Aes128,
        hash: Hash::Sha256,
        group: KexGroup::Ecp256,
        method: AuthMethod::Rsa,
        life: LifeTime { seconds: Some(86400), kilobytes: Some(5) },
    };
    let transform = good.transform(3);
    assert_eq!(transform.ike(), Ok(good));
    let without = |kind: u16| {
        let attributes = transform.attributes.iter().filter(|attribute| attribute.kind != kind).cloned().collect();
        Transform { attributes, ..transform.clone() }.ike()
    };
    let with = |attribute: Attribute| {
        let attributes = [transform.attributes.clone(), vec![attribute]].concat();
        Transform { attributes, ..transform.clone() }.ike()
    };
    let instead = |kind: u16, value: u16| {
        let mut changed = transform.clone();
        changed.attributes.iter_mut().filter(|attribute| attribute.kind == kind).for_each(|attribute| {
            attribute.value = Value::Short(value);
        });
        changed.ike()
    };
    assert_eq!(without(1), Err(Unusable::Missing("encryption algorithm")));
    assert_eq!(without(2), Err(Unusable::Missing("hash algorithm")));
    assert_eq!(without(3), Err(Unusable::Missing("authentication method")));
    assert_eq!(without(4), Err(Unusable::Missing("group")));
    assert_eq!(without(14), Err(Unusable::NoSuite { cipher: 7, key_bits: None, integ: None }));
    assert_eq!(without(11), Err(Unusable::Missing("life type")));
    assert_eq!(without(12), Err(Unusable::Repeated("life type")));
    assert_eq!(with(Attribute::short(2, 2)), Err(Unusable::Repeated("hash algorithm")));
    assert_eq!(with(Attribute::short(11, 1)), Err(Unusable::Missing("life duration")));
    assert_eq!(with(Attribute::short(13, 1)), Err(Unusable::UnknownAttribute(13)), "no PRF was ever numbered");
    // vpnc really offers encryption 0.
    assert_eq!(instead(1, 0), Err(Unusable::NoSuite { cipher: 0, key_bits: Some(128), integ: None }));
    assert_eq!(instead(2, 3), Err(Unusable::UnknownValue { what: "hash algorithm", value: 3 }));
    assert_eq!(instead(3, 2), Err(Unusable::UnknownValue { what: "authentication method", value: 2 }));
    assert_eq!(instead(4, 17), Err(Unusable::UnknownValue { what: "group", value: 17 }));
    assert_eq!(instead(11, 3), Err(Unusable::UnknownValue { what: "life type", value: 3 }));
    assert!(matches!(with(Attribute::long(1, vec![1; 9])), Err(Unusable::NoNumber(1))));
    let id = Transform { id: 2, ..transform.clone() };
    assert_eq!(id.ike(), Err(Unusable::UnknownValue { what: "transform", value: 2 }));
}

#[test]
fn every_suite_that_ikev1_can_name_is_read_back() {
    for cipher in CbcCipher::ALL {
        for hash in Hash::ALL {
            for group in KexGroup::ALL {
                for method in AuthMethod::ALL {
                    let life = LifeTime { seconds: None, kilobytes: Some(1 << 40) };
                    let offer = IkeOffer { cipher, hash, group, method: *method, life };
                    assert_eq!(offer.transform(1).ike(), Ok(offer));
                }
            }
        }
    }
    let mut unnumbered = 0;
    for suite in CipherSuite::all() {
        for encapsulation in [1, 2, 3, 4, 61443, 61444].map(|mode| Encapsulation::from_iana(mode).unwrap()) {
            for numbers in SequenceNumbers::ALL {
                let life = LifeTime { seconds: Some(3600), kilobytes: None };
                let offer = EspOffer { suite, group: Some(KexGroup::Modp1536), encapsulation, numbers, life };
                match offer.transform(1) {
                    Some(transform) => assert_eq!(transform.esp(), Ok(offer)),
                    None => unnumbered += 1,
                }
            }
        }
    }
    assert_eq!(unnumbered, 12, "ChaCha20-Poly1305 alone has no number");
    assert_eq!(Encapsulation::from_iana(5), None);
}

#[test]
fn an_esp_transform_that_makes_no_suite_cannot_be_chosen() {
    let suite = CipherSuite::new(Encr::Aes256Cbc, Some(Integ::HmacSha1_96)).unwrap();
    let offer = EspOffer {
        suite,
        group: None,
        encapsulation: Encapsulation::UdpTunnel(NatNumbers::Rfc),
        numbers: SequenceNumbers::Plain,
        life: LifeTime::default(),
    };
    let transform = offer.transform(1).unwrap();
    assert_eq!((transform.id, transform.attributes.len()), (12, 3));
    let without = |kind: u16| {
        let attributes = transform.attributes.iter().filter(|attribute| attribute.kind != kind).cloned().collect();
        Transform { attributes, ..transform.clone() }.esp()
    };
    assert_eq!(without(4), Err(Unusable::Missing("encapsulation mode")));
    assert_eq!(without(5), Err(Unusable::NoSuite { cipher: 12, key_bits: Some(256), integ: None }));
    assert_eq!(without(6), Err(Unusable::NoSuite { cipher: 12, key_bits: None, integ: Some(2) }));
    let des = Transform { id: 2, ..transform.clone() };
    assert_eq!(des.esp(), Err(Unusable::NoSuite { cipher: 2, key_bits: Some(256), integ: Some(2) }));
}

#[test]
fn identifications_are_read_by_type_and_length() {
    let one = |kind, bytes: &[u8]| Whom::One(id(kind, bytes));
    let read = |body: &[u8]| match only(5, body).unwrap() {
        Payload::Id(identification) => {
            assert_eq!(payload_body(&Payload::Id(identification.clone())), body);
            identification
        }
        other => panic!("{other:?}"),
    };
    // What vpnc sends: a group's name, UDP, port 500.
    let group = read(b"\x0b\x11\x01\xf4riggroup");
    assert_eq!(group, Identification { whom: one(IdKind::KeyId, b"riggroup"), protocol: 17, port: 500 });
    assert_eq!(group.id().unwrap().to_string(), "keyid:riggroup");
    assert_eq!(group.selector(), None);
    assert_eq!(read(&[1, 0, 0, 0, 10, 0, 0, 1]).whom, one(IdKind::Ipv4, &[10, 0, 0, 1]));

    let subnet = read(&[4, 6, 0, 80, 10, 20, 5, 0, 255, 255, 255, 0]);
    assert_eq!(subnet.id(), None);
    let selector = subnet.selector().unwrap();
    let [first, last] = [[10, 20, 5, 0], [10, 20, 5, 255]].map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    assert_eq!(selector, Selector { addresses: first..=last, protocol: 6, ports: 80..=80 });
    assert_eq!(Identification::of_selector(&selector), Some(subnet));

    let everything = read(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).selector().unwrap();
    assert_eq!((everything.protocol, everything.ports), (0, 0..=u16::MAX));
    let range = read(&[7, 0, 0, 0, 10, 0, 0, 3, 10, 0, 0, 9]);
    assert_eq!(Identification::of_selector(&range.selector().unwrap()), Some(range));
    let mut v6 = vec![6, 0, 0, 0];
    v6.extend(hex::decode("fd20000000000000000000000000000affffffffffffffff0000000000000000").unwrap());
    assert!(matches!(read(&v6).whom, Whom::Subnet(net) if net.to_string() == "fd20::a/64"));

    let several_ports = Selector { ports: 1..=2, ..selector };
    assert_eq!(Identification::of_selector(&several_ports), None);

    assert_eq!(fault(5, &[1, 0, 0]), Fault::Truncated);
    assert_eq!(fault(5, &[12, 0, 0, 0, 1]), Fault::IdKind(12));
    assert_eq!(fault(5, &[0, 0, 0, 0, 1]), Fault::IdKind(0));
    assert_eq!(fault(5, &[1, 0, 0, 0, 1]), Fault::IdLength(1));
    assert_eq!(fault(5, &[2, 0, 0, 0]), Fault::IdLength(0));
    assert_eq!(fault(5, &[&[11, 0, 0, 0][..], &[65; 256]].concat()), Fault::IdLength(256));
    assert!(only(5, &[&[11, 0, 0, 0][..], &[65; 255]].concat()).is_ok());
    assert_eq!(fault(5, &[4, 0, 0, 0, 1, 2, 3, 4, 5]), Fault::IdLength(5));
    assert_eq!(fault(5, &[4, 0, 0, 0, 10, 0, 0, 0, 255, 0, 255, 0]), Fault::IdRange);
    assert_eq!(fault(5, &[7, 0, 0, 0, 10, 0, 0, 9, 10, 0, 0, 3]), Fault::IdRange);
}

#[test]
fn nonces_are_8_to_256_octets() {
    for len in [0, 7, 257] {
        assert_eq!(fault(10, &vec![1; len]), Fault::NonceLength(len));
    }
    for len in [8, 20, 256] {
        assert_eq!(only(10, &vec![1; len]), Ok(Payload::Nonce(vec![1; len])));
    }
}

#[test]
fn notifications_and_deletes_are_read() {
    let dpd = hex::decode(concat!("00000001", "01", "10", "8d28", "0102030405060708", "1112131415161718", "0000002a"));
    let dpd = dpd.unwrap();
    let Payload::Notify(notify) = only(11, &dpd).unwrap() else { panic!() };
    assert_eq!((notify.kind, notify.protocol), (NotifyKind::RUThere, Protocol::Isakmp));
    assert_eq!((notify.spi.len(), notify.data.as_slice()), (16, &[0, 0, 0, 42][..]));
    assert_eq!(payload_body(&Payload::Notify(notify)), dpd);
    assert_eq!(fault(11, &[0, 0, 0, 2, 1, 0, 0, 14]), Fault::Doi(2));
    assert_eq!(fault(11, &[0, 0, 0, 1, 3, 4, 0, 14, 1, 2, 3]), Fault::Truncated);
    assert!(only(11, &[0, 0, 0, 0, 1, 0, 0, 14]).is_ok(), "ISAKMP's own domain");
    assert!(NotifyKind::NoProposalChosen.is_error() && !NotifyKind::InitialContact.is_error());

    let spis = [0, 0, 0, 1, 3, 4, 0, 2, 0, 0, 1, 1, 0, 0, 1, 2];
    assert_eq!(only(12, &spis), Ok(Payload::Delete(Delete::Esp(vec![0x101, 0x102]))));
    let cookies = [&[0, 0, 0, 1, 1, 16, 0, 1][..], &[1; 8], &[2; 8]].concat();
    let [one, two] = [0x0101_0101_0101_0101, 0x0202_0202_0202_0202].map(IkeSpi);
    assert_eq!(only(12, &cookies), Ok(Payload::Delete(Delete::Isakmp(vec![(one, two)]))));
    assert_eq!(only(12, &[0, 0, 0, 1, 2, 4, 0, 1, 9, 9, 9, 9]), Ok(Payload::Delete(Delete::Other(Protocol::Ah))));
    assert_eq!(fault(12, &[0, 0, 0, 1, 3, 8, 0, 0]), Fault::Spi);
    assert_eq!(fault(12, &[0, 0, 0, 1, 1, 4, 0, 0]), Fault::Spi);
    assert_eq!(fault(12, &spis[..15]), Fault::Truncated);
    assert_eq!(fault(12, &[0, 0, 0, 1, 9, 255, 0, 255]), Fault::Truncated);
    let with_reason = [&spis[..], &[0, 0, 0, 2]].concat();
    assert_eq!(only(12, &with_reason), Ok(Payload::Delete(Delete::Esp(vec![0x101, 0x102]))));
    let many = |count: u16| {
        let spis = vec![0; 4 * usize::from(count)];
        only(12, &[&[0, 0, 0, 1, 3, 4][..], &count.to_be_bytes(), &spis].concat())
    };
    assert!(many(256).is_ok());
    assert_eq!(many(257), Err(WireError::TooMany(Limited::DeletedSpis)));
}

#[test]
fn mode_config_keeps_both_forms_of_a_value_and_hides_passwords() {
    // What vpnc answers: name, password.
    let body = hex::decode(concat!("02", "00", "1234", "40890005616c696365", "408a0005", "68756e7432", "c0880000"));
    let body = body.unwrap();
    let Payload::ModeConfig(config) = only(14, &body).unwrap() else { panic!() };
    assert_eq!((config.kind, config.identifier), (ConfigKind::Reply, 0x1234));
    assert_eq!(config.find(number::XAUTH_USER_NAME).unwrap().value.octets(), Some(&b"alice"[..]));
    assert_eq!(config.find(number::XAUTH_USER_PASSWORD).unwrap().value.octets(), Some(&b"hunt2"[..]));
    assert_eq!(config.find(number::XAUTH_TYPE).unwrap().value, Value::Short(0));
    assert_eq!(config.find(number::UNITY_BANNER), None);
    assert_eq!(payload_body(&Payload::ModeConfig(config.clone())), body);
    let shown = format!("{config:?}");
    assert!(shown.contains("Attribute(16522, secret)") && !shown.contains("117"), "{shown}");

    assert_eq!(fault(14, &[5, 0, 0, 0]), Fault::ConfigKind(5));
    assert_eq!(fault(14, &[0, 0, 0, 0]), Fault::ConfigKind(0));
    assert_eq!(fault(14, &[1, 0, 0, 0, 0, 1, 0, 4, 1]), Fault::Truncated);
    let many = |count| only(14, &[&[1, 0, 0, 0][..], &vec![0; 4 * count]].concat());
    assert!(many(limits::MAX_CONFIG_ATTRIBUTES).is_ok());
    assert_eq!(many(limits::MAX_CONFIG_ATTRIBUTES + 1), Err(WireError::TooMany(Limited::ConfigAttributes)));
    assert_eq!(mode_config_name(number::UNITY_SPLIT_INCLUDE), Some("split include"));
    assert_eq!(mode_config_name(12345), None);
}

#[test]
fn a_value_is_a_number_in_either_form() {
    assert_eq!(Value::Short(7).number(), Some(7));
    assert_eq!(Value::Long(vec![]).number(), None);
    assert_eq!(Value::Long(vec![0, 0, 0x70, 0x80]).number(), Some(28_800));
    assert_eq!(Value::Long(vec![0xff; 8]).number(), Some(u64::MAX));
    assert_eq!(Value::Long([vec![0; 20], vec![1]].concat()).number(), Some(1));
    assert_eq!(Value::Long(vec![1; 9]).number(), None);
}

#[test]
fn nat_payloads_have_both_numbers() {
    for (numbers, d, oa) in [(NatNumbers::Rfc, 20, 21), (NatNumbers::Draft, 130, 131)] {
        assert_eq!(only(d, &[7; 20]), Ok(Payload::NatD(numbers, vec![7; 20])));
        let address = [1, 0, 0, 0, 192, 0, 2, 1];
        let original = Payload::NatOa(numbers, [192, 0, 2, 1].into());
        assert_eq!(only(oa, &address).as_ref(), Ok(&original));
        assert_eq!(payload_body(&original), address);
        assert_eq!(fault(oa, &[2, 0, 0, 0, 1, 2, 3, 4]), Fault::OriginalAddress(2));
        assert_eq!(fault(oa, &[5, 0, 0, 0, 1, 2, 3, 4]), Fault::IdLength(4));
    }
    for version in NatTraversal::ALL {
        let draft = version != NatTraversal::Rfc3947;
        assert_eq!(version.numbers() == NatNumbers::Draft, draft);
        assert!(version.floats() != matches!(version, NatTraversal::Draft00 | NatTraversal::Draft01));
    }
}

#[test]
fn fragments_stand_alone_whatever_the_flags_say() {
    for encrypted in [false, true] {
        let header = Header { flags: Flags { encrypted, commit: false }, ..HEADER };
        for (place, flag) in [(FragmentPlace::Inner, 0), (FragmentPlace::Last, 1)] {
            let fragment = Fragment { id: 1, index: 2, place, data: &[9, 8, 7] };
            let bytes = build_fragment(&header, &fragment);
            assert_eq!(bytes[16], 132);
            assert_eq!(bytes[28..], [0, 0, 0, 11, 0, 1, 2, flag, 9, 8, 7]);
            let incoming = parse(&bytes).unwrap();
            assert_eq!(incoming.header, header);
            assert!(matches!(incoming.body, Body::Fragment(again) if again == fragment));
        }
    }
    let refused = |body: &[u8]| fault(132, body);
    assert_eq!(refused(&[0, 1, 0, 1, 9]), Fault::Fragment, "index 0");
    assert_eq!(refused(&[0, 1, 1, 1]), Fault::Fragment, "empty");
    assert_eq!(refused(&[0, 1, 1]), Fault::Truncated);
    let beside = build(&HEADER, &[Payload::Unknown(132, vec![0, 1, 1, 1, 9]), Payload::VendorId(vec![1])]);
    assert_eq!(parse(&beside).unwrap_err(), WireError::BadPayload { kind: 132, fault: Fault::Fragment });
    let behind = build(&HEADER, &[Payload::VendorId(vec![1]), Payload::Unknown(132, vec![0, 1, 1, 1, 9])]);
    assert_eq!(parse(&behind).unwrap_err(), WireError::BadPayload { kind: 132, fault: Fault::Fragment });
}

#[test]
fn a_chain_gives_a_payload_only_if_there_is_one_of_its_kind() {
    let hash = Payload::Hash(vec![5; 20]);
    let [one, two] =
        [[10, 0, 0, 1], [10, 0, 0, 2]].map(|octets| Payload::Id(Identification::of(id(IdKind::Ipv4, &octets))));
    let bytes = build(&HEADER, &[hash.clone(), Payload::Nonce(vec![1; 8]), one.clone(), two.clone()]);
    let chain = clear(&bytes).unwrap();
    let (first, behind) = chain.hash_first().unwrap();
    assert_eq!((first, behind), (&[5; 20][..], &bytes[28 + 24..]));
    assert_eq!(chain.nonce(), Some(&[1; 8][..]));
    assert_eq!(chain.id(), None);
    assert_eq!(chain.client_ids().unwrap()[1].1, payload_body(&two));
    assert!(chain.sa().is_none() && chain.ke().is_none() && chain.signature().is_none());

    let twice = build(&HEADER, &[Payload::Nonce(vec![1; 8]), Payload::Nonce(vec![2; 8]), one, hash]);
    let chain = clear(&twice).unwrap();
    assert_eq!(chain.nonce(), None, "nobody says which");
    assert_eq!(chain.hash_first(), None);
    assert_eq!(chain.hash(), Some(&[5; 20][..]));
    assert!(chain.id().is_some() && chain.client_ids().is_none());
}

#[test]
fn vendor_ids_are_recognised_as_they_are_sent() {
    let fixed = [
        Vendor::Xauth,
        Vendor::Dpd,
        Vendor::Unity,
        Vendor::Fragmentation,
        Vendor::NatTraversalUnnumbered,
        Vendor::CiscoConcentrator,
        Vendor::CiscoClient,
        Vendor::DeleteWithReason,
        Vendor::CiscoClientMark,
        Vendor::StrongSwan,
        Vendor::Microsoft,
    ];
    let nat = NatTraversal::ALL.map(Vendor::NatTraversal);
    for vendor in fixed.into_iter().chain(nat) {
        assert_eq!(Vendor::recognise(&vendor.octets()), Some(vendor), "{}", vendor.name());
    }
    let recognise = |text: &str| Vendor::recognise(&hex::decode(text).unwrap());
    assert_eq!(hex::encode(Vendor::Unity.octets()), "12f5f28c457168a9702d9fe274cc0100");
    assert_eq!(hex::encode(Vendor::Dpd.octets()), "afcad71368a1f1c96b8696fc77570100");
    assert_eq!(recognise("1f07f70eaa6514d3b0fa96542a500407"), Some(Vendor::CiscoConcentrator));
    assert_eq!(recognise("4048b7d56ebce88525e7de7f00d6c2d380000000"), Some(Vendor::Fragmentation));
    assert_eq!(recognise("4048b7d56ebce88525e7de7f00d6c2d3"), Some(Vendor::Fragmentation));
    assert_eq!(recognise("4048b7d56ebce88525e7de7f00d6c2"), None);
    assert_eq!(recognise("09002689dfd6b71280"), None);
    assert_eq!(recognise(""), None);
}

/// Every packet of a run of ike-scan, most of them made to be wrong, and strongSwan's answers.
#[test]
fn what_ike_scan_sends_is_read_or_refused_by_name() {
    let lines: Vec<String> = serde_json::from_str(include_str!("captures/ikev1/ike-scan.json")).unwrap();
    let (mut read, mut refused) = (0, Vec::new());
    for line in &lines {
        let bytes = hex::decode(line.rsplit(' ').next().unwrap()).unwrap();
        hostile(&bytes);
        match parse(&bytes) {
            Ok(_) => read += 1,
            Err(error) => refused.push(error),
        }
    }
    assert!(read >= 25, "{read}");
    for expected in [
        WireError::BadPayload { kind: 1, fault: Fault::Doi(2) },
        WireError::BadPayload { kind: 1, fault: Fault::Situation(4) },
        WireError::BadPayload { kind: 10, fault: Fault::NonceLength(4) },
        WireError::MajorVersion(2),
        WireError::BadExchange(9),
    ] {
        assert!(refused.contains(&expected), "{expected} is not among {refused:?}");
    }
}

/// Any payload that adit itself could send.
#[derive(Debug, TypeGenerator)]
enum Any {
    Sa(Vec<(u8, u8, Vec<u8>, Vec<AnyTransform>)>),
    Plain { which: u8, data: Vec<u8> },
    Tagged { which: u8, tag: u8, data: Vec<u8> },
    Nonce([u8; 8], Vec<u8>),
    One { kind: u8, protocol: u8, port: u16, bytes: Vec<u8> },
    Range(u32, u32, u8, u16),
    Subnet(u128, u8),
    Notify { protocol: u8, spi: Vec<u8>, kind: u16, data: Vec<u8> },
    DeleteEsp(Vec<u32>),
    DeleteIsakmp(Vec<(u64, u64)>),
    ModeConfig(u8, u16, Vec<AnyAttribute>),
    NatOa(u32),
    Unknown(u8, Vec<u8>),
}

type AnyAttribute = (u16, Result<u16, Vec<u8>>);
type AnyTransform = (u8, u8, Vec<AnyAttribute>);

fn attribute((kind, value): &AnyAttribute, longest: usize) -> Attribute {
    match value {
        Ok(short) => Attribute::short(*kind, *short),
        Err(octets) => Attribute::long(*kind, octets.iter().copied().take(longest).collect::<Vec<_>>()),
    }
}

impl Any {
    fn payload(&self) -> Option<Payload> {
        Some(match self {
            Self::Sa(proposals) => {
                let transform = |(number, id, attributes): &AnyTransform| Transform {
                    number: *number,
                    id: *id,
                    attributes: attributes.iter().take(24).map(|one| attribute(one, 64)).collect(),
                };
                let proposals: Vec<_> = proposals
                    .iter()
                    .filter(|(_, _, _, transforms)| !transforms.is_empty())
                    .take(20)
                    .map(|(number, protocol, spi, transforms)| Proposal {
                        number: *number,
                        protocol: Protocol::from_iana(*protocol),
                        spi: spi.iter().copied().take(255).collect(),
                        transforms: transforms.iter().take(20).map(transform).collect(),
                    })
                    .collect();
                if proposals.is_empty() {
                    return None;
                }
                Payload::Sa(proposals)
            }
            Self::Plain { which, data } => match which % 6 {
                0 => Payload::Ke(data.clone()),
                1 => Payload::Hash(data.clone()),
                2 => Payload::Signature(data.clone()),
                3 => Payload::VendorId(data.clone()),
                4 => Payload::NatD(NatNumbers::Rfc, data.clone()),
                _ => Payload::NatD(NatNumbers::Draft, data.clone()),
            },
            Self::Tagged { which, tag, data } => match which % 2 {
                0 => Payload::Certificate(*tag, data.clone()),
                _ => Payload::CertificateRequest(*tag, data.clone()),
            },
            Self::Nonce(first, more) => Payload::Nonce(first.iter().chain(more).copied().take(256).collect()),
            Self::One { kind, protocol, port, bytes } => {
                let kind = IdKind::from_iana(kind % 12)?;
                let mut bytes = bytes.clone();
                match kind {
                    IdKind::Ipv4 => bytes.resize(4, 1),
                    IdKind::Ipv6 => bytes.resize(16, 1),
                    _ => bytes.resize(bytes.len().clamp(1, 255), 1),
                }
                Payload::Id(Identification { whom: Whom::One(Id { kind, bytes }), protocol: *protocol, port: *port })
            }
            Self::Range(one, other, protocol, port) => {
                let [first, last] = [one.min(other), one.max(other)].map(|end| IpAddr::V4((*end).into()));
                Payload::Id(Identification { whom: Whom::Range(first..=last), protocol: *protocol, port: *port })
            }
            Self::Subnet(address, prefix) => {
                let net = ipnet::Ipv6Net::new((*address).into(), prefix % 129).ok()?;
                Payload::Id(Identification { whom: Whom::Subnet(net.into()), protocol: 0, port: 0 })
            }
            Self::Notify { protocol, spi, kind, data } => Payload::Notify(Notify {
                protocol: Protocol::from_iana(*protocol),
                spi: spi.iter().copied().take(255).collect(),
                kind: NotifyKind::from_iana(*kind),
                data: data.clone(),
            }),
            Self::DeleteEsp(spis) => Payload::Delete(Delete::Esp(spis.iter().copied().take(256).collect())),
            Self::DeleteIsakmp(sas) => {
                let sas = sas.iter().take(256).map(|(one, other)| (IkeSpi(*one), IkeSpi(*other))).collect();
                Payload::Delete(Delete::Isakmp(sas))
            }
            Self::ModeConfig(kind, identifier, attributes) => Payload::ModeConfig(ModeConfig {
                kind: ConfigKind::from_iana(kind % 4 + 1)?,
                identifier: *identifier,
                attributes: attributes.iter().take(128).map(|one| attribute(one, 4096)).collect(),
            }),
            Self::NatOa(address) => Payload::NatOa(NatNumbers::Rfc, IpAddr::V4((*address).into())),
            Self::Unknown(number, data) => Payload::Unknown(number % 100 + 22, data.clone()),
        })
    }
}

#[test]
fn what_is_built_in_ikev1_is_read_back_as_it_was() {
    check!().with_type::<(u64, u64, u8, bool, u32, Vec<Any>)>().for_each(
        |(initiator, responder, exchange, commit, message_id, payloads)| {
            let header = Header {
                initiator_cookie: IkeSpi(*initiator.max(&1)),
                responder_cookie: IkeSpi(*responder),
                exchange: Exchange::ALL[usize::from(*exchange) % 5],
                flags: Flags { encrypted: false, commit: *commit },
                message_id: *message_id,
            };
            let payloads: Vec<_> = payloads.iter().take(64).filter_map(Any::payload).collect();
            let bytes = build(&header, &payloads);
            let read = parse(&bytes).unwrap();
            assert_eq!(read.header, header);
            let Body::Clear(chain) = read.body else { panic!("in the clear") };
            assert!(chain.iter().eq(&payloads));
            for (placed, payload) in chain.payloads.iter().zip(&payloads) {
                assert_eq!(placed.body, payload_body(payload));
            }
        },
    );
}

/// Octets on the heap that a parsed message holds, by what was reserved.
fn heap(chain: &Chain<'_>) -> usize {
    let attributes = |attributes: &Vec<Attribute>| {
        let values = attributes.iter().map(|attribute| match &attribute.value {
            Value::Short(_) => 0,
            Value::Long(octets) => octets.capacity(),
        });
        attributes.capacity() * size_of::<Attribute>() + values.sum::<usize>()
    };
    let proposal = |proposal: &Proposal| {
        let inside = proposal.transforms.iter().map(|transform| attributes(&transform.attributes)).sum::<usize>();
        proposal.spi.capacity() + proposal.transforms.capacity() * size_of::<Transform>() + inside
    };
    let inside = |payload: &Payload| match payload {
        Payload::Sa(proposals) => {
            proposals.capacity() * size_of::<Proposal>() + proposals.iter().map(proposal).sum::<usize>()
        }
        Payload::Id(Identification { whom: Whom::One(id), .. }) => id.bytes.capacity(),
        Payload::Id(_) | Payload::NatOa(..) | Payload::Delete(Delete::Other(_)) => 0,
        Payload::Ke(data)
        | Payload::Hash(data)
        | Payload::Signature(data)
        | Payload::Nonce(data)
        | Payload::VendorId(data)
        | Payload::NatD(_, data)
        | Payload::Certificate(_, data)
        | Payload::CertificateRequest(_, data)
        | Payload::Unknown(_, data) => data.capacity(),
        Payload::Notify(notify) => notify.spi.capacity() + notify.data.capacity(),
        Payload::Delete(Delete::Isakmp(sas)) => sas.capacity() * 16,
        Payload::Delete(Delete::Esp(spis)) => spis.capacity() * 4,
        Payload::ModeConfig(config) => attributes(&config.attributes),
    };
    chain.payloads.capacity() * size_of::<adit_control::ike::v1::wire::Placed<'_>>()
        + chain.iter().map(inside).sum::<usize>()
}

/// What holds for any datagram at all.
fn hostile(bytes: &[u8]) {
    let Ok(incoming) = parse(bytes) else { return };
    assert_eq!(parse_header(bytes), Ok(incoming.header));
    match incoming.body {
        Body::Clear(chain) => {
            assert!(chain.payloads.len() <= limits::MAX_PAYLOADS);
            let heap = heap(&chain);
            assert!(heap <= 64 * bytes.len() + 1024, "{} octets made {heap} octets", bytes.len());
            for payload in chain.iter() {
                if let Payload::Sa(proposals) = payload {
                    for transform in proposals.iter().flat_map(|proposal| &proposal.transforms) {
                        let _ = transform.ike().map(|offer| assert_eq!(offer.transform(1).ike(), Ok(offer)));
                        let _ = transform.esp().map(|offer| assert_eq!(offer.transform(1).unwrap().esp(), Ok(offer)));
                    }
                }
                if let Payload::Id(identification) = payload
                    && let Some(selector) = identification.selector()
                {
                    let again = Identification::of_selector(&selector).unwrap();
                    assert_eq!(again.selector(), Some(selector));
                }
            }
            let payloads: Vec<Payload> = chain.iter().cloned().collect();
            let again = build(&incoming.header, &payloads);
            assert!(clear(&again).unwrap().iter().eq(&payloads));
            let _ = (chain.hash_first(), chain.sa(), chain.ke(), chain.nonce(), chain.id(), chain.client_ids());
            chain.vendor_ids().for_each(|vendor_id| {
                let _ = Vendor::recognise(vendor_id);
            });
        }
        Body::Sealed(sealed) => assert_eq!(sealed.ciphertext, &bytes[28..]),
        Body::Fragment(fragment) => assert_eq!(fragment.data, &bytes[36..]),
    }
}

#[test]
fn any_ikev1_bytes_are_read_or_refused_and_cost_no_more_than_they_weigh() {
    check!().for_each(hostile);
}

#[test]
fn a_broken_ikev1_message_is_read_or_refused_and_costs_no_more_than_it_weighs() {
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
    hostile(&build(&HEADER, &vec![Payload::VendorId(Vec::new()); 64]));
    let transform = Transform { number: 1, id: 1, attributes: vec![Attribute::short(1, 1)] };
    let proposal = |count| Proposal {
        number: 1,
        protocol: Protocol::Esp,
        spi: vec![1],
        transforms: vec![transform.clone(); count],
    };
    hostile(&build(&HEADER, &[Payload::Sa(vec![proposal(8); 64])]));
    hostile(&build(&HEADER, &vec![Payload::Sa(vec![proposal(1); 33]); 64]));
    let attribute = Attribute::long(1, Vec::new());
    let config = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: vec![attribute; 65] };
    hostile(&build(&HEADER, &vec![Payload::ModeConfig(config); 64]));
}
