//! What the daemon looks after itself, once a second: pools that fill up, workers that drown, certificates that end.

use crate::config::checked::{ApiTcp, Config, Named};
use crate::journal::{CertificateUse, Spell, Strain, What};
use crate::lease::PoolFill;
use adit_dataplane::contract::{DropReason, WorkerTotals};
use adit_dataplane::time::Instant;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at pools and workers.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at certificates.
const CERTIFICATES: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// What somebody has set the clock by, rather than steered it.
const STEP: Duration = Duration::from_secs(60);
/// What is left of a certificate when it is told of, each once.
const LEFT: [Duration; 4] = [Duration::ZERO, DAY, Duration::from_secs(7 * 86_400), Duration::from_secs(30 * 86_400)];
/// A worker loses too much if of so many packets one finds no room,
const TOO_MUCH: u64 = 100;
/// and it is not about fewer than so many a second,
const WORTH_IT: u64 = 50;
/// for so many seconds on end.
const STRAINED: u32 = 3;
/// It has recovered after so many without.
const RELIEVED: u32 = 5;

/// What was seen so far.
pub(super) struct Lookout {
    due: Instant,
    certificates_due: Instant,
    unix_at_zero: Duration,
    certificates: Vec<Certificate>,
    low: BTreeSet<String>,
    workers: Vec<Watched>,
}

/// One of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    used_for: CertificateUse,
    subject: String,
    /// The time of day.
    ends: Duration,
    /// The least time left that was told of.
    told: Option<Duration>,
}

/// A worker.
struct Watched {
    last: Load,
    state: Spell,
    /// Seconds on end that speak against its state.
    against: u32,
}

/// A worker's packets since its start.
#[derive(Clone, Copy, Default)]
struct Load {
    taken: u64,
    transmit_full: u64,
    ring_full: u64,
}

impl Certificate {
    /// Those of a configuration.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let ike = config.certificate.iter().map(|own| {
            let leaf = own.leaf();
            Self { used_for: CertificateUse::Ike, subject: leaf.subject().to_string(), ends: leaf.ends(), told: None }
        });
        let api = config.api.tcp.iter().map(|ApiTcp { certificate: Named { subject, ends }, .. }| Self {
            used_for: CertificateUse::Api,
            subject: subject.clone(),
            ends: *ends,
            told: None,
        });
        ike.chain(api).collect()
    }

    fn is_as(&self, other: &Self) -> bool {
        (self.used_for, &self.subject, self.ends) == (other.used_for, &other.subject, other.ends)
    }

    fn look(&mut self, unix: Duration) -> Option<What> {
        let left = self.ends.checked_sub(unix);
        let reached = LEFT.into_iter().find(|limit| left.unwrap_or_default() <= *limit)?;
        if self.told.is_some_and(|told| told <= reached) {
            return None;
        }
        self.told = Some(reached);
        Some(What::CertificateExpiring { used_for: self.used_for, subject: self.subject.clone(), left })
    }
}

impl Lookout {
    /// Has seen nothing. `unix_at_zero` is the time of day when the clock was zero.
    pub(super) fn new(unix_at_zero: Duration, certificates: Vec<Certificate>) -> Self {
        let (due, certificates_due) = (Instant::ZERO, Instant::ZERO);
        Self { due, certificates_due, unix_at_zero, certificates, low: BTreeSet::new(), workers: Vec::new() }
    }

    /// From now on these are ours. What was told of those that stay is not told again.
    pub(super) fn looks_after(&mut self, mut certificates: Vec<Certificate>) {
        for certificate in &mut certificates {
            let before = self.certificates.iter().find(|before| before.is_as(certificate));
            match before {
                Some(before) => certificate.told = before.told,
                None => self.certificates_due = Instant::ZERO,
            }
        }
        self.certificates = certificates;
    }

    /// The time of day when the clock was zero, as it is known now. If somebody has set the clock, what was said of certificates may be wrong.
    pub(super) fn set_time_of_day(&mut self, unix_at_zero: Duration) {
        if self.unix_at_zero.abs_diff(unix_at_zero) >= STEP {
            self.certificates_due = Instant::ZERO;
            for certificate in self.certificates.iter_mut().filter(|_| unix_at_zero < self.unix_at_zero) {
                certificate.told = None;
            }
        }
        self.unix_at_zero = unix_at_zero;
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Looks; what has changed comes back.
    pub(super) fn look(
        &mut self,
        now: Instant,
        pools: impl IntoIterator<Item = PoolFill>,
        workers: impl IntoIterator<Item = WorkerTotals>,
    ) -> Vec<What> {
        self.due = now + LOOK;
        let mut seen: Vec<What> = pools.into_iter().filter_map(|pool| self.pool(pool)).collect();
        let workers = workers.into_iter().enumerate();
        seen.extend(workers.filter_map(|(index, totals)| self.worker(index, &totals)));
        if now >= self.certificates_due {
            self.certificates_due = now + CERTIFICATES;
            let unix = self.unix_at_zero + now.since(Instant::ZERO);
            seen.extend(self.certificates.iter_mut().filter_map(|certificate| certificate.look(unix)));
        }
        seen
    }

    fn pool(&mut self, PoolFill { name, in_use, of }: PoolFill) -> Option<What> {
        let tenths = u128::from(in_use) * 10;
        let low = match self.low.contains(&name) {
            // Where all addresses are somebody's own nobody is short of one.
            false if of > 0 && tenths >= u128::from(of) * 9 => Spell::On,
            true if of == 0 || tenths < u128::from(of) * 8 => Spell::Off,
            true | false => return None,
        };
        match low {
            Spell::On => self.low.insert(name.clone()),
            Spell::Off => self.low.remove(&name),
        };
        Some(What::Pool { pool: name, in_use, of, low })
    }

    fn worker(&mut self, index: usize, totals: &WorkerTotals) -> Option<What> {
        let load = Load::of(totals);
        let Some(watched) = self.workers.get_mut(index) else {
            self.workers.push(Watched { last: load, state: Spell::Off, against: 0 });
            return None;
        };
        let strain = load.since(watched.last);
        watched.last = load;
        let lost = strain.transmit_full + strain.ring_full;
        let strained = lost >= WORTH_IT && lost.saturating_mul(TOO_MUCH) >= strain.of;
        let (speaks_against, patience, next) = match watched.state {
            Spell::Off => (strained, STRAINED, Spell::On),
            Spell::On => (!strained, RELIEVED, Spell::Off),
        };
        watched.against = if speaks_against { watched.against + 1 } else { 0 };
        if watched.against < patience {
            return None;
        }
        (watched.state, watched.against) = (next, 0);
        Some(What::Worker { worker: index, strain: (next == Spell::On).then_some(strain) })
    }
}

impl Load {
    fn of(totals: &WorkerTotals) -> Self {
        let dropped = |reason: DropReason| totals.drops.get(reason as usize).copied().unwrap_or_default();
        Self {
            taken: totals.outer_received + totals.inner_received,
            transmit_full: dropped(DropReason::TransmitFull),
            ring_full: dropped(DropReason::HandoffFull) + dropped(DropReason::NoBuffer),
        }
    }

    fn since(self, before: Self) -> Strain {
        Strain {
            transmit_full: self.transmit_full.saturating_sub(before.transmit_full),
            ring_full: self.ring_full.saturating_sub(before.ring_full),
            of: self.taken.saturating_sub(before.taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, read};
    use crate::journal::Kind;
    use adit_dataplane::contract::WorkerCounters;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn fill(in_use: u64, of: u64) -> PoolFill {
        PoolFill { name: "office".to_owned(), in_use, of }
    }

    fn kinds(seen: &[What]) -> Vec<Kind> {
        seen.iter().map(What::kind).collect()
    }

    #[test]
    fn a_pool_is_low_at_nine_of_ten_and_has_recovered_below_eight() {
        let mut lookout = Lookout::new(Duration::ZERO, Vec::new());
        let mut after = |in_use| kinds(&lookout.look(Instant::ZERO, [fill(in_use, 100)], []));
        for (in_use, told) in [
            (89, vec![]),
            (90, vec![Kind::PoolLow]),
            (100, vec![]),
            (80, vec![]),
            (95, vec![]),
            (79, vec![Kind::PoolRecovered]),
            (85, vec![]),
            (90, vec![Kind::PoolLow]),
        ] {
            assert_eq!(after(in_use), told, "{in_use}");
        }
    }

    #[test]
    fn a_pool_whose_addresses_are_all_somebody_s_own_is_never_low() {
        let mut lookout = Lookout::new(Duration::ZERO, Vec::new());
        let mut after = |in_use, of| kinds(&lookout.look(Instant::ZERO, [fill(in_use, of)], []));
        assert_eq!(after(0, 0), []);
        assert_eq!(after(9, 10), [Kind::PoolLow]);
        assert_eq!(after(0, 0), [Kind::PoolRecovered], "the last ones have become somebody's");
        assert_eq!(after(0, 0), []);
    }

    #[test]
    fn a_worker_is_overloaded_after_three_bad_seconds_and_has_recovered_after_five_good_ones() {
        let mut lookout = Lookout::new(Duration::ZERO, Vec::new());
        let counters = WorkerCounters::default();
        let mut second = |lost| {
            counters.outer_received(10_000);
            counters.dropped(DropReason::TransmitFull, lost);
            kinds(&lookout.look(Instant::ZERO, [], [counters.totals()]))
        };
        let bad = [500, 500, 0, 500, 500].map(&mut second);
        assert!(bad.iter().all(Vec::is_empty), "never three on end: {bad:?}");
        assert_eq!(second(100), [Kind::WorkerOverloaded]);
        let good = [99, 0, 0, 0].map(&mut second);
        assert!(good.iter().all(Vec::is_empty), "{good:?}");
        assert_eq!(second(0), [Kind::WorkerRecovered]);
        assert!(second(0).is_empty());
    }

    #[test]
    fn a_few_packets_lost_of_a_few_are_no_overload() {
        let mut lookout = Lookout::new(Duration::ZERO, Vec::new());
        let counters = WorkerCounters::default();
        for _ in 0..10 {
            counters.inner_received(20);
            counters.dropped(DropReason::HandoffFull, 20);
            assert!(lookout.look(Instant::ZERO, [], [counters.totals()]).is_empty());
        }
    }

    const ENDS: Duration = Duration::from_secs(2_000_000_000);

    fn certificate(used_for: CertificateUse, ends: Duration) -> Certificate {
        Certificate { used_for, subject: "CN=headend.rig".to_owned(), ends, told: None }
    }

    #[test]
    fn a_certificate_that_is_renewed_is_looked_at_anew() {
        let own = |ends| vec![certificate(CertificateUse::Ike, ends)];
        let mut lookout = Lookout::new(ENDS - 5 * DAY, own(ENDS));
        let look = |lookout: &mut Lookout| kinds(&lookout.look(Instant::ZERO, [], []));
        assert_eq!(look(&mut lookout), [Kind::CertificateExpiring]);
        lookout.looks_after(own(ENDS));
        assert!(look(&mut lookout).is_empty(), "it is the same");
        lookout.looks_after(own(ENDS + DAY));
        assert_eq!(look(&mut lookout), [Kind::CertificateExpiring]);
        lookout.looks_after(Vec::new());
        assert!(look(&mut lookout).is_empty());
    }

    #[test]
    fn both_certificates_of_a_configuration_are_looked_after_each_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["headend.pem", "headend.key", "elliptic.pem", "elliptic.key"] {
            let (from, to) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pki"), folder.path().join(name));
            fs::copy(format!("{from}/{name}"), &to).unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let text = format!(
            "[node]\nidentity = \"headend.rig\"\ncertificate = \"headend.pem\"\nprivate_key = \"headend.key\"\n\
             [api]\nlisten = [\"127.0.0.1:8443\"]\ncertificate = \"elliptic.pem\"\nprivate_key = \"elliptic.key\"\n\
             [[operator]]\nname = \"boss\"\ntoken_hash = \"sha256:{}\"\n\
             [[pool]]\nname = \"a\"\naddresses = [\"10.30.0.0/16\"]\n\
             [[connection]]\nname = \"c\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
             pools = [\"a\"]\nnetworks = [\"0.0.0.0/0\"]\n",
            "0".repeat(64)
        );
        let config = read("test", &text, &Surroundings { folder: folder.path().into(), cores: vec![0] }).unwrap().0;
        let all = Certificate::all(&config);
        let used: Vec<_> = all.iter().map(|certificate| certificate.used_for).collect();
        assert_eq!(used, [CertificateUse::Ike, CertificateUse::Api]);
        let last = all.iter().map(|certificate| certificate.ends).max().unwrap();
        let mut lookout = Lookout::new(last, all);
        let told: Vec<_> = lookout.look(Instant::ZERO, [], []).iter().map(used_for).collect();
        assert_eq!(told, used);
    }

    fn used_for(what: &What) -> CertificateUse {
        let What::CertificateExpiring { used_for, .. } = what else { panic!("{what:?}") };
        *used_for
    }

    #[test]
    fn a_certificate_is_told_of_at_thirty_days_seven_one_and_when_it_has_ended() {
        let mut lookout = Lookout::new(ENDS - 40 * DAY, vec![certificate(CertificateUse::Api, ENDS)]);
        let mut told = Vec::new();
        for hour in 0..45 * 24 {
            let now = Instant::ZERO + Duration::from_secs(hour * 3600);
            told.extend(lookout.look(now, [], []).into_iter().map(|what| (hour, what)));
        }
        let told: Vec<_> = told.iter().map(|(hour, what)| (*hour, what.kind())).collect();
        let expected = [10 * 24, 33 * 24, 39 * 24, 40 * 24].map(|hour| (hour, Kind::CertificateExpiring));
        assert_eq!(told, expected);
    }

    #[test]
    fn certificates_are_looked_at_again_when_somebody_has_set_the_clock() {
        let mut lookout = Lookout::new(Duration::ZERO, vec![certificate(CertificateUse::Ike, ENDS)]);
        let mut now = Instant::ZERO;
        let mut after = |unix: Duration| {
            now = now + Duration::from_secs(1);
            lookout.set_time_of_day(unix);
            lookout.look(now, [], []).len()
        };
        assert_eq!(after(Duration::ZERO), 0, "1970");
        assert_eq!(after(ENDS - 3 * DAY), 1, "set forward");
        assert_eq!(after(ENDS - 3 * DAY + Duration::from_micros(3)), 0, "steered");
        assert_eq!(after(ENDS - 90 * DAY), 0, "set back: it was not so late");
        assert_eq!(after(ENDS - 3 * DAY), 1, "now it is");
    }
}
