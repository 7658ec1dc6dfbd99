//! Notifications in the clear to a message that belongs to no IKE SA we can use: made from its header as it stands,
//! for a later major version may mean other things by it.

use super::numbers::{FLAG_INITIATOR, FLAG_RESPONSE, GENERIC_LEN, VERSION, kind};
use super::reader::Reader;
use super::{Header, NotifyKind};

/// Octets of the answer: a header and a notification without data.
const LEN: usize = Header::LEN + GENERIC_LEN + 4;

/// The answer to `datagram`, with its SPIs, exchange type and Message ID (RFC 7296 sections 2.5 and 2.21.4). `None`
/// if it is itself an answer, which must never be answered, or shorter than what we would say to it.
pub(in crate::ike) fn clear_answer(datagram: &[u8], kind: NotifyKind) -> Option<Vec<u8>> {
    if datagram.len() < LEN {
        return None;
    }
    let mut reader = Reader::new(datagram);
    let spis = reader.take(16)?;
    let [_first, _version, exchange, flags] = reader.array()?;
    let message_id = reader.take(4)?;
    if flags & FLAG_RESPONSE != 0 {
        return None;
    }
    let mut answer = Vec::with_capacity(LEN);
    answer.extend(spis);
    answer.extend([kind::NOTIFY, VERSION, exchange, (flags & FLAG_INITIATOR) ^ FLAG_INITIATOR | FLAG_RESPONSE]);
    answer.extend(message_id);
    answer.extend((LEN as u32).to_be_bytes());
    answer.extend([kind::NONE, 0]);
    answer.extend(((GENERIC_LEN + 4) as u16).to_be_bytes());
    answer.extend([0, 0]);
    answer.extend(kind.iana().to_be_bytes());
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::wire::{Exchange, Flags, IkeSpi, Notify, Payload, build, parse};

    fn request(flags: Flags) -> Vec<u8> {
        let header = Header {
            initiator_spi: IkeSpi(1),
            responder_spi: IkeSpi(2),
            exchange: Exchange::Informational,
            flags,
            message_id: 7,
        };
        build(&header, &[Payload::VendorId(vec![9; 4])])
    }

    #[test]
    fn the_answer_is_what_the_general_builder_makes() {
        for initiator in [true, false] {
            let datagram = request(Flags { initiator, response: false });
            let answer = clear_answer(&datagram, NotifyKind::InvalidIkeSpi).unwrap();
            let header =
                Header { flags: Flags { initiator: !initiator, response: true }, ..parse(&datagram).unwrap().header };
            let notify = Notify { about: None, kind: NotifyKind::InvalidIkeSpi, data: Vec::new() };
            assert_eq!(answer, build(&header, &[Payload::Notify(notify)]));
            assert_eq!(answer.len(), LEN);
        }
    }

    #[test]
    fn an_answer_is_not_answered_and_nothing_short_is() {
        let response = request(Flags { initiator: true, response: true });
        assert_eq!(clear_answer(&response, NotifyKind::InvalidIkeSpi), None);
        let request = request(Flags { initiator: true, response: false });
        assert_eq!(request.len(), LEN, "exactly as long as its answer");
        for len in 0..LEN {
            assert_eq!(clear_answer(&request[..len], NotifyKind::InvalidIkeSpi), None);
        }
    }
}
