//! A capture as pcapng (draft-ietf-opsawg-pcapng): an interface for each side, raw IP, nanoseconds.

use super::outer_header::with_headers;
use super::{Limits, What};
use adit_dataplane::contract::{CaptureSide, CaptureSides, CaptureWay, Captured, Sight};
use adit_dataplane::time::Instant;
use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriteError, PcapNgWriter};
use std::borrow::Cow;
use std::time::Duration;

/// Room for what stands behind the last packet.
const LAST: usize = 256;
/// A packet's block without its packet: the block's own, flags and a comment.
const BLOCK: usize = 256;

/// The packet no longer fits: the file ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Puts blocks together; [`CaptureFile::take`] gives them away.
pub struct CaptureFile {
    writer: PcapNgWriter<Vec<u8>>,
    sides: Vec<CaptureSide>,
    unix_at_zero: Duration,
    limits: Limits,
    octets: usize,
    packets: u64,
}

impl CaptureFile {
    /// Its beginning. `about` is for people, `unix_at_zero` the time of day when the workers' clock was zero.
    ///
    /// # Errors
    /// Never: it is written to memory.
    pub fn new(what: What, limits: Limits, unix_at_zero: Duration, about: &str) -> Result<Self, PcapNgWriteError> {
        let options = vec![
            SectionHeaderOption::Common(CommonOption::Comment(Cow::Borrowed(about))),
            SectionHeaderOption::UserApplication(Cow::Borrowed(concat!("adit ", env!("CARGO_PKG_VERSION")))),
        ];
        let section = SectionHeaderBlock { options, ..SectionHeaderBlock::default() };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
        let sides: Vec<_> = match what.sides() {
            CaptureSides::Outer => vec![CaptureSide::Outer],
            CaptureSides::Inner => vec![CaptureSide::Inner],
            CaptureSides::Both => vec![CaptureSide::Outer, CaptureSide::Inner],
        };
        for side in &sides {
            let (name, description) = match side {
                CaptureSide::Outer => ("outer", "as it comes from the peer and goes to it"),
                CaptureSide::Inner => ("inner", "as it comes out of the tunnel and goes into it"),
            };
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::RAW,
                snaplen: limits.snap,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                    InterfaceDescriptionOption::IfDescription(Cow::Borrowed(description)),
                    InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
                ],
            })?;
        }
        let octets = writer.get_ref().len();
        Ok(Self { writer, sides, unix_at_zero, limits, octets, packets: 0 })
    }

    /// One packet more.
    ///
    /// # Errors
    /// It does not fit any more.
    pub fn packet(&mut self, packet: &Captured) -> Result<(), Full> {
        let (mut octets, len) = match packet.sight {
            Sight::Inner => (packet.octets.clone(), packet.len as usize),
            Sight::Outer { path, form, class } => with_headers(packet, path, form, class),
        };
        octets.truncate(self.limits.snap as usize);
        if (self.octets + BLOCK + octets.len() + LAST) as u64 > self.limits.octets {
            return Err(Full);
        }
        let Some(interface) = self.sides.iter().position(|side| *side == packet.sight.side()) else { return Ok(()) };
        // Bits 0 and 1: 1 is inbound, 2 outbound.
        let mut options = vec![EnhancedPacketOption::Flags(match packet.way {
            CaptureWay::Up => 1,
            CaptureWay::Down => 2,
        })];
        if let Some(reason) = packet.dropped {
            let comment = format!("dropped: {}: {}", reason.name(), reason.sentence());
            options.push(EnhancedPacketOption::Common(CommonOption::Comment(Cow::Owned(comment))));
        }
        self.put(EnhancedPacketBlock {
            interface_id: interface as u32,
            timestamp: self.time(packet.at),
            original_len: u32::try_from(len.max(octets.len())).unwrap_or(u32::MAX),
            data: Cow::Owned(octets),
            options,
        })?;
        self.packets += 1;
        Ok(())
    }

    /// What stands at the end: what was missed, by side.
    pub fn finish(&mut self, now: Instant, missed: impl Fn(CaptureSide) -> u64) {
        let timestamp = self.time(now);
        for (interface, side) in self.sides.clone().into_iter().enumerate() {
            let options = vec![
                InterfaceStatisticsOption::IsbEndTime(timestamp),
                InterfaceStatisticsOption::IsbIfDrop(missed(side)),
            ];
            // Room was kept for it.
            let _ = self.put(InterfaceStatisticsBlock { interface_id: interface as u32, timestamp, options });
        }
    }

    /// Octets that are to be written, and not taken yet.
    pub fn waiting(&self) -> usize {
        self.writer.get_ref().len()
    }

    /// What is to be written: whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// Octets in all, and packets.
    pub const fn size(&self) -> (usize, u64) {
        (self.octets, self.packets)
    }

    fn put<'a>(&mut self, block: impl PcapNgBlock<'a>) -> Result<(), Full> {
        let before = self.writer.get_ref().len();
        let written = self.writer.write_pcapng_block(block);
        self.octets += self.writer.get_ref().len() - before;
        written.map(drop).map_err(|_| Full)
    }

    fn time(&self, at: Instant) -> Duration {
        self.unix_at_zero + at.since(Instant::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::{DropReason, OuterForm, Path};
    use adit_dataplane::wire::traffic_class::TrafficClass;
    use pcap_file::pcapng::PcapNgReader;
    use pcap_file::pcapng::blocks::block_common::Block;

    const UNIX: Duration = Duration::from_secs(1_795_804_200);

    fn limits(octets: u64, snap: u32) -> Limits {
        Limits::new(None, Some(octets), Some(snap)).unwrap()
    }

    fn inner(len: usize, dropped: Option<DropReason>) -> Captured {
        let octets = vec![0x45; len];
        let at = Instant::from_nanos(1_000_000_007);
        Captured { at, way: CaptureWay::Down, sight: Sight::Inner, len: len as u32, octets, dropped }
    }

    fn outer() -> Captured {
        let path = Path { local: "192.0.2.1:4500".parse().unwrap(), peer: "198.51.100.7:4500".parse().unwrap() };
        let sight = Sight::Outer { path, form: OuterForm::Udp, class: TrafficClass::from_octet(0) };
        Captured { sight, way: CaptureWay::Up, ..inner(100, None) }
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let mut file = CaptureFile::new(What::Both, limits(100_000, 110), UNIX, "s7, alice").unwrap();
        file.packet(&outer()).unwrap();
        file.packet(&inner(60, Some(DropReason::TooBig))).unwrap();
        file.finish(Instant::from_nanos(2_000_000_000), |side| match side {
            CaptureSide::Outer => 3,
            CaptureSide::Inner => 4,
        });
        let octets = file.take();
        assert_eq!(file.size(), (octets.len(), 2));
        let mut reader = PcapNgReader::new(octets.as_slice()).unwrap();
        let (mut packets, mut missed) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap().0 {
                Block::EnhancedPacket(packet) => packets.push(packet.into_owned()),
                Block::InterfaceStatistics(statistics) => missed.push(statistics.options[1].clone().into_owned()),
                _ => {}
            }
        }
        assert_eq!(missed, [InterfaceStatisticsOption::IsbIfDrop(3), InterfaceStatisticsOption::IsbIfDrop(4)]);
        let [outside, inside] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!(
            (outside.interface_id, outside.data.len(), outside.original_len),
            (0, 110, 128),
            "cut behind headers"
        );
        assert_eq!(outside.options, [EnhancedPacketOption::Flags(1)]);
        assert_eq!((inside.interface_id, inside.data.len(), inside.original_len), (1, 60, 60));
        assert_eq!(inside.timestamp, UNIX + Duration::new(1, 7));
        let comment = "dropped: too_big: does not fit the tunnel's MTU";
        let comment = EnhancedPacketOption::Common(CommonOption::Comment(Cow::Borrowed(comment)));
        assert_eq!(inside.options, [EnhancedPacketOption::Flags(2), comment]);
    }

    #[test]
    fn a_file_never_grows_past_its_limit_and_ends_whole() {
        for octets in [4096, 5000, 9999] {
            let mut file = CaptureFile::new(What::Both, limits(octets, 65_535), UNIX, "s7").unwrap();
            let packets =
                (0..100).take_while(|_| file.packet(&inner(500, Some(DropReason::Congested))).is_ok()).count();
            file.finish(Instant::ZERO, |_| u64::MAX);
            let written = file.take();
            assert!(packets > 3 && written.len() as u64 <= octets, "{packets} packets, {} octets", written.len());
            let mut reader = PcapNgReader::new(written.as_slice()).unwrap();
            let blocks = std::iter::from_fn(|| reader.next_block().map(|block| block.map(drop))).collect::<Vec<_>>();
            assert!(blocks.iter().all(Result::is_ok));
        }
    }

    #[test]
    fn a_file_of_one_side_has_one_interface() {
        let mut file = CaptureFile::new(What::Inner, limits(100_000, 65_535), UNIX, "s7").unwrap();
        file.packet(&outer()).unwrap();
        file.packet(&inner(60, None)).unwrap();
        assert_eq!(file.size().1, 1);
    }
}
