//! The kernel doors against the kernel itself: real sockets and TUN interfaces, each test in network namespaces of
//! its own that vanish with its threads. The same script goes through both doors and must give the same packets.
//!
//! Needs the right to make namespaces. Without it a test says SKIPPED past the capture of its output, so that
//! `make test` counts it as skipped; under `CI=true` it fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of any #[test] function")]
#![expect(clippy::disallowed_methods, reason = "a test of real time sleeps")]

use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_dataplane::contract::{ClusterSlot, InnerLayout, OuterDf, Path, SpiLayout, Transport, Transports, WorkerId};
use adit_dataplane::io::{Backend, Door, DoorSeed, IoConfig, Lack, OpenError, OpenReport, TunConfig, Woken};
use adit_dataplane::offload::{finish_checksum, split};
use adit_dataplane::packet::{Burst, Channel, OuterFragments, PacketBuf, Pool, PoolSizes, Segments};
use adit_dataplane::wire::traffic_class::TrafficClass;
use nix::sched::{CloneFlags, unshare};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

/// The doors that this kernel can open. One without io_uring is said loudly, for each test.
fn doors() -> Vec<Backend> {
    let opened = in_namespace(|| open(&config(Backend::Uring, &["127.0.0.1"]), 1, &layout()).map(drop));
    match opened {
        Some(Err(OpenError::NoUring(why))) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no io_uring under CI: {why}");
            skipped(thread::current().name().unwrap_or_default(), &format!("for io_uring: {why}"));
            vec![Backend::SystemCalls]
        }
        // Without namespaces each test says for itself that it is skipped.
        Some(_) | None => vec![Backend::SystemCalls, Backend::Uring],
    }
}

/// In one piece, past the capture of a test's output: other tests write at the same time.
fn skipped(test: &str, why: &str) {
    let _ = std::io::stderr().write_all(format!("\nSKIPPED {test}: {why}\n").as_bytes());
}

/// Runs `body` on a thread in a fresh network namespace with loopback up. `None`, loudly, without privileges.
fn in_namespace<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let test = thread::current().name().unwrap_or_default().to_owned();
    let outcome = thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no network namespaces under CI: {error}");
            skipped(&test, &format!("no right to make a network namespace ({error})"));
            return None;
        }
        ip("link set lo up");
        Some(body())
    });
    outcome.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Between fork and exec a child holds copies of all sockets of this process: a port that [`open`] has just tried and
/// let go of would still be in use. So no test opens doors while another starts a program.
static FORKING: RwLock<()> = RwLock::new(());

fn ip(arguments: &str) {
    let started = {
        let _alone = FORKING.write().unwrap();
        Command::new("ip").args(arguments.split(' ')).spawn()
    };
    assert!(started.unwrap().wait().unwrap().success(), "ip {arguments}");
}

fn open(config: &IoConfig, workers: usize, layout: &SpiLayout) -> Result<(Vec<DoorSeed>, OpenReport), OpenError> {
    let _nobody_forks = FORKING.read().unwrap();
    adit_dataplane::io::open(config, workers, layout)
}

fn layout() -> SpiLayout {
    SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1))
}

fn config(backend: Backend, listen: &[&str]) -> IoConfig {
    IoConfig {
        listen: listen.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect(),
        backend,
        tun: None,
        spin: Duration::from_micros(20),
        ..IoConfig::default()
    }
}

/// A door with its pool, driven by hand.
struct Worker {
    door: Box<dyn Door>,
    pool: Pool,
}

impl Worker {
    fn new(seed: DoorSeed) -> Self {
        Self { door: seed.open().unwrap(), pool: Pool::new(PoolSizes::default()) }
    }

    fn alone(config: &IoConfig) -> Self {
        let (mut seeds, report) = open(config, 1, &layout()).unwrap();
        assert!(report.lacks.is_empty(), "{:?}", report.lacks);
        Self::new(seeds.pop().unwrap())
    }

    /// Receives until `count` packets are there.
    fn receive(&mut self, count: usize) -> Burst {
        let mut burst = Burst::new();
        for _ in 0..1000 {
            self.door.receive(&mut self.pool, &mut burst, 64);
            if burst.len() >= count {
                break;
            }
            self.door.wait(Duration::from_millis(10)).unwrap();
        }
        assert_eq!(burst.len(), count, "packets received");
        burst
    }

    fn receives_nothing(&mut self) {
        let mut burst = Burst::new();
        for _ in 0..3 {
            self.door.wait(Duration::from_millis(5)).unwrap();
            assert_eq!(self.door.receive(&mut self.pool, &mut burst, 64), 0);
        }
    }

    fn send(&mut self, burst: &mut Burst) {
        self.door.transmit(&mut self.pool, burst);
        assert!(burst.is_empty(), "{:?}", burst.first().map(|packet| packet.meta));
        self.door.flush(&mut self.pool).unwrap();
    }

    fn packet(&mut self, bytes: &[u8], channel: Channel, path: Path) -> PacketBuf {
        let small = self.pool.sizes().small_capacity - PacketBuf::HEADROOM - PacketBuf::TAILROOM;
        let taken = if bytes.len() > small { self.pool.take_large() } else { self.pool.take_small() };
        let mut packet = taken.unwrap();
        packet.extend_back(bytes.len()).unwrap().copy_from_slice(bytes);
        packet.meta.channel = channel;
        packet.meta.path = Some(path);
        packet
    }
}

fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn peer(text: &str) -> UdpSocket {
    let socket = UdpSocket::bind(text).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

fn get(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(len);
    (buffer, from)
}

/// A host's raw socket for native ESP. Over IPv4 what it receives has its header in front.
fn esp_peer(text: &str) -> UdpSocket {
    use socket2::{Domain, Protocol, Socket, Type};
    let address = SocketAddr::new(text.parse().unwrap(), 0);
    let socket = Socket::new(Domain::for_address(address), Type::RAW, Some(Protocol::from(50))).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    UdpSocket::from(std::os::fd::OwnedFd::from(socket))
}

/// What the next native ESP packet is, and from whom.
fn get_esp(socket: &UdpSocket) -> (Vec<u8>, IpAddr) {
    let (mut bytes, from) = get(socket);
    if from.is_ipv4() {
        assert_eq!((bytes[0] >> 4, bytes[9]), (4, 50));
        bytes.drain(..usize::from(bytes[0] & 0xf) * 4);
    }
    (bytes, from.ip())
}

/// What a packet is, seen from outside the door.
type Seen = (Vec<u8>, Channel, Option<Path>);

fn seen(burst: &Burst) -> Vec<Seen> {
    burst.iter().map(|packet| (packet.bytes().to_vec(), packet.meta.channel, packet.meta.path)).collect()
}

/// Datagrams of all sizes in, the same back, with two local addresses and both families.
fn script(backend: Backend) -> Vec<Seen> {
    ip("addr add fd00::1/128 dev lo");
    ip("addr add fd00::2/128 dev lo");
    let mut worker = Worker::alone(&config(backend, &["0.0.0.0", "::"]));
    let mut all = Vec::new();
    for (from, locals) in [("127.0.0.9:7777", ["127.0.0.3", "127.0.0.4"]), ("[fd00::2]:7777", ["::1", "fd00::1"])] {
        let peer = peer(from);
        for local in locals {
            for (port, channel) in [(500, Channel::Ike), (4500, Channel::NatT), (10_000, Channel::CiscoUdp)] {
                let local = SocketAddr::new(local.parse().unwrap(), port);
                let path = Path { local, peer: address(from) };
                for len in [0, 1, 1500, 1664, 1665, 9000, 65_487] {
                    let bytes = pattern(len as u64, len);
                    peer.send_to(&bytes, local).unwrap();
                    let mut burst = worker.receive(1);
                    assert_eq!(seen(&burst), [(bytes.clone(), channel, Some(path))], "{len} octets");
                    all.extend(seen(&burst));
                    worker.send(&mut burst);
                    assert_eq!(get(&peer), (bytes, local), "{len} octets on their way back");
                }
            }
        }
    }
    // a burst both ways
    let peer = peer("127.0.0.9:7778");
    for n in 0..100u64 {
        peer.send_to(&pattern(n, 50 + n as usize), "127.0.0.5:4500").unwrap();
    }
    let mut burst = worker.receive(100);
    all.extend(seen(&burst));
    worker.send(&mut burst);
    for n in 0..100u64 {
        assert_eq!(get(&peer), (pattern(n, 50 + n as usize), address("127.0.0.5:4500")), "in order");
    }
    let stats = worker.door.stats();
    assert_eq!((stats.transmit_full, stats.transmit_failed, stats.starved), (0, 0, 0));
    assert_eq!(worker.pool.free().0, PoolSizes::default().small, "every small buffer came home");
    all
}

#[test]
fn the_same_script_through_both_doors_gives_the_same_packets() {
    let outcomes: Vec<_> = doors().into_iter().map(|backend| in_namespace(move || script(backend))).collect();
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
}

/// Octets, class, longest fragment of what a door sends to itself over a link of 1280 octets, in every class and size.
fn sizes_and_classes(backend: Backend) -> Vec<(usize, TrafficClass, Option<u16>)> {
    ip("link set lo mtu 1280");
    ip("addr add fd00::1/128 dev lo");
    ip("addr add fd00::2/128 dev lo");
    let config = IoConfig { outer_df: OuterDf::Copy, ..config(backend, &["0.0.0.0", "::"]) };
    let mut worker = Worker::alone(&config);
    let mut all = Vec::new();
    for (channel, local, peer, head) in [
        (Channel::NatT, "127.0.0.3:4500", "127.0.0.4:4500", 28),
        (Channel::NatT, "[fd00::1]:4500", "[fd00::2]:4500", 48),
        (Channel::NatT500, "127.0.0.3:500", "127.0.0.4:500", 28),
        (Channel::NatT500, "[fd00::1]:500", "[fd00::2]:500", 48),
        (Channel::CiscoUdp, "127.0.0.3:10000", "127.0.0.4:10000", 28),
        (Channel::Esp, "127.0.0.3:0", "127.0.0.4:0", 20),
        (Channel::Esp, "[fd00::1]:0", "[fd00::2]:0", 40),
    ] {
        let path = Path { local: address(local), peer: address(peer) };
        let v4 = path.local.is_ipv4();
        let back = Path { local: path.peer, peer: path.local };
        // Six of a size to a class: what may be grouped is, and what may not is not.
        for len in [100, 1280 - head, 1281 - head, 3000] {
            for fragments in [OuterFragments::Allowed, OuterFragments::Forbidden] {
                let mut burst = Burst::new();
                let failed = worker.door.stats().transmit_failed;
                for octet in [0, 0, 0xb9, 0xb9, 0x02, 0] {
                    let mut packet = worker.packet(&pattern(octet, len), channel, path);
                    packet.meta.outer_class = TrafficClass::from_octet(octet as u8);
                    packet.meta.outer_fragments = fragments;
                    burst.push(packet);
                    // A group that the kernel refuses to cut goes one by one later, behind what followed it.
                    if len + head > 1280 {
                        worker.send(&mut burst);
                    }
                }
                worker.send(&mut burst);
                if fragments == OuterFragments::Forbidden && v4 && len + head > 1280 {
                    worker.receives_nothing();
                    assert_eq!(worker.door.stats().transmit_failed - failed, 6, "too long for the interface, with DF");
                    continue;
                }
                let mut burst = worker.receive(6);
                for (packet, octet) in burst.drain(..).zip([0, 0, 0xb9, 0xb9, 0x02, 0]) {
                    assert_eq!((packet.meta.channel, packet.meta.path), (channel.door(), Some(back)));
                    assert!(packet.bytes() == pattern(octet, len), "{len}: whole, and in order");
                    assert_eq!(u64::from(packet.meta.outer_class.octet()), octet);
                    // Over IPv4 payloads of whole eights behind 20 octets, over IPv6 behind 48.
                    let longest = if v4 { 1276 } else { 1280 };
                    assert_eq!(packet.meta.longest_fragment, (len + head > 1280).then_some(longest));
                    all.push((packet.len(), packet.meta.outer_class, packet.meta.longest_fragment));
                    worker.pool.put(packet);
                }
            }
        }
    }
    all
}

#[test]
fn classes_and_fragments_pass_both_doors_alike() {
    let outcomes: Vec<_> =
        doors().into_iter().map(|backend| in_namespace(move || sizes_and_classes(backend))).collect();
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
}

#[test]
fn the_largest_datagram_of_ipv4_arrives_whole() {
    for backend in doors() {
        in_namespace(move || {
            let mut worker = Worker::alone(&config(backend, &["127.0.0.1"]));
            let peer = peer("127.0.0.1:7777");
            let bytes = pattern(9, 65_507);
            peer.send_to(&bytes, "127.0.0.1:500").unwrap();
            let mut burst = worker.receive(1);
            assert_eq!(burst[0].bytes(), bytes);
            worker.send(&mut burst);
            assert_eq!(get(&peer), (bytes, address("127.0.0.1:500")));
        });
    }
}

#[test]
fn datagrams_of_one_size_leave_as_one_message_and_arrive_in_order() {
    for backend in doors() {
        in_namespace(move || {
            let mut worker = Worker::alone(&config(backend, &["0.0.0.0"]));
            let peers = [peer("127.0.0.8:7777"), peer("127.0.0.9:7777")];
            let path = |n: usize| Path { local: address("127.0.0.3:4500"), peer: peers[n].local_addr().unwrap() };
            // 44 to each, interleaved: 1400 octets, the last shorter
            let mut burst = Burst::new();
            for n in 0..44u64 {
                for to in 0..2 {
                    let bytes = pattern(n, if n == 43 { 700 } else { 1400 });
                    burst.push(worker.packet(&bytes, Channel::NatT, path(to)));
                }
            }
            let before = worker.door.stats();
            worker.send(&mut burst);
            for peer in &peers {
                for n in 0..44u64 {
                    let want = pattern(n, if n == 43 { 700 } else { 1400 });
                    assert_eq!(get(peer), (want, address("127.0.0.3:4500")));
                }
            }
            let after = worker.door.stats();
            assert_eq!(after.segmented - before.segmented, 88);
            assert!(after.system_calls - before.system_calls <= 3, "{after:?}");
        });
    }
}

#[test]
fn datagrams_that_do_not_fit_the_mtu_are_fragmented_though_they_were_grouped() {
    for backend in doors() {
        in_namespace(move || {
            ip("link set lo mtu 1280");
            let mut worker = Worker::alone(&config(backend, &["0.0.0.0"]));
            let peer = peer("127.0.0.9:7777");
            let path = Path { local: address("127.0.0.3:4500"), peer: address("127.0.0.9:7777") };
            for round in 0..2 {
                let mut burst: Burst = (0..10).map(|n| worker.packet(&pattern(n, 1400), Channel::NatT, path)).collect();
                worker.send(&mut burst);
                for n in 0..10 {
                    assert_eq!(get(&peer).0, pattern(n, 1400), "round {round}");
                }
            }
            let stats = worker.door.stats();
            assert_eq!((stats.transmit_failed, stats.transmit_full, stats.segmented), (0, 0, 0));
            assert_eq!(worker.pool.free().0, PoolSizes::default().small);
        });
    }
}

#[test]
fn datagrams_that_the_kernel_joined_come_apart() {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;
    for backend in doors() {
        in_namespace(move || {
            let mut worker = Worker::alone(&config(backend, &["127.0.0.1"]));
            let peer = peer("127.0.0.9:7777");
            let bytes = pattern(5, 40 * 1000 + 300);
            let to = SockaddrIn::new(127, 0, 0, 1, 4500);
            let segment = [ControlMessage::UdpGsoSegments(&1000)];
            sendmsg(peer.as_raw_fd(), &[IoSlice::new(&bytes)], &segment, MsgFlags::empty(), Some(&to)).unwrap();
            // limits of 7 at a time: what is left over comes with the next call
            let mut burst = Burst::new();
            while burst.len() < 41 {
                if worker.door.receive(&mut worker.pool, &mut burst, 7) == 0 {
                    worker.door.wait(Duration::from_millis(10)).unwrap();
                }
            }
            let lengths: Vec<usize> = burst.iter().map(PacketBuf::len).collect();
            assert_eq!(lengths, [vec![1000; 40], vec![300]].concat());
            assert_eq!(burst.iter().flat_map(|packet| packet.bytes().to_vec()).collect::<Vec<_>>(), bytes);
            worker.receives_nothing();
        });
    }
}

#[test]
fn each_packet_reaches_the_worker_that_its_spi_names() {
    for backend in doors() {
        in_namespace(move || {
            let layout = layout();
            let config = config(backend, &["127.0.0.1", "::1"]);
            let (seeds, _) = open(&config, 3, &layout).unwrap();
            let mut workers: Vec<Worker> = seeds.into_iter().map(Worker::new).collect();
            for (peer, to, marker) in [
                (peer("127.0.0.9:7777"), "127.0.0.1:4500", 0),
                (peer("[::1]:7777"), "[::1]:4500", 0),
                (peer("127.0.0.9:7775"), "127.0.0.1:500", 8),
                (peer("[::1]:7775"), "[::1]:500", 8),
                (peer("127.0.0.9:7776"), "127.0.0.1:10000", 0),
                (peer("[::1]:7776"), "[::1]:10000", 0),
                (esp_peer("127.0.0.9"), "127.0.0.1:0", 0),
                (esp_peer("::1"), "[::1]:0", 0),
            ] {
                for slot in 0..100 {
                    for worker in 0..3 {
                        let Some(spi) = layout.encode(WorkerId(worker), slot, slot) else { continue };
                        let mut packet = [worker; 60];
                        packet[..marker].fill(0);
                        packet[marker..marker + 4].copy_from_slice(&spi.get().to_be_bytes());
                        peer.send_to(&packet, to).unwrap();
                    }
                }
                for (index, worker) in workers.iter_mut().enumerate() {
                    let burst = worker.receive(100);
                    assert!(burst.iter().all(|packet| packet.bytes()[59] == index as u8), "worker {index}");
                    burst.into_iter().for_each(|packet| worker.pool.put(packet));
                }
            }
            // IKE is spread by the initiator's SPI, the same on both ports
            let peer = peer("127.0.0.9:7778");
            for n in 0..30u64 {
                let message = pattern(n, 40);
                peer.send_to(&message, "127.0.0.1:500").unwrap();
                peer.send_to(&[&[0; 4], &message[..]].concat(), "127.0.0.1:4500").unwrap();
            }
            let mut total = 0;
            for worker in &mut workers {
                let mut burst = Burst::new();
                for _ in 0..5 {
                    worker.door.receive(&mut worker.pool, &mut burst, 64);
                    worker.door.wait(Duration::from_millis(5)).unwrap();
                }
                let (bare, marked): (Vec<_>, Vec<_>) =
                    burst.iter().partition(|packet| packet.meta.channel == Channel::Ike);
                assert!(!bare.is_empty(), "spread over all");
                let marked: Vec<_> = marked.iter().map(|packet| &packet.bytes()[4..]).collect();
                assert_eq!(bare.iter().map(|packet| packet.bytes()).collect::<Vec<_>>(), marked);
                total += bare.len();
            }
            assert_eq!(total, 30);
        });
    }
}

/// Native ESP of all sizes in, the same back, to and from two local addresses of each family.
fn esp_script(backend: Backend) -> Vec<Seen> {
    ip("addr add fd00::1/128 dev lo");
    ip("addr add fd00::2/128 dev lo");
    let mut worker = Worker::alone(&config(backend, &["127.0.0.3", "127.0.0.4", "::1", "fd00::1"]));
    let mut all = Vec::new();
    for (from, locals) in [("127.0.0.9", ["127.0.0.3", "127.0.0.4"]), ("fd00::2", ["::1", "fd00::1"])] {
        let peer = esp_peer(from);
        for local in locals {
            let local = SocketAddr::new(local.parse().unwrap(), 0);
            let path = Path { local, peer: SocketAddr::new(from.parse().unwrap(), 0) };
            for len in [4, 60, 1500, 1664, 1665, 9000, 65_400] {
                let bytes = pattern(len as u64, len);
                peer.send_to(&bytes, local).unwrap();
                let mut burst = worker.receive(1);
                assert_eq!(seen(&burst), [(bytes.clone(), Channel::Esp, Some(path))], "{len} octets");
                all.extend(seen(&burst));
                worker.send(&mut burst);
                assert_eq!(get_esp(&peer), (bytes, local.ip()), "{len} octets on their way back");
            }
            // A burst of one size: nothing may join it, and it keeps its order.
            for n in 0..100u64 {
                peer.send_to(&pattern(n, 500), local).unwrap();
            }
            let mut burst = worker.receive(100);
            all.extend(seen(&burst));
            worker.send(&mut burst);
            for n in 0..100u64 {
                assert_eq!(get_esp(&peer), (pattern(n, 500), local.ip()), "in order");
            }
        }
    }
    let stats = worker.door.stats();
    assert_eq!((stats.transmit_full, stats.transmit_failed, stats.starved, stats.segmented), (0, 0, 0, 0));
    assert_eq!(worker.pool.free().0, PoolSizes::default().small, "every small buffer came home");
    all
}

#[test]
fn native_esp_passes_both_doors_alike() {
    let outcomes: Vec<_> = doors().into_iter().map(|backend| in_namespace(move || esp_script(backend))).collect();
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
}

#[test]
fn native_esp_to_a_wildcard_is_answered_from_the_address_that_it_was_sent_to() {
    for backend in doors() {
        in_namespace(move || {
            ip("addr add fd00::2/128 dev lo");
            let mut worker = Worker::alone(&config(backend, &["0.0.0.0", "::"]));
            for (from, local) in [("127.0.0.9", "127.0.0.4:0"), ("fd00::2", "[::1]:0")] {
                let peer = esp_peer(from);
                let bytes = pattern(1, 100);
                peer.send_to(&bytes, local).unwrap();
                let mut burst = worker.receive(1);
                let path = Path { local: address(local), peer: SocketAddr::new(from.parse().unwrap(), 0) };
                assert_eq!(seen(&burst), [(bytes.clone(), Channel::Esp, Some(path))]);
                worker.send(&mut burst);
                assert_eq!(get_esp(&peer), (bytes, address(local).ip()));
                // The peer is this host too: the wildcard gets what was sent to it.
                let echo = worker.receive(1);
                assert_eq!(echo[0].meta.path, Some(Path { local: path.peer, peer: path.local }));
                echo.into_iter().for_each(|packet| worker.pool.put(packet));
            }
        });
    }
}

#[test]
fn the_kernel_refuses_native_esp_only_where_no_door_is_open_for_it() {
    for backend in doors() {
        in_namespace(move || {
            for (from, to) in [("127.0.0.9", "127.0.0.1:0"), ("fd00::2", "[::1]:0")] {
                ip("addr add fd00::2/128 dev lo nodad");
                let peer = esp_peer(from);
                peer.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                peer.connect(to).unwrap();
                let heard = || {
                    peer.send(&[7; 60]).unwrap();
                    loop {
                        // The end of a ring interrupts what its thread waits for.
                        match peer.recv(&mut [0; 100]).unwrap_err().kind() {
                            std::io::ErrorKind::Interrupted => {}
                            kind => return kind,
                        }
                    }
                };
                let quiet = std::io::ErrorKind::WouldBlock;
                let udp_alone = IoConfig {
                    transports: Transports::NONE.with(Transport::NatT),
                    ..config(backend, &["127.0.0.1", "::1"])
                };
                let mut worker = Worker::alone(&udp_alone);
                // The last door's sockets may linger in its ring for a moment.
                assert!((0..20).any(|_| heard() != quiet), "the kernel says that nobody takes the protocol");
                worker.receives_nothing();
                drop(worker);
                let mut worker = Worker::alone(&config(backend, &["127.0.0.1", "::1"]));
                assert_eq!(heard(), quiet);
                assert_eq!(worker.receive(1)[0].bytes(), [7; 60]);
                drop(worker);
                ip("addr del fd00::2/128 dev lo");
            }
        });
    }
}

#[test]
fn without_the_right_to_raw_sockets_native_esp_and_ctcp_are_refused_in_words_and_all_else_opens() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    in_namespace(|| {
        let mut capabilities = capabilities(None).unwrap();
        capabilities.effective -= CapabilitySet::NET_RAW;
        // Of this thread alone.
        set_capabilities(None, capabilities).unwrap();
        let config = config(Backend::SystemCalls, &["127.0.0.1"]);
        let Err(error) = open(&config, 1, &layout()) else { panic!("it opens") };
        assert!(matches!(error, OpenError::NativeEspNotPermitted), "{error}");
        assert!(error.to_string().contains("CAP_NET_RAW"));
        let transports: Transports = Transports::ALL.iter().filter(|transport| *transport != Transport::Esp).collect();
        let Err(error) = open(&IoConfig { transports, ..config.clone() }, 1, &layout()) else { panic!("it opens") };
        assert!(matches!(error, OpenError::CtcpNotPermitted), "{error}");
        assert!(error.to_string().contains("CAP_NET_RAW"));
        let transports =
            transports.iter().filter(|transport| !matches!(transport, Transport::Ctcp | Transport::Tcp)).collect();
        assert!(open(&IoConfig { transports, ..config }, 1, &layout()).is_ok());
    });
}

/// A configuration with a TUN that has a pool of each family behind it.
fn with_pools(backend: Backend) -> IoConfig {
    let addresses = ["10.30.0.1/16", "fd30::1/64"].map(|address| address.parse().unwrap());
    let tun = Some(TunConfig { addresses: addresses.to_vec(), ..TunConfig::default() });
    IoConfig { tun, ..config(backend, &["127.0.0.1"]) }
}

/// Sends a datagram from this host to each inner address of the two pools, several flows each: the kernel puts them
/// into the TUN. Returns how many of them each worker gets, by the worker that the address names.
fn inner_arrivals(workers: &mut [Worker]) -> Vec<Vec<usize>> {
    let layout = InnerLayout::new(workers.len());
    let mut sent = 0;
    for flow in 0..3 {
        let flows = ["10.30.0.1", "fd30::1"].map(|own| UdpSocket::bind((own, 7000 + flow)).unwrap());
        for host in 2..42 {
            flows[0].send_to(b"adit", (format!("10.30.0.{host}"), 9)).unwrap();
            flows[1].send_to(b"adit", (format!("fd30::1:{host:x}"), 9)).unwrap();
            sent += 2;
        }
    }
    let mut arrivals = vec![vec![0; workers.len()]; workers.len()];
    for _ in 0..200 {
        for (worker, arrived) in workers.iter_mut().zip(&mut arrivals) {
            let mut burst = Burst::new();
            worker.door.receive(&mut worker.pool, &mut burst, 64);
            for packet in burst {
                let bytes = packet.bytes();
                // What the kernel says by itself (router solicitations) is not ours.
                if bytes.ends_with(b"adit") {
                    let ip = adit_dataplane::wire::ip::IpPacket::parse(bytes).unwrap();
                    arrived[layout.owner(ip.addresses.destination()).index()] += 1;
                }
                worker.pool.put(packet);
            }
        }
        if arrivals.iter().flatten().sum::<usize>() == sent {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    arrivals
}

#[test]
fn each_inner_packet_reaches_the_worker_that_its_address_names() {
    for backend in doors() {
        in_namespace(move || {
            let (seeds, report) = open(&with_pools(backend), 2, &layout()).unwrap();
            assert_eq!(report.lacks, []);
            let mut workers: Vec<Worker> = seeds.into_iter().map(Worker::new).collect();
            assert_eq!(inner_arrivals(&mut workers), [[120, 0], [0, 120]]);
            drop(workers);
            let (seeds, report) = open(&with_pools(backend), 3, &layout()).unwrap();
            assert_eq!(report.lacks, []);
            let mut workers: Vec<Worker> = seeds.into_iter().map(Worker::new).collect();
            // Of 40 addresses of each family, the first and the last on worker 0.
            assert_eq!(inner_arrivals(&mut workers), [[84, 0, 0], [0, 78, 0], [0, 0, 78]]);
        });
    }
}

#[test]
fn where_bpf_is_forbidden_the_kernel_spreads_inner_packets_and_the_report_says_so() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    in_namespace(|| {
        let mut capabilities = capabilities(None).unwrap();
        capabilities.effective -= CapabilitySet::BPF | CapabilitySet::SYS_ADMIN;
        // Of this thread alone.
        set_capabilities(None, capabilities).unwrap();
        let (seeds, report) = open(&with_pools(Backend::SystemCalls), 2, &layout()).unwrap();
        let forbidden = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap().trim() != "0";
        match &report.lacks[..] {
            [Lack::NoInnerSteering(why)] if forbidden => assert!(why.contains("CAP_BPF"), "{why}"),
            [] if !forbidden => {}
            lacks => panic!("{lacks:?}"),
        }
        let mut workers: Vec<Worker> = seeds.into_iter().map(Worker::new).collect();
        assert_eq!(inner_arrivals(&mut workers).iter().flatten().sum::<usize>(), 240, "nothing is lost");
    });
}

#[test]
fn another_thread_ends_the_wait() {
    for backend in doors() {
        in_namespace(move || {
            let mut worker = Worker::alone(&config(backend, &["127.0.0.1"]));
            worker.receives_nothing();
            for _ in 0..20 {
                let waker = worker.door.waker();
                let other = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(2));
                    waker.wake();
                });
                let start = worker.door.now();
                assert_eq!(worker.door.wait(Duration::from_secs(5)).unwrap(), Woken::Called);
                assert!(worker.door.now().since(start) < Duration::from_secs(4));
                other.join().unwrap();
                worker.receives_nothing();
            }
            assert_eq!(worker.door.wait(Duration::from_millis(1)).unwrap(), Woken::TimedOut);
            // a call before the wait counts too
            worker.door.waker().wake();
            assert_eq!(worker.door.wait(Duration::from_secs(5)).unwrap(), Woken::Called);
        });
    }
}

#[test]
fn a_sleeping_door_lets_packets_gather_and_wakes_at_once_for_a_late_one() {
    for backend in doors() {
        in_namespace(move || {
            let gathering = |coalesce| IoConfig { coalesce, spin: Duration::ZERO, ..config(backend, &["127.0.0.1"]) };
            let send_apart = |apart: Duration, count: u64| {
                thread::spawn(move || {
                    let peer = UdpSocket::bind("127.0.0.9:7777").unwrap();
                    for n in 0..count {
                        thread::sleep(apart);
                        peer.send_to(&pattern(n, 100), "127.0.0.1:4500").unwrap();
                    }
                })
            };
            let mut worker = Worker::alone(&gathering(Duration::from_secs(1)));
            worker.receives_nothing();
            let sender = send_apart(Duration::from_millis(2), 400);
            let (mut burst, mut waits) = (Burst::new(), 0);
            while burst.len() < 400 {
                assert_eq!(worker.door.wait(Duration::from_secs(20)).unwrap(), Woken::Ready);
                waits += 1;
                // as a worker does it: until there is nothing
                while worker.door.receive(&mut worker.pool, &mut burst, 64) > 0 {}
            }
            sender.join().unwrap();
            assert!(burst.iter().zip(0..).all(|(packet, n)| packet.bytes() == pattern(n, 100)), "in order");
            assert!(waits <= 100, "{waits} waits for 400 packets, one at a time");
            drop((worker, burst));

            let mut worker = Worker::alone(&gathering(Duration::from_millis(1)));
            worker.receives_nothing();
            let start = worker.door.now();
            let sender = send_apart(Duration::from_millis(100), 1);
            assert_eq!(worker.door.wait(Duration::from_secs(20)).unwrap(), Woken::Ready);
            assert!(worker.door.now().since(start) < Duration::from_secs(10), "not at the end of the wait");
            sender.join().unwrap();
            worker.receive(1);
        });
    }
}

#[test]
fn a_worker_that_takes_few_at_once_does_not_sleep_while_there_are_more() {
    for backend in doors() {
        in_namespace(move || {
            let (spin, coalesce) = (Duration::ZERO, Duration::from_millis(100));
            let mut worker = Worker::alone(&IoConfig { spin, coalesce, ..config(backend, &["127.0.0.1"]) });
            worker.receives_nothing();
            let peer = peer("127.0.0.9:7777");
            // The first of them teach the door that it is worth while to let packets gather.
            for round in 0..5 {
                for n in 0..300 {
                    peer.send_to(&pattern(n, 100), "127.0.0.1:4500").unwrap();
                }
                let (mut burst, mut waits) = (Burst::new(), 0);
                while burst.len() < 300 {
                    assert_eq!(worker.door.wait(Duration::from_secs(20)).unwrap(), Woken::Ready);
                    waits += 1;
                    while worker.door.receive(&mut worker.pool, &mut burst, 15) > 0 {}
                }
                assert!(burst.iter().zip(0..).all(|(packet, n)| packet.bytes() == pattern(n, 100)), "in order");
                burst.into_iter().for_each(|packet| worker.pool.put(packet));
                assert!(waits <= 10, "round {round}: {waits} waits for packets that were all there");
            }
        });
    }
}

#[test]
fn a_door_that_waits_for_packets_does_not_ask_for_them_all_the_time() {
    for backend in doors() {
        in_namespace(move || {
            let (spin, coalesce) = (Duration::ZERO, Duration::ZERO);
            let mut worker = Worker::alone(&IoConfig { spin, coalesce, ..config(backend, &["127.0.0.1"]) });
            worker.receives_nothing();
            let before = worker.door.stats().system_calls;
            let sender = thread::spawn(move || {
                let peer = UdpSocket::bind("127.0.0.9:7777").unwrap();
                for n in 0..3000 {
                    thread::sleep(Duration::from_micros(50));
                    peer.send_to(&pattern(n, 100), "127.0.0.1:4500").unwrap();
                }
            });
            let (mut burst, mut waits) = (Burst::new(), 0);
            let mut got = 0;
            while got < 3000 {
                assert_eq!(worker.door.wait(Duration::from_secs(20)).unwrap(), Woken::Ready);
                waits += 1;
                while worker.door.receive(&mut worker.pool, &mut burst, 64) > 0 {}
                got += burst.len();
                burst.drain(..).for_each(|packet| worker.pool.put(packet));
            }
            sender.join().unwrap();
            let calls = worker.door.stats().system_calls - before;
            assert!(calls <= 10 * waits, "{calls} system calls in {waits} waits");
        });
    }
}

#[test]
fn a_closed_door_leaves_its_ports_at_once_and_swallows_nothing() {
    for backend in doors() {
        in_namespace(move || {
            let mut config = config(backend, &["0.0.0.0"]);
            config.tun = Some(TunConfig { addresses: vec!["10.9.0.1/24".parse().unwrap()], ..TunConfig::default() });
            let peer = peer("127.0.0.9:7777");
            for _ in 0..20 {
                let mut worker = Worker::alone(&config);
                for n in 0..50u64 {
                    peer.send_to(&pattern(n, 100), "127.0.0.1:4500").unwrap();
                }
                let burst = worker.receive(50);
                assert!(burst.iter().zip(0..).all(|(packet, n)| packet.bytes() == pattern(n, 100)));
                // closed with datagrams still waiting
                peer.send_to(&[1], "127.0.0.1:4500").unwrap();
            }
        });
    }
}

#[test]
fn an_empty_pool_delays_and_loses_nothing() {
    for backend in doors() {
        in_namespace(move || {
            let mut worker = Worker::alone(&config(backend, &["127.0.0.1"]));
            worker.pool = Pool::new(PoolSizes { small: 5, small_capacity: 2048, large: 1 });
            let peer = peer("127.0.0.9:7777");
            for n in 0..200u64 {
                peer.send_to(&pattern(n, 100), "127.0.0.1:4500").unwrap();
            }
            let mut burst = Burst::new();
            let mut got = 0;
            for _ in 0..1000 {
                if got == 200 {
                    break;
                }
                worker.door.wait(Duration::from_millis(5)).unwrap();
                worker.door.receive(&mut worker.pool, &mut burst, 64);
                for packet in burst.drain(..) {
                    assert_eq!(packet.bytes(), pattern(got, 100));
                    got += 1;
                    worker.pool.put(packet);
                }
            }
            assert_eq!(got, 200);
            assert!(worker.door.stats().starved > 0);
        });
    }
}

#[test]
fn a_removed_interface_ends_the_wait_with_an_error() {
    for backend in doors() {
        in_namespace(move || {
            let mut config = config(backend, &["127.0.0.1"]);
            config.tun = Some(TunConfig::default());
            let mut worker = Worker::alone(&config);
            worker.receives_nothing();
            ip("link del adit0");
            let mut burst = Burst::new();
            let error = (0..10).find_map(|_| {
                worker.door.receive(&mut worker.pool, &mut burst, 64);
                worker.door.wait(Duration::from_millis(10)).err()
            });
            assert!(error.unwrap().to_string().contains("removed"));
        });
    }
}

#[test]
fn what_cannot_be_opened_is_said_in_words() {
    in_namespace(|| {
        let refused = |config: &IoConfig| match open(config, 1, &layout()) {
            Ok(_) => panic!("it opened"),
            Err(error) => error,
        };
        let config = config(Backend::Auto, &["127.0.0.1"]);
        let holder = UdpSocket::bind("0.0.0.0:4500").unwrap();
        let error = refused(&config);
        assert!(matches!(error, OpenError::PortInUse { .. }), "{error}");
        drop(holder);
        // another instance: it shares its ports with nobody
        let first = open(&config, 1, &layout()).unwrap();
        assert!(matches!(refused(&config), OpenError::PortInUse { .. }));
        drop(first);
        let error = refused(&IoConfig { listen: vec!["192.0.2.1".parse().unwrap()], ..config.clone() });
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
        ip("tuntap add adit0 mode tun");
        let error = refused(&IoConfig { tun: Some(TunConfig::default()), ..config.clone() });
        assert!(matches!(error, OpenError::TunBusy { .. }), "{error}");
        let long = TunConfig { name: "a-name-of-16-octs".to_owned(), ..TunConfig::default() };
        let error = refused(&IoConfig { tun: Some(long), ..config.clone() });
        assert!(matches!(error, OpenError::TunName { .. }), "{error}");
        assert!(matches!(refused(&IoConfig { listen: vec![], ..config }), OpenError::NoAddress));
    });
}

/// Moves inner packets between two doors, as two headends with a perfect network between them would.
struct Wire {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Passed>,
}

/// What went over a wire.
#[derive(Debug, Default)]
struct Passed {
    supers: u64,
    joined: u64,
    packets: u64,
}

impl Wire {
    fn between(left: DoorSeed, right: DoorSeed) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut ends = [Worker::new(left), Worker::new(right)];
            let mut passed = Passed::default();
            while !stopped.load(Ordering::Relaxed) {
                let mut idle = true;
                for (from, to) in [(0, 1), (1, 0)] {
                    idle &= !pass(&mut ends, from, to, &mut passed);
                }
                if idle {
                    ends[0].door.wait(Duration::from_micros(200)).unwrap();
                }
            }
            for end in &ends {
                let stats = end.door.stats();
                assert_eq!((stats.transmit_failed, stats.transmit_full), (0, 0));
                passed.joined += stats.joined;
            }
            passed
        });
        Self { stop, thread }
    }

    fn end(self) -> Passed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn pass(ends: &mut [Worker; 2], from: usize, to: usize, passed: &mut Passed) -> bool {
    let (mut whole, mut cut) = (Burst::new(), Burst::new());
    let Worker { door, pool } = &mut ends[from];
    if door.receive(pool, &mut whole, 16) == 0 {
        return false;
    }
    for mut packet in whole {
        assert_eq!(packet.meta.channel, Channel::Inner);
        if packet.meta.segments == Segments::One {
            finish_checksum(&mut packet).unwrap();
            cut.push(packet);
        } else {
            passed.supers += 1;
            split(&packet, pool, &mut cut).unwrap();
            pool.put(packet);
        }
    }
    passed.packets += cut.len() as u64;
    assert!(cut.iter().all(|packet| packet.len() <= 1400), "every piece fits the MTU");
    ends[to].door.transmit(&mut ends[from].pool, &mut cut);
    assert!(cut.is_empty());
    // the buffers go home to the pool they came from
    let [left, right] = ends;
    let (door, pool) = if to == 0 { (&mut left.door, &mut right.pool) } else { (&mut right.door, &mut left.pool) };
    door.flush(pool).unwrap();
    true
}

/// Two namespaces, `10.9.0.1`, `fd09::1` and `10.9.0.2`, `fd09::2`, with a wire between their TUNs; `left` and
/// `right` run in them.
fn with_wire(
    backend: Backend,
    left: impl FnOnce() + Send + 'static,
    right: impl FnOnce(mpsc::Sender<()>) + Send + 'static,
) -> Option<Passed> {
    let opened = move |host: u8| {
        let mut config = config(backend, &["127.0.0.1"]);
        let addresses = vec![format!("10.9.0.{host}/24").parse().unwrap(), format!("fd09::{host}/64").parse().unwrap()];
        config.tun = Some(TunConfig { addresses, ..TunConfig::default() });
        let (mut seeds, report) = open(&config, 1, &layout()).unwrap();
        assert!(report.lacks.is_empty(), "{report:?}");
        seeds.pop().unwrap()
    };
    let (seeds, seed) = mpsc::channel();
    let (listening, ready) = mpsc::channel();
    let seeds_2 = seeds.clone();
    let test = || thread::Builder::new().name(thread::current().name().unwrap_or_default().to_owned());
    let second = test().spawn(move || {
        in_namespace(move || {
            seeds_2.send(opened(2)).unwrap();
            drop(seeds_2);
            right(listening);
        })
    });
    let first = test().spawn(move || {
        in_namespace(move || {
            seeds.send(opened(1)).unwrap();
            drop(seeds);
            ready.recv().unwrap();
            left();
        })
    });
    let wire = match (seed.recv(), seed.recv()) {
        (Ok(one), Ok(other)) => Some(Wire::between(one, other)),
        _ => None,
    };
    let results = (first.unwrap().join(), second.unwrap().join());
    let passed = wire.map(Wire::end);
    assert!(results.0.is_ok() && results.1.is_ok(), "an end of the wire failed");
    passed
}

#[test]
fn a_kernels_tcp_talks_to_another_through_cut_and_joined_packets() {
    const OCTETS: usize = 8_000_000;
    for backend in doors() {
        for (local, server) in [("0.0.0.0:80", "10.9.0.2:80"), ("[::]:80", "[fd09::2]:80")] {
            let passed = with_wire(
                backend,
                move || {
                    let mut stream = TcpStream::connect(server).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    stream.write_all(&pattern(1, OCTETS)).unwrap();
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).unwrap();
                    assert!(answer == pattern(2, OCTETS), "what came back is what was sent");
                },
                move |listening| {
                    let listener = TcpListener::bind(local).unwrap();
                    listening.send(()).unwrap();
                    let (mut stream, _) = listener.accept().unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    let mut request = Vec::new();
                    stream.read_to_end(&mut request).unwrap();
                    assert!(request == pattern(1, OCTETS), "what arrived is what was sent");
                    stream.write_all(&pattern(2, OCTETS)).unwrap();
                },
            );
            let Some(passed) = passed else { continue };
            println!("{backend:?} {server}: {passed:?}");
            assert!(passed.supers > 50, "the kernel sent super-packets: {passed:?}");
            assert!(passed.joined > passed.packets / 2, "and got some: {passed:?}");
        }
    }
}

#[test]
fn a_kernels_udp_super_packet_arrives_as_the_datagrams_it_was() {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;
    for backend in doors() {
        let passed = with_wire(
            backend,
            || {
                let socket = peer("10.9.0.1:7777");
                let to = SockaddrIn::new(10, 9, 0, 2, 7777);
                let segment = [ControlMessage::UdpGsoSegments(&1000)];
                for n in 0..10 {
                    let bytes = pattern(n, 40 * 1000 + 300);
                    sendmsg(socket.as_raw_fd(), &[IoSlice::new(&bytes)], &segment, MsgFlags::empty(), Some(&to))
                        .unwrap();
                    assert_eq!(get(&socket).0, b"all there");
                }
            },
            |listening| {
                let socket = peer("10.9.0.2:7777");
                listening.send(()).unwrap();
                for n in 0..10 {
                    let bytes = pattern(n, 40 * 1000 + 300);
                    for datagram in bytes.chunks(1000) {
                        assert_eq!(get(&socket), (datagram.to_vec(), address("10.9.0.1:7777")));
                    }
                    socket.send_to(b"all there", "10.9.0.1:7777").unwrap();
                }
            },
        );
        let Some(passed) = passed else { continue };
        println!("{backend:?}: {passed:?}");
        assert!(passed.supers >= 10 && passed.joined >= 400, "{passed:?}");
    }
}
