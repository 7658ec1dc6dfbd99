//! Datagrams on their way out, grouped so that the kernel takes several as one: same path, same class, same size, and
//! only the last shorter (UDP_SEGMENT).

use crate::contract::Path;
use crate::packet::{Channel, OuterFragments, PacketBuf};
use crate::wire::traffic_class::TrafficClass;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Where a message goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination {
    /// Which of the door's sockets.
    pub(super) socket: usize,
    pub(super) path: Path,
    pub(super) class: TrafficClass,
}

/// Datagrams that leave in one message.
#[derive(Default)]
pub(super) struct Departure {
    pub(super) packets: Vec<PacketBuf>,
    pub(super) to: Option<Destination>,
    /// Octets of each but the last.
    pub(super) size: usize,
    len: usize,
    open: bool,
}

impl Departure {
    /// The size to cut it at, if it is several.
    pub(super) fn segment(&self) -> Option<u16> {
        (self.packets.len() > 1).then_some(self.size as u16)
    }
}

/// Departures in the order of their first datagrams; a path's newest is the only one that grows, so the order on a
/// path never changes.
pub(super) struct Departures {
    list: Vec<Departure>,
    used: usize,
    refused: Refused,
}

impl Departures {
    /// Most datagrams in one message: UDP_MAX_SEGMENTS of older kernels.
    pub(super) const MOST: usize = 64;
    /// Most octets in one message: an IPv6 payload less the UDP header, and what IPv4's header takes.
    const MOST_OCTETS: usize = 65_535 - 8 - 60;
    /// How far back an open departure is looked for: bounds the work that many peers at once can cause.
    const LOOK_BACK: usize = 16;

    pub(super) fn new(packets: usize) -> Self {
        let departure = || Departure { packets: Vec::with_capacity(Self::MOST), ..Departure::default() };
        Self { list: std::iter::repeat_with(departure).take(packets).collect(), used: 0, refused: Refused::default() }
    }

    /// Takes a datagram for `socket`.
    pub(super) fn push(&mut self, packet: PacketBuf, to: Destination) {
        let len = packet.len();
        let from = self.used.saturating_sub(Self::LOOK_BACK);
        let newest = self.list[from..self.used]
            .iter_mut()
            .rev()
            .find(|departure| departure.to.is_some_and(|newest| newest.path == to.path));
        if let Some(departure) = newest {
            let fits = departure.open
                && departure.to == Some(to)
                && len > 0
                && len <= departure.size
                && departure.len + len <= Self::MOST_OCTETS
                && departure.packets.len() < Self::MOST;
            if fits {
                departure.open = len == departure.size;
                departure.len += len;
                departure.packets.push(packet);
                return;
            }
        }
        if self.used == self.list.len() {
            self.list.push(Departure::default());
        }
        // UDP_SEGMENT is for UDP.
        let joins = !matches!(packet.meta.channel, Channel::Esp | Channel::Ctcp | Channel::Tcp);
        let open = joins && len > 0 && self.refused.allows(&to.path, len);
        let departure = &mut self.list[self.used];
        departure.packets.push(packet);
        (departure.to, departure.size, departure.len, departure.open) = (Some(to), len, len, open);
        self.used += 1;
    }

    /// Remembers that a message of several datagrams was refused.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.add(refusal);
    }

    /// What is queued, in order.
    pub(super) fn queued(&mut self) -> &mut [Departure] {
        &mut self.list[..self.used]
    }

    /// Starts anew; every queued departure's packets were taken out.
    pub(super) fn clear(&mut self) {
        debug_assert!(self.list[..self.used].iter().all(|departure| departure.packets.is_empty()));
        self.used = 0;
    }
}

/// What a message of several datagrams was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Datagrams of this size do not fit the MTU of the path to this peer: the kernel cuts a message into datagrams or a
    /// datagram into fragments, not both.
    Size { peer: SocketAddr, size: usize },
    /// The interface that this address of ours is on computes no checksums (before Linux 6.11), or the kernel's own IPsec
    /// takes what leaves by it: the kernel cuts no message there, to whomever and of whatever size.
    Interface { local: IpAddr },
}

impl Refusal {
    /// What `error` says of a message of datagrams of this size.
    pub(super) fn new(to: &Destination, size: usize, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EIO) => Self::Interface { local: to.path.local.ip() },
            _ => Self::Size { peer: to.path.peer, size },
        }
    }
}

/// What does not go in one message. The oldest is forgotten first, so that a wrong one does not stay for ever.
#[derive(Default)]
struct Refused {
    sizes: Oldest<(SocketAddr, usize)>,
    /// And how many messages are still to go one by one until it is tried again.
    interfaces: Oldest<(IpAddr, u32)>,
}

impl Refused {
    /// A try costs one system call too many; this many messages take a second on a busy worker, and a day on a quiet one.
    const PATIENCE: u32 = 100_000;

    /// Whether a datagram may be the first of several. Who asks sends it as a message of its own if not.
    fn allows(&mut self, path: &Path, len: usize) -> bool {
        if let Some((_, left)) = self.interfaces.get(|(local, _)| *local == path.local.ip()) {
            let waits = *left > 0;
            *left = left.saturating_sub(1);
            if waits {
                return false;
            }
        }
        self.sizes.get(|(peer, _)| *peer == path.peer).is_none_or(|(_, least)| len < *least)
    }

    fn add(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Interface { local } => match self.interfaces.get(|(known, _)| *known == local) {
                Some((_, left)) => *left = Self::PATIENCE,
                None => self.interfaces.push((local, Self::PATIENCE)),
            },
            Refusal::Size { peer, size } => match self.sizes.get(|(known, _)| *known == peer) {
                Some((_, least)) => *least = size.min(*least),
                None => self.sizes.push((peer, size)),
            },
        }
    }
}

/// A few things; the oldest gives way.
struct Oldest<T> {
    things: [Option<T>; 8],
    next: usize,
}

impl<T> Default for Oldest<T> {
    fn default() -> Self {
        Self { things: std::array::from_fn(|_| None), next: 0 }
    }
}

impl<T> Oldest<T> {
    fn get(&mut self, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.things.iter_mut().flatten().find(|thing| is_it(thing))
    }

    fn push(&mut self, thing: T) {
        self.things[self.next] = Some(thing);
        self.next = (self.next + 1) % self.things.len();
    }
}

/// A worker's socket, as far as choosing one needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) channel: Channel,
    pub(super) address: SocketAddr,
    /// What becomes of datagrams that are sent through it.
    pub(super) fragments: OuterFragments,
}

/// The socket that a packet on `path` leaves through: the one bound to its local address, else to the wildcard. Where
/// none forbids fragments (over IPv6, and unless the config asks for it) all packets leave through those that do not.
pub(super) fn choose<'a>(
    sockets: impl Iterator<Item = &'a Bound> + Clone,
    channel: Channel,
    path: &Path,
    fragments: OuterFragments,
) -> Option<usize> {
    match fragments {
        OuterFragments::Allowed => bound_to(sockets, channel, path, OuterFragments::Allowed),
        OuterFragments::Forbidden => bound_to(sockets.clone(), channel, path, OuterFragments::Forbidden)
            .or_else(|| bound_to(sockets, channel, path, OuterFragments::Allowed)),
    }
}

fn bound_to<'a>(
    sockets: impl Iterator<Item = &'a Bound>,
    channel: Channel,
    path: &Path,
    fragments: OuterFragments,
) -> Option<usize> {
    let mut wildcard = None;
    for (index, bound) in sockets.enumerate() {
        let serves = bound.channel == channel.door() && bound.fragments == fragments;
        if !serves || bound.address.is_ipv4() != path.peer.is_ipv4() {
            continue;
        }
        if bound.address.ip() == path.local.ip() {
            return Some(index);
        }
        if bound.address.ip().is_unspecified() && wildcard.is_none() {
            wildcard = Some(index);
        }
    }
    wildcard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(len: usize, tag: u8) -> PacketBuf {
        let mut packet = PacketBuf::allocate(4096);
        packet.extend_back(len).unwrap().fill(tag);
        packet
    }

    fn to(socket: usize, path: Path, class: u8) -> Destination {
        Destination { socket, path, class: TrafficClass::from_octet(class) }
    }

    fn class(tag: u8) -> u8 {
        u8::from(tag % 8 == 7) * 0x2e
    }

    fn path(port: u16) -> Path {
        Path { local: "192.0.2.1:4500".parse().unwrap(), peer: SocketAddr::from(([192, 0, 2, 2], port)) }
    }

    #[test]
    fn every_message_is_one_that_udp_segment_allows_and_a_path_keeps_its_order() {
        let steps = bolero::check!().with_type::<Vec<(u8, u16)>>();
        steps.for_each(|steps| {
            let mut departures = Departures::new(4);
            let mut want: Vec<(u16, usize, u8)> = Vec::new();
            for (tag, &(port, len)) in steps.iter().take(200).enumerate() {
                let (port, len) = (u16::from(port % 4), usize::from(len % 5) * 700);
                // most of one class, and now and then another
                departures.push(packet(len, tag as u8), to(0, path(port), class(tag as u8)));
                want.push((port, len, tag as u8));
            }
            let mut got = Vec::new();
            for departure in departures.queued() {
                let Destination { socket, path, class: sent_in } = departure.to.unwrap();
                assert_eq!(socket, 0);
                let tags = departure.packets.iter().filter_map(|packet| packet.bytes().first());
                assert!(tags.into_iter().all(|tag| class(*tag) == sent_in.octet()), "one class in a message");
                let (last, others) = departure.packets.split_last().unwrap();
                assert!(others.iter().all(|packet| packet.len() == departure.size && !packet.is_empty()));
                assert!(last.len() <= departure.size && (others.is_empty() || !last.is_empty()));
                assert!(departure.packets.len() <= 64);
                assert!(departure.packets.iter().map(PacketBuf::len).sum::<usize>() <= 65_507);
                for packet in departure.packets.drain(..) {
                    got.push((path.peer.port(), packet.len(), packet.bytes().first().copied()));
                }
            }
            departures.clear();
            for port in 0..4 {
                let want: Vec<_> =
                    want.iter().filter(|w| w.0 == port).map(|&(p, l, t)| (p, l, (l > 0).then_some(t))).collect();
                let got: Vec<_> = got.iter().filter(|g| g.0 == port).copied().collect();
                assert_eq!(got, want);
            }
        });
    }

    #[test]
    fn a_refused_size_goes_one_by_one_to_that_peer_alone() {
        let mut departures = Departures::new(4);
        departures.refuse(refused(libc::EMSGSIZE, path(1), 1400));
        for port in [1, 1, 2, 2] {
            departures.push(packet(1400, 0), to(0, path(port), 0));
        }
        for _ in 0..2 {
            departures.push(packet(1399, 0), to(1, path(1), 0));
        }
        let counts: Vec<usize> = departures.queued().iter().map(|departure| departure.packets.len()).collect();
        assert_eq!(counts, [1, 1, 2, 2]);
    }

    fn refused(errno: i32, path: Path, size: usize) -> Refusal {
        Refusal::new(&to(0, path, 0), size, &io::Error::from_raw_os_error(errno))
    }

    /// How many datagrams leave in each message when two of 1400 octets go to each of these peers in turn.
    fn messages(departures: &mut Departures, paths: &[Path]) -> Vec<usize> {
        for path in paths {
            for _ in 0..2 {
                departures.push(packet(1400, 0), to(0, *path, 0));
            }
        }
        let counts = departures.queued().iter_mut().map(|departure| departure.packets.drain(..).count()).collect();
        departures.clear();
        counts
    }

    #[test]
    fn an_interface_that_cuts_no_messages_is_offered_none_for_a_while() {
        let mut departures = Departures::new(4);
        let elsewhere = Path { local: "192.0.2.9:4500".parse().unwrap(), ..path(3) };
        let all = [path(1), path(2), elsewhere];
        assert_eq!(messages(&mut departures, &all), [2, 2, 2]);
        departures.refuse(refused(libc::EIO, path(1), 1400));
        // Nine peers, sizes and refusals are no more than one.
        for port in 4..13 {
            departures.refuse(refused(libc::EIO, path(port), usize::from(port)));
        }
        let alone = [1, 1, 1, 1, 2];
        assert_eq!(messages(&mut departures, &all), alone);
        for _ in 0..(Refused::PATIENCE - 4) / 2 {
            assert_eq!(messages(&mut departures, &[path(1)]), [1, 1]);
        }
        assert_eq!(messages(&mut departures, &all), [2, 2, 2], "it may have another driver by now");
        departures.refuse(refused(libc::EIO, path(2), 1400));
        assert_eq!(messages(&mut departures, &all), alone);
    }

    #[test]
    fn what_one_peer_was_refused_takes_one_place_and_is_the_least() {
        let mut departures = Departures::new(4);
        departures.refuse(refused(libc::EMSGSIZE, path(1), 1400));
        for size in [1450, 1300, 1350, 1360, 1370, 1380, 1390, 1400, 1410] {
            departures.refuse(refused(libc::EMSGSIZE, path(2), size));
        }
        assert_eq!(messages(&mut departures, &[path(1), path(2), path(3)]), [1, 1, 1, 1, 2]);
        for size in [1299, 1299, 1300, 1300] {
            departures.push(packet(size, 0), to(0, path(2), 0));
        }
        let counts: Vec<_> = departures.queued().iter().map(|departure| departure.packets.len()).collect();
        assert_eq!(counts, [2, 1, 1]);
    }

    #[test]
    fn a_packet_leaves_through_the_socket_of_its_local_address() {
        let (allowed, forbidden) = (OuterFragments::Allowed, OuterFragments::Forbidden);
        let bound = |channel, address: &str| Bound { channel, address: address.parse().unwrap(), fragments: allowed };
        let sockets = [
            bound(Channel::NatT, "0.0.0.0:4500"),
            bound(Channel::Ike, "192.0.2.1:500"),
            bound(Channel::NatT, "192.0.2.1:4500"),
            bound(Channel::NatT, "[::]:4500"),
            Bound { fragments: forbidden, ..bound(Channel::NatT, "0.0.0.0:4500") },
        ];
        let mut path = path(1);
        assert_eq!(choose(sockets.iter(), Channel::NatT, &path, allowed), Some(2));
        assert_eq!(choose(sockets.iter(), Channel::Ike, &path, allowed), Some(1));
        assert_eq!(choose(sockets.iter(), Channel::NatT500, &path, allowed), Some(1), "ESP shares IKE's port");
        path.local = "192.0.2.9:4500".parse().unwrap();
        assert_eq!(choose(sockets.iter(), Channel::NatT, &path, allowed), Some(0));
        assert_eq!(choose(sockets.iter(), Channel::Ike, &path, allowed), None);
        path = Path { local: "[2001:db8::1]:4500".parse().unwrap(), peer: "[2001:db8::2]:1".parse().unwrap() };
        assert_eq!(choose(sockets.iter(), Channel::NatT, &path, allowed), Some(3));
        assert_eq!(choose(sockets.iter(), Channel::NatT, &path, forbidden), Some(3), "IPv6 has no such socket");
        path = Path { local: "192.0.2.9:4500".parse().unwrap(), peer: "192.0.2.2:1".parse().unwrap() };
        assert_eq!(choose(sockets.iter(), Channel::NatT, &path, forbidden), Some(4));
        assert_eq!(choose(sockets[..4].iter(), Channel::NatT, &path, forbidden), Some(0));
    }
}
