//! Taking datagrams in.
#![expect(unsafe_code, reason = "recvmmsg takes arrays of pointers")]

use crate::io::DoorStats;
use crate::io::ancillary::{CONTROL_LEN, Control, NAME_LEN};
use crate::io::arrival::{Arrival, SLOT, SLOT_GAP};
use crate::io::message::{Unsound, arrival, count_unsound, empty_message};
use crate::io::udp::OuterSocket;
use std::collections::VecDeque;
use std::os::fd::AsRawFd;

/// Datagrams taken in one recvmmsg.
pub(super) const BATCH: usize = 64;
const STRIDE: usize = SLOT + SLOT_GAP;

/// Slots for a recvmmsg, with room for what comes beside the payload.
pub(super) struct Receiver {
    slots: Box<[u8]>,
    names: Box<[[u8; NAME_LEN]; BATCH]>,
    controls: Box<[Control; BATCH]>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![0; BATCH * STRIDE].into_boxed_slice(),
            names: Box::new([[0; NAME_LEN]; BATCH]),
            controls: Box::new([Control::EMPTY; BATCH]),
        }
    }

    pub(super) fn payload(&self, slot: usize, len: usize) -> &[u8] {
        let slot = self.slots.get(slot * STRIDE..slot * STRIDE + SLOT).unwrap_or_default();
        &slot[..len.min(SLOT)]
    }

    /// Takes up to `most` datagrams; all slots are free.
    pub(super) fn receive(
        &mut self,
        outer: &OuterSocket,
        most: usize,
        arrived: &mut VecDeque<(usize, Arrival)>,
        stats: &mut DoorStats,
    ) {
        let most = most.min(BATCH);
        let mut vectors: [libc::iovec; BATCH] = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for (vector, slot) in vectors.iter_mut().zip(self.slots.chunks_exact_mut(STRIDE)) {
            *vector = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT };
        }
        let mut messages: [libc::mmsghdr; BATCH] = std::array::from_fn(|index| {
            let mut header = empty_message();
            header.msg_name = self.names[index].as_mut_ptr().cast();
            header.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN;
            libc::mmsghdr { msg_hdr: header, msg_len: 0 }
        });
        let fd = outer.socket.as_raw_fd();
        // SAFETY: the first `most` messages point to a name, a control buffer, one vector and through it one slot
        // each, all distinct, of the lengths said, and alive until the call returns.
        let got =
            unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), most as u32, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        for (index, message) in messages.iter().take(usize::try_from(got).unwrap_or(0)).enumerate() {
            let name = &self.names[index][..(message.msg_hdr.msg_namelen as usize).min(NAME_LEN)];
            let control = &self.controls[index].0[..message.msg_hdr.msg_controllen.min(CONTROL_LEN)];
            let payload = self.payload(index, message.msg_len as usize);
            let sound = match message.msg_hdr.msg_flags & libc::MSG_TRUNC {
                0 => arrival(&outer.bound, name, control, payload).ok_or(Unsound::Malformed),
                _ => Err(Unsound::Truncated),
            };
            match sound {
                Ok(arrival) => arrived.push_back((index, arrival)),
                Err(unsound) => count_unsound(stats, unsound),
            }
        }
    }
}
