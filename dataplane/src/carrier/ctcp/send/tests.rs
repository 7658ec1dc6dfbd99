use super::*;

const START: Seq = Seq::new(u32::MAX - 50_000);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(1) + Duration::from_millis(millis)
}

fn adaptive() -> Send {
    Send::new(at(0), Mode::Adaptive, START, 1 << 18, None)
}

fn send(send: &mut Send, now: Instant, len: usize) -> Result<Seq, Full> {
    let seq = send.place(now, len)?;
    send.sent(now, &vec![7; len]);
    Ok(seq)
}

fn repaired(send: &mut Send, now: Instant) -> Vec<u32> {
    send.repair(now).map(|sent| sent.seq.octets_since(START) as u32).collect()
}

#[test]
fn the_third_duplicate_brings_everything_from_the_hole_on_in_order_and_once() {
    let mut side = adaptive();
    (0..5).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    side.acknowledgment(at(10), START.plus(1000), Alone::Yes);
    for duplicate in 1..=3 {
        assert_eq!(repaired(&mut side, at(10)), [], "before duplicate {duplicate}");
        assert_eq!(side.acknowledgment(at(10), START.plus(1000), Alone::Yes), Acknowledged::Again);
    }
    assert_eq!(repaired(&mut side, at(11)), [1000, 2000, 3000, 4000]);
    (0..3).for_each(|_| {
        let _ = side.acknowledgment(at(12), START.plus(1000), Alone::Yes);
    });
    assert_eq!(repaired(&mut side, at(12)), [], "it needs time to arrive");
}

#[test]
fn an_acknowledgment_that_is_stuck_while_the_peer_is_heard_is_as_good_as_a_duplicate() {
    let mut side = adaptive();
    (0..2).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    side.acknowledgment(at(5), START, Alone::No);
    let due = side.deadline().unwrap();
    assert_eq!(repaired(&mut side, at(5)), []);
    assert_eq!(repaired(&mut side, due), [0, 1000]);
}

#[test]
fn a_silent_peer_gets_six_probes_of_one_segment_and_no_more() {
    let mut side = adaptive();
    (0..9).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    let mut probes = 0;
    while let Some(due) = side.deadline() {
        assert_eq!(repaired(&mut side, due), [0]);
        probes += 1;
    }
    assert_eq!(probes, 6);
}

#[test]
fn no_more_than_a_window_is_under_way_while_acknowledgments_flow() {
    let mut side = adaptive();
    let sent = (0..100).take_while(|_| send(&mut side, at(0), 1000).is_ok()).count();
    assert_eq!((sent, side.place(at(0), 1000)), (65, Err(Full::InFlight)));
    side.acknowledgment(at(10), START.plus(1000), Alone::Yes);
    assert!(send(&mut side, at(10), 1000).is_ok());
    assert_eq!((side.in_flight(), side.counted.rewinds), (65_000, 0));
}

#[test]
fn where_nobody_acknowledges_it_begins_again_at_what_was_acknowledged() {
    let mut side = adaptive();
    (0..65).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    assert_eq!(send(&mut side, at(799), 1000), Err(Full::InFlight));
    assert_eq!(send(&mut side, at(800), 1000), Ok(START));
    assert_eq!((side.counted.rewinds, side.in_flight()), (1, 1000));
    // The peer had more of the first time.
    assert_eq!(side.acknowledgment(at(801), START.plus(65_000), Alone::Yes), Acknowledged::More);
    assert_eq!(send(&mut side, at(801), 1000), Ok(START.plus(65_000)));
}

#[test]
fn a_silent_client_of_ciscos_is_not_waited_for_and_one_that_acknowledges_is() {
    let mut side = adaptive();
    side.expect_silence();
    let mut octets = 0;
    for now in 1000..9000 {
        octets += usize::from(send(&mut side, at(now), 1000).is_ok());
        if now % 5000 == 0 {
            // Its keepalive.
            side.acknowledgment(at(now), side.furthest, Alone::Yes);
        }
    }
    assert_eq!((octets, side.counted.rewinds > 100), (8000, true));
    for now in 9000..9100 {
        let _ = send(&mut side, at(now), 100);
        side.acknowledgment(at(now), side.furthest, Alone::No);
    }
    let sent = (0..100).take_while(|_| send(&mut side, at(9100), 1000).is_ok()).count();
    assert_eq!(sent, 65, "a window");
}

#[test]
fn an_acknowledgment_of_what_was_never_sent_says_nothing_and_is_not_believed() {
    let mut side = adaptive();
    let _ = send(&mut side, at(0), 1000);
    assert_eq!(side.acknowledgment(at(1), START.plus(1001), Alone::Yes), Acknowledged::Nothing);
    assert!(!side.believes(START.plus(1001)) && side.believes(START.plus(1000)) && side.believes(START));
    assert!(side.believes(Seq::new(START.get() - 131_070)) && !side.believes(Seq::new(START.get() - 131_071)));
    assert_eq!(side.acknowledged(), START);
}

#[test]
fn stateless_holds_nothing_and_repeats_nothing() {
    let mut side = Send::new(at(0), Mode::Stateless, START, 1 << 18, None);
    for _ in 0..500 {
        assert!(send(&mut side, at(0), 1000).is_ok());
    }
    (0..9).for_each(|_| {
        let _ = side.acknowledgment(at(1), START, Alone::Yes);
    });
    assert_eq!((side.memory(), side.deadline()), (0, None));
    assert_eq!(repaired(&mut side, at(60_000)), []);
}

#[test]
fn the_way_there_and_back_is_measured_but_not_by_what_was_sent_again() {
    let mut side = adaptive();
    for round in 0..40 {
        let now = 100 * round;
        let _ = send(&mut side, at(now), 100);
        side.acknowledgment(at(now + 20), side.next(), Alone::Yes);
    }
    assert!((20..25).contains(&side.rtt().as_millis()), "{:?}", side.rtt());
}

/// Real TCP, at a tenth of a second's distance, and what it has been timed by.
fn prompt() -> (Send, Seq) {
    let mut side = adaptive();
    side.expect_answers();
    for round in 0..40 {
        let _ = send(&mut side, at(200 * round), 1000);
        side.acknowledgment(at(200 * round + 100), side.next(), Alone::Yes);
    }
    assert!((95..105).contains(&side.rtt().as_millis()), "{:?}", side.rtt());
    let next = side.next();
    (side, next)
}

#[test]
fn real_tcp_that_is_silent_gets_the_first_segment_after_its_time_and_the_rest_when_that_was_it() {
    let (mut side, start) = prompt();
    (0..20).for_each(|_| {
        let _ = send(&mut side, at(10_000), 1000);
    });
    let due = side.deadline().unwrap();
    assert!(due < at(10_200), "not a whole second");
    let first = start.octets_since(START) as u32;
    assert_eq!(repaired(&mut side, due), [first]);
    // A box lets the three pass that it had kept; the others are gone.
    let answered = due + Duration::from_millis(110);
    side.acknowledgment(answered, start.plus(4000), Alone::Yes);
    assert!(side.deadline().unwrap() <= answered);
    assert_eq!(repaired(&mut side, answered).len(), 16);
    assert_eq!(repaired(&mut side, answered), [], "once");
    side.acknowledgment(answered + Duration::from_millis(110), side.next(), Alone::Yes);
    assert_eq!(side.deadline(), None);
}

#[test]
fn an_acknowledgment_that_stands_in_three_late_segments_is_believed_before_it_has_stood_long() {
    let mut side = adaptive();
    // A Cisco client that sends all the time, ten milliseconds away.
    let mut now = 0;
    for _ in 0..60 {
        let _ = send(&mut side, at(now), 1000);
        side.acknowledgment(at(now + 10), side.next(), Alone::No);
        now += 20;
    }
    let stands = side.next();
    let begun = now;
    (0..9).for_each(|_| {
        let _ = send(&mut side, at(now), 1000);
    });
    while repaired(&mut side, at(now)).is_empty() {
        side.acknowledgment(at(now), stands, Alone::No);
        now += 3;
    }
    assert!((20..50).contains(&(now - begun)), "after {} ms", now - begun);
    assert_eq!((side.counted.repairs, side.counted.resent), (1, 9));
}

#[test]
fn what_a_silent_peer_has_never_been_sent_goes_twice_and_what_lies_where_something_was_once() {
    let mut side = adaptive();
    side.expect_silence();
    let mut again = 0;
    for now in 1000..5000 {
        assert!(send(&mut side, at(now), 1000).is_ok());
        again += repaired(&mut side, at(now)).len();
    }
    // A window once, and what a silent peer is probed with.
    assert!((60..70).contains(&again), "{again}");
    side.acknowledgment(at(5000), side.furthest, Alone::Yes);
    let _ = send(&mut side, at(5000), 1000);
    assert_eq!(repaired(&mut side, at(5004)), []);
    let _ = send(&mut side, at(5005), 1000);
    assert_eq!(repaired(&mut side, at(5005)).len(), 2, "in order");
}

/// A SYN proxy speaks for it when the connection begins.
#[test]
fn who_turns_out_to_be_silent_is_waited_for_once_and_who_answers_again_is_waited_for() {
    let mut side = adaptive();
    side.expect_answers();
    let mut sent = 0;
    for now in 0..10_000 {
        sent += usize::from(send(&mut side, at(now), 1000).is_ok());
        if now % 5000 == 4999 {
            side.acknowledgment(at(now), side.furthest, Alone::Yes);
        }
    }
    assert!(sent > 8500, "{sent} of 10 000");
    for now in 10_000..10_100 {
        let _ = send(&mut side, at(now), 100);
        side.acknowledgment(at(now), side.furthest, Alone::Yes);
    }
    let sent = (0..100).take_while(|_| send(&mut side, at(10_100), 1000).is_ok()).count();
    assert_eq!(sent, 65, "a window");
}

/// A side whose memory is used up, and a peer of real TCP.
fn without_memory() -> Send {
    let mut side = adaptive();
    side.expect_answers();
    side.bound(Room::None);
    side
}

#[test]
fn what_real_tcp_waits_for_and_is_not_kept_is_a_hole_that_is_named_six_times_at_most() {
    let mut side = without_memory();
    (0..4).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    side.acknowledgment(at(40), START.plus(1000), Alone::Yes);
    assert_eq!((side.unkept(at(40)), repaired(&mut side, at(40))), (None, vec![]));
    (0..3).for_each(|_| {
        side.acknowledgment(at(41), START.plus(1000), Alone::Yes);
    });
    let hole = Hole { begins: START.plus(1000), len: 3000 };
    assert_eq!((side.deadline().is_some_and(|due| due <= at(41)), side.unkept(at(41))), (true, Some(hole)));
    assert_eq!(side.unkept(at(41)), None, "it needs time to arrive");
    let mut named = 1;
    while let Some(due) = side.deadline() {
        assert_eq!((side.unkept(due), repaired(&mut side, due)), (Some(hole), vec![]));
        named += 1;
    }
    assert_eq!(named, 6);
    side.acknowledgment(at(90_000), START.plus(2000), Alone::Yes);
    let due = side.deadline().unwrap();
    assert_eq!(side.unkept(due), Some(Hole { begins: START.plus(2000), len: 2000 }), "the next one has its own six");
}

#[test]
fn what_is_kept_is_sent_again_and_a_cisco_client_gets_nothing_in_its_place() {
    let mut side = adaptive();
    side.expect_answers();
    let mut cisco = adaptive();
    cisco.bound(Room::None);
    for side in [&mut side, &mut cisco] {
        (0..4).for_each(|_| {
            let _ = send(side, at(0), 1000);
        });
        side.acknowledgment(at(40), START.plus(1000), Alone::Yes);
        (0..5).for_each(|_| {
            side.acknowledgment(at(41), START.plus(1000), Alone::Yes);
        });
        assert_eq!(side.unkept(at(60_000)), None);
    }
    assert_eq!(repaired(&mut side, at(60_000)), [1000, 2000, 3000]);
    assert_eq!(repaired(&mut cisco, at(60_000)), []);
}

#[test]
fn whoever_rests_gives_back_what_it_took_unless_something_is_under_way() {
    let mut side = adaptive();
    (0..4).for_each(|_| {
        let _ = send(&mut side, at(0), 1000);
    });
    side.acknowledgment(at(40), START.plus(3999), Alone::Yes);
    side.rest();
    assert!(side.memory() >= 16 * 1024);
    side.acknowledgment(at(50), START.plus(4000), Alone::Yes);
    side.rest();
    assert_eq!(side.memory(), 0);
    (0..2).for_each(|_| {
        let _ = send(&mut side, at(60), 1000);
    });
    let due = side.deadline().unwrap();
    assert_eq!(repaired(&mut side, due), [4000], "what is sent then is kept");
}
