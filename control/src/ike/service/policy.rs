//! What one session may: what its user's server says, else its class, else its connection.

use super::closed;
use super::node::Node;
use super::peer::Peer;
use super::tunnel::Tunnel;
use crate::aaa::{Bandwidth, Limits, Profile};
use crate::config::checked::{Class, Config, Rules, WhenFull};
use crate::session::Cause;
use adit_dataplane::contract::{Rate, Rates};
use adit_dataplane::time::Instant;
use std::num::NonZeroU32;
use std::time::Duration;

/// What one session may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    /// Name of its `[[class]]`, if it has one.
    pub(crate) class: Option<String>,
    pub(crate) rates: Rates,
    pub(crate) limits: Limits,
    /// Since when its time counts, if not since its first login: a server says with each login how long that one may last,
    /// and some say what is left of a day's or a month's time.
    pub(crate) granted: Option<Instant>,
    /// Sessions that its user may have at a time.
    pub(crate) max_logins: Option<NonZeroU32>,
    pub(crate) when_full: WhenFull,
}

impl Policy {
    /// Of a session by the connection with this index, whose user has been granted `profile`.
    ///
    /// A Filter-Id that is no class's name is passed over: servers send some that are meant for others.
    pub(crate) fn of(config: &Config, connection: usize, profile: Option<&Profile>) -> Self {
        let rules = config.connections.get(connection).map(|connection| connection.rules).unwrap_or_default();
        let Rules { class, limits, max_logins, when_full } = rules;
        let own = profile.and_then(|profile| profile.filter.as_deref()).and_then(|name| class_named(config, name));
        let class = own.or_else(|| config.classes.get(class?));
        let own = profile.map(|profile| profile.limits).unwrap_or_default();
        Self {
            class: class.map(|class| class.name.clone()),
            rates: rates(class, profile.map(|profile| profile.bandwidth).unwrap_or_default()),
            limits: Limits { session: own.session.or(limits.session), idle: own.idle.or(limits.idle) },
            granted: None,
            max_logins: profile.and_then(|profile| profile.max_logins).or(max_logins),
            when_full,
        }
    }
}

impl Policy {
    /// Why a session that began then, and whose client last sent a packet then, is over by now, if it is.
    pub(crate) fn over(&self, now: Instant, login: Instant, used: Instant) -> Option<Cause> {
        let passed = |most: Option<Duration>, since: Instant| most.is_some_and(|most| since + most <= now);
        if passed(self.limits.session, self.counts_from(login)) {
            return Some(Cause::SessionTimeout);
        }
        passed(self.limits.idle, used).then_some(Cause::IdleTimeout)
    }

    /// Since when the time of a session that began then counts.
    pub(crate) fn counts_from(&self, login: Instant) -> Instant {
        self.granted.unwrap_or(login)
    }

    /// When [`Policy::over`] has something to say.
    pub(crate) fn due(&self, login: Instant, used: Instant) -> Option<Instant> {
        let ends =
            [self.limits.session.map(|most| self.counts_from(login) + most), self.limits.idle.map(|most| used + most)];
        ends.into_iter().flatten().min()
    }
}

/// The class that a server means by this name.
fn class_named<'a>(config: &'a Config, name: &str) -> Option<&'a Class> {
    config.classes.iter().find(|class| class.name == name)
}

fn rates(class: Option<&Class>, own: Bandwidth) -> Rates {
    let burst = class.map_or(Class::BURST, |class| class.burst);
    let rate = |own: Option<NonZeroU32>, of_class: Option<u64>| {
        own.map(|own| own.get().into()).or(of_class).and_then(|bits| Rate::new(bits, burst))
    };
    Rates {
        up: rate(own.up, class.and_then(|class| class.up)),
        down: rate(own.down, class.and_then(|class| class.down)),
    }
}

/// From now on the session has what the configuration and its user's profile say now.
pub(crate) fn apply(node: &mut Node, peer: &mut Peer, tunnel: Option<&mut Tunnel>, profile: Option<&Profile>) {
    let policy = Policy::of(&node.config, peer.connection, profile);
    if policy != peer.policy {
        tracing::debug!(class = policy.class, ?policy.rates, ?policy.limits, "the session's policy");
    }
    if let Some(tunnel) = tunnel {
        tunnel.limit(node, policy.rates);
        closed::follow_configuration(node, peer, tunnel);
    }
    peer.policy = policy;
}

/// Whoever keeps the server should hear that it names a class which there is not.
pub(crate) fn warn_of_filter(node: &Node, profile: &Profile) {
    if let Some(filter) = profile.filter.as_deref().filter(|name| class_named(&node.config, name).is_none()) {
        tracing::warn!(
            filter,
            "the RADIUS server's Filter-Id is no [[class]]: the session has what its connection has"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aaa::Source;
    use crate::config::{Surroundings, read};

    const FILE: &str = r#"
        [node]
        identity = "vpn.example.org"
        [[pool]]
        name = "p"
        addresses = ["10.0.0.0/24"]
        [[class]]
        name = "bronze"
        rate_up = "1Mbit"
        rate_down = "8Mbit"
        [[class]]
        name = "gold"
        rate_down = "100Mbit"
        burst = "1s"
        [[connection]]
        name = "c"
        remote_ids = ["*"]
        psk = "long enough for nobody to guess it"
        pools = ["p"]
        networks = ["0.0.0.0/0"]
        class = "bronze"
        idle_timeout = "10m"
        session_timeout = "8h"
        max_logins = 2
        at_max_logins = "replace"
    "#;

    #[test]
    fn a_server_s_word_wins_over_the_class_and_the_class_over_nothing() {
        let config = read("test", FILE, &Surroundings { folder: "/".into(), cores: vec![0] }).unwrap().0;
        let bits = |policy: &Policy| {
            let bits = |rate: Option<Rate>| rate.map(Rate::bits_per_second);
            (bits(policy.rates.up), bits(policy.rates.down))
        };
        let of_connection = Policy::of(&config, 0, None);
        assert_eq!(
            (of_connection.class.as_deref(), bits(&of_connection)),
            (Some("bronze"), (Some(1_000_000), Some(8_000_000)))
        );
        assert_eq!(
            of_connection.limits,
            Limits { session: Some(Duration::from_secs(28_800)), idle: Some(Duration::from_secs(600)) }
        );
        assert_eq!((of_connection.max_logins, of_connection.when_full), (NonZeroU32::new(2), WhenFull::Replace));

        let mut profile = Profile::plain(Source::Radius(0));
        assert_eq!(Policy::of(&config, 0, Some(&profile)), of_connection, "a server that says nothing changes nothing");
        profile.filter = Some("std.ppp".to_owned());
        assert_eq!(
            Policy::of(&config, 0, Some(&profile)),
            of_connection,
            "a filter that is no class is for somebody else"
        );
        profile.filter = Some("gold".to_owned());
        let gold = Policy::of(&config, 0, Some(&profile));
        assert_eq!((gold.class.as_deref(), bits(&gold)), (Some("gold"), (None, Some(100_000_000))));
        assert_eq!(gold.rates.down.map(Rate::burst), Some(12_500_000), "a second of it");
        profile.bandwidth = Bandwidth { up: NonZeroU32::new(64_000), down: None };
        profile.limits.idle = Some(Duration::from_secs(60));
        profile.max_logins = NonZeroU32::new(1);
        let own = Policy::of(&config, 0, Some(&profile));
        assert_eq!(bits(&own), (Some(64_000), Some(100_000_000)));
        assert_eq!(
            own.limits,
            Limits { session: Some(Duration::from_secs(28_800)), idle: Some(Duration::from_secs(60)) }
        );
        assert_eq!(own.max_logins, NonZeroU32::new(1));
        assert_eq!(Policy::of(&config, 7, None), Policy::default(), "a connection that is gone allows anything");
    }
}
