//! Counters: one writer with plain relaxed stores, any number of readers.

use super::burst_times::BurstClock;
use super::{BurstTimes, Transport};
use crate::fate::DropReason;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Adds with a plain load and store: right only for the one thread that writes.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// One SA's traffic, in inner packets and inner octets.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct SaCounters {
    packets: AtomicU64,
    octets: AtomicU64,
    last_used: AtomicU64,
    inner_mtu: AtomicU64,
}

/// A reading of [`SaCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaTotals {
    /// Inner packets.
    pub packets: u64,
    /// Inner octets.
    pub octets: u64,
    /// When the last packet passed, in nanoseconds of the dataplane's clock; 0 if none did.
    pub last_used: u64,
    /// Octets of the largest packet that fits, on an SA that is sent on; 0 before that.
    pub inner_mtu: u64,
}

impl SaCounters {
    /// The owning worker charges a burst's share.
    pub fn charge(&self, packets: u64, octets: u64, now: crate::time::Instant) {
        add(&self.packets, packets);
        add(&self.octets, octets);
        self.last_used.store(now.as_nanos(), Relaxed);
    }

    /// The owning worker says what fits.
    pub fn fits(&self, octets: u16) {
        self.inner_mtu.store(octets.into(), Relaxed);
    }

    /// Anyone reads.
    pub fn totals(&self) -> SaTotals {
        SaTotals {
            packets: self.packets.load(Relaxed),
            octets: self.octets.load(Relaxed),
            last_used: self.last_used.load(Relaxed),
            inner_mtu: self.inner_mtu.load(Relaxed),
        }
    }
}

macro_rules! worker_counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// One worker's counters.
        #[derive(Debug)]
        pub struct WorkerCounters {
            $($name: AtomicU64,)+
            drops: [AtomicU64; DropReason::ALL.len()],
            turned_away: AtomicU64,
            bursts: BurstClock,
            handoffs_waiting: AtomicU64,
            buffers_free: AtomicU64,
        }

        /// A reading of [`WorkerCounters`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct WorkerTotals {
            $($(#[$doc])+ pub $name: u64,)+
            /// In the order of [`DropReason::ALL`].
            pub drops: [u64; DropReason::ALL.len()],
            /// Packets that wait for it in the rings from other workers, after its last turn.
            pub handoffs_waiting: u64,
            /// Packet buffers that are free, after its last turn.
            pub buffers_free: u64,
        }

        impl Default for WorkerCounters {
            fn default() -> Self {
                Self { $($name: AtomicU64::new(0),)+ drops: std::array::from_fn(|_| AtomicU64::new(0)), turned_away: AtomicU64::new(0), bursts: BurstClock::default(), handoffs_waiting: AtomicU64::new(0), buffers_free: AtomicU64::new(0) }
            }
        }

        impl WorkerCounters {
            $($(#[$doc])+ pub fn $name(&self, n: u64) { add(&self.$name, n); })+

            /// One or more packets ended here.
            pub fn dropped(&self, reason: DropReason, n: u64) {
                add(&self.drops[reason as usize], n);
            }

            /// Control, alone, says that it has dropped IKE datagrams which it was handed, as [`DropReason::ControlBusy`].
            pub fn turned_away(&self, n: u64) {
                add(&self.turned_away, n);
            }

            /// What is left after a turn: packets in rings from other workers, and free buffers.
            pub fn left(&self, handoffs_waiting: usize, buffers_free: usize) {
                self.handoffs_waiting.store(handoffs_waiting as u64, Relaxed);
                self.buffers_free.store(buffers_free as u64, Relaxed);
            }

            /// A turn that found something took so long.
            pub fn burst_took(&self, time: Duration) {
                self.bursts.took(time);
            }

            /// Anyone reads.
            pub fn burst_times(&self) -> BurstTimes {
                self.bursts.read()
            }

            /// Anyone reads.
            pub fn totals(&self) -> WorkerTotals {
                let mut drops: [u64; DropReason::ALL.len()] = std::array::from_fn(|i| self.drops[i].load(Relaxed));
                drops[DropReason::ControlBusy as usize] += self.turned_away.load(Relaxed);
                WorkerTotals {
                    $($name: self.$name.load(Relaxed),)+
                    drops,
                    handoffs_waiting: self.handoffs_waiting.load(Relaxed),
                    buffers_free: self.buffers_free.load(Relaxed),
                }
            }
        }
    };
}

worker_counters! {
    /// Turns taken.
    turns,
    /// Turns that found nothing to do.
    idle_turns,
    /// Packets that turns began with.
    burst_packets,
    /// Turns that began with as many as a burst may have, so that others may have had to wait.
    full_bursts,
    /// Times that packets waited outside or inside and no buffer was free for them.
    starved,
    /// Packets read from the outer side.
    outer_received,
    /// Packets written to the outer side.
    outer_sent,
    /// Packets (or super-packets' segments) read from the inner side.
    inner_received,
    /// Packets written to the inner side.
    inner_sent,
    /// IKE datagrams handed to control.
    ike_received,
    /// IKE datagrams sent for control.
    ike_sent,
    /// Packets handed to another worker.
    handed_off,
    /// Packets taken over from another worker.
    taken_over,
    /// Inner packets that are no flow's: their flows were not let in while the table of inner flows was full.
    unattributed,
    /// SYNs whose TCP MSS was lowered to what fits their tunnel.
    mss_clamped,
    /// Inner packets cut into fragments before encryption.
    inner_fragmented,
    /// Times that a tunnel's MTU followed the fragments of authenticated packets.
    mtu_learned,
    /// Tunnels that followed their peer's ESP to another outer address or transport: to NAT-T.
    moved_to_nat_t,
    /// The same, to ESP in UDP port 500.
    moved_to_nat_t_500,
    /// The same, to Cisco's IPsec over UDP.
    moved_to_cisco_udp,
    /// The same, to native ESP.
    moved_to_esp,
    /// Tunnels that followed their peers' ESP into a cTCP connection.
    moved_to_ctcp,
    /// Tunnels that followed their peers' ESP into a TCP connection.
    moved_to_tcp,
    /// Packets, and segments, whose octets have gone into a TCP connection's stream or come out of one (RFC 9329).
    streamed,
    /// TCP connections that no session had vouched for and that ended because newcomers needed their places.
    connections_displaced,
    /// Packets whose tunnel did not follow them: it has moved as often as it may.
    moves_limited,
    /// Commands that did not fit the tables: a mistake of the control plane's.
    commands_refused,
}

impl WorkerCounters {
    /// A tunnel followed its peer's ESP there.
    pub fn moved_to(&self, transport: Transport) {
        match transport {
            Transport::NatT => self.moved_to_nat_t(1),
            Transport::NatT500 => self.moved_to_nat_t_500(1),
            Transport::CiscoUdp => self.moved_to_cisco_udp(1),
            Transport::Esp => self.moved_to_esp(1),
            Transport::Ctcp => self.moved_to_ctcp(1),
            Transport::Tcp => self.moved_to_tcp(1),
        }
    }
}
