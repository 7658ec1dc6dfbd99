//! A small honest initiator.

use super::{ESP, IKE, PSK, World};
use adit_control::config::checked::{EspProposal, IkeProposal};
use adit_control::ike::keys::{AuthInput, ChildKeys, IkeKeys, psk_auth};
use adit_control::ike::nat::nat_detection_hash;
use adit_control::ike::propose::{ChildExchange, choose_esp, choose_ike, offer_esp, offer_ike};
use adit_control::ike::sk::SkCipher;
use adit_control::ike::wire::*;
use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::kex::KeyPair;
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CipherSuite, KexGroup};
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Selector};
use std::net::SocketAddr;

pub struct Client {
    pub id: Id,
    pub id_r: Option<Id>,
    pub psk: SecretBytes,
    pub ike: Vec<IkeProposal>,
    pub esp: Vec<EspProposal>,
    pub attributes: Vec<u16>,
    pub ts_i: Vec<Selector>,
    pub ts_r: Vec<Selector>,
    /// In IKE_AUTH.
    pub notifies: Vec<NotifyKind>,
    /// In IKE_SA_INIT.
    pub first_notifies: Vec<NotifyKind>,
    /// Our address as the headend sees it, without the port.
    pub seen: SocketAddr,
    /// Our address as we see it.
    pub own: SocketAddr,
    pub headend: SocketAddr,
    pub random: SeededRandom,
}

/// After IKE_SA_INIT.
pub struct Keyed {
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub nonce_i: Vec<u8>,
    pub nonce_r: Vec<u8>,
    pub sa: Sa,
    /// What the answer says of the headend.
    pub headend: Seen,
}

/// What NAT detection finds of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    AsItIs,
    BehindNat,
}

/// An IKE SA, the initiator's side.
pub struct Sa {
    pub spi_i: IkeSpi,
    pub spi_r: IkeSpi,
    pub keys: IkeKeys,
    pub ours: SkCipher,
    pub theirs: SkCipher,
    pub next: u32,
}

/// A child SA, the initiator's side.
pub struct ChildSa {
    /// What we receive on.
    pub spi_in: u32,
    /// What we send on.
    pub spi_out: u32,
    pub suite: CipherSuite,
    pub keys: ChildKeys,
    pub ts_i: Vec<Selector>,
    pub ts_r: Vec<Selector>,
    pub configuration: Vec<Attribute>,
}

impl ChildSa {
    pub fn sealer(&self) -> EspCipher {
        let keys = &self.keys.initiator_to_responder;
        EspCipher::new(Backend::Auto, self.suite, keys.encr.expose(), keys.integ.expose()).unwrap()
    }

    pub fn opener(&self) -> EspCipher {
        let keys = &self.keys.responder_to_initiator;
        EspCipher::new(Backend::Auto, self.suite, keys.encr.expose(), keys.integ.expose()).unwrap()
    }
}

pub fn everything() -> Vec<Selector> {
    let all = |net: &str| adit_control::ike::narrow::selector_of_net(net.parse().unwrap());
    vec![all("0.0.0.0/0"), all("::/0")]
}

impl Client {
    pub fn new(name: &str, host: u8) -> Self {
        let own = SocketAddr::from(([10, 99, 1, host], 500));
        Self {
            id: Id::parse(name).unwrap(),
            id_r: None,
            psk: SecretBytes::from(PSK),
            ike: vec![IkeProposal::parse(IKE).unwrap()],
            esp: vec![EspProposal::parse(ESP).unwrap()],
            attributes: vec![Attribute::IP4_ADDRESS, Attribute::IP4_DNS, Attribute::IP6_ADDRESS],
            ts_i: everything(),
            ts_r: everything(),
            notifies: Vec::new(),
            first_notifies: Vec::new(),
            seen: SocketAddr::from(([198, 51, 100, 1], 20_000 + u16::from(host))),
            own,
            headend: SocketAddr::from(([198, 51, 100, 2], 500)),
            random: SeededRandom::new(100 + u64::from(host)),
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        bytes
    }

    pub fn word(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes(8).try_into().unwrap())
    }

    /// As it arrives on port 500.
    pub fn on_500(&self, bytes: Vec<u8>) -> IkeDatagram {
        let path = Path { local: self.headend, peer: self.seen };
        IkeDatagram { path, framing: IkeFraming::Bare, bytes }
    }

    /// As it arrives on port 4500.
    pub fn on_4500(&self, bytes: Vec<u8>) -> IkeDatagram {
        let mut path = Path { local: self.headend, peer: self.seen };
        path.local.set_port(4500);
        path.peer.set_port(self.seen.port() + 1000);
        IkeDatagram { path, framing: IkeFraming::NonEspMarker, bytes }
    }

    /// The payloads of a first message: SAi1, KEi, Ni, NAT detection.
    pub fn init_payloads(&mut self, spi_i: IkeSpi, pair: &KeyPair, nonce: &[u8]) -> Vec<Payload> {
        let hash = |address| nat_detection_hash(spi_i, IkeSpi(0), address).to_vec();
        let mut payloads = vec![
            Payload::Sa(offer_ike(&self.ike, &[])),
            Payload::Ke(KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() }),
            Payload::Nonce(nonce.to_vec()),
            notify(NotifyKind::NatDetectionSourceIp, hash(self.own)),
            notify(NotifyKind::NatDetectionDestinationIp, hash(self.headend)),
        ];
        payloads.extend(self.first_notifies.iter().map(|kind| notify(*kind, Vec::new())));
        payloads
    }

    /// IKE_SA_INIT, and its answer.
    #[track_caller]
    pub fn init(&mut self, world: &mut World) -> Keyed {
        let spi_i = IkeSpi(self.word());
        let group = self.ike[0].groups[0];
        let pair = KeyPair::generate(group, &mut self.random);
        let nonce_i = self.bytes(32);
        let payloads = self.init_payloads(spi_i, &pair, &nonce_i);
        let request = build(&init_header(spi_i), &payloads);
        let sent = world.deliver(&self.on_500(request.clone()));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert_eq!((answer.path, answer.framing), (self.on_500(vec![]).path, IkeFraming::Bare));
        assert!(answer.bytes.len() <= request.len(), "no amplification");
        self.keyed(request, answer.bytes.clone(), nonce_i, pair)
    }

    #[track_caller]
    pub fn keyed(&self, request: Vec<u8>, response: Vec<u8>, nonce_i: Vec<u8>, pair: KeyPair) -> Keyed {
        let incoming = parse(&response).unwrap();
        let header = incoming.header;
        assert!(header.flags.response && !header.flags.initiator);
        assert_eq!((header.exchange, header.message_id), (Exchange::IkeSaInit, 0));
        let [
            Payload::Sa(proposals),
            Payload::Ke(ke),
            Payload::Nonce(nonce_r),
            Payload::Notify(source),
            Payload::Notify(destination),
            ..,
        ] = &incoming.payloads[..]
        else {
            panic!("{:?}", incoming.payloads)
        };
        let hash = |address| nat_detection_hash(header.initiator_spi, header.responder_spi, address).to_vec();
        assert_eq!(
            (source.kind, destination.kind),
            (NotifyKind::NatDetectionSourceIp, NotifyKind::NatDetectionDestinationIp)
        );
        let headend = if source.data == hash(self.headend) { Seen::AsItIs } else { Seen::BehindNat };
        assert_eq!(destination.data, hash(self.seen));
        let (_, suite) = choose_ike(proposals, &self.ike).unwrap();
        assert_eq!(ke.group, suite.group.iana());
        let shared = pair.agree(&ke.public).unwrap();
        let keys = IkeKeys::derive(suite, &shared, &nonce_i, nonce_r, header.initiator_spi, header.responder_spi);
        let sa = Sa::new(header.initiator_spi, header.responder_spi, keys, 1);
        let nonce_r = nonce_r.clone();
        Keyed { nonce_r, request, response, nonce_i, sa, headend }
    }

    /// IDi, IDr, AUTH, CP, SA, TSi, TSr. Returns our inbound SPI too.
    pub fn auth_payloads(&mut self, keyed: &Keyed) -> (u32, Vec<Payload>) {
        let input = AuthInput {
            first_message: &keyed.request,
            nonce_other: &keyed.nonce_r,
            sk_p: &keyed.sa.keys.sk_pi,
            id: &self.id,
        };
        let proof = psk_auth(keyed.sa.keys.suite().prf, &self.psk, &input);
        let spi_in = self.word() as u32 | 0x1000;
        let mut payloads = vec![Payload::IdInitiator(self.id.clone())];
        payloads.extend(self.notifies.iter().map(|kind| notify(*kind, Vec::new())));
        payloads.extend(self.id_r.clone().map(Payload::IdResponder));
        payloads.push(Payload::Auth(2, proof.expose().to_vec()));
        if !self.attributes.is_empty() {
            let attributes = self.attributes.iter().map(|kind| Attribute { kind: *kind, value: Vec::new() }).collect();
            payloads.push(Payload::Configuration(ConfigPayload { kind: ConfigKind::Request, attributes }));
        }
        payloads.push(Payload::Sa(offer_esp(&self.esp, spi_in, ChildExchange::IkeAuth)));
        payloads.push(Payload::TsInitiator(self.ts_i.clone()));
        payloads.push(Payload::TsResponder(self.ts_r.clone()));
        (spi_in, payloads)
    }

    /// IKE_AUTH: the payloads of the answer.
    #[track_caller]
    pub fn auth(&mut self, world: &mut World, keyed: &mut Keyed) -> (u32, Vec<Payload>) {
        let (spi_in, payloads) = self.auth_payloads(keyed);
        let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
        let sent = world.deliver(&self.on_4500(request));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert_eq!((answer.path, answer.framing), (self.on_4500(vec![]).path, IkeFraming::NonEspMarker));
        (spi_in, keyed.sa.answered(Exchange::IkeAuth, &answer.bytes))
    }

    /// The answer to a good IKE_AUTH: IDr, AUTH, CP, SA, TSi, TSr.
    #[track_caller]
    pub fn logged_in(&self, world: &World, keyed: &Keyed, spi_in: u32, answer: &[Payload]) -> ChildSa {
        let [
            Payload::IdResponder(id_r),
            Payload::Auth(2, proof),
            Payload::Configuration(cp),
            Payload::Sa(proposals),
            Payload::TsInitiator(ts_i),
            Payload::TsResponder(ts_r),
        ] = answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!(*id_r, world.engine.config().identity);
        let input = AuthInput {
            first_message: &keyed.response,
            nonce_other: &keyed.nonce_i,
            sk_p: &keyed.sa.keys.sk_pr,
            id: id_r,
        };
        assert_eq!(psk_auth(keyed.sa.keys.suite().prf, &self.psk, &input).expose(), proof, "the headend knows the PSK");
        assert_eq!(cp.kind, ConfigKind::Reply);
        let choice = choose_esp(proposals, &self.esp, ChildExchange::IkeAuth).unwrap();
        let keys = keyed.sa.keys.child_keymat(choice.cipher, None, &keyed.nonce_i, &keyed.nonce_r);
        ChildSa {
            spi_in,
            spi_out: choice.peer_spi,
            suite: choice.cipher,
            keys,
            ts_i: ts_i.clone(),
            ts_r: ts_r.clone(),
            configuration: cp.attributes.clone(),
        }
    }

    /// All of it.
    #[track_caller]
    pub fn login(&mut self, world: &mut World) -> (Sa, ChildSa) {
        let mut keyed = self.init(world);
        let (spi_in, answer) = self.auth(world, &mut keyed);
        let child = self.logged_in(world, &keyed, spi_in, &answer);
        (keyed.sa, child)
    }

    /// A request in an IKE SA, and its answer.
    #[track_caller]
    pub fn ask(&self, world: &mut World, sa: &mut Sa, exchange: Exchange, payloads: &[Payload]) -> Vec<Payload> {
        let request = sa.request(exchange, payloads);
        let sent = world.deliver(&self.on_4500(request));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert_eq!((answer.path, answer.framing), (self.on_4500(vec![]).path, IkeFraming::NonEspMarker));
        sa.answered(exchange, &answer.bytes)
    }

    /// CREATE_CHILD_SA for a child in place of `old`, with or without a fresh key exchange.
    #[track_caller]
    pub fn rekey_child(&mut self, world: &mut World, sa: &mut Sa, old: &ChildSa, pfs: Option<KexGroup>) -> ChildSa {
        let nonce_i = self.bytes(32);
        let pair = pfs.map(|group| KeyPair::generate(group, &mut self.random));
        let esp = match pfs {
            Some(group) => vec![EspProposal::parse(&format!("{ESP}-{}", group.name())).unwrap()],
            None => vec![EspProposal::parse(ESP).unwrap()],
        };
        let spi_in = self.word() as u32 | 0x1000;
        let ke = pair.as_ref().map(|pair| KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() });
        let payloads = rekey_payloads(old, &esp, spi_in, &nonce_i, ke);
        let answer = self.ask(world, sa, Exchange::CreateChildSa, &payloads);
        let (proposals, nonce_r, shared, ts_i, ts_r) = match (&answer[..], pair) {
            (
                [
                    Payload::Sa(sa),
                    Payload::Nonce(nonce),
                    Payload::Ke(ke),
                    Payload::TsInitiator(i),
                    Payload::TsResponder(r),
                ],
                Some(pair),
            ) => (sa, nonce, Some(pair.agree(&ke.public).unwrap()), i, r),
            ([Payload::Sa(sa), Payload::Nonce(nonce), Payload::TsInitiator(i), Payload::TsResponder(r)], None) => {
                (sa, nonce, None, i, r)
            }
            (other, _) => panic!("{other:?}"),
        };
        let choice = choose_esp(proposals, &esp, ChildExchange::CreateChildSa).unwrap();
        let keys = sa.keys.child_keymat(choice.cipher, shared.as_ref(), &nonce_i, nonce_r);
        ChildSa {
            spi_in,
            spi_out: choice.peer_spi,
            suite: choice.cipher,
            keys,
            ts_i: ts_i.clone(),
            ts_r: ts_r.clone(),
            configuration: Vec::new(),
        }
    }

    /// CREATE_CHILD_SA for an IKE SA in place of `old`.
    #[track_caller]
    pub fn rekey_ike(&mut self, world: &mut World, old: &mut Sa) -> Sa {
        let (spi_i, nonce_i) = (IkeSpi(self.word()), self.bytes(32));
        let pair = KeyPair::generate(self.ike[0].groups[0], &mut self.random);
        let payloads = [
            Payload::Sa(offer_ike(&self.ike, &spi_i.0.to_be_bytes())),
            Payload::Nonce(nonce_i.clone()),
            Payload::Ke(KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() }),
        ];
        let answer = self.ask(world, old, Exchange::CreateChildSa, &payloads);
        let [Payload::Sa(proposals), Payload::Nonce(nonce_r), Payload::Ke(ke)] = &answer[..] else {
            panic!("{answer:?}")
        };
        let (chosen, suite) = choose_ike(proposals, &self.ike).unwrap();
        let spi_r = IkeSpi(u64::from_be_bytes(chosen.spi.try_into().unwrap()));
        let shared = pair.agree(&ke.public).unwrap();
        let keys = IkeKeys::rekey(&old.keys, suite, &shared, &nonce_i, nonce_r, spi_i, spi_r);
        Sa::new(spi_i, spi_r, keys, 0)
    }

    /// The same, as far as it succeeds.
    pub fn rekey_ike_perhaps(&mut self, world: &mut World, old: &mut Sa) -> Option<Sa> {
        let (spi_i, nonce_i) = (IkeSpi(self.word()), self.bytes(32));
        let pair = KeyPair::generate(KexGroup::X25519, &mut self.random);
        let payloads = [
            Payload::Sa(offer_ike(&self.ike, &spi_i.0.to_be_bytes())),
            Payload::Nonce(nonce_i.clone()),
            Payload::Ke(KeyExchange { group: 31, public: pair.public().to_vec() }),
        ];
        let request = old.request(Exchange::CreateChildSa, &payloads);
        let sent = world.deliver(&self.on_4500(request));
        let Some(answer) = sent.first() else {
            old.next -= 1;
            return None;
        };
        let incoming = parse(&answer.bytes).ok()?;
        let inside = old.theirs.open(&incoming).ok()?;
        let [Payload::Sa(proposals), Payload::Nonce(nonce_r), Payload::Ke(ke)] = &inside[..] else { return None };
        let (chosen, suite) = choose_ike(proposals, &self.ike).ok()?;
        let spi_r = IkeSpi(u64::from_be_bytes(chosen.spi.try_into().ok()?));
        let shared = pair.agree(&ke.public).ok()?;
        let keys = IkeKeys::rekey(&old.keys, suite, &shared, &nonce_i, nonce_r, spi_i, spi_r);
        Some(Sa::new(spi_i, spi_r, keys, 0))
    }
}

impl Sa {
    pub fn new(spi_i: IkeSpi, spi_r: IkeSpi, keys: IkeKeys, next: u32) -> Self {
        let ours = keys.initiator_cipher(Backend::Auto).unwrap();
        let theirs = keys.responder_cipher(Backend::Auto).unwrap();
        Self { spi_i, spi_r, keys, ours, theirs, next }
    }

    pub fn header(&self, exchange: Exchange, response: bool, message_id: u32) -> Header {
        let flags = Flags { initiator: true, response };
        Header { initiator_spi: self.spi_i, responder_spi: self.spi_r, exchange, flags, message_id }
    }

    /// Our next request.
    pub fn request(&mut self, exchange: Exchange, payloads: &[Payload]) -> Vec<u8> {
        let header = self.header(exchange, false, self.next);
        self.next += 1;
        self.ours.seal(&header, payloads)
    }

    /// The answer to our last request.
    #[track_caller]
    pub fn answered(&self, exchange: Exchange, bytes: &[u8]) -> Vec<Payload> {
        let incoming = parse(bytes).unwrap();
        let header = incoming.header;
        assert_eq!((header.initiator_spi, header.responder_spi), (self.spi_i, self.spi_r));
        assert_eq!((header.exchange, header.message_id), (exchange, self.next - 1));
        assert!(header.flags.response && !header.flags.initiator);
        self.theirs.open(&incoming).unwrap()
    }

    /// A request of the headend's: its Message ID and payloads.
    #[track_caller]
    pub fn asked(&self, bytes: &[u8]) -> (u32, Vec<Payload>) {
        let incoming = parse(bytes).unwrap();
        assert_eq!(incoming.header.exchange, Exchange::Informational);
        assert!(!incoming.header.flags.response && !incoming.header.flags.initiator);
        (incoming.header.message_id, self.theirs.open(&incoming).unwrap())
    }

    /// Our answer to it.
    pub fn answer(&mut self, message_id: u32, payloads: &[Payload]) -> Vec<u8> {
        self.ours.seal(&self.header(Exchange::Informational, true, message_id), payloads)
    }
}

pub fn init_header(spi_i: IkeSpi) -> Header {
    Header {
        initiator_spi: spi_i,
        responder_spi: IkeSpi(0),
        exchange: Exchange::IkeSaInit,
        flags: Flags { initiator: true, response: false },
        message_id: 0,
    }
}

pub fn notify(kind: NotifyKind, data: Vec<u8>) -> Payload {
    Payload::Notify(Notify { about: None, kind, data })
}

pub fn delete_ike() -> Payload {
    Payload::Delete(Delete { protocol: Protocol::Ike, spis: Vec::new() })
}

pub fn delete_esp(spi: u32) -> Payload {
    Payload::Delete(Delete { protocol: Protocol::Esp, spis: vec![spi] })
}

pub fn rekey_payloads(
    old: &ChildSa,
    esp: &[EspProposal],
    spi_in: u32,
    nonce_i: &[u8],
    ke: Option<KeyExchange>,
) -> Vec<Payload> {
    let about = Some((Protocol::Esp, old.spi_in.to_be_bytes().to_vec()));
    let mut payloads = vec![
        Payload::Notify(Notify { about, kind: NotifyKind::RekeySa, data: Vec::new() }),
        Payload::Sa(offer_esp(esp, spi_in, ChildExchange::CreateChildSa)),
        Payload::Nonce(nonce_i.to_vec()),
    ];
    payloads.extend(ke.map(Payload::Ke));
    payloads.push(Payload::TsInitiator(old.ts_i.clone()));
    payloads.push(Payload::TsResponder(old.ts_r.clone()));
    payloads
}

/// What the headend says in the clear, protected by nothing: one notification.
#[track_caller]
pub fn in_the_clear(datagram: &IkeDatagram) -> (NotifyKind, Vec<u8>) {
    only_notify(&parse(&datagram.bytes).unwrap().payloads)
}

/// The one notification that an answer consists of.
#[track_caller]
pub fn only_notify(payloads: &[Payload]) -> (NotifyKind, Vec<u8>) {
    let [Payload::Notify(notify)] = payloads else { panic!("{payloads:?}") };
    (notify.kind, notify.data.clone())
}
