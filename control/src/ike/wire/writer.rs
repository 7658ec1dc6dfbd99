//! What messages of either version are written with.

use std::net::IpAddr;

pub(in crate::ike) fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => out.extend(v4.octets()),
        IpAddr::V6(v6) => out.extend(v6.octets()),
    }
}

/// Writes a two-octet length, then `body`. The length counts itself, the body and the `before` octets written already.
pub(in crate::ike) fn with_length(out: &mut Vec<u8>, before: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u16(out, 0);
    body(out);
    let length = out.len() - at + before;
    debug_assert!(length <= usize::from(u16::MAX), "{length} octets do not fit a length field");
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
}

pub(in crate::ike) fn octet(count: usize) -> u8 {
    debug_assert!(count <= usize::from(u8::MAX));
    count as u8
}

pub(in crate::ike) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

pub(in crate::ike) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

pub(in crate::ike) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}
