//! A small honest client by IKEv1: aggressive or main mode, XAUTH, mode config, quick mode, DPD. Written from RFC 2409
//! and the drafts with the wire and key functions alone; it knows nothing of the engine.

pub mod attempt;

use super::{ESP, PSK, World};
use adit_control::aaa::{Answer, Profile, Rejection, Source, Verdict, Why};
use adit_control::config::checked::*;
use adit_control::ike::v1::cipher::{Iv, MessageCipher};
use adit_control::ike::v1::keys::{IkeKeys, QuickInput, Skeyid, Transcript};
use adit_control::ike::v1::nat::nat_d_hash;
use adit_control::ike::v1::suite::Suite;
use adit_control::ike::v1::wire::*;
use adit_crypto::esp_cipher::{Backend, EspCipher};
use adit_crypto::kex::KeyPair;
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CbcCipher, Encr, Hash, Integ, KexGroup, SequenceNumbers};
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Spi};
use mode_config_number as number;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub const GROUP: &str = "keyid:riggroup";

/// The one connection is by IKEv1, XAUTH and pre-shared key, with everything that it can tell its clients.
pub fn config_v1() -> Config {
    let mut config = super::config();
    config.pools[0].netbios_name_servers = vec![[10, 20, 0, 54].into()];
    let connection = &mut config.connections[0];
    connection.name = "ezvpn".to_owned();
    connection.remote_ids = vec![IdPattern::parse(GROUP).unwrap()];
    connection.esp_proposals = vec![EspProposal::parse("aes256-sha1").unwrap(), EspProposal::parse(ESP).unwrap()];
    connection.login = Login::V1(Box::new(LoginV1 {
        auth: AuthV1::XauthPsk { secret: SecretBytes::from(PSK), xauth: xauth() },
        modes: Modes::Both,
        ike_proposals: vec![Phase1Proposal {
            encr: vec![CbcCipher::Aes256, CbcCipher::Aes128],
            hash: vec![Hash::Sha256, Hash::Sha1],
            groups: vec![KexGroup::Ecp256, KexGroup::Modp2048],
        }],
        pfs: Pfs::Optional,
        unity: Unity {
            banner: Some("Be welcome".to_owned()),
            default_domain: Some("rig.example".to_owned()),
            split_dns: vec!["rig.example".to_owned(), "lab.example".to_owned()],
            save_password: SavePassword::Allowed,
            ..Unity::default()
        },
        reauth: Some(Duration::from_secs(86_400)),
        aggressive_limit: 1000.try_into().unwrap(),
    }));
    config
}

pub fn xauth() -> Xauth {
    Xauth { users: vec![UserSource::Local], prompt: "Who?".to_owned(), interim: None }
}

pub fn login_v1(config: &mut Config) -> &mut LoginV1 {
    match &mut config.connections[0].login {
        Login::V1(login) => login,
        Login::V2(_) => panic!("a connection by IKEv1"),
    }
}

pub fn profile() -> Profile {
    Profile::plain(Source::Local)
}

/// The client says goodbye, and nothing is left.
#[track_caller]
pub fn log_out(world: &mut World, client: &mut ClientV1, sa: &mut SaV1) {
    let bytes = sa.delete_isakmp(client.word() as u32);
    assert!(world.deliver(&client.later(bytes)).is_empty(), "a delete has no answer");
    world.assert_nothing_left();
}

impl World {
    /// AAA answers what it was asked last. What the engine sends comes back.
    #[track_caller]
    pub fn judge(&mut self, verdict: Verdict) -> Vec<IkeDatagram> {
        let question = self.dataplane.questions.pop().expect("a question was asked");
        self.engine.handle_answer(self.now, Answer { id: question.id, verdict });
        self.drain()
    }

    /// The user may in.
    #[track_caller]
    pub fn accept(&mut self) -> Vec<IkeDatagram> {
        self.judge(Verdict::Accept(Box::new(profile())))
    }

    /// They may not.
    #[track_caller]
    pub fn reject(&mut self, why: Why) -> Vec<IkeDatagram> {
        self.judge(Verdict::Reject(Rejection { why, message: None }))
    }
}

pub struct ClientV1 {
    pub group: Id,
    pub secret: SecretBytes,
    pub user: &'static str,
    pub password: &'static str,
    pub method: AuthMethod,
    pub kex: KexGroup,
    pub vendors: Vec<Vendor>,
    /// Phase 2's.
    pub encapsulation: Encapsulation,
    pub pfs: Option<KexGroup>,
    /// Our address as the headend sees it.
    pub seen: SocketAddr,
    /// As we see it.
    pub own: SocketAddr,
    pub headend: SocketAddr,
    /// Where the headend is for us, if that is not where it is.
    pub aims: Option<SocketAddr>,
    /// What it asks for in mode config.
    pub asks: Vec<Attribute>,
    /// Behind a NAT IKE moves to port 4500.
    pub floats: bool,
    /// How its messages stand where they do not float.
    pub framing: IkeFraming,
    pub initial_contact: bool,
    pub random: SeededRandom,
}

/// An ISAKMP SA, the initiator's side.
pub struct SaV1 {
    pub cookies: (IkeSpi, IkeSpi),
    pub keys: IkeKeys,
    cipher: MessageCipher,
    base: Iv,
    chains: BTreeMap<u32, Iv>,
    pub number: u32,
}

/// After the first two messages of aggressive mode.
pub struct HalfV1 {
    pub sa: SaV1,
    hash_i: SecretBytes,
    iv: Iv,
    numbers: Option<NatNumbers>,
}

/// An ESP SA pair, the client's side.
pub struct EspV1 {
    pub spi_in: u32,
    pub spi_out: u32,
    pub inbound: EspCipher,
    pub outbound: EspCipher,
    /// What the headend said beside it.
    pub notes: Vec<Notify>,
}

pub fn asked(kind: u16) -> Attribute {
    Attribute::long(kind, Vec::new())
}

impl ClientV1 {
    pub fn new(user: &'static str, host: u8) -> Self {
        Self {
            group: Id::parse(GROUP).unwrap(),
            secret: SecretBytes::from(PSK),
            user,
            password: "secret",
            method: AuthMethod::XauthInitPsk,
            kex: KexGroup::Ecp256,
            vendors: vec![
                Vendor::Xauth,
                Vendor::Unity,
                Vendor::NatTraversal(NatTraversal::Rfc3947),
                Vendor::NatTraversal(NatTraversal::Draft02),
                Vendor::Dpd,
            ],
            encapsulation: Encapsulation::UdpTunnel(NatNumbers::Rfc),
            pfs: None,
            seen: SocketAddr::from(([198, 51, 100, 1], 20_000 + u16::from(host))),
            own: SocketAddr::from(([10, 99, 1, host], 500)),
            headend: SocketAddr::from(([198, 51, 100, 2], 500)),
            aims: None,
            asks: [
                number::IP4_ADDRESS,
                number::IP4_NETMASK,
                number::IP4_DNS,
                number::IP4_NBNS,
                number::UNITY_BANNER,
                number::UNITY_DEFAULT_DOMAIN,
                number::UNITY_SPLIT_DNS,
                number::UNITY_SPLIT_INCLUDE,
                number::UNITY_SAVE_PASSWORD,
                number::UNITY_PFS,
                number::UNITY_LOCAL_LAN,
            ]
            .map(asked)
            .to_vec(),
            framing: IkeFraming::Bare,
            floats: true,
            initial_contact: false,
            random: SeededRandom::new(300 + u64::from(host)),
        }
    }

    /// Without a NAT and without NAT traversal.
    pub fn plain(user: &'static str, host: u8) -> Self {
        let address = SocketAddr::from(([198, 51, 100, host], 500));
        Self {
            vendors: vec![Vendor::Xauth, Vendor::Unity, Vendor::Dpd],
            encapsulation: Encapsulation::Tunnel,
            seen: address,
            own: address,
            floats: false,
            ..Self::new(user, host)
        }
    }

    /// Behind a NAT, with these NAT traversals: drafts 00 and 01 at most, so that all stays on port 500.
    pub fn staying(user: &'static str, host: u8, versions: &[NatTraversal]) -> Self {
        // Enough of them that the first message is longer than its answer.
        let vendors = [Vendor::Xauth, Vendor::Dpd, Vendor::Unity, Vendor::CiscoClient];
        let versions = versions.iter().copied().map(Vendor::NatTraversal);
        Self {
            vendors: vendors.into_iter().chain(versions).collect(),
            encapsulation: Encapsulation::UdpTunnel(NatNumbers::Draft),
            floats: false,
            ..Self::new(user, host)
        }
    }

    /// By cTCP, behind a NAT that changes addresses and ports, as TCP bears it.
    pub fn by_ctcp(user: &'static str, host: u8) -> Self {
        Self {
            seen: SocketAddr::from(([203, 0, 113, host], 40_001)),
            headend: SocketAddr::from(([198, 51, 100, 2], 10_000)),
            framing: IkeFraming::Ctcp,
            ..Self::plain(user, host)
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        bytes
    }

    pub fn word(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes(8).try_into().unwrap()) | 1
    }

    pub fn offer(&self) -> IkeOffer {
        let life = LifeTime { seconds: Some(86_400), kilobytes: None };
        IkeOffer { cipher: CbcCipher::Aes256, hash: Hash::Sha1, group: self.kex, method: self.method, life }
    }

    pub fn on_500(&self, bytes: Vec<u8>) -> IkeDatagram {
        let path = Path { local: self.headend, peer: self.seen };
        IkeDatagram { path, framing: self.framing, bytes }
    }

    pub fn on_4500(&self, bytes: Vec<u8>) -> IkeDatagram {
        let mut path = Path { local: self.headend, peer: self.seen };
        path.local.set_port(4500);
        path.peer.set_port(self.seen.port() + 1000);
        IkeDatagram { path, framing: IkeFraming::NonEspMarker, bytes }
    }

    /// Where phase 2 goes.
    pub fn later(&self, bytes: Vec<u8>) -> IkeDatagram {
        if self.floats { self.on_4500(bytes) } else { self.on_500(bytes) }
    }

    fn vendor_ids(&self) -> impl Iterator<Item = Payload> {
        self.vendors.iter().map(|vendor| Payload::VendorId(vendor.octets()))
    }

    /// SA with a transform that nobody knows first, as vpnc sends it.
    pub fn sa_payload(&self) -> Payload {
        let mut transform = self.offer().transform(2);
        transform.attributes[0] = Attribute::short(1, 0);
        let transforms = vec![transform, self.offer().transform(3)];
        Payload::Sa(vec![Proposal { number: 1, protocol: Protocol::Isakmp, spi: Vec::new(), transforms }])
    }

    pub fn nat_d(&self, cookies: (IkeSpi, IkeSpi), numbers: NatNumbers) -> [Payload; 2] {
        let hash = |address| nat_d_hash(self.offer().hash, cookies.0, cookies.1, address);
        let mut headend = self.aims.unwrap_or(self.headend);
        if self.floats {
            headend.set_port(4500);
        }
        [Payload::NatD(numbers, hash(headend)), Payload::NatD(numbers, hash(self.own))]
    }

    /// First message of aggressive mode.
    pub fn aggressive_1(&mut self) -> (Vec<u8>, KeyPair, Vec<Payload>) {
        let pair = KeyPair::generate(self.kex, &mut self.random);
        let identification = Identification { whom: Whom::One(self.group.clone()), protocol: 17, port: 500 };
        let mut payloads = vec![
            self.sa_payload(),
            Payload::Ke(pair.public().to_vec()),
            Payload::Nonce(self.bytes(20)),
            Payload::Id(identification),
        ];
        payloads.extend(self.vendor_ids());
        let cookies = (IkeSpi(self.word()), IkeSpi(0));
        (build(&header(cookies, Exchange::Aggressive, 0), &payloads), pair, payloads)
    }

    /// The first two messages.
    #[track_caller]
    pub fn aggressive(&mut self, world: &mut World) -> HalfV1 {
        let (request, pair, ours) = self.aggressive_1();
        let sent = world.deliver(&self.on_500(request.clone()));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert!(answer.bytes.len() <= request.len(), "{} for {}", answer.bytes.len(), request.len());
        self.aggressive_2(&request, &answer.bytes, pair, &ours).expect("the headend knows the group's secret")
    }

    /// What the second message says; `None` if its hash is wrong.
    pub fn aggressive_2(&self, request: &[u8], answer: &[u8], pair: KeyPair, ours: &[Payload]) -> Option<HalfV1> {
        let first = parse(request).ok()?;
        let Body::Clear(first_chain) = &first.body else { return None };
        let incoming = parse(answer).ok()?;
        let Body::Clear(chain) = &incoming.body else { return None };
        let cookies = (incoming.header.initiator_cookie, incoming.header.responder_cookie);
        if cookies.0 != first.header.initiator_cookie || incoming.header.exchange != Exchange::Aggressive {
            return None;
        }
        let ([proposal], _) = chain.sa()? else { return None };
        let [transform] = &proposal.transforms[..] else { return None };
        let offer = transform.ike().ok()?;
        let suite = Suite::from(offer);
        let (public_i, public_r) = (first_chain.ke()?, chain.ke()?);
        let (nonce_i, nonce_r) = (first_chain.nonce()?, chain.nonce()?);
        let shared = pair.agree(public_r).ok()?;
        let skeyid = Skeyid::of_psk(suite, &self.secret, nonce_i, nonce_r);
        let over =
            Transcript { public_i, public_r, cookie_i: cookies.0, cookie_r: cookies.1, sa_i: first_chain.sa()?.1 };
        if skeyid.hash_r(&over, chain.id()?.1) != SecretBytes::from(chain.hash()?) {
            return None;
        }
        let _ = ours;
        let hash_i = skeyid.hash_i(&over, first_chain.id()?.1);
        let keys = skeyid.derive(&shared, cookies.0, cookies.1);
        let cipher = keys.cipher();
        let iv = cipher.phase_1_iv(public_i, public_r);
        let numbers = chain.iter().find_map(|payload| match payload {
            Payload::NatD(numbers, _) => Some(*numbers),
            _ => None,
        });
        let sa = SaV1 { cookies, keys, cipher, base: iv.clone(), chains: BTreeMap::new(), number: 0 };
        Some(HalfV1 { sa, hash_i, iv, numbers })
    }

    /// The third message, and what comes back: the first of XAUTH.
    pub fn aggressive_3(&mut self, half: HalfV1) -> (SaV1, Vec<u8>) {
        let HalfV1 { mut sa, hash_i, iv, numbers } = half;
        let mut payloads = vec![Payload::Hash(hash_i.expose().to_vec())];
        payloads.extend(numbers.into_iter().flat_map(|numbers| self.nat_d(sa.cookies, numbers)));
        if self.initial_contact {
            let spi = [sa.cookies.0.0.to_be_bytes(), sa.cookies.1.0.to_be_bytes()].concat();
            let (protocol, kind) = (Protocol::Isakmp, NotifyKind::InitialContact);
            payloads.push(Payload::Notify(Notify { protocol, spi, kind, data: Vec::new() }));
        }
        let (bytes, base) = sa.cipher.seal(&iv, &header(sa.cookies, Exchange::Aggressive, 0), &payloads);
        sa.base = base;
        (sa, bytes)
    }

    /// Main mode; what comes back is the first of XAUTH, if there is one. `None`: no answer to the fifth message.
    #[track_caller]
    pub fn main_mode(&mut self, world: &mut World) -> Option<(SaV1, Vec<IkeDatagram>)> {
        // initiator --> HDR, SA, VID …
        // responder <-- HDR, SA, VID …
        let cookie_i = IkeSpi(self.word());
        let sa_payload = self.sa_payload();
        let payloads: Vec<Payload> = std::iter::once(sa_payload.clone()).chain(self.vendor_ids()).collect();
        let first = build(&header((cookie_i, IkeSpi(0)), Exchange::MainMode, 0), &payloads);
        let answer = self.one(world, &self.on_500(first));
        let incoming = parse(&answer).unwrap();
        let Body::Clear(chain) = &incoming.body else { panic!() };
        let cookies = (cookie_i, incoming.header.responder_cookie);
        let offer = chain.sa().unwrap().0[0].transforms[0].ike().unwrap();
        let version = chain.vendor_ids().filter_map(Vendor::recognise).find_map(|vendor| match vendor {
            Vendor::NatTraversal(version) => Some(version),
            _ => None,
        });

        // initiator --> HDR, KE, Ni, NAT-D, NAT-D
        // responder <-- HDR, KE, Nr, NAT-D, NAT-D
        let pair = KeyPair::generate(offer.group, &mut self.random);
        let (public_i, nonce_i) = (pair.public().to_vec(), self.bytes(32));
        let mut payloads = vec![Payload::Ke(public_i.clone()), Payload::Nonce(nonce_i.clone())];
        let floats = std::mem::replace(&mut self.floats, false);
        payloads.extend(version.into_iter().flat_map(|version| self.nat_d(cookies, version.numbers())));
        self.floats = floats;
        let third = build(&header(cookies, Exchange::MainMode, 0), &payloads);
        let answer = self.one(world, &self.on_500(third));
        let incoming = parse(&answer).unwrap();
        let Body::Clear(chain) = &incoming.body else { panic!() };
        let (public_r, nonce_r) = (chain.ke().unwrap(), chain.nonce().unwrap());
        let shared = pair.agree(public_r).unwrap();

        // initiator --> HDR*, IDii, HASH_I
        // responder <-- HDR*, IDir, HASH_R
        // Hybrid: whose signature it is does not matter to this client.
        let signed = self.method == AuthMethod::HybridInitRsa;
        let skeyid = match signed {
            true => Skeyid::of_signatures(Suite::from(offer), &shared, &nonce_i, nonce_r),
            false => Skeyid::of_psk(Suite::from(offer), &self.secret, &nonce_i, nonce_r),
        };
        let sa_i = payload_body(&sa_payload);
        let (cookie_i, cookie_r) = cookies;
        let over = Transcript { public_i: &public_i, public_r, cookie_i, cookie_r, sa_i: &sa_i };
        let identity = Payload::Id(Identification::of(self.group.clone()));
        let hash_i = skeyid.hash_i(&over, &payload_body(&identity)).expose().to_vec();
        let keys = skeyid.derive(&shared, cookie_i, cookie_r);
        let cipher = keys.cipher();
        let iv = cipher.phase_1_iv(&public_i, public_r);
        let fifth = header(cookies, Exchange::MainMode, 0);
        let (fifth, iv) = cipher.seal(&iv, &fifth, &[identity, Payload::Hash(hash_i)]);
        let mut sent = world.deliver(&self.later(fifth));
        if sent.is_empty() {
            return None;
        }
        let answer = sent.remove(0);
        let incoming = parse(&answer.bytes).unwrap();
        let Body::Sealed(sealed) = &incoming.body else { panic!() };
        let opened = cipher.open(&iv, sealed).unwrap();
        let chain = opened.chain().unwrap();
        let (_, id_r) = chain.id().unwrap();
        if !signed {
            assert_eq!(skeyid.hash_r(&over, id_r), SecretBytes::from(chain.hash().unwrap()));
        }
        let base = opened.next.clone();
        Some((SaV1 { cookies, keys, cipher, base, chains: BTreeMap::new(), number: 0 }, sent))
    }

    /// One message, one answer that is no longer.
    #[track_caller]
    fn one(&self, world: &mut World, datagram: &IkeDatagram) -> Vec<u8> {
        let mut sent = world.deliver(datagram);
        assert_eq!(sent.len(), 1, "one answer");
        let answer = sent.remove(0);
        assert!(answer.bytes.len() <= datagram.bytes.len());
        answer.bytes
    }

    /// All of aggressive mode, and the answer to the user's question; AAA has been asked.
    #[track_caller]
    pub fn up_to_user(&mut self, world: &mut World) -> SaV1 {
        let half = self.aggressive(world);
        let (mut sa, bytes) = self.aggressive_3(half);
        let sent = world.deliver(&self.later(bytes));
        let [question] = &sent[..] else { panic!("one question, not {}", sent.len()) };
        assert_eq!(*question, IkeDatagram { bytes: question.bytes.clone(), ..self.later(vec![]) });
        self.answer_user(world, &mut sa, &question.bytes);
        sa
    }

    /// Answers XAUTH's question.
    #[track_caller]
    pub fn answer_user(&mut self, world: &mut World, sa: &mut SaV1, question: &[u8]) {
        let (message_id, config) = sa.transaction(question);
        assert_eq!(config.kind, ConfigKind::Request);
        let attributes = config.attributes.iter().filter_map(|attribute| match attribute.kind {
            number::XAUTH_USER_NAME => Some(Attribute::long(number::XAUTH_USER_NAME, self.user.as_bytes())),
            number::XAUTH_USER_PASSWORD | number::XAUTH_PASSCODE => {
                Some(Attribute::long(attribute.kind, self.password.as_bytes()))
            }
            _ => None,
        });
        let reply =
            ModeConfig { kind: ConfigKind::Reply, identifier: config.identifier, attributes: attributes.collect() };
        let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(reply)]);
        assert!(world.deliver(&self.later(bytes)).is_empty(), "AAA is asked first");
    }

    /// Acknowledges XAUTH's status, and says which it was.
    #[track_caller]
    pub fn told(&mut self, sa: &mut SaV1, bytes: &[u8]) -> (u64, Vec<u8>) {
        let (message_id, config) = sa.transaction(bytes);
        assert_eq!(config.kind, ConfigKind::Set);
        let [status] = &config.attributes[..] else { panic!("{config:?}") };
        assert_eq!(status.kind, number::XAUTH_STATUS);
        let mut ack = config.clone();
        ack.kind = ConfigKind::Ack;
        (status.value.number().unwrap(), sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(ack)]))
    }

    /// Up to the end of XAUTH.
    #[track_caller]
    pub fn log_in(&mut self, world: &mut World) -> SaV1 {
        let (sa, sent) = self.log_in_told(world);
        assert!(sent.is_empty());
        sa
    }

    /// And what comes behind that.
    #[track_caller]
    pub fn log_in_told(&mut self, world: &mut World) -> (SaV1, Vec<IkeDatagram>) {
        let mut sa = self.up_to_user(world);
        let sent = world.accept();
        let [status] = &sent[..] else { panic!("one status, not {}", sent.len()) };
        let (status, ack) = self.told(&mut sa, &status.bytes);
        assert_eq!(status, 1);
        let sent = world.deliver(&self.later(ack));
        (sa, sent)
    }

    /// Mode config.
    #[track_caller]
    pub fn pull(&mut self, world: &mut World, sa: &mut SaV1) -> ModeConfig {
        let request = ModeConfig { kind: ConfigKind::Request, identifier: 20, attributes: self.asks.clone() };
        let message_id = self.word() as u32;
        let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(request)]);
        let sent = world.deliver(&self.later(bytes));
        let [reply] = &sent[..] else { panic!("one reply, not {}", sent.len()) };
        let (answered, config) = sa.transaction(&reply.bytes);
        assert_eq!((answered, config.kind, config.identifier), (message_id, ConfigKind::Reply, 20));
        config
    }

    pub fn esp_offer(&self) -> EspOffer {
        EspOffer {
            suite: adit_crypto::suite::CipherSuite::new(Encr::Aes256Cbc, Some(Integ::HmacSha1_96)).unwrap(),
            group: self.pfs,
            encapsulation: self.encapsulation,
            numbers: SequenceNumbers::Plain,
            life: LifeTime { seconds: Some(3600), kilobytes: None },
        }
    }

    pub fn quick_ids(address: Ipv4Addr) -> [Identification; 2] {
        let everything = adit_control::ike::narrow::selector_of_net("0.0.0.0/0".parse().unwrap());
        let whom = Whom::One(Id { kind: IdKind::Ipv4, bytes: address.octets().to_vec() });
        [Identification { whom, protocol: 0, port: 0 }, Identification::of_selector(&everything).unwrap()]
    }

    /// Quick mode's first two messages; the third is for the caller to send.
    #[track_caller]
    pub fn quick(&mut self, world: &mut World, sa: &mut SaV1, address: Ipv4Addr) -> (EspV1, Vec<u8>) {
        let message_id = self.word() as u32;
        let nonce_i = self.bytes(20);
        let spi_in = self.word() as u32 | 0x1000;
        let pair = self.pfs.map(|group| KeyPair::generate(group, &mut self.random));
        let transforms = vec![self.esp_offer().transform(1).unwrap()];
        let spi = spi_in.to_be_bytes().to_vec();
        let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi, transforms };
        let ids = Self::quick_ids(address);
        let mut payloads = vec![Payload::Sa(vec![proposal]), Payload::Nonce(nonce_i.clone())];
        payloads.extend(pair.as_ref().map(|pair| Payload::Ke(pair.public().to_vec())));
        payloads.extend(ids.clone().map(Payload::Id));
        let bytes = sa.say(Exchange::QuickMode, message_id, &payloads);
        let sent = world.deliver(&self.later(bytes));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        let incoming = parse(&answer.bytes).unwrap();
        assert_eq!(incoming.header.message_id, message_id);
        let opened = sa.opened(&incoming);
        let chain = opened.chain().unwrap();
        let (hash, behind) = chain.hash_first().unwrap();
        assert_eq!(sa.keys.hash_2(message_id, &nonce_i, behind), SecretBytes::from(hash), "HASH(2)");
        sa.chains.insert(message_id, opened.next.clone());
        assert_eq!(chain.client_ids().unwrap().map(|(id, _)| id.clone()), ids, "IDs come back as they were sent");
        let ([proposal], _) = chain.sa().unwrap() else { panic!() };
        let spi_out = u32::from_be_bytes(proposal.spi.as_slice().try_into().unwrap());
        let offer = proposal.transforms[0].esp().unwrap();
        assert_eq!(offer, self.esp_offer());
        let shared = pair.map(|pair| pair.agree(chain.ke().unwrap()).unwrap());
        let nonce_r = chain.nonce().unwrap();
        let input = QuickInput { shared: shared.as_ref(), nonce_i: &nonce_i, nonce_r };
        let cipher = |spi| {
            let keys = sa.keys.esp(offer.suite, spi, &input);
            EspCipher::new(Backend::Auto, offer.suite, keys.encr.expose(), keys.integ.expose()).unwrap()
        };
        let notes = chain.notifications().cloned().collect();
        let esp = EspV1 { spi_in, spi_out, inbound: cipher(spi_in), outbound: cipher(spi_out), notes };
        let hash_3 = sa.keys.hash_3(message_id, &nonce_i, nonce_r).expose().to_vec();
        let third = sa.seal(Exchange::QuickMode, message_id, &[Payload::Hash(hash_3)]);
        (esp, third)
    }

    /// Answers a quick mode of the headend's as vpnc does: by what stands in it, with our SPI and nonce. What comes
    /// back is its third message.
    #[track_caller]
    pub fn answer_quick(
        &mut self,
        world: &mut World,
        sa: &mut SaV1,
        asked: &Header,
        payloads: &[Payload],
    ) -> Vec<IkeDatagram> {
        let mut answer = payloads.to_vec();
        let Some(Payload::Nonce(nonce_i)) = payloads.get(1) else { panic!("{payloads:?}") };
        let spi = (self.word() as u32 | 0x1000).to_be_bytes().to_vec();
        if let [Payload::Sa(proposals), Payload::Nonce(nonce), ..] = &mut answer[..] {
            proposals[0].spi = spi;
            *nonce = self.bytes(20);
        }
        let message_id = asked.message_id;
        let hash = |behind: &[u8]| sa.keys.hash_2(message_id, nonce_i, behind);
        let header = header(sa.cookies, Exchange::QuickMode, message_id);
        let (bytes, next) = sa.cipher.seal_hashed(&sa.iv(message_id), &header, &answer, hash);
        sa.chains.insert(message_id, next);
        world.deliver(&self.later(bytes))
    }

    /// All of it: an address, and an ESP SA in use.
    #[track_caller]
    pub fn connect(&mut self, world: &mut World) -> (SaV1, Ipv4Addr, EspV1) {
        let mut sa = self.log_in(world);
        let config = self.pull(world, &mut sa);
        let address = address_in(&config);
        let (esp, third) = self.quick(world, &mut sa, address);
        assert!(world.deliver(&self.later(third)).is_empty());
        (sa, address, esp)
    }

    /// R-U-THERE, and its answer.
    #[track_caller]
    pub fn are_you_there(&mut self, world: &mut World, sa: &mut SaV1) {
        sa.number += 1;
        let bytes = sa.inform(self.word() as u32, dpd(NotifyKind::RUThere, sa.cookies, sa.number));
        let sent = world.deliver(&self.later(bytes));
        let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
        assert_eq!(sa.informed(&answer.bytes), [dpd(NotifyKind::RUThereAck, sa.cookies, sa.number)]);
    }
}

pub fn dpd(kind: NotifyKind, cookies: (IkeSpi, IkeSpi), number: u32) -> Payload {
    let spi = [cookies.0.0.to_be_bytes(), cookies.1.0.to_be_bytes()].concat();
    Payload::Notify(Notify { protocol: Protocol::Isakmp, spi, kind, data: number.to_be_bytes().to_vec() })
}

#[track_caller]
pub fn address_in(config: &ModeConfig) -> Ipv4Addr {
    let address = config.find(number::IP4_ADDRESS).expect("an address").value.octets().unwrap();
    Ipv4Addr::from(<[u8; 4]>::try_from(address).unwrap())
}

pub fn header(cookies: (IkeSpi, IkeSpi), exchange: Exchange, message_id: u32) -> Header {
    let (initiator_cookie, responder_cookie) = cookies;
    Header { initiator_cookie, responder_cookie, exchange, flags: Flags::default(), message_id }
}

impl SaV1 {
    fn iv(&self, message_id: u32) -> Iv {
        let first = || self.cipher.exchange_iv(&self.base, message_id);
        self.chains.get(&message_id).cloned().unwrap_or_else(first)
    }

    /// With HASH(1) in front.
    pub fn say(&mut self, exchange: Exchange, message_id: u32, payloads: &[Payload]) -> Vec<u8> {
        let hash = |behind: &[u8]| self.keys.hash_1(message_id, behind);
        let header = header(self.cookies, exchange, message_id);
        let (bytes, next) = self.cipher.seal_hashed(&self.iv(message_id), &header, payloads, hash);
        self.chains.insert(message_id, next);
        bytes
    }

    /// Without.
    pub fn seal(&mut self, exchange: Exchange, message_id: u32, payloads: &[Payload]) -> Vec<u8> {
        let header = header(self.cookies, exchange, message_id);
        let (bytes, next) = self.cipher.seal(&self.iv(message_id), &header, payloads);
        self.chains.insert(message_id, next);
        bytes
    }

    pub fn inform(&mut self, message_id: u32, payload: Payload) -> Vec<u8> {
        self.say(Exchange::Informational, message_id, &[payload])
    }

    pub fn delete_isakmp(&mut self, message_id: u32) -> Vec<u8> {
        self.inform(message_id, Payload::Delete(Delete::Isakmp(vec![self.cookies])))
    }

    fn opened(&self, incoming: &Incoming<'_>) -> adit_control::ike::v1::cipher::Opened {
        let Body::Sealed(sealed) = &incoming.body else { panic!("a sealed message") };
        self.cipher.open(&self.iv(incoming.header.message_id), sealed).unwrap()
    }

    /// What comes next under this message ID is encrypted as if it were the first.
    pub fn forget_chain(&mut self, message_id: u32) {
        self.chains.remove(&message_id);
    }

    /// The payloads behind a HASH(1) that is right.
    #[track_caller]
    pub fn read(&mut self, bytes: &[u8]) -> (Header, Vec<Payload>) {
        let incoming = parse(bytes).unwrap();
        let message_id = incoming.header.message_id;
        let opened = self.opened(&incoming);
        let chain = opened.chain().unwrap();
        let (hash, behind) = chain.hash_first().unwrap();
        assert_eq!(self.keys.hash_1(message_id, behind), SecretBytes::from(hash));
        self.chains.insert(message_id, opened.next.clone());
        (incoming.header, chain.iter().skip(1).cloned().collect())
    }

    #[track_caller]
    pub fn transaction(&mut self, bytes: &[u8]) -> (u32, ModeConfig) {
        let (header, payloads) = self.read(bytes);
        let [Payload::ModeConfig(config)] = &payloads[..] else { panic!("{payloads:?}") };
        assert_eq!(header.exchange, Exchange::Transaction);
        (header.message_id, config.clone())
    }

    #[track_caller]
    pub fn informed(&mut self, bytes: &[u8]) -> Vec<Payload> {
        let (header, payloads) = self.read(bytes);
        assert_eq!(header.exchange, Exchange::Informational);
        payloads
    }
}

/// Long enough for what waits for a moment.
pub const MOMENT: Duration = Duration::from_secs(3);

/// A message in two of Cisco's fragments.
pub fn in_two(bytes: &[u8]) -> [Vec<u8>; 2] {
    let header = parse_header(bytes).unwrap();
    let (first, last) = bytes.split_at(bytes.len() / 2);
    [(1, FragmentPlace::Inner, first), (2, FragmentPlace::Last, last)]
        .map(|(index, place, data)| build_fragment(&header, &Fragment { id: 7, index, place, data }))
}

/// The exchanges that these are messages of.
pub fn exchanges(sent: &[IkeDatagram]) -> Vec<Exchange> {
    sent.iter().map(|sent| parse_header(&sent.bytes).unwrap().exchange).collect()
}

/// The SPI of a proposal.
#[track_caller]
pub fn spi_in(proposal: &Proposal) -> Spi {
    Spi::new(u32::from_be_bytes(proposal.spi.as_slice().try_into().unwrap())).unwrap()
}
