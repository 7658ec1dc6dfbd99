//! What the segments of one TCP connection tell who sees them pass.

use super::sight::{TcpSight, Way};
use crate::contract::{InnerTcp, InnerTcpState, RoundTrip};
use crate::wire::tcp::{Seq, TcpFlags};
use std::time::Duration;

/// Our own limit: what is acknowledged later than this was not measured but missed.
const LONGEST: u32 = 60_000_000;

/// Whether round trips and repetitions are looked for: among segments of which some are not seen neither can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timing {
    On,
    Off,
}

/// Both ways of a connection, in one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TcpWatch {
    up: Half,
    down: Half,
    /// Which way the SYN went that has begun it, if that was seen,
    begun: Option<Way>,
    state: InnerTcpState,
    /// and its number.
    first: Seq,
}

/// One way. Times are microseconds that wrap after an hour; 0 of `smoothed` means that nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Half {
    /// Behind all that was seen.
    edge: Seq,
    /// Behind the segment that is timed,
    timed: Seq,
    /// and when that was seen.
    timed_at: u32,
    smoothed: u32,
    least: u32,
    again: u32,
    mss: u16,
    known: Known,
    ended: Ended,
}

/// What of a [`Half`] means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Known {
    #[default]
    Nothing,
    Edge,
    /// And a segment is timed.
    EdgeAndTimed,
}

/// Whether its sender has said that no more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ended {
    #[default]
    No,
    Fin,
}

impl TcpWatch {
    /// A segment passes, or so many without a gap.
    pub(super) fn see(&mut self, way: Way, segment: &TcpSight, segments: u32, micros: u32, timing: Timing) {
        let flags = segment.flags;
        let opens = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK);
        if opens && self.begins_anew(way, segment.seq) {
            *self = Self { begun: Some(way), first: segment.seq, ..Self::default() };
        }
        let (ours, theirs) = match way {
            Way::Up => (&mut self.up, &mut self.down),
            Way::Down => (&mut self.down, &mut self.up),
        };
        if timing == Timing::On {
            if flags.has(TcpFlags::ACK) {
                theirs.acknowledged(segment.ack, micros);
            }
            if !flags.has(TcpFlags::RST) {
                ours.sent(segment, segments, micros);
            }
        }
        if let Some(mss) = segment.mss {
            ours.mss = mss;
        }
        if flags.has(TcpFlags::FIN) {
            ours.ended = Ended::Fin;
        }
        self.state = match (self.up.ended, self.down.ended) {
            (_, _) if flags.has(TcpFlags::RST) => InnerTcpState::Reset,
            (_, _) if self.state == InnerTcpState::Reset => InnerTcpState::Reset,
            (Ended::Fin, Ended::Fin) => InnerTcpState::Closed,
            (Ended::Fin, Ended::No) | (Ended::No, Ended::Fin) => InnerTcpState::Closing,
            (Ended::No, Ended::No) if flags.has(TcpFlags::SYN) => InnerTcpState::Opening,
            (Ended::No, Ended::No) => InnerTcpState::Open,
        };
    }

    /// Whether a SYN is of another connection between the same ports, rather than said again. The end of the one before may have gone another way.
    fn begins_anew(&self, way: Way, seq: Seq) -> bool {
        match (self.state, self.begun) {
            (InnerTcpState::Closed | InnerTcpState::Reset, _) | (_, None) => true,
            // Both ends at once (RFC 9293 section 3.5).
            (InnerTcpState::Opening, Some(begun)) if begun != way => false,
            (InnerTcpState::Opening | InnerTcpState::Open | InnerTcpState::Closing, Some(begun)) => {
                (begun, self.first) != (way, seq)
            }
        }
    }

    /// See [`super::entry::Entry::touch`].
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.up.edge.get().into()
    }

    pub(super) fn report(&self) -> InnerTcp {
        let Self { up, down, state, begun: _, first: _ } = self;
        let mss = |half: &Half| (half.mss > 0).then_some(half.mss);
        InnerTcp {
            state: *state,
            to_client: down.round_trip(),
            to_network: up.round_trip(),
            again_up: up.again,
            again_down: down.again,
            client_mss: mss(up),
            network_mss: mss(down),
        }
    }
}

impl Half {
    /// So many octets from there on, in so many segments. One segment at a time is timed, and none that may have been sent twice, for nobody could say which of the
    /// two is acknowledged (Karn's algorithm, RFC 6298 section 3).
    fn sent(&mut self, segment: &TcpSight, segments: u32, micros: u32) {
        let (seq, len) = (segment.seq, segment.len());
        if len == 0 {
            return;
        }
        let end = seq.plus(len);
        // A keepalive may bring the last octet again (RFC 9293 section 3.8.4). Nobody sends one while anything is under way.
        if segment.octets == 1 && len == 1 && end == self.edge && self.known == Known::Edge {
            return;
        }
        if self.known != Known::Nothing && self.edge.is_after(seq) {
            // As many as begin before the edge, if all are of one size.
            let each = len.div_ceil(segments.max(1) as usize).max(1);
            let before = self.edge.octets_since(seq).div_ceil(each);
            self.again = self.again.saturating_add(segments.min(u32::try_from(before).unwrap_or(segments)));
            // Whatever is acknowledged now may have waited for this one.
            self.known = Known::Edge;
            self.edge = self.edge.later(end);
            return;
        }
        self.edge = end;
        if self.known != Known::EdgeAndTimed {
            (self.known, self.timed, self.timed_at) = (Known::EdgeAndTimed, end, micros);
        }
    }

    /// The other end has got all before `ack`.
    fn acknowledged(&mut self, ack: Seq, micros: u32) {
        if self.known != Known::EdgeAndTimed || self.timed.is_after(ack) || ack.is_after(self.edge) {
            return;
        }
        self.known = Known::Edge;
        let took = micros.wrapping_sub(self.timed_at).max(1);
        if took > LONGEST {
            return;
        }
        if self.smoothed == 0 {
            (self.smoothed, self.least) = (took, took);
        } else {
            self.smoothed = self.smoothed - self.smoothed / 8 + took / 8;
            self.least = self.least.min(took);
        }
    }

    fn round_trip(&self) -> Option<RoundTrip> {
        let time = |micros: u32| Duration::from_micros(micros.into());
        (self.smoothed > 0).then(|| RoundTrip { smoothed: time(self.smoothed), least: time(self.least) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);

    /// A connection whose segments pass at given milliseconds.
    #[derive(Default)]
    struct Line(TcpWatch);

    impl Line {
        fn pass(&mut self, millis: u32, way: Way, flags: TcpFlags, seq: u32, ack: u32, octets: u32) -> InnerTcp {
            let mss = flags.has(SYN).then_some(1000 + octets as u16);
            let octets = if flags.has(SYN) { 0 } else { octets };
            let segment = TcpSight { seq: Seq::new(seq), ack: Seq::new(ack), flags, octets, mss };
            self.0.see(way, &segment, 1, millis.wrapping_mul(1000), Timing::On);
            self.0.report()
        }
    }

    fn round_trip(smoothed: u64, least: u64) -> Option<RoundTrip> {
        let (smoothed, least) = (Duration::from_micros(smoothed), Duration::from_millis(least));
        Some(RoundTrip { smoothed, least })
    }

    // client                headend                server
    //   SYN 99 ──────────────▶│ 0 ms
    //                         │ 30 ms ◀───────────── SYN 199, ACK 100
    //   ACK 200 ─────────────▶│ 35 ms
    #[test]
    fn a_handshake_tells_both_round_trips_and_both_sizes_and_wraps_go_unnoticed() {
        for offset in [0, u32::MAX - 150] {
            let [client, server] = [99, 199].map(|seq: u32| seq.wrapping_add(offset));
            // The clock wraps as well.
            let mut line = Line::default();
            let at = |millis: u32| (u32::MAX / 1000 - 20).wrapping_add(millis);
            let tcp = line.pass(at(0), Way::Up, SYN, client, 0, 360);
            assert_eq!((tcp.state, tcp.to_network, tcp.client_mss), (InnerTcpState::Opening, None, Some(1360)));
            line.pass(at(10), Way::Down, SYN.with(ACK), server, client.wrapping_add(1), 400);
            let tcp = line.pass(at(15), Way::Up, ACK, client.wrapping_add(1), server.wrapping_add(1), 0);
            assert_eq!((tcp.to_network, tcp.to_client), (round_trip(10_000, 10), round_trip(5000, 5)));
            assert_eq!((tcp.state, tcp.client_mss, tcp.network_mss), (InnerTcpState::Open, Some(1360), Some(1400)));
            assert_eq!((tcp.again_up, tcp.again_down), (0, 0));
        }
    }

    #[test]
    fn one_segment_at_a_time_is_timed_until_it_is_acknowledged_whole() {
        let mut line = Line::default();
        line.pass(0, Way::Up, ACK, 1000, 1, 100);
        line.pass(7, Way::Up, ACK, 1100, 1, 100);
        assert_eq!(line.pass(8, Way::Down, ACK, 1, 1099, 0).to_network, None);
        assert_eq!(line.pass(20, Way::Down, ACK, 1, 1200, 0).to_network, round_trip(20_000, 20));
        // Nothing is timed now, so this acknowledges nothing.
        assert_eq!(line.pass(90, Way::Down, ACK, 1, 1200, 0).to_network, round_trip(20_000, 20));
        line.pass(100, Way::Up, ACK, 1200, 1, 100);
        assert_eq!(line.pass(104, Way::Down, ACK, 1, 1300, 0).to_network, round_trip(18_000, 4));
        // What was never sent is acknowledged by somebody who guesses.
        line.pass(200, Way::Up, ACK, 1300, 1, 100);
        assert_eq!(line.pass(201, Way::Down, ACK, 1, 9999, 0).to_network, round_trip(18_000, 4));
    }

    #[test]
    fn what_is_sent_again_is_counted_and_not_timed() {
        let mut line = Line::default();
        line.pass(0, Way::Down, ACK, 1000, 1, 100);
        line.pass(0, Way::Down, ACK, 1100, 1, 100);
        let tcp = line.pass(300, Way::Down, ACK, 1000, 1, 100);
        assert_eq!((tcp.again_down, tcp.again_up), (1, 0));
        assert_eq!(line.pass(301, Way::Up, ACK, 1, 1200, 0).to_client, None, "of which of the two?");
        // A segment that was lost before it came here fills its hole late.
        line.pass(310, Way::Down, ACK, 1300, 1, 100);
        assert_eq!(line.pass(350, Way::Down, ACK, 1200, 1, 100).again_down, 2);
        assert_eq!(line.pass(351, Way::Up, ACK, 1, 1400, 0).to_client, None);
        line.pass(400, Way::Down, ACK, 1400, 1, 100);
        let tcp = line.pass(409, Way::Up, ACK, 1, 1500, 0);
        assert_eq!((tcp.to_client, tcp.again_down), (round_trip(9000, 9), 2));
    }

    #[test]
    fn bare_acknowledgments_are_nothing_sent() {
        let mut line = Line::default();
        line.pass(0, Way::Up, ACK, 1000, 1, 100);
        for _ in 0..5 {
            // A keepalive is one octet before the edge, and empty (RFC 9293 section 3.8.4).
            assert_eq!(line.pass(1, Way::Up, ACK, 1099, 1, 0).again_up, 0);
        }
    }

    #[test]
    fn a_keepalive_that_brings_an_octet_again_is_none_of_what_is_sent_again() {
        let mut line = Line::default();
        line.pass(0, Way::Up, ACK, 1000, 1, 100);
        line.pass(10, Way::Down, ACK, 1, 1100, 0);
        for at in 1..5 {
            let tcp = line.pass(at * 75_000, Way::Up, ACK, 1099, 1, 1);
            assert_eq!((tcp.again_up, tcp.to_network), (0, round_trip(10_000, 10)));
            line.pass(at * 75_000 + 10, Way::Down, ACK, 1, 1100, 0);
        }
        // A keystroke that was lost is sent again before anything acknowledges it.
        line.pass(400_000, Way::Up, ACK, 1100, 1, 1);
        assert_eq!(line.pass(400_300, Way::Up, ACK, 1100, 1, 1).again_up, 1);
        assert_eq!(line.pass(400_310, Way::Down, ACK, 1, 1101, 0).to_network, round_trip(10_000, 10));
        // So is the end.
        line.pass(400_400, Way::Up, FIN_ACK, 1101, 1, 0);
        line.pass(400_410, Way::Down, ACK, 1, 1102, 0);
        assert_eq!(line.pass(400_420, Way::Up, FIN_ACK, 1101, 1, 0).again_up, 2);
    }

    #[test]
    fn the_same_ports_again_are_a_connection_of_their_own_even_if_the_end_of_the_last_one_was_not_seen() {
        use InnerTcpState::{Closing, Open, Opening};
        for fin in [false, true] {
            let mut line = Line::default();
            line.pass(0, Way::Up, SYN, 999, 0, 0);
            line.pass(10, Way::Down, SYN.with(ACK), 4999, 1000, 0);
            line.pass(15, Way::Up, ACK, 1000, 5000, 9000);
            line.pass(25, Way::Down, ACK, 5000, 10_000, 9000);
            // The first SYN comes late, a second time: nothing begins.
            let late = line.pass(26, Way::Up, SYN, 999, 0, 0);
            assert_eq!((late.to_network, late.again_up), (round_trip(10_000, 10), 1));
            if fin {
                line.pass(30, Way::Down, FIN_ACK, 14_000, 10_000, 0);
            }
            assert_eq!(line.pass(31, Way::Up, ACK, 10_000, 14_000, 0).state, if fin { Closing } else { Open });

            // The client is started anew, and its numbers are lower this time.
            let tcp = line.pass(60_000, Way::Up, SYN, 99, 0, 0);
            assert_eq!((tcp.state, tcp.again_up, tcp.to_network), (Opening, 0, None));
            line.pass(60_020, Way::Down, SYN.with(ACK), 199, 100, 0);
            line.pass(60_025, Way::Up, ACK, 100, 200, 500);
            let tcp = line.pass(60_045, Way::Down, ACK, 200, 600, 500);
            assert_eq!((tcp.state, tcp.again_up, tcp.again_down), (Open, 0, 0));
            assert_eq!(tcp.to_network, round_trip(20_000, 20));
        }
    }

    #[test]
    fn a_syn_that_is_sent_again_and_one_that_crosses_another_begin_nothing_anew() {
        let mut line = Line::default();
        line.pass(0, Way::Up, SYN, 99, 0, 360);
        assert_eq!(line.pass(1000, Way::Up, SYN, 99, 0, 360).again_up, 1);
        let tcp = line.pass(1001, Way::Down, SYN, 199, 0, 400);
        assert_eq!((tcp.client_mss, tcp.network_mss, tcp.again_up), (Some(1360), Some(1400), 1));
        assert_eq!(line.pass(3000, Way::Up, SYN, 77, 0, 360).again_up, 0, "it tries with other numbers");
    }

    #[test]
    fn states_follow_what_is_seen() {
        use InnerTcpState::{Closed, Closing, Open, Opening, Reset};
        let mut line = Line::default();
        let rst = TcpFlags::RST;
        for (step, (way, flags, state)) in [
            (Way::Up, SYN, Opening),
            (Way::Down, SYN.with(ACK), Opening),
            (Way::Up, ACK, Open),
            (Way::Up, FIN_ACK, Closing),
            (Way::Down, ACK, Closing),
            (Way::Down, FIN_ACK, Closed),
            (Way::Up, ACK, Closed),
            (Way::Up, SYN, Opening),
            (Way::Up, ACK, Open),
            (Way::Down, FIN_ACK, Closing),
            (Way::Down, rst, Reset),
            (Way::Up, ACK, Reset),
            (Way::Up, SYN, Opening),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(line.pass(0, way, flags, 0, 0, 0).state, state, "step {step}");
        }
    }

    #[test]
    fn who_sees_some_segments_only_times_nothing_and_counts_no_repetition() {
        let mut watch = TcpWatch::default();
        for (way, seq, ack) in [(Way::Up, 1000, 1), (Way::Up, 1000, 1), (Way::Down, 1, 1100)] {
            let segment = TcpSight { seq: Seq::new(seq), ack: Seq::new(ack), flags: ACK, octets: 100, mss: None };
            watch.see(way, &segment, 1, 1, Timing::Off);
        }
        let tcp = watch.report();
        assert_eq!((tcp.to_network, tcp.to_client, tcp.again_up), (None, None, 0));
    }
}
