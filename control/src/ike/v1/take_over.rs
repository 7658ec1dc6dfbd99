//! A client that logs in again keeps its session.

use super::dpd::Dpd;
use super::established::{Claim, Established, Former, Service, Verdict, Which};
use super::isakmp_sa::{Arrived, Cookies, Hashed, IsakmpSa};
use super::nat_seen::Traversal;
use super::quick_mode;
use super::wire::{Exchange, Payload, Vendor, mode_config_number, parse};
use crate::ike::service::{Child, FORMER, Node, Role, closed};
use crate::journal::{By, Renewed, What};
use crate::lease::Ask;
use crate::session::Cause;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path};
use adit_dataplane::time::Instant;

/// So many ISAKMP SAs that were taken over may wait for their deletes.
const MOST_FORMER: usize = 2;

impl Established {
    /// What a whole message is about to claim for a session without an address; nothing changes. `None`: it claims nothing.
    pub(crate) fn claim(&self, datagram: &IkeDatagram) -> Option<Claim> {
        let Service::Nothing { .. } = self.service else { return None };
        // Who has called asks, and is not asked.
        if self.called.is_some() {
            return None;
        }
        let incoming = parse(&datagram.bytes).ok()?;
        let Ok(Arrived::New(opened)) = self.sa.open(&incoming) else { return None };
        let chain = opened.chain().ok()?;
        if Cookies::of(&incoming.header) != self.sa.cookies()
            || !self.sa.vouches(incoming.header.message_id, &chain, Hashed::One)
        {
            return None;
        }
        match incoming.header.exchange {
            Exchange::Transaction => chain.iter().find_map(|payload| match payload {
                Payload::ModeConfig(config) if config.find(mode_config_number::IP4_ADDRESS).is_some() => {
                    match super::given::want(config).v4 {
                        Ask::Rather(address) => Some(Claim::Address(address)),
                        Ask::Any => Some(Claim::Any),
                        Ask::Nothing => None,
                    }
                }
                _another => None,
            }),
            Exchange::QuickMode => quick_mode::client_address(&chain).map(Claim::Address),
            Exchange::Informational | Exchange::MainMode | Exchange::Aggressive => None,
        }
    }

    /// Whether this can only be a login anew: vpnc and Cisco's client say "initial contact" whenever they begin, and ask
    /// for no address and no ESP SA when they do not.
    pub(crate) fn logs_in_anew(&self) -> bool {
        self.sa.client.is(Vendor::CiscoClientMark) && !self.is_initial() && !self.has_service()
    }

    /// The peer has ended one of its ISAKMP SAs.
    pub(super) fn deleted(&mut self, node: &mut Node, which: Which) -> Verdict {
        match which {
            Which::Current if self.means_the_former() => match self.former.pop() {
                Some(former) => self.forget(node, former),
                None => Verdict::Stay,
            },
            Which::Current => Verdict::Gone(Cause::PeerDeleted, None),
            Which::Former(at) => {
                let former = self.former.remove(at);
                self.forget(node, former)
            }
        }
    }

    fn forget(&self, node: &mut Node, Former { sa, .. }: Former) -> Verdict {
        node.forget_ike_spi(sa.spi());
        Verdict::Stay
    }

    /// Whether a delete of the ISAKMP SA in use is about the one before.
    ///
    /// DEVIATES: RFC 2408 section 3.15 knows no such thing. vpnc deletes the former ISAKMP SA as soon as it has logged in
    /// anew, but names the new one, and goes on with it. When it really leaves it deletes its ESP SAs first.
    fn means_the_former(&self) -> bool {
        let in_use = self.service.tunnel().is_some_and(|tunnel| tunnel.children.iter().any(Child::is_active));
        in_use && !self.former.is_empty() && self.sa.client.is(Vendor::CiscoClientMark)
    }

    /// Another phase 1 of the same user's has come for this session: it goes on under that. The older one stays for a
    /// while, for what is under way and for its delete.
    pub(crate) fn take_over(&mut self, now: Instant, node: &mut Node, newer: Self) {
        let Self { peer, user, granted, sa, traversal, .. } = newer;
        // Nothing is closed to who logs in; one who has gone another way since goes on by that.
        if self.peer.closed.takes(peer.framing) {
            closed::open(node, &mut self.peer, self.service.tunnel());
        }
        node.installer.session_left(peer.worker);
        node.hand_over_spi(sa.spi(), self.peer.id);
        if let Some(user) = &user {
            self.books.renew(now, &user.profile);
        }
        (self.user, self.granted) = (user, granted);
        self.take_policy(node);
        self.succeed(now, node, sa, traversal, (peer.path, peer.framing));
        tracing::info!(identity = %self.peer.identity, peer = %self.peer.path.peer, ike = %self.sa.suite(),
            "the client has re-authenticated: another phase 1 takes the session over");
        node.tell(&self.peer, What::Rekey { what: Renewed::Ike, by: By::Peer });
    }

    /// It goes on under this ISAKMP SA. What we were asking for is asked for again, under that; what we have answered may
    /// be finished under the older one.
    pub(super) fn succeed(
        &mut self,
        now: Instant,
        node: &mut Node,
        sa: IsakmpSa,
        traversal: Traversal,
        along: (Path, IkeFraming),
    ) {
        let (path, framing) = along;
        let before = std::mem::replace(&mut self.sa, sa);
        self.drop_exchanges(node);
        let stays = match before.role() {
            // It is for us to say that it is over.
            Role::Initiator => FORMER / 2,
            Role::Responder => FORMER,
        };
        self.former.push(Former { sa: before, until: now + stays });
        if self.former.len() > MOST_FORMER {
            let Former { sa, .. } = self.former.remove(0);
            node.forget_ike_spi(sa.spi());
        }
        self.traversal = traversal;
        self.peer.nat = traversal.nat;
        self.dpd = Dpd::new(node);
        self.peer.heard = now;
        self.peer.framing = framing;
        self.relocate(node, path, "another phase 1");
    }
}
