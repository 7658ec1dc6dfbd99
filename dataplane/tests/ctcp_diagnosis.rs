//! Traces that a simulated box does not make, played to a flow: what it counts, and what that says.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use adit_dataplane::carrier::ctcp::{
    Arrived, Flow, Inside, Limits, Mode, Stalling, SynFacts, SynOptions, diagnose, trailer, whole,
};
use adit_dataplane::contract::{Diagnosis, Finding, Leg, Path, PathClass, PeerClass, Percent};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};
use std::time::Duration;

const OURS: Seq = Seq::new(u32::MAX - 100);
const THEIRS: Seq = Seq::new(u32::MAX - 3000);
const AFTER: Duration = Duration::from_secs(10);

struct Trace {
    flow: Flow,
    now: Instant,
    path: Path,
    /// Where the peer stands, and what it acknowledges.
    next: Seq,
    ack: Seq,
    number: u32,
}

impl Trace {
    fn new(options: SynOptions) -> Self {
        Self::with(options, Limits::DEFAULT)
    }

    fn with(options: SynOptions, limits: Limits) -> Self {
        let now = Instant::ZERO + Duration::from_secs(50);
        let flow = Flow::new(now, Mode::Adaptive, SynFacts { options, scale: None }, OURS, THEIRS, limits);
        let path = Path { local: "192.0.2.1:10000".parse().unwrap(), peer: "198.51.100.7:40001".parse().unwrap() };
        Self { flow, now, path, next: THEIRS, ack: OURS, number: 0 }
    }

    fn header(&self, seq: Seq) -> TcpHeader {
        TcpHeader {
            source_port: 40001,
            destination_port: 10000,
            seq,
            ack: self.ack,
            flags: TcpFlags::ACK,
            window: u16::MAX,
            len: TCP_HEADER,
        }
    }

    /// The next packet of the client's, in its frame.
    fn packet(&mut self) -> Vec<u8> {
        self.number += 1;
        let mut frame = [0x0aad_17ee_u32.to_be_bytes(), self.number.to_be_bytes()].concat();
        frame.resize(200, 7);
        frame.extend(trailer(Inside::Esp));
        frame
    }

    fn arrives(&mut self, seq: Seq, payload: &[u8]) {
        let header = self.header(seq);
        self.flow.segment(self.now, &header, payload);
        self.flow.frames(|_, _| ());
    }

    /// It comes in order.
    fn comes(&mut self) {
        let packet = self.packet();
        self.arrives(self.next, &packet);
        self.next = self.next.plus(packet.len());
    }

    /// It is lost on the way.
    fn is_lost(&mut self) {
        let packet = self.packet();
        self.next = self.next.plus(packet.len());
    }

    /// A segment without data, with the peer's place in its stream.
    fn says(&mut self) -> Arrived {
        let header = self.header(self.next);
        self.flow.segment(self.now, &header, &[])
    }

    fn passes(&mut self, time: Duration) {
        let until = self.now + time;
        while self.flow.deadline() <= until {
            self.now = self.now.max(self.flow.deadline());
            self.flow.speak(self.now, &self.path, |_, _| ());
        }
        self.now = until;
    }

    fn millis(&mut self, millis: u64) {
        self.passes(Duration::from_millis(millis));
    }

    /// A segment of ours, acknowledged so much later.
    fn sends(&mut self, millis: u64) {
        let header = self.flow.dress(self.now, &self.path, 100).unwrap();
        self.flow.dressed(self.now, Inside::Esp, &[5; 100]);
        self.ack = header.seq.plus(100);
        self.millis(millis);
        self.says();
    }

    fn told(&self) -> Diagnosis {
        diagnose(&self.flow.evidence(self.now))
    }

    fn stalling(&self) -> Option<Stalling> {
        self.flow.stalling(self.now, AFTER)
    }
}

/// Its ring is small: what goes out of it while a proxy waits for it can only be stood in for.
#[test]
fn what_is_kept_no_longer_gets_a_frame_of_nothing_in_its_place_where_real_tcp_waits_for_it() {
    let small = Limits { ring: 16 * 1024, ..Limits::DEFAULT };
    for (options, limits, wanted) in
        [(SynOptions::Some, small, 1), (SynOptions::None, small, 0), (SynOptions::Some, Limits::DEFAULT, 0)]
    {
        let mut trace = Trace::with(options, limits);
        for number in 1_u32..=30 {
            let frame =
                [&0x0bad_cafe_u32.to_be_bytes()[..], &number.to_be_bytes(), &[7; 976], &trailer(Inside::Esp)].concat();
            trace.flow.dress(trace.now, &trace.path, frame.len()).unwrap();
            trace.flow.dressed(trace.now, Inside::Esp, &frame);
        }
        trace.ack = OURS.plus(1000);
        for _ in 0..5 {
            trace.says();
        }
        let mut fillers = Vec::new();
        trace.now = trace.now + Duration::from_millis(1);
        trace.flow.speak(trace.now, &trace.path, |header, parts| {
            let payload = parts.concat();
            if header.seq == OURS.plus(1000) && payload.starts_with(&[0x0b, 0xad, 0xca, 0xfe, 0, 0, 0, 0]) {
                fillers.push(whole(&payload).map(|frame| frame.inside));
            }
        });
        assert_eq!(fillers, vec![Some(Inside::Esp); wanted], "{options:?}, {}", limits.ring);
        assert_eq!(trace.flow.evidence(trace.now).down.filled, wanted as u64);
    }
}

#[test]
fn a_hole_with_a_gap_in_esp_is_loss_and_one_without_is_octets_that_were_no_packet() {
    let mut trace = Trace::new(SynOptions::None);
    (0..5).for_each(|_| trace.comes());
    for _ in 0..4 {
        trace.is_lost();
        trace.comes();
        trace.millis(100);
    }
    let up = trace.flow.evidence(trace.now).up;
    assert_eq!((up.holes, up.holes_in_esp, up.holes_not_in_esp, up.passed_over, up.missing), (4, 4, 0, 4, 4 * 216));
    assert_eq!((up.esp, up.esp_missing), (9, 4));
    let told = trace.told();
    assert_eq!((told.peer, told.path, told.finding), (PeerClass::Legacy, PathClass::Clean, Finding::Lossy));
    let loss = told.up.unwrap();
    assert_eq!((loss.leg, loss.lost, loss.of), (Leg::Somewhere, 4, 13));

    let mut recut = Trace::new(SynOptions::None);
    recut.comes();
    for _ in 0..3 {
        recut.next = recut.next.plus(100);
        recut.comes();
        recut.millis(100);
    }
    let up = recut.flow.evidence(recut.now).up;
    assert_eq!((up.holes_in_esp, up.holes_not_in_esp, up.esp_missing), (0, 3, 0));
    assert_eq!((recut.told().path, recut.told().path_sure), (PathClass::Splitter, Percent(55)));
}

#[test]
fn a_gap_in_esp_without_a_hole_was_lost_before_the_last_tcp() {
    let mut trace = Trace::new(SynOptions::None);
    for _ in 0..3 {
        trace.comes();
        trace.packet();
        trace.comes();
    }
    let loss = trace.told().up.unwrap();
    assert_eq!((loss.leg, loss.lost, loss.of), (Leg::InClient, 3, 9));
    // Behind something that has cut a frame it was lost on the far side of that.
    let packet = trace.packet();
    let (front, back) = packet.split_at(90);
    trace.arrives(trace.next, front);
    trace.arrives(trace.next.plus(90), back);
    trace.next = trace.next.plus(packet.len());
    let told = trace.told();
    assert_eq!((told.path, told.up.unwrap().leg, told.finding), (PathClass::Splitter, Leg::BehindProxy, Finding::Cut));
    assert_eq!(trace.flow.evidence(trace.now).up.esp, 7, "what came in pieces is counted, too");
}

#[test]
fn who_fills_a_hole_that_it_was_told_of_is_real_tcp_and_what_was_overtaken_says_nothing() {
    for (millis, peer, refilled) in [(5, PeerClass::Legacy, 0), (60, PeerClass::Tcp, 1)] {
        let mut trace = Trace::new(SynOptions::None);
        trace.sends(30);
        trace.comes();
        let late = (trace.next, trace.packet());
        trace.next = trace.next.plus(late.1.len());
        trace.comes();
        trace.millis(millis);
        trace.arrives(late.0, &late.1);
        let up = trace.flow.evidence(trace.now).up;
        assert_eq!((trace.told().peer, up.refilled, up.overtaken), (peer, refilled, 1 - refilled));
        assert_eq!((up.esp_missing, up.esp_late), (0, 1));
    }
}

#[test]
fn the_way_there_and_back_is_measured_by_what_was_sent_once() {
    let mut trace = Trace::new(SynOptions::None);
    assert_eq!(trace.flow.evidence(trace.now).down.rtt, None);
    for millis in [80, 30, 90] {
        trace.sends(millis);
    }
    let down = trace.flow.evidence(trace.now).down;
    assert_eq!(down.least_rtt, Some(Duration::from_millis(30)));
    assert_eq!((down.segments, down.octets, down.in_flight, down.ring), (3, 300, 0, 0));
}

/// The client goes on, says every five seconds where it is, and nothing of its data comes.
fn stalled() -> Trace {
    let mut trace = Trace::new(SynOptions::None);
    (0..20).for_each(|_| trace.comes());
    trace.sends(30);
    for _ in 0..2 {
        trace.is_lost();
        trace.millis(5000);
        trace.says();
    }
    trace
}

#[test]
fn a_client_that_sends_what_does_not_come_is_suspected_after_half_of_the_time_and_believed_after_all_of_it() {
    let mut trace = stalled();
    let stall = trace.flow.evidence(trace.now).stall.unwrap();
    assert_eq!((stall.missing, stall.said, stall.advances), (2 * 216, 2, 1));
    assert_eq!(trace.stalling(), Some(Stalling::Certain));
    let told = trace.told();
    assert_eq!((told.path, told.finding), (PathClass::InOrder, Finding::Stalled));
    assert_eq!((told.up.unwrap().leg, told.up.unwrap().sure), (Leg::ClientSide, Percent(90)));
    trace.comes();
    assert_eq!((trace.stalling(), trace.flow.evidence(trace.now).stall), (None, None), "something has come after all");
}

#[test]
fn a_stall_is_seen_however_far_the_client_has_gone_on() {
    let mut trace = Trace::new(SynOptions::None);
    trace.sends(30);
    trace.next = trace.next.plus(200 << 20);
    for _ in 0..3 {
        trace.is_lost();
        trace.millis(5000);
        assert_eq!(trace.says(), Arrived::Nothing);
    }
    assert_eq!(trace.stalling(), Some(Stalling::Certain));
}

/// Off the path nobody knows where our segments end.
#[test]
fn who_does_not_see_what_we_send_can_make_no_stall() {
    let mut trace = Trace::new(SynOptions::None);
    (0..20).for_each(|_| trace.comes());
    trace.sends(30);
    let (next, ack) = (trace.next, trace.ack);
    for wrong in [1, 2, 50, 99, 101, 65_000] {
        for round in 0..10 {
            // In the window of RFC 5961 section 5.2, and never right.
            (trace.next, trace.ack) = (next.plus(1000 * (round + 1)), Seq::new(ack.get().wrapping_sub(wrong)));
            trace.millis(5000);
            trace.says();
        }
    }
    assert_eq!((trace.stalling(), trace.flow.evidence(trace.now).stall), (None, None));
    // And if one guesses right, again and again, the next thing that the client says refutes it.
    (trace.next, trace.ack) = (next.plus(5000), ack);
    for _ in 0..3 {
        trace.is_lost();
        trace.millis(4000);
        trace.says();
    }
    assert_eq!(trace.stalling(), Some(Stalling::Certain));
    trace.next = next;
    trace.says();
    assert_eq!(trace.stalling(), None);
}

#[test]
fn a_stall_with_a_whole_window_unacknowledged_is_a_box_that_counts() {
    let mut trace = Trace::new(SynOptions::None);
    trace.sends(30);
    // Data comes faster than we get to say anything.
    for _ in 0..310 {
        let packet = trace.packet();
        let header = trace.header(trace.next);
        trace.flow.segment(trace.now, &header, &packet);
        trace.next = trace.next.plus(packet.len());
    }
    for _ in 0..2 {
        trace.is_lost();
        trace.now = trace.now + Duration::from_secs(5);
        trace.says();
    }
    let told = trace.told();
    assert_eq!((told.path, told.finding), (PathClass::Tracker, Finding::Shut), "{:?}", trace.flow.evidence(trace.now));
}

/// Whatever comes, numbers stay numbers.
#[test]
fn any_segments_are_counted_and_diagnosed() {
    bolero::check!().with_type::<Vec<(u16, i32, u8, bool)>>().for_each(|steps| {
        let mut trace = Trace::new(SynOptions::None);
        for (millis, distance, kind, options) in steps {
            trace.millis(u64::from(*millis) / 16);
            let seq = Seq::new(trace.next.get().wrapping_add_signed(*distance >> (kind % 32)));
            match kind % 4 {
                0 => trace.comes(),
                1 => {
                    let packet = trace.packet();
                    trace.arrives(seq, &packet[..usize::from(*kind).min(packet.len())]);
                }
                2 => {
                    trace.next = seq;
                    trace.says();
                }
                _ if trace.flow.dress(trace.now, &trace.path, 50).is_ok() => {
                    trace.flow.dressed(trace.now, Inside::Esp, &[1; 50]);
                }
                _ => trace.is_lost(),
            }
            let mut evidence = trace.flow.evidence(trace.now);
            if *options {
                evidence.syn = SynOptions::Some;
            }
            let told = diagnose(&evidence);
            let losses = [told.up, told.down].into_iter().flatten();
            assert!(losses.clone().all(|loss| loss.sure <= Percent(95)) && told.path_sure <= Percent(95));
            let stalled = evidence.stall.is_some_and(|stall| stall.advances > 0);
            assert_eq!(told.finding == Finding::Stalled || told.finding == Finding::Shut, stalled);
        }
    });
}
