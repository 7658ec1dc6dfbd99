//! What an SA has to tell control. Empty after nearly every packet, so that one octet answers for all of it.

/// One thing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tiding {
    /// The first authenticated packet came.
    FirstUse = 1,
    /// A soft limit is reached.
    Soft = 2,
    /// A hard limit is reached.
    Hard = 4,
    /// The newest packet came from another place than those before.
    Elsewhere = 8,
}

/// What was not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct News(u8);

impl News {
    /// Whether there is nothing to tell.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is to be told.
    pub const fn holds(self, tiding: Tiding) -> bool {
        self.0 & tiding as u8 != 0
    }

    pub(super) fn add(&mut self, tiding: Tiding) {
        self.0 |= tiding as u8;
    }
}
