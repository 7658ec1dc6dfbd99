//! Hostile input is normal input: whatever comes, nothing panics, nothing unproven changes a session, no answer to
//! an unproven address is longer than its question, and in the end nothing is left.
//!
//! The corpus in `__fuzz__` is replayed by `cargo test`; `cargo bolero test` explores.

use crate::peer;

use adit_control::ike::counters::Ignored;
use adit_control::ike::engine::Holdings;
use adit_control::ike::propose::{ChildExchange, offer_esp, offer_ike};
use adit_control::ike::wire::*;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{Event, IkeDatagram};
use bolero::{TypeGenerator, check};
use peer::client::*;
use peer::{World, config, log_to_nowhere};
use std::time::Duration;

/// A session, a half-open SA, and any octets: as they are, or with a header that finds the one or the other.
#[test]
fn any_octets_from_anywhere_change_no_session() {
    log_to_nowhere();
    check!(name = "engine_octets").for_each(|input: &[u8]| {
        let Some((&how, octets)) = input.split_first() else { return };
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        let (sa, _) = alice.login(&mut world);
        let half = Client::new("bob@rig", 3).init(&mut world);
        let proven =
            |held: Holdings| (held.sessions, held.leases, held.spis, held.tunnels, held.routes, held.identities);
        let before = proven(world.engine.holdings());
        let mut octets = octets.to_vec();
        let spis = match how % 3 {
            0 => None,
            1 => Some((half.sa.spi_i, half.sa.spi_r)),
            _ => Some((sa.spi_i, sa.spi_r)),
        };
        let len = (octets.len() as u32).to_be_bytes();
        if let (Some((spi_i, spi_r)), true) = (spis, octets.len() >= Header::LEN) {
            octets[..8].copy_from_slice(&spi_i.0.to_be_bytes());
            octets[8..16].copy_from_slice(&spi_r.0.to_be_bytes());
            octets[17] = 0x20;
            octets[19] |= 0x08;
            octets[24..28].copy_from_slice(&len);
        }
        let datagram = if how & 0x80 == 0 { alice.on_4500(octets) } else { alice.on_500(octets) };
        let sent = world.deliver(&datagram);
        assert!(sent.len() <= 1);
        assert!(sent.iter().all(|answer| answer.bytes.len() <= datagram.bytes.len()), "no amplification");
        assert!(sent.iter().all(|answer| answer.path == datagram.path));
        assert_eq!(proven(world.engine.holdings()), before);
    });
}

/// What a client may do next, in any order, each with its own idea of the rules.
#[derive(Debug, Clone, Copy, TypeGenerator)]
enum Step {
    /// All of a login, as it should be.
    Login {
        client: u8,
    },
    Init {
        client: u8,
        spoil: Seldom,
    },
    Auth {
        client: u8,
        spoil: Seldom,
    },
    RekeyChild {
        client: u8,
        pfs: bool,
        spoil: Seldom,
    },
    RekeyIke {
        client: u8,
        spoil: Seldom,
    },
    DeleteChild {
        client: u8,
        spoil: Seldom,
    },
    DeleteIke {
        client: u8,
        spoil: Seldom,
    },
    Ask {
        client: u8,
        exchange: u8,
        spoil: Seldom,
    },
    Answer {
        client: u8,
        spoil: Seldom,
    },
    /// A request in fragments, without one of them or with one spoilt, from either end.
    Fragments {
        client: u8,
        limit: u8,
        skip: u8,
        backwards: bool,
        spoil: Seldom,
    },
    Again {
        which: u8,
        port: u8,
    },
    Use {
        which: u8,
    },
    Pass {
        seconds: u8,
    },
    ShutDown,
}

/// Most messages are good, or no story would get far.
#[derive(Debug, Clone, Copy, TypeGenerator)]
struct Seldom {
    chance: u8,
    spoil: Spoil,
}

impl Seldom {
    fn come(self) -> Spoil {
        if self.chance < 192 { Spoil::Nothing } else { self.spoil }
    }
}

/// What is wrong with a message. Before sealing it is the peer's own nonsense, after it somebody else's.
#[derive(Debug, Clone, Copy, TypeGenerator)]
enum Spoil {
    Nothing,
    Flip { at: u16, bit: u8 },
    Cut { at: u16 },
    LeaveOut { payload: u8 },
    Twice { payload: u8 },
    Swap { one: u8, other: u8 },
    Critical { kind: u8 },
    Id { by: u8 },
}

/// One peer: whatever it has got so far.
struct Hostile {
    client: Client,
    init: Option<(Vec<u8>, Vec<u8>, KeyPair)>,
    keyed: Option<Keyed>,
    sas: Vec<Sa>,
    children: Vec<u32>,
    asked: Vec<u32>,
}

#[test]
fn any_order_of_good_and_spoilt_messages_leaves_nothing_behind() {
    log_to_nowhere();
    // One second does not see the corpus through.
    let time = Duration::from_secs(3);
    check!(name = "engine_steps").with_test_time(time).with_type::<Vec<Step>>().with_max_len(512).for_each(|steps| {
        let mut config = config();
        config.ike.half_open_limit = 5;
        config.ike.session_limit = 2;
        config.ike.cookie_threshold = 3;
        config.ike.cookie_threshold_per_source = 2;
        config.ike.fragment_size = 576;
        let mut story = Story {
            world: World::new(config),
            peers: (2..4)
                .map(|host| Hostile {
                    client: Client {
                        first_notifies: vec![NotifyKind::IkeFragmentationSupported],
                        ..Client::new(["alice@rig", "bob@rig"][usize::from(host) - 2], host)
                    },
                    init: None,
                    keyed: None,
                    sas: Vec::new(),
                    children: vec![0x7777],
                    asked: Vec::new(),
                })
                .collect(),
            said: Vec::new(),
        };
        for step in steps.iter().take(40) {
            story.step(*step);
            story.check();
        }
        // Everybody falls silent.
        story.world.pass(Duration::from_secs(2000));
        story.world.assert_nothing_left();
    });
}

struct Story {
    world: World,
    peers: Vec<Hostile>,
    said: Vec<IkeDatagram>,
}

impl Story {
    fn step(&mut self, step: Step) {
        match step {
            Step::Login { client } => {
                let spoil = Seldom { chance: 0, spoil: Spoil::Nothing };
                self.step(Step::Init { client, spoil });
                self.step(Step::Auth { client, spoil });
            }
            Step::Init { client, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let (spi_i, nonce) = (IkeSpi(peer.client.word()), peer.client.bytes(32));
                let pair = KeyPair::generate(KexGroup::X25519, &mut peer.client.random);
                let mut payloads = peer.client.init_payloads(spi_i, &pair, &nonce);
                let spoilt = spoil.payloads(&mut payloads);
                let request = build(&init_header(spi_i), &payloads);
                if !spoilt && matches!(spoil, Spoil::Nothing) {
                    peer.init = Some((request.clone(), nonce, pair));
                }
                let datagram = peer.client.on_500(spoil.octets(request));
                let mut sent = self.deliver(datagram.clone());
                assert!(sent.iter().all(|answer| answer.bytes.len() <= datagram.bytes.len()), "no amplification");
                if let [Ok(Incoming { payloads: said, .. })] =
                    &sent.iter().map(|said| parse(&said.bytes)).collect::<Vec<_>>()[..]
                    && let [Payload::Notify(cookie @ Notify { kind: NotifyKind::Cookie, .. })] = &said[..]
                {
                    payloads.insert(0, Payload::Notify(cookie.clone()));
                    let request = build(&init_header(spi_i), &payloads);
                    let peer = pick(&mut self.peers, client);
                    peer.init = peer.init.take().map(|(_, nonce, pair)| (request.clone(), nonce, pair));
                    let datagram = peer.client.on_500(request);
                    sent = self.deliver(datagram);
                }
                let peer = pick(&mut self.peers, client);
                if let (Some((request, nonce, pair)), [answer]) = (peer.init.take(), &sent[..])
                    && parse(&answer.bytes).is_ok_and(|incoming| incoming.payloads.len() >= 5)
                {
                    peer.keyed = Some(peer.client.keyed(request, answer.bytes.clone(), nonce, pair));
                }
            }
            Step::Auth { client, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let Some(mut keyed) = peer.keyed.take() else { return };
                let (spi_in, payloads) = peer.client.auth_payloads(&keyed);
                peer.children.push(spi_in);
                keyed.sa.next = 1;
                let sent = self.ask(client, &mut keyed.sa, Exchange::IkeAuth, payloads, spoil);
                let peer = pick(&mut self.peers, client);
                match sent {
                    0 => peer.keyed = Some(keyed),
                    _ => peer.sas.push(keyed.sa),
                }
            }
            Step::RekeyChild { client, pfs, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let spi_in = peer.client.word() as u32 | 0x1000;
                let old = peer.children[usize::from(pfs) * (peer.children.len() - 1)];
                let esp = offer_esp(&peer.client.esp, spi_in, ChildExchange::CreateChildSa);
                let about = Some((Protocol::Esp, old.to_be_bytes().to_vec()));
                let pair = KeyPair::generate(KexGroup::X25519, &mut peer.client.random);
                let payloads = vec![
                    Payload::Notify(Notify { about, kind: NotifyKind::RekeySa, data: Vec::new() }),
                    Payload::Sa(esp),
                    Payload::Nonce(peer.client.bytes(32)),
                    Payload::Ke(KeyExchange { group: 31, public: pair.public().to_vec() }),
                    Payload::TsInitiator(everything()),
                    Payload::TsResponder(everything()),
                ];
                peer.children.push(spi_in);
                self.ask_last(client, Exchange::CreateChildSa, payloads, spoil);
            }
            Step::RekeyIke { client, spoil } if matches!(spoil.come(), Spoil::Nothing) => {
                let peer = pick(&mut self.peers, client);
                let Some(mut old) = peer.sas.pop() else { return };
                let new = peer.client.rekey_ike_perhaps(&mut self.world, &mut old);
                peer.sas.push(old);
                peer.sas.extend(new);
            }
            Step::RekeyIke { client, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let pair = KeyPair::generate(KexGroup::X25519, &mut peer.client.random);
                let payloads = vec![
                    Payload::Sa(offer_ike(&peer.client.ike, &[9; 8])),
                    Payload::Nonce(vec![5; 32]),
                    Payload::Ke(KeyExchange { group: 31, public: pair.public().to_vec() }),
                ];
                self.ask_last(client, Exchange::CreateChildSa, payloads, spoil);
            }
            Step::DeleteChild { client, spoil } => {
                let spoil = spoil.come();
                let spi = *pick(&mut self.peers, client).children.last().unwrap_or(&0);
                self.ask_last(client, Exchange::Informational, vec![delete_esp(spi)], spoil);
            }
            Step::DeleteIke { client, spoil } => {
                let spoil = spoil.come();
                self.ask_last(client, Exchange::Informational, vec![delete_ike()], spoil);
            }
            Step::Ask { client, exchange, spoil } => {
                let spoil = spoil.come();
                let all = [Exchange::IkeSaInit, Exchange::IkeAuth, Exchange::CreateChildSa, Exchange::Informational];
                let payloads = vec![notify(NotifyKind::Other(50_000), vec![1]), Payload::Nonce(vec![1; 16])];
                self.ask_last(client, all[usize::from(exchange) % 4], payloads, spoil);
            }
            Step::Answer { client, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let Some(sa) = peer.sas.last_mut() else { return };
                let id = peer.asked.pop().unwrap_or(0);
                let bytes = spoil.octets(sa.answer(id, &[]));
                let datagram = peer.client.on_4500(bytes);
                self.deliver(datagram);
            }
            Step::Fragments { client, limit, skip, backwards, spoil } => {
                let spoil = spoil.come();
                let peer = pick(&mut self.peers, client);
                let Some(sa) = peer.sas.last_mut() else { return };
                let mut payloads = vec![Payload::VendorId(vec![7; 600])];
                spoil.payloads(&mut payloads);
                let header = sa.header(Exchange::Informational, false, sa.next);
                let sealed = sa.ours.seal_in_fragments(80 + usize::from(limit), &header, &payloads);
                let mut cut: Vec<Vec<u8>> = messages(&sealed).map(<[u8]>::to_vec).collect();
                let spoilt = usize::from(skip) % cut.len();
                cut[spoilt] = spoil.octets(std::mem::take(&mut cut[spoilt]));
                if skip < 64 {
                    cut.remove(spoilt);
                }
                if backwards {
                    cut.reverse();
                }
                let datagrams: Vec<_> = cut.into_iter().map(|bytes| peer.client.on_4500(bytes)).collect();
                let answers: usize = datagrams.into_iter().map(|datagram| self.deliver(datagram).len()).sum();
                if answers > 0
                    && let Some(sa) = pick(&mut self.peers, client).sas.last_mut()
                {
                    sa.next += 1;
                }
            }
            Step::Again { which, port } => {
                if self.said.is_empty() {
                    return;
                }
                let mut datagram = self.said[usize::from(which) % self.said.len()].clone();
                if port > 200 {
                    datagram.path.peer.set_port(port.into());
                }
                self.deliver(datagram);
            }
            Step::Use { which } => {
                let tunnels = &self.world.dataplane.tunnels;
                let all: Vec<_> = tunnels
                    .iter()
                    .flat_map(|(key, tunnel)| tunnel.inbound.keys().map(|spi| (key.worker, *spi)))
                    .collect();
                if let Some((worker, spi)) = all.get(usize::from(which) % all.len().max(1)) {
                    self.world.event(*worker, Event::FirstUse { spi: *spi });
                }
            }
            Step::Pass { seconds } => {
                for datagram in self.world.pass(Duration::from_secs(seconds.into())) {
                    let Ok(header) = parse_header(&datagram.bytes) else { continue };
                    for peer in &mut self.peers {
                        if peer.sas.iter().any(|sa| sa.spi_r == header.responder_spi) {
                            peer.asked.push(header.message_id);
                        }
                    }
                }
            }
            Step::ShutDown => {
                self.world.engine.shut_down(self.world.now);
                self.world.drain();
            }
        }
    }

    fn ask_last(&mut self, client: u8, exchange: Exchange, payloads: Vec<Payload>, spoil: Spoil) {
        let Some(mut sa) = pick(&mut self.peers, client).sas.pop() else { return };
        self.ask(client, &mut sa, exchange, payloads, spoil);
        pick(&mut self.peers, client).sas.push(sa);
    }

    /// How many answers came.
    fn ask(&mut self, client: u8, sa: &mut Sa, exchange: Exchange, mut payloads: Vec<Payload>, spoil: Spoil) -> usize {
        spoil.payloads(&mut payloads);
        let before = sa.next;
        if let Spoil::Id { by } = spoil {
            sa.next = sa.next.wrapping_add(u32::from(by)).wrapping_sub(2).min(u32::MAX - 1);
        }
        let bytes = spoil.octets(sa.request(exchange, &payloads));
        let datagram = pick(&mut self.peers, client).client.on_4500(bytes);
        let sent = self.deliver(datagram).len();
        if sent == 0 || matches!(spoil, Spoil::Id { .. }) {
            sa.next = before;
        }
        sent
    }

    fn deliver(&mut self, datagram: IkeDatagram) -> Vec<IkeDatagram> {
        let sent = self.world.deliver(&datagram);
        self.said.push(datagram);
        assert!(sent.len() <= 2, "an answer, and perhaps a question");
        sent
    }

    fn check(&mut self) {
        self.world.assert_books_agree();
        let held = self.world.engine.holdings();
        let tunnels = self.world.dataplane.tunnels.values();
        assert_eq!(held.spis, tunnels.map(|tunnel| tunnel.inbound.len()).sum::<usize>(), "nobody asks for a child");
        // As many as may be, and as many that are ending.
        assert!(held.sessions <= 2 * 2 && held.half_open <= 5 && held.farewells <= 5);
    }
}

impl Spoil {
    /// Before sealing. Whether anything changed.
    fn payloads(self, payloads: &mut Vec<Payload>) -> bool {
        let len = payloads.len().max(1);
        match self {
            Self::LeaveOut { payload } if !payloads.is_empty() => {
                payloads.remove(usize::from(payload) % len);
            }
            Self::Twice { payload } if !payloads.is_empty() => {
                let twice = payloads[usize::from(payload) % len].clone();
                payloads.push(twice);
            }
            Self::Swap { one, other } if !payloads.is_empty() => {
                payloads.swap(usize::from(one) % len, usize::from(other) % len);
            }
            Self::Critical { kind } => payloads.push(Payload::Unknown(kind | 0x80, true)),
            _ => return false,
        }
        true
    }

    /// After sealing.
    fn octets(self, mut octets: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Flip { at, bit } => {
                let at = usize::from(at) % octets.len();
                octets[at] ^= 1 << (bit % 8);
            }
            Self::Cut { at } => octets.truncate(usize::from(at) % octets.len()),
            _ => {}
        }
        octets
    }
}

fn pick(peers: &mut [Hostile], which: u8) -> &mut Hostile {
    let len = peers.len();
    &mut peers[usize::from(which) % len]
}

#[test]
fn a_first_message_that_no_client_sends_is_not_even_read() {
    let mut world = World::new(config());
    let mut client = Client::new("alice@rig", 2);
    let (spi_i, pair) = (IkeSpi(7), KeyPair::generate(KexGroup::X25519, &mut client.random));
    let mut payloads = client.init_payloads(spi_i, &pair, &[3; 32]);
    payloads.push(notify(NotifyKind::Other(40_960), vec![0; 4096]));
    let datagram = client.on_500(build(&init_header(spi_i), &payloads));
    assert!(world.deliver(&datagram).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::TooLong), 1);
    world.assert_nothing_left();
}
