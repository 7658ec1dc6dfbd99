//! What an outer packet is.

use super::turn::{forwarded, settle};
use crate::fate::{DropReason, Fate};
use crate::packet::{Burst, Carriage, Channel, PacketBuf};
use crate::wire::esp::{
    CiscoUdp, IKE_HEADER_LEN, MAX_IKE_LEN, NON_ESP_MARKER, NON_IKE_MARKER, NatT, NativeEsp, Port500,
};

/// Outer packets: keepalive, IKE or ESP. Inner ones pass. What is forwarded afterwards is ESP, beginning with its SPI.
pub(super) fn classify(burst: &mut Burst) {
    for packet in forwarded(burst) {
        let verdict = match packet.meta.channel {
            Channel::Inner => continue,
            // On its way out.
            Channel::Ctcp | Channel::Tcp if packet.meta.carriage == Carriage::Sealed => continue,
            Channel::Ike => match Port500::of(packet.bytes()) {
                Port500::Keepalive => Err(DropReason::Keepalive),
                Port500::Ike => ike(packet),
                Port500::Esp => packet.strip_front(NON_IKE_MARKER.len()).ok_or(DropReason::TooShort).and_then(|()| {
                    packet.meta.channel = Channel::NatT500;
                    esp(packet)
                }),
            },
            // RFC 9329 section 3 puts the same into its frames.
            Channel::NatT | Channel::Tcp => match NatT::of(packet.bytes()) {
                NatT::Esp => continue,
                NatT::Keepalive => Err(DropReason::Keepalive),
                NatT::Ike => {
                    packet.strip_front(NON_ESP_MARKER.len()).ok_or(DropReason::TooShort).and_then(|()| ike(packet))
                }
                NatT::Reserved => Err(DropReason::Unsolicited),
                NatT::TooShort => Err(DropReason::TooShort),
            },
            Channel::CiscoUdp => match CiscoUdp::of(packet.bytes()) {
                CiscoUdp::Esp => continue,
                CiscoUdp::Keepalive => Err(DropReason::Keepalive),
                CiscoUdp::Reserved => Err(DropReason::Unsolicited),
                CiscoUdp::TooShort => Err(DropReason::TooShort),
            },
            // Its marker was taken off by the worker that handed it over.
            Channel::NatT500 | Channel::Esp | Channel::Ctcp => esp(packet),
        };
        settle(packet, verdict);
    }
}

/// Where IKE has been told apart already.
fn esp(packet: &PacketBuf) -> Result<Fate, DropReason> {
    match NativeEsp::of(packet.bytes()) {
        NativeEsp::Esp => Ok(Fate::Forward),
        NativeEsp::Reserved => Err(DropReason::Unsolicited),
        NativeEsp::TooShort => Err(DropReason::TooShort),
    }
}

pub(super) fn ike(packet: &PacketBuf) -> Result<Fate, DropReason> {
    match packet.len() {
        ..IKE_HEADER_LEN => Err(DropReason::TooShort),
        IKE_HEADER_LEN..=MAX_IKE_LEN => Ok(Fate::ToControl),
        _ => Err(DropReason::IkeTooLong),
    }
}
