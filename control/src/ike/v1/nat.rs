//! NAT detection (RFC 3947 section 3.2).

use super::wire::IkeSpi;
use adit_crypto::hash::hash;
use adit_crypto::suite::Hash;
use std::net::{IpAddr, SocketAddr};

/// `HASH(CKY-I | CKY-R | IP | Port)` with phase 1's hash: the data of a NAT-D payload. An IPv4 address mapped into IPv6
/// counts as IPv4, which is what stands in the packet.
pub fn nat_d_hash(function: Hash, cookie_i: IkeSpi, cookie_r: IkeSpi, address: SocketAddr) -> Vec<u8> {
    let (v4, v6);
    let octets: &[u8] = match address.ip().to_canonical() {
        IpAddr::V4(address) => {
            v4 = address.octets();
            &v4
        }
        IpAddr::V6(address) => {
            v6 = address.octets();
            &v6
        }
    };
    let port = address.port().to_be_bytes();
    hash(function, &[&cookie_i.0.to_be_bytes(), &cookie_r.0.to_be_bytes(), octets, &port])
}
