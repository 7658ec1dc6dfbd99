//! Choice among proposals.

use super::*;

fn ike(text: &str) -> IkeProposal {
    IkeProposal::parse(text).unwrap()
}

fn esp(text: &str) -> EspProposal {
    EspProposal::parse(text).unwrap()
}

fn offered_ike(texts: &[&str]) -> Vec<Proposal> {
    offer_ike(&texts.iter().copied().map(ike).collect::<Vec<_>>(), &[])
}

fn offered_esp(texts: &[&str], exchange: ChildExchange) -> Vec<Proposal> {
    offer_esp(&texts.iter().copied().map(esp).collect::<Vec<_>>(), 0xc0de_c0de, exchange)
}

fn chosen_ike(offered: &[&str], allowed: &[&str]) -> Result<String, String> {
    let allowed: Vec<_> = allowed.iter().copied().map(ike).collect();
    choose_ike(&offered_ike(offered), &allowed).map(|(_, suite)| suite.to_string()).map_err(|none| none.to_string())
}

const UNKNOWN: Transform = Transform { kind: TransformKind::Encr, id: 999, key_bits: None, unknown_attribute: false };

#[test]
fn our_order_of_preference_wins_among_proposals() {
    let offered = ["aes256-sha256-modp2048", "aes128gcm16-prfsha256-x25519"];
    let allowed = ["aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"];
    assert_eq!(chosen_ike(&offered, &allowed), Ok("aes128gcm16-prfsha256-x25519".to_owned()));
    assert_eq!(chosen_ike(&offered, &[allowed[1], allowed[0]]), Ok("aes256-sha256-modp2048".to_owned()));
}

#[test]
fn our_order_of_preference_wins_within_a_proposal() {
    let offered = ["aes128-aes256-sha1-sha256-modp2048-x25519"];
    assert_eq!(
        chosen_ike(&offered, &["aes256-aes128-sha256-sha1-x25519-modp2048"]),
        Ok("aes256-sha256-x25519".to_owned())
    );
}

#[test]
fn the_answer_has_one_transform_of_each_kind_and_the_number_of_the_offer() {
    let mut offered =
        offered_ike(&["aes256-sha256-ecp256", "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519-ecp256"]);
    offered[1].number = 7;
    let (answer, suite) = choose_ike(&offered, &[ike("aes256gcm16-prfsha384-ecp256")]).unwrap();
    assert_eq!(suite.to_string(), "aes256gcm16-prfsha384-ecp256");
    assert_eq!((answer.number, answer.protocol), (7, Protocol::Ike));
    let kinds: Vec<_> = answer.transforms.iter().map(|transform| (transform.kind, transform.id)).collect();
    assert_eq!(kinds, [(TransformKind::Encr, 20), (TransformKind::Prf, 6), (TransformKind::KeyExchange, 19)]);
}

#[test]
fn an_unknown_transform_is_skipped_but_an_unknown_kind_spoils_the_proposal() {
    let mut offered = offered_ike(&["aes128gcm16-prfsha256-x25519"]);
    let allowed = [ike("aes128gcm16-prfsha256-x25519")];
    offered[0].transforms.insert(0, UNKNOWN);
    assert!(choose_ike(&offered, &allowed).is_ok());
    offered[0].transforms.push(Transform { kind: TransformKind::Other(6), ..UNKNOWN });
    assert!(choose_ike(&offered, &allowed).is_err());
}

#[test]
fn a_transform_with_an_unknown_attribute_cannot_be_chosen() {
    let mut offered = offered_ike(&["aes128gcm16-prfsha256-x25519"]);
    offered[0].transforms[0].unknown_attribute = true;
    assert!(choose_ike(&offered, &[ike("aes128gcm16-prfsha256-x25519")]).is_err());
}

#[test]
fn a_key_length_must_be_there_for_aes_and_must_not_for_chacha() {
    let mut offered = offered_ike(&["aes128gcm16-prfsha256-x25519", "chacha20poly1305-prfsha256-x25519"]);
    offered[0].transforms[0].key_bits = None;
    offered[1].transforms[0].key_bits = Some(256);
    let allowed = [ike("aes128gcm16-prfsha256-x25519"), ike("chacha20poly1305-prfsha256-x25519")];
    assert!(choose_ike(&offered, &allowed).is_err());
}

#[test]
fn an_aead_goes_with_integrity_none_and_with_no_integrity_but_not_with_a_real_one() {
    let none = plain(TransformKind::Integ, 0);
    let sha256 = plain(TransformKind::Integ, 12);
    let allowed = [ike("aes128gcm16-prfsha256-x25519")];
    let with = |extra: &[Transform]| {
        let mut offered = offered_ike(&["aes128gcm16-prfsha256-x25519"]);
        offered[0].transforms.extend(extra);
        choose_ike(&offered, &allowed).map(|(answer, _)| answer.transforms.contains(&none))
    };
    assert_eq!(with(&[]), Ok(false));
    assert_eq!(with(&[none]), Ok(true));
    assert_eq!(with(&[sha256, none]), Ok(true));
    assert!(with(&[sha256]).is_err());
}

#[test]
fn what_was_offered_stands_against_what_was_wanted() {
    let mut offered = offered_ike(&["aes256-sha1-x25519", "aes256-sha1-x25519"]);
    for transform in &mut offered[0].transforms {
        if transform.kind == TransformKind::KeyExchange {
            transform.id = 2;
        }
    }
    offered[1].transforms = vec![
        Transform { kind: TransformKind::Encr, id: 3, key_bits: None, unknown_attribute: false },
        Transform { kind: TransformKind::Encr, id: 99, key_bits: Some(77), unknown_attribute: false },
        Transform { kind: TransformKind::Encr, id: 12, key_bits: Some(128), unknown_attribute: true },
        Transform { kind: TransformKind::Other(6), id: 5, key_bits: None, unknown_attribute: false },
    ];
    let none = choose_ike(&offered, &[ike("aes128gcm16-prfsha256-x25519"), ike("aes256-sha256-ecp256")]).unwrap_err();
    assert_eq!(
        none.to_string(),
        "offered aes256-sha1-prfsha1-modp1024, 3des-encr#99/77-aes128+?-type6#5; \
         wanted aes128gcm16-prfsha256-x25519, aes256-sha256-ecp256"
    );
    assert_eq!(choose_ike(&[], &[ike("aes256-sha256-ecp256")]).unwrap_err().offered, "nothing");
}

#[test]
fn a_flood_of_proposals_makes_no_flood_in_the_log() {
    let offered = vec![offered_ike(&["aes128-aes256-sha1-sha256-sha384-sha512-modp2048"])[0].clone(); 64];
    let text = choose_ike(&offered, &[ike("aes128gcm16-prfsha256-x25519")]).unwrap_err().offered;
    assert!(text.len() < 900, "{} octets", text.len());
    assert!(text.ends_with(" more)"), "{text}");
}

#[test]
fn the_first_child_looks_at_no_group() {
    for allowed in ["aes128gcm16", "aes128gcm16-x25519"] {
        for offered in ["aes128gcm16", "aes128gcm16-ecp256"] {
            let offered = offered_esp(&[offered], ChildExchange::CreateChildSa);
            let choice = choose_esp(&offered, &[esp(allowed)], ChildExchange::IkeAuth).unwrap();
            assert_eq!((choice.group, choice.peer_spi), (None, 0xc0de_c0de));
            let kinds: Vec<_> = choice.answer.transforms.iter().map(|transform| transform.kind).collect();
            assert_eq!(kinds, [TransformKind::Encr, TransformKind::Esn]);
        }
    }
}

#[test]
fn a_later_child_has_a_group_where_config_names_one_and_only_there() {
    let choose = |offered: &str, allowed: &str| {
        let offered = offered_esp(&[offered], ChildExchange::CreateChildSa);
        choose_esp(&offered, &[esp(allowed)], ChildExchange::CreateChildSa).map(|choice| choice.group).map_err(|_| ())
    };
    assert_eq!(choose("aes128gcm16", "aes128gcm16"), Ok(None));
    assert_eq!(choose("aes128gcm16-x25519-ecp256", "aes128gcm16-ecp256"), Ok(Some(KexGroup::Ecp256)));
    assert_eq!(choose("aes128gcm16", "aes128gcm16-ecp256"), Err(()));
    assert_eq!(choose("aes128gcm16-ecp256", "aes128gcm16"), Err(()));
}

#[test]
fn group_none_means_no_perfect_forward_secrecy() {
    let mut offered = offered_esp(&["aes128gcm16-ecp256"], ChildExchange::CreateChildSa);
    offered[0].transforms.push(plain(TransformKind::KeyExchange, 0));
    let choice = choose_esp(&offered, &[esp("aes128gcm16")], ChildExchange::CreateChildSa).unwrap();
    assert_eq!(choice.group, None);
    assert!(choice.answer.transforms.contains(&plain(TransformKind::KeyExchange, 0)));
}

#[test]
fn esp_must_offer_to_go_without_extended_sequence_numbers() {
    let allowed = [esp("aes256-sha256")];
    let mut offered = offered_esp(&["aes256-sha256"], ChildExchange::IkeAuth);
    assert!(choose_esp(&offered, &allowed, ChildExchange::IkeAuth).is_ok());
    let esn = offered[0].transforms.pop().unwrap();
    assert!(choose_esp(&offered, &allowed, ChildExchange::IkeAuth).is_err(), "no ESN transform at all");
    offered[0].transforms.push(Transform { id: 1, ..esn });
    let none = choose_esp(&offered, &allowed, ChildExchange::IkeAuth).unwrap_err();
    assert_eq!(none.to_string(), "offered aes256-sha256-esn; wanted aes256-sha256");
    offered[0].transforms.push(esn);
    let choice = choose_esp(&offered, &allowed, ChildExchange::IkeAuth).unwrap();
    assert!(choice.answer.transforms.contains(&esn));
}

#[test]
fn an_esp_spi_has_four_octets_and_ah_is_not_esp() {
    let allowed = [esp("aes256-sha256")];
    let offered = offered_esp(&["aes256-sha256"], ChildExchange::IkeAuth);
    for spi in [vec![], vec![1, 2, 3], vec![0; 8]] {
        let offered = [Proposal { spi, ..offered[0].clone() }];
        assert!(choose_esp(&offered, &allowed, ChildExchange::IkeAuth).is_err());
    }
    let ah = [Proposal { protocol: Protocol::Ah, ..offered[0].clone() }];
    assert!(choose_esp(&ah, &allowed, ChildExchange::IkeAuth).unwrap_err().offered.starts_with("ah:"));
}

#[test]
fn what_we_offer_is_what_we_accept() {
    let all = ["aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048", "chacha20poly1305-prfsha512-ecp384"];
    for (number, text) in (1..).zip(all) {
        let (answer, suite) = choose_ike(&offered_ike(&all), &[ike(text)]).unwrap();
        assert_eq!((answer.number, suite.to_string().as_str()), (number, text));
    }
}
