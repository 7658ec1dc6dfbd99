//! The kernel's part of "the SPI is the address": classic-BPF programs.
//!
//! One says to which worker's socket of a reuseport group a datagram goes. The kernel runs it on the UDP payload; a load
//! past the end makes it return 0, so that what is too short (a keepalive) goes to worker 0.
//!
//! Raw sockets know no groups: each gets a copy of every packet. One more program, on each of them, lets through what
//! its worker owns; a load past the end lets nothing through.
#![expect(unsafe_code, reason = "attaching the program is a setsockopt with a pointer")]

use crate::contract::SpiLayout;
use crate::packet::Channel;
use crate::wire::esp::NON_IKE_MARKER;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A program's instructions, by the few that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// A = the 32 bits at this offset of the payload, network order.
    LoadWord(u32),
    /// A = the 32 bits X octets into it.
    LoadWordAtX,
    /// A = the 16 bits so many octets behind X.
    LoadHalfAtX(u32),
    /// X = this.
    LoadXConstant(u32),
    /// X = octets of the IPv4 header that it begins with.
    LoadXHeaderLen,
    /// A = M[n].
    LoadScratch(u32),
    /// X = M[n].
    LoadXScratch(u32),
    /// M[n] = A.
    Store(u32),
    /// M[n] = X.
    StoreX(u32),
    Multiply(u32),
    Add(u32),
    And(u32),
    ShiftRight(u32),
    Modulo(u32),
    XorX,
    /// If A is this, skip so many.
    SkipIfEqual(u32, u8),
    ReturnA,
    Return(u32),
}

impl Op {
    fn assemble(self) -> libc::sock_filter {
        use libc::{
            BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD,
            BPF_LDX, BPF_MEM, BPF_MOD, BPF_MSH, BPF_MUL, BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_W, BPF_X, BPF_XOR,
        };
        let (code, jt, k) = match self {
            Self::LoadWord(at) => (BPF_LD | BPF_W | BPF_ABS, 0, at),
            Self::LoadWordAtX => (BPF_LD | BPF_W | BPF_IND, 0, 0),
            Self::LoadHalfAtX(at) => (BPF_LD | BPF_H | BPF_IND, 0, at),
            Self::LoadXConstant(k) => (BPF_LDX | BPF_W | BPF_IMM, 0, k),
            Self::LoadXHeaderLen => (BPF_LDX | BPF_B | BPF_MSH, 0, 0),
            Self::LoadScratch(n) => (BPF_LD | BPF_MEM, 0, n),
            Self::LoadXScratch(n) => (BPF_LDX | BPF_MEM, 0, n),
            Self::Store(n) => (BPF_ST, 0, n),
            Self::StoreX(n) => (BPF_STX, 0, n),
            Self::Multiply(k) => (BPF_ALU | BPF_MUL | BPF_K, 0, k),
            Self::Add(k) => (BPF_ALU | BPF_ADD | BPF_K, 0, k),
            Self::And(k) => (BPF_ALU | BPF_AND | BPF_K, 0, k),
            Self::ShiftRight(k) => (BPF_ALU | BPF_RSH | BPF_K, 0, k),
            Self::Modulo(k) => (BPF_ALU | BPF_MOD | BPF_K, 0, k),
            Self::XorX => (BPF_ALU | BPF_XOR | BPF_X, 0, 0),
            Self::SkipIfEqual(k, skip) => (BPF_JMP | BPF_JEQ | BPF_K, skip, k),
            Self::ReturnA => (BPF_RET | BPF_A, 0, 0),
            Self::Return(k) => (BPF_RET | BPF_K, 0, k),
        };
        libc::sock_filter { code: code as u16, jt, jf: 0, k }
    }
}

/// The program for one channel's group of `workers` sockets.
fn program(channel: Channel, workers: u32, layout: &SpiLayout) -> Vec<Op> {
    match channel {
        Channel::Ike | Channel::NatT500 => {
            // The initiator's SPI, 8 random octets, comes first (RFC 7296 section 3.1).
            let ike = by_ike_spi(0, workers);
            let skip = ike.len() as u8;
            // If both of its halves are zero it is the marker in front of ESP.
            let mut ops = vec![Op::LoadWord(0), Op::SkipIfEqual(0, skip)];
            ops.extend(&ike);
            ops.extend([Op::LoadWord(4), Op::SkipIfEqual(0, skip)]);
            ops.extend(ike);
            ops.push(Op::LoadWord(NON_IKE_MARKER.len() as u32));
            ops.extend(by_esp_spi(workers, layout));
            ops.push(Op::ReturnA);
            ops
        }
        Channel::NatT => {
            let esp = [by_esp_spi(workers, layout), vec![Op::ReturnA]].concat();
            // Four zero octets, the non-ESP marker (RFC 3948 section 2.2), stand where ESP has its SPI.
            let mut ops = vec![Op::LoadWord(0), Op::SkipIfEqual(0, esp.len() as u8)];
            ops.extend(esp);
            ops.extend(by_ike_spi(4, workers));
            ops
        }
        // Nothing but ESP.
        Channel::CiscoUdp | Channel::Esp | Channel::Ctcp | Channel::Tcp | Channel::Inner => {
            [vec![Op::LoadWord(0)], by_esp_spi(workers, layout), vec![Op::ReturnA]].concat()
        }
    }
}

/// The program for one worker's raw socket. The kernel runs it on the IP packet over IPv4, behind the header over IPv6.
fn own_program(family: Family, worker: u32, workers: u32, layout: &SpiLayout) -> Vec<Op> {
    let mut ops = match family {
        Family::V4 => vec![Op::LoadXHeaderLen, Op::LoadWordAtX],
        Family::V6 => vec![Op::LoadWord(0)],
    };
    ops.extend(by_esp_spi(workers, layout));
    ops.extend([Op::SkipIfEqual(worker, 1), Op::Return(NOTHING), Op::Return(ALL_OF_IT)]);
    ops
}

/// The program for one worker's raw TCP socket: a connection to one of these ports belongs to the worker that
/// [`WorkerId::of_connection`] names.
fn own_connections(family: Family, worker: u32, workers: u32, ports: &[u16]) -> Vec<Op> {
    let mut ops = vec![match family {
        Family::V4 => Op::LoadXHeaderLen,
        Family::V6 => Op::LoadXConstant(0),
    }];
    ops.push(Op::LoadHalfAtX(2));
    for (at, port) in ports.iter().enumerate() {
        // Behind the last port there is one more instruction to skip.
        ops.push(Op::SkipIfEqual(u32::from(*port), (ports.len() - at) as u8));
    }
    ops.push(Op::Return(NOTHING));
    ops.extend([Op::LoadHalfAtX(0), Op::Modulo(workers), Op::SkipIfEqual(worker, 1)]);
    ops.extend([Op::Return(NOTHING), Op::Return(ALL_OF_IT)]);
    ops
}

/// Octets of a packet that a socket's filter lets through.
const NOTHING: u32 = 0;
const ALL_OF_IT: u32 = u32::MAX;

fn by_ike_spi(at: u32, workers: u32) -> Vec<Op> {
    vec![
        Op::LoadWord(at),
        Op::Store(0),
        Op::LoadWord(at + 4),
        Op::LoadXScratch(0),
        Op::XorX,
        Op::Modulo(workers),
        Op::ReturnA,
    ]
}

/// A is the SPI, and then its worker. Undoes [`SpiLayout`]'s permutation; M[0] is the left half, M[1] the right.
fn by_esp_spi(workers: u32, layout: &SpiLayout) -> Vec<Op> {
    let mut ops =
        vec![Op::Store(2), Op::ShiftRight(16), Op::Store(0), Op::LoadScratch(2), Op::And(0xffff), Op::Store(1)];
    for round in layout.rounds().iter().rev() {
        ops.extend([
            Op::LoadScratch(0),
            Op::Multiply(round.multiplier),
            Op::Add(round.addend),
            Op::ShiftRight(12),
            Op::And(0xffff),
            Op::LoadXScratch(1),
            Op::XorX,
            Op::LoadXScratch(0),
            Op::Store(0),
            Op::StoreX(1),
        ]);
    }
    // The worker's bits are all in the left half.
    ops.extend([Op::LoadScratch(0), Op::ShiftRight(SpiLayout::WORKER_SHIFT - 16), Op::And(0x3f), Op::Modulo(workers)]);
    ops
}

/// The family of a raw socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// Attaches the program to the reuseport group of `socket`, whose sockets were bound in the workers' order.
pub(super) fn attach(socket: BorrowedFd<'_>, channel: Channel, workers: usize, layout: &SpiLayout) -> io::Result<()> {
    let ops = program(channel, workers.max(1) as u32, layout);
    set_program(socket, libc::SO_ATTACH_REUSEPORT_CBPF, ops)
}

/// From now on the raw `socket` receives what is for this worker of so many, and nothing else.
pub(super) fn keep_own(
    socket: BorrowedFd<'_>,
    family: Family,
    worker: usize,
    workers: usize,
    layout: &SpiLayout,
) -> io::Result<()> {
    let ops = own_program(family, worker as u32, workers.max(1) as u32, layout);
    set_program(socket, libc::SO_ATTACH_FILTER, ops)
}

/// From now on the raw TCP `socket` receives the segments to `ports` that are for this worker of so many, and nothing else.
pub(super) fn keep_own_connections(
    socket: BorrowedFd<'_>,
    family: Family,
    worker: usize,
    workers: usize,
    ports: &[u16],
) -> io::Result<()> {
    let ops = own_connections(family, worker as u32, workers.max(1) as u32, ports);
    set_program(socket, libc::SO_ATTACH_FILTER, ops)
}

/// From now on `socket` receives nothing: it is for sending.
pub(super) fn keep_nothing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_program(socket, libc::SO_ATTACH_FILTER, vec![Op::Return(NOTHING)])
}

fn set_program(socket: BorrowedFd<'_>, option: i32, ops: Vec<Op>) -> io::Result<()> {
    let mut filter: Vec<libc::sock_filter> = ops.into_iter().map(Op::assemble).collect();
    let fprog = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: `fprog` and the instructions it points to live until the call returns; the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const fprog).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ClusterSlot, Spi, WorkerId};
    use adit_crypto::random::{SecretRandom, SeededRandom};

    /// What the kernel does with a program, by its documentation (networking/filter.rst).
    fn run(ops: &[Op], payload: &[u8]) -> u32 {
        let (mut a, mut x, mut m, mut at) = (0u32, 0u32, [0u32; 16], 0);
        let word = |at: usize| Some(u32::from_be_bytes(payload.get(at..at + 4)?.try_into().unwrap()));
        loop {
            let op = ops[at];
            at += 1;
            match op {
                Op::LoadWord(offset) => match word(offset as usize) {
                    Some(word) => a = word,
                    None => return 0,
                },
                Op::LoadWordAtX => match word(x as usize) {
                    Some(word) => a = word,
                    None => return 0,
                },
                Op::LoadHalfAtX(offset) => {
                    match payload.get(x as usize + offset as usize..).and_then(<[u8]>::first_chunk) {
                        Some(half) => a = u32::from(u16::from_be_bytes(*half)),
                        None => return 0,
                    }
                }
                Op::LoadXConstant(k) => x = k,
                Op::LoadXHeaderLen => match payload.first() {
                    Some(first) => x = u32::from(first & 0xf) * 4,
                    None => return 0,
                },
                Op::LoadScratch(n) => a = m[n as usize],
                Op::LoadXScratch(n) => x = m[n as usize],
                Op::Store(n) => m[n as usize] = a,
                Op::StoreX(n) => m[n as usize] = x,
                Op::Multiply(k) => a = a.wrapping_mul(k),
                Op::Add(k) => a = a.wrapping_add(k),
                Op::And(k) => a &= k,
                Op::ShiftRight(k) => a >>= k,
                Op::Modulo(k) => a %= k,
                Op::XorX => a ^= x,
                Op::SkipIfEqual(k, skip) => at += if a == k { usize::from(skip) } else { 0 },
                Op::ReturnA => return a,
                Op::Return(k) => return k,
            }
        }
    }

    #[test]
    fn the_program_finds_the_worker_that_the_layout_finds() {
        for seed in 0..100 {
            let mut random = SeededRandom::new(seed);
            let layout = SpiLayout::new(ClusterSlot((seed % 8) as u8), &mut random);
            for workers in [1, 2, 3, 4, 7, 63, 64] {
                let ops = program(Channel::NatT, workers, &layout);
                assert!(ops.len() < 256, "jumps are 8 bits");
                for _ in 0..50 {
                    let mut packet = [0; 40];
                    random.fill(&mut packet);
                    let Some(spi) = Spi::new(u32::from_be_bytes(packet[..4].try_into().unwrap())) else { continue };
                    let want = u32::from(layout.decode(spi).worker.0) % workers;
                    assert_eq!(run(&ops, &packet), want, "{spi} of {workers}");
                    assert_eq!(run(&program(Channel::CiscoUdp, workers, &layout), &packet), want);
                    let marked = [&[0; 8][..], &packet].concat();
                    assert_eq!(run(&program(Channel::Ike, workers, &layout), &marked), want);
                }
                for worker in 0..workers {
                    let Some(spi) = layout.encode(WorkerId(worker as u8), seed as u32, 5) else { continue };
                    assert_eq!(run(&ops, &spi.get().to_be_bytes()), worker);
                }
            }
        }
    }

    #[test]
    fn a_raw_tcp_socket_lets_through_the_connections_of_its_worker_and_its_ports_and_nothing_else() {
        let ports = [10_000, 443, 4500];
        for workers in [1, 2, 3, 64] {
            for (source, destination) in [(40_001, 10_000), (40_002, 443), (7, 4500), (40_003, 80), (65_535, 10_001)] {
                let segment = [u16::to_be_bytes(source), u16::to_be_bytes(destination)].concat();
                let owner = WorkerId::of_connection(source, workers as usize);
                for worker in 0..workers {
                    let own = owner == WorkerId(worker as u8) && ports.contains(&destination);
                    let want = if own { ALL_OF_IT } else { NOTHING };
                    assert_eq!(run(&own_connections(Family::V6, worker, workers, &ports), &segment), want);
                    let packet = [&[0x46; 24][..], &segment].concat();
                    assert_eq!(run(&own_connections(Family::V4, worker, workers, &ports), &packet), want);
                    assert_eq!(run(&own_connections(Family::V4, worker, workers, &ports), &packet[..25]), NOTHING);
                }
            }
        }
    }

    #[test]
    fn a_raw_socket_lets_through_what_the_layout_says_is_its_workers_and_nothing_else() {
        for seed in 0..50 {
            let mut random = SeededRandom::new(seed);
            let layout = SpiLayout::new(ClusterSlot((seed % 8) as u8), &mut random);
            for workers in [1, 2, 3, 7, 64] {
                let mut packet = [0; 84];
                random.fill(&mut packet);
                let Some(spi) = Spi::new(u32::from_be_bytes(packet[60..64].try_into().unwrap())) else { continue };
                let owner = u32::from(layout.decode(spi).worker.0) % workers;
                for worker in 0..workers {
                    let want = if worker == owner { ALL_OF_IT } else { NOTHING };
                    let v6 = own_program(Family::V6, worker, workers, &layout);
                    assert_eq!(run(&v6, &packet[60..]), want, "{spi}: {worker} of {workers}");
                    let v4 = own_program(Family::V4, worker, workers, &layout);
                    // IPv4 headers of 20 to 60 octets in front.
                    for words in 5..=15 {
                        let mut packet = packet[60 - 4 * words..].to_vec();
                        packet[0] = 0x40 | words as u8;
                        assert_eq!(run(&v4, &packet), want, "{spi} behind {words} words: {worker} of {workers}");
                        assert_eq!(run(&v4, &packet[..4 * words + 3]), NOTHING, "no SPI");
                    }
                    assert_eq!((run(&v6, &packet[60..63]), run(&v4, &[])), (NOTHING, NOTHING));
                }
            }
        }
    }

    #[test]
    fn ike_is_spread_by_the_initiators_spi_with_and_without_marker() {
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let (bare, marked) = (program(Channel::Ike, 4, &layout), program(Channel::NatT, 4, &layout));
        let mut random = SeededRandom::new(2);
        let mut hits = [0; 4];
        for _ in 0..400 {
            let mut message = [0; 32];
            random.fill(&mut message[4..]);
            let worker = run(&bare, &message[4..]);
            assert_eq!(worker, run(&marked, &message), "both ports name the same worker");
            hits[worker as usize] += 1;
        }
        assert!(hits.iter().all(|hits| (50..150).contains(hits)), "{hits:?}");
        // Half a marker is a cookie.
        for (cookie, worker) in [([0, 0, 0, 0, 0, 0, 0, 7], 3), ([0, 0, 0, 7, 0, 0, 0, 0], 3)] {
            assert_eq!(run(&bare, &[&cookie[..], &[0xff; 20]].concat()), worker);
        }
    }

    #[test]
    fn what_is_too_short_goes_to_worker_0() {
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(3));
        for channel in [Channel::Ike, Channel::NatT, Channel::CiscoUdp] {
            let ops = program(channel, 5, &layout);
            for len in 0..4 {
                assert_eq!(run(&ops, &[0xff; 4][..len]), 0);
            }
        }
        assert_eq!(run(&program(Channel::NatT, 5, &layout), &[0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]), 0);
        for len in 0..12 {
            assert_eq!(run(&program(Channel::Ike, 5, &layout), &[0; 12][..len]), 0);
        }
    }
}
