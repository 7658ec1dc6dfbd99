//! NAT detection (RFC 7296 section 2.23).

use super::wire::IkeSpi;
use sha1::{Digest, Sha1};
use std::net::{IpAddr, SocketAddr};

/// `SHA-1(SPIi | SPIr | address | port)`: the data of NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP.
/// An IPv4 address mapped into IPv6 counts as IPv4, which is what stands in the packet.
pub fn nat_detection_hash(initiator_spi: IkeSpi, responder_spi: IkeSpi, address: SocketAddr) -> [u8; 20] {
    let mut sha1 = Sha1::new();
    sha1.update(initiator_spi.0.to_be_bytes());
    sha1.update(responder_spi.0.to_be_bytes());
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => sha1.update(v4.octets()),
        IpAddr::V6(v6) => sha1.update(v6.octets()),
    }
    sha1.update(address.port().to_be_bytes());
    sha1.finalize().into()
}
