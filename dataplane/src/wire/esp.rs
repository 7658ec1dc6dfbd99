//! ESP's header (RFC 4303 section 2), and what else comes where ESP comes (RFC 3948 section 2 on UDP 4500).

/// Octets of SPI and sequence number.
pub const HEADER_LEN: usize = 8;
/// Octets of pad length and next header behind the padding.
pub const TRAILER_LEN: usize = 2;
/// Next header: IPv4 in a tunnel.
pub const NEXT_IPV4: u8 = 4;
/// Next header: IPv6 in a tunnel.
pub const NEXT_IPV6: u8 = 41;
/// Next header: a dummy packet (RFC 4303 section 2.6).
pub const NEXT_NONE: u8 = 59;

/// Where ESP's SPI would stand, IKE in UDP 4500 has four zero octets (RFC 3948 section 2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// Where IKE has its initiator's cookie, which is not zero, ESP in UDP 500 has eight zero octets in front of its header
/// (draft-ietf-ipsec-udp-encaps-01: Non-IKE Marker).
pub const NON_IKE_MARKER: [u8; 8] = [0; 8];
/// The one octet that keeps a NAT's mapping alive (RFC 3948 section 2.3).
pub const KEEPALIVE: u8 = 0xff;
/// Octets of an IKE header: nothing shorter is IKE (RFC 7296 section 3.1).
pub const IKE_HEADER_LEN: usize = 28;
/// Octets of the largest IKE message that is taken in: far above what any client sends (certificates come in IKE
/// fragments), far below what UDP could carry. Adit's own limit: it bounds what waits for control.
pub const MAX_IKE_LEN: usize = 16 * 1024;
/// Octets of the largest UDP payload over IPv4: 65 535 without the IP and UDP headers (RFC 768, RFC 791).
pub const MAX_UDP_PAYLOAD: usize = 65_507;

/// SPI and sequence number (its low half, where extended numbers are used).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EspHeader {
    /// As on the wire.
    pub spi: u32,
    /// As on the wire.
    pub sequence: u32,
}

impl EspHeader {
    /// `None` if there are fewer than 8 octets.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header = u64::from_be_bytes(*bytes.first_chunk::<HEADER_LEN>()?);
        Some(Self { spi: (header >> 32) as u32, sequence: header as u32 })
    }

    /// As it goes on the wire.
    #[inline]
    pub fn octets(self) -> [u8; HEADER_LEN] {
        (u64::from(self.spi) << 32 | u64::from(self.sequence)).to_be_bytes()
    }
}

/// What a datagram to UDP 4500 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatT {
    /// One octet 0xFF.
    Keepalive,
    /// IKE behind the marker.
    Ike,
    /// An SPI that ESP may have stands first.
    Esp,
    /// An SPI of the reserved range 1 to 255 (RFC 4303 section 2.1).
    Reserved,
    /// Too short for any of them.
    TooShort,
}

impl NatT {
    /// Looks at the first four octets.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [KEEPALIVE] => Self::Keepalive,
            [0, 0, 0, 0, ..] => Self::Ike,
            [0, 0, 0, _, ..] => Self::Reserved,
            [_, _, _, _, ..] => Self::Esp,
            [] | [_] | [_, _] | [_, _, _] => Self::TooShort,
        }
    }
}

/// What a datagram to UDP 500 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port500 {
    /// One octet 0xFF.
    Keepalive,
    /// IKE, whatever may be wrong with it.
    Ike,
    /// Behind the marker: ESP, whatever may be wrong with it.
    Esp,
}

impl Port500 {
    /// Looks at the first eight octets.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [KEEPALIVE] => Self::Keepalive,
            bytes if bytes.starts_with(&NON_IKE_MARKER) => Self::Esp,
            _ => Self::Ike,
        }
    }
}

/// What a datagram to the port of Cisco's IPsec over UDP is. IKE stays on port 500, so there is no marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiscoUdp {
    /// One octet 0xFF, alone or behind four zero octets.
    Keepalive,
    /// An SPI that ESP may have stands first.
    Esp,
    /// An SPI of the reserved range 0 to 255 (RFC 4303 section 2.1).
    Reserved,
    /// Too short for any of them.
    TooShort,
}

impl CiscoUdp {
    /// Looks at the first four octets.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [KEEPALIVE] | [0, 0, 0, 0, KEEPALIVE] => Self::Keepalive,
            [0, 0, 0, _, ..] => Self::Reserved,
            [_, _, _, _, ..] => Self::Esp,
            [] | [_] | [_, _] | [_, _, _] => Self::TooShort,
        }
    }
}

/// What a packet of IP protocol 50 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeEsp {
    /// An SPI that ESP may have stands first.
    Esp,
    /// An SPI of the reserved range 0 to 255 (RFC 4303 section 2.1).
    Reserved,
    /// Too short for an SPI.
    TooShort,
}

impl NativeEsp {
    /// Looks at the first four octets.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0, 0, 0, _, ..] => Self::Reserved,
            [_, _, _, _, ..] => Self::Esp,
            [] | [_] | [_, _] | [_, _, _] => Self::TooShort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_ciscos_port_and_as_protocol_50_there_is_no_ike() {
        for (bytes, cisco, native) in [
            (&[][..], CiscoUdp::TooShort, NativeEsp::TooShort),
            (&[0xff], CiscoUdp::Keepalive, NativeEsp::TooShort),
            (&[0xfe], CiscoUdp::TooShort, NativeEsp::TooShort),
            (&[0, 0, 0], CiscoUdp::TooShort, NativeEsp::TooShort),
            (&[0, 0, 0, 0], CiscoUdp::Reserved, NativeEsp::Reserved),
            (&[0, 0, 0, 0, 0xff], CiscoUdp::Keepalive, NativeEsp::Reserved),
            (&[0, 0, 0, 0, 0xfe], CiscoUdp::Reserved, NativeEsp::Reserved),
            (&[0, 0, 0, 0, 0xff, 0], CiscoUdp::Reserved, NativeEsp::Reserved),
            (&[0, 0, 0, 255], CiscoUdp::Reserved, NativeEsp::Reserved),
            (&[0, 0, 1, 0], CiscoUdp::Esp, NativeEsp::Esp),
            (&[255; 8], CiscoUdp::Esp, NativeEsp::Esp),
        ] {
            assert_eq!((CiscoUdp::of(bytes), NativeEsp::of(bytes)), (cisco, native), "{bytes:?}");
        }
    }

    #[test]
    fn on_port_500_a_cookie_of_zero_is_no_ike() {
        let cookie = |octet| [&[0; 7][..], &[octet; 21]].concat();
        for (bytes, want) in [
            (&[][..], Port500::Ike),
            (&[0xff], Port500::Keepalive),
            (&[0xfe], Port500::Ike),
            (&[0; 7], Port500::Ike),
            (&[0; 8], Port500::Esp),
            (&cookie(0), Port500::Esp),
            (&cookie(1), Port500::Ike),
            (&[[0; 4], [1; 4], [0; 4]].concat(), Port500::Ike),
            (&[[0; 4], [0; 4], [1; 4]].concat(), Port500::Esp),
        ] {
            assert_eq!(Port500::of(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn four_octets_tell_what_a_datagram_is() {
        for (bytes, is) in [
            (&[0xff][..], NatT::Keepalive),
            (&[], NatT::TooShort),
            (&[0xfe], NatT::TooShort),
            (&[0xff, 0xff], NatT::TooShort),
            (&[0, 0, 0], NatT::TooShort),
            (&[0, 0, 0, 0], NatT::Ike),
            (&[0, 0, 0, 1], NatT::Reserved),
            (&[0, 0, 0, 255], NatT::Reserved),
            (&[0, 0, 1, 0], NatT::Esp),
            (&[255, 255, 255, 255], NatT::Esp),
        ] {
            assert_eq!(NatT::of(bytes), is, "{bytes:?}");
        }
    }

    #[test]
    fn a_header_reads_back_as_written() {
        let header = EspHeader { spi: 0x0102_0304, sequence: 0x0506_0708 };
        assert_eq!(header.octets(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(EspHeader::parse(&header.octets()), Some(header));
        assert_eq!(EspHeader::parse(&[0; 7]), None);
    }
}
