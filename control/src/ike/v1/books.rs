//! A session's line in the books (RFC 2866): one start when it is in service, interims, one stop.

use crate::aaa::{Account, Moment, Profile, Record, Usage};
use crate::config::Renumbering;
use crate::ike::service::{Node, Traffic};
use crate::session::Cause;
use adit_dataplane::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// Whether there is one.
#[derive(Debug, Default)]
pub(super) enum Books {
    /// Not yet, not any more, or never.
    #[default]
    Closed,
    /// The start is written.
    Open { account: Arc<Account>, since: Instant, interim: Option<(Duration, Instant)> },
}

impl Books {
    /// Begins.
    pub(super) fn open(now: Instant, node: &mut Node, account: Account, interim: Option<Duration>) -> Self {
        let account = Arc::new(account);
        node.installer.account(Record { account: Arc::clone(&account), moment: Moment::Start });
        let interim = times(now, interim);
        Self::Open { account, since: now, interim }
    }

    /// The user has logged in again, and this was said of them: the same account goes on under that.
    pub(super) fn renew(&mut self, now: Instant, profile: &Profile) {
        let Self::Open { account, interim, .. } = self else { return };
        if account.class != profile.class {
            *account = Arc::new(Account { class: profile.class.clone(), ..Account::clone(account) });
        }
        let before = interim.map(|(every, _)| every);
        if before != profile.interim.filter(|every| !every.is_zero()) {
            *interim = times(now, profile.interim);
        }
    }

    /// Connections have other places now.
    pub(super) fn renumber(&mut self, places: &Renumbering) {
        if let Self::Open { account, .. } = self {
            let connection = places.place(account.connection);
            *account = Arc::new(Account { connection, ..Account::clone(account) });
        }
    }

    /// Whether it has begun.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// When the next interim is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Open { interim, .. } => interim.map(|(_, due)| due),
            Self::Closed => None,
        }
    }

    /// Writes an interim if it is time.
    pub(super) fn look(&mut self, now: Instant, node: &mut Node, traffic: Traffic) {
        let Self::Open { account, since, interim: Some((every, due)) } = self else { return };
        if *due > now {
            return;
        }
        // One for all that were missed.
        *due = now + *every;
        let moment = Moment::Interim(usage(now, *since, traffic));
        node.installer.account(Record { account: Arc::clone(account), moment });
    }

    /// Ends; only the first time says so.
    pub(super) fn close(&mut self, now: Instant, node: &mut Node, traffic: Traffic, cause: Cause) {
        if let Self::Open { account, since, .. } = std::mem::take(self) {
            let moment = Moment::Stop(usage(now, since, traffic), cause.into());
            node.installer.account(Record { account, moment });
        }
    }
}

/// How often an interim is wished for, and when the next is due.
fn times(now: Instant, interim: Option<Duration>) -> Option<(Duration, Instant)> {
    interim.filter(|every| !every.is_zero()).map(|every| (every, now + every))
}

fn usage(now: Instant, since: Instant, traffic: Traffic) -> Usage {
    Usage {
        time: now.since(since),
        octets_in: traffic.bytes_in,
        octets_out: traffic.bytes_out,
        packets_in: traffic.packets_in,
        packets_out: traffic.packets_out,
    }
}
