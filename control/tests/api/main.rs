//! The control API over a real Unix socket, with a stand-in for the IKE thread, asked by the real `aditctl`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod connections;
mod stand_in;

use stand_in::*;

use adit_control::api::ask::{self, Obeyed, Order, Question};
use adit_control::api::views::{CertificateView, IkeView, StatusView};
use adit_control::runtime::clock;
use adit_control::session::{Listed, Listing, SaView, SessionId, SessionQuery, SessionState, SessionView};
use adit_dataplane::contract::DropReason;
use std::time::Duration;

#[test]
fn sessions_as_json_are_the_views_themselves() {
    let daemon = serving();
    let views: Vec<SessionView> = serde_json::from_str(&out(&daemon.ctl(&["--json", "sessions"]))).unwrap();
    assert_eq!(views, [session(), connecting()]);
    let json: serde_json::Value = serde_json::from_str(&out(&daemon.ctl(&["sessions", "--json"]))).unwrap();
    assert_eq!(json[0]["id"], "s7");
    assert_eq!(json[0]["state"], "up");
    assert_eq!(json[0]["addresses"], serde_json::json!(["10.30.0.2", "fd30::2"]));
    assert_eq!(json[0]["peer"], "198.51.100.77:34567");
    assert_eq!(json[0]["bytes_in"], 209_715_200);
    assert_eq!(json[1]["state"], "connecting");
}

#[test]
fn sas_status_ike_workers_and_drops_as_json_have_their_shapes() {
    let daemon = serving();
    let json = |what| serde_json::from_str::<serde_json::Value>(&out(&daemon.ctl(&["--json", what]))).unwrap();
    assert_eq!(serde_json::from_value::<Vec<SaView>>(json("sa")).unwrap(), [sa()]);
    assert_eq!(serde_json::from_value::<StatusView>(json("status")).unwrap(), status());
    assert_eq!(serde_json::from_value::<IkeView>(json("ike")).unwrap(), ike());
    assert_eq!(json("ike")["holdings"]["leases"], 2);
    let workers = json("workers");
    assert_eq!((&workers[0]["worker"], &workers[0]["core"]), (&0.into(), &0.into()));
    assert_eq!(workers[0]["outer_received"], 1_234_567);
    assert_eq!(workers[0]["dropped"], 3);
    assert_eq!(workers[1]["core"], serde_json::Value::Null);
    let drops = json("drops");
    assert_eq!(drops.as_array().unwrap().len(), DropReason::ALL.len());
    let replayed = drops.as_array().unwrap().iter().find(|drop| drop["name"] == "replayed").unwrap();
    assert_eq!(replayed["sentence"], "sequence number seen before");
    assert_eq!(replayed["workers"], serde_json::json!([3, 4]));
    assert_eq!(replayed["total"], 7);
}

#[test]
fn tables_fit_eighty_columns_and_use_units() {
    let daemon = serving();
    for what in ["status", "sessions", "sa", "pools", "leases", "ike", "workers", "drops", "transports"] {
        let text = out(&daemon.ctl(&[what]));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{what}: {line:?} is too wide");
            assert_eq!(line, line.trim_end(), "{what}");
        }
    }
    let sessions = out(&daemon.ctl(&["sessions"]));
    for part in ["s7", "10.30.0.2", "fd30::2", "2m05s", "200.0 MiB", "1.5 KiB", "(connecting)", "nat-t"] {
        assert!(sessions.contains(part), "{part} in\n{sessions}");
    }
    let sas = out(&daemon.ctl(&["sas"]));
    for part in ["0x11223344", "0x55667788", "active", "aes128gcm16"] {
        assert!(sas.contains(part), "{part} in\n{sas}");
    }
    let pools = out(&daemon.ctl(&["pools"]));
    let full = pools.lines().find(|line| line.contains("10.30.0.0/24")).unwrap();
    let parts: Vec<_> = full.split_whitespace().collect();
    assert_eq!(parts, ["main", "10.30.0.0/24", "253", "54", "1", "200", "100%"], "{pools}");
    let ike = out(&daemon.ctl(&["ike"]));
    for part in ["1 sessions, 0 half-open", "2 leases", "1 done, 0 refused", "bad_icv", "1.2M"] {
        assert!(ike.contains(part), "{part} in\n{ike}");
    }
    assert!(!ike.contains("shutting_down"), "only reasons that occurred:\n{ike}");
    let workers = out(&daemon.ctl(&["workers"]));
    assert!(workers.contains("1.2M") && workers.contains("25%"), "{workers}");
    let transports = out(&daemon.ctl(&["transports"]));
    for part in ["nat-t", "192.0.2.1:4500", "[2001:db8:1::1]:4500", "2.0 KiB", "1.5 KiB", "esp"] {
        assert!(transports.contains(part), "{part} in\n{transports}");
    }
    let drops = out(&daemon.ctl(&["drops"]));
    assert_eq!(drops.lines().count(), 2, "only reasons with drops:\n{drops}");
    assert!(out(&daemon.ctl(&["status"])).contains("up 1h01m"));
}

#[test]
fn draining_begins_with_or_without_an_end_and_is_taken_back() {
    let daemon = serving();
    let begun = out(&daemon.ctl(&["drain"]));
    assert!(
        begun.starts_with("aditd      0.1.0, draining, up 1h01m\ndraining   nobody new is let in, sessions may stay\n")
    );
    let begun = out(&daemon.ctl(&["drain", "--within", "10m", "--stop"]));
    let line = "\ndraining   nobody new is let in, sessions end in 10m00s, then aditd ends\n";
    assert!(begun.contains(line) && begun.lines().all(|line| line.chars().count() <= 80), "{begun}");
    let over: StatusView = serde_json::from_str(&out(&daemon.ctl(&["drain", "--cancel", "--json"]))).unwrap();
    assert_eq!(over, status());
    for wrong in [&["--within", "10"][..], &["--within", "8h", "--cancel"], &["--within", "200h"]] {
        assert_eq!(daemon.ctl(&[&["drain"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_busy_ike_thread_is_an_answer_and_not_a_wait() {
    // The IKE thread takes a question and does not let go of it.
    let daemon = daemon(|question| {
        std::mem::forget(question);
    });
    let start = clock::now();
    let output = daemon.ctl(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "aditctl: aditd says: the IKE thread did not answer in time; ask again\n");
    assert!(clock::now().since(start) < Duration::from_secs(4));
    // What needs no IKE thread is answered all the same.
    assert_eq!(daemon.ctl(&["workers"]).status.code(), Some(0));
}

#[test]
fn who_asks_a_slow_thread_hears_which_it_is_and_what_a_reload_may_still_do() {
    let daemon = serving();
    let still = "the reload takes its time: it goes on, and may still be applied. `aditctl watch --kind reloaded` tells when it is";
    std::thread::scope(|scope| {
        for (arguments, says) in [
            (&["reload"][..], still),
            (&["reload", "--dry-run"], "the reload thread did not answer in time; ask again"),
            (&["config"], "the reload thread did not answer in time; ask again"),
            (&["aaa"], "the AAA thread did not answer in time; ask again"),
        ] {
            let socket = daemon.socket();
            scope.spawn(move || {
                let output = ctl(&socket, arguments);
                let said = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(1), "{arguments:?}");
                assert_eq!(said, format!("aditctl: aditd says: {says}\n"), "{arguments:?}");
            });
        }
    });
    let metrics = raw(&daemon, "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(metrics.starts_with("HTTP/1.1 503 ") && metrics.contains("urn:adit:problem:too_late"), "{metrics}");
}

#[test]
fn too_many_questions_are_turned_away_at_once() {
    let (asker, questions) = ask::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let many = std::iter::repeat_with(|| {
            let asker = asker.clone();
            let listing = Listing { after: None, limit: 1 };
            tokio::spawn(async move { asker.ask(|to| Question::Sessions(listing, SessionQuery::default(), to)).await })
        });
        let asked: Vec<_> = many.take(40).collect();
        let mut busy = 0;
        let mut late = 0;
        for answer in asked {
            match answer.await.unwrap() {
                Err(ask::NoAnswer::Busy) => busy += 1,
                Err(ask::NoAnswer::TooLate) => late += 1,
                other => panic!("nobody answers here: {other:?}"),
            }
        }
        assert_eq!((busy, late), (24, 16));
        assert_eq!(questions.len(), 16);
    });
}

#[test]
fn a_daemon_that_is_ending_says_so() {
    let daemon = daemon(drop);
    let output = daemon.ctl(&["sessions"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "aditctl: aditd says: aditd is ending\n");
}

#[test]
fn a_daemon_that_is_not_there_is_exit_status_3_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let output = ctl(&folder.path().join("none.sock"), &["status"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("none.sock: there is no such socket. Is aditd running? Another place: --socket"), "{said}");

    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let output = ctl(&stale, &["status"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no aditd behind it"), "{said}");
}

#[test]
fn a_wrong_command_line_is_exit_status_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["sesions"][..], &[], &["sessions", "--yaml"]] {
        let output = ctl(&folder.path().join("none.sock"), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn paths_that_do_not_exist_and_methods_that_change_things_are_refused_in_json() {
    let daemon = serving();
    let answer = raw(&daemon, "GET /v2/sessions HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(answer.contains("\"type\":\"urn:adit:problem:no_such_path\""), "{answer}");
    let answer =
        raw(&daemon, "POST /v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET,HEAD"), "{answer}");
    assert!(answer.contains("\"type\":\"urn:adit:problem:wrong_method\""), "{answer}");
}

#[test]
fn pages_go_on_where_the_one_before_ended_and_filters_choose() {
    let daemon = serving();
    let get = |path: &str| {
        let answer = raw(&daemon, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), serde_json::from_str::<serde_json::Value>(body).unwrap())
    };
    let (status, first) = get("/v1/sessions?limit=1");
    assert_eq!((status.as_str(), &first["sessions"][0]["id"], &first["next"]), ("200", &"s7".into(), &"s7".into()));
    let (_, second) = get("/v1/sessions?limit=1&after=s7");
    assert_eq!((&second["sessions"][0]["id"], &second["next"]), (&"s8".into(), &serde_json::Value::Null));
    let (_, chosen) = get("/v1/sessions?identity=ali*%40rig.*&transport=nat-t&address=10.30.0.2");
    assert_eq!(chosen["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(get("/v1/sessions?state=closing").1["sessions"], serde_json::json!([]));
    assert_eq!(get("/v1/ctcp?limit=2").1["next"], "c0-1");
    assert_eq!(get("/v1/ctcp?limit=2&after=c0-1").1["connections"].as_array().unwrap().len(), 1);
    for path in ["/v1/sessions?limit=0", "/v1/sessions?limit=1001", "/v1/sessions?limit=x", "/v1/sessions?after=7"]
        .into_iter()
        .chain([
            "/v1/sessions?identiy=a",
            "/v1/sessions?state=well",
            "/v1/sessions/7",
            "/v1/leases?after=1",
            "/v1/ctcp?after=x",
        ])
    {
        let (status, problem) = get(path);
        assert_eq!((status.as_str(), &problem["type"]), ("400", &"urn:adit:problem:bad_parameter".into()), "{path}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
    assert_eq!(get("/v1/sessions/s7").1["sas"][0]["spi_in"], "0x11223344");
    assert_eq!(get("/v1/sessions/s9").1["type"], "urn:adit:problem:no_such_session");
}

#[test]
fn sessions_are_ended_and_get_other_keys_by_name_and_by_identity() {
    let daemon = serving();
    assert_eq!(out(&daemon.ctl(&["disconnect", "s7", "alice@rig.example.org"])), "s7 ends\ns7 ends\n");
    assert_eq!(out(&daemon.ctl(&["--json", "rekey", "--ike", "s7"])), "[{\"session\":\"s7\"}]\n");
    for (arguments, says) in [
        (["disconnect", "s9"], "there is no session s9: it has ended, or has never been"),
        (["disconnect", "bob"], "bob has no session"),
        (["rekey", "s8"], "s8 is not up: it has no keys that could be replaced"),
    ] {
        let output = daemon.ctl(&arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("aditctl: aditd says: {says}\n"));
    }
}

/// No page of the first ones has anything of him.
#[test]
fn why_finds_an_identity_behind_thousands_of_others() {
    let daemon = daemon(|question| match question {
        Question::Sessions(listing, query, answer) => {
            let there = (1..=5000).map(SessionId).filter(|id| listing.after.is_none_or(|after| *id > after));
            let named =
                |id: SessionId| SessionView { id: id.to_string(), identity: format!("user{}", id.0), ..session() };
            let meant = |id| Some(named(id)).filter(|view| query.means(view)).into_iter().collect();
            let _gone = answer.send(listing.page(there.map(|id| (id, id)), meant));
        }
        other => panic!("nothing else is asked: {other:?}"),
    });
    let text = out(&daemon.ctl(&["why", "user4999"]));
    assert!(text.starts_with("who        user4999, session s4999, here for "), "{text}");
    assert_eq!(daemon.ctl(&["why", "user5001"]).status.code(), Some(1));
}

/// Alice has sessions in every state, and one that ends between the list and what is wanted; Bob's is closing.
fn crowded() -> Daemon {
    daemon(|question| match question {
        Question::Sessions(_, query, answer) => {
            let of = |id: &str, state, identity: &str| {
                let (id, identity) = (id.to_owned(), identity.to_owned());
                SessionView { id, state, identity, ..session() }
            };
            let there = [
                of("s1", SessionState::Closing, "alice"),
                of("s2", SessionState::Connecting, "alice"),
                of("s3", SessionState::Up, "alice"),
                of("s4", SessionState::Up, "alice"),
                of("s5", SessionState::Up, "alice"),
                of("s6", SessionState::Closing, "bob"),
            ];
            let lines = there.into_iter().filter(|view| query.means(view)).collect();
            let _gone = answer.send(Listed { lines, next: None });
        }
        Question::Order(id, order, answer) => {
            let _gone = answer.send(match (id.0, order) {
                (3, _) | (9.., _) => Obeyed::NoSuchSession,
                (1 | 2 | 6, Order::RekeyIke | Order::RekeyChildren) => Obeyed::NotUp,
                (_, _) => Obeyed::Begun,
            });
        }
        other => panic!("nothing else is asked: {other:?}"),
    })
}

#[test]
fn what_can_be_done_is_done_although_something_else_cannot_and_both_are_said() {
    let daemon = crowded();
    let nines = "there is no session s9: it has ended, or has never been";
    for (arguments, code, done, refused) in [
        (&["rekey", "alice"][..], 0, "s4 gets other keys\ns5 gets other keys\n", vec![]),
        (&["disconnect", "al*"], 0, "s2 ends\ns4 ends\ns5 ends\n", vec![]),
        (&["disconnect", "s9", "s4"], 1, "s4 ends\n", vec![nines]),
        (
            &["disconnect", "s10", "alice", "s9"],
            1,
            "s2 ends\ns4 ends\ns5 ends\n",
            vec!["there is no session s10: it has ended, or has never been", nines],
        ),
        (
            &["rekey", "s1", "s5"],
            1,
            "s5 gets other keys\n",
            vec!["s1 is not up: it has no keys that could be replaced"],
        ),
        (&["--json", "disconnect", "s9", "s4"], 1, "[{\"session\":\"s4\"}]\n", vec![nines]),
        (&["disconnect", "bob"], 1, "", vec!["bob has no session that could end: what he has is closing"]),
        (&["rekey", "bob"], 1, "", vec!["bob has no session that is up"]),
    ] {
        let output = daemon.ctl(arguments);
        let refused: String = refused.iter().map(|says| format!("aditctl: aditd says: {says}\n")).collect();
        let [said, told] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!((output.status.code(), &said[..], told), (Some(code), done, refused), "{arguments:?}");
    }
}

/// `ADIT_WRITE=1 cargo test -p adit-control --test api` writes it anew.
#[test]
fn the_committed_description_is_the_programs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let described = adit_control::api::routes::description().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("ADIT_WRITE").is_some() {
        std::fs::write(path, &described).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == described,
        "{path} is not what the program says: ADIT_WRITE=1 writes it"
    );
    let daemon = serving();
    let served = raw(&daemon, "GET /openapi.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let body: serde_json::Value = serde_json::from_str(served.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, serde_json::from_str::<serde_json::Value>(&described).unwrap());
    let again = "GET /openapi.json HTTP/1.1\r\nhost: a\r\nif-none-match: \"0.1.0\"\r\nconnection: close\r\n\r\n";
    assert!(raw(&daemon, again).starts_with("HTTP/1.1 304 "));
}

#[test]
fn what_is_told_of_certificates_is_whom_they_name_and_when_they_end() {
    let daemon = serving();
    let answer = raw(&daemon, "GET /v1/certificates HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Vec<CertificateView>>(body).unwrap(), [certificate()]);
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none.sock");
    let bash = out(&ctl(&nowhere, &["completions", "bash"]));
    let written = ctl(&nowhere, &["man", folder.path().join("man1").to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0));
    let help = out(&ctl(&nowhere, &["--help"]));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> =
        commands.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help").collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(bash.contains(&format!("aditctl,{name})")), "{name}");
        let page = folder.path().join("man1").join(format!("aditctl-{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains(".SH NAME"), "{name}");
    }
    assert!(out(&ctl(&nowhere, &["man"])).contains("aditctl\\-sessions(1)"));
}

#[test]
fn the_socket_goes_when_the_api_does() {
    let daemon = serving();
    let socket = daemon.socket();
    assert!(socket.exists());
    let (_folder, _feed) = daemon.end_api();
    assert!(!socket.exists());
}
