//! From a worker to whoever writes a capture: a ring of octets that never makes the worker wait.
//!
//! ```text
//! record = 64 octets (what it is, and of which packet) + as many octets of the packet as were copied
//! ```
//!
//! Why a packet is dropped is known only after its octets were copied (decryption works in place), so that comes in a record of its own.
//! The reader holds packets back until it has read that the burst is over, or until the writer is gone. For each packet room for both of
//! those records is kept free.

use super::{CaptureSide, CaptureWay, Captured, DropReason, OuterForm, Path, Sight};
use crate::time::Instant;
use crate::wire::traffic_class::TrafficClass;
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Octets of a record without its packet's.
const HEAD: usize = 64;

/// Both ends of a ring that holds so many octets. The memory goes with the later of them.
pub fn capture_ring(octets: usize) -> (CaptureWriter, CaptureReader) {
    let (producer, consumer) = RingBuffer::new(octets);
    let missed = Arc::<Missed>::default();
    let writer = CaptureWriter { ring: producer, missed: Arc::clone(&missed), next: 0, open: 0 };
    (writer, CaptureReader { ring: consumer, missed, begun: None, held: VecDeque::new() })
}

/// Packets that found no room, by side.
#[derive(Debug, Default)]
struct Missed {
    outer: AtomicU64,
    inner: AtomicU64,
}

impl Missed {
    fn of(&self, side: CaptureSide) -> &AtomicU64 {
        match side {
            CaptureSide::Outer => &self.outer,
            CaptureSide::Inner => &self.inner,
        }
    }
}

/// A worker's end.
pub struct CaptureWriter {
    ring: Producer<u8>,
    missed: Arc<Missed>,
    next: u32,
    /// Packets since the last burst's end.
    open: usize,
}

impl CaptureWriter {
    /// Copies a packet that was `len` octets long and begins with `octets`. Its number; `None` if there was no room, which is counted.
    pub fn packet(
        &mut self,
        at: Instant,
        way: CaptureWay,
        sight: Sight,
        len: usize,
        octets: &[u8],
    ) -> Option<CapturedNumber> {
        let needed = HEAD + octets.len() + (self.open + 2) * HEAD;
        if self.ring.slots() < needed {
            let missed = self.missed.of(sight.side());
            missed.store(missed.load(Relaxed).wrapping_add(1), Relaxed);
            return None;
        }
        let number = self.next;
        let record = Record::Packet { number, at, way, sight, len: len as u32, kept: octets.len() as u32 };
        // There is room for both.
        self.ring.push_entire_slice(&record.octets()).ok()?;
        self.ring.push_entire_slice(octets).ok()?;
        self.next = self.next.wrapping_add(1);
        self.open += 1;
        Some(CapturedNumber(number))
    }

    /// A packet of this burst goes no further.
    pub fn dropped(&mut self, number: CapturedNumber, reason: DropReason) {
        // Room was kept for it.
        let _ = self.ring.push_entire_slice(&Record::Dropped { number: number.0, reason }.octets());
    }

    /// The burst is over: of its packets nothing more is known.
    pub fn end_burst(&mut self) {
        if self.open > 0 {
            self.open = 0;
            let _ = self.ring.push_entire_slice(&Record::BurstEnds.octets());
        }
    }
}

/// A packet's number in its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturedNumber(u32);

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It can.
    Open,
    /// The worker has given its end up, and all that it wrote is read.
    Ended,
}

/// Whoever writes the capture has this one.
pub struct CaptureReader {
    ring: Consumer<u8>,
    missed: Arc<Missed>,
    /// A packet whose octets were not there yet.
    begun: Option<(u32, Captured, usize)>,
    held: VecDeque<(u32, Captured)>,
}

impl CaptureReader {
    /// Appends the packets of all bursts that are over, in their order. No more than the ring holds is read, however fast the worker writes
    /// beside it.
    pub fn read(&mut self, into: &mut Vec<Captured>) -> Reading {
        // Asked first: what is written before it is given up is there then.
        let abandoned = self.ring.is_abandoned();
        let mut left = self.ring.slots();
        while let Some(octets) = self.step(into) {
            left = left.saturating_sub(octets);
            if left == 0 && !abandoned {
                break;
            }
        }
        if !abandoned {
            return Reading::Open;
        }
        into.extend(self.held.drain(..).map(|(_, packet)| packet));
        Reading::Ended
    }

    /// Packets of a side that found no room.
    pub fn missed(&self, side: CaptureSide) -> u64 {
        self.missed.of(side).load(Relaxed)
    }

    /// A record's head, or the octets behind one, if they are there: so many.
    fn step(&mut self, into: &mut Vec<Captured>) -> Option<usize> {
        if let Some((number, mut packet, kept)) = self.begun.take() {
            if self.ring.slots() < kept {
                self.begun = Some((number, packet, kept));
                return None;
            }
            packet.octets.resize(kept, 0);
            let whole = self.ring.pop_entire_slice(&mut packet.octets).is_ok();
            self.held.push_back((number, packet));
            return whole.then_some(kept);
        }
        let mut head = [0; HEAD];
        self.ring.pop_entire_slice(&mut head).ok()?;
        match Record::read(&head) {
            Some(Record::Packet { number, at, way, sight, len, kept }) => {
                let packet = Captured { at, way, sight, len, octets: Vec::new(), dropped: None };
                self.begun = Some((number, packet, kept as usize));
            }
            Some(Record::Dropped { number, reason }) => {
                if let Some((_, packet)) = self.held.iter_mut().rev().find(|(held, _)| *held == number) {
                    packet.dropped = Some(reason);
                }
            }
            Some(Record::BurstEnds) => into.extend(self.held.drain(..).map(|(_, packet)| packet)),
            None => {}
        }
        Some(HEAD)
    }
}

/// What stands in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// `kept` octets follow.
    Packet {
        number: u32,
        at: Instant,
        way: CaptureWay,
        sight: Sight,
        len: u32,
        kept: u32,
    },
    Dropped {
        number: u32,
        reason: DropReason,
    },
    BurstEnds,
}

const PACKET: u8 = 1;
const DROPPED: u8 = 2;
const BURST_ENDS: u8 = 3;

const FORMS: [OuterForm; 6] = [
    OuterForm::Udp,
    OuterForm::UdpNonEsp,
    OuterForm::UdpNonIke,
    OuterForm::Esp,
    OuterForm::Segment,
    OuterForm::Streamed,
];
/// Behind the forms.
const INNER: u8 = FORMS.len() as u8;

impl Record {
    /// Kind, form, way, class; number, time, length, kept; both ends.
    fn octets(self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        match self {
            Self::BurstEnds => head[0] = BURST_ENDS,
            Self::Dropped { number, reason } => {
                head[..2].copy_from_slice(&[DROPPED, reason as u8]);
                head[4..8].copy_from_slice(&number.to_le_bytes());
            }
            Self::Packet { number, at, way, sight, len, kept } => {
                let way = match way {
                    CaptureWay::Up => 0,
                    CaptureWay::Down => 1,
                };
                let (form, class) = match sight {
                    Sight::Inner => (INNER, 0),
                    Sight::Outer { form, class, .. } => {
                        (FORMS.iter().position(|each| *each == form).unwrap_or_default() as u8, class.octet())
                    }
                };
                head[..4].copy_from_slice(&[PACKET, form, way, class]);
                head[4..8].copy_from_slice(&number.to_le_bytes());
                head[8..16].copy_from_slice(&at.as_nanos().to_le_bytes());
                head[16..20].copy_from_slice(&len.to_le_bytes());
                head[20..24].copy_from_slice(&kept.to_le_bytes());
                if let Sight::Outer { path, .. } = sight {
                    head[24..43].copy_from_slice(&end(path.local));
                    head[43..62].copy_from_slice(&end(path.peer));
                }
            }
        }
        head
    }

    fn read(head: &[u8; HEAD]) -> Option<Self> {
        let four = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
        match head[0] {
            BURST_ENDS => Some(Self::BurstEnds),
            DROPPED => Some(Self::Dropped { number: four(4)?, reason: *DropReason::ALL.get(usize::from(head[1]))? }),
            PACKET => {
                let sight = match FORMS.get(usize::from(head[1])) {
                    None => Sight::Inner,
                    Some(form) => {
                        let path = Path { local: read_end(&head[24..43])?, peer: read_end(&head[43..62])? };
                        Sight::Outer { path, form: *form, class: TrafficClass::from_octet(head[3]) }
                    }
                };
                let way = if head[2] == 0 { CaptureWay::Up } else { CaptureWay::Down };
                let at = Instant::from_nanos(u64::from_le_bytes(*head.get(8..)?.first_chunk()?));
                Some(Self::Packet { number: four(4)?, at, way, sight, len: four(16)?, kept: four(20)? })
            }
            _ => None,
        }
    }
}

/// Family, port, address.
fn end(end: SocketAddr) -> [u8; 19] {
    let mut octets = [0; 19];
    octets[1..3].copy_from_slice(&end.port().to_le_bytes());
    match end.ip() {
        IpAddr::V4(address) => {
            octets[0] = 4;
            octets[3..7].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            octets[0] = 6;
            octets[3..].copy_from_slice(&address.octets());
        }
    }
    octets
}

fn read_end(octets: &[u8]) -> Option<SocketAddr> {
    let [family, low, high, address @ ..] = octets.first_chunk::<19>()?;
    let address = match family {
        4 => Ipv4Addr::from(*address.first_chunk::<4>()?).into(),
        _ => Ipv6Addr::from(*address).into(),
    };
    Some(SocketAddr::new(address, u16::from_le_bytes([*low, *high])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Instant = Instant::from_nanos(0x0102_0304_0506_0708);

    fn outer(form: OuterForm, peer: &str, local: &str) -> Sight {
        let path = Path { local: local.parse().unwrap(), peer: peer.parse().unwrap() };
        Sight::Outer { path, form, class: TrafficClass::from_octet(0xb9) }
    }

    fn read(reader: &mut CaptureReader) -> (Vec<Captured>, Reading) {
        let mut packets = Vec::new();
        let reading = reader.read(&mut packets);
        (packets, reading)
    }

    #[test]
    fn every_record_reads_back() {
        let ends = [("198.51.100.7:40000", "192.0.2.1:4500"), ("[2001:db8::7]:65535", "[2001:db8:1::1]:0")];
        let outers = FORMS.iter().flat_map(|form| ends.map(|(peer, local)| outer(*form, peer, local)));
        for sight in outers.chain([Sight::Inner]) {
            for way in [CaptureWay::Up, CaptureWay::Down] {
                let record = Record::Packet { number: u32::MAX, at: AT, way, sight, len: 65_535, kept: 96 };
                assert_eq!(Record::read(&record.octets()), Some(record));
            }
        }
        for reason in DropReason::ALL {
            let record = Record::Dropped { number: 7, reason: *reason };
            assert_eq!(Record::read(&record.octets()), Some(record));
        }
        assert_eq!(Record::read(&Record::BurstEnds.octets()), Some(Record::BurstEnds));
        assert_eq!(Record::read(&[0; HEAD]), None);
    }

    #[test]
    fn a_packet_is_told_once_its_burst_is_over_with_what_became_of_it() {
        let (mut writer, mut reader) = capture_ring(4096);
        let first = writer.packet(AT, CaptureWay::Up, Sight::Inner, 100, &[1; 20]).unwrap();
        let second = writer.packet(AT, CaptureWay::Down, Sight::Inner, 20, &[2; 20]).unwrap();
        assert_eq!(read(&mut reader), (vec![], Reading::Open), "the burst is not over");
        writer.dropped(first, DropReason::TooBig);
        assert_ne!(first, second);
        writer.end_burst();
        let (packets, reading) = read(&mut reader);
        assert_eq!(reading, Reading::Open);
        let told: Vec<_> =
            packets.iter().map(|packet| (packet.len, packet.octets.as_slice(), packet.dropped)).collect();
        assert_eq!(told, [(100, &[1; 20][..], Some(DropReason::TooBig)), (20, &[2; 20][..], None)]);
        drop(writer);
        assert_eq!(read(&mut reader), (vec![], Reading::Ended));
    }

    #[test]
    fn a_look_takes_no_more_than_the_ring_holds_while_the_worker_writes() {
        const ROOM: usize = 4096;
        let (mut writer, mut reader) = capture_ring(ROOM);
        let worker = std::thread::spawn(move || {
            for _ in 0..200_000 {
                // What finds no room is missed.
                let _ = writer.packet(AT, CaptureWay::Up, Sight::Inner, 20, &[1; 20]);
                writer.end_burst();
            }
        });
        let (mut most, mut all, mut reading) = (0, 0, Reading::Open);
        while reading == Reading::Open {
            let packets;
            (packets, reading) = read(&mut reader);
            most = most.max(packets.len());
            all += packets.len() as u64;
        }
        worker.join().unwrap();
        // One that was read before its burst was over may come along.
        assert!(most <= ROOM / (2 * HEAD + 20) + 1, "{most}");
        assert_eq!(all + reader.missed(CaptureSide::Inner), 200_000);
    }

    #[test]
    fn a_writer_that_goes_in_the_middle_of_a_burst_loses_nothing() {
        let (mut writer, mut reader) = capture_ring(4096);
        writer.packet(AT, CaptureWay::Up, Sight::Inner, 3, &[1; 3]).unwrap();
        drop(writer);
        let (packets, reading) = read(&mut reader);
        assert_eq!((packets.len(), reading), (1, Reading::Ended));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_became_of_the_others_is_still_told() {
        let (mut writer, mut reader) = capture_ring(10 * HEAD);
        let written: Vec<_> =
            (0..10).filter_map(|_| writer.packet(AT, CaptureWay::Up, Sight::Inner, 10, &[5; 10])).collect();
        assert!((1..10).contains(&written.len()), "{}", written.len());
        for number in &written {
            writer.dropped(*number, DropReason::BadIcv);
        }
        writer.end_burst();
        assert_eq!(reader.missed(CaptureSide::Inner), 10 - written.len() as u64);
        assert_eq!(reader.missed(CaptureSide::Outer), 0);
        let (packets, _) = read(&mut reader);
        assert_eq!(packets.len(), written.len());
        assert!(packets.iter().all(|packet| packet.dropped == Some(DropReason::BadIcv)));
        assert!(writer.packet(AT, CaptureWay::Up, Sight::Inner, 10, &[5; 10]).is_some(), "there is room again");
    }

    #[test]
    fn octets_pass_the_ring_s_edge_unchanged() {
        let (mut writer, mut reader) = capture_ring(1000);
        for round in 0..100_u8 {
            let octets: Vec<u8> = (0..=round).collect();
            writer.packet(AT, CaptureWay::Down, Sight::Inner, octets.len(), &octets).unwrap();
            writer.end_burst();
            let (packets, _) = read(&mut reader);
            assert_eq!(packets[0].octets, octets);
        }
    }
}
