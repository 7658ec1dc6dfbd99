//! How long logins take, phase by phase: histograms of the engine's own.

use adit_dataplane::time::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Upper ends in milliseconds; what takes longer than the last comes behind it.
const UP_TO: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 30_000];
const BUCKETS: usize = UP_TO.len() + 1;

/// A part of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LoginPhase {
    /// IKEv2: from the first message to a proof that is good.
    IkeAuth,
    /// IKEv1: from the first message to the end of main or aggressive mode.
    Phase1,
    /// IKEv1: from the question for a user to the answer that lets him in, with the time that he types.
    Xauth,
    /// IKEv1: from there until there is an address.
    ModeConfig,
    /// IKEv1: from there until the first child SA can be sent on.
    QuickMode,
}

impl LoginPhase {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 5] = [Self::IkeAuth, Self::Phase1, Self::Xauth, Self::ModeConfig, Self::QuickMode];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IkeAuth => "ike_auth",
            Self::Phase1 => "phase_1",
            Self::Xauth => "xauth",
            Self::ModeConfig => "mode_config",
            Self::QuickMode => "quick_mode",
        }
    }

    /// Of which version of IKE.
    pub const fn ike(self) -> &'static str {
        match self {
            Self::IkeAuth => "v2",
            Self::Phase1 | Self::Xauth | Self::ModeConfig | Self::QuickMode => "v1",
        }
    }
}

/// When a login's phase began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoginClock {
    phase: LoginPhase,
    since: Instant,
}

impl LoginClock {
    /// It begins now.
    pub(crate) fn start(phase: LoginPhase, since: Instant) -> Self {
        Self { phase, since }
    }

    /// It is over, and the next begins.
    pub(crate) fn next(&mut self, now: Instant, times: &mut LoginTimes, next: LoginPhase) {
        times.took(self.phase, now.since(self.since));
        *self = Self::start(next, now);
    }

    /// It is over, and it was the last.
    pub(crate) fn end(self, now: Instant, times: &mut LoginTimes) {
        times.took(self.phase, now.since(self.since));
    }
}

/// All phases' times since the engine was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginTimes([PhaseTimes; LoginPhase::ALL.len()]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct PhaseTimes {
    buckets: [u64; BUCKETS],
    sum: Duration,
}

impl LoginTimes {
    /// A phase that led on took so long.
    pub(crate) fn took(&mut self, phase: LoginPhase, time: Duration) {
        let Some(times) = self.0.get_mut(phase as usize) else { return };
        let bucket = UP_TO.partition_point(|millis| Duration::from_millis(*millis) < time);
        if let Some(count) = times.buckets.get_mut(bucket) {
            *count += 1;
        }
        times.sum = times.sum.saturating_add(time);
    }

    /// As the API shows them: every phase, those that nobody went through too.
    pub fn view(&self) -> Vec<LoginTimesView> {
        let ends = UP_TO.iter().map(|millis| Some(*millis)).chain([None]);
        let view = |(phase, times): (LoginPhase, &PhaseTimes)| LoginTimesView {
            ike: phase.ike().to_owned(),
            phase: phase.name().to_owned(),
            count: times.buckets.iter().sum(),
            sum_us: u64::try_from(times.sum.as_micros()).unwrap_or(u64::MAX),
            buckets: ends
                .clone()
                .zip(times.buckets)
                .map(|(up_to_ms, count)| LoginTimesBucket { up_to_ms, count })
                .collect(),
        };
        LoginPhase::ALL.into_iter().zip(&self.0).map(view).collect()
    }
}

/// How long one phase of logins took, of those that led on to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginTimesView {
    /// `v1` or `v2`.
    pub ike: String,
    /// `ike_auth`; by IKEv1 `phase_1`, `xauth`, `mode_config` and `quick_mode`, one after the other.
    pub phase: String,
    /// So many.
    pub count: u64,
    /// Microseconds of all of them together.
    pub sum_us: u64,
    /// How many took how long; each is counted once.
    pub buckets: Vec<LoginTimesBucket>,
}

/// Those between the bucket before and this one's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginTimesBucket {
    /// Milliseconds; null is without end.
    pub up_to_ms: Option<u64>,
    /// So many.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_once_in_its_phase_ends_included() {
        let mut times = LoginTimes::default();
        for micros in [0, 1_000, 1_001, 30_000_000, 30_000_001] {
            times.took(LoginPhase::Xauth, Duration::from_micros(micros));
        }
        let view = times.view();
        let names: Vec<_> = view.iter().map(|phase| (phase.phase.as_str(), phase.count)).collect();
        assert_eq!(
            names,
            [("ike_auth", 0), ("phase_1", 0), ("xauth", 5), ("mode_config", 0), ("quick_mode", 0)],
            "each phase stands where it is counted"
        );
        let xauth = &view[2];
        let counts: Vec<u64> = xauth.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((xauth.sum_us, xauth.buckets[13].up_to_ms), (60_002_002, None));
    }

    #[test]
    fn a_clock_gives_each_phase_its_own_time() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let (mut times, mut clock) = (LoginTimes::default(), LoginClock::start(LoginPhase::Phase1, at(10)));
        clock.next(at(30), &mut times, LoginPhase::Xauth);
        clock.next(at(5030), &mut times, LoginPhase::ModeConfig);
        clock.end(at(5031), &mut times);
        let sums: Vec<u64> = times.view().iter().map(|phase| phase.sum_us).collect();
        assert_eq!(sums, [0, 20_000, 5_000_000, 1_000, 0]);
    }
}
