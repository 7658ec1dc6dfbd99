//! One ISAKMP SA: two cookies, keys, and the exchanges of phase 2 under it (RFC 2408 section 3.1, RFC 2409 section 5).
//!
//! IKEv1 has no order among exchanges and no window. What is remembered of each, for the few that came last, is where
//! its chain of IVs stands, what came last and what was said to that: the same question gets the same answer.

use super::cipher::{Iv, MessageCipher, Opened};
use super::client::Client;
use super::fragments::{Reassembly, cut};
use super::keys::IkeKeys;
use super::life_time::Quiet;
use super::suite::Suite;
use super::wire::{Body, Chain, Delete, Exchange, Flags, Header, IkeSpi, Incoming, Payload, Vendor, build};
use crate::ike::counters::Ignored;
use crate::ike::service::{Node, Role};
use adit_crypto::secret::SecretBytes;
use adit_dataplane::time::Instant;
use std::collections::VecDeque;

/// So many exchanges are remembered. A peer has one or two under way, and repeats none but its last.
const REMEMBERED: usize = 6;
/// So many message IDs of quick mode and transactions are never taken again.
const SPENT: usize = 512;

/// The initiator's and the responder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookies {
    pub(crate) initiator: IkeSpi,
    pub(crate) responder: IkeSpi,
}

impl Cookies {
    /// As a header has them.
    pub(super) fn of(header: &Header) -> Self {
        Self { initiator: header.initiator_cookie, responder: header.responder_cookie }
    }
}

/// Keys and exchanges of one SA.
pub(crate) struct IsakmpSa {
    role: Role,
    cookies: Cookies,
    keys: IkeKeys,
    cipher: MessageCipher,
    /// The last block of phase 1.
    base: Iv,
    /// The peer's last message of phase 1, and what we said to that.
    last: (Vec<u8>, Vec<u8>),
    recent: VecDeque<Remembered>,
    spent: VecDeque<u32>,
    pub(super) client: Client,
    pub(super) fragments: Reassembly,
    /// Nobody has replaced it by then.
    pub(super) end: Option<Instant>,
    /// How long it lives, in seconds, if the peer is to be told.
    pub(super) life_told: Option<u64>,
    /// When the peer had better not be asked anything.
    pub(super) quiet: Option<Quiet>,
}

/// One exchange.
struct Remembered {
    message_id: u32,
    next: Iv,
    received: Vec<u8>,
    answer: Vec<u8>,
}

/// What a message is, before anybody has vouched for it.
pub(super) enum Arrived {
    /// It has come before and was answered with this, or with nothing.
    Again(Vec<u8>),
    /// It is new. [`IsakmpSa::accept`] it if its hash is right, else nothing has happened.
    New(Opened),
}

/// What stands in the HASH payload of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hashed<'a> {
    /// HASH(1), and that of informational and transaction exchanges.
    One,
    /// HASH(2) of quick mode.
    Two {
        /// Ni_b.
        nonce_i: &'a [u8],
    },
}

/// What phase 1 leaves behind.
pub(super) struct Phase1 {
    pub(super) role: Role,
    pub(super) cookies: Cookies,
    pub(super) keys: IkeKeys,
    pub(super) cipher: MessageCipher,
    pub(super) base: Iv,
    pub(super) client: Client,
    pub(super) end: Option<Instant>,
    pub(super) last: (Vec<u8>, Vec<u8>),
}

impl IsakmpSa {
    /// Phase 1 is over.
    pub(super) fn new(phase_1: Phase1) -> Self {
        let Phase1 { role, cookies, keys, cipher, base, client, end, last } = phase_1;
        let (recent, spent, fragments) = (VecDeque::new(), VecDeque::new(), Reassembly::default());
        let (life_told, quiet) = (None, None);
        Self { role, cookies, keys, cipher, base, last, recent, spent, client, fragments, end, life_told, quiet }
    }

    /// The algorithms.
    pub(super) fn suite(&self) -> Suite {
        self.keys.suite()
    }

    /// Both cookies.
    pub(super) fn cookies(&self) -> Cookies {
        self.cookies
    }

    /// Which end of phase 1 we were.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Its keys.
    pub(super) fn keys(&self) -> &IkeKeys {
        &self.keys
    }

    /// Our own cookie, by which messages find it.
    pub(crate) fn spi(&self) -> IkeSpi {
        match self.role {
            Role::Initiator => self.cookies.initiator,
            Role::Responder => self.cookies.responder,
        }
    }

    /// Decrypts a message, unless it has come before.
    pub(super) fn open(&self, incoming: &Incoming<'_>) -> Result<Arrived, Ignored> {
        let Header { message_id, exchange, .. } = incoming.header;
        let Body::Sealed(sealed) = &incoming.body else { return Err(Ignored::NotProtected) };
        // RFC 2408 section 3.1: phase 1 alone has none. But vpnc's goodbyes have one octet of chance for it, which one in 256 times is zero.
        if message_id == 0 && exchange != Exchange::Informational {
            return match self.last.0 == incoming.bytes {
                true => Ok(Arrived::Again(self.last.1.clone())),
                false => Err(Ignored::UnexpectedExchange),
            };
        }
        let iv = match exchange {
            // One message and no answer, so there is no chain; vpnc says two things under one ID.
            Exchange::Informational => self.cipher.exchange_iv(&self.base, message_id),
            Exchange::Transaction | Exchange::QuickMode => match self.remembered(message_id) {
                Some(known) if known.received == incoming.bytes => return Ok(Arrived::Again(known.answer.clone())),
                Some(known) => known.next.clone(),
                None if self.spent.contains(&message_id) => return Err(Ignored::OldMessageId),
                None => self.cipher.exchange_iv(&self.base, message_id),
            },
            Exchange::MainMode | Exchange::Aggressive => return Err(Ignored::UnexpectedExchange),
        };
        self.cipher.open(&iv, sealed).map(Arrived::New).map_err(|_not_blocks| Ignored::Malformed)
    }

    /// Whether a message's first payload is the hash of all behind it. The comparison takes constant time.
    pub(super) fn vouches(&self, message_id: u32, chain: &Chain<'_>, hashed: Hashed<'_>) -> bool {
        let Some((said, behind)) = chain.hash_first() else { return false };
        self.hash(message_id, hashed, behind) == SecretBytes::from(said)
    }

    /// A message whose hash is right: its exchange goes on behind it.
    pub(super) fn accept(&mut self, incoming: &Incoming<'_>, opened: &Opened) {
        let message_id = incoming.header.message_id;
        match incoming.header.exchange {
            // What these say is safe to hear twice.
            Exchange::Informational => {}
            Exchange::Transaction | Exchange::QuickMode | Exchange::MainMode | Exchange::Aggressive => {
                let remembered = self.remember(message_id, &opened.next);
                incoming.bytes.clone_into(&mut remembered.received);
                remembered.answer.clear();
                self.spend(message_id);
            }
        }
    }

    /// A message of ours in an exchange. It is kept, in case the peer asks again.
    pub(super) fn say(
        &mut self,
        node: &Node,
        exchange: Exchange,
        message_id: u32,
        hashed: Hashed<'_>,
        payloads: &[Payload],
    ) -> Vec<u8> {
        let (header, iv) = self.next(exchange, message_id);
        let hash = |behind: &[u8]| self.hash(message_id, hashed, behind);
        let (bytes, next) = self.cipher.seal_hashed(&iv, &header, payloads, hash);
        self.said(node, &header, bytes, &next)
    }

    /// The last message of a quick mode: HASH(3) and nothing else.
    pub(super) fn say_hash_3(&mut self, node: &Node, message_id: u32, nonce_i: &[u8], nonce_r: &[u8]) -> Vec<u8> {
        let (header, iv) = self.next(Exchange::QuickMode, message_id);
        let hash = self.keys.hash_3(message_id, nonce_i, nonce_r);
        // It leaves for the peer in this message.
        let payload = Payload::Hash(hash.expose().to_vec());
        let (bytes, next) = self.cipher.seal(&iv, &header, &[payload]);
        self.said(node, &header, bytes, &next)
    }

    /// The message that ends it (RFC 2408 section 3.15). It has no answer.
    pub(super) fn goodbye(&mut self, node: &mut Node) -> Vec<u8> {
        let delete = Payload::Delete(Delete::Isakmp(vec![(self.cookies.initiator, self.cookies.responder)]));
        let message_id = self.new_message_id(node);
        self.say(node, Exchange::Informational, message_id, Hashed::One, &[delete])
    }

    /// A message ID for an exchange of ours: random, not zero, not used before (RFC 2408 section 3.1).
    pub(super) fn new_message_id(&mut self, node: &mut Node) -> u32 {
        loop {
            let mut bytes = [0; 4];
            node.random.fill(&mut bytes);
            let message_id = u32::from_be_bytes(bytes);
            if message_id != 0 && self.remembered(message_id).is_none() && !self.spent.contains(&message_id) {
                return message_id;
            }
        }
    }

    fn hash(&self, message_id: u32, hashed: Hashed<'_>, behind: &[u8]) -> SecretBytes {
        match hashed {
            Hashed::One => self.keys.hash_1(message_id, behind),
            Hashed::Two { nonce_i } => self.keys.hash_2(message_id, nonce_i, behind),
        }
    }

    fn next(&self, exchange: Exchange, message_id: u32) -> (Header, Iv) {
        let iv = self.remembered(message_id).map(|known| known.next.clone());
        let iv = iv.unwrap_or_else(|| self.cipher.exchange_iv(&self.base, message_id));
        (header(self.cookies, exchange, message_id), iv)
    }

    fn said(&mut self, node: &Node, header: &Header, bytes: Vec<u8>, next: &Iv) -> Vec<u8> {
        let bytes = in_fragments(node, &self.client, header, bytes);
        match header.exchange {
            Exchange::Informational => {}
            Exchange::Transaction | Exchange::QuickMode | Exchange::MainMode | Exchange::Aggressive => {
                bytes.clone_into(&mut self.remember(header.message_id, next).answer);
            }
        }
        bytes
    }

    fn remembered(&self, message_id: u32) -> Option<&Remembered> {
        self.recent.iter().find(|known| known.message_id == message_id)
    }

    /// The exchange's place, its chain moved on.
    fn remember(&mut self, message_id: u32, next: &Iv) -> &mut Remembered {
        let before = self.recent.iter().position(|known| known.message_id == message_id);
        let mut remembered = match before.and_then(|at| self.recent.remove(at)) {
            Some(known) => known,
            None => Remembered { message_id, next: next.clone(), received: Vec::new(), answer: Vec::new() },
        };
        remembered.next = next.clone();
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(remembered);
        let last = self.recent.len() - 1;
        &mut self.recent[last]
    }

    fn spend(&mut self, message_id: u32) {
        if self.spent.contains(&message_id) {
            return;
        }
        if self.spent.len() >= SPENT {
            self.spent.pop_front();
        }
        self.spent.push_back(message_id);
    }
}

/// Whether a message with HASH(1) can be of this exchange, by what it holds. No hash covers the header: whoever changes
/// the exchange's name on the way must not use up the message ID of the other exchange.
pub(super) fn begins(exchange: Exchange, chain: &Chain<'_>) -> bool {
    match exchange {
        Exchange::QuickMode => chain.sa().is_some(),
        Exchange::Transaction => chain.iter().filter(|payload| matches!(payload, Payload::ModeConfig(_))).count() == 1,
        Exchange::Informational => true,
        Exchange::MainMode | Exchange::Aggressive => false,
    }
}

/// A message's header. Whether it is encrypted is for the cipher to say.
pub(super) fn header(cookies: Cookies, exchange: Exchange, message_id: u32) -> Header {
    Header {
        initiator_cookie: cookies.initiator,
        responder_cookie: cookies.responder,
        exchange,
        flags: Flags::default(),
        message_id,
    }
}

/// A message in the clear.
pub(super) fn clear(cookies: Cookies, exchange: Exchange, payloads: &[Payload]) -> Vec<u8> {
    build(&header(cookies, exchange, 0), payloads)
}

/// Cut as Cisco does, if it is long and the peer can put it together: one fragment after the other, which
/// [`Node::send_ike`] takes apart.
pub(super) fn in_fragments(node: &Node, client: &Client, header: &Header, bytes: Vec<u8>) -> Vec<u8> {
    let most = node.fragment_limit();
    if bytes.len() <= most || !client.is(Vendor::Fragmentation) {
        return bytes;
    }
    cut(header, &bytes, most)
}
