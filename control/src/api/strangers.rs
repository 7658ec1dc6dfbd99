//! Places at the door for those who have come by TCP and have not shown who they are: so many for each source, so that nobody alone has
//! all of them.

use adit_dataplane::wire::source::Source;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of one source's strangers at a time.
const EACH: usize = 32;

/// How many each source has.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<BTreeMap<Source, usize>>);

/// A stranger's place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    strangers: Arc<Strangers>,
    source: Source,
}

impl Strangers {
    /// Somebody comes from there. `None`: the source has as many as it may.
    pub fn let_in(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let source = Source::of(from);
        let mut places = self.places();
        let taken = places.entry(source).or_default();
        if *taken >= EACH {
            return None;
        }
        *taken += 1;
        drop(places);
        Some(Place { strangers: Arc::clone(self), source })
    }

    /// Only tasks of the API's thread ask, and none of them for long.
    fn places(&self) -> MutexGuard<'_, BTreeMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.strangers.places();
        let left = places.get(&self.source).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => places.remove(&self.source),
            left => places.insert(self.source, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_places_of_its_own_and_gets_them_back() {
        let strangers = Arc::new(Strangers::default());
        let come = |from: &str| strangers.let_in(from.parse().unwrap());
        let mut one: Vec<_> = (0..EACH).map(|_| come("192.0.2.1").unwrap()).collect();
        assert!(come("192.0.2.1").is_none());
        assert!(come("::ffff:192.0.2.1").is_none(), "the same by a socket for both families");
        let _other = come("192.0.2.2").unwrap();
        let _network: Vec<_> = (0..EACH).map(|last| come(&format!("2001:db8::{last:x}")).unwrap()).collect();
        assert!(come("2001:db8::ffff").is_none());
        let _next_network = come("2001:db8:0:1::1").unwrap();
        one.pop();
        one.push(come("192.0.2.1").unwrap());
        assert!(come("192.0.2.1").is_none());
        drop(one);
        assert_eq!(strangers.places().len(), 3, "nothing is remembered of who has gone");
    }
}
