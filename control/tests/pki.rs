//! Certificates that OpenSSL made: what is believed, what is not and why, whom they name, and what signs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::ike::wire::Id;
use adit_control::pki::{
    Authorities, BadCertificate, Certificate, DistinguishedName, OwnCertificate, PemError, UnixTime, Untrusted, limits,
};
use adit_crypto::random::SeededRandom;
use adit_crypto::rsa_key::BadRsaKey;
use adit_crypto::secret::SecretBytes;
use bolero::check;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::time::Duration;

macro_rules! pem_file {
    ($name:literal) => {
        include_bytes!(concat!("pki/", $name)).as_slice()
    };
}

/// 2030: all certificates are valid from November 2026 to January 2046.
const AT: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000));

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

fn certificate(pem: &[u8]) -> Certificate {
    Certificate::from_der(&der(pem)).unwrap()
}

fn verify_at(at: UnixTime, shown: &[&[u8]]) -> Result<Certificate, Untrusted> {
    let shown: Vec<Vec<u8>> = shown.iter().map(|pem| der(pem)).collect();
    Authorities::from_pem(pem_file!("authority.pem")).unwrap().verify(shown.iter().map(Vec::as_slice), at)
}

fn verify(shown: &[&[u8]]) -> Result<Certificate, Untrusted> {
    verify_at(AT, shown)
}

fn reason(shown: &[&[u8]]) -> webpki::Error {
    match verify(shown).unwrap_err() {
        Untrusted::NoPath { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::from(bytes)
}

#[test]
fn a_chain_to_an_authority_is_believed() {
    for shown in [
        &[pem_file!("headend.pem")][..],
        &[pem_file!("plain.pem")],
        &[pem_file!("ipsec.pem")],
        &[pem_file!("nameless.pem")],
        &[pem_file!("alice.pem"), pem_file!("office.pem")],
        // In any order behind the first, and with others between.
        &[
            pem_file!("alice.pem"),
            pem_file!("plain.pem"),
            pem_file!("impostor.pem"),
            pem_file!("office.pem"),
            pem_file!("authority.pem"),
        ],
    ] {
        let believed = verify(shown).unwrap();
        assert_eq!(believed.der(), der(shown[0]));
    }
}

#[test]
fn what_is_not_believed_has_its_reason() {
    assert_eq!(verify(&[]).unwrap_err(), Untrusted::Nothing);
    let many = vec![pem_file!("plain.pem"); limits::MAX_CERTIFICATES + 1];
    assert_eq!(verify(&many).unwrap_err(), Untrusted::TooMany(limits::MAX_CERTIFICATES + 1));
    assert!(verify(&many[1..]).is_ok());

    use webpki::Error;
    assert_eq!(reason(&[pem_file!("alice.pem")]), Error::UnknownIssuer, "its office is missing");
    let by_impostor = reason(&[pem_file!("stranger.pem"), pem_file!("impostor.pem")]);
    assert!(matches!(by_impostor, Error::UnknownIssuer | Error::InvalidSignatureForPublicKey), "{by_impostor:?}");
    let under_alice = reason(&[pem_file!("under-alice.pem"), pem_file!("alice.pem"), pem_file!("office.pem")]);
    assert_eq!(under_alice, Error::EndEntityUsedAsCa);
    assert!(matches!(reason(&[pem_file!("signer.pem")]), Error::RequiredEkuNotFoundContext(_)));
    let sha1 = reason(&[pem_file!("sha1.pem")]);
    assert!(matches!(sha1, Error::UnsupportedSignatureAlgorithmContext(_)), "{sha1:?}");
    let office = reason(&[pem_file!("office.pem")]);
    assert_eq!(office, Error::CaUsedAsEndEntity);

    let key = |pem| verify(&[pem]).unwrap_err();
    assert_eq!(key(pem_file!("short.pem")), Untrusted::Unreadable(BadCertificate::Key(BadRsaKey::TooShort(1024))));
    assert_eq!(key(pem_file!("elliptic.pem")), Untrusted::Unreadable(BadCertificate::Key(BadRsaKey::NotRsa)));
}

#[test]
fn a_certificate_is_believed_in_its_time_only() {
    let at = |seconds| verify_at(UnixTime::since_unix_epoch(Duration::from_secs(seconds)), &[pem_file!("plain.pem")]);
    let reason = |seconds| at(seconds).unwrap_err().to_string();
    assert!(reason(1_700_000_000).contains("CertNotValidYet"), "{}", reason(1_700_000_000));
    assert!(reason(2_500_000_000).contains("CertExpired"), "{}", reason(2_500_000_000));
    assert!(at(1_900_000_000).is_ok() && at(2_390_000_000).is_ok());
    assert!(reason(1_700_000_000).starts_with("`C=CH, O=Rig, CN=plain`: "));
}

#[test]
fn a_certificate_is_for_the_names_in_it_and_no_others() {
    let id = |text: &str| Id::parse(text).unwrap();
    let headend = certificate(pem_file!("headend.pem"));
    for name in ["headend.rig", "HEADEND.rig", "198.51.100.2", "2001:db8:100::2"] {
        assert!(headend.is_for(&id(name)), "{name}");
    }
    for name in ["rig", "xheadend.rig", "198.51.100.3", "email:headend.rig", "keyid:headend.rig", "alice@rig"] {
        assert!(!headend.is_for(&id(name)), "{name}");
    }
    assert_eq!(headend.names().len(), 3);
    let alice = certificate(pem_file!("alice.pem"));
    assert!(alice.is_for(&id("alice@rig")) && !alice.is_for(&id("bob@rig")));
    assert!(!alice.is_for(&id("laptop.alice.rig")), "a wildcard is no identity");
    assert_eq!(alice.identity().to_string(), "C=CH, O=Rig, CN=alice@rig");
    assert!(alice.is_for(&alice.identity()) && !alice.is_for(&headend.identity()));
    let mut longer = alice.identity();
    longer.bytes.push(0);
    assert!(!alice.is_for(&longer));
    let nameless = certificate(pem_file!("nameless.pem"));
    assert_eq!(nameless.identity(), id("nobody@rig"));
    // The same subject from elsewhere is the same name: the authority decides, not the name.
    assert!(certificate(pem_file!("stranger.pem")).is_for(&alice.identity()));
}

#[test]
fn our_own_certificate_comes_with_its_key_and_signs() {
    let chain = [pem_file!("alice.pem"), pem_file!("office.pem")].concat();
    let own = OwnCertificate::from_pem(&chain, &secret(pem_file!("alice.key"))).unwrap();
    assert_eq!(own.leaf().subject().to_string(), "C=CH, O=Rig, CN=alice@rig");
    assert_eq!(own.chain(), [der(pem_file!("alice.pem")), der(pem_file!("office.pem"))]);
    let authorities = Authorities::from_pem(pem_file!("authority.pem")).unwrap();
    let believed = authorities.verify(own.chain().iter().map(Vec::as_slice), AT).unwrap();
    let signature = own.sign_ike_v1(&[7; 20], &mut SeededRandom::new(1));
    assert_eq!(believed.verify_ike_v1(&[7; 20], &signature), Ok(()));
    assert!(believed.verify_ike_v1(&[8; 20], &signature).is_err());
    let shown = "OwnCertificate(`C=CH, O=Rig, CN=alice@rig`, 2 certificates, RsaPrivateKey(2048 bits))";
    assert_eq!(format!("{own:?}"), shown);

    let pkcs1 = OwnCertificate::from_pem(pem_file!("headend.pem"), &secret(pem_file!("headend-pkcs1.key"))).unwrap();
    let pkcs8 = OwnCertificate::from_pem(pem_file!("headend.pem"), &secret(pem_file!("headend.key"))).unwrap();
    let mut random = SeededRandom::new(2);
    assert_eq!(pkcs1.sign_ike_v1(&[1; 32], &mut random), pkcs8.sign_ike_v1(&[1; 32], &mut random));
}

/// Peers check an authority's signature, we do not sign with its key.
#[test]
fn authorities_in_our_chain_may_have_keys_of_any_kind() {
    let chain = [pem_file!("headend.pem"), pem_file!("elliptic.pem"), pem_file!("short.pem")].concat();
    let own = OwnCertificate::from_pem(&chain, &secret(pem_file!("headend.key"))).unwrap();
    assert_eq!(own.chain(), [pem_file!("headend.pem"), pem_file!("elliptic.pem"), pem_file!("short.pem")].map(der));
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_told_why() {
    let own = |chain: &[u8], key: &[u8]| OwnCertificate::from_pem(chain, &secret(key)).map(|_| ()).unwrap_err();
    let (good, key) = (pem_file!("headend.pem"), pem_file!("headend.key"));
    assert_eq!(own(good, pem_file!("alice.key")), PemError::KeyOfAnother);
    assert_eq!(own(good, pem_file!("elliptic.key")), PemError::BadKey(BadRsaKey::NotRsa));
    assert_eq!(own(good, pem_file!("headend-locked.key")), PemError::NoPrivateKey);
    assert_eq!(own(good, b""), PemError::NoPrivateKey);
    assert_eq!(own(good, good), PemError::NoPrivateKey);
    assert_eq!(own(good, &key[..key.len() / 2]), PemError::NotPem);
    assert_eq!(own(key, key), PemError::NoCertificate);
    assert_eq!(own(b"", key), PemError::NoCertificate);
    assert_eq!(own(&good[..good.len() / 2], key), PemError::NotPem);
    let elliptic = [pem_file!("elliptic.pem"), good].concat();
    assert_eq!(own(&elliptic, key), PemError::BadCertificate(1, BadCertificate::Key(BadRsaKey::NotRsa)));
    let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(own(empty, key), PemError::BadCertificate(1, BadCertificate::NotX509));
    let behind = [good, empty].concat();
    assert_eq!(own(&behind, key), PemError::BadCertificate(2, BadCertificate::NotX509));
    let authorities = |pem: &[u8]| Authorities::from_pem(pem).map(|_| ()).unwrap_err();
    assert_eq!(authorities(b"no"), PemError::NoCertificate);
    assert_eq!(authorities(empty), PemError::BadCertificate(1, BadCertificate::NotX509));
}

#[test]
fn authorities_are_named_as_certificate_requests_want_them() {
    let both = [pem_file!("authority.pem"), pem_file!("office.pem")].concat();
    let authorities = Authorities::from_pem(&both).unwrap();
    let names = authorities.subjects().iter().map(|name| DistinguishedName::from_der(name).unwrap().to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["C=CH, O=Rig, CN=Rig CA", "C=CH, O=Rig, CN=Rig office"]);
    assert_eq!(authorities.subjects()[0], certificate(pem_file!("authority.pem")).subject().der());
    let shown = [der(pem_file!("alice.pem"))];
    assert!(authorities.verify(shown.iter().map(Vec::as_slice), AT).is_ok(), "the office is trusted by itself");
}

#[test]
fn any_octets_are_a_certificate_or_are_refused() {
    let good = [der(pem_file!("alice.pem")), der(pem_file!("headend.pem")), der(pem_file!("nameless.pem"))];
    let authorities = Authorities::from_pem(pem_file!("authority.pem")).unwrap();
    check!().with_iterations(3000).with_type::<(u8, Vec<(u16, u8)>, Option<u16>, Vec<u8>)>().for_each(
        |(which, edits, cut, noise)| {
            let mut bytes = good[usize::from(*which) % good.len()].clone();
            for (at, value) in edits.iter().take(8) {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
            if let Some(cut) = cut {
                bytes.truncate(usize::from(*cut) % bytes.len());
            }
            if let Ok(certificate) = Certificate::from_der(&bytes) {
                let shown = certificate.subject().to_string();
                assert!(shown.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{shown:?}");
            }
            let changed = !good.contains(&bytes);
            let believed = authorities.verify([bytes.as_slice(), noise, good[1].as_slice()], AT);
            assert!(!(changed && believed.is_ok()), "a changed certificate was believed");
            let _ = DistinguishedName::from_der(noise).map(|name| name.to_string());
        },
    );
    let long = vec![0x30; limits::MAX_CERTIFICATE_LEN + 1];
    assert_eq!(Certificate::from_der(&long).unwrap_err(), BadCertificate::TooLong(long.len()));
}
