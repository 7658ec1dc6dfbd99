//! From ESP to inner packet: replay check → open → replay accept → padding → inner header → selector.
//!
//! Nothing moves before the ICV is good (RFC 4303 section 3.4).

use super::{Filter, Geometry, ReplayWindow, padding};
use crate::contract::{InboundSpec, SaCounters, Spi, TunnelKey};
use crate::fate::DropReason;
use crate::packet::PacketBuf;
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
    replay: ReplayWindow,
    filter: Filter,
    first_use: FirstUse,
    /// Packets and octets of the burst, not yet charged.
    burst: (u32, u32),
    counters: Arc<SaCounters>,
}

/// Whether an inbound SA has been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstUse {
    /// No authenticated packet yet.
    Awaited,
    /// There was one; control is to be told.
    Unreported,
    /// Control knows.
    Reported,
}

impl InboundSa {
    /// A fresh SA.
    pub fn new(spec: InboundSpec) -> Self {
        let InboundSpec { tunnel, spi, cipher, numbers: _, window, lifetime: _, selectors, counters } = spec;
        let (geometry, replay) = (Geometry::of(cipher.suite()), ReplayWindow::new(window));
        let (filter, first_use) = (Filter::new(&selectors), FirstUse::Awaited);
        Self { spi, tunnel, cipher, geometry, replay, filter, first_use, burst: (0, 0), counters }
    }

    /// Ours.
    pub fn spi(&self) -> Spi {
        self.spi
    }

    /// Whose it is.
    pub fn tunnel(&self) -> TunnelKey {
        self.tunnel
    }

    /// Unwraps the packet in place. The replay window moves if and only if the ICV is good.
    pub fn open(&mut self, packet: &mut PacketBuf) -> Result<(), DropReason> {
        let Geometry { iv: iv_len, icv: icv_len, align } = self.geometry;
        let header = EspHeader::parse(packet.bytes()).ok_or(DropReason::TooShort)?;
        let body_len = packet.len().checked_sub(HEADER_LEN + iv_len + icv_len).ok_or(DropReason::TooShort)?;
        if body_len < TRAILER_LEN {
            return Err(DropReason::TooShort);
        }
        if body_len & (align - 1) != 0 {
            return Err(DropReason::Malformed);
        }
        self.replay.check(header.sequence)?;

        let (front, rest) = packet.bytes_mut().split_at_mut(HEADER_LEN);
        let (iv, body_and_icv) = rest.split_at_mut(iv_len);
        self.cipher.open(Header::from(&*front), iv, body_and_icv).map_err(|_| DropReason::BadIcv)?;
        self.replay.accept(header.sequence);
        if self.first_use == FirstUse::Awaited {
            self.first_use = FirstUse::Unreported;
        }

        let len = self.inner(&body_and_icv[..body_len])?;
        packet.strip_front(HEADER_LEN + iv_len).ok_or(DropReason::Malformed)?;
        packet.truncate(len).ok_or(DropReason::Malformed)?;
        self.burst.0 += 1;
        self.burst.1 += len as u32;
        Ok(())
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

    /// Whether control is to be told now that the peer uses this SA; yes only once.
    #[inline]
    pub fn take_first_use(&mut self) -> bool {
        let unreported = self.first_use == FirstUse::Unreported;
        if unreported {
            self.first_use = FirstUse::Reported;
        }
        unreported
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
