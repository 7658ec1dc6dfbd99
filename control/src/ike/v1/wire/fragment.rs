//! Cisco's fragments: a whole message, header included, cut into pieces that each travel behind the same header.

use super::build::fill_length;
use super::numbers::{GENERIC_LEN, kind};
use super::{Fault, Header, put_header};
use crate::ike::wire::reader::Reader;

/// One piece of a message.
///
/// ```text
///  ISAKMP header, next payload 132
///  +-------+-------+-----------+-----------+-------+-------+----- - -
///  |  0    |  0    |  length   | id        | index | flags | data
///  +-------+-------+-----------+-----------+-------+-------+----- - -
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The same in all pieces of a message.
    pub id: u16,
    /// From 1.
    pub index: u8,
    /// Whether more follow.
    pub place: FragmentPlace,
    /// Octets of the message, never empty.
    pub data: &'a [u8],
}

/// Where a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FragmentPlace {
    /// Others come after it.
    Inner,
    /// It ends the message.
    Last,
}

/// "Last" among a fragment's flags.
const LAST: u8 = 1;

/// Reads the body of a payload 132.
pub(super) fn fragment(body: &[u8]) -> Result<Fragment<'_>, Fault> {
    let mut reader = Reader::new(body);
    let id = reader.u16().ok_or(Fault::Truncated)?;
    let [index, flags] = reader.array().ok_or(Fault::Truncated)?;
    let data = reader.rest();
    if index == 0 || data.is_empty() {
        return Err(Fault::Fragment);
    }
    let place = if flags & LAST == 0 { FragmentPlace::Inner } else { FragmentPlace::Last };
    Ok(Fragment { id, index, place, data })
}

/// A message that carries one piece of another. `header` is that other message's; peers send it with the flags as
/// they were, so the encrypted bit may be set although the fragment itself is in the clear.
pub fn build_fragment(header: &Header, fragment: &Fragment<'_>) -> Vec<u8> {
    let length = GENERIC_LEN + 4 + fragment.data.len();
    debug_assert!(length <= usize::from(u16::MAX));
    let mut out = Vec::with_capacity(Header::LEN + length);
    put_header(&mut out, header, kind::FRAGMENT);
    out.extend([kind::NONE, 0]);
    out.extend((length as u16).to_be_bytes());
    out.extend(fragment.id.to_be_bytes());
    out.extend([fragment.index, if fragment.place == FragmentPlace::Last { LAST } else { 0 }]);
    out.extend(fragment.data);
    fill_length(&mut out);
    out
}
