//! How connections begin, and what becomes of segments that belong to none.

use super::{Carrier, Part, RESETS};
use crate::carrier::ctcp::Outlet;
use crate::carrier::ctcp::carrier::Taken;
use crate::carrier::ctcp::flow::{Flow, header};
use crate::carrier::ctcp::frame::is_ike_header;
use crate::carrier::ctcp::slot::{Slot, Standing, Talk};
use crate::carrier::tcp::{Beginning, Offer, begins_stream, our_offer};
use crate::contract::Path;
use crate::fate::DropReason;
use crate::time::Instant;
use crate::wire::tcp::{TcpFlags, TcpHeader};
use crate::wire::tcp_offer::SynOffer;
use std::time::Duration;

impl Carrier {
    /// Nothing is remembered: the answer's number is a cookie. A connection that is there already stays: whoever has forgotten it
    /// comes back with the cookie, and only its owner can.
    pub(super) fn syn(&mut self, now: Instant, path: &Path, syn: &[u8], outlet: &mut impl Outlet) -> Taken {
        let Some(asked) = TcpHeader::parse(syn) else { return Taken::Nothing(DropReason::TooShort) };
        // What offers explicit congestion notification gets an answer without it (RFC 3168 section 6.1.1), so it is not used.
        if asked.flags.without(TcpFlags::ECE.with(TcpFlags::CWR)) != TcpFlags::SYN {
            return Taken::Nothing(DropReason::Malformed);
        }
        let offered = SynOffer::read(syn);
        let offer = if asked.has_options() { Offer::of(&offered) } else { Offer::NONE };
        let ours = self.cookies.bake(now, path, offer);
        let answer = header(path, ours, asked.seq.plus(1), TcpFlags::SYN.with(TcpFlags::ACK));
        // Real TCP that is told nothing cuts into pieces of 536 octets (RFC 9293 section 3.7.1), and keeps within 64 KiB. Cisco's says
        // nothing and hears nothing. No option comes back that did not come, so the answer is never longer.
        outlet.octets(path, our_offer(path, &offered).behind(&answer).as_ref());
        Taken::Nothing(DropReason::Handshake)
    }

    /// Whether this answers a SYN of ours that is not the one of the connection there.
    pub(super) fn is_another_incarnation(
        &mut self,
        now: Instant,
        index: u32,
        path: &Path,
        segment: &TcpHeader,
    ) -> bool {
        let Some(slot) = self.slot(index) else { return true };
        !slot.believes(segment) && slot.may_be_another(now) && self.answered(now, path, segment).is_some()
    }

    /// What the SYN had that we have answered with the number before this one.
    fn answered(&self, now: Instant, path: &Path, segment: &TcpHeader) -> Option<Offer> {
        self.cookies.is_ours(now, path, segment.ack.minus_one())
    }

    /// A segment of no connection. Only an IKE message, whole or its beginning, that answers our SYN makes one, the first of a
    /// login or of a client that has lost its connection and not its session; or what a stream begins with.
    pub(super) fn stranger(
        &mut self,
        now: Instant,
        path: &Path,
        segment: &TcpHeader,
        octets: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        let payload = octets.get(segment.len..).unwrap_or_default();
        if let Some(reason) = self.dial_refused(path, segment) {
            return Taken::Nothing(reason);
        }
        let ends = segment.flags.has(TcpFlags::RST) || segment.flags.has(TcpFlags::FIN);
        let ours = self.config.part == Part::Answers;
        let cookie = if ends || !ours { None } else { self.answered(now, path, segment) };
        let Some(offer) = cookie else { return self.refuse(now, path, segment, payload, outlet) };
        // The third of the handshake, or data that begins somewhere else: the cookie stays good.
        let streams = begins_stream(payload);
        let ike = is_ike_header(payload) && self.config.streams_alone != Some(path.local.port());
        if !streams && !ike {
            return Taken::Nothing(DropReason::Handshake);
        }
        let config = self.config;
        if self.by_path.len() >= config.flows || self.memory >= config.memory {
            return Taken::Nothing(DropReason::TooManyConnections);
        }
        if let Some(older) = self.at(path) {
            self.forget(older);
        }
        let standing = Standing::Unproven(now);
        self.make_room(now, path, standing, outlet);
        let talk = match streams {
            true => Talk::Begins(Beginning::new(now, offer, segment.ack, segment.seq)),
            false => Talk::Ctcp(Flow::new(now, config.mode, offer.facts(), segment.ack, segment.seq, config.limits)),
        };
        let index = self.place(Slot::new(now, path, talk));
        self.stand(index, standing);
        self.carry(now, index, path, segment, octets, outlet)
    }

    /// RFC 9293 section 3.5.2: where the sender expects it. As long as what came, and not too often.
    fn refuse(
        &mut self,
        now: Instant,
        path: &Path,
        segment: &TcpHeader,
        payload: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        if segment.flags.has(TcpFlags::RST) || !segment.flags.has(TcpFlags::ACK) {
            return Taken::Nothing(DropReason::NoConnection);
        }
        if now.since(self.resets_since) >= Duration::from_secs(1) {
            (self.resets, self.resets_since) = (0, now);
        }
        if self.resets < RESETS {
            self.resets += 1;
            let flags = TcpFlags::RST.with(TcpFlags::ACK);
            let end = segment.seq.plus(payload.len() + usize::from(segment.flags.has(TcpFlags::FIN)));
            outlet.segment(path, &header(path, segment.ack, end, flags), [&[], &[]]);
        }
        Taken::Nothing(DropReason::NoConnection)
    }
}
