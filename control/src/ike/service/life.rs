//! How long an SA lives: when it is to be replaced, and when it ends if nothing replaced it (RFC 7296 section 2.8).

use adit_crypto::random::SecretRandom;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// The configured times of one kind of SA; zero is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// After which it is to be replaced.
    pub(crate) rekey: Duration,
    /// After that: what the replacing may take.
    pub(crate) over: Duration,
}

/// One SA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// Replace it from now on; `None`: never.
    pub(crate) rekey: Option<Instant>,
    /// It ends now.
    pub(crate) end: Option<Instant>,
}

/// An SA is replaced up to a tenth of its time early, so that two ends with the same configuration seldom start at
/// once, nor a thousand sessions that began together (RFC 7296 section 2.8 wants the time jittered).
const JITTER: u32 = 10;
/// What was refused for a moment is tried again after this, and up to as long again (RFC 7296 section 2.25 asks for a
/// pause of adit's own choice).
const PAUSE: Duration = Duration::from_millis(1500);
/// What was refused altogether is tried again as seldom as this.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// How a peer refused a rekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// TEMPORARY_FAILURE.
    ForNow,
    /// Anything else.
    Altogether,
}

impl Life {
    /// Begins now.
    pub(crate) fn new(now: Instant, random: &mut dyn SecretRandom, time: Times) -> Self {
        if time.rekey.is_zero() {
            return Self { rekey: None, end: None };
        }
        let early = up_to(random, time.rekey / JITTER);
        Self { rekey: Some(now + (time.rekey - early)), end: Some(now + (time.rekey + time.over)) }
    }

    /// The peer refused to replace it: not again before a pause.
    pub(crate) fn put_off(&mut self, now: Instant, random: &mut dyn SecretRandom, refused: Refused) {
        self.rekey = Some(now + pause(random, refused));
    }

    /// It is to be replaced now.
    pub(crate) fn is_old(&self, now: Instant) -> bool {
        self.rekey.is_some_and(|rekey| rekey <= now)
    }

    /// It is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// How long to wait before asking again.
pub(crate) fn pause(random: &mut dyn SecretRandom, refused: Refused) -> Duration {
    let pause = match refused {
        Refused::ForNow => PAUSE,
        Refused::Altogether => LONG_PAUSE,
    };
    pause + up_to(random, pause)
}

/// A time from zero to this.
fn up_to(random: &mut dyn SecretRandom, most: Duration) -> Duration {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    most.mul_f64(f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::SeededRandom;
    use std::collections::BTreeSet;

    const HOUR: Times = Times { rekey: Duration::from_secs(3600), over: Duration::from_secs(360) };

    #[test]
    fn lives_that_begin_together_are_not_rekeyed_together_but_all_in_their_last_tenth() {
        let mut random = SeededRandom::new(1);
        let start = Instant::from_nanos(7);
        let lives: Vec<Life> = (0..100).map(|_| Life::new(start, &mut random, HOUR)).collect();
        let moments: BTreeSet<_> = lives.iter().filter_map(|life| life.rekey).collect();
        assert_eq!(moments.len(), 100);
        for life in &lives {
            let rekey = life.rekey.unwrap();
            assert!((3240..=3600).contains(&(rekey - start).as_secs()), "{life:?}");
            assert!(!life.is_old(start) && life.is_old(rekey) && !life.is_over(rekey));
            assert!(life.is_over(start + Duration::from_secs(3960)));
        }
    }

    #[test]
    fn an_sa_without_a_lifetime_lives_for_ever() {
        let none = Times { rekey: Duration::ZERO, over: Duration::from_secs(1) };
        let life = Life::new(Instant::ZERO, &mut SeededRandom::new(1), none);
        let far = Instant::from_nanos(u64::MAX);
        assert!(!life.is_old(far) && !life.is_over(far));
    }

    #[test]
    fn a_refused_rekey_is_put_off_for_longer_if_it_was_refused_altogether() {
        let mut random = SeededRandom::new(1);
        let mut life = Life::new(Instant::ZERO, &mut random, HOUR);
        for (refused, least, most) in [(Refused::ForNow, 1500, 3000), (Refused::Altogether, 30_000, 60_000)] {
            life.put_off(Instant::ZERO, &mut random, refused);
            let wait = (life.rekey.unwrap() - Instant::ZERO).as_millis();
            assert!((least..=most).contains(&wait), "{wait}");
        }
    }
}
