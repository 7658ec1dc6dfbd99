//! How long it takes until a first message of aggressive mode is answered. It names the group.

use super::{TellError, Tried, config, rounds};
use adit_control::ike::engine::{Engine, Output};
use adit_control::ike::v1::wire::{
    AuthMethod, Exchange, Flags, Header, Id, Identification, IkeOffer, IkeSpi, LifeTime, Payload, Proposal, Protocol,
    Vendor, build,
};
use adit_crypto::kex::KeyPair;
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::suite::{CbcCipher, Hash, KexGroup};
use adit_dataplane::contract::{ClusterSlot, Command, Event, IkeDatagram, IkeFraming, Path, SpiLayout, WorkerId};
use adit_dataplane::time::Instant;
use std::net::Ipv4Addr;
use std::time::Duration;

const CONFIG: &str = r#"
    [node]
    identity = "headend.rig"
    [ike]
    half_open_limit = 65536
    half_open_limit_per_source = 65536
    half_open_timeout = "2s"
    [[pool]]
    name = "pool"
    addresses = ["10.30.0.0/16"]
    [[user]]
    name = "alice"
    password_hash = "$argon2id$v=19$m=19456,t=2,p=1$SYlJttmyRZ8N1qPLuqQE7Q$xP4gPUWRCcht2AO7RUO2lXQSym6R2EXVC0ZLEelRlYM"
"#;
/// Groups that there are, in the order of the configuration.
const GROUPS: [&str; 4] = ["sales", "field", "board", "guest"];

/// All cases.
pub(super) fn measure(times: u32) -> Result<Vec<Tried>, TellError> {
    let connections = GROUPS.map(|group| {
        format!(
            "[[connection]]\nname = \"{group}\"\nike = \"v1\"\nauth = \"xauth-psk\"\nmodes = [\"aggressive\"]\n\
             remote_ids = [\"keyid:{group}\"]\npsk = \"the secret of {group}\"\nusers = \"local\"\npools = [\"pool\"]\n\
             networks = [\"10.20.0.0/24\"]\n"
        )
    });
    let config = config(&format!("{CONFIG}\n{}", connections.concat()))?;
    let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
    let mut engine = Engine::new(config, 1, layout, Box::new(SeededRandom::new(2)));
    let mut random = SeededRandom::new(4);
    let pair = KeyPair::generate(KexGroup::Modp2048, &mut random);
    let clock = quanta::Clock::new();
    let mut number = 0_u32;
    let names = ["the first group", "the last group", "no group", "no group, another name each time"];
    rounds(names, times, |case, round| {
        number += 1;
        let group = match case {
            0 => GROUPS[0].to_owned(),
            1 => GROUPS[3].to_owned(),
            2 => "ghost".to_owned(),
            _ => format!("g{:04}", round % 10_000),
        };
        // Half-open ones end behind the scenes, so that there are about as many each time.
        let now = Instant::ZERO + Duration::from_millis(10) * number;
        engine.handle_timeout(now);
        while engine.poll_output().is_some() {}
        let bytes = first_message(&group, &pair, &mut random)?;
        let peer = (Ipv4Addr::from_bits(0xc633_0000 | number & 0xffff), 500).into();
        let path = Path { local: ([192, 0, 2, 1], 500).into(), peer };
        let event = Event::Ike(IkeDatagram { path, framing: IkeFraming::Bare, bytes });
        let begin = clock.now();
        engine.handle_event(now, WorkerId(0), event);
        let mut answers = 0;
        while let Some(output) = engine.poll_output() {
            answers += u32::from(matches!(output, Output::Command(_, Command::SendIke(_))));
        }
        let took = clock.now() - begin;
        if answers == 1 { Ok(took) } else { Err(TellError::Void("a first message was not answered")) }
    })
}

fn first_message(group: &str, pair: &KeyPair, random: &mut SeededRandom) -> Result<Vec<u8>, TellError> {
    let mut chance = [0; 28];
    random.fill(&mut chance);
    let (cookie, nonce) = chance.split_at(8);
    let cookie = cookie.iter().fold(1, |cookie: u64, octet| cookie << 7 | u64::from(*octet));
    let life = LifeTime { seconds: Some(86_400), kilobytes: None };
    let offer = IkeOffer {
        cipher: CbcCipher::Aes256,
        hash: Hash::Sha256,
        group: KexGroup::Modp2048,
        method: AuthMethod::XauthInitPsk,
        life,
    };
    let proposal =
        Proposal { number: 1, protocol: Protocol::Isakmp, spi: Vec::new(), transforms: vec![offer.transform(1)] };
    let id = Id::parse(&format!("keyid:{group}")).map_err(|_error| TellError::Void("a group's name"))?;
    let mut payloads = vec![
        Payload::Sa(vec![proposal]),
        Payload::Ke(pair.public().to_vec()),
        Payload::Nonce(nonce.to_vec()),
        Payload::Id(Identification::of(id)),
    ];
    let vendors = [Vendor::Xauth, Vendor::Unity, Vendor::Dpd, Vendor::Fragmentation];
    payloads.extend(vendors.map(|vendor| Payload::VendorId(vendor.octets())));
    let header = Header {
        initiator_cookie: IkeSpi(cookie),
        responder_cookie: IkeSpi(0),
        exchange: Exchange::Aggressive,
        flags: Flags::default(),
        message_id: 0,
    };
    Ok(build(&header, &payloads))
}
