//! What the log says: each failed login its cause, what was offered and what was wanted, each line of a session its
//! session; and never a secret.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::EspProposal;
use adit_control::ike::wire::*;
use adit_crypto::secret::SecretBytes;
use peer::client::*;
use peer::v1::{ClientV1, config_v1};
use peer::{PSK, World, config};
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tracing::{Dispatch, Level};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// While there is one subscriber alone, a line that another thread comes to first is nobody's for good: it asks only its own.
static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Registry::default())));

/// What is logged meanwhile.
pub(crate) fn logged(level: Level, story: impl FnOnce()) -> String {
    LazyLock::force(&OTHERS);
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(lines.clone()).finish();
    tracing::subscriber::with_default(subscriber, story);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn try_to_log_in(spoil: impl Fn(&mut Client)) -> String {
    logged(Level::INFO, || {
        let mut config = config();
        config.pools[0].v6 = None;
        config.pools[0].v4 = Some("10.30.0.0/30".parse().unwrap());
        let mut world = World::new(config);
        let mut client = Client::new("alice@rig", 2);
        spoil(&mut client);
        let mut keyed = client.init(&mut world);
        client.auth(&mut world, &mut keyed);
    })
}

#[test]
fn a_failed_login_names_its_cause() {
    type Spoil = fn(&mut Client);
    let cases: [(&str, &str, &str, Spoil); 6] = [
        ("wrong_psk", "another key", "connection rig", |client| client.psk = SecretBytes::from(&b"guess"[..])),
        ("unknown_identity", "eve@nowhere", "*@rig", |client| client.id = Id::parse("eve@nowhere").unwrap()),
        ("wrong_responder_identity", "other.rig", "headend.rig", |client| {
            client.id_r = Some(Id::parse("other.rig").unwrap());
        }),
        ("no_child_proposal", "aes256-sha1", "aes128gcm16-x25519, aes128gcm16", |client| {
            client.esp = vec![EspProposal::parse("aes256-sha1").unwrap()];
        }),
        ("no_address_asked", "CFG_REQUEST", "one", |client| client.attributes.clear()),
        ("pool_empty", "Any", "no pool has the kind asked for", |client| {
            client.attributes = vec![Attribute::IP6_ADDRESS];
        }),
    ];
    for (cause, offered, wanted, spoil) in cases {
        let log = try_to_log_in(spoil);
        let line = log.lines().find(|line| line.contains(&format!("cause=\"{cause}\"")));
        let line = line.unwrap_or_else(|| panic!("{cause}: {log}"));
        assert!(line.contains(offered) && line.contains(wanted), "{line}");
        assert!(line.contains("session=s1") && line.contains("peer=198.51.100.1:"), "{line}");
    }
}

#[test]
fn a_hostile_identity_cannot_forge_a_line() {
    let log = try_to_log_in(|client| {
        client.id = Id { kind: IdKind::Email, bytes: b"x\n2026 INFO login identity=root@rig".to_vec() };
    });
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn a_session_is_logged_from_login_to_logout_with_its_name_on_every_line() {
    let log = logged(Level::INFO, || {
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        let (mut sa, child) = alice.login(&mut world);
        alice.rekey_child(&mut world, &mut sa, &child, None);
        let mut next = alice.rekey_ike(&mut world, &mut sa);
        world.pass(Duration::from_secs(5));
        alice.ask(&mut world, &mut next, Exchange::Informational, &[delete_ike()]);
    });
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.iter().all(|line| line.contains("session=s1")), "{log}");
    let [login, child, ike, logout] = &lines[..] else { panic!("{log}") };
    assert!(login.contains("login") && login.contains("identity=alice@rig"), "{login}");
    assert!(child.contains("child SA rekeyed"), "{child}");
    assert!(ike.contains("IKE SA rekeyed"), "{ike}");
    assert!(logout.contains("cause=\"peer_deleted\"") && logout.contains("up_seconds=5"), "{logout}");
}

#[test]
fn a_session_that_replaces_another_has_its_own_name_on_its_lines_and_the_other_on_the_others() {
    let log = logged(Level::INFO, || {
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        alice.login(&mut world);
        let mut again = Client::new("alice@rig", 3);
        again.notifies = vec![NotifyKind::InitialContact];
        again.login(&mut world);
    });
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log}"));
    let logout = line("cause=\"initial_contact\"");
    assert!(logout.contains("session=s1") && !logout.contains("session=s2"), "{logout}");
    assert!(log.lines().any(|line| line.contains("session=s2") && line.contains(" login ")), "{log}");
    assert!(log.lines().all(|line| line.matches("session=s").count() == 1), "{log}");
}

#[test]
fn by_ikev1_too_the_session_that_is_lost_ends_under_its_own_name() {
    let log = logged(Level::INFO, || {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::new("alice", 2);
        alice.connect(&mut world);
        alice.initial_contact = true;
        alice.connect(&mut world);
    });
    let logout = log.lines().find(|line| line.contains("cause=\"initial_contact\"")).unwrap_or_else(|| panic!("{log}"));
    assert!(logout.contains("session=s1") && !logout.contains("session=s2"), "{logout}");
    assert!(log.lines().any(|line| line.contains("session=s2") && line.contains(" login ")), "{log}");
}

#[test]
fn a_client_that_goes_no_further_than_its_first_message_is_logged_too() {
    let log = logged(Level::INFO, || {
        let mut world = World::new(config());
        Client::new("alice@rig", 2).init(&mut world);
        world.pass(Duration::from_secs(60));
    });
    assert!(log.contains("session=s1") && log.contains("cause=\"half_open_timeout\""), "{log}");
}

#[test]
fn strangers_cannot_fill_the_disk() {
    let log = logged(Level::INFO, || {
        let mut world = World::new(config());
        for host in 2..202 {
            let mut mallory = Client::new("mallory@rig", host);
            mallory.psk = SecretBytes::from(&b"guess"[..]);
            let mut keyed = mallory.init(&mut world);
            mallory.auth(&mut world, &mut keyed);
        }
    });
    assert!(log.lines().count() <= 20, "{} lines", log.lines().count());
}

#[test]
fn no_secret_is_ever_logged() {
    let keys = Mutex::new(Vec::new());
    let log = logged(Level::TRACE, || {
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        let (mut sa, child) = alice.login(&mut world);
        let next = alice.rekey_child(&mut world, &mut sa, &child, Some(adit_crypto::suite::KexGroup::X25519));
        let mut keys = keys.lock().unwrap();
        for secret in [&sa.keys.sk_d, &sa.keys.sk_ei, &sa.keys.sk_er, &sa.keys.sk_pi, &sa.keys.sk_pr] {
            keys.push(secret.expose().to_vec());
        }
        for child in [&child, &next] {
            keys.push(child.keys.initiator_to_responder.encr.expose().to_vec());
            keys.push(child.keys.responder_to_initiator.encr.expose().to_vec());
        }
        alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]);
    });
    assert!(log.contains("child SA installed"), "the finest lines are there");
    assert!(!log.contains(std::str::from_utf8(PSK).unwrap()));
    for key in keys.into_inner().unwrap() {
        let front = &key[..8];
        assert!(!log.to_lowercase().contains(&hex::encode(front)));
        assert!(!log.contains(&format!("{front:?}")[1..20]));
    }
}
