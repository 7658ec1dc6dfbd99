//! Cookies (RFC 7296 section 2.6): whoever returns one gets our answers, so its address is not made up.
//!
//! ```text
//! initiator --> HDR(A, 0), SAi1, KEi, Ni
//! responder <-- HDR(A, 0), N(COOKIE)                                  nothing is remembered
//! initiator --> HDR(A, 0), N(COOKIE), SAi1, KEi, Ni
//! responder <-- HDR(A, B), SAr1, KEr, Nr
//! ```
//! A cookie says nothing of SAi1 and KEi, so it stays good when the answer to it is INVALID_KE_PAYLOAD
//! (RFC 7296 section 2.6.1).

use crate::ike::wire::IkeSpi;
use adit_crypto::prf::prf;
use adit_crypto::random::SecretRandom;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::PrfId;
use adit_dataplane::time::Instant;
use std::net::IpAddr;
use std::time::Duration;

/// A cookie is made in one such period and good until the end of the next: adit's own choice, many times what a
/// client takes to return it.
const PERIOD: Duration = Duration::from_secs(30);
/// Octets of the hash in a cookie.
const HASH_LEN: usize = 16;
/// Octets of a cookie: which period, and the hash. RFC 7296 section 2.6 allows 1 to 64.
const LEN: usize = 1 + HASH_LEN;

/// What a first message says that a cookie is bound to: `Ni | IPi | SPIi`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) nonce: &'a [u8],
    pub(crate) address: IpAddr,
    pub(crate) spi: IkeSpi,
}

/// Makes and checks cookies. The period's number goes into the hash, which makes another secret of this one every
/// period; so there is nothing to rotate and nothing to keep.
#[derive(Debug)]
pub(crate) struct Cookies {
    secret: SecretBytes,
}

impl Cookies {
    pub(crate) fn new(random: &mut dyn SecretRandom) -> Self {
        let mut secret = vec![0; 32];
        random.fill(&mut secret);
        Self { secret: SecretBytes::new(secret) }
    }

    /// A cookie for `asker`.
    pub(crate) fn bake(&self, now: Instant, asker: &Asker<'_>) -> Vec<u8> {
        self.of_period(period(now), asker)
    }

    /// Whether we made `cookie` for `asker` not long ago. Takes as long for a wrong one as for a right one.
    pub(crate) fn is_ours(&self, now: Instant, asker: &Asker<'_>, cookie: &[u8]) -> bool {
        let this = period(now);
        let made_in = match cookie.first() {
            Some(low) if *low == low_octet(this) => this,
            Some(low) if *low == low_octet(this.wrapping_sub(1)) => this.wrapping_sub(1),
            Some(_) | None => return false,
        };
        SecretBytes::new(self.of_period(made_in, asker)) == SecretBytes::from(cookie)
    }

    fn of_period(&self, period: u64, asker: &Asker<'_>) -> Vec<u8> {
        // One length for both families, so that no two inputs run into each other; Ni, of any length, comes last.
        let address = match asker.address.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let parts = [&period.to_be_bytes()[..], &address.octets(), &asker.spi.0.to_be_bytes(), asker.nonce];
        let hash = prf(PrfId::HmacSha256, self.secret.expose(), &parts);
        let mut cookie = Vec::with_capacity(LEN);
        cookie.push(low_octet(period));
        // A cookie is meant to be seen.
        cookie.extend(hash.expose().iter().take(HASH_LEN));
        cookie
    }
}

fn period(now: Instant) -> u64 {
    now.since(Instant::ZERO).as_secs() / PERIOD.as_secs()
}

fn low_octet(period: u64) -> u8 {
    period.to_be_bytes()[7]
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::SeededRandom;
    use bolero::check;

    const ASKER: Asker<'static> =
        Asker { nonce: &[7; 32], address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), spi: IkeSpi(42) };

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cookie_is_good_for_whom_it_was_made_and_for_nobody_else() {
        let cookies = Cookies::new(&mut SeededRandom::new(1));
        let cookie = cookies.bake(at(100), &ASKER);
        assert_eq!(cookie.len(), LEN);
        assert!(cookies.is_ours(at(100), &ASKER, &cookie));
        let others = [
            Asker { nonce: &[7; 33], ..ASKER },
            Asker { nonce: &[8; 32], ..ASKER },
            Asker { address: [192, 0, 2, 2].into(), ..ASKER },
            Asker { address: "::1".parse().unwrap(), ..ASKER },
            Asker { spi: IkeSpi(43), ..ASKER },
        ];
        for other in others {
            assert!(!cookies.is_ours(at(100), &other, &cookie), "{other:?}");
        }
        assert!(!Cookies::new(&mut SeededRandom::new(2)).is_ours(at(100), &ASKER, &cookie));
    }

    #[test]
    fn a_cookie_is_good_in_its_period_and_the_next() {
        let cookies = Cookies::new(&mut SeededRandom::new(1));
        for made in [0, 29, 30, 7679, 7680] {
            let cookie = cookies.bake(at(made), &ASKER);
            let end = made / 30 * 30 + 60;
            for now in [made, end - 1] {
                assert!(cookies.is_ours(at(now), &ASKER, &cookie), "made at {made}, shown at {now}");
            }
            // 256 periods later the first octet is the same again.
            for now in [end, end + 30, end + 256 * 30, end + 254 * 30] {
                assert!(!cookies.is_ours(at(now), &ASKER, &cookie), "made at {made}, shown at {now}");
            }
        }
    }

    #[test]
    fn no_octets_but_those_of_a_cookie_are_a_cookie() {
        let cookies = Cookies::new(&mut SeededRandom::new(1));
        let good = [cookies.bake(at(100), &ASKER), cookies.bake(at(70), &ASKER)];
        assert_ne!(good[0], good[1]);
        check!(name = "cookie_octets").for_each(|octets: &[u8]| {
            assert_eq!(cookies.is_ours(at(100), &ASKER, octets), good.iter().any(|cookie| cookie == octets));
        });
        for cookie in &good {
            for at_octet in 0..LEN {
                for bit in 0..8 {
                    let mut bad = cookie.clone();
                    bad[at_octet] ^= 1 << bit;
                    assert!(!cookies.is_ours(at(100), &ASKER, &bad), "octet {at_octet}, bit {bit}");
                }
            }
            assert!(!cookies.is_ours(at(100), &ASKER, &cookie[..LEN - 1]));
            assert!(!cookies.is_ours(at(100), &ASKER, &[&cookie[..], &[0]].concat()));
        }
    }
}
