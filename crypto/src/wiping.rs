//! Work after which the stack is wiped.
//!
//! Libraries hand keys over by value, which leaves copies where their functions had their room.

use zeroize::zeroize_stack;

/// Enough for a PRF, which takes 3 KB (SHA-512).
pub(crate) const FOR_PRF: usize = 8_192;
/// Enough for setting a cipher up, or for a key exchange on a curve, which take 6 KB.
pub(crate) const FOR_KEYS: usize = 16_384;
/// Enough for raising to a power modulo 4096 bits, which takes 28 KB.
pub(crate) const FOR_MODP: usize = 65_536;

/// Does the work, and wipes so many octets of stack where it was done. What it returns is not wiped: keys in it lie in memory of
/// their own.
#[inline]
pub(crate) fn wiping<const OCTETS: usize, R>(work: impl FnOnce() -> R) -> R {
    let result = apart(work);
    zeroize_stack::<OCTETS>();
    result
}

/// Not inlined: the room that the work has is to begin where [`zeroize_stack`]'s does.
#[inline(never)]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}
