//! A client and its user: calls the headend, sends packets, hangs up.

use super::chance::Chance;
use super::host::HostId;
use super::model::{Subscriber, Wants};
use super::neighbourhood::Address;
use super::settings::{Configs, Passes, Version};
use super::world::{IKE_PORT, NATT_PORT, World};
use adit_control::config::checked::Config;
use adit_control::ike::engine::{Call, CallV1, Carriage, Contact, Credentials, Engine, Mode};
use adit_control::ike::narrow::{selector_of_address, selector_of_net};
use adit_control::ike::wire::Id;
use adit_control::lease::{Ask, Want};
use adit_control::session::{SessionId, SessionState};
use adit_crypto::random::SeededRandom;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{ClusterSlot, Path, Selectors, SpiLayout};
use adit_dataplane::time::Instant;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One of many.
pub(crate) struct Person {
    pub(crate) version: Version,
    mode: Mode,
    pub(crate) address: Address,
    pub(crate) subscriber: Subscriber,
    pub(crate) session: Option<SessionId>,
    /// When it last called.
    pub(crate) called: Instant,
    identity: Id,
    want: Want,
    config: Arc<Config>,
}

/// What one more child SA is to carry, as its client sees it: between this inner address and a part of what is behind the
/// headend. `None` only if there is no such part.
pub(crate) fn to_a_part(inner: IpAddr) -> Option<Selectors> {
    let part = match inner {
        IpAddr::V4(_) => "10.20.0.0/25",
        IpAddr::V6(_) => "fd20::/65",
    };
    let remote = vec![selector_of_net(part.parse().ok()?)];
    Some(Selectors { local: vec![selector_of_address(inner)], remote })
}

/// An engine with chance of its own.
pub(crate) fn engine(config: &Arc<Config>, chance: &mut Chance) -> Engine {
    let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(chance.word()));
    let random = Box::new(SeededRandom::new(chance.word()));
    Engine::new(Arc::clone(config), config.workers.cores.len(), layout, random)
}

impl Person {
    /// Not at home yet. `None` only if the name cannot be an identity.
    pub(crate) fn new(
        number: usize,
        address: Address,
        configs: &Configs,
        version: Version,
        chance: &mut Chance,
    ) -> Option<Self> {
        let name = format!("p{number}@sim");
        let want = match chance.below(4) {
            0 => Want { v4: Ask::Any, v6: Ask::Nothing },
            1 => Want { v4: Ask::Nothing, v6: Ask::Any },
            _ => Want { v4: Ask::Any, v6: Ask::Any },
        };
        let (identity, want, mode, passes) = match version {
            Version::V2 => (Id::parse(&name).ok()?, want, Mode::default(), Passes::default()),
            // IKEv1 gives no IPv6 addresses here, and names the user later.
            Version::V1 => {
                let want = Want { v4: Ask::Any, v6: Ask::Nothing };
                let mode = *chance.one_of(&[Mode::Aggressive, Mode::Main])?;
                let passes =
                    *chance.one_of(&[Passes::Floating, Passes::Floating, Passes::Floating, Passes::Staying])?;
                (Id::parse("keyid:subscribers").ok()?, want, mode, passes)
            }
        };
        Some(Self {
            version,
            mode,
            address,
            subscriber: Subscriber { host: address.host, identity: name.clone(), wants: Wants::Gone },
            session: None,
            called: Instant::ZERO,
            identity,
            want,
            config: Arc::clone(configs.client(version, passes)),
        })
    }

    /// Switches its machine on.
    pub(crate) fn start(&mut self, world: &mut World, chance: &mut Chance) {
        world.switch_on(self.address.host, engine(&self.config, chance));
        self.session = None;
    }

    /// Wants to be up, and calls.
    pub(crate) fn call(&mut self, world: &mut World, contact: Contact) {
        let path = |port| Path {
            local: SocketAddr::new(self.address.own, port),
            peer: SocketAddr::new(self.address.headend, port),
        };
        let call = Call {
            connection: 0,
            identity: self.identity.clone(),
            path: path(IKE_PORT),
            natt: path(NATT_PORT),
            want: self.want,
            contact,
            carriage: Carriage::Detected,
            v1: CallV1 { mode: self.mode, user: Some(self.user()), authorities: None, ..CallV1::default() },
        };
        self.called = world.now();
        self.subscriber.wants = Wants::Up { children: 1 };
        let called = world.with_engine(self.address.host, |now, engine| engine.connect(now, call));
        self.session = called.and_then(Result::ok);
    }

    /// Who logs in after phase 1, by IKEv1.
    fn user(&self) -> Credentials {
        let password = SecretBytes::from(&b"a simulated password"[..]);
        Credentials { user: self.subscriber.identity.clone(), password, passcode: None }
    }

    /// Wants one more child SA, for a part of what is behind the headend.
    pub(crate) fn add_child(&mut self, world: &mut World) {
        let (Some(session), Wants::Up { children }) = (self.session, self.subscriber.wants) else { return };
        let Some(machine) = world.machine(self.address.host) else { return };
        let sessions = machine.engine.sessions(world.now());
        let ours = sessions.iter().flat_map(|session| &session.addresses).find(|address| address.is_ipv4());
        let Some(selectors) = ours.and_then(|ours| to_a_part(*ours)) else { return };
        let added = world.with_engine(self.address.host, |now, engine| engine.add_child(now, session, selectors));
        if added == Some(Ok(())) {
            self.subscriber.wants = Wants::Up { children: children + 1 };
        }
    }

    /// Says goodbye.
    pub(crate) fn hang_up(&mut self, world: &mut World) {
        self.subscriber.wants = Wants::Gone;
        if let Some(session) = self.session.take() {
            world.with_engine(self.address.host, |now, engine| engine.disconnect(now, session));
        }
    }

    /// Goes without a word.
    pub(crate) fn die(&mut self, world: &mut World) {
        self.subscriber.wants = Wants::Gone;
        self.session = None;
        world.switch_off(self.address.host);
    }

    /// How its session is doing, as its own engine says.
    pub(crate) fn state(&self, world: &World) -> Option<SessionState> {
        world.machine(self.address.host)?.engine.state(self.session?)
    }

    /// A packet each way, as far as there are tunnels.
    pub(crate) fn exchange_packets(&self, world: &mut World) {
        let Some(machine) = world.machine(self.address.host) else { return };
        let tunnels: Vec<_> = machine.dataplane.tunnels.keys().copied().collect();
        let addresses: Vec<_> =
            machine.engine.sessions(world.now()).into_iter().flat_map(|session| session.addresses).collect();
        for tunnel in tunnels {
            world.send_inner(self.address.host, tunnel);
        }
        let back = |world: &World, address| world.machine(HostId::HEADEND)?.dataplane.route(address);
        if let Some(tunnel) = addresses.first().and_then(|address| back(world, *address)) {
            world.send_inner(HostId::HEADEND, tunnel);
        }
    }
}
