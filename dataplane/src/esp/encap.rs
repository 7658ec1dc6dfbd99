//! From inner packet to ESP, in the packet's own headroom.
//!
//! ```text
//! | SPI | sequence | IV | inner packet | 1 2 3 … | pad length | next header | ICV |
//! |<-- headroom -->|<---- where it was received ---->|<------ tailroom ------>|
//! ```

use super::meter::{Meter, last_number};
use super::{Filter, Geometry, News, padding};
use crate::contract::{OutboundSpec, SaCounters, SequenceNumbers, Spi, WorkerId};
use crate::fate::DropReason;
use crate::packet::PacketBuf;
use crate::time::Instant;
use crate::wire::esp::{EspHeader, HEADER_LEN, NEXT_IPV4, NEXT_IPV6, TRAILER_LEN};
use crate::wire::ip::IpPacket;
use adit_crypto::esp_cipher::{EspCipher, Header};
use std::sync::Arc;

/// An SA to send on.
pub struct OutboundSa {
    spi: u32,
    pair: Spi,
    inner_mtu: u16,
    /// The last number sent; the first packet carries 1 (RFC 4303 section 3.3.3).
    sequence: u64,
    numbers: SequenceNumbers,
    news: News,
    meter: Meter,
    cipher: EspCipher,
    geometry: Geometry,
    iv_space: IvSpace,
    filter: Filter,
    /// Packets and octets of the burst, not yet charged.
    burst: (u32, u32),
    counters: Arc<SaCounters>,
}

/// The part of an explicit IV that no other sender on the same key has:
///
/// ```text
/// | generation : 8 | worker : 8 | counter : 48 |
/// ```
///
/// So an IV is unique per key (RFC 4106 section 3.1) even if two workers, or after a take-over two nodes, send on
/// one SA. The generation is 0 until SAs can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IvSpace(u64);

impl IvSpace {
    /// Of one worker in one generation of the SA's owners.
    pub const fn new(generation: u8, worker: WorkerId) -> Self {
        Self((generation as u64) << 56 | (worker.0 as u64) << 48)
    }

    /// `sequence` is below 2⁴⁸: [`last_number`] sees to it.
    const fn counter(self, sequence: u64) -> u64 {
        self.0 | sequence
    }
}

impl OutboundSa {
    /// A fresh SA; `pair` is the inbound one of the same child SA.
    pub fn new(spec: OutboundSpec, pair: Spi, iv_space: IvSpace) -> Self {
        let OutboundSpec { lane: _, spi, cipher, numbers, lifetime, selectors, counters } = spec;
        let (geometry, filter) = (Geometry::of(cipher.suite()), Filter::new(&selectors));
        let (meter, news) = (Meter::new(lifetime, numbers), News::default());
        let (sequence, burst) = (0, (0, 0));
        Self {
            spi,
            pair,
            inner_mtu: 0,
            sequence,
            numbers,
            news,
            meter,
            cipher,
            geometry,
            iv_space,
            filter,
            burst,
            counters,
        }
    }

    /// The inbound SA of the same child SA.
    pub fn pair(&self) -> Spi {
        self.pair
    }

    /// Whether the packet may go into this SA.
    #[inline]
    pub fn allows(&self, ip: &IpPacket, packet: &[u8]) -> bool {
        self.filter.allows_to_peer(ip, packet)
    }

    /// Octets of the largest inner packet that becomes at most `room` octets of ESP.
    pub fn inner_room(&self, room: usize) -> usize {
        let Geometry { iv, icv, align } = self.geometry;
        let body = room.saturating_sub(HEADER_LEN + iv + icv);
        (body - body % align).saturating_sub(TRAILER_LEN)
    }

    /// There is room for so many octets of ESP outside. Returns what fits inside now.
    pub fn fit_into(&mut self, room: usize) -> u16 {
        self.inner_mtu = u16::try_from(self.inner_room(room)).unwrap_or(u16::MAX);
        self.counters.fits(self.inner_mtu);
        self.inner_mtu
    }

    /// Octets of the largest inner packet that becomes one outer packet.
    #[inline]
    pub fn inner_mtu(&self) -> u16 {
        self.inner_mtu
    }

    /// Wraps the inner packet. On error no number was used, and the packet is only fit to be dropped.
    pub fn seal(&mut self, packet: &mut PacketBuf, now: Instant) -> Result<(), DropReason> {
        let next_header = match packet.bytes().first().map(|octet| octet >> 4) {
            Some(4) => NEXT_IPV4,
            Some(6) => NEXT_IPV6,
            Some(_) | None => return Err(DropReason::BadInner),
        };
        // Numbers must not wrap: the SA ends here (RFC 4303 section 3.3.3).
        if self.sequence >= last_number(self.numbers) {
            self.meter.end(&mut self.news);
            return Err(DropReason::SequenceExhausted);
        }
        self.meter.check(now, &mut self.news)?;
        let sequence = self.sequence + 1;
        let Geometry { iv: iv_len, icv: icv_len, align } = self.geometry;

        let inner_len = packet.len();
        let pad_len = padding::len_for(inner_len, align);
        let tail = packet.extend_back(pad_len + TRAILER_LEN + icv_len).ok_or(DropReason::TooBig)?;
        let (padding, tail) = tail.split_at_mut(pad_len);
        padding::write(padding);
        // Below the alignment, so it is one octet.
        tail[..TRAILER_LEN].copy_from_slice(&[pad_len as u8, next_header]);
        packet.extend_front(HEADER_LEN + iv_len).ok_or(DropReason::TooBig)?;

        self.sequence = sequence;
        let esn_high = match self.numbers {
            SequenceNumbers::Plain => None,
            SequenceNumbers::Extended => Some((sequence >> 32) as u32),
        };
        let header = EspHeader { spi: self.spi, sequence: sequence as u32 }.octets();
        let (front, rest) = packet.bytes_mut().split_at_mut(HEADER_LEN);
        front.copy_from_slice(&header);
        let (iv, rest) = rest.split_at_mut(iv_len);
        let (body, icv) = rest.split_at_mut(rest.len() - icv_len);
        let header = Header { bytes: &header, esn_high };
        self.meter.charge(body.len(), now, &mut self.news);
        self.cipher.seal(header, self.iv_space.counter(sequence), iv, body, icv);
        self.burst.0 += 1;
        self.burst.1 += inner_len as u32;
        Ok(())
    }

    /// What control is to be told, and not again.
    #[inline]
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Packets of this burst that are not yet charged.
    #[inline]
    pub fn uncharged(&self) -> u32 {
        self.burst.0
    }

    /// Charges them.
    pub fn charge(&mut self, now: Instant) {
        let (packets, octets) = std::mem::take(&mut self.burst);
        self.counters.charge(packets.into(), octets.into(), now);
    }

    /// Gives the keys back.
    pub fn into_cipher(self) -> EspCipher {
        self.cipher
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Lifetime, Selectors};
    use crate::esp::Tiding;
    use adit_crypto::esp_cipher::Backend;
    use adit_crypto::suite::{CipherSuite, Encr, Integ};

    fn sa(suite: CipherSuite, numbers: SequenceNumbers) -> OutboundSa {
        let (encr, integ) = (vec![1; suite.encr().key_len()], vec![2; suite.integ_key_len()]);
        let spec = OutboundSpec {
            lane: crate::contract::Lane::FIRST,
            spi: 0x1000,
            numbers,
            lifetime: Lifetime::default(),
            cipher: EspCipher::new(Backend::Auto, suite, &encr, &integ).unwrap(),
            selectors: Arc::new(Selectors::default()),
            counters: Arc::default(),
        };
        OutboundSa::new(spec, Spi::new(0x1000).unwrap(), IvSpace::new(3, WorkerId(5)))
    }

    fn packet(len: usize) -> PacketBuf {
        let mut packet = PacketBuf::allocate(2048);
        packet.extend_back(len).unwrap()[0] = 0x45;
        packet
    }

    /// SPI and number of what `sa` sends next.
    fn next(sa: &mut OutboundSa) -> Result<(EspHeader, [u8; 8]), DropReason> {
        let mut packet = packet(20);
        sa.seal(&mut packet, Instant::ZERO)?;
        let iv = packet.bytes()[8..16].try_into().unwrap();
        Ok((EspHeader::parse(packet.bytes()).unwrap(), iv))
    }

    #[test]
    fn numbers_start_at_one_and_end_without_wrapping() {
        let mut sa = sa(CipherSuite::new(Encr::Aes128Gcm16, None).unwrap(), SequenceNumbers::Plain);
        let (header, iv) = next(&mut sa).unwrap();
        assert_eq!(header, EspHeader { spi: 0x1000, sequence: 1 });
        assert_eq!(iv, [3, 5, 0, 0, 0, 0, 0, 1], "generation, worker, counter");
        sa.sequence = u64::from(u32::MAX - 1);
        assert_eq!(next(&mut sa).map(|(header, _)| header.sequence), Ok(u32::MAX));
        assert!(sa.take_news().is_empty());
        for told in [true, false] {
            assert_eq!(next(&mut sa), Err(DropReason::SequenceExhausted));
            assert_eq!(sa.take_news().holds(Tiding::Hard), told);
        }
    }

    #[test]
    fn extended_numbers_go_on_behind_32_bits_and_end_with_the_counter_of_the_iv() {
        let mut sa = sa(CipherSuite::new(Encr::Aes128Gcm16, None).unwrap(), SequenceNumbers::Extended);
        sa.sequence = u64::from(u32::MAX);
        let (header, iv) = next(&mut sa).unwrap();
        assert_eq!((header.sequence, iv), (0, [3, 5, 0, 1, 0, 0, 0, 0]));
        assert_eq!(next(&mut sa).unwrap().1, [3, 5, 0, 1, 0, 0, 0, 1]);
        sa.sequence = (1 << 48) - 2;
        let (header, iv) = next(&mut sa).unwrap();
        assert_eq!((header.sequence, iv), (u32::MAX, [3, 5, 255, 255, 255, 255, 255, 255]));
        for _ in 0..2 {
            assert_eq!(next(&mut sa), Err(DropReason::SequenceExhausted), "the next IV would be another worker's");
        }
    }

    /// Octets of ESP that an inner packet of `len` octets becomes.
    fn sealed_len(sa: &OutboundSa, len: usize) -> usize {
        let Geometry { iv, icv, align } = sa.geometry;
        HEADER_LEN + iv + len + padding::len_for(len, align) + TRAILER_LEN + icv
    }

    #[test]
    fn lengths_are_foretold() {
        for suite in [
            CipherSuite::new(Encr::Aes128Gcm16, None),
            CipherSuite::new(Encr::Aes256Cbc, Some(Integ::HmacSha1_96)),
            CipherSuite::new(Encr::Aes128Cbc, Some(Integ::HmacSha512_256)),
        ] {
            let mut sa = sa(suite.unwrap(), SequenceNumbers::Plain);
            for len in 20..120 {
                let mut packet = packet(len);
                sa.seal(&mut packet, Instant::ZERO).unwrap();
                assert_eq!(packet.len(), sealed_len(&sa, len));
                let room = sa.inner_room(packet.len());
                assert!(
                    room >= len && sealed_len(&sa, room) <= packet.len() && sealed_len(&sa, room + 1) > packet.len()
                );
            }
            assert_eq!(sa.inner_room(0), 0);
        }
    }
}
