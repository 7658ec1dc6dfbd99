//! What is on its way out: packets and all that points to them, kept until the kernel says that it is done.
#![expect(unsafe_code, reason = "queued operations point into flights")]

use super::ring::Entry;
use crate::io::departure::{Departure, Destination, Refusal};
use crate::io::message::{Beside, count_refusal, empty_message, send_one, vector};
use crate::io::udp::OuterSocket;
use crate::io::{DoorStats, vnet};
use crate::offload::{Group, Joiner};
use crate::packet::{PacketBuf, Pool};
use io_uring::opcode;
use io_uring::types::Fd;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Operations on their way at once.
const FLIGHTS: usize = 256;

/// All flights; they never move.
pub(super) struct Flights {
    pub(super) list: Box<[Flight]>,
    /// Numbers of those that are empty.
    pub(super) free: Vec<usize>,
    /// What does not go grouped.
    pub(super) refused: Vec<Refusal>,
}

/// One operation's packets and what points to them.
pub(super) struct Flight {
    packets: Vec<PacketBuf>,
    vectors: Vec<libc::iovec>,
    beside: Option<Beside>,
    message: libc::msghdr,
    header: [u8; vnet::LEN],
    /// `None` if it is for the inner side.
    to: Option<Destination>,
    size: usize,
    flying: bool,
}

impl Flights {
    pub(super) fn new() -> Self {
        let flight = || Flight {
            packets: Vec::with_capacity(Joiner::MOST),
            vectors: Vec::with_capacity(Joiner::MOST + 1),
            beside: None,
            message: empty_message(),
            header: [0; vnet::LEN],
            to: None,
            size: 0,
            flying: false,
        };
        Self {
            list: std::iter::repeat_with(flight).take(FLIGHTS).collect(),
            free: (0..FLIGHTS).collect(),
            refused: Vec::with_capacity(FLIGHTS),
        }
    }

    /// The kernel is done with a flight: counts it, and sends one by one what it refused to take grouped.
    pub(super) fn land(&mut self, index: usize, result: i32, outer: &[OuterSocket], stats: &mut DoorStats) {
        let Some(flight) = self.list.get_mut(index) else { return };
        flight.flying = false;
        let count = flight.packets.len() as u64;
        let error = (result < 0).then(|| io::Error::from_raw_os_error(-result));
        match (error, flight.to) {
            (None, _) if count < 2 => {}
            (None, Some(_)) => stats.segmented += count,
            (None, None) => stats.joined += count,
            (Some(error), Some(to)) if count > 1 && !is_full(&error) => {
                self.refused.push(Refusal::new(&to, flight.size, &error));
                let Some(outer) = outer.get(to.socket) else { return };
                for packet in &flight.packets {
                    stats.system_calls += 1;
                    if let Err(error) = send_one(outer, &to, packet) {
                        count_refusal(stats, &error, 1);
                    }
                }
            }
            (Some(error), _) => count_refusal(stats, &error, count),
        }
    }

    /// Takes the packets of a landed flight home.
    pub(super) fn empty(&mut self, index: usize, pool: &mut Pool) {
        let Some(flight) = self.list.get_mut(index) else { return };
        flight.packets.drain(..).for_each(|packet| pool.put(packet));
        self.free.push(index);
    }

    /// Whether the kernel reads none of it.
    pub(super) fn are_quiet(&self) -> bool {
        self.list.iter().all(|flight| !flight.flying)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

impl Flight {
    /// Takes the datagrams aboard; the entry sends them.
    pub(super) fn board_datagrams(&mut self, departure: &mut Departure, to: Destination, outer: &OuterSocket) -> Entry {
        debug_assert!(self.packets.is_empty() && !self.flying);
        let segment = departure.segment();
        std::mem::swap(&mut self.packets, &mut departure.packets);
        (self.to, self.size, self.flying) = (Some(to), departure.size, true);
        self.vectors.clear();
        self.vectors.extend(self.packets.iter().map(vector));
        let beside = self.beside.insert(Beside::new(outer, &to, segment));
        self.message = beside.message(&mut self.vectors);
        let fd = Fd(outer.socket.as_raw_fd());
        let entry = opcode::SendMsg::new(fd, &raw const self.message).flags(libc::MSG_DONTWAIT as u32).build();
        // SAFETY: all of it points into this flight and its packets. Flights never move, and one that is flying is
        // not touched until its completion has come.
        unsafe { Entry::new(entry) }
    }

    /// Takes a group of inner packets aboard; the entry writes them to the TUN queue as one.
    pub(super) fn board_inner(&mut self, group: &mut Group, header: [u8; vnet::LEN], tun: &OwnedFd) -> Entry {
        debug_assert!(self.packets.is_empty() && !self.flying);
        std::mem::swap(&mut self.packets, &mut group.packets);
        (self.to, self.header, self.flying) = (None, header, true);
        self.vectors.clear();
        self.vectors.push(libc::iovec { iov_base: self.header.as_mut_ptr().cast(), iov_len: vnet::LEN });
        self.vectors.extend(self.packets.iter().map(vector));
        let fd = Fd(tun.as_raw_fd());
        let entry = opcode::Writev::new(fd, self.vectors.as_ptr(), self.vectors.len() as u32).build();
        // SAFETY: as above.
        unsafe { Entry::new(entry) }
    }
}
