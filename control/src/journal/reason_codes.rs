//! `docs/reason-codes.md`: every stable code in one list, made from where each is defined.

use crate::capture::CaptureEnd;
use crate::ctcp::remedy;
use crate::ike::counters::Ignored;
use crate::journal::{Kind, Severity};
use crate::session::Cause;
use adit_dataplane::contract::{
    Diagnosis, DropReason, Finding, Leg, Loss, PathClass, PeerClass, Percent, Transport, Transports,
};
use std::fmt::Write as _;

/// Set, the test writes the page instead of looking at it.
const REWRITE: &str = "ADIT_WRITE_REASON_CODES";

fn table(page: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    writeln!(page, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len())).unwrap();
    for row in rows {
        writeln!(page, "| {} |", row.join(" | ")).unwrap();
    }
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn pairs<'a>(codes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Vec<String>> {
    codes.into_iter().map(|(name, sentence)| vec![code(name), sentence.to_owned()]).collect()
}

fn finding(finding: Finding) -> (&'static str, &'static str) {
    let (sure, loss) = (Percent(0), None::<Loss>);
    let (peer, path) = (PeerClass::Legacy, PathClass::Clean);
    let told = Diagnosis { peer, peer_sure: sure, path, path_sure: sure, up: loss, down: loss, finding };
    let remedy = remedy(&told, "192.0.2.1:10000".parse().unwrap());
    (remedy.reason, remedy.sentence)
}

fn peer(class: PeerClass) -> (&'static str, &'static str) {
    let sentence = match class {
        PeerClass::Legacy => "a Cisco client, or one in its manner: it sends nothing again",
        PeerClass::Tcp => "a real TCP",
        PeerClass::Ours => "adit's own client, which repeats what is asked for",
    };
    (class.name(), sentence)
}

fn path(class: PathClass) -> (&'static str, &'static str) {
    let sentence = match class {
        PathClass::Clean => "nothing on the way looks into the connection",
        PathClass::Tracker => "a firewall counts windows",
        PathClass::InOrder => "a firewall keeps segments in order and waits for what is missing",
        PathClass::Splitter => "a TCP proxy cuts and joins segments",
    };
    (class.name(), sentence)
}

fn leg(leg: Leg) -> (&'static str, &'static str) {
    let sentence = match leg {
        Leg::ClientSide => "between the client and the firewall",
        Leg::HeadendSide => "between the firewall, or proxy, and the headend",
        Leg::BehindProxy => "on the far side of a proxy",
        Leg::InClient => "in the client itself, before its TCP",
        Leg::Somewhere => "somewhere between the client and the headend",
    };
    (leg.name(), sentence)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn transport(transport: Transport) -> (&'static str, &'static str) {
    let sentence = match transport {
        Transport::NatT => "ESP in UDP 4500 (RFC 3948)",
        Transport::NatT500 => "ESP in UDP 500 (drafts 00 and 01 of NAT traversal)",
        Transport::CiscoUdp => "Cisco's IPsec over UDP",
        Transport::Esp => "IP protocol 50",
        Transport::Ctcp => "Cisco's IPsec over TCP",
        Transport::Tcp => "real TCP (RFC 9329)",
    };
    (transport.name(), sentence)
}

fn page() -> String {
    let mut page = "# Reason codes\n\nEvery stable code that logs, events, counters and the API have. A code is never renamed and never means something \
                        else; new ones may come.\nThis page is made from the program (`ADIT_WRITE_REASON_CODES=1 cargo test -p adit-control --lib reason_codes`), \
                        and a test holds it to that.\n"
            .to_owned();
    page += "\n## Kinds of events\n\n`kind` in `GET /v1/events`, `event:` of its stream, `aditctl watch --kind`. Those marked can be caused by peers as often as they like: each of\nthem has an eighth of the journal at most. Of refused logins 20 are told at once and five a second; `left_out` counts the others.\n\n";
    let kinds = Kind::ALL.iter().map(|kind| {
        let often = if kind.is_cheap() { "often" } else { "" };
        vec![code(kind.name()), severity(kind.severity()).to_owned(), often.to_owned(), kind.sentence().to_owned()]
    });
    table(&mut page, &["kind", "severity", "", "what has happened"], kinds);
    page += "\n## Causes\n\nWhy a login fails or a session ends: `cause=` in logs, `reason` of `login_refused` and `logout`.\n\n";
    table(&mut page, &["cause", ""], pairs(Cause::ALL.iter().map(|cause| (cause.name(), cause.sentence()))));
    page += "\n## Ends of captures\n\n`reason` of `capture_ended`, `end` in `GET /v1/captures`.\n\n";
    table(&mut page, &["end", ""], pairs(CaptureEnd::ALL.iter().map(|end| (end.name(), end.sentence()))));
    page += "\n## Findings\n\nWhat is wrong with a cTCP connection: `reason` of `stall_found`, `remedy.reason` in `GET /v1/ctcp`. \
                 [operating.md](operating.md) has the remedies.\n\n";
    table(&mut page, &["finding", ""], pairs(Finding::ALL.iter().map(|found| finding(*found))));
    page += "\n## Clients, paths and legs of cTCP\n\n";
    table(&mut page, &["client", ""], pairs(PeerClass::ALL.iter().map(|class| peer(*class))));
    page += "\n";
    table(&mut page, &["path", ""], pairs(PathClass::ALL.iter().map(|class| path(*class))));
    page += "\n";
    table(&mut page, &["leg", "where it is lost"], pairs(Leg::ALL.iter().map(|place| leg(*place))));
    page += "\n## Transports\n\n";
    let all =
        [Transport::NatT, Transport::NatT500, Transport::CiscoUdp, Transport::Esp, Transport::Ctcp, Transport::Tcp];
    assert_eq!(all.into_iter().collect::<Transports>(), Transports::ALL);
    table(&mut page, &["transport", ""], pairs(all.map(transport)));
    page += "\n## Drops\n\nWhy a worker drops a packet: `GET /v1/drops`, `aditctl drops`.\n\n";
    let drops = DropReason::ALL.iter().map(|reason| (reason.name(), reason.sentence()));
    table(&mut page, &["drop", ""], pairs(drops));
    page += "\n## Ignored\n\nWhy an IKE datagram leads to nothing: `ignored` in `GET /v1/ike`, `aditctl ike`.\n\n";
    let ignored = Ignored::ALL.iter().map(|reason| (reason.name(), reason.sentence()));
    table(&mut page, &["ignored", ""], pairs(ignored));
    page
}

#[test]
fn the_page_of_reason_codes_is_what_the_program_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reason-codes.md");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/reason-codes.md is stale: {REWRITE}=1 cargo test -p adit-control --lib reason_codes"
    );
}
