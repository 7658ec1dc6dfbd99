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

    /// The best NAT traversal that both ends know.
    ///
    /// DEVIATES: drafts 00 and 01 keep everything on port 500 and put a marker of eight octets before ESP. No client
    /// that announces them announces nothing newer, so adit does not speak them.
    pub(super) fn traversal(&self) -> Option<NatTraversal> {
        let known = |version: &NatTraversal| version.floats() && self.is(Vendor::NatTraversal(*version));
        NatTraversal::ALL.into_iter().find(known)
    }
}
