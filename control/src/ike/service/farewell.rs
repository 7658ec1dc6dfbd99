//! What is left of an IKE SA that is over: its last answer, in case that was lost (RFC 7296 section 2.1).
//!
//! A retransmission is the same octets again, so the stored request alone tells one, and no key is kept. Whoever
//! replays it to us from elsewhere gets what the peer got, once for each datagram of about the same size.
//!
//! An IKE SA that was replaced may end with its session before the peer's delete of it has come. All that can come on it
//! is known, and so is the answer: it is sealed in advance, for keys end with the session. So nobody proves that it is the
//! peer who asks; but what is said is of use to the peer alone, and to it only if it has asked.

use crate::ike::wire::{Header, IkeSpi, parse_header};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long a last answer can be asked for again. Adit's own choice: it covers the first retransmissions of the
/// clients we know (strongSwan: after 4 and 11.2 seconds).
pub(crate) const LINGER: Duration = Duration::from_secs(15);

/// How often a delete of IKEv1's is said again. Adit's own choice: as often as clients that we know ask whether we live.
const MOST_TOLD: u32 = 6;

/// A last request and its answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// Ours, of the IKE SA that is over.
    pub(crate) spi: IkeSpi,
    pub(crate) to: To,
    pub(crate) answer: Vec<u8>,
}

/// What it answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Exactly this request.
    Request(Vec<u8>),
    /// The request with this header.
    Next(Header),
    /// Whatever comes, so many times more: IKEv1 does not acknowledge a delete, so who goes on has not heard it. Not
    /// for ever, for it may be the delete of an end that does the same.
    Anything { left: u32 },
}

impl Farewell {
    /// IKEv2's: the last request and its answer.
    pub(crate) fn to_request(spi: IkeSpi, request: Vec<u8>, answer: Vec<u8>) -> Self {
        Self { spi, to: To::Request(request), answer }
    }

    /// IKEv2's, of an IKE SA that was replaced: what the peer hears when it asks for the end of it.
    pub(crate) fn to_next(spi: IkeSpi, request: Header, answer: Vec<u8>) -> Self {
        Self { spi, to: To::Next(request), answer }
    }

    /// IKEv1's: our delete.
    pub(crate) fn to_anything(spi: IkeSpi, answer: Vec<u8>) -> Self {
        Self { spi, to: To::Anything { left: MOST_TOLD }, answer }
    }
}

/// All of them, by our SPI; never more than a limit, the oldest goes first.
#[derive(Debug)]
pub(crate) struct Farewells {
    limit: usize,
    by_spi: BTreeMap<IkeSpi, Farewell>,
    order: VecDeque<IkeSpi>,
}

impl Farewells {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, by_spi: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Keeps one more. If another had to make place, its SPI comes back.
    pub(crate) fn keep(&mut self, farewell: Farewell) -> Option<IkeSpi> {
        let spi = farewell.spi;
        if self.by_spi.insert(spi, farewell).is_none() {
            self.order.push_back(spi);
        }
        if self.by_spi.len() <= self.limit {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.by_spi.remove(&oldest);
        Some(oldest)
    }

    /// As many as this are kept from now on; those that are too many go when their time is over.
    pub(crate) fn limit_to(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The answer to this request, if it has one.
    pub(crate) fn answer(&mut self, spi: IkeSpi, request: &[u8]) -> Option<&[u8]> {
        let farewell = self.by_spi.get_mut(&spi)?;
        let fits = match &mut farewell.to {
            To::Request(last) => last == request,
            To::Next(header) => parse_header(request).is_ok_and(|request| request == *header),
            To::Anything { left } => {
                let tells = *left > 0;
                *left = left.saturating_sub(1);
                tells
            }
        };
        fits.then_some(&farewell.answer[..])
    }

    /// Whether an IKE SA with this SPI has ended here not long ago.
    pub(crate) fn remember(&self, spi: IkeSpi) -> bool {
        self.by_spi.contains_key(&spi)
    }

    /// Its time is over.
    pub(crate) fn forget(&mut self, spi: IkeSpi) {
        self.by_spi.remove(&spi);
        // Expiry comes in the order of keeping, so this is the front but for those that had to make place.
        if self.order.front() == Some(&spi) {
            self.order.pop_front();
        } else {
            self.order.retain(|other| *other != spi);
        }
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.by_spi.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell(n: u8) -> Farewell {
        Farewell::to_request(IkeSpi(n.into()), vec![n], vec![n, n])
    }

    #[test]
    fn the_same_request_gets_the_same_answer_and_no_other_gets_any() {
        let mut farewells = Farewells::new(4);
        assert_eq!(farewells.keep(farewell(1)), None);
        assert_eq!(farewells.answer(IkeSpi(1), &[1]), Some(&[1, 1][..]));
        assert_eq!(farewells.answer(IkeSpi(1), &[2]), None);
        assert_eq!(farewells.answer(IkeSpi(2), &[1]), None);
        farewells.forget(IkeSpi(1));
        assert_eq!(farewells.answer(IkeSpi(1), &[1]), None);
        assert_eq!((farewells.len(), farewells.order.len()), (0, 0));
    }

    #[test]
    fn a_delete_is_said_again_to_whatever_comes_a_few_times() {
        let mut farewells = Farewells::new(4);
        assert_eq!(farewells.keep(Farewell::to_anything(IkeSpi(1), vec![9])), None);
        let told = (0..20_u8).filter(|n| farewells.answer(IkeSpi(1), &[*n]).is_some()).count();
        assert_eq!(told, 6);
        assert!(farewells.remember(IkeSpi(1)));
    }

    #[test]
    fn no_more_are_kept_than_allowed_and_the_oldest_goes() {
        let mut farewells = Farewells::new(2);
        assert_eq!(farewells.keep(farewell(1)), None);
        assert_eq!(farewells.keep(farewell(2)), None);
        assert_eq!(farewells.keep(farewell(3)), Some(IkeSpi(1)));
        assert_eq!(farewells.len(), 2);
        assert_eq!(farewells.answer(IkeSpi(1), &[1]), None);
        assert_eq!(farewells.answer(IkeSpi(3), &[3]), Some(&[3, 3][..]));
    }
}
