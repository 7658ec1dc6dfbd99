//! Operators, pools, classes, users and servers, each known by its name.

use super::show::{list, maybe, maybe_rate, plain, quoted, time};
use super::{Changes, Effect, Touched, Whose};
use crate::api::access::Role;
use crate::config::checked::{Access, Class, Operator, PasswordProtocol, Pool, RadiusServer, Signature, User, Users};
use std::collections::BTreeSet;

const SERVERS: Effect = Effect::Restart("sockets to RADIUS servers and their books are opened at start");

pub(super) fn operators(changes: &mut Changes, old: &[Operator], new: &[Operator]) {
    let role = |role: &Role| match role {
        Role::Read => quoted(&"read"),
        Role::Admin => quoted(&"admin"),
    };
    for operator in old {
        changes.section(format!("[[operator]] {}", operator.name));
        match new.iter().find(|other| other.name == operator.name) {
            Some(other) => {
                let Operator { name: _, role: may, token, certificate_name } = operator;
                changes
                    .key("role", may, &other.role, role, Effect::AtOnce)
                    .unseen("token_hash", token, &other.token, Effect::AtOnce)
                    .key("certificate_name", certificate_name, &other.certificate_name, maybe, Effect::AtOnce);
            }
            None => changes.add("", String::new(), "removed".to_owned(), Effect::AtOnce),
        }
    }
    for operator in new.iter().filter(|operator| !old.iter().any(|other| other.name == operator.name)) {
        changes.section(format!("[[operator]] {}", operator.name)).add(
            "",
            String::new(),
            "added".to_owned(),
            Effect::AtOnce,
        );
    }
}

pub(super) fn pools(changes: &mut Changes, old: &[Pool], new: &[Pool]) {
    for pool in old {
        let outside = || Effect::Touches(Touched::OutsidePools(pool.name.clone()));
        changes.section(format!("[[pool]] {}", pool.name));
        match new.iter().find(|other| other.name == pool.name) {
            Some(other) => {
                let Pool { name: _, v4, v6, dns, netbios_name_servers } = pool;
                let (was, is) = ((v4, v6), (&other.v4, &other.v6));
                let ranges = |(v4, v6): &(&Option<_>, &Option<_>)| {
                    let v4 = v4.as_ref().map(|net: &ipnet::Ipv4Net| net.to_string());
                    list(
                        &v4.into_iter()
                            .chain(v6.as_ref().map(|net: &ipnet::Ipv6Net| net.to_string()))
                            .collect::<Vec<_>>(),
                    )
                };
                let servers = &other.netbios_name_servers;
                changes
                    .key("addresses", &was, &is, ranges, outside())
                    .key("dns", dns, &other.dns, |all| list(all), Effect::NewLogins)
                    .key("netbios_name_servers", netbios_name_servers, servers, |all| list(all), Effect::NewLogins);
            }
            None => changes.add("", String::new(), "removed".to_owned(), outside()),
        }
    }
    for pool in new.iter().filter(|pool| !old.iter().any(|other| other.name == pool.name)) {
        changes.section(format!("[[pool]] {}", pool.name)).add(
            "",
            String::new(),
            "added".to_owned(),
            Effect::NewLogins,
        );
    }
}

/// Sessions go on with what their class says now. One that has lost its class has what its connection says.
pub(super) fn classes(changes: &mut Changes, old: &[Class], new: &[Class]) {
    for class in old {
        let live = || Effect::Live(Whose::OfClass(class.name.clone()));
        changes.section(format!("[[class]] {}", class.name));
        match new.iter().find(|other| other.name == class.name) {
            Some(other) => {
                let Class { name: _, up, down, burst } = class;
                changes
                    .key("rate_up", up, &other.up, maybe_rate, live())
                    .key("rate_down", down, &other.down, maybe_rate, live())
                    .key("burst", burst, &other.burst, time, live());
            }
            None => changes.add("", String::new(), "removed".to_owned(), live()),
        }
    }
    for class in new.iter().filter(|class| !old.iter().any(|other| other.name == class.name)) {
        changes.section(format!("[[class]] {}", class.name)).add("", String::new(), "added".to_owned(), Effect::AtOnce);
    }
}

pub(super) fn users(changes: &mut Changes, old: &Users, new: &Users) {
    let names: BTreeSet<_> = old.0.keys().chain(new.0.keys()).collect();
    for name in names {
        changes.section(format!("[[user]] {}", name.as_str()));
        let touched = Effect::Touches(Touched::OfUser(name.clone()));
        match (old.0.get(name), new.0.get(name)) {
            (Some(User { password, access, address }), Some(other)) => {
                let locked = |access: &Access| plain(&matches!(access, Access::Locked));
                let effect = match other.access {
                    Access::Locked => touched,
                    Access::Open => Effect::NewLogins,
                };
                changes
                    .unseen("password_hash", password, &other.password, Effect::NewLogins)
                    .key("locked", access, &other.access, locked, effect)
                    .key("address", address, &other.address, maybe, Effect::NewLogins);
            }
            (Some(_), None) => changes.add("", String::new(), "removed".to_owned(), touched),
            (None, Some(_)) => changes.add("", String::new(), "added".to_owned(), Effect::NewLogins),
            (None, None) => {}
        }
    }
}

/// By address; where two have the same, by address and port of logins.
pub(super) fn radius(changes: &mut Changes, old: &[RadiusServer], new: &[RadiusServer]) {
    let at = |servers: &[RadiusServer], address| servers.iter().filter(|other| other.address == address).count();
    let is_alone = |server: &RadiusServer| at(old, server.address) <= 1 && at(new, server.address) <= 1;
    let name = |server: &RadiusServer| match is_alone(server) {
        true => server.address.to_string(),
        false => server.auth().to_string(),
    };
    let same = |one: &RadiusServer, other: &RadiusServer| {
        one.address == other.address && (one.auth_port == other.auth_port || is_alone(one))
    };
    for server in old {
        changes.section(format!("[[radius]] {}", name(server)));
        let Some(other) = new.iter().find(|other| same(server, other)) else {
            changes.add("", String::new(), "removed".to_owned(), SERVERS);
            continue;
        };
        let RadiusServer { address: _, auth_port, acct_port, secret, timeout, tries, dead_time, password, signature } =
            server;
        changes
            .key("auth_port", auth_port, &other.auth_port, plain, SERVERS)
            .key("acct_port", acct_port, &other.acct_port, maybe, SERVERS)
            .unseen("secret", secret, &other.secret, SERVERS)
            .key("timeout", timeout, &other.timeout, time, SERVERS)
            .key("tries", tries, &other.tries, plain, SERVERS)
            .key("dead_time", dead_time, &other.dead_time, time, SERVERS)
            .key("password_protocol", password, &other.password, |how| quoted(&protocol(*how)), SERVERS)
            .key("message_authenticator", signature, &other.signature, |what| quoted(&signed(*what)), SERVERS);
    }
    for server in new.iter().filter(|server| !old.iter().any(|other| same(server, other))) {
        changes.section(format!("[[radius]] {}", name(server))).add("", String::new(), "added".to_owned(), SERVERS);
    }
    let order = |servers: &[RadiusServer]| servers.iter().map(name).collect::<Vec<_>>();
    let (was, is) = (order(old), order(new));
    let same: BTreeSet<_> = was.iter().collect();
    if was != is && same == is.iter().collect() {
        changes.section("[[radius]]").add("order", list(&was), list(&is), SERVERS);
    }
}

const fn protocol(protocol: PasswordProtocol) -> &'static str {
    match protocol {
        PasswordProtocol::Pap => "pap",
        PasswordProtocol::Chap => "chap",
        PasswordProtocol::MsChapV2 => "mschapv2",
    }
}

const fn signed(signature: Signature) -> &'static str {
    match signature {
        Signature::Required => "required",
        Signature::WhenPresent => "when-present",
    }
}
