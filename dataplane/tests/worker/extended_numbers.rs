//! Extended sequence numbers (RFC 4303 section 2.2.1) through whole turns.

use crate::harness;

use adit_dataplane::contract::{DropReason, SequenceNumbers};
use harness::*;

const ROUND: u64 = 1 << 32;

fn client(world: &mut World, suite: adit_crypto::suite::CipherSuite) -> Client {
    world.admit(Client { numbers: SequenceNumbers::Extended, ..Client::new(0, 1, suite) })
}

#[test]
fn packets_pass_over_the_end_of_32_bits_in_any_order_once_each() {
    for suite in suites() {
        let mut world = World::new(1);
        let client = client(&mut world, suite);
        let inner = v4(client.v4, SERVER_V4, 60);
        for number in [1, ROUND / 2, ROUND - 1, ROUND + 1, ROUND, ROUND - 2, ROUND + 30, ROUND - 3, 2 * ROUND - 100] {
            let esp = client.seal_number(number, &inner);
            let inside = world.esp(0, client.path, &esp);
            assert_eq!(inside.len(), 1, "{suite}, {number}: {:?}", world.all_dropped());
            assert_eq!(inside[0].bytes, inner);
            assert_eq!(world.esp(0, client.path, &esp), [], "{suite}, {number} again");
        }
        assert_eq!(world.all_dropped(), [(DropReason::Replayed, 9)], "{suite}");
    }
}

#[test]
fn a_wrong_high_half_is_a_bad_icv_and_moves_nothing() {
    for suite in suites() {
        let mut world = World::new(1);
        let client = client(&mut world, suite);
        let inner = v4(client.v4, SERVER_V4, 60);
        world.esp(0, client.path, &client.seal(100, &inner));
        // Genuine in another round: the same 32 bits mean another number here, ahead of the window or within it.
        for number in [ROUND + 101, 5 * ROUND + 99, ROUND + 37] {
            assert_eq!(world.esp(0, client.path, &client.seal_number(number, &inner)), []);
        }
        assert_eq!(world.all_dropped(), [(DropReason::BadIcv, 3)], "{suite}");
        assert_eq!(world.esp(0, client.path, &client.seal(101, &inner)).len(), 1);
    }
}

#[test]
fn what_goes_out_is_authenticated_with_its_high_half() {
    for suite in suites() {
        let mut world = World::new(1);
        let client = client(&mut world, suite);
        let inner = v4(SERVER_V4, client.v4, 60);
        for sequence in 1..=3 {
            let outside = world.inner(0, &inner);
            assert_eq!(client.open(&outside[0].bytes), (sequence, inner.clone()), "{suite}");
        }
        // A peer without extended numbers could not read it.
        let plain = Client { numbers: SequenceNumbers::Plain, ..Client::new(0, 1, suite) };
        let outside = world.inner(0, &inner);
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plain.open(&outside[0].bytes)));
        assert!(read.is_err(), "{suite}");
    }
}
