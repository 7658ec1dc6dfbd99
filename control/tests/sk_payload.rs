//! The encrypted payload, for every suite that adit has and both libraries.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::ike::sk::{SkCipher, SkError};
use adit_control::ike::wire::{
    Exchange, Fault, Flags, Header, IkeSpi, Notify, NotifyKind, Payload, Sealed, WireError, build, messages, parse,
};
use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::suite::{CipherSuite, Secrecy};

const HEADER: Header = Header {
    initiator_spi: IkeSpi(1),
    responder_spi: IkeSpi(2),
    exchange: Exchange::Informational,
    flags: Flags { initiator: true, response: true },
    message_id: 3,
};

/// Those that may protect IKE.
fn suites() -> impl Iterator<Item = CipherSuite> {
    CipherSuite::all().filter(|suite| suite.encr().secrecy() == Secrecy::Encrypts)
}

fn keys(suite: CipherSuite) -> (Vec<u8>, Vec<u8>) {
    let key = |len: usize, first: u8| (0..len).map(|n| first.wrapping_add(n as u8)).collect();
    (key(suite.encr().key_len(), 1), key(suite.integ_key_len(), 101))
}

fn cipher(backend: Backend, suite: CipherSuite) -> SkCipher {
    let (encr, integ) = keys(suite);
    SkCipher::new(backend, suite, &encr, &integ).unwrap()
}

/// A sealed message with any bytes for a plaintext, padding and all.
fn sealed(suite: CipherSuite, first_inner: u8, plain: &[u8]) -> Vec<u8> {
    let (encr, integ) = keys(suite);
    let esp = EspCipher::new(Backend::Auto, suite, &encr, &integ).unwrap();
    let mut message = build(&HEADER, &[]);
    let sk_len = 4 + suite.encr().iv_len() + plain.len() + suite.icv_len();
    message[16] = 46;
    message[24..28].copy_from_slice(&((28 + sk_len) as u32).to_be_bytes());
    message.extend([first_inner, 0]);
    message.extend((sk_len as u16).to_be_bytes());
    let (mut iv, mut body, mut icv) = (vec![0; suite.encr().iv_len()], plain.to_vec(), vec![0; suite.icv_len()]);
    esp.seal(message.as_slice().into(), 99, &mut iv, &mut body, &mut icv);
    message.extend([iv, body, icv].concat());
    message
}

#[test]
fn there_are_nineteen_aeads_and_twenty_pairs() {
    assert_eq!(suites().count(), 19 + 4 * 5);
}

#[test]
fn what_is_sealed_is_opened_by_either_library() {
    for suite in suites() {
        let mut sealer = cipher(Backend::Auto, suite);
        for len in (0..70).chain([255, 256, 1000]) {
            let payloads = vec![
                Payload::VendorId(vec![7; len]),
                Payload::Notify(Notify { about: None, kind: NotifyKind::InitialContact, data: Vec::new() }),
            ];
            let message = sealer.seal(&HEADER, &payloads);
            let incoming = parse(&message).unwrap();
            assert_eq!((incoming.header, incoming.payloads.len()), (HEADER, 0));
            let sealed_len = incoming.sk().unwrap().body.len() - suite.encr().iv_len() - suite.icv_len();
            assert_eq!(sealed_len % suite.encr().block_len(), 0, "{suite}");
            assert!(sealed_len < 4 + len + 8 + 1 + suite.encr().block_len(), "no more padding than needed");
            for backend in [Backend::AwsLc, Backend::Ring, Backend::RustCrypto] {
                assert_eq!(cipher(backend, suite).open(&incoming).as_ref(), Ok(&payloads), "{suite} {backend:?}");
            }
        }
    }
}

#[test]
fn a_message_may_be_empty_inside() {
    for suite in suites() {
        let message = cipher(Backend::Auto, suite).seal(&HEADER, &[]);
        let incoming = parse(&message).unwrap();
        assert_eq!(incoming.sk().unwrap().first_inner, 0);
        assert_eq!(cipher(Backend::Auto, suite).open(&incoming), Ok(Vec::new()));
    }
}

#[test]
fn no_two_messages_share_an_iv() {
    for suite in suites() {
        let mut sealer = cipher(Backend::Auto, suite);
        let mut ivs: Vec<Vec<u8>> =
            (0..100).map(|_| sealer.seal(&HEADER, &[])[32..32 + suite.encr().iv_len()].to_vec()).collect();
        ivs.sort();
        ivs.dedup();
        assert_eq!(ivs.len(), 100, "{suite}");
    }
}

#[test]
fn one_changed_octet_or_a_cut_is_a_bad_icv() {
    for suite in suites() {
        let good = cipher(Backend::Auto, suite).seal(&HEADER, &[Payload::VendorId(b"adit".to_vec())]);
        let opener = cipher(Backend::Auto, suite);
        let mut read = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                // Some octets of the header make another message of it, or none; all others must spoil the ICV.
                let Ok(incoming) = parse(&bad) else { continue };
                read += 1;
                assert_eq!(opener.open(&incoming), Err(SkError::BadIcv), "{suite}: octet {at}, bit {bit}");
            }
        }
        assert!(read > 8 * (good.len() - 12), "{suite}: {read}");
        for len in 32..good.len() {
            let mut cut = good[..len].to_vec();
            cut[24..28].copy_from_slice(&(len as u32).to_be_bytes());
            cut[30..32].copy_from_slice(&((len - 28) as u16).to_be_bytes());
            assert_eq!(opener.open(&parse(&cut).unwrap()), Err(SkError::BadIcv), "{suite}: {len} octets");
        }
    }
}

/// RFC 7383 section 2.5.
#[test]
fn what_is_too_long_goes_in_fragments_that_fit_and_hold_all_of_it() {
    for suite in suites() {
        for limit in [128, 129, 300, 524] {
            let payloads = vec![Payload::VendorId((0..1000).map(|n| n as u8).collect()), Payload::Nonce(vec![9; 32])];
            let whole = build(&HEADER, &payloads)[Header::LEN..].to_vec();
            let sealed = cipher(Backend::Auto, suite).seal_in_fragments(limit, &HEADER, &payloads);
            let fragments: Vec<&[u8]> = messages(&sealed).collect();
            let mut plain = Vec::new();
            for (index, fragment) in fragments.iter().enumerate() {
                assert!(fragment.len() <= limit, "{suite}");
                let incoming = parse(fragment).unwrap();
                let Sealed::Fragment(skf) = incoming.sealed else { panic!("a fragment") };
                assert_eq!((usize::from(skf.number), usize::from(skf.total)), (index + 1, fragments.len()));
                assert_eq!(skf.sk.first_inner, if index == 0 { 43 } else { 0 });
                assert_eq!(incoming.header, HEADER);
                let other = cipher(Backend::RustCrypto, suite);
                assert_eq!(other.open(&incoming), Err(SkError::BadIcv), "a fragment is no message");
                plain.extend(other.open_fragment(&skf).unwrap());
            }
            assert_eq!(plain, whole, "{suite} in {limit}");
            // The largest that fits is not cut, an octet less is.
            let fits = cipher(Backend::Auto, suite).seal(&HEADER, &payloads);
            assert_eq!(cipher(Backend::Auto, suite).seal_in_fragments(fits.len(), &HEADER, &payloads), fits);
            let cut = cipher(Backend::Auto, suite).seal_in_fragments(fits.len() - 1, &HEADER, &payloads);
            assert_eq!(messages(&cut).count(), 2, "{suite}");
        }
    }
}

#[test]
fn octets_after_one_another_are_taken_apart_by_the_lengths_they_say() {
    let one = build(&HEADER, &[Payload::VendorId(vec![1; 9])]);
    let other = build(&HEADER, &[]);
    let both = [&one[..], &other].concat();
    assert_eq!(messages(&both).collect::<Vec<_>>(), [&one[..], &other]);
    assert_eq!(messages(&both[..both.len() - 1]).collect::<Vec<_>>(), [&one[..], &other[..27]]);
    assert_eq!(messages(&[]).count(), 0);
    assert_eq!(messages(&[0; 40]).collect::<Vec<_>>(), [&[0; 40][..]], "a length of 0 is not gone round for ever");
}

#[test]
fn a_message_in_the_clear_opens_nothing() {
    let message = build(&HEADER, &[Payload::VendorId(b"adit".to_vec())]);
    let suite = suites().next().unwrap();
    assert_eq!(cipher(Backend::Auto, suite).open(&parse(&message).unwrap()), Err(SkError::BadIcv));
}

#[test]
fn what_a_proven_peer_gets_wrong_is_told_from_forgery() {
    for suite in suites() {
        let block = suite.encr().block_len();
        let open = |message: &[u8]| cipher(Backend::Auto, suite).open(&parse(message).unwrap());
        let padded = |inner: &[u8]| {
            let pad = (inner.len() + 1).next_multiple_of(block) - inner.len() - 1;
            [inner, &vec![0xaa; pad], &[pad as u8]].concat()
        };
        let bad = |kind, fault| Err(SkError::Syntax(WireError::BadPayload { kind, fault }));

        assert_eq!(open(&sealed(suite, 43, &padded(&[0, 0, 0, 5, 9]))), Ok(vec![Payload::VendorId(vec![9])]));
        assert_eq!(open(&sealed(suite, 43, &padded(&[0, 0, 0, 9, 9]))), bad(43, Fault::Length));
        assert_eq!(open(&sealed(suite, 40, &padded(&[0, 0, 0, 5, 9]))), bad(40, Fault::NonceLength(1)));
        assert_eq!(open(&sealed(suite, 0, &padded(&[0, 0, 0, 5, 9]))), bad(0, Fault::Trailing));
        assert_eq!(open(&sealed(suite, 46, &padded(&[0, 0, 0, 5, 9]))), bad(46, Fault::Nested));
        let critical = Err(SkError::Syntax(WireError::UnsupportedCritical(200)));
        assert_eq!(open(&sealed(suite, 200, &padded(&[0, 0x80, 0, 4]))), critical);

        // Padding: as long as the plaintext, one octet longer, and the most there can be.
        let mut all_padding = vec![0; 16];
        all_padding[15] = 15;
        assert_eq!(open(&sealed(suite, 0, &all_padding)), Ok(Vec::new()));
        all_padding[15] = 16;
        assert_eq!(open(&sealed(suite, 0, &all_padding)), bad(46, Fault::Padding));
        let mut most = vec![0; 256];
        most[255] = 255;
        assert_eq!(open(&sealed(suite, 0, &most)), Ok(Vec::new()));
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused_and_never_shown() {
    for suite in suites() {
        let (encr, integ) = keys(suite);
        let error = SkCipher::new(Backend::Auto, suite, &encr[1..], &integ).err().unwrap();
        assert_eq!((error.want_encr, error.got_encr), (encr.len(), encr.len() - 1));
        assert_eq!(format!("{:?}", cipher(Backend::Auto, suite)), format!("SkCipher({suite})"));
    }
}
