//! Connections, each known by its name.

use super::show::{list, maybe_time, plain, quoted, time};
use super::{Changes, Effect, Touched, Whose};
use crate::aaa::Limits;
use crate::config::checked::{
    AuthV1, Config, Connection, LocalLan, Login, LoginV1, LoginV2, Modes, Pfs, Rules, SavePassword, Unity, UserSource,
    WhenFull, Xauth,
};
use std::num::NonZeroU32;

pub(super) fn compare(changes: &mut Changes, old: &Config, new: &Config) {
    let find = |config: &Config, name: &str| config.connections.iter().position(|other| other.name == name);
    for connection in &old.connections {
        let name = &connection.name;
        changes.section(format!("[[connection]] {name}"));
        match find(new, name).and_then(|index| new.connections.get(index)) {
            Some(other) => of_both(changes, (old, connection), (new, other)),
            None => {
                let touched = Effect::Touches(Touched::OfConnection(name.clone()));
                changes.add("", String::new(), "removed".to_owned(), touched);
            }
        }
    }
    for connection in new.connections.iter().filter(|connection| find(old, &connection.name).is_none()) {
        changes.section(format!("[[connection]] {}", connection.name)).add(
            "",
            String::new(),
            "added".to_owned(),
            Effect::NewLogins,
        );
    }
    let order = |config: &Config, other: &Config| -> Vec<String> {
        let names = config.connections.iter().map(|connection| connection.name.clone());
        names.filter(|name| find(other, name).is_some()).collect()
    };
    changes.section("[[connection]]").key(
        "order",
        &order(old, new),
        &order(new, old),
        |all| list(all),
        Effect::NewLogins,
    );
}

fn of_both(changes: &mut Changes, (old, of_old): (&Config, &Connection), (new, of_new): (&Config, &Connection)) {
    let Connection { name, remote_ids, pools: _, networks, esp_proposals, transports, rules, login } = of_old;
    let pools = |config: &Config, connection: &Connection| -> Vec<String> {
        connection.pools.iter().filter_map(|pool| Some(config.pools.get(*pool)?.name.clone())).collect()
    };
    let outside = Effect::Touches(Touched::OutsidePoolsOf(name.clone()));
    let beyond = Effect::Touches(Touched::BeyondNetworks(name.clone()));
    let otherwise = Effect::Touches(Touched::ByOtherTransport(name.clone()));
    let ways = |transports: &_| list(&adit_dataplane::contract::Transports::iter(*transports).collect::<Vec<_>>());
    changes
        .key("remote_ids", remote_ids, &of_new.remote_ids, |all| list(all), Effect::NewLogins)
        .key("pools", &pools(old, of_old), &pools(new, of_new), |all| list(all), outside)
        .key("networks", networks, &of_new.networks, |all| list(all), beyond)
        .key("transports", transports, &of_new.transports, ways, otherwise)
        .key("esp_proposals", esp_proposals, &of_new.esp_proposals, |all| list(all), Effect::NextKeys);
    may(changes, name, (old, rules), (new, &of_new.rules));
    let version = |login: &Login| match login {
        Login::V2(_) => "\"v2\"".to_owned(),
        Login::V1(_) => "\"v1\"".to_owned(),
    };
    changes.tell("ike", || Some(version(login)));
    match (login, &of_new.login) {
        (Login::V2(old), Login::V2(new)) => v2(changes, old, new),
        (Login::V1(old), Login::V1(new)) => v1(changes, old, new),
        (Login::V2(_), Login::V1(_)) | (Login::V1(_), Login::V2(_)) => {
            let touched = Effect::Touches(Touched::OfConnection(name.clone()));
            changes.add("ike", version(login), version(&of_new.login), touched);
        }
    }
}

/// What sessions may is for those that are up as well.
fn may(changes: &mut Changes, name: &str, (old, rules): (&Config, &Rules), (new, of_new): (&Config, &Rules)) {
    let Rules { class, limits, max_logins, when_full } = rules;
    let Limits { session, idle } = limits;
    let class_name = |config: &Config, class: Option<usize>| {
        class.and_then(|class| config.classes.get(class)).map(|class| class.name.clone())
    };
    let shown = |class: &Option<String>| class.as_ref().map_or_else(|| "none".to_owned(), quoted);
    let most = |most: &Option<NonZeroU32>| most.map_or(0, NonZeroU32::get).to_string();
    let full = |what: &WhenFull| match what {
        WhenFull::Refuse => "\"refuse\"".to_owned(),
        WhenFull::Replace => "\"replace\"".to_owned(),
    };
    let live = || Effect::Live(Whose::OfConnection(name.to_owned()));
    changes
        .key("class", &class_name(old, *class), &class_name(new, of_new.class), shown, live())
        .key("max_logins", max_logins, &of_new.max_logins, most, Effect::NewLogins)
        .key("at_max_logins", when_full, &of_new.when_full, full, Effect::NewLogins)
        .key("idle_timeout", idle, &of_new.limits.idle, maybe_time, live())
        .key("session_timeout", session, &of_new.limits.session, maybe_time, live());
}

fn v2(changes: &mut Changes, old: &LoginV2, new: &LoginV2) {
    let LoginV2 { psk, ike_proposals } = old;
    changes.unseen("psk", psk, &new.psk, Effect::NewLogins).key(
        "ike_proposals",
        ike_proposals,
        &new.ike_proposals,
        |all| list(all),
        Effect::NextKeys,
    );
}

fn v1(changes: &mut Changes, old: &LoginV1, new: &LoginV1) {
    let LoginV1 { auth, modes, ike_proposals, pfs, unity, reauth, aggressive_limit } = old;
    of_auth(changes, auth, &new.auth);
    changes
        .key("modes", modes, &new.modes, |modes| exchanges(*modes).to_owned(), Effect::NewLogins)
        .key("aggressive_limit", aggressive_limit, &new.aggressive_limit, plain, Effect::AtOnce)
        .key("reauth_time", reauth, &new.reauth, maybe_time, Effect::NewLogins)
        .key("pfs", pfs, &new.pfs, |pfs| plain(&matches!(pfs, Pfs::Required)), Effect::NextKeys)
        .key("ike_proposals", ike_proposals, &new.ike_proposals, |all| list(all), Effect::NewLogins);
    told(changes, unity, &new.unity);
}

/// Who is in has proven it; only who comes anew has to do it the new way.
fn of_auth(changes: &mut Changes, old: &AuthV1, new: &AuthV1) {
    let name = |auth: &AuthV1| auth.name();
    changes.key("auth", &name(old), &name(new), quoted, Effect::NewLogins);
    if let (Some(old), Some(new)) = (old.secret(), new.secret()) {
        changes.unseen("psk", old, new, Effect::NewLogins);
    }
    if let (Some(old), Some(new)) = (old.authorities(), new.authorities()) {
        changes.unseen("ca", &**old, &**new, Effect::NewLogins);
    }
    if let (Some(Xauth { users, prompt, interim }), Some(new)) = (old.xauth(), new.xauth()) {
        let sources = |sources: &Vec<UserSource>| {
            list(
                &sources
                    .iter()
                    .map(|source| match source {
                        UserSource::Local => "local",
                        UserSource::Radius => "radius",
                    })
                    .collect::<Vec<_>>(),
            )
        };
        changes
            .key("users", users, &new.users, sources, Effect::NewLogins)
            .key("xauth_prompt", prompt, &new.prompt, quoted, Effect::NewLogins)
            .key(
                "accounting_interim",
                interim,
                &new.interim,
                |every| time(&every.unwrap_or_default()),
                Effect::NewLogins,
            );
    }
}

/// What clients are told is told at login.
fn told(changes: &mut Changes, old: &Unity, new: &Unity) {
    let Unity { banner, default_domain, split_dns, local_lan, save_password, backup_servers, cisco_udp_port } = old;
    let text = |text: &Option<String>| text.as_ref().map_or_else(|| "none".to_owned(), quoted);
    let port = |port: &Option<std::num::NonZeroU16>| super::show::maybe(port);
    let lan = |lan: &LocalLan| plain(&matches!(lan, LocalLan::Included));
    let save = |save: &SavePassword| plain(&matches!(save, SavePassword::Allowed));
    changes
        .key("banner", banner, &new.banner, text, Effect::NewLogins)
        .key("default_domain", default_domain, &new.default_domain, text, Effect::NewLogins)
        .key("split_dns", split_dns, &new.split_dns, |all| list(all), Effect::NewLogins)
        .key("local_lan", local_lan, &new.local_lan, lan, Effect::NewLogins)
        .key("save_password", save_password, &new.save_password, save, Effect::NewLogins)
        .key("backup_servers", backup_servers, &new.backup_servers, |all| list(all), Effect::NewLogins)
        .key("cisco_udp_port", cisco_udp_port, &new.cisco_udp_port, port, Effect::NewLogins);
}

const fn exchanges(modes: Modes) -> &'static str {
    match modes {
        Modes::Main => "main",
        Modes::Aggressive => "aggressive",
        Modes::Both => "main, aggressive",
    }
}
