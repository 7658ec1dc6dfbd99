//! Sessions and child SAs by pages. The books are in the order of session numbers, which only grow: a page goes on behind the last
//! session that the one before looked at, so a session that is there all the time is told once, whatever comes and goes.

use super::{SessionId, SessionState, SessionView};
use crate::ike::identity::glob;
use std::net::IpAddr;

/// Sessions that are looked at for one page, at most: who waits for few among many gets empty pages, and the IKE thread goes on.
const LOOKED_AT: usize = 2048;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Behind this session; from the beginning without.
    pub after: Option<SessionId>,
    /// So many lines.
    pub limit: usize,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// In the order of sessions.
    pub lines: Vec<T>,
    /// Behind which session it goes on; `None` if this was all.
    pub next: Option<SessionId>,
}

/// Which sessions are meant: those that fit all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// The whole identity, or with stars for any characters.
    pub identity: Option<String>,
    /// The connection's name.
    pub connection: Option<String>,
    /// How ESP comes.
    pub transport: Option<String>,
    /// Where it stands.
    pub state: Option<SessionState>,
    /// An inner address, or the peer's outer one.
    pub address: Option<IpAddr>,
}

/// Whose child SAs are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaQuery {
    /// This session's alone.
    pub session: Option<SessionId>,
}

impl SessionQuery {
    /// Whether it is one of those.
    pub fn means(&self, view: &SessionView) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        self.identity.as_deref().is_none_or(|pattern| fits(pattern, &view.identity))
            && is(&self.connection, &view.connection)
            && is(&self.transport, &view.transport)
            && self.state.is_none_or(|state| state == view.state)
            && self.address.is_none_or(|address| view.addresses.contains(&address) || view.peer.ip() == address)
    }
}

impl Listing {
    /// Puts a page together from `sessions`, which begin behind `after`: `lines_of` says what each has to tell.
    pub fn page<S, T>(
        self,
        sessions: impl Iterator<Item = (SessionId, S)>,
        mut lines_of: impl FnMut(S) -> Vec<T>,
    ) -> Listed<T> {
        let mut listed = Listed { lines: Vec::new(), next: None };
        for (looked_at, (id, session)) in sessions.enumerate() {
            if listed.lines.len() >= self.limit || looked_at >= LOOKED_AT {
                return listed;
            }
            listed.lines.extend(lines_of(session));
            listed.next = Some(id);
        }
        Listed { next: None, ..listed }
    }
}

/// Whether `text` is what `pattern` says, in which a `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let parts: Vec<&[u8]> = pattern.split('*').map(str::as_bytes).collect();
    glob(&parts, text.as_bytes(), |one, other| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u32], after: Option<SessionId>) -> impl Iterator<Item = (SessionId, u32)> {
        let behind = move |number: &u32| after.is_none_or(|after| SessionId(*number) > after);
        numbers.iter().copied().filter(behind).map(|number| (SessionId(number), number))
    }

    #[test]
    fn whoever_is_there_all_the_time_is_told_once_whatever_comes_and_goes() {
        let mut there: Vec<u32> = (1..=50).collect();
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let page = Listing { after, limit: 7 }.page(ids(&there, after), |number| vec![number]);
            assert!(page.lines.len() <= 7);
            told.extend(page.lines);
            // Sessions end, before and behind, and others begin.
            there.retain(|number| number % 5 != 0 || *number > 25);
            there.push(there.last().map_or(1, |last| last + 1).min(60));
            there.dedup();
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let once = |number: &u32| told.iter().filter(|found| *found == number).count() == 1;
        assert!((1..=50).filter(|number| number % 5 != 0).all(|number| once(&number)), "{told:?}");
        assert!(told.is_sorted());
    }

    #[test]
    fn who_has_nothing_to_tell_is_passed_over_and_a_page_ends_all_the_same() {
        let many: Vec<u32> = (1..=5000).collect();
        let page = |after| {
            let line = |number| if number % 3000 == 0 { vec![number] } else { vec![] };
            Listing { after, limit: 10 }.page(ids(&many, after), line)
        };
        let first = page(None);
        assert_eq!((first.lines, first.next), (vec![], Some(SessionId(2048))));
        let second = page(first.next);
        assert_eq!((second.lines, second.next), (vec![3000], Some(SessionId(4096))));
        assert_eq!(page(second.next), Listed { lines: vec![], next: None });
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("alice", "alice"),
            ("*", ""),
            ("*", "x"),
            ("a*e", "alice"),
            ("*@rig", "a@rig"),
            ("*l*c*", "alice"),
            ("a*a", "aa"),
            ("", ""),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("alice", "alice2"),
            ("a*a", "a"),
            ("*@rig", "a@rig2"),
            ("*c*l*", "alice"),
            ("", "x"),
            ("a**b", "a"),
            ("*ab*ab", "ab"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_session_has_one_name() {
        assert_eq!("s17".parse(), Ok(SessionId(17)));
        for text in ["17", "s", "s-1", "s+1", "S1", "s4294967296", "s1 "] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }
}
