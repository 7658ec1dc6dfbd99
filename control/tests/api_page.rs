//! The web page's doors: what strangers see, how a token becomes a login, what a login may, and which pages may have anything changed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::api::access::{By, Caller, Operators, Remote, Role};
use adit_control::api::ask::{self, Obeyed, Question};
use adit_control::api::reload;
use adit_control::api::routes::{Sources, router};
use adit_control::api::serve::{Peer, serve};
use adit_control::api::strangers::Strangers;
use adit_control::config::checked::{Operator, TokenHash};
use adit_control::journal::{self, Board, Journal};
use axum::Router;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const VIEWER: &str = "adit_viewer";
const BOSS: &str = "adit_boss";
/// What a browser says with a form of its own.
const BROWSER: &str = "accept: text/html,application/xhtml+xml\r\ncontent-type: application/x-www-form-urlencoded\r\n";

/// The API, without a daemon behind it: every session ends as it is told.
struct Door {
    router: Router,
    operators: Arc<Operators>,
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn line(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// What the next request has to show.
    fn cookie(&self) -> String {
        let (pair, _) = self.line("set-cookie").unwrap().split_once(';').unwrap();
        format!("cookie: other=1; {pair}\r\n")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// But for the time.
    fn all(&self) -> String {
        let head: String = self.head.lines().filter(|line| !line.starts_with("date: ")).collect();
        format!("{head}{}", self.body)
    }
}

impl Door {
    fn new() -> Self {
        let (asker, questions) = ask::channel();
        std::thread::spawn(move || {
            for question in questions {
                let Question::Order(_, _, answer) = question else { panic!("nothing else is asked") };
                let _gone = answer.send(Obeyed::Begun);
            }
        });
        let (aaa, _nobody) = adit_control::aaa::window::channel();
        let (_feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
        let (board, _keeping) = Board::new(Journal::new(64, 7), arriving);
        let (reloader, captures) = (reload::requests().0, adit_control::capture::channel().0);
        let sources = Sources { asker, reloader, aaa, workers: Arc::from([]), captures, board };
        let operator = |name: &str, role, token: &str| Operator {
            name: name.to_owned(),
            role,
            token: Some(TokenHash::of(token.as_bytes())),
            certificate_name: None,
        };
        let operators = vec![operator("viewer", Role::Read, VIEWER), operator("boss", Role::Admin, BOSS)];
        Self { router: router(sources), operators: Arc::new(Operators::new(operators)) }
    }

    /// By TCP, without a certificate.
    async fn remote(&self, first: &str, lines: &str, body: &str) -> Answer {
        let remote = Remote::new(None, Arc::clone(&self.operators), None);
        self.asked(Peer::Remote(remote), first, lines, body).await
    }

    /// By TCP, with a certificate of somebody who may do this.
    async fn certified(&self, role: Role, first: &str, lines: &str) -> Answer {
        let by_certificate = Some(Caller { name: "carol".into(), role, by: By::Certificate });
        let remote = Remote::new(by_certificate, Arc::clone(&self.operators), None);
        self.asked(Peer::Remote(remote), first, lines, "").await
    }

    /// By the Unix socket, as root.
    async fn local(&self, first: &str, lines: &str) -> Answer {
        let caller = Caller { name: "uid 0".into(), role: Role::Admin, by: By::Socket };
        self.asked(Peer::Local(caller), first, lines, "").await
    }

    async fn asked(&self, peer: Peer, first: &str, lines: &str, body: &str) -> Answer {
        let (mut near, far) = duplex(1 << 20);
        let serving = tokio::spawn(serve(far, self.router.clone(), peer, pending()));
        let host = if lines.contains("host: ") { "" } else { "host: vpn:8443\r\n" };
        let length =
            if first.starts_with("POST") { format!("content-length: {}\r\n", body.len()) } else { String::new() };
        let request = format!("{first} HTTP/1.1\r\n{host}connection: close\r\n{length}{lines}\r\n{body}");
        near.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        serving.await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn signs_in(&self, form: &str) -> Answer {
        self.remote("POST /", BROWSER, form).await
    }
}

#[tokio::test]
async fn a_stranger_with_a_browser_sees_one_form_whatever_he_asks_for_or_sends() {
    let door = Door::new();
    let form = door.remote("GET /", BROWSER, "").await;
    assert_eq!((form.status, form.line("content-type")), (401, Some("text/html; charset=utf-8")));
    for secret in ["adit", "headend", "0.1.0", "server: "] {
        assert!(!form.all().to_lowercase().contains(secret), "{secret} in {}", form.all());
    }
    let script = door.remote("GET /", "accept: */*\r\n", "").await;
    assert_eq!((script.status, script.line("content-type")), (401, Some("application/problem+json")));
    for path in
        ["/openapi.json", "/v1/status", "/v1/sessions/s1", "/page/app.js", "/page/sign-out", "/no/such/path", "/%ff"]
    {
        assert_eq!(door.remote(&format!("GET {path}"), BROWSER, "").await.all(), form.all(), "{path}");
        let sent = door.remote(&format!("POST {path}"), BROWSER, "token=adit_wrong").await;
        assert_eq!(sent.all(), form.all(), "{path}");
        let asked = door.remote(&format!("GET {path}"), "accept: */*\r\n", "").await;
        let other = door.remote(&format!("DELETE {path}"), BROWSER, "").await;
        assert_eq!((asked.all(), other.all()), (script.all(), script.all()), "what no form asks is a script's: {path}");
    }
    for sent in ["token=", "token=a&token=b", "nonsense", "", &"x".repeat(5000)] {
        assert_eq!(door.signs_in(sent).await.all(), form.all(), "{sent:.20}");
    }
}

#[tokio::test]
async fn a_token_makes_a_login_that_may_look_or_with_the_tick_what_its_operator_may() {
    let door = Door::new();
    for (form, name, role, ends) in [
        (format!("token={VIEWER}"), "viewer", "read", 403),
        (format!("token={VIEWER}&change=yes"), "viewer", "read", 403),
        (format!("token=+{BOSS}+"), "boss", "read", 403),
        (format!("token={BOSS}&change=yes"), "boss", "admin", 202),
    ] {
        let login = door.signs_in(&form).await;
        assert_eq!((login.status, login.line("location"), login.body.as_str()), (303, Some("/"), ""), "{form}");
        let cookie = login.line("set-cookie").unwrap();
        assert!(cookie.starts_with("__Host-login=") && !cookie.contains("Domain"), "{cookie}");
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
        let lines = login.cookie();
        let who = door.remote("GET /v1/caller", &lines, "").await.json();
        assert_eq!(who, serde_json::json!({ "name": name, "role": role, "by": "login" }));
        assert_eq!(door.remote("GET /", &lines, "").await.status, 200);
        assert_eq!(door.remote("DELETE /v1/sessions/s7", &lines, "").await.status, ends, "{form}");
    }
    let nobodys = format!("cookie: __Host-login={}\r\n", "0".repeat(64));
    assert_eq!(door.remote("GET /v1/caller", &nobodys, "").await.status, 401);
}

#[tokio::test]
async fn a_login_counts_less_than_what_is_shown_with_the_request() {
    let door = Door::new();
    let boss = door.signs_in(&format!("token={BOSS}&change=yes")).await.cookie();
    let by = async |lines: String| door.remote("GET /v1/caller", &lines, "").await;
    assert_eq!(by(format!("{boss}authorization: Bearer {VIEWER}\r\n")).await.json()["name"], "viewer");
    assert_eq!(by(format!("{boss}authorization: Bearer adit_wrong\r\n")).await.status, 401);
    let carol = door.certified(Role::Read, "GET /v1/caller", &boss).await.json();
    assert_eq!(
        (&carol["name"], &carol["role"], &carol["by"]),
        (&"carol".into(), &"read".into(), &"certificate".into())
    );
}

#[tokio::test]
async fn only_our_own_page_may_have_something_changed_by_every_door() {
    let door = Door::new();
    let (ends, boss) = ("DELETE /v1/sessions/s7", door.signs_in(&format!("token={BOSS}&change=yes")).await.cookie());
    for (lines, status) in [
        ("sec-fetch-site: same-origin\r\n", 202),
        ("", 202),
        ("origin: https://vpn:8443\r\n", 202),
        ("sec-fetch-site: cross-site\r\n", 403),
        ("sec-fetch-site: same-site\r\n", 403),
        ("origin: https://evil.example\r\n", 403),
        ("origin: null\r\n", 403),
    ] {
        let token = format!("authorization: Bearer {BOSS}\r\n{lines}");
        let answers = [
            door.remote(ends, &format!("{boss}{lines}"), "").await,
            door.remote(ends, &token, "").await,
            door.certified(Role::Admin, ends, lines).await,
            door.local(ends, lines).await,
        ];
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(answer.status, status, "{lines} by door {index}");
            if status == 403 {
                assert_eq!(answer.json()["type"], "urn:adit:problem:cross_site");
            }
        }
        // To look changes nothing, and other pages cannot read what comes.
        let looks = door.local("GET /v1/caller", lines).await;
        assert_eq!((looks.status, looks.line("cross-origin-resource-policy")), (200, Some("same-origin")));
        assert_eq!(looks.line("access-control-allow-origin"), None);
    }
    let from_elsewhere = format!("{BROWSER}sec-fetch-site: cross-site\r\n");
    let pushed = door.remote("POST /", &from_elsewhere, &format!("token={BOSS}")).await;
    assert_eq!((pushed.status, pushed.line("set-cookie")), (401, None), "nobody is signed in by another page");
}

#[tokio::test]
async fn a_name_that_strangers_can_have_is_not_answered_at_the_unix_socket() {
    let door = Door::new();
    for (host, status) in [
        ("localhost:8443", 200),
        ("aditd", 200),
        ("127.0.0.1:8443", 200),
        ("[::1]:8443", 200),
        ("evil.example:8443", 421),
    ] {
        for path in ["GET /", "GET /v1/caller", "DELETE /v1/sessions/s7"] {
            let answer = door.local(path, &format!("host: {host}\r\n")).await;
            let expected = if status == 200 && path.starts_with("DELETE") { 202 } else { status };
            assert_eq!(answer.status, expected, "{host} {path}");
        }
    }
    let answer = door.local("GET /v1/caller", "host: evil.example\r\n").await;
    assert_eq!(answer.json()["type"], "urn:adit:problem:wrong_host");
    // Who comes by TCP has a certificate of ours to believe.
    assert_eq!(door.certified(Role::Read, "GET /v1/caller", "host: vpn.example.org\r\n").await.status, 200);
}

#[tokio::test]
async fn who_signs_out_is_a_stranger_again() {
    let door = Door::new();
    let cookie = door.signs_in(&format!("token={VIEWER}")).await.cookie();
    let elsewhere = format!("{cookie}sec-fetch-site: cross-site\r\n");
    assert_eq!(door.remote("POST /page/sign-out", &elsewhere, "").await.status, 403);
    assert_eq!(door.remote("GET /v1/caller", &cookie, "").await.status, 200, "no other page signs anybody out");
    let out = door.remote("POST /page/sign-out", &cookie, "").await;
    assert_eq!(out.status, 204);
    assert!(out.line("set-cookie").unwrap().ends_with("; Max-Age=0"));
    assert_eq!(door.remote("GET /v1/caller", &cookie, "").await.status, 401);
    assert_eq!(door.local("POST /page/sign-out", "").await.status, 404, "who has no login has none to end");
}

#[tokio::test]
async fn every_answer_says_what_browsers_may_do_with_it() {
    let door = Door::new();
    for (path, policy, keeps) in [
        ("/", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'", Some("no-cache")),
        ("/page/app.js", "default-src 'none'; script-src 'self'", Some("no-cache")),
        ("/v1/caller", "default-src 'none'; frame-ancestors 'none'", Some("no-store")),
        ("/no/such/path", "default-src 'none'; frame-ancestors 'none'", Some("no-store")),
    ] {
        let answer = door.local(&format!("GET {path}"), "").await;
        assert!(answer.line("content-security-policy").unwrap().starts_with(policy), "{path}");
        assert_eq!(
            (answer.line("x-content-type-options"), answer.line("referrer-policy")),
            (Some("nosniff"), Some("same-origin"))
        );
        assert_eq!(answer.line("cache-control"), keeps, "{path}");
        assert!(!answer.head.contains("unsafe-"), "{path}");
    }
    let form = door.remote("GET /", BROWSER, "").await;
    assert_eq!(form.line("cache-control"), Some("no-store"));
    assert!(form.line("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    // What a 304 says takes the place of what the browser has kept (RFC 9111 section 3.2).
    for path in ["GET /", "GET /page/app.js", "GET /openapi.json"] {
        let first = door.local(path, "").await;
        let again = door.local(path, &format!("if-none-match: {}\r\n", first.line("etag").unwrap())).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        for name in ["etag", "cache-control", "content-security-policy", "x-content-type-options", "referrer-policy"] {
            let (told, before) = (again.line(name), first.line(name));
            assert!(told.is_none() || told == before, "{path}: {name}: {told:?}, before {before:?}");
        }
    }
}

#[tokio::test]
async fn who_is_known_takes_no_strangers_place_although_he_stays() {
    let (door, strangers) = (Door::new(), Arc::new(Strangers::default()));
    let from = "192.0.2.1".parse().unwrap();
    let mut all = Vec::new();
    for token in [BOSS, "adit_wrong"] {
        // More than a source's strangers may have.
        let mut stay = Vec::new();
        for _ in 0..100 {
            let Some(place) = strangers.let_in(from) else { break };
            let remote = Remote::new(None, Arc::clone(&door.operators), Some(place));
            let (mut near, far) = duplex(1 << 20);
            tokio::spawn(serve(far, door.router.clone(), Peer::Remote(remote), pending()));
            let request = format!("GET /v1/caller HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
            near.write_all(request.as_bytes()).await.unwrap();
            near.read_u8().await.unwrap();
            stay.push(near);
        }
        all.push(stay);
    }
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [100, 32]);
}
