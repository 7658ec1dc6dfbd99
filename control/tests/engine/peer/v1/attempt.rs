//! A client that gives up where it does not understand: its messages are changed on their way, or it lies.

use super::*;
use adit_control::pki::{Certificate, OwnCertificate};
use std::sync::Arc;

/// How a login ends, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Everything went as it should: a tunnel, a rekey, DPD.
    Connected,
    /// The same, after something had to be said again.
    AtLast,
    /// The headend's proof is wrong.
    RefusedByClient,
    /// No answer that makes sense, before the user was asked for.
    Silence,
    /// The user was asked for, and what came later made no sense.
    Stuck,
}

/// The `message`th message on the line, of both ends, arrives with octet `at` changed to `value`.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub message: usize,
    pub at: usize,
    pub value: u8,
}

/// What a liar says in place of its `message`th message's payloads.
pub type Lie<'a> = &'a dyn Fn(&[Payload]) -> Vec<Payload>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase1 {
    Aggressive,
    Main,
}

pub struct Attempt<'a> {
    pub world: &'a mut World,
    pub client: ClientV1,
    pub change: Option<Change>,
    pub lie: Option<(usize, Lie<'a>)>,
    /// For methods that the client proves itself by one.
    pub certificate: Option<Arc<OwnCertificate>>,
    /// What arrived, of both ends, in order.
    pub passed: Vec<Vec<u8>>,
    /// What the client meant to say, message by message.
    pub meant: Vec<Vec<Payload>>,
    /// Octets that came in, and that went out.
    pub octets: (usize, usize),
    repeated: bool,
    asked_user: bool,
    refused: bool,
}

impl<'a> Attempt<'a> {
    pub fn new(world: &'a mut World, client: ClientV1) -> Self {
        let (passed, meant) = (Vec::new(), Vec::new());
        Self {
            world,
            client,
            change: None,
            lie: None,
            certificate: None,
            passed,
            meant,
            octets: (0, 0),
            repeated: false,
            asked_user: false,
            refused: false,
        }
    }

    /// All of it.
    pub fn run(&mut self, mode: Phase1) -> End {
        match self.play(mode) {
            Some(()) if self.repeated => End::AtLast,
            Some(()) => End::Connected,
            None if self.refused => End::RefusedByClient,
            None if self.asked_user => End::Stuck,
            None => End::Silence,
        }
    }

    fn play(&mut self, mode: Phase1) -> Option<()> {
        let (mut sa, question) = match mode {
            Phase1::Aggressive => self.aggressive()?,
            Phase1::Main => self.main()?,
        };
        // Two rounds: the first password is wrong.
        let asked = self.read(&mut sa, &question)?;
        self.answer_user(&mut sa, &asked)?;
        let again = self.judged(Verdict::Reject(Rejection { why: Why::WrongPassword, message: None }))?;
        let asked = self.read(&mut sa, &again)?;
        self.answer_user(&mut sa, &asked)?;
        let told = self.judged(Verdict::Accept(Box::new(profile())))?;
        let (header, payloads) = self.read(&mut sa, &told)?;
        let [Payload::ModeConfig(status)] = &payloads[..] else { return None };
        if status.find(number::XAUTH_STATUS)?.value.number() != Some(1) {
            return None;
        }
        let mut ack = status.clone();
        ack.kind = ConfigKind::Ack;
        self.say(&mut sa, Exchange::Transaction, header.message_id, vec![Payload::ModeConfig(ack)]);

        // Mode config.
        let request = ModeConfig { kind: ConfigKind::Request, identifier: 20, attributes: self.client.asks.clone() };
        let message_id = self.client.word() as u32;
        let replies = self.say(&mut sa, Exchange::Transaction, message_id, vec![Payload::ModeConfig(request)]);
        let (_, payloads) = self.read(&mut sa, replies.first()?)?;
        let [Payload::ModeConfig(reply)] = &payloads[..] else { return None };
        let octets = reply.find(number::IP4_ADDRESS)?.value.octets()?;
        let address = Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?);

        self.quick(&mut sa, address)?;
        self.quick(&mut sa, address)?;
        let dpd_number = 1;
        let question = dpd(NotifyKind::RUThere, sa.cookies, dpd_number);
        let message_id = self.client.word() as u32;
        let answers = self.say(&mut sa, Exchange::Informational, message_id, vec![question]);
        let (_, answer) = self.read(&mut sa, answers.first()?)?;
        (answer == [dpd(NotifyKind::RUThereAck, sa.cookies, dpd_number)]).then_some(())?;
        self.asked_by_headend(&mut sa)
    }

    /// The headend rekeys; the client answers, and deletes what is replaced.
    fn asked_by_headend(&mut self, sa: &mut SaV1) -> Option<()> {
        let view = self.world.engine.sessions(self.world.now);
        let up = view.iter().find(|view| view.state == adit_control::session::SessionState::Up)?;
        let id = up.id.trim_start_matches('s').parse().ok()?;
        self.world.engine.rekey_children(self.world.now, adit_control::session::SessionId(id));
        let sent = self.world.drain();
        let asked = sent.into_iter().next()?.bytes;
        let asked = self.pass(asked);
        let (header, payloads) = self.read(sa, &asked)?;
        let [Payload::Sa(proposals), Payload::Nonce(nonce_i), rest @ ..] = &payloads[..] else { return None };
        let mut proposals = proposals.clone();
        let old = u32::from_be_bytes(<[u8; 4]>::try_from(proposals.first()?.spi.as_slice()).ok()?);
        proposals[0].spi = (self.client.word() as u32 | 0x1000).to_be_bytes().to_vec();
        let mut answer = vec![Payload::Sa(proposals), Payload::Nonce(self.client.bytes(20))];
        answer.extend(rest.iter().map(|payload| match payload {
            // Its own value and a secret that the test need not know.
            Payload::Ke(_) => {
                let group = self.client.pfs.unwrap_or(KexGroup::Ecp256);
                Payload::Ke(KeyPair::generate(group, &mut self.client.random).public().to_vec())
            }
            other => other.clone(),
        }));
        let message_id = header.message_id;
        let answer = self.lied(answer);
        let nonce_i = nonce_i.clone();
        let hash = |behind: &[u8]| sa.keys.hash_2(message_id, &nonce_i, behind);
        let to_send = super::header(sa.cookies, Exchange::QuickMode, message_id);
        let (bytes, next) = sa.cipher.seal_hashed(&sa.iv(message_id), &to_send, &answer, hash);
        sa.chains.insert(message_id, next);
        let thirds = self.send_later(bytes);
        (!thirds.is_empty()).then_some(())?;
        let gone = Payload::Delete(Delete::Esp(vec![old]));
        let message_id = self.client.word() as u32;
        self.say(sa, Exchange::Informational, message_id, vec![gone]);
        Some(())
    }

    fn answer_user(&mut self, sa: &mut SaV1, (header, payloads): &(Header, Vec<Payload>)) -> Option<()> {
        let [Payload::ModeConfig(config)] = &payloads[..] else { return None };
        if header.exchange != Exchange::Transaction || config.kind != ConfigKind::Request {
            return None;
        }
        self.asked_user = true;
        let attributes = vec![
            Attribute::long(number::XAUTH_USER_NAME, self.client.user.as_bytes()),
            Attribute::long(number::XAUTH_USER_PASSWORD, self.client.password.as_bytes()),
        ];
        let reply = ModeConfig { kind: ConfigKind::Reply, identifier: config.identifier, attributes };
        self.say(sa, Exchange::Transaction, header.message_id, vec![Payload::ModeConfig(reply)]);
        Some(())
    }

    /// AAA answers, if it was asked; what the client is told.
    fn judged(&mut self, verdict: Verdict) -> Option<Vec<u8>> {
        let question = self.world.dataplane.questions.pop()?;
        self.world.engine.handle_answer(self.world.now, Answer { id: question.id, verdict });
        let sent = self.world.drain();
        let bytes = sent.into_iter().next()?.bytes;
        Some(self.pass(bytes))
    }

    fn quick(&mut self, sa: &mut SaV1, address: Ipv4Addr) -> Option<()> {
        let message_id = self.client.word() as u32;
        let nonce_i = self.client.bytes(20);
        let spi_in = self.client.word() as u32 | 0x1000;
        let pair = self.client.pfs.map(|group| KeyPair::generate(group, &mut self.client.random));
        let transforms = vec![self.client.esp_offer().transform(1)?];
        let spi = spi_in.to_be_bytes().to_vec();
        let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi, transforms };
        let mut payloads = vec![Payload::Sa(vec![proposal]), Payload::Nonce(nonce_i.clone())];
        payloads.extend(pair.as_ref().map(|pair| Payload::Ke(pair.public().to_vec())));
        payloads.extend(ClientV1::quick_ids(address).map(Payload::Id));
        let answers = self.say(sa, Exchange::QuickMode, message_id, payloads);
        let answer = answers.first()?;
        let incoming = parse(answer).ok()?;
        let Body::Sealed(sealed) = &incoming.body else { return None };
        if (incoming.header.exchange, incoming.header.message_id) != (Exchange::QuickMode, message_id) {
            return None;
        }
        let opened = sa.cipher.open(&sa.iv(message_id), sealed).ok()?;
        let chain = opened.chain().ok()?;
        let (hash, behind) = chain.hash_first()?;
        if sa.keys.hash_2(message_id, &nonce_i, behind) != SecretBytes::from(hash) {
            return None;
        }
        sa.chains.insert(message_id, opened.next.clone());
        let hash_3 = sa.keys.hash_3(message_id, &nonce_i, chain.nonce()?).expose().to_vec();
        let payloads = self.lied(vec![Payload::Hash(hash_3)]);
        let third = sa.seal(Exchange::QuickMode, message_id, &payloads);
        self.send_later(third);
        Some(())
    }

    fn aggressive(&mut self) -> Option<(SaV1, Vec<u8>)> {
        let (honest, pair, payloads) = self.client.aggressive_1();
        let said = self.lied(payloads.clone());
        let first = parse(&honest).ok()?.header;
        let request = build(&first, &said);
        let answer = self.ask(|client| client.on_500(request.clone()), &request)?;
        let Some(half) = self.client.aggressive_2(&request, &answer, pair, &payloads) else {
            self.refused = true;
            return None;
        };
        let HalfV1 { mut sa, hash_i, iv, numbers } = half;
        let mut payloads = vec![Payload::Hash(hash_i.expose().to_vec())];
        payloads.extend(numbers.into_iter().flat_map(|numbers| self.client.nat_d(sa.cookies, numbers)));
        let spi = [sa.cookies.0.0.to_be_bytes(), sa.cookies.1.0.to_be_bytes()].concat();
        let kind = NotifyKind::InitialContact;
        payloads.push(Payload::Notify(Notify { protocol: Protocol::Isakmp, spi, kind, data: Vec::new() }));
        let payloads = self.lied(payloads);
        let third = header(sa.cookies, Exchange::Aggressive, 0);
        let (bytes, base) = sa.cipher.seal(&iv, &third, &payloads);
        sa.base = base;
        let question = self.ask(|client| client.later(bytes.clone()), &bytes)?;
        Some((sa, question))
    }

    fn main(&mut self) -> Option<(SaV1, Vec<u8>)> {
        let cookie_i = IkeSpi(self.client.word());
        let meant: Vec<Payload> = std::iter::once(self.client.sa_payload()).chain(self.client.vendor_ids()).collect();
        let said = self.lied(meant);
        let first = build(&header((cookie_i, IkeSpi(0)), Exchange::MainMode, 0), &said);
        let sa_i = match parse(&first).ok()?.body {
            Body::Clear(chain) => chain.sa()?.1.to_vec(),
            Body::Sealed(_) | Body::Fragment(_) => return None,
        };
        let answer = self.ask(|client| client.on_500(first.clone()), &first)?;
        let incoming = parse(&answer).ok()?;
        let Body::Clear(chain) = &incoming.body else { return None };
        let cookies = (incoming.header.initiator_cookie, incoming.header.responder_cookie);
        if cookies.0 != cookie_i || incoming.header.exchange != Exchange::MainMode {
            return None;
        }
        let offer = chain.sa()?.0.first()?.transforms.first()?.ike().ok()?;
        if offer != self.client.offer() {
            self.refused = true;
            return None;
        }
        let version = chain.vendor_ids().filter_map(Vendor::recognise).find_map(|vendor| match vendor {
            Vendor::NatTraversal(version) => Some(version),
            _ => None,
        });

        let pair = KeyPair::generate(offer.group, &mut self.client.random);
        let (public_i, nonce_i) = (pair.public().to_vec(), self.client.bytes(32));
        let mut meant = vec![Payload::Ke(public_i.clone()), Payload::Nonce(nonce_i.clone())];
        let floats = std::mem::replace(&mut self.client.floats, false);
        meant.extend(version.into_iter().flat_map(|version| self.client.nat_d(cookies, version.numbers())));
        self.client.floats = floats;
        let said = self.lied(meant);
        let third = build(&header(cookies, Exchange::MainMode, 0), &said);
        let answer = self.ask(|client| client.on_500(third.clone()), &third)?;
        let incoming = parse(&answer).ok()?;
        let Body::Clear(chain) = &incoming.body else { return None };
        if (incoming.header.initiator_cookie, incoming.header.responder_cookie) != cookies {
            return None;
        }
        let (public_r, nonce_r) = (chain.ke()?, chain.nonce()?);
        let shared = pair.agree(public_r).ok()?;

        let suite = Suite::from(offer);
        let signed = match offer.method {
            AuthMethod::XauthInitPsk => false,
            AuthMethod::XauthInitRsa | AuthMethod::HybridInitRsa => true,
            other => panic!("{other:?}"),
        };
        let skeyid = match signed {
            false => Skeyid::of_psk(suite, &self.client.secret, &nonce_i, nonce_r),
            true => Skeyid::of_signatures(suite, &shared, &nonce_i, nonce_r),
        };
        let (cookie_i, cookie_r) = cookies;
        let over = Transcript { public_i: &public_i, public_r, cookie_i, cookie_r, sa_i: &sa_i };
        let identity = Payload::Id(Identification::of(self.client.group.clone()));
        let hash_i = skeyid.hash_i(&over, &payload_body(&identity)).expose().to_vec();
        let keys = skeyid.derive(&shared, cookie_i, cookie_r);
        let cipher = keys.cipher();
        let iv = cipher.phase_1_iv(&public_i, public_r);
        let mut meant = vec![identity];
        match &self.certificate {
            Some(own) => {
                let certificate = |der: &Vec<u8>| Payload::Certificate(Payload::X509_SIGNATURE, der.clone());
                meant.extend(own.chain().iter().map(certificate));
                meant.push(Payload::Signature(own.sign_ike_v1(&hash_i, &mut self.client.random)));
            }
            None => meant.push(Payload::Hash(hash_i)),
        }
        let said = self.lied(meant);
        let (fifth, iv) = cipher.seal(&iv, &header(cookies, Exchange::MainMode, 0), &said);
        let mut answers = self.ask_all(|client| client.later(fifth.clone()), &fifth)?.into_iter();
        let sixth = answers.next()?;
        let incoming = parse(&sixth).ok()?;
        let Body::Sealed(sealed) = &incoming.body else { return None };
        let opened = cipher.open(&iv, sealed).ok()?;
        let right = opened.chain().ok().is_some_and(|chain| {
            let Some((_, id_r)) = chain.id() else { return false };
            let hash_r = skeyid.hash_r(&over, id_r);
            if !signed {
                return chain.hash().is_some_and(|hash| hash_r == SecretBytes::from(hash));
            }
            let leaf = chain.iter().find_map(|payload| match payload {
                Payload::Certificate(_, der) => Certificate::from_der(der).ok(),
                _ => None,
            });
            let (Some(leaf), Some(signature)) = (leaf, chain.signature()) else { return false };
            leaf.verify_ike_v1(hash_r.expose(), signature).is_ok()
        });
        if !right {
            self.refused = true;
            return None;
        }
        let base = opened.next.clone();
        let sa = SaV1 { cookies, keys, cipher, base, chains: BTreeMap::new(), number: 0 };
        Some((sa, answers.next()?))
    }

    /// What the client is about to say, or the lie in its place.
    fn lied(&mut self, meant: Vec<Payload>) -> Vec<Payload> {
        let number = self.meant.len();
        self.meant.push(meant.clone());
        match self.lie {
            Some((message, lie)) if message == number => lie(&meant),
            Some(_) | None => meant,
        }
    }

    /// A message of phase 2 with HASH(1) in front, and what comes back.
    fn say(&mut self, sa: &mut SaV1, exchange: Exchange, message_id: u32, meant: Vec<Payload>) -> Vec<Vec<u8>> {
        let payloads = self.lied(meant);
        let bytes = sa.say(exchange, message_id, &payloads);
        self.send_later(bytes)
    }

    fn send_later(&mut self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let datagram = self.client.later(bytes);
        self.send(datagram)
    }

    fn send(&mut self, mut datagram: IkeDatagram) -> Vec<Vec<u8>> {
        datagram.bytes = self.pass(datagram.bytes);
        self.octets.0 += datagram.bytes.len();
        let sent = self.world.deliver(&datagram);
        self.octets.1 += sent.iter().map(|answer| answer.bytes.len()).sum::<usize>();
        sent.into_iter().map(|answer| self.pass(answer.bytes)).collect()
    }

    fn pass(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(change) = self.change.filter(|change| change.message == self.passed.len()) {
            bytes[change.at] = change.value;
        }
        self.passed.push(bytes.clone());
        bytes
    }

    fn ask(&mut self, way: impl Fn(&ClientV1) -> IkeDatagram, question: &[u8]) -> Option<Vec<u8>> {
        self.ask_all(way, question)?.into_iter().next()
    }

    /// Before the user is asked for, whatever gets no answer with its cookie is said again.
    fn ask_all(&mut self, way: impl Fn(&ClientV1) -> IkeDatagram, question: &[u8]) -> Option<Vec<Vec<u8>>> {
        let cookie = &question[..8];
        for again in [false, true, true] {
            self.repeated |= again;
            let datagram = way(&self.client);
            let answers = self.send(datagram);
            // What has no proof yet never pays out more than came in.
            if self.meant.len() == 1 || !self.asked_user && answers.len() == 1 && answers[0][19] & 1 == 0 {
                assert!(self.octets.1 <= self.octets.0, "{:?}", self.octets);
            }
            let fits =
                |answer: &Vec<u8>| parse(answer).is_ok() && answer.starts_with(cookie) && answer[18] == question[18];
            if answers.first().is_some_and(fits) || answers.first().is_some_and(|answer| answer[19] & 1 == 1) {
                return Some(answers);
            }
        }
        None
    }

    fn read(&mut self, sa: &mut SaV1, bytes: &[u8]) -> Option<(Header, Vec<Payload>)> {
        let incoming = parse(bytes).ok()?;
        let Body::Sealed(sealed) = &incoming.body else { return None };
        if (incoming.header.initiator_cookie, incoming.header.responder_cookie) != sa.cookies {
            return None;
        }
        let message_id = incoming.header.message_id;
        let opened = sa.cipher.open(&sa.iv(message_id), sealed).ok()?;
        let chain = opened.chain().ok()?;
        let (hash, behind) = chain.hash_first()?;
        if sa.keys.hash_1(message_id, behind) != SecretBytes::from(hash) {
            return None;
        }
        sa.chains.insert(message_id, opened.next.clone());
        Some((incoming.header, chain.iter().skip(1).cloned().collect()))
    }
}
