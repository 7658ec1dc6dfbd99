//! What the peer says it can, by vendor IDs (draft-beaulieu-ike-xauth-02, RFC 3706, RFC 3947 and Cisco's own).

use super::wire::{Chain, NatTraversal, Vendor};

/// All that is known of the peer's software. Later messages may add to it: vpnc names Unity only in its third.
#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    known: Vec<Vendor>,
}

impl Client {
    /// Takes note of one message's vendor IDs; each counts once, and there are no more than adit knows.
    pub(super) fn hear(&mut self, chain: &Chain<'_>) {
        for vendor in chain.vendor_ids().filter_map(Vendor::recognise) {
            if !self.known.contains(&vendor) {
                self.known.push(vendor);
            }
        }
    }

    /// Whether it said so.
    pub(super) fn is(&self, vendor: Vendor) -> bool {
        self.known.contains(&vendor)
    }

    /// The best NAT traversal that it and we know.
    pub(super) fn traversal(&self, mut ours: impl Iterator<Item = NatTraversal>) -> Option<NatTraversal> {
        ours.find(|version| self.is(Vendor::NatTraversal(*version)))
    }
}
