//! From ESP to inner packet: replay check → open → replay accept → padding → inner header → selector.
//!
//! Nothing moves before the ICV is good (RFC 4303 section 3.4).

use super::meter::Meter;
use super::{Filter, Geometry, News, ReplayWindow, Tiding, padding};
use crate::contract::{EspPath, InboundSpec, SaCounters, SequenceNumbers, Spi, TunnelKey};
use crate::fate::DropReason;
use crate::packet::{PacketBuf, Standing};
use crate::time::Instant;
use crate::wire::esp::{EspHeader, HEADER_LEN, NEXT_IPV4, NEXT_IPV6, NEXT_NONE, TRAILER_LEN};
use crate::wire::ip::IpPacket;
use adit_crypto::esp_cipher::{EspCipher, Header};
use std::sync::Arc;

/// An SA to receive on.
pub struct InboundSa {
    spi: Spi,
    tunnel: TunnelKey,
    cipher: EspCipher,
    geometry: Geometry,
    numbers: SequenceNumbers,
    first_use: FirstUse,
    news: News,
    replay: ReplayWindow,
    meter: Meter,
    /// Where its tunnel's packets go: a copy, so that a packet from there touches nothing else.
    path: EspPath,
    filter: Filter,
    /// Packets and octets of the burst, not yet charged.
    burst: (u32, u32),
    counters: Arc<SaCounters>,
}

/// Whether an inbound SA has been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstUse {
    /// No authenticated packet yet.
    Awaited,
    /// There was one.
    Seen,
}

impl InboundSa {
    /// A fresh SA of a tunnel whose packets go to `path`.
    pub fn new(spec: InboundSpec, path: EspPath) -> Self {
        let InboundSpec { tunnel, spi, cipher, numbers, window, lifetime, selectors, counters } = spec;
        let (geometry, replay) = (Geometry::of(cipher.suite()), ReplayWindow::new(window, numbers));
        let (filter, meter) = (Filter::new(&selectors), Meter::new(lifetime, numbers));
        let (first_use, news) = (FirstUse::Awaited, News::default());
        Self {
            spi,
            tunnel,
            cipher,
            geometry,
            numbers,
            first_use,
            news,
            replay,
            meter,
            path,
            filter,
            burst: (0, 0),
            counters,
        }
    }

    /// The window stands at `highest`, as if that number had been accepted. For tests of numbers that no test can count
    /// up to.
    pub fn resume_at(&mut self, highest: u64) {
        self.replay.accept(highest);
    }

    /// Ours.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    /// Whose it is.
    pub fn tunnel(&self) -> TunnelKey {
        self.tunnel
    }

    /// Its tunnel's packets go to `path` now.
    pub fn move_to(&mut self, path: EspPath) {
        self.path = path;
    }

    /// Unwraps the packet in place. The replay window moves, the lifetime is charged and the peer can be elsewhere if
    /// and only if the ICV is good.
    pub fn open(&mut self, packet: &mut PacketBuf, now: Instant) -> Result<(), DropReason> {
        let Geometry { iv: iv_len, icv: icv_len, align } = self.geometry;
        let header = EspHeader::parse(packet.bytes()).ok_or(DropReason::TooShort)?;
        let body_len = packet.len().checked_sub(HEADER_LEN + iv_len + icv_len).ok_or(DropReason::TooShort)?;
        if body_len < TRAILER_LEN {
            return Err(DropReason::TooShort);
        }
        if body_len & (align - 1) != 0 {
            return Err(DropReason::Malformed);
        }
        self.meter.check(now, &mut self.news)?;
        let number = self.replay.check(header.sequence)?;
        let esn_high = match self.numbers {
            SequenceNumbers::Plain => None,
            SequenceNumbers::Extended => Some((number >> 32) as u32),
        };

        let (front, rest) = packet.bytes_mut().split_at_mut(HEADER_LEN);
        let (iv, body_and_icv) = rest.split_at_mut(iv_len);
        let header = Header { bytes: front, esn_high };
        self.cipher.open(header, iv, body_and_icv).map_err(|_| DropReason::BadIcv)?;
        let before = self.replay.highest();
        self.replay.accept(number);
        self.meter.charge(body_len, now, &mut self.news);
        if self.first_use == FirstUse::Awaited {
            self.first_use = FirstUse::Seen;
            self.news.add(Tiding::FirstUse);
        }
        let len = self.inner(&body_and_icv[..body_len]);
        // Newer than all before it: who sent it is there now. A late or repeated packet says nothing of the kind.
        let elsewhere =
            |from| packet.meta.channel.transport() != Some(self.path.transport()) || from != self.path.path();
        let tells = match packet.meta.standing {
            Standing::Good => packet.meta.path.is_some_and(elsewhere),
            // Control does not know of the connection.
            Standing::New => true,
            Standing::Doubted => false,
        };
        if number > before && tells {
            self.news.add(Tiding::Elsewhere);
        }

        // Before the packet can be refused: what may not come out is still what a capture shows.
        packet.strip_front(HEADER_LEN + iv_len).ok_or(DropReason::Malformed)?;
        let len = len?;
        packet.truncate(len).ok_or(DropReason::Malformed)?;
        self.burst.0 += 1;
        self.burst.1 += len as u32;
        Ok(())
    }

    /// What control is to be told, and not again.
    #[inline]
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Length of the inner packet at the start of what was decrypted, if it may come out of this SA.
    #[inline]
    fn inner(&self, body: &[u8]) -> Result<usize, DropReason> {
        let (rest, &[pad_len, next_header]) = body.split_last_chunk::<TRAILER_LEN>().ok_or(DropReason::TooShort)?;
        let inner_len = rest.len().checked_sub(pad_len.into()).ok_or(DropReason::BadPadding)?;
        let (inner, padding) = rest.split_at(inner_len);
        if !padding::is_sound(padding) {
            return Err(DropReason::BadPadding);
        }
        let version = match next_header {
            NEXT_IPV4 => 4,
            NEXT_IPV6 => 6,
            NEXT_NONE => return Err(DropReason::Dummy),
            _ => return Err(DropReason::BadNextHeader),
        };
        if inner.first().is_none_or(|octet| octet >> 4 != version) {
            return Err(DropReason::BadInner);
        }
        let ip = IpPacket::parse(inner).ok_or(DropReason::BadInner)?;
        // What is behind the inner packet is traffic flow confidentiality padding (RFC 4303 section 2.7).
        if !self.filter.allows_from_peer(&ip, &inner[..ip.len]) {
            return Err(DropReason::SelectorMismatch);
        }
        Ok(ip.len)
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
