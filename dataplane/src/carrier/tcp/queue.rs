//! What waits to be sent. TCP repeats what is lost and waits for it, so what a connection cannot carry has to be lost before it:
//! the oldest ESP, which its receiver's TCP has repeated by now or whose voice is over. IKE is never lost, and goes first.

use super::frames::{LENGTH, length};
use crate::wire::esp::NON_ESP_MARKER;
use std::collections::VecDeque;

/// What a queue has of IKE is so much at most: far above what an engine says before it waits for an answer.
const MOST_IKE: usize = 256 * 1024;

/// A queue that takes no more IKE, or a packet that is longer than all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for it")]
pub struct QueueFull;

/// Frames in the order in which they will be sent: IKE, then ESP.
#[derive(Debug)]
pub struct Queue {
    ike: VecDeque<Vec<u8>>,
    ike_octets: usize,
    /// Frames one behind the other, each with its length in front.
    esp: VecDeque<u8>,
    /// Octets of ESP at most.
    most: usize,
}

impl Queue {
    /// Empty; for so many octets of ESP.
    pub const fn new(most: usize) -> Self {
        Self { ike: VecDeque::new(), ike_octets: 0, esp: VecDeque::new(), most }
    }

    /// What goes before all frames.
    pub(super) fn begin(&mut self, prefix: &[u8]) {
        self.ike.push_back(prefix.to_vec());
        self.ike_octets += prefix.len();
    }

    /// An IKE message.
    pub fn ike(&mut self, message: &[u8]) -> Result<(), QueueFull> {
        let length = length(NON_ESP_MARKER.len() + message.len()).ok_or(QueueFull)?;
        let frame = [&length[..], &NON_ESP_MARKER, message].concat();
        if self.ike_octets + frame.len() > MOST_IKE {
            return Err(QueueFull);
        }
        self.ike_octets += frame.len();
        self.ike.push_back(frame);
        Ok(())
    }

    /// An ESP packet. How many older ones had to give way.
    pub fn esp(&mut self, packet: &[u8]) -> Result<u64, QueueFull> {
        let length = length(packet.len()).ok_or(QueueFull)?;
        let room = self.most.checked_sub(LENGTH + packet.len()).ok_or(QueueFull)?;
        let mut gone = 0;
        while self.esp.len() > room {
            self.esp.drain(..self.first_esp());
            gone += 1;
        }
        self.esp.extend(length);
        self.esp.extend(packet);
        Ok(gone)
    }

    /// The frame that goes next, in the two parts that it may lie in.
    pub fn front(&self) -> Option<[&[u8]; 2]> {
        if let Some(frame) = self.ike.front() {
            return Some([frame, &[]]);
        }
        let len = match self.first_esp() {
            0 => return None,
            len => len,
        };
        let (first, second) = self.esp.as_slices();
        Some(match first.split_at_checked(len) {
            Some((frame, _)) => [frame, &[]],
            None => [first, &second[..len - first.len()]],
        })
    }

    /// It has gone.
    pub fn pop(&mut self) {
        match self.ike.pop_front() {
            Some(frame) => self.ike_octets -= frame.len(),
            None => {
                self.esp.drain(..self.first_esp());
            }
        }
    }

    /// No ESP is worth waiting for any more. How many packets that were.
    pub fn drop_esp(&mut self) -> u64 {
        let mut gone = 0;
        while !self.esp.is_empty() {
            self.esp.drain(..self.first_esp());
            gone += 1;
        }
        self.esp.shrink_to_fit();
        gone
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ike.is_empty() && self.esp.is_empty()
    }

    /// Octets that wait.
    pub fn octets(&self) -> usize {
        self.ike_octets + self.esp.len()
    }

    /// Octets of memory.
    pub fn memory(&self) -> usize {
        self.ike_octets + self.esp.capacity()
    }

    /// Octets of the oldest ESP frame, 0 if there is none.
    fn first_esp(&self) -> usize {
        match (self.esp.front(), self.esp.get(1)) {
            (Some(high), Some(low)) => usize::from(u16::from_be_bytes([*high, *low])),
            (None, _) | (_, None) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn drain(queue: &mut Queue) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(parts) = queue.front() {
            frames.push(parts.concat());
            queue.pop();
        }
        frames
    }

    fn esp(number: u8, len: usize) -> Vec<u8> {
        vec![number; len]
    }

    fn framed(octets: &[u8]) -> Vec<u8> {
        [&length(octets.len()).unwrap()[..], octets].concat()
    }

    #[test]
    fn the_oldest_esp_gives_way_and_ike_never_does() {
        let mut queue = Queue::new(1000);
        queue.ike(&[0x11; 400]).unwrap();
        let gone: u64 = (1..=20).map(|number| queue.esp(&esp(number, 98)).unwrap()).sum();
        queue.ike(&[0x22; 400]).unwrap();
        let ike = |octet| framed(&[&[0; 4][..], &[octet; 400]].concat());
        let newest = (11..=20).map(|number| framed(&esp(number, 98)));
        assert_eq!(gone, 10);
        assert_eq!(drain(&mut queue), [ike(0x11), ike(0x22)].into_iter().chain(newest).collect::<Vec<_>>());
        assert!(queue.is_empty());
    }

    #[test]
    fn what_no_queue_can_hold_is_refused_and_nothing_gives_way_to_it() {
        let mut queue = Queue::new(1000);
        queue.esp(&[1; 50]).unwrap();
        assert_eq!(queue.esp(&[2; 999]), Err(QueueFull));
        assert_eq!(queue.ike(&[0; 65_535]), Err(QueueFull));
        assert_eq!(drain(&mut queue), [framed(&[1; 50])]);
        let taken = std::iter::repeat_with(|| queue.ike(&[0; 16_384])).take_while(Result::is_ok).count();
        assert_eq!(taken, 15, "as many as 256 KiB hold");
    }

    #[test]
    fn frames_come_out_whole_and_in_order_whatever_is_put_in() {
        check!().with_type::<Vec<(bool, u8)>>().for_each(|steps| {
            let (mut queue, mut mirror) = (Queue::new(600), VecDeque::new());
            for (number, (put, len)) in steps.iter().enumerate() {
                if *put {
                    let packet = esp(number as u8, usize::from(*len));
                    let gone = queue.esp(&packet).unwrap();
                    mirror.drain(..gone as usize);
                    mirror.push_back(framed(&packet));
                } else {
                    assert_eq!(queue.front().map(|parts| parts.concat()), mirror.pop_front());
                    queue.pop();
                }
                assert!(mirror.iter().map(Vec::len).sum::<usize>() <= 600);
            }
            assert_eq!(drain(&mut queue), mirror.into_iter().collect::<Vec<_>>());
        });
    }
}
