//! What happened, as one number and, for one host, as a ladder to read.

use super::datagram::{Body, Datagram, Direction, direction};
use super::host::HostId;
use adit_control::ike::v1::wire as v1;
use adit_control::ike::wire::Exchange;
use adit_dataplane::time::Instant;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The same seed must give the same trace.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: DefaultHasher,
    follow: Option<HostId>,
    /// The initiators' SPIs that the one followed has used: what is on them is written down as well, even if it never gets
    /// near.
    followed_spis: BTreeSet<u64>,
    ladder: Vec<String>,
}

/// What a step of a datagram's was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Sent,
    Lost,
    Blocked,
    Arrived,
}

/// Two runs with the same number went the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceHash(pub(crate) u64);

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Trace {
    /// `follow` is the host whose messages are written down.
    pub(crate) fn new(follow: Option<HostId>) -> Self {
        Self { hasher: DefaultHasher::new(), follow, followed_spis: BTreeSet::new(), ladder: Vec::new() }
    }

    pub(crate) fn datagram(&mut self, now: Instant, host: HostId, step: Step, datagram: &Datagram) {
        (now, host, step, datagram.from, datagram.to).hash(&mut self.hasher);
        datagram.body.hash(&mut self.hasher);
        let Some(follow) = self.follow else { return };
        let spi = datagram.body.ike_header().map(|header| header.initiator_spi.0);
        let spi = spi.or_else(|| datagram.body.v1_header().map(|header| header.initiator_cookie.0));
        if datagram.sender == follow {
            self.followed_spis.extend(spi);
        }
        if [host, datagram.sender].contains(&follow) || spi.is_some_and(|spi| self.followed_spis.contains(&spi)) {
            self.ladder.push(rung(now, host, step, datagram));
        }
    }

    /// Something else worth knowing.
    pub(crate) fn note(&mut self, now: Instant, host: HostId, what: &str) {
        (now, host, what).hash(&mut self.hasher);
        if self.follow == Some(host) {
            self.ladder.push(format!("{} {host} {what}", seconds(now)));
        }
    }

    pub(crate) fn hash(&self) -> TraceHash {
        TraceHash(self.hasher.finish())
    }

    pub(crate) fn ladder(&self) -> &[String] {
        &self.ladder
    }
}

fn v1_message(header: v1::Header) -> String {
    let (cookie, id) = (header.initiator_cookie.0 >> 48, header.message_id);
    format!("{} {id:08x} on {cookie:04x}…", header.exchange.name())
}

fn seconds(now: Instant) -> String {
    format!("{:>10.4}", now.since(Instant::ZERO).as_secs_f64())
}

fn rung(now: Instant, host: HostId, step: Step, datagram: &Datagram) -> String {
    let what = match (&datagram.body, datagram.body.ike_header()) {
        (Body::Ike { .. }, Some(header)) => {
            let exchange = match header.exchange {
                Exchange::IkeSaInit => "IKE_SA_INIT",
                Exchange::IkeAuth => "IKE_AUTH",
                Exchange::CreateChildSa => "CREATE_CHILD_SA",
                Exchange::Informational => "INFORMATIONAL",
            };
            let half = match direction(&header) {
                Direction::Request => "request",
                Direction::Response => "response",
            };
            let (spi_i, id) = (header.initiator_spi.0 >> 48, header.message_id);
            format!("{exchange} {half} {id} on {spi_i:04x}…")
        }
        (Body::Ike { .. }, None) => datagram.body.v1_header().map_or_else(|| "not IKE".to_owned(), v1_message),
        (Body::Esp(esp), _) => format!("ESP {:#010x} {}", esp.spi, esp.sequence),
        (Body::Keepalive, _) => "keepalive".to_owned(),
    };
    let step = match step {
        Step::Sent => "sends  ",
        Step::Lost => "  LOST ",
        Step::Blocked => "  BLOCKED BY NAT ",
        Step::Arrived => "   gets",
    };
    format!("{} {host:<8} {step} {what}", seconds(now))
}
