//! SYN cookies: our initial sequence number says that we have answered this very SYN not long ago, so nothing need be
//! remembered of it (RFC 4987 section 3.6).
//!
//! A cookie is bound to both ends, not to the peer's sequence number: the first segment that comes back may be any of the
//! peer's, if those before it were lost. Who is not where it says to be has to guess 31 bits, or 23 of a cookie that also says what
//! real TCP has offered.

use crate::carrier::tcp::Offer;
use crate::contract::Path;
use crate::time::Instant;
use crate::wire::tcp::{Seq, Shift, TcpHeader};
use crate::wire::tcp_offer::SynOffer;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A cookie is made in one such period and good until the end of the next: many times what a client takes to answer.
const PERIOD: Duration = Duration::from_secs(32);

/// Whether a SYN had options: a Cisco client's has none, that of real TCP has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SynOptions {
    /// None at all.
    None,
    /// Some.
    Some,
}

/// What is known of a SYN that was answered and forgotten, as far as cTCP cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SynFacts {
    /// Whether it had options.
    pub options: SynOptions,
    /// The window scale among them.
    pub scale: Option<Shift>,
}

impl SynFacts {
    /// Of this one, with what it offers.
    pub fn of(syn: &TcpHeader, offer: &SynOffer) -> Self {
        let options = if syn.has_options() { SynOptions::Some } else { SynOptions::None };
        Self { options, scale: offer.scale.map(Shift::new) }
    }
}

/// Makes and checks cookies.
pub struct Cookies {
    key: [u8; 16],
}

impl Cookies {
    /// With a secret that nobody else knows.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The sequence number of our SYN.
    pub fn bake(&self, now: Instant, path: &Path, offer: Offer) -> Seq {
        self.of_period(period(now), path, offer)
    }

    /// What the SYN had, if we have answered one along `path` not long ago with this number.
    pub fn is_ours(&self, now: Instant, path: &Path, number: Seq) -> Option<Offer> {
        let offer = Offer::of_cookie(number.get());
        let this = period(now);
        let periods = [this, this.wrapping_sub(1)];
        periods.into_iter().any(|period| self.of_period(period, path, offer) == number).then_some(offer)
    }

    /// The number of a SYN with which we begin a connection (RFC 6528 section 3): a clock, and what nobody else knows of its path.
    pub fn first_number(&self, now: Instant, path: &Path) -> Seq {
        let microseconds = now.since(Instant::ZERO).as_micros();
        self.of_period(u64::MAX >> 9, path, Offer::NONE).plus((microseconds / 4) as usize)
    }

    fn of_period(&self, period: u64, path: &Path, offer: Offer) -> Seq {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(period << 9 | u64::from(offer.mix(0)));
        for end in [path.local, path.peer] {
            hasher.write(&octets(end));
        }
        Seq::new(offer.mix(hasher.finish() as u32))
    }
}

/// One length for both families, so that no two inputs run into each other.
fn octets(end: SocketAddr) -> [u8; 18] {
    let address = match end.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut octets = [0; 18];
    octets[..16].copy_from_slice(&address.octets());
    octets[16..].copy_from_slice(&end.port().to_be_bytes());
    octets
}

fn period(now: Instant) -> u64 {
    now.since(Instant::ZERO).as_secs() / PERIOD.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tcp_offer::Sack;

    fn path() -> Path {
        Path { local: "192.0.2.1:10000".parse().unwrap(), peer: "198.51.100.7:40001".parse().unwrap() }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cookie_is_good_for_its_path_and_for_a_minute_at_most() {
        let cookies = Cookies::new([7; 16]);
        let real = SynOffer { mss: Some(1460), scale: Some(7), sack: Sack::Permitted };
        for offer in [Offer::NONE, Offer::of(&real)] {
            let number = cookies.bake(at(1000), &path(), offer);
            for (later, good) in [(0, true), (31, true), (64, false), (1_000_000, false)] {
                assert_eq!(
                    cookies.is_ours(at(1000 + later), &path(), number),
                    good.then_some(offer),
                    "{later} s later"
                );
            }
            let elsewhere = Path { peer: "198.51.100.7:40002".parse().unwrap(), ..path() };
            assert_eq!(cookies.is_ours(at(1000), &elsewhere, number), None);
            assert_eq!(Cookies::new([8; 16]).is_ours(at(1000), &path(), number), None);
        }
    }

    #[test]
    fn no_number_but_its_own_is_a_cookie() {
        let cookies = Cookies::new([7; 16]);
        let number = cookies.bake(at(1000), &path(), Offer::NONE);
        for bit in 0..32 {
            assert_eq!(cookies.is_ours(at(1000), &path(), Seq::new(number.get() ^ 1 << bit)), None, "bit {bit}");
        }
    }
}
