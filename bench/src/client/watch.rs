//! What becomes of the session: the interface when it is up, a line of JSON, and how it ended.

use super::load::Remote;
use super::race::{Race, Standing};
use super::routes;
use super::switch::Switch;
use adit_control::ike::engine::{Engine, Given};
use adit_control::runtime::errand::{Drive, Going};
use adit_control::session::{Listing, SaQuery, SaView, SessionId, SessionView};
use adit_dataplane::contract::IpNet;
use adit_dataplane::io::{give_address, prefix_towards};
use adit_dataplane::time::Instant;
use serde::Serialize;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// How it is, and in the end was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It never was up.
    NoLogin,
    /// It was, until we left.
    LoggedOut,
    /// It was, until it was lost.
    Lost,
    /// It could not even be begun.
    CannotCall(String),
    /// It was, and its inner side could not be set up.
    NoInterface(String),
}

impl Ended {
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::LoggedOut => 0,
            Self::NoInterface(_) | Self::CannotCall(_) => 1,
            Self::NoLogin => 3,
            Self::Lost => 4,
        }
    }

    pub(super) fn sentence(&self) -> Option<String> {
        match self {
            Self::LoggedOut => None,
            Self::NoLogin => Some("no login; the log has the cause (--log info, or debug for each message)".to_owned()),
            Self::Lost => Some("the session is over, and not by us; the log has the cause (--log info)".to_owned()),
            Self::NoInterface(why) => Some(why.clone()),
            Self::CannotCall(why) => Some(format!("logging in: {why}")),
        }
    }
}

/// Where the end is told.
pub(super) struct Outcome(Arc<Mutex<Ended>>);

impl Outcome {
    pub(super) fn ended(&self) -> Ended {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the headend has said of us, by either version of IKE.
struct About {
    addresses: Vec<IpAddr>,
    networks: Vec<IpNet>,
    dns: Vec<IpAddr>,
    default_domain: Option<String>,
    banner: Option<String>,
}

impl About {
    /// `None` without an address.
    fn us(engine: &Engine, session: SessionId) -> Option<Self> {
        if let Some(given) = engine.given(session) {
            let Given { addresses, dns, networks } = given.clone();
            return Some(Self { addresses, networks, dns, default_domain: None, banner: None });
        }
        let told = engine.told(session)?;
        Some(Self {
            addresses: vec![told.address.into()],
            networks: told.networks.iter().copied().map(IpNet::V4).collect(),
            dns: told.dns.iter().copied().map(IpAddr::V4).collect(),
            default_domain: told.default_domain.clone(),
            banner: told.banner.clone(),
        })
    }
}

/// What is inside.
pub(super) enum Inside {
    /// This interface, which carries `routes`, or what the headend says.
    Interface { tun: String, routes: Vec<IpNet> },
    /// A load, and when it is over so is the session.
    Load(Remote),
}

pub(super) struct Watcher {
    inside: Inside,
    outcome: Arc<Mutex<Ended>>,
    race: Race,
    switch: Switch,
    stage: Stage,
}

/// How far the session is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nobody knows whose it will be.
    Racing,
    /// IKE has it, and the worker is being told.
    Won(SessionId),
    /// Packets find their way.
    Up(SessionId),
}

/// What is printed once the session is up.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// The first of them.
    address: Option<IpAddr>,
    addresses: &'a [IpAddr],
    /// `None` with a load, as there are no routes then.
    tun: Option<&'a str>,
    routes: &'a [IpNet],
    transport: &'a str,
    local: SocketAddr,
    headend: SocketAddr,
    ike: &'a str,
    esp: &'a str,
    inner_mtu: u64,
    dns: &'a [IpAddr],
    default_domain: Option<&'a str>,
    banner: Option<&'a str>,
}

impl Watcher {
    /// For a session with this inside.
    pub(super) fn new(inside: Inside, race: Race, switch: Switch) -> (Self, Outcome) {
        let outcome = Arc::new(Mutex::new(Ended::NoLogin));
        let watcher = Self { inside, outcome: Arc::clone(&outcome), race, switch, stage: Stage::Racing };
        (watcher, Outcome(outcome))
    }

    pub(super) fn into_drive(mut self) -> Drive {
        Box::new(move |now, engine| match self.stage {
            Stage::Racing => self.race(now, engine),
            Stage::Won(session) => self.begin(now, engine, session),
            Stage::Up(session) => self.look(now, engine, session),
        })
    }

    fn race(&mut self, now: Instant, engine: &mut Engine) -> Going {
        match self.race.look(now, engine) {
            Standing::Running => Going::On,
            Standing::Won { session, way } => {
                self.stage = Stage::Won(session);
                self.switch.begin(way);
                self.begin(now, engine, session)
            }
            Standing::Lost => Going::Over,
            Standing::Cannot(why) => self.now(Ended::CannotCall(why.to_string()), Going::Over),
        }
    }

    /// A packet that came from inside before the worker had its orders would be lost. It has them once it has told what fits.
    fn begin(&mut self, now: Instant, engine: &Engine, session: SessionId) -> Going {
        if engine.state(session).is_none() {
            return self.now(Ended::Lost, Going::Over);
        }
        if sa_of(now, engine, session).is_some_and(|sa| sa.inner_mtu == 0) {
            return Going::Soon;
        }
        self.stage = Stage::Up(session);
        match self.up(now, engine, session) {
            Ok(()) => self.now(Ended::LoggedOut, Going::On),
            Err(why) => self.now(Ended::NoInterface(why), Going::Over),
        }
    }

    fn look(&mut self, now: Instant, engine: &mut Engine, session: SessionId) -> Going {
        if engine.state(session).is_none() {
            return self.now(Ended::Lost, Going::Over);
        }
        self.switch.look(now, engine, session);
        match &self.inside {
            Inside::Load(load) if load.is_over() => Going::Over,
            Inside::Load(_) | Inside::Interface { .. } => Going::On,
        }
    }

    fn now(&self, how: Ended, going: Going) -> Going {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = how;
        going
    }

    fn up(&mut self, now: Instant, engine: &Engine, session: SessionId) -> Result<(), String> {
        let told = About::us(engine, session).ok_or("the headend gave no address")?;
        let view = engine.session(now, session).ok_or("the session is gone")?;
        if let Inside::Interface { tun, routes } = &mut self.inside {
            set_up(tun, routes, &told, view.peer.ip())?;
        }
        let Some(sa) = sa_of(now, engine, session) else { return Ok(()) };
        self.say(&told, &view, &sa).map_err(|error| format!("writing to standard output: {error}"))?;
        match &self.inside {
            Inside::Load(load) => load.begin(&told.addresses),
            Inside::Interface { .. } => Ok(()),
        }
    }

    fn say(&self, told: &About, view: &SessionView, sa: &SaView) -> io::Result<()> {
        let (tun, routes) = match &self.inside {
            Inside::Interface { tun, routes } => (Some(&**tun), &**routes),
            Inside::Load(_) => (None, &[][..]),
        };
        let line = Line {
            address: told.addresses.first().copied(),
            addresses: &told.addresses,
            tun,
            routes,
            transport: &view.transport,
            local: view.local,
            headend: view.peer,
            ike: &view.ike_algorithms,
            esp: &sa.algorithms,
            inner_mtu: sa.inner_mtu,
            dns: &told.dns,
            default_domain: told.default_domain.as_deref(),
            banner: told.banner.as_deref(),
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &line)?;
        io::Write::write_all(&mut out, b"\n")?;
        io::Write::flush(&mut out)
    }
}

/// Of the session's first child SA.
fn sa_of(now: Instant, engine: &Engine, session: SessionId) -> Option<SaView> {
    let listing = Listing { after: None, limit: 1 };
    engine.some_sas(now, listing, SaQuery { session: Some(session) }).lines.into_iter().next()
}

/// Gives the interface its addresses and routes.
fn set_up(tun: &str, routes: &mut Vec<IpNet>, told: &About, headend: IpAddr) -> Result<(), String> {
    *routes = match routes.is_empty() {
        true => routes::of_headend(&told.networks, &told.addresses, headend),
        false => {
            routes::can_carry(routes, &told.addresses, headend)?;
            std::mem::take(routes)
        }
    };
    // Without an answer nothing is relied upon.
    let nearest = prefix_towards(headend).unwrap_or_default();
    for address in &told.addresses {
        let same_family = routes.iter().filter(|route| route.addr().is_ipv4() == address.is_ipv4());
        let around: Vec<IpNet> = same_family.flat_map(|route| routes::around(*route, headend, nearest)).collect();
        give_address(tun, *address, &around)
            .map_err(|error| format!("interface {tun}: giving it address and routes: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_of_its_own_and_only_a_good_one_has_nothing_to_say() {
        let ends = [Ended::LoggedOut, Ended::NoInterface("x".to_owned()), Ended::NoLogin, Ended::Lost];
        assert_eq!(ends.each_ref().map(Ended::code), [0, 1, 3, 4]);
        assert_eq!(ends.each_ref().map(|end| end.sentence().is_some()), [false, true, true, true]);
    }
}
