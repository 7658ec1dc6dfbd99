//! What has to be known of a session to say whether a change ends it.

use crate::aaa::UserName;
use crate::config::checked::{Config, Connection};
use crate::config::difference::{Touched, Whose};
use crate::lease::gives;
use crate::session::SessionId;
use adit_dataplane::contract::{Selector, Transport};
use ipnet::IpNet;
use std::net::IpAddr;

/// A session, or a login that knows its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub identity: String,
    /// Name of its connection.
    pub connection: String,
    /// The user of the `[[user]]` table who has proven to be one, or is about to.
    pub user: Option<UserName>,
    /// What it has out of pools.
    pub addresses: Vec<IpAddr>,
    /// What its child SAs are for on our side.
    pub networks: Vec<Selector>,
    /// Its class of bandwidth.
    pub class: Option<String>,
    /// How its ESP comes; `None` while there is none.
    pub transport: Option<Transport>,
}

impl SessionFacts {
    /// Whether it goes on with what has changed.
    pub fn is(&self, whose: &Whose) -> bool {
        match whose {
            Whose::OfConnection(name) => self.connection == *name,
            Whose::OfClass(name) => self.class.as_ref() == Some(name),
        }
    }

    /// Whether a change ends this session, where `new` is to be in force instead of `old`.
    pub fn is_ended_by(&self, touched: &Touched, old: &Config, new: &Config) -> bool {
        let of = |name: &String| self.connection == *name;
        let connection = || new.connections.iter().find(|connection| connection.name == self.connection);
        match touched {
            Touched::OfConnection(name) => of(name),
            Touched::OfUser(user) => self.user.as_ref() == Some(user),
            Touched::OutsidePools(name) => {
                let was = old.pools.iter().find(|pool| pool.name == *name);
                let out_of_it = |address: &IpAddr| was.is_some_and(|pool| gives(pool, *address));
                connection().is_some_and(|connection| {
                    self.addresses.iter().any(|address| out_of_it(address) && !is_given(new, connection, *address))
                })
            }
            Touched::OutsidePoolsOf(name) => {
                let outside =
                    |connection: &Connection| self.addresses.iter().any(|address| !is_given(new, connection, *address));
                of(name) && connection().is_some_and(outside)
            }
            Touched::BeyondNetworks(name) => {
                let beyond = |connection: &Connection| {
                    self.networks.iter().any(|selector| !is_within(selector, &connection.networks))
                };
                of(name) && connection().is_some_and(beyond)
            }
            Touched::ByOtherTransport(name) => {
                let taken_away = |connection: &Connection| {
                    let carried = connection.transports.and(new.listen.transports());
                    self.transport.is_some_and(|transport| !carried.contains(transport))
                };
                of(name) && connection().is_some_and(taken_away)
            }
        }
    }
}

fn is_given(config: &Config, connection: &Connection, address: IpAddr) -> bool {
    connection.pools.iter().filter_map(|pool| config.pools.get(*pool)).any(|pool| gives(pool, address))
}

/// Whether these networks, all together, have all of a selector's addresses.
fn is_within(selector: &Selector, networks: &[IpNet]) -> bool {
    let of_family = networks.iter().filter(|net| net.addr().is_ipv4() == selector.addresses.start().is_ipv4());
    let mut ranges: Vec<(u128, u128)> = of_family.map(|net| (number(net.network()), number(net.broadcast()))).collect();
    ranges.sort_unstable();
    let (mut next, last) = (number(*selector.addresses.start()), number(*selector.addresses.end()));
    for (first, end) in ranges {
        if first > next {
            return false;
        }
        if end >= last {
            return true;
        }
        // It ends before `last`, so there is one behind it.
        next = next.max(end + 1);
    }
    false
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(from: &str, to: &str) -> Selector {
        Selector { addresses: from.parse().unwrap()..=to.parse().unwrap(), protocol: 0, ports: 0..=65535 }
    }

    #[test]
    fn a_selector_fits_into_networks_that_lie_side_by_side_and_not_over_a_gap_or_into_another_family() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let all = selector("10.0.0.0", "10.0.1.255");
        assert!(is_within(&all, &nets(&["10.0.0.0/23"])));
        assert!(is_within(&all, &nets(&["10.0.1.0/24", "10.0.0.0/24"])));
        assert!(is_within(&all, &nets(&["10.0.0.0/8", "10.0.0.0/24"])));
        assert!(!is_within(&all, &nets(&["10.0.0.0/24", "10.0.1.128/25"])));
        assert!(!is_within(&all, &nets(&["10.0.0.0/24"])));
        assert!(!is_within(&all, &nets(&["::/0"])));
        assert!(is_within(&selector("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &nets(&["::/0"])));
    }
}
