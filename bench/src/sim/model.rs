//! What both ends must hold: written from what was decided (who wants to be up) and what anybody on the way saw (which
//! questions went unanswered), without a look at how the engines work. Dull on purpose: it compares lists.

use super::finding::What;
use super::host::{HostId, Machine};
use super::world::World;
use adit_control::ike::engine::Holdings;
use adit_control::session::{SaView, SessionState, SessionView};
use adit_dataplane::contract::Spi;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A client and what its user wants.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) host: HostId,
    /// As the headend shows it.
    pub(crate) identity: String,
    pub(crate) wants: Wants,
}

/// What a user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// One IKE SA with so many child SAs.
    Up { children: usize },
    /// Nothing is to be left, at either end.
    Gone,
}

/// One end's view of one session.
struct Seen<'a> {
    session: &'a SessionView,
    sas: Vec<&'a SaView>,
}

/// The headend as it shows itself at one moment.
pub(crate) struct Headend {
    sessions: BTreeMap<String, Vec<SessionView>>,
    sas: BTreeMap<String, Vec<SaView>>,
}

impl Headend {
    /// `None` while it is switched off.
    pub(crate) fn look(world: &World) -> Option<Self> {
        let engine = &world.machine(HostId::HEADEND)?.engine;
        let (mut sessions, mut sas) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for session in engine.sessions(world.now()) {
            sessions.entry(session.identity.clone()).or_default().push(session);
        }
        for sa in engine.sas(world.now()) {
            sas.entry(sa.session.clone()).or_default().push(sa);
        }
        Some(Self { sessions, sas })
    }

    /// No two sessions with one inner address.
    pub(crate) fn leases(&self) -> Result<(), What> {
        let mut taken = BTreeMap::<IpAddr, &str>::new();
        for session in self.sessions.values().flatten() {
            for address in &session.addresses {
                if let Some(other) = taken.insert(*address, &session.id) {
                    return Err(What::LeaseTwice(format!("{address}: {other} and {}", session.id)));
                }
            }
        }
        Ok(())
    }

    fn of(&self, identity: &str) -> &[SessionView] {
        self.sessions.get(identity).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether both ends hold what this subscriber's user wants and nothing else, right now. During a rekey they may not;
/// once it is quiet they must.
pub(crate) fn both_ends_hold(world: &World, headend: &Headend, subscriber: &Subscriber) -> Result<(), What> {
    let theirs = headend.of(&subscriber.identity);
    match subscriber.wants {
        Wants::Gone => gone(world, theirs, subscriber),
        Wants::Up { children } => up(world, headend, subscriber, children),
    }
}

fn gone(world: &World, theirs: &[SessionView], subscriber: &Subscriber) -> Result<(), What> {
    if let [one, ..] = theirs {
        return Err(What::StillUp(format!("{} has {} at the headend ({:?})", subscriber.identity, one.id, one.state)));
    }
    match world.machine(subscriber.host) {
        Some(machine) => nothing_held(world, machine),
        None => Ok(()),
    }
}

/// Neither the engine nor its dataplane holds anything, and nobody wants to be called.
pub(crate) fn nothing_held(world: &World, machine: &Machine) -> Result<(), What> {
    let held = machine.engine.holdings();
    if held != Holdings::default() || !machine.engine.is_idle() {
        return Err(What::LeftOver(format!("{held:?}")));
    }
    if let Some(at) = machine.engine.poll_timeout() {
        return Err(What::LeftOver(format!("a timer in {:?}", at.since(world.now()))));
    }
    match machine.dataplane.is_empty() {
        true => Ok(()),
        false => Err(What::LeftOver(machine.dataplane.summary())),
    }
}

fn up(world: &World, headend: &Headend, subscriber: &Subscriber, children: usize) -> Result<(), What> {
    let name = &subscriber.identity;
    let not_up = |why: &str| What::NotUp(format!("{name}: {why}"));
    let (Some(client), Some(server)) = (world.machine(subscriber.host), world.machine(HostId::HEADEND)) else {
        return Err(not_up("an end is switched off"));
    };
    let (sessions, sas) = (client.engine.sessions(world.now()), client.engine.sas(world.now()));
    let ([ours], [theirs]) = (&sessions[..], headend.of(name)) else {
        let counts = (sessions.len(), headend.of(name).len());
        return Err(not_up(&format!("{} sessions at the client, {} at the headend", counts.0, counts.1)));
    };
    if (ours.state, theirs.state) != (SessionState::Up, SessionState::Up) {
        return Err(not_up(&format!("{:?} at the client, {:?} at the headend", ours.state, theirs.state)));
    }
    let ours = Seen { session: ours, sas: sas.iter().collect() };
    let theirs = Seen { session: theirs, sas: headend.sas.get(&theirs.id).into_iter().flatten().collect() };
    same_ike_sa(&ours, &theirs)?;
    same_child_sas(&ours, &theirs, children)?;
    installed(&ours, client)?;
    installed(&theirs, server)?;
    routed(&theirs, server)
}

/// One IKE SA, the same at both ends, and one set of inner addresses.
fn same_ike_sa(ours: &Seen<'_>, theirs: &Seen<'_>) -> Result<(), What> {
    if ours.session.ike_spis != theirs.session.ike_spis {
        return Err(What::Unpaired(format!("IKE SAs {} and {}", ours.session.ike_spis, theirs.session.ike_spis)));
    }
    if ours.session.addresses.is_empty() || ours.session.addresses != theirs.session.addresses {
        let (ours, theirs) = (&ours.session.addresses, &theirs.session.addresses);
        return Err(What::Unpaired(format!("inner addresses {ours:?} and {theirs:?}")));
    }
    Ok(())
}

/// As many child SAs as wanted, what one end receives on being what the other sends on.
fn same_child_sas(ours: &Seen<'_>, theirs: &Seen<'_>, children: usize) -> Result<(), What> {
    let our_pairs: BTreeSet<_> = ours.sas.iter().map(|sa| (&sa.spi_in, &sa.spi_out)).collect();
    let their_pairs: BTreeSet<_> = theirs.sas.iter().map(|sa| (&sa.spi_out, &sa.spi_in)).collect();
    if our_pairs != their_pairs || our_pairs.len() != children {
        return Err(What::Unpaired(format!("child SAs {our_pairs:?} and {their_pairs:?}, {children} wanted")));
    }
    let all = ours.sas.iter().chain(&theirs.sas);
    match all.clone().find(|sa| sa.state != "active") {
        Some(sa) => Err(What::Unpaired(format!("child SA {} is {}", sa.spi_in, sa.state))),
        None => Ok(()),
    }
}

/// The dataplane receives and sends on what the engine shows, and on nothing else.
fn installed(seen: &Seen<'_>, machine: &Machine) -> Result<(), What> {
    let shown_in: BTreeSet<u32> = seen.sas.iter().filter_map(|sa| spi(&sa.spi_in)).collect();
    let shown_out: BTreeSet<u32> = seen.sas.iter().filter_map(|sa| spi(&sa.spi_out)).collect();
    let tunnel = shown_in.first().and_then(|spi| machine.dataplane.tunnel_with(*spi));
    let Some(tunnel) = tunnel else { return Err(What::Unpaired(format!("no tunnel with {shown_in:x?}"))) };
    let receives: BTreeSet<u32> = tunnel.inbound.keys().map(|spi| spi.get()).collect();
    let sends: BTreeSet<u32> = tunnel.sends_on().collect();
    match (receives == shown_in, sends == shown_out) {
        (true, true) => Ok(()),
        (false, _) => Err(What::Unpaired(format!("receives on {receives:x?}, shows {shown_in:x?}"))),
        (true, false) => Err(What::Unpaired(format!("sends on {sends:x?}, shows {shown_out:x?}"))),
    }
}

/// The headend's routes to a session's inner addresses lead into its tunnel.
fn routed(seen: &Seen<'_>, machine: &Machine) -> Result<(), What> {
    for address in &seen.session.addresses {
        let wrong = || What::WrongRoute(format!("{address} of {}", seen.session.id));
        let key = machine.dataplane.route(*address).ok_or_else(wrong)?;
        let tunnel = machine.dataplane.tunnels.get(&key).ok_or_else(wrong)?;
        let mut shown = seen.sas.iter().filter_map(|sa| Spi::new(spi(&sa.spi_in)?));
        if !shown.any(|spi| tunnel.inbound.contains_key(&spi)) {
            return Err(wrong());
        }
    }
    Ok(())
}

/// As views write it.
pub(crate) fn spi(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What the headend's books say is what its dataplane has: true at any moment, rekeys under way or not. `asking` is how
/// many questions for a new child SA it may be waiting for the answer to: each has an SPI and no SA yet.
pub(crate) fn books_are_right(headend: &Headend, machine: &Machine, asking: usize) -> Result<(), What> {
    let held = machine.engine.holdings();
    let dataplane = &machine.dataplane;
    let addresses: usize = headend.sessions.values().flatten().map(|session| session.addresses.len()).sum();
    let inbound: usize = dataplane.tunnels.values().map(|tunnel| tunnel.inbound.len()).sum();
    if !(inbound..=inbound + asking).contains(&held.spis) {
        let books = format!("{} SPIs in use for {inbound} SAs and {asking} questions", held.spis);
        return Err(What::LeftOver(books));
    }
    let lines = [
        ("tunnel slots in use and tunnels", held.tunnels, dataplane.tunnels.len()),
        ("leases and sessions' addresses", held.leases, addresses),
        ("routes and sessions' addresses", held.routes, addresses),
        ("routes and routes published", held.routes, dataplane.routes_published()),
        ("sessions and sessions shown", held.sessions + held.half_open, headend.sessions.values().flatten().count()),
    ];
    match lines.iter().find(|(_, one, other)| one != other) {
        Some((which, one, other)) => Err(What::LeftOver(format!("{which}: {one} and {other}"))),
        None => Ok(()),
    }
}
