//! Sending datagrams and writing inner packets.
#![expect(unsafe_code, reason = "sendmmsg and writev take arrays of pointers")]

use crate::io::departure::{Departure, Refusal};
use crate::io::message::{Beside, count_refusal, send_one, vector};
use crate::io::udp::OuterSocket;
use crate::io::{DoorStats, vnet};
use crate::packet::PacketBuf;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Arrays for sendmmsg and writev, kept for their memory.
#[derive(Default)]
pub(super) struct Sender {
    vectors: Vec<libc::iovec>,
    plans: Vec<Plan>,
    messages: Vec<libc::mmsghdr>,
}

/// One message to be.
struct Plan {
    /// Which departure.
    departure: usize,
    beside: Beside,
    vectors: std::ops::Range<usize>,
}

impl Sender {
    /// Sends what is for this socket, in order. Returns what does not go grouped.
    pub(super) fn send(
        &mut self,
        outer: &OuterSocket,
        index: usize,
        departures: &[Departure],
        stats: &mut DoorStats,
    ) -> Vec<Refusal> {
        self.vectors.clear();
        self.plans.clear();
        self.messages.clear();
        for (number, departure) in departures.iter().enumerate() {
            let Some(to) = departure.to.filter(|to| to.socket == index) else { continue };
            let from = self.vectors.len();
            self.vectors.extend(departure.packets.iter().map(vector));
            let beside = Beside::new(outer, &to, departure.segment());
            self.plans.push(Plan { departure: number, vectors: from..self.vectors.len(), beside });
        }
        for plan in &mut self.plans {
            let vectors = &mut self.vectors[plan.vectors.clone()];
            self.messages.push(libc::mmsghdr { msg_hdr: plan.beside.message(vectors), msg_len: 0 });
        }
        let fd = outer.socket.as_raw_fd();
        let mut refused = Vec::new();
        let mut done = 0;
        while done < self.messages.len() {
            let rest = &mut self.messages[done..];
            let count = rest.len().min(1024) as u32;
            stats.system_calls += 1;
            // SAFETY: each message points to a name, control data and vectors in `plans` and `vectors`, and through
            // them to the packets of `departures`; none moves or is freed until the call returns.
            let sent = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                for plan in &self.plans[done..done + sent] {
                    let datagrams = departures[plan.departure].packets.len() as u64;
                    stats.segmented += if datagrams > 1 { datagrams } else { 0 };
                }
                done += sent;
                continue;
            }
            let error = io::Error::last_os_error();
            let departure = &departures[self.plans[done].departure];
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => {
                    for plan in &self.plans[done..] {
                        stats.transmit_full += departures[plan.departure].packets.len() as u64;
                    }
                    break;
                }
                _ if departure.packets.len() > 1 => {
                    if let Some(to) = departure.to {
                        refused.push(Refusal::new(&to, departure.size, &error));
                        for packet in &departure.packets {
                            stats.system_calls += 1;
                            if let Err(error) = send_one(outer, &to, packet) {
                                count_refusal(stats, &error, 1);
                            }
                        }
                    }
                    done += 1;
                }
                _ => {
                    stats.transmit_failed += 1;
                    done += 1;
                }
            }
        }
        refused
    }

    /// Writes one packet, or several as a super-packet, to a TUN queue.
    pub(super) fn write(&mut self, fd: RawFd, header: &[u8; vnet::LEN], packets: &[PacketBuf]) -> io::Result<()> {
        self.vectors.clear();
        self.vectors.push(libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() });
        self.vectors.extend(packets.iter().map(vector));
        // SAFETY: the vectors point to `header` and `packets`, which live until the call returns; it only reads.
        let written = unsafe { libc::writev(fd, self.vectors.as_ptr(), self.vectors.len() as i32) };
        if written >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
