//! Big-endian reading that can run dry but not panic.

/// What has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::ike) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::ike) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::ike) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything left.
    pub(in crate::ike) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(in crate::ike) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(in crate::ike) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(in crate::ike) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(in crate::ike) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(in crate::ike) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(in crate::ike) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A proposal or transform of an SA payload (RFC 7296 sections 3.3.1 and 3.3.2, RFC 2408 sections 3.5 and 3.6): whether
    /// it is the last, and what follows its first 4 octets. `more` says that it is not.
    pub(in crate::ike) fn substructure(&mut self, more: u8) -> Result<(bool, &'a [u8]), NoSubstructure> {
        let [next, _reserved] = self.array().ok_or(NoSubstructure::Truncated)?;
        let length = usize::from(self.u16().ok_or(NoSubstructure::Truncated)?);
        let bytes = length.checked_sub(4).and_then(|len| self.take(len)).ok_or(NoSubstructure::Truncated)?;
        match next {
            0 => Ok((true, bytes)),
            other if other == more => Ok((false, bytes)),
            _ => Err(NoSubstructure::Next),
        }
    }
}

/// Why there is no substructure here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ike) enum NoSubstructure {
    /// Its length is below 4, or beyond what is there.
    Truncated,
    /// What is to follow cannot stand here.
    Next,
}
