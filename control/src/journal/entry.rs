//! A happening as it is kept and shown: flat, in words, with number and time.

use super::advice::advice;
use super::happening::{By, CertificateUse, Happening, Renewed, Spell, Strain, What, Who};
use super::{EventId, Kind, Severity};
use crate::capture;
use crate::ctcp::{LossView, remedy};
use adit_dataplane::contract::{Finding, FlowReport, Leg, PathClass, Transport};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use utoipa::ToSchema;

/// One event of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Where to go on after it: `1795801400-17`, the daemon's start and the number.
    pub id: String,
    /// Counted from the daemon's start. A gap is something that was not kept.
    pub number: u64,
    /// When, in UTC: `2026-11-27T18:30:00.123Z`.
    pub at: String,
    /// What kind it is; `docs/reason-codes.md` lists them all.
    pub kind: Kind,
    /// `info`, `warning` or `error`.
    pub severity: Severity,
    /// The session that it is about, `s17`.
    pub session: Option<String>,
    /// Who that is, or claims to be.
    pub identity: Option<String>,
    /// The `[[connection]]` that it came by.
    pub connection: Option<String>,
    /// The client's outer address, after NAT; after a move, the new one.
    #[schema(value_type = Option<String>)]
    pub peer: Option<SocketAddr>,
    /// Before a move.
    #[schema(value_type = Option<String>)]
    pub peer_before: Option<SocketAddr>,
    /// How ESP comes and goes: `nat-t`, `esp`, `ctcp`, …; after a move, the new way.
    pub transport: Option<String>,
    /// Before a move.
    pub transport_before: Option<String>,
    /// Inner addresses, at a login.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// By which version of IKE a client came: `v1`, `v2`.
    pub ike: Option<String>,
    /// What it is about if that is no client: a capture, a pool, a certificate, a worker; for a stall the connection, for a rekey `ike` or `child`.
    pub subject: Option<String>,
    /// Who has begun it: `us`, `peer`; for a move, what showed it; for a capture, the operator.
    pub by: Option<String>,
    /// The stable reason code: a cause, a finding.
    pub reason: Option<String>,
    /// What has happened, one sentence for people.
    pub sentence: String,
    /// What can be done about it, a line each.
    pub remedy: Vec<String>,
    /// What a stalled cTCP connection has shown.
    pub diagnosis: Option<DiagnosisView>,
    /// Events of the same kind right before this one that were too many to keep.
    pub left_out: u64,
}

/// What is known of a stalled cTCP connection's peer and path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiagnosisView {
    /// `legacy`, `tcp` or `ours`.
    pub client: String,
    /// `clean`, `tracker`, `in-order` or `splitter`,
    pub path: String,
    /// and how sure that is, of a hundred.
    pub path_sure: u8,
    /// What is lost from the client,
    pub loss_up: Option<LossView>,
    /// and to it.
    pub loss_down: Option<LossView>,
    /// On which leg what is missing was lost, if it was lost: `client_side`, `headend_side`, `behind_proxy`, `in_client` or `somewhere`.
    pub leg: Option<String>,
    /// Octets that the client has sent and that have not come.
    pub missing_octets: Option<usize>,
}

/// A sentence and what goes with it.
#[derive(Default)]
struct Told {
    sentence: String,
    reason: Option<String>,
    remedy: Vec<String>,
    diagnosis: Option<DiagnosisView>,
    subject: Option<String>,
    by: Option<&'static str>,
    operator: Option<String>,
    transport: Option<Transport>,
    before: Option<(Option<Transport>, SocketAddr)>,
    addresses: Vec<IpAddr>,
    ike: Option<&'static str>,
    left_out: u64,
}

impl Entry {
    /// Puts it into words. `unix` is the time of day.
    pub(super) fn new(id: EventId, unix: Duration, happening: Happening) -> Self {
        let Happening { who, what } = happening;
        let kind = what.kind();
        let moved_to = match &what {
            What::Moved { to, .. } => Some(to.1),
            _stays => None,
        };
        let told = words(what);
        let (session, identity, connection, peer) = match who {
            Some(Who { session, identity, connection, peer }) => (session, identity, connection, Some(peer)),
            None => (None, None, None, None),
        };
        Self {
            id: id.to_string(),
            number: id.number,
            at: utc(unix),
            kind,
            severity: kind.severity(),
            session: session.map(|session| session.to_string()),
            identity: identity.filter(|identity| !identity.is_empty()),
            connection,
            peer: moved_to.or(peer),
            peer_before: told.before.map(|(_, peer)| peer),
            transport: told.transport.map(|transport| transport.to_string()),
            transport_before: told.before.and_then(|(transport, _)| transport).map(|transport| transport.to_string()),
            addresses: told.addresses,
            ike: told.ike.map(str::to_owned),
            subject: told.subject,
            by: told.by.map(str::to_owned).or(told.operator),
            reason: told.reason,
            sentence: told.sentence,
            remedy: told.remedy,
            diagnosis: told.diagnosis,
            left_out: told.left_out,
        }
    }

    /// About how much memory it takes.
    pub(super) fn octets(&self) -> usize {
        let optional = [&self.session, &self.identity, &self.connection, &self.transport, &self.transport_before];
        let more = [&self.ike, &self.subject, &self.by, &self.reason];
        let texts: usize = optional.into_iter().chain(more).flatten().map(String::len).sum();
        let remedy: usize = self.remedy.iter().map(|line| line.len() + size_of::<String>()).sum();
        size_of::<Self>() + texts + remedy + self.sentence.len() + self.addresses.len() * size_of::<IpAddr>()
    }
}

fn words(what: What) -> Told {
    match what {
        What::Login { ike, transport, nat, addresses, algorithms } => {
            let by =
                transport.map_or_else(|| "without ESP so far".to_owned(), |transport| format!("ESP by {transport}"));
            let nat = match nat {
                Spell::On => ", behind a NAT",
                Spell::Off => "",
            };
            let sentence = format!("logged in by IKE{ike} ({algorithms}), {by}{nat}");
            Told { sentence, transport, addresses, ike: Some(ike), ..Told::default() }
        }
        What::LoginRefused { cause, left_out } => {
            let reason = Some(cause.name().to_owned());
            let remedy = advice(cause).map(str::to_owned).into_iter().collect();
            Told { sentence: format!("not let in: {}", cause.sentence()), reason, remedy, left_out, ..Told::default() }
        }
        What::Logout { cause, up, bytes_in, bytes_out } => {
            let seconds = up.as_secs();
            let sentence = format!(
                "session over after {seconds} s, {bytes_in} octets in and {bytes_out} out: {}",
                cause.sentence()
            );
            let remedy = advice(cause).map(str::to_owned).into_iter().collect();
            Told { sentence, reason: Some(cause.name().to_owned()), remedy, ..Told::default() }
        }
        What::Rekey { what, by } => {
            let (subject, what) = match what {
                Renewed::Ike => ("ike", "the IKE SA has been replaced"),
                Renewed::Child => ("child", "a child SA has been replaced"),
            };
            let (by, who) = match by {
                By::Us => ("us", "by us"),
                By::Peer => ("peer", "by the client"),
            };
            let subject = Some(subject.to_owned());
            Told { sentence: format!("{what} {who}"), subject, by: Some(by), ..Told::default() }
        }
        What::Moved { from, to, by } => moved(from, to, by),
        What::TransportClosed { transport, time, by } => {
            let seconds = time.as_secs();
            Told {
                sentence: format!(
                    "{by} has closed {transport} to it for {seconds} s, so that it goes by another transport"
                ),
                subject: Some(transport.to_string()),
                operator: Some(by),
                ..Told::default()
            }
        }
        What::StallSuspected(flow) => Told {
            sentence: format!(
                "nothing of the client's seems to come by its connection {flow}; it is asked whether it lives"
            ),
            subject: Some(flow.to_string()),
            ..Told::default()
        },
        What::StallRefuted(flow) => Told {
            sentence: format!("the client of connection {flow} was heard after all"),
            subject: Some(flow.to_string()),
            ..Told::default()
        },
        What::StallFound(flow) => stalled(&flow),
        What::CaptureStarted { capture, what, by } => {
            let packets = match what {
                capture::What::Outer => "outer packets",
                capture::What::Inner => "inner packets",
                capture::What::Both => "packets",
            };
            let sentence = format!("{by} has its {packets} written to a file, as capture {capture}");
            Told { sentence, subject: Some(capture.to_string()), operator: Some(by), ..Told::default() }
        }
        What::CaptureEnded { capture, end, by, packets, missed } => {
            let missed = if missed == 0 { String::new() } else { format!(", {missed} found no room") };
            let sentence = format!("capture {capture} has ended with {packets} packets{missed}: {}", end.sentence());
            let (subject, reason) = (Some(capture.to_string()), Some(end.name().to_owned()));
            Told { sentence, subject, reason, operator: Some(by), ..Told::default() }
        }
        What::Pool { pool, in_use, of, low } => {
            let again = match low {
                Spell::On => "",
                Spell::Off => " again",
            };
            let sentence = format!("pool {pool}: {in_use} of {of} addresses are in use{again}");
            let remedy = match low {
                Spell::On => {
                    vec![format!("Give pool {pool} more addresses, or its connections another pool beside it.")]
                }
                Spell::Off => vec![],
            };
            Told { sentence, remedy, subject: Some(pool), ..Told::default() }
        }
        What::CertificateExpiring { used_for, subject, left } => {
            let whose = match used_for {
                CertificateUse::Ike => "certificate",
                CertificateUse::Api => "API's certificate",
            };
            let remedy = "Put a new certificate in its place, with its key, and run `aditctl reload`.";
            let sentence = match left.map(|left| left.as_secs() / 86_400) {
                None => format!("the {whose} of {subject} has ended: nobody can verify us by it"),
                Some(0) => format!("the {whose} of {subject} ends within a day"),
                Some(days) => format!("the {whose} of {subject} ends in {days} days"),
            };
            Told { sentence, remedy: vec![remedy.to_owned()], subject: Some(subject), ..Told::default() }
        }
        What::Worker { worker, strain } => {
            let sentence = match strain {
                Some(Strain { transmit_full, ring_full, of }) => format!(
                    "worker {worker}: of {of} packets in a second {transmit_full} found no room to leave, {ring_full} none in a ring or pool"
                ),
                None => format!("worker {worker} has room again"),
            };
            Told { sentence, subject: Some(worker.to_string()), ..Told::default() }
        }
        What::DaemonStarted { version } => {
            Told { sentence: format!("aditd {version} has begun to serve"), ..Told::default() }
        }
        What::Reloaded { changes, ended } => {
            let sentence = format!("another configuration is in force: {changes} changes, {ended} sessions ended");
            Told { sentence, ..Told::default() }
        }
        What::StateNotWritten { file, reason } => {
            let sentence = format!("{file} is not written: {reason}");
            let remedy = "Make room on that disk, or mend its directory: aditd tries again by itself.".to_owned();
            Told { sentence, remedy: vec![remedy], subject: Some(file), ..Told::default() }
        }
        What::StateWritten { file } => {
            Told { sentence: format!("{file} is written again"), subject: Some(file), ..Told::default() }
        }
        What::Draining { sessions, within } => {
            let end = within.map(|within| format!(", which end within {} s", within.as_secs())).unwrap_or_default();
            Told { sentence: format!("nobody new is let in; {sessions} sessions are here{end}"), ..Told::default() }
        }
        What::DrainingOver => Told { sentence: Kind::DrainingOver.sentence().to_owned(), ..Told::default() },
        What::DaemonLeaving => Told { sentence: Kind::DaemonLeaving.sentence().to_owned(), ..Told::default() },
    }
}

fn moved(from: (Option<Transport>, SocketAddr), to: (Option<Transport>, SocketAddr), by: &'static str) -> Told {
    let place = |(transport, peer): (Option<Transport>, SocketAddr)| match transport {
        Some(transport) => format!("{peer} ({transport})"),
        None => peer.to_string(),
    };
    let why = if by == "us" { "as we want".to_owned() } else { format!("as {by} shows") };
    let sentence = format!("moved from {} to {}, {why}", place(from), place(to));
    Told { sentence, transport: to.0, before: Some(from), by: Some(by), ..Told::default() }
}

fn stalled(flow: &FlowReport) -> Told {
    let told = &flow.diagnosis;
    let remedy = remedy(told, flow.path.local);
    // A box that waits for what only the client could repeat waits for what was lost before it.
    let waits = told.finding == Finding::Stalled && told.path != PathClass::Splitter;
    let leg = told.up.map(|loss| loss.leg).or(waits.then_some(Leg::ClientSide));
    let diagnosis = DiagnosisView {
        client: told.peer.name().to_owned(),
        path: told.path.name().to_owned(),
        path_sure: told.path_sure.0,
        loss_up: told.up.map(LossView::new),
        loss_down: told.down.map(LossView::new),
        leg: leg.map(|leg| leg.name().to_owned()),
        missing_octets: flow.evidence.stall.map(|stall| stall.missing),
    };
    Told {
        sentence: format!("connection {} stalled: {}", flow.id, remedy.sentence),
        reason: Some(remedy.reason.to_owned()),
        remedy: remedy.lines().collect(),
        diagnosis: Some(diagnosis),
        subject: Some(flow.id.to_string()),
        transport: Some(Transport::Ctcp),
        ..Told::default()
    }
}

/// RFC 3339, to the millisecond.
fn utc(unix: Duration) -> String {
    let (days, second) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", unix.subsec_millis())
}

/// Year, month and day of the Gregorian calendar, so many days after 1 January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        (year, left) = (year + 1, left - length);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        (month, left) = (month + 1, left - length);
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Cause, SessionId};

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (1_795_804_200, "2026-11-27T18:30:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(Duration::from_secs(unix)), text);
        }
        assert_eq!(utc(Duration::from_millis(1_007)), "1970-01-01T00:00:01.007Z");
    }

    #[test]
    fn a_refused_login_says_who_and_why_and_what_was_left_out() {
        let who = Who {
            session: Some(SessionId(7)),
            identity: Some("bob".to_owned()),
            connection: None,
            peer: "192.0.2.7:500".parse().unwrap(),
        };
        let what = What::LoginRefused { cause: Cause::WrongPassword, left_out: 12 };
        let id = EventId { life: 99, number: 3 };
        let entry = Entry::new(id, Duration::from_secs(1), Happening { who: Some(who), what });
        let json = serde_json::to_value(&entry).unwrap();
        for (key, value) in [
            ("id", "99-3"),
            ("kind", "login_refused"),
            ("severity", "warning"),
            ("session", "s7"),
            ("identity", "bob"),
            ("peer", "192.0.2.7:500"),
            ("reason", "wrong_password"),
            ("sentence", "not let in: this is not the user's password"),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
        assert_eq!((&json["number"], &json["left_out"]), (&3.into(), &12.into()));
        assert_eq!(serde_json::from_value::<Entry>(json).unwrap(), entry);
    }

    #[test]
    fn a_certificate_that_ends_is_renewed_by_a_reload() {
        for (used_for, left, said) in [
            (CertificateUse::Ike, Some(3), "the certificate of CN=headend.rig ends in 3 days"),
            (
                CertificateUse::Api,
                None,
                "the API's certificate of CN=headend.rig has ended: nobody can verify us by it",
            ),
        ] {
            let left = left.map(|days| Duration::from_secs(days * 86_400));
            let what = What::CertificateExpiring { used_for, subject: "CN=headend.rig".to_owned(), left };
            let entry = Entry::new(EventId { life: 1, number: 1 }, Duration::ZERO, Happening { who: None, what });
            assert_eq!(entry.sentence, said);
            assert!(entry.remedy.iter().any(|step| step.contains("`aditctl reload`")), "{:?}", entry.remedy);
        }
    }
}
