//! `aditctl ctcp`: connections as a table and in detail, their end, and moving their sessions.

use crate::stand_in::*;

use adit_control::ctcp::ConnectionView;

#[test]
fn ctcp_connections_are_a_table_and_each_has_its_detail_with_the_remedy() {
    let daemon = serving();
    let table = out(&daemon.ctl(&["ctcp"]));
    for text in ["c0-0", "203.0.113.9", "40001->10000", "stalled", "legacy", "in-order", "1.0%", "31.2ms", "25%", "12s"]
    {
        assert!(table.contains(text), "{text} in\n{table}");
    }
    assert!(table.contains("c0-1") && table.contains("login"), "{table}");
    for name in ["c0-0", "203.0.113.9:40001"] {
        let detail = out(&daemon.ctl(&["ctcp", name]));
        for text in [
            "session    s7 alice\n",
            "loss up    1.0% (10 of 1000), client side (90 % sure)\n",
            "stalled    for 12s, 4.0 KiB missing\n",
            "finding    stalled: a firewall waits",
            "  access-list CTCP extended permit tcp any host 192.0.2.1 eq 10000\n",
            "    set connection advanced-options tcp-state-bypass\n",
        ] {
            assert!(detail.contains(text), "{text} in\n{detail}");
        }
        assert!(!detail.contains("c0-1"), "{detail}");
    }
    assert_eq!(out(&daemon.ctl(&["ctcp", "203.0.113.9"])).matches("finding    ").count(), 2, "both are from there");
    let unknown = daemon.ctl(&["ctcp", "c9-9"]);
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    let json: Vec<ConnectionView> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "--json"]))).unwrap();
    assert_eq!(json, [flow(true), flow(false), stream()]);
    let json: Vec<ConnectionView> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "c0-1", "--json"]))).unwrap();
    assert_eq!(json, [flow(false)]);
}

#[test]
fn connections_in_real_tcp_are_among_them_and_have_their_own_detail() {
    let daemon = serving();
    let table = out(&daemon.ctl(&["ctcp"]));
    for text in ["c0-2", "203.0.113.77", "40003->4500", "bob", "RFC 9329", "1.5%", "12.5ms", "50%"] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
    let detail = out(&daemon.ctl(&["ctcp", "203.0.113.77"]));
    assert_eq!(
        detail,
        "connection c0-2, up, since 1m00s\n\
         peer       203.0.113.77:40003 to 192.0.2.1:4500, heard 1s ago\n\
         session    s8 bob\n\
         kind       real TCP (RFC 9329)\n\
         rtt        12.5ms, least 11.0ms\n\
         in flight  4.0 KiB\n\
         queue      64.0 KiB of 128.0 KiB, 17 ESP packets had to give way\n\
         received   1.2k segments, 1.4 MiB\n\
         sent       2.0k segments, 2.4 MiB; 30 sent again (1.5%)\n"
    );
    let json: Vec<serde_json::Value> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "--json"]))).unwrap();
    let kinds: Vec<_> = json.iter().map(|view| view["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ctcp", "ctcp", "tcp"]);
    assert_eq!((&json[2]["given_way"], &json[2]["down"]["resent"]), (&17.into(), &30.into()));
}

#[test]
fn a_session_is_moved_by_its_connections_name() {
    let daemon = serving();
    let [of_s1, of_s2, nobodys] =
        [flow_report(true).id, flow_report(false).id, stream_report().id].map(|id| id.to_string());
    let said = out(&daemon.ctl(&["ctcp", "move", &of_s1]));
    assert_eq!(said, format!("ctcp is closed to s1 for 5m00s, and {of_s1} is reset; what is left: nat-t, esp\n"));
    let json: serde_json::Value =
        serde_json::from_str(&out(&daemon.ctl(&["ctcp", "move", &of_s1, "--for", "90s", "--json"]))).unwrap();
    assert_eq!((&json["session"], &json["seconds"], &json["left"][1]), (&"s1".into(), &90.into(), &"esp".into()));
    for (arguments, code, words) in [
        (&["ctcp", "move", &of_s2][..], 1, "s2 may come by no other transport"),
        (&["ctcp", "move", &nobodys], 1, "no session that is up has"),
        (&["ctcp", "move", "c0-77"], 1, "there is no such connection"),
        (&["ctcp", "move", "all"], 1, "looks like"),
        (&["ctcp", "move", &of_s1, "--for", "2d"], 2, "up to a day"),
        (&["ctcp", "move", &of_s1, "--for", "0s"], 2, "up to a day"),
    ] {
        let refused = daemon.ctl(arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(code) && said.contains(words), "{arguments:?}: {said}");
    }
    for (path, status, words) in [
        (format!("{of_s2}/move"), "409", "urn:adit:problem:no_other_transport"),
        (format!("{of_s1}/move?seconds=86401"), "400", "from 1 to 86400"),
        (format!("{of_s1}/move?minutes=1"), "400", "minutes"),
    ] {
        let said =
            raw(&daemon, &format!("POST /v1/ctcp/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")) && said.contains(words), "{path}: {said}");
    }
}

#[test]
fn a_connection_or_all_of_them_are_cleared_by_name() {
    let daemon = serving();
    assert_eq!(out(&daemon.ctl(&["ctcp", "clear", "c0-1"])), "1 connections are ended\n");
    assert_eq!(out(&daemon.ctl(&["ctcp", "clear", "all", "--json"])), "{\"cleared\":3}\n");
    for (name, words) in [("c0-5", "there is no such connection"), ("s7", "looks like"), ("../v1/status", "looks like")]
    {
        let refused = daemon.ctl(&["ctcp", "clear", name]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(words), "{name}: {said}");
    }
}

#[test]
fn a_page_of_connections_has_those_that_are_meant_and_says_where_it_goes_on() {
    let daemon = serving();
    let get = |query: &str| {
        let answer =
            raw(&daemon, &format!("GET /v1/ctcp{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
        let page: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let lines: Option<Vec<_>> =
            page["connections"].as_array().map(|lines| lines.iter().map(|line| line["id"].clone()).collect());
        (lines.unwrap_or_default(), page)
    };
    for (query, ids, next) in [
        ("", &["c0-0", "c0-1", "c0-2"][..], None),
        ("?limit=1", &["c0-0"], Some("c0-0")),
        ("?limit=2&after=c0-0", &["c0-1", "c0-2"], None),
        ("?connection=c0-1&limit=1", &["c0-1"], None),
        ("?connection=c0-2", &["c0-2"], None),
        ("?connection=c9-9", &[], None),
        ("?connection=c0-1&session=s7", &[], None),
        ("?session=s8&limit=1", &["c0-2"], None),
        ("?session=s9", &[], None),
    ] {
        let (found, page) = get(query);
        assert_eq!((found, page["next"].as_str()), (ids.iter().map(|id| (*id).into()).collect(), next), "{query}");
    }
    for wrong in ["?connection=7", "?session=alice", "?after=x"] {
        assert_eq!(get(wrong).1["type"], "urn:adit:problem:bad_parameter", "{wrong}");
    }
}
