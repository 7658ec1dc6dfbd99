//! Logins at the page: a cookie of chance for each, of which only a hash is kept. They end with the process.

use crate::api::access::Caller;
use crate::config::checked::TokenHash;
use adit_crypto::random::SecretRandom;
use adit_dataplane::time::Instant;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Logins at a time. The one that was not used for the longest gives way.
const MOST: usize = 64;
/// Without a request for so long a login is over,
const IDLE: Duration = Duration::from_secs(30 * 60);
/// and in any case after so long.
const AGE: Duration = Duration::from_secs(12 * 3600);
/// Octets of chance in a cookie.
const CHANCE: usize = 32;
/// Browsers take a cookie of such a name by TLS alone, from this host alone, for all its paths (RFC 6265bis section 4.1.3.2).
const NAME: &str = "__Host-login";

/// Those that there are.
#[derive(Debug, Default)]
pub struct Logins(Mutex<Vec<Login>>);

#[derive(Debug, Clone)]
struct Login {
    cookie: TokenHash,
    who: Caller,
    begun: Instant,
    used: Instant,
}

impl Logins {
    /// None so far.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Those of some.
    pub fn of_those(&self, are_meant: impl Fn(&Caller) -> bool) -> Self {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Mutex::new(all.iter().filter(|login| are_meant(&login.who)).cloned().collect()))
    }

    /// One more; what its cookie holds comes back and is not kept.
    pub fn begin(&self, who: Caller, now: Instant, random: &mut dyn SecretRandom) -> String {
        let mut octets = [0; CHANCE];
        random.fill(&mut octets);
        let shown: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let mut logins = self.those_at(now);
        if logins.len() >= MOST
            && let Some(oldest) = (0..logins.len()).min_by_key(|index| logins.get(*index).map(|login| login.used))
        {
            logins.swap_remove(oldest);
        }
        logins.push(Login { cookie: TokenHash::of(shown.as_bytes()), who, begun: now, used: now });
        shown
    }

    /// Whose login this cookie is. All are looked at, whichever it is.
    pub fn whose(&self, shown: &[u8], now: Instant) -> Option<Caller> {
        let mut logins = self.those_at(now);
        let mut hers = None;
        for login in logins.iter_mut().filter(|login| login.cookie.is_of(shown)) {
            hers = Some(login);
        }
        let hers = hers?;
        hers.used = now;
        Some(hers.who.clone())
    }

    /// Its owner leaves.
    pub fn end(&self, shown: &[u8], now: Instant) {
        self.those_at(now).retain(|login| !login.cookie.is_of(shown));
    }

    /// Those that are not over. Only tasks of the API's thread ask, and none of them for long.
    fn those_at(&self, now: Instant) -> MutexGuard<'_, Vec<Login>> {
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|login| now.since(login.used) < IDLE && now.since(login.begun) < AGE);
        logins
    }
}

/// What the browser shows, if it shows one.
pub fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value.as_bytes())
}

/// As a `Set-Cookie` line.
pub fn cookie(value: &str) -> String {
    format!("{NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

/// The line that makes browsers forget it.
pub fn no_cookie() -> String {
    cookie("") + "; Max-Age=0"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access::{By, Role};
    use adit_crypto::random::SeededRandom;

    fn who(name: &str) -> Caller {
        Caller { name: name.into(), role: Role::Read, by: By::Login }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_cookie_is_its_logins_alone_until_that_ends() {
        let (logins, mut random) = (Logins::new(), SeededRandom::new(1));
        let [one, two] = ["one", "two"].map(|name| logins.begin(who(name), at(1), &mut random));
        assert_eq!(one.len(), 64, "256 bits");
        assert_ne!(one, two);
        assert_eq!(logins.whose(one.as_bytes(), at(2)), Some(who("one")));
        for wrong in ["", "x", &one[..63], &one.to_uppercase()] {
            assert_eq!(logins.whose(wrong.as_bytes(), at(2)), None, "{wrong}");
        }
        logins.end(one.as_bytes(), at(3));
        assert_eq!(logins.whose(one.as_bytes(), at(3)), None);
        assert_eq!(logins.whose(two.as_bytes(), at(3)), Some(who("two")));
        assert!(!format!("{logins:?}").contains(&two), "it is not kept");
    }

    #[test]
    fn a_login_ends_when_it_is_not_used() {
        let (logins, mut random) = (Logins::new(), SeededRandom::new(1));
        let idle = logins.begin(who("idle"), at(0), &mut random);
        let idle = idle.as_bytes();
        assert!(logins.whose(idle, at(1799)).is_some());
        assert!(logins.whose(idle, at(1799 + 1800)).is_none());
    }

    #[test]
    fn a_login_in_use_is_over_after_half_a_day() {
        let (logins, mut random) = (Logins::new(), SeededRandom::new(1));
        let cookie = logins.begin(who("busy"), at(0), &mut random);
        for minute in 0..=720 {
            assert_eq!(logins.whose(cookie.as_bytes(), at(minute * 60)).is_some(), minute < 720, "{minute}");
        }
    }

    #[test]
    fn logins_are_so_many_at_most_and_the_least_used_gives_way() {
        let (logins, mut random) = (Logins::new(), SeededRandom::new(1));
        let first = logins.begin(who("first"), at(0), &mut random);
        let second = logins.begin(who("second"), at(1), &mut random);
        assert!(logins.whose(first.as_bytes(), at(2)).is_some());
        for more in 0..63 {
            logins.begin(who("more"), at(3 + more), &mut random);
        }
        assert_eq!(logins.0.lock().unwrap().len(), MOST);
        assert!(logins.whose(second.as_bytes(), at(70)).is_none());
        assert!(logins.whose(first.as_bytes(), at(70)).is_some());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let of = |line: &'static str| {
            let headers: HeaderMap = [(COOKIE, line.parse().unwrap())].into_iter().collect();
            shown(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(of("a=b; __Host-login=c0; d=e"), Some(b"c0".to_vec()));
        assert_eq!(of("__Host-login=c0"), Some(b"c0".to_vec()));
        assert_eq!(of("host-login=c0; login=c1; x__Host-login=c2"), None);
    }
}
