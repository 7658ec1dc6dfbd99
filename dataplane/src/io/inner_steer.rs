//! The kernel's part of "an inner address names its owner": an eBPF program that says to which queue of the TUN, and
//! so to which worker, a packet from the inner network goes. The kernel runs it on the IP packet; a load past the end
//! makes it return 0, so that what is too short goes to worker 0.
//!
//! It is written by hand, instruction by instruction: nine of them are no reason to need a compiler.
#![expect(unsafe_code, reason = "loading the program is a system call with pointers, attaching it an ioctl")]

use crate::contract::InnerLayout;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A program's instructions, by the few that are needed. The accumulator is register 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// Register 6 = the packet; what loads from it looks there.
    TakePacket,
    /// A = the octet at this offset of the packet.
    LoadOctet(i32),
    /// A = the 32 bits at this offset of the packet, network order.
    LoadWord(i32),
    ShiftRight(i32),
    Modulo(i32),
    /// If A is this, skip so many.
    SkipIfEqual(i32, i16),
    Skip(i16),
    ReturnA,
}

/// `struct bpf_insn` of linux/bpf.h.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// Two registers of four bits, in an order that depends on the machine's.
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Op {
    fn assemble(self) -> Instruction {
        /// `BPF_ALU64 | BPF_MOV | BPF_X`
        const MOVE: u8 = 0xbf;
        /// `BPF_LD | BPF_ABS | BPF_B`, `… | BPF_W`
        const LOAD_OCTET: u8 = 0x30;
        const LOAD_WORD: u8 = 0x20;
        /// `BPF_ALU | BPF_RSH | BPF_K`, `BPF_ALU | BPF_MOD | BPF_K`: 32 bits
        const SHIFT_RIGHT: u8 = 0x74;
        const MODULO: u8 = 0x94;
        /// `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JA`
        const SKIP_IF_EQUAL: u8 = 0x15;
        const SKIP: u8 = 0x05;
        /// `BPF_JMP | BPF_EXIT`
        const EXIT: u8 = 0x95;
        /// To register 6 from register 1, in which a program finds its packet.
        const SIX_FROM_ONE: u8 = if cfg!(target_endian = "little") { 0x16 } else { 0x61 };
        let (code, registers, offset, immediate) = match self {
            Self::TakePacket => (MOVE, SIX_FROM_ONE, 0, 0),
            Self::LoadOctet(at) => (LOAD_OCTET, 0, 0, at),
            Self::LoadWord(at) => (LOAD_WORD, 0, 0, at),
            Self::ShiftRight(k) => (SHIFT_RIGHT, 0, 0, k),
            Self::Modulo(k) => (MODULO, 0, 0, k),
            Self::SkipIfEqual(k, skip) => (SKIP_IF_EQUAL, 0, skip, k),
            Self::Skip(skip) => (SKIP, 0, skip, 0),
            Self::ReturnA => (EXIT, 0, 0, 0),
        };
        Instruction { code, registers, offset, immediate }
    }
}

/// Where the last 32 bits of the destination stand (RFC 791 section 3.1, RFC 8200 section 3).
const IPV4_DESTINATION: i32 = 16;
const IPV6_DESTINATION_END: i32 = 36;

/// What [`InnerLayout::owner`] says of a packet's destination.
fn program(layout: InnerLayout) -> [Op; 9] {
    [
        Op::TakePacket,
        Op::LoadOctet(0),
        Op::ShiftRight(4),
        Op::SkipIfEqual(4, 2),
        Op::LoadWord(IPV6_DESTINATION_END),
        Op::Skip(1),
        Op::LoadWord(IPV4_DESTINATION),
        // A layout has 1 to 64 workers.
        Op::Modulo(layout.workers() as i32),
        Op::ReturnA,
    ]
}

/// `BPF_PROG_LOAD`
const LOAD: libc::c_long = 5;
/// `BPF_PROG_TYPE_SOCKET_FILTER`: what a TUN takes.
const SOCKET_FILTER: u32 = 1;
/// `_IOR('T', 224, int)`
const TUNSETSTEERINGEBPF: libc::Ioctl = 0x8004_54e0_u32 as libc::Ioctl;

/// The part of `union bpf_attr` that loading reads; the kernel takes what is missing as zero.
#[repr(C)]
struct LoadAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// Attaches the program to the interface of `queue`, whose queues were made in the workers' order. It stays until
/// the interface goes.
pub(super) fn attach(queue: BorrowedFd<'_>, layout: InnerLayout) -> io::Result<()> {
    let program = load(&program(layout).map(Op::assemble))?;
    let fd = program.as_raw_fd();
    // SAFETY: the kernel reads one int from `fd`, which lives until the call returns.
    let result = unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETSTEERINGEBPF, &raw const fd) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn load(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0 OR MIT";
    let attributes = LoadAttributes {
        kind: SOCKET_FILTER,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    let size = size_of::<LoadAttributes>();
    // SAFETY: `attributes` is as long as said, and what it points to lives until the call returns; the kernel copies it.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const attributes, size) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Why the kernel does not take it, in words for the operator.
pub(super) fn refusal(error: &io::Error) -> String {
    let unprivileged = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap_or_default();
    match (error.raw_os_error(), unprivileged.trim()) {
        (Some(libc::EPERM | libc::EACCES), "1" | "2") => "bpf is forbidden: give the service CAP_BPF".to_owned(),
        (Some(libc::EPERM | libc::EACCES), _) => "bpf is forbidden, as by a seccomp profile".to_owned(),
        (Some(libc::ENOSYS), _) => "this kernel has no bpf, or a seccomp profile hides it".to_owned(),
        (Some(libc::EINVAL | libc::ENOTTY), _) => "this kernel's TUN takes none; Linux 4.16 does".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::{SecretRandom, SeededRandom};
    use std::net::IpAddr;

    /// What the kernel does with a program, by its documentation (bpf/instruction-set.rst).
    fn run(ops: &[Op], packet: &[u8]) -> u32 {
        let (mut a, mut at) = (0_u32, 0);
        loop {
            let op = ops[at];
            at += 1;
            match op {
                Op::TakePacket => {}
                Op::LoadOctet(offset) => match packet.get(offset as usize) {
                    Some(octet) => a = u32::from(*octet),
                    None => return 0,
                },
                Op::LoadWord(offset) => match packet.get(offset as usize..offset as usize + 4) {
                    Some(word) => a = u32::from_be_bytes(word.try_into().unwrap()),
                    None => return 0,
                },
                Op::ShiftRight(k) => a >>= k,
                Op::Modulo(k) => a %= k as u32,
                Op::SkipIfEqual(k, skip) => at += if a == k as u32 { skip as usize } else { 0 },
                Op::Skip(skip) => at += skip as usize,
                Op::ReturnA => return a,
            }
        }
    }

    #[test]
    fn the_program_finds_the_worker_that_the_layout_finds() {
        let mut random = SeededRandom::new(1);
        for workers in [1, 2, 3, 4, 7, 63, 64] {
            let layout = InnerLayout::new(workers);
            let ops = program(layout);
            for _ in 0..200 {
                let mut packet = [0; 60];
                random.fill(&mut packet);
                packet[0] = 0x45;
                let v4: [u8; 4] = packet[16..20].try_into().unwrap();
                assert_eq!(run(&ops, &packet), u32::from(layout.owner(IpAddr::from(v4)).0));
                packet[0] = 0x60;
                let v6: [u8; 16] = packet[24..40].try_into().unwrap();
                assert_eq!(run(&ops, &packet), u32::from(layout.owner(IpAddr::from(v6)).0));
            }
        }
    }

    #[test]
    fn what_is_too_short_goes_to_worker_0() {
        let ops = program(InnerLayout::new(5));
        for len in 0..20 {
            assert_eq!(run(&ops, &[0x4f; 20][..len]), 0);
        }
        for len in 0..40 {
            assert_eq!(run(&ops, &[0x6f; 40][..len]), 0);
        }
    }

    #[test]
    fn a_refusal_is_said_in_words() {
        for (errno, word) in [(libc::EPERM, "forbidden"), (libc::ENOSYS, "no bpf"), (libc::EINVAL, "TUN")] {
            assert!(refusal(&io::Error::from_raw_os_error(errno)).contains(word));
        }
    }
}
