//! As much of IP, TCP and UDP as cutting and joining need.

use super::Sum;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// Lowest bit of a TCP header's octet 13 upward: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR (RFC 9293 section 3.1).
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const URG: u8 = 0x20;
pub(crate) const CWR: u8 = 0x80;
/// Where the checksum stands in a TCP header.
pub(crate) const TCP_CHECKSUM: usize = 16;
/// Where the checksum stands in a UDP header.
pub(crate) const UDP_CHECKSUM: usize = 6;
/// The longest headers before the payload: an IP header of 60 octets or one of IPv6 with extensions, and TCP's 60.
const MOST_EXTENSIONS: usize = 8;

/// Which IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// Where things are in an unfragmented TCP or UDP packet. Every offset was checked against its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) version: Version,
    /// [`TCP`] or [`UDP`].
    pub(crate) protocol: u8,
    /// Offset of the transport header.
    pub(crate) transport: usize,
    /// Offset of the payload.
    pub(crate) payload: usize,
}

impl Headers {
    /// Reads them; `None` for anything but whole TCP and UDP packets. IPv6 extension headers are walked over, as
    /// far as a packet with them can be cut. The IP length field is not looked at: see [`Self::length_is`].
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, protocol, transport) = match bytes.first()? >> 4 {
            4 => {
                let header: &[u8; 20] = bytes.first_chunk()?;
                let length = usize::from(header[0] & 0x0f) * 4;
                // more fragments, or an offset (RFC 791 section 3.1)
                let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
                if length < 20 || length > bytes.len() || fragment {
                    return None;
                }
                (Version::V4, header[9], length)
            }
            6 => {
                let header: &[u8; 40] = bytes.first_chunk()?;
                let (mut next, mut at) = (header[6], 40);
                for _ in 0..MOST_EXTENSIONS {
                    // hop-by-hop, routing, destination options (RFC 8200 section 4.1)
                    if !matches!(next, 0 | 43 | 60) {
                        break;
                    }
                    let extension: &[u8; 2] = bytes.get(at..)?.first_chunk()?;
                    next = extension[0];
                    at += 8 + usize::from(extension[1]) * 8;
                }
                (Version::V6, next, at)
            }
            _ => return None,
        };
        let payload = match protocol {
            TCP => {
                let header: &[u8; 20] = bytes.get(transport..)?.first_chunk()?;
                let length = usize::from(header[12] >> 4) * 4;
                if length < 20 {
                    return None;
                }
                transport + length
            }
            UDP => transport + 8,
            _ => return None,
        };
        (payload <= bytes.len()).then_some(Self { version, protocol, transport, payload })
    }

    /// Whether the IP header's (and UDP's) length says what the packet has.
    pub(crate) fn length_is(&self, bytes: &[u8]) -> bool {
        let ip = match self.version {
            Version::V4 => usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
            Version::V6 => 40 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]])),
        };
        let udp = self.protocol != UDP || {
            let at = self.transport + 4;
            usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]])) == bytes.len() - self.transport
        };
        ip == bytes.len() && udp
    }

    /// The pseudo-header's sum for a transport segment of `length` octets (RFC 9293 section 3.1, RFC 8200
    /// section 8.1).
    pub(crate) fn pseudo(&self, bytes: &[u8], length: usize) -> Sum {
        let addresses = match self.version {
            Version::V4 => &bytes[12..20],
            Version::V6 => &bytes[8..40],
        };
        Sum::default().bytes(addresses).word(u16::from(self.protocol)).word(length as u16)
    }

    /// Offset of the transport checksum.
    pub(crate) fn checksum_at(&self) -> usize {
        self.transport
            + match self.protocol {
                TCP => TCP_CHECKSUM,
                _ => UDP_CHECKSUM,
            }
    }

    /// Writes the IP (and UDP) lengths for a packet of `bytes.len() + behind` octets, and IPv4's header checksum.
    pub(crate) fn set_length(&self, bytes: &mut [u8], behind: usize) {
        let total = bytes.len() + behind;
        if self.protocol == UDP {
            let at = self.transport + 4;
            bytes[at..at + 2].copy_from_slice(&((total - self.transport) as u16).to_be_bytes());
        }
        match self.version {
            Version::V4 => {
                bytes[2..4].copy_from_slice(&(total as u16).to_be_bytes());
                bytes[10..12].fill(0);
                let header = usize::from(bytes[0] & 0x0f) * 4;
                let sum = Sum::default().bytes(&bytes[..header]).checksum();
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            Version::V6 => bytes[4..6].copy_from_slice(&((total - 40) as u16).to_be_bytes()),
        }
    }
}
