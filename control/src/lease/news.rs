//! What becomes of each address, for whoever keeps that for the next start; and what was kept, at the start.

use super::moved::place;
use super::{Claimant, Family, Lease, Leased, Leases, Place, v4_number};
use crate::session::SessionId;
use adit_dataplane::time::Instant;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Nobody's session: what was kept from another run is held for its owner by this name.
const NOBODY: SessionId = SessionId(0);

/// Something has become of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of this one.
    pub address: IpAddr,
    /// Whose it is now; `None` if it is free.
    pub whose: Option<Whose>,
}

/// Whose an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// His name.
    pub identity: Claimant,
    /// Whether he is here.
    pub standing: Standing,
}

/// Whether the owner of an address is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// He is.
    Here,
    /// It is held for him until then.
    Held(Instant),
}

/// What was told and not yet taken.
#[derive(Debug, Default)]
pub(super) enum Telling {
    /// Nobody listens.
    #[default]
    Off,
    /// In order.
    On(VecDeque<News>),
}

/// Why a kept lease does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Pools are others now.
    #[error("no pool gives this address to clients")]
    NoPool,
    /// The same address was kept twice.
    #[error("another has it")]
    Taken,
}

impl Telling {
    pub(super) fn tell(&mut self, one: News) {
        match self {
            Self::Off => {}
            Self::On(news) => news.push_back(one),
        }
    }
}

impl Lease {
    /// Of both families.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.v4.map(|v4| v4.address.into()), self.v6.map(|v6| v6.address.into())].into_iter().flatten()
    }

    /// Where they are from.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let places = [self.v4.map(|v4| (Family::V4, v4.pool)), self.v6.map(|v6| (Family::V6, v6.pool))];
        places.into_iter().flatten()
    }
}

impl Leases {
    /// From now on all that becomes of addresses is told by [`Leases::poll_news`], which has to be asked.
    pub fn keep_news(&mut self) {
        self.news = Telling::On(VecDeque::new());
    }

    /// The next, in order.
    pub fn poll_news(&mut self) -> Option<News> {
        match &mut self.news {
            Telling::Off => None,
            Telling::On(news) => news.pop_front(),
        }
    }

    pub(super) fn tell(&mut self, one: News) {
        self.news.tell(one);
    }

    /// Somebody had this address when another process of ours ended: it is held for him. If `until` is over, he is remembered, and gets
    /// it again unless another came first.
    ///
    /// # Errors
    /// See [`NotHeld`].
    pub fn restore(
        &mut self,
        now: Instant,
        address: IpAddr,
        identity: &Claimant,
        until: Instant,
    ) -> Result<(), NotHeld> {
        let (ranges, number) = match address {
            IpAddr::V4(v4) => (&mut self.v4, v4_number(v4)),
            IpAddr::V6(v6) => (&mut self.v6, u128::from(v6)),
        };
        let (pool, offset) = place(ranges, number).ok_or(NotHeld::NoPool)?;
        let Some(Some(in_pool)) = ranges.get_mut(pool) else { return Err(NotHeld::NoPool) };
        if until <= now {
            in_pool.range.remember(offset, identity);
            self.tell(News { address, whose: None });
            return Ok(());
        }
        in_pool.range.take_this(offset, NOBODY, identity).ok_or(NotHeld::Taken)?;
        let lease = match address {
            IpAddr::V4(address) => Lease { v4: Some(Leased { address, pool }), v6: None },
            IpAddr::V6(address) => Lease { v4: None, v6: Some(Leased { address, pool }) },
        };
        self.hold(NOBODY, identity.clone(), lease, until);
        Ok(())
    }
}
