//! Every key of the documented file, changed by itself: what that means is decided, and `docs/reload.md` says the same.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::config::checked::Config;
use adit_control::config::difference::{Change, Effect, difference, settings};
use adit_control::config::file::known_keys;
use adit_control::config::{Surroundings, read};
use adit_control::reload::{Plan, Verdict};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const DOCUMENTED: &str = include_str!("../../deploy/aditd.toml");
const PAGE: &str = include_str!("../../docs/reload.md");

/// Another value of each key, as the file spells it.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("[node]", "identity", "\"other.example.org\""),
    ("[listen]", "addresses", "[\"192.0.2.1\"]"),
    ("[listen]", "ike_port", "501"),
    ("[listen]", "natt_port", "4501"),
    ("[listen]", "cisco_udp_port", "10001"),
    ("[listen]", "native_esp", "false"),
    ("[listen]", "nat_traversals", "[\"rfc3947\"]"),
    ("[listen]", "ctcp_ports", "[10001]"),
    ("[listen]", "ctcp_mode", "\"stateless\""),
    ("[listen]", "tcp_port", "4502"),
    ("[ctcp]", "stall_after", "\"9s\""),
    ("[ctcp]", "hold_lease", "\"1m\""),
    ("[ctcp]", "ring", "\"256KiB\""),
    ("[ctcp]", "memory", "\"128MiB\""),
    ("[workers]", "cores", "[0]"),
    ("[workers]", "count", "1"),
    ("[workers]", "burst", "32"),
    ("[workers]", "spin", "\"1ms\""),
    ("[workers]", "coalesce", "\"0us\""),
    ("[workers]", "buffers", "8192"),
    ("[flows]", "table", "\"off\""),
    ("[flows]", "limit", "1000"),
    ("[flows]", "sample", "10"),
    ("[tun]", "name", "\"vpn1\""),
    ("[tun]", "mtu", "\"1300\""),
    ("[io]", "backend", "\"system-calls\""),
    ("[io]", "receive_buffer", "\"1MiB\""),
    ("[io]", "send_buffer", "\"1MiB\""),
    ("[crypto]", "backend", "\"rustcrypto\""),
    ("[log]", "level", "\"debug\""),
    ("[log]", "format", "\"json\""),
    ("[api]", "socket", "\"/run/other.sock\""),
    ("[api]", "admins", "[\"root\"]"),
    ("[events]", "keep", "128"),
    ("[state]", "directory", "\"\""),
    ("[state]", "hold_leases", "\"1m\""),
    ("[ike]", "dpd_delay", "\"31s\""),
    ("[ike]", "retransmit_initial", "\"3s\""),
    ("[ike]", "retransmit_factor", "1.5"),
    ("[ike]", "retransmit_tries", "4"),
    ("[ike]", "half_open_timeout", "\"31s\""),
    ("[ike]", "half_open_limit", "4095"),
    ("[ike]", "half_open_limit_per_source", "1023"),
    ("[ike]", "cookie_threshold", "127"),
    ("[ike]", "cookie_threshold_per_source", "15"),
    ("[ike]", "fragment_size", "\"1200\""),
    ("[ike]", "session_limit", "65535"),
    ("[ike]", "natt_keepalive", "\"21s\""),
    ("[ike]", "rekey_grace", "\"6s\""),
    ("[ike]", "children_limit", "5"),
    ("[ike]", "rekey_time", "\"5h\""),
    ("[ike]", "over_time", "\"25m\""),
    ("[esp]", "replay_window", "128"),
    ("[esp]", "path_mtu", "1400"),
    ("[esp]", "outer_df", "\"copy\""),
    ("[esp]", "dscp", "46"),
    ("[esp]", "ecn", "\"compatibility\""),
    ("[esp]", "mss_clamp", "\"off\""),
    ("[esp]", "rekey_time", "\"2h\""),
    ("[esp]", "rekey_bytes", "1000000000"),
    ("[esp]", "rekey_packets", "1000000"),
    ("[esp]", "hard_factor", "1.5"),
    ("[esp]", "moves_per_minute", "61"),
    ("[[pool]]", "addresses", "[\"10.30.0.0/16\", \"fd31::/64\"]"),
    ("[[pool]]", "dns", "[]"),
    ("[[pool]]", "netbios_name_servers", "[\"10.20.0.54\"]"),
    ("[[class]]", "rate_up", "\"3Mbit\""),
    ("[[class]]", "rate_down", "\"30Mbit\""),
    ("[[class]]", "burst", "\"50ms\""),
    (
        "[[user]]",
        "password_hash",
        "\"$argon2id$v=19$m=19456,t=2,p=1$SYlJttmyRZ8N1qPLuqQE7Q$xP4gPUWRCcht2AO7RUO2lXQSym6R2EXVC0ZLEelRlYM\"",
    ),
    ("[[user]]", "locked", "false"),
    ("[[user]]", "address", "\"10.30.7.8\""),
    ("[[radius]]", "address", "\"10.20.0.6\""),
    ("[[radius]]", "auth_port", "1822"),
    ("[[radius]]", "acct_port", "1823"),
    ("[[radius]]", "secret", "\"another one, long enough for all\""),
    ("[[radius]]", "timeout", "\"4s\""),
    ("[[radius]]", "tries", "3"),
    ("[[radius]]", "dead_time", "\"3m\""),
    ("[[radius]]", "password_protocol", "\"chap\""),
    ("[[radius]]", "message_authenticator", "\"when-present\""),
    ("[[connection]]", "remote_ids", "[\"*@example.net\"]"),
    ("[[connection]]", "psk", "\"another one, long enough for all\""),
    ("[[connection]]", "networks", "[\"10.20.0.0/25\", \"fd20::/64\"]"),
    ("[[connection]]", "transports", "[\"nat-t\"]"),
    ("[[connection]]", "ike_proposals", "[\"aes256-sha256-ecp384\"]"),
    ("[[connection]]", "esp_proposals", "[\"aes256gcm16\"]"),
    ("[[connection]]", "modes", "[\"main\"]"),
    ("[[connection]]", "aggressive_limit", "11"),
    ("[[connection]]", "users", "[\"radius\"]"),
    ("[[connection]]", "xauth_prompt", "\"Who?\""),
    ("[[connection]]", "class", "\"silver\""),
    ("[[connection]]", "max_logins", "1"),
    ("[[connection]]", "at_max_logins", "\"replace\""),
    ("[[connection]]", "accounting_interim", "\"11m\""),
    ("[[connection]]", "idle_timeout", "\"10m\""),
    ("[[connection]]", "session_timeout", "\"10h\""),
    ("[[connection]]", "reauth_time", "\"10h\""),
    ("[[connection]]", "banner", "\"Good morning\""),
    ("[[connection]]", "default_domain", "\"example.net\""),
    ("[[connection]]", "split_dns", "[\"example.net\"]"),
    ("[[connection]]", "local_lan", "true"),
    ("[[connection]]", "save_password", "true"),
    ("[[connection]]", "backup_servers", "[\"vpn2.example.org\"]"),
    ("[[connection]]", "cisco_udp_port", "10001"),
    ("[[connection]]", "pfs", "true"),
];

/// Keys whose change takes other keys or files with it. The page has them in its table all the same.
const NOT_ALONE: &[(&str, &str)] = &[
    ("[node]", "certificate"),
    ("[node]", "private_key"),
    ("[api]", "listen"),
    ("[api]", "certificate"),
    ("[api]", "private_key"),
    ("[api]", "client_ca"),
    ("[[operator]]", "name"),
    ("[[operator]]", "role"),
    ("[[operator]]", "token_hash"),
    ("[[operator]]", "certificate_name"),
    ("[[pool]]", "name"),
    ("[[class]]", "name"),
    ("[[user]]", "name"),
    ("[[radius]]", "secret_file"),
    ("[[connection]]", "name"),
    ("[[connection]]", "ike"),
    ("[[connection]]", "auth"),
    ("[[connection]]", "psk_file"),
    ("[[connection]]", "pools"),
    ("[[connection]]", "ca"),
    ("[[connection]]", "legacy"),
];

fn config(text: &str) -> Config {
    read("aditd.toml", text, &Surroundings { folder: "/".into(), cores: vec![0, 1] }).unwrap().0
}

/// Section and key of a line that has one, active or not.
fn keys() -> Vec<(String, String, usize)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for (number, line) in DOCUMENTED.lines().enumerate() {
        // Active or not.
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            section = line.trim().to_owned();
        }
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) {
            keys.push((section.clone(), key.to_owned(), number));
        }
    }
    keys
}

/// The documented file with this key otherwise, where it stands first.
fn otherwise(section: &str, key: &str, value: &str) -> String {
    let all = keys();
    let (.., at) = all.iter().find(|(s, k, _)| s == section && k == key).unwrap();
    let line = |(number, line): (usize, &str)| match number == *at {
        true => format!("{key} = {value}\n"),
        false => format!("{line}\n"),
    };
    DOCUMENTED.lines().enumerate().map(line).collect()
}

/// What the page says of a key.
fn said(section: &str, key: &str) -> Option<&'static str> {
    let begin = format!("| `{section}` | `{key}` | ");
    let line = PAGE.lines().find(|line| line.starts_with(&begin))?;
    line.strip_prefix(&begin)?.split(" |").next()
}

/// How the page says it; of several the one that matters most.
fn word(changes: &[Change]) -> &'static str {
    let all = ["at-once", "new-logins", "next-keys", "sessions", "restart"];
    let rank = |change: &Change| all.iter().position(|name| *name == change.effect.name()).unwrap();
    ["at once", "new logins", "next keys", "may end sessions", "restart"][changes.iter().map(rank).max().unwrap()]
}

#[test]
fn every_documented_key_has_a_decided_effect_and_the_page_says_which() {
    let old = config(DOCUMENTED);
    let mut wrong = Vec::new();
    for (section, key, value) in OTHERWISE {
        let new = config(&otherwise(section, key, value));
        // Some changes end sessions in one direction only.
        let both = [difference(&old, &new), difference(&new, &old)].concat();
        let named = |change: &&Change| {
            let key = if *key == "count" { "cores" } else { key };
            change.section.starts_with(section) && (change.key == key || change.key.is_empty())
        };
        let of_key: Vec<Change> = both.iter().filter(named).cloned().collect();
        assert!(!of_key.is_empty(), "{section} {key} = {value} changes nothing: {both:?}");
        if said(section, key) != Some(word(&of_key)) {
            wrong.push(format!("| `{section}` | `{key}` | {} |", word(&of_key)));
        }
    }
    assert!(wrong.is_empty(), "docs/reload.md is wrong about:\n{}", wrong.join("\n"));
}

#[test]
fn every_documented_key_is_changed_here_and_on_the_page() {
    for (section, key, _) in keys() {
        let changed = OTHERWISE.iter().any(|(s, k, _)| *s == section && *k == key);
        let not_alone = NOT_ALONE.contains(&(&section[..], &key[..]));
        assert!(changed != not_alone, "{section} {key} is in neither list, or in both");
        assert!(said(&section, &key).is_some(), "{section} {key} is not in the table of docs/reload.md");
    }
}

#[test]
fn the_same_file_is_no_change_and_no_secret_is_in_a_plan() {
    let old = config(DOCUMENTED);
    assert_eq!(Plan::new(&old, &config(DOCUMENTED), &[]).verdict(), Verdict::NothingToDo);
    for (section, key) in [("[[connection]]", "psk"), ("[[radius]]", "secret")] {
        let new = config(&otherwise(section, key, "\"another one, long enough for all\""));
        let plan = format!("{:?}", Plan::new(&old, &new, &[]));
        assert!(!plan.contains("another one") && !plan.contains("change me") && plan.contains("changed"), "{plan}");
    }
}

#[test]
fn connections_and_pools_that_come_go_or_change_their_order_are_named() {
    let old = config(DOCUMENTED);
    let texts = |new: &Config| {
        let plan = Plan::new(&old, new, &[]);
        plan.steps
            .iter()
            .map(|step| {
                format!("{} {} {} → {}", step.change.section, step.change.key, step.change.from, step.change.to)
            })
            .collect::<Vec<_>>()
    };
    let mut new = old.clone();
    new.connections.reverse();
    assert_eq!(texts(&new), ["[[connection]] order staff, ezvpn → ezvpn, staff"]);
    new.connections.pop();
    assert_eq!(texts(&new), ["[[connection]] staff   → removed"]);
    let mut new = old.clone();
    new.pools[0].name = "other".to_owned();
    let said = texts(&new);
    assert_eq!(said[..2], ["[[pool]] office   → removed", "[[pool]] other   → added"]);
    assert_eq!(said[2..], ["[[connection]] staff pools office → other", "[[connection]] ezvpn pools office → other"]);
}

#[test]
fn servers_at_one_address_are_told_apart_by_their_ports() {
    let mut old = config(DOCUMENTED);
    let mut second = old.radius[0].clone();
    (second.auth_port, second.acct_port, second.tries) = (1822.try_into().unwrap(), None, 7);
    old.radius.push(second);
    assert_eq!(Plan::new(&old, &old.clone(), &[]).verdict(), Verdict::NothingToDo);
    let texts = |new: &Config| {
        let plan = Plan::new(&old, new, &[]);
        let changes = plan.steps.iter().map(|step| &step.change);
        changes.map(|change| format!("{} {} {}", change.section, change.key, change.to)).collect::<Vec<_>>()
    };
    let mut new = old.clone();
    new.radius[1].tries = 9;
    assert_eq!(texts(&new), ["[[radius]] 10.20.0.5:1822 tries 9"]);
    new.radius[1].tries = 7;
    new.radius.reverse();
    assert_eq!(texts(&new), ["[[radius]] order 10.20.0.5:1822, 10.20.0.5:1812"]);
    new.radius.pop();
    assert_eq!(texts(&new), ["[[radius]] 10.20.0.5:1812  removed"]);
}

/// With an API by TCP, and files in a folder.
fn by_tcp(folder: &Path, certificate: &str, authorities: &[&str], operators: &str) -> Config {
    let pki = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("pki");
    for (name, from) in [("api.pem", format!("{certificate}.pem")), ("api.key", format!("{certificate}.key"))] {
        std::fs::copy(pki.join(from), folder.join(name)).unwrap();
        std::fs::set_permissions(folder.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let pem: Vec<String> = authorities.iter().map(|name| std::fs::read_to_string(pki.join(name)).unwrap()).collect();
    std::fs::write(folder.join("ca.pem"), pem.concat()).unwrap();
    let api = "[api]\nlisten = [\"127.0.0.1:8443\"]\ncertificate = \"api.pem\"\nprivate_key = \"api.key\"\nclient_ca = \"ca.pem\"\n";
    let text = DOCUMENTED.replacen("[api]\n", api, 1) + operators;
    read("aditd.toml", &text, &Surroundings { folder: folder.to_owned(), cores: vec![0, 1] }).unwrap().0
}

#[test]
fn whom_the_api_lets_in_changes_at_once_and_the_page_says_so() {
    const BOSS: &str = "[[operator]]\nname = \"boss\"\nrole = \"admin\"\ncertificate_name = \"boss\"\n";
    let token = format!("[[operator]]\nname = \"boss\"\ntoken_hash = \"sha256:{}\"\n", "0".repeat(64));
    let folder = tempfile::tempdir().unwrap();
    let with =
        |certificate, authorities: &[&str], operators: &str| by_tcp(folder.path(), certificate, authorities, operators);
    let both = ["authority.pem", "office.pem"].as_slice();
    let old = with("headend", both, BOSS);
    assert!(old.api.tcp.is_some());
    assert_eq!(Plan::new(&old, &with("headend", both, BOSS), &[]).verdict(), Verdict::NothingToDo);
    for (new, keys) in [
        (with("elliptic", both, BOSS), vec![("[api]", "certificate")]),
        (with("headend", &both[..1], BOSS), vec![("[api]", "client_ca")]),
        (with("headend", both, ""), vec![("[[operator]] boss", "")]),
        (with("headend", both, &format!("{BOSS}{}", BOSS.replace("boss", "carol"))), vec![("[[operator]] carol", "")]),
        (
            with("headend", both, &token),
            ["role", "token_hash", "certificate_name"].map(|key| ("[[operator]] boss", key)).to_vec(),
        ),
    ] {
        let plan = Plan::new(&old, &new, &[]);
        assert_eq!(plan.verdict(), Verdict::Ready, "{keys:?}");
        let told: Vec<_> = plan.steps.iter().map(|step| (step.change.section.as_str(), step.change.key)).collect();
        assert_eq!(told, keys);
        for Change { section, key, effect, .. } in plan.steps.iter().map(|step| &step.change) {
            let (section, key) = (section.split(' ').next().unwrap(), if key.is_empty() { "name" } else { key });
            assert_eq!((effect, said(section, key)), (&Effect::AtOnce, Some("at once")), "{section} {key}");
        }
    }
    let shown = format!("{:?}", settings(&with("headend", both, &token)));
    assert!(shown.contains("[[operator]] boss") && !shown.contains("00000000"), "{shown}");
}

/// Keys that are told as part of another, or not at all.
const NOT_TOLD: &[(&str, &str)] = &[
    // As `certificate`.
    ("[node]", "private_key"),
    ("[api]", "private_key"),
    // As `cores`.
    ("[workers]", "count"),
    // In the section's title.
    ("[[pool]]", "name"),
    ("[[class]]", "name"),
    ("[[user]]", "name"),
    ("[[radius]]", "address"),
    ("[[connection]]", "name"),
    // As `secret` and `psk`.
    ("[[radius]]", "secret_file"),
    ("[[connection]]", "psk_file"),
    // As the proposals that it allows.
    ("[[connection]]", "legacy"),
    // Of connections that take certificates; the documented file has none.
    ("[[connection]]", "ca"),
];

#[test]
fn every_key_is_told_with_its_value_and_no_secret_is() {
    let config = config(DOCUMENTED);
    let told = settings(&config);
    let is_told = |section: &str, key: &str| {
        told.iter().any(|setting| setting.section.split(' ').next() == Some(section) && setting.key == key)
    };
    let known = known_keys();
    let known =
        known.iter().map(|(section, key)| (section.as_str(), *key)).filter(|(section, _)| *section != "[[operator]]");
    let (is, is_not): (Vec<_>, Vec<_>) = known.partition(|(section, key)| is_told(section, key));
    let missing: Vec<_> = is_not.iter().filter(|key| !NOT_TOLD.contains(key)).collect();
    let told_after_all: Vec<_> = is.iter().filter(|key| NOT_TOLD.contains(key)).collect();
    assert!(missing.is_empty() && told_after_all.is_empty(), "{missing:?}, {told_after_all:?}");
    let value = |section: &str, key: &str| {
        told.iter().find(|setting| setting.section == section && setting.key == key).unwrap().value.clone()
    };
    assert_eq!(value("[ike]", "dpd_delay").as_deref(), Some("30s"));
    assert_eq!(value("[[pool]] office", "addresses").as_deref(), Some("10.30.0.0/16, fd30::/64"));
    assert_eq!(value("[[radius]] 10.20.0.5", "secret"), None);
    assert_eq!(value("[[user]] alice", "password_hash"), None);
    let text = format!("{told:?}");
    for secret in ["change me", "argon2id", "openssl"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
