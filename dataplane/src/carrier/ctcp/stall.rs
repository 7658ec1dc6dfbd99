//! Whether the peer still sends and nothing of it comes through: a box on its side waits for octets that only the peer could repeat.
//!
//! What betrays it are the peer's segments without data. They pass such a box, and their number says how far the peer has come.
//! Anybody can send such a segment, so one counts only if it acknowledges just what one of our segments ended with: whoever does
//! not see what we send has to guess that, among 2^32 numbers, blindly and twice. (RFC 5961 section 5 is content with a window of
//! numbers; here what follows is more than a challenge.) One segment with data, or without but with the number that we expect,
//! refutes all of it. Who sees our segments could as well reset the connection.
//!
//! Behind a proxy the peer's segments without data end at the proxy, and all that shows is that ESP has stopped. An idle peer looks
//! the same. So that is told once each time, for control to ask.
//!
//! A proxy acknowledges what we send, too, whether or not the peer gets it, and gets it as it was sent. So where we send ESP and
//! nothing comes back, control is to ask as well, and again for as long as that goes on.
//!
//! That the last packet was lost looks the same while the peer sends no other. So said once it is a suspicion; control asks the
//! peer inside IKE, and it is certain when the peer has gone on since then, with its answer for one, and still nothing came.

use super::trailer::Inside;
use crate::contract::Stall;
use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// So many ends of our segments are remembered.
const ENDS: usize = 64;
/// What is further than this is of no stream of ours.
pub(super) const FURTHEST: i32 = 1 << 30;

/// What was told of a flow's stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stalling {
    /// ESP has stopped for half of the time, where a proxy would hide that the peer goes on.
    Silent,
    /// We have sent ESP, and for half of the time nothing at all has come, where a proxy would hide that ours does not arrive.
    Unanswered,
    /// Half of the time has passed.
    Suspected,
    /// All of it has.
    Certain,
}

/// Watches one flow.
#[derive(Debug)]
pub(super) struct StallWatch {
    ends: [Seq; ENDS],
    next_end: usize,
    /// When data came last,
    data_at: Instant,
    /// and with what.
    last: Last,
    hidden: Hidden,
    said: Option<Said>,
}

/// Whether somebody on the way may answer the peer's segments without data in our place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    Perhaps,
    No,
}

/// What came last, and what has left since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// IKE.
    Ike,
    /// ESP.
    Esp,
    /// We have sent ESP since.
    OurEsp,
}

/// The peer is further than what has come.
#[derive(Debug, Clone, Copy)]
struct Said {
    first: Instant,
    count: u32,
    advances: u32,
    seq: Seq,
    unacknowledged: usize,
}

impl StallWatch {
    /// Our first octet is `ours`.
    pub(super) const fn new(now: Instant, ours: Seq, hidden: Hidden) -> Self {
        Self { ends: [ours; ENDS], next_end: 0, data_at: now, last: Last::Ike, hidden, said: None }
    }

    /// A segment of ours ended here.
    #[inline]
    pub(super) const fn sent(&mut self, end: Seq, inside: Inside) {
        match inside {
            Inside::Esp => self.last = Last::OurEsp,
            Inside::Ike => {}
        }
        self.ends[self.next_end] = end;
        self.next_end = (self.next_end + 1) % ENDS;
    }

    /// Whether one of our last segments ended here.
    pub(super) fn has_end(&self, at: Seq) -> bool {
        self.ends.contains(&at)
    }

    /// Data has come.
    #[inline]
    pub(super) const fn data(&mut self, now: Instant) {
        self.data_at = now;
        self.last = Last::Ike;
        self.said = None;
    }

    /// That data was ESP.
    #[inline]
    pub(super) const fn esp(&mut self) {
        self.last = Last::Esp;
    }

    /// A segment without data has come, behind `highest`, where all that has come ends. Its acknowledgment is the end of a
    /// segment of ours. We have not acknowledged `unacknowledged` octets of what came before.
    pub(super) fn alone(&mut self, now: Instant, seq: Seq, highest: Seq, unacknowledged: usize) {
        // A peer never goes back; what says so is older, or somebody else's.
        if seq.distance(highest) >= FURTHEST || self.said.is_some_and(|said| said.seq.is_after(seq)) {
            return;
        }
        let said = self.said.get_or_insert(Said { first: now, count: 0, advances: 0, seq, unacknowledged });
        said.count += 1;
        said.advances += u32::from(seq.is_after(said.seq));
        said.seq = seq;
    }

    /// A segment without data has come with the number that we expect.
    pub(super) const fn refuted(&mut self) {
        self.said = None;
    }

    /// What the peer says.
    pub(super) fn stall(&self, now: Instant, highest: Seq) -> Option<Stall> {
        let Said { count, advances, seq, unacknowledged, .. } = self.said?;
        let missing = seq.octets_since(highest);
        let stall = Stall { since: now.since(self.data_at), missing, unacknowledged, said: count, advances };
        (missing > 0).then_some(stall)
    }

    /// What is to be told by now, if a stall has to last `after`.
    pub(super) fn verdict(&self, now: Instant, after: Duration) -> Option<Stalling> {
        let hidden = self.hidden(after).filter(|(_, at)| now >= *at).map(|(stalling, _)| stalling);
        let Some((suspected, certain)) = self.times(after) else { return hidden };
        match (now >= suspected, certain.is_some_and(|at| now >= at)) {
            (_, true) => Some(Stalling::Certain),
            (true, false) => Some(Stalling::Suspected),
            (false, false) => hidden,
        }
    }

    /// When [`StallWatch::verdict`] changes next.
    pub(super) fn due(&self, told: Option<Stalling>, after: Duration) -> Option<Instant> {
        let (suspected, certain) = self.times(after).unzip();
        let hidden = self.hidden(after);
        match told {
            None => [suspected, hidden.map(|(_, at)| at)].into_iter().flatten().min(),
            Some(Stalling::Silent | Stalling::Unanswered) => {
                // The first of our packets after the peer has fallen silent makes the one the other.
                let other = hidden.filter(|(stalling, _)| Some(*stalling) != told).map(|(_, at)| at);
                [suspected, other].into_iter().flatten().min()
            }
            Some(Stalling::Suspected) => certain.flatten(),
            Some(Stalling::Certain) => None,
        }
    }

    /// What a proxy may hide, and when half of the time has passed.
    fn hidden(&self, after: Duration) -> Option<(Stalling, Instant)> {
        let stalling = match (self.hidden, self.last) {
            // IKE alone stops when it is done.
            (Hidden::No, Last::Ike | Last::Esp | Last::OurEsp) | (Hidden::Perhaps, Last::Ike) => return None,
            (Hidden::Perhaps, Last::Esp) => Stalling::Silent,
            (Hidden::Perhaps, Last::OurEsp) => Stalling::Unanswered,
        };
        Some((stalling, self.data_at + after / 2))
    }

    /// Half of the time passes without data, then the other half, of which a quarter at least after the peer has said so first;
    /// and the peer goes on.
    fn times(&self, after: Duration) -> Option<(Instant, Option<Instant>)> {
        let said = self.said?;
        let certain = (self.data_at + after).max(said.first + after / 4);
        Some((self.data_at + after / 2, (said.advances > 0).then_some(certain)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);
    const HIGHEST: Seq = Seq::new(u32::MAX - 10);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(100 + seconds)
    }

    fn watch() -> StallWatch {
        StallWatch::new(at(0), Seq::new(0), Hidden::No)
    }

    #[test]
    fn a_peer_that_is_further_than_its_data_is_suspected_and_one_that_goes_on_is_believed() {
        let mut watch = watch();
        watch.data(at(1));
        watch.alone(at(5), HIGHEST.plus(3000), HIGHEST, 7);
        assert_eq!((watch.verdict(at(5), AFTER), watch.due(None, AFTER)), (None, Some(at(6))));
        watch.alone(at(6), HIGHEST.plus(3000), HIGHEST, 8);
        assert_eq!(watch.verdict(at(60), AFTER), Some(Stalling::Suspected), "the last packet may have been lost");
        assert_eq!(watch.due(Some(Stalling::Suspected), AFTER), None);
        watch.alone(at(7), HIGHEST.plus(9000), HIGHEST, 9);
        let stall = Stall { since: Duration::from_secs(6), missing: 9000, unacknowledged: 7, said: 3, advances: 1 };
        assert_eq!(watch.stall(at(7), HIGHEST), Some(stall));
        assert_eq!((watch.due(None, AFTER), watch.due(Some(Stalling::Suspected), AFTER)), (Some(at(6)), Some(at(11))));
        assert_eq!(watch.due(Some(Stalling::Certain), AFTER), None);
        assert_eq!(watch.verdict(at(10), AFTER), Some(Stalling::Suspected));
        assert_eq!(watch.verdict(at(11), AFTER), Some(Stalling::Certain));
    }

    #[test]
    fn where_a_proxy_may_hide_it_that_esp_has_stopped_is_told_once_each_time() {
        let mut watch = StallWatch::new(at(0), Seq::new(0), Hidden::Perhaps);
        watch.data(at(1));
        assert_eq!(
            (watch.verdict(at(99), AFTER), watch.due(None, AFTER)),
            (None, None),
            "IKE alone stops when it is done"
        );
        let esp = |watch: &mut StallWatch, second| {
            watch.data(at(second));
            watch.esp();
        };
        esp(&mut watch, 2);
        assert_eq!((watch.verdict(at(6), AFTER), watch.due(None, AFTER)), (None, Some(at(7))));
        assert_eq!(watch.verdict(at(7), AFTER), Some(Stalling::Silent));
        assert_eq!(watch.due(Some(Stalling::Silent), AFTER), None);
        // An answer inside IKE is no ESP, and nothing new to ask for.
        watch.data(at(8));
        assert_eq!((watch.verdict(at(99), AFTER), watch.due(None, AFTER)), (None, None));
        esp(&mut watch, 10);
        assert_eq!((watch.verdict(at(14), AFTER), watch.due(None, AFTER)), (None, Some(at(15))));
        let mut in_the_open = self::watch();
        esp(&mut in_the_open, 2);
        in_the_open.sent(Seq::new(9), Inside::Esp);
        assert_eq!((in_the_open.verdict(at(99), AFTER), in_the_open.due(None, AFTER)), (None, None));
    }

    #[test]
    fn while_what_we_send_is_not_answered_that_is_told_again_and_again() {
        let mut watch = StallWatch::new(at(0), Seq::new(0), Hidden::Perhaps);
        watch.sent(Seq::new(9), Inside::Ike);
        assert_eq!((watch.verdict(at(99), AFTER), watch.due(None, AFTER)), (None, None), "a question is no traffic");
        for second in [0, 10, 20] {
            watch.data(at(second));
            watch.sent(Seq::new(9), Inside::Esp);
            assert_eq!((watch.verdict(at(second + 4), AFTER), watch.due(None, AFTER)), (None, Some(at(second + 5))));
            assert_eq!(watch.verdict(at(second + 5), AFTER), Some(Stalling::Unanswered));
            assert_eq!(watch.due(Some(Stalling::Unanswered), AFTER), None);
        }
        // Who falls silent first and is sent to then is asked once for each.
        watch.data(at(30));
        watch.esp();
        assert_eq!(watch.verdict(at(35), AFTER), Some(Stalling::Silent));
        watch.sent(Seq::new(9), Inside::Esp);
        assert_eq!(watch.due(Some(Stalling::Silent), AFTER), Some(at(35)));
        assert_eq!(watch.verdict(at(36), AFTER), Some(Stalling::Unanswered));
    }

    #[test]
    fn data_or_a_segment_where_we_expect_it_refutes_it() {
        for refute in [(|watch: &mut StallWatch| watch.data(at(9))) as fn(&mut StallWatch), StallWatch::refuted] {
            let mut watch = watch();
            for second in 5..9 {
                watch.alone(at(second), HIGHEST.plus(100 * second as usize), HIGHEST, 0);
            }
            refute(&mut watch);
            assert_eq!((watch.verdict(at(99), AFTER), watch.stall(at(99), HIGHEST)), (None, None));
            watch.alone(at(100), HIGHEST.plus(3000), HIGHEST, 0);
            assert_eq!(watch.verdict(at(200), AFTER), Some(Stalling::Suspected), "it begins again");
        }
    }

    #[test]
    fn who_goes_back_or_is_impossibly_far_says_nothing() {
        let mut watch = watch();
        watch.alone(at(5), HIGHEST.plus(1 << 30), HIGHEST, 0);
        assert_eq!(watch.verdict(at(99), AFTER), None);
        watch.alone(at(5), HIGHEST.plus(9000), HIGHEST, 0);
        watch.alone(at(6), HIGHEST.plus(8999), HIGHEST, 0);
        assert_eq!(watch.verdict(at(99), AFTER), Some(Stalling::Suspected));
    }

    #[test]
    fn what_is_said_for_the_first_time_long_after_the_last_data_has_time_to_be_refuted() {
        let mut watch = watch();
        watch.alone(at(600), HIGHEST.plus(1), HIGHEST, 0);
        watch.alone(at(600), HIGHEST.plus(2), HIGHEST, 0);
        assert_eq!(watch.verdict(at(602), AFTER), Some(Stalling::Suspected));
        assert_eq!(watch.verdict(at(603), AFTER), Some(Stalling::Certain));
    }
}
