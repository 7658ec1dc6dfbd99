//! Where the headend has heard each client last, by ESP: it is there that it must ask.

use super::host::HostId;
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Of all clients.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    /// With the time when what was heard was sent.
    last: BTreeMap<HostId, (Instant, SocketAddr)>,
}

impl Whereabouts {
    /// A good packet of `client`'s, sent at this time, came from there.
    pub(crate) fn heard(&mut self, client: HostId, sent: Instant, from: SocketAddr) {
        let last = self.last.entry(client).or_insert((sent, from));
        if last.0 <= sent {
            *last = (sent, from);
        }
    }

    /// Who was there when last heard. A NAT may have moved it since, which nobody but the NAT can know.
    pub(crate) fn believed_at(&self, address: SocketAddr) -> Option<HostId> {
        let there = self.last.iter().filter(|(_, (_, at))| *at == address);
        there.max_by_key(|(_, (sent, _))| *sent).map(|(client, _)| *client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_where_its_latest_packet_came_from_and_not_where_a_late_one_did() {
        let (old, new) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let mut whereabouts = Whereabouts::default();
        for (sent, from) in [(1, old), (3, new), (2, old)] {
            whereabouts.heard(HostId(7), Instant::from_nanos(sent), from);
        }
        assert_eq!((whereabouts.believed_at(old), whereabouts.believed_at(new)), (None, Some(HostId(7))));
        whereabouts.heard(HostId(8), Instant::from_nanos(9), new);
        assert_eq!(whereabouts.believed_at(new), Some(HostId(8)), "the address is another's by now");
    }
}
