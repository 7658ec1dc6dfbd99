//! Mode config as the client (draft-dukes-ike-mode-cfg-02): we ask for our address, and get a tunnel with it.

use super::asked::Asked;
use super::established::{Established, Service, Verdict};
use super::grant::{CiscoUdp, esp_path};
use super::isakmp_sa::Hashed;
use super::repeated::Repeated;
use super::told::Told;
use super::wire::{Attribute, ConfigKind, Exchange, ModeConfig, Payload, mode_config_number as number};
use crate::ike::service::{Carriage, Inner, Node, Tunnel};
use crate::lease::Ask;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, Path, Transport, Transports};
use adit_dataplane::time::Instant;
use ipnet::IpNet;

/// Our question under way.
pub(super) struct PullAsked {
    pub(super) message_id: u32,
    pub(super) repeated: Repeated,
    /// Our last message of phase 1, without which the headend understands nothing, if it may be missing.
    pub(super) before: Option<Vec<u8>>,
}

/// What we want to know besides the address.
const WANTED: [u16; 11] = [
    number::IP4_NETMASK,
    number::IP4_DNS,
    number::IP4_NBNS,
    number::APPLICATION_VERSION,
    number::UNITY_BANNER,
    number::UNITY_SAVE_PASSWORD,
    number::UNITY_DEFAULT_DOMAIN,
    number::UNITY_SPLIT_DNS,
    number::UNITY_SPLIT_INCLUDE,
    number::UNITY_PFS,
    number::UNITY_BACKUP_SERVERS,
];

/// Asks: for the address that the session has, else for the one that is wanted.
pub(super) fn ask(now: Instant, node: &mut Node, session: &mut Established, before: Option<Vec<u8>>) {
    let Some(called) = &session.called else { return };
    let wish = match called.address().map_or(called.call.want.v4, Ask::Rather) {
        Ask::Rather(address) => address.octets().to_vec(),
        Ask::Any | Ask::Nothing => Vec::new(),
    };
    let port = (called.call.carriage == Carriage::CiscoUdp).then_some(number::UNITY_UDP_PORT);
    let wanted = WANTED.into_iter().chain(port).map(|kind| Attribute::long(kind, Vec::new()));
    let attributes = std::iter::once(Attribute::long(number::IP4_ADDRESS, wish)).chain(wanted).collect();
    let message_id = session.sa.new_message_id(node);
    // Any number ties the answer to it; the message ID does so already.
    let config = ModeConfig { kind: ConfigKind::Request, identifier: message_id as u16, attributes };
    let payload = Payload::ModeConfig(config);
    let bytes = session.sa.say(node, Exchange::Transaction, message_id, Hashed::One, &[payload]);
    let repeated = Repeated::new(now, &node.patience(), bytes.clone());
    session.asked = Some(Asked::Pull(Box::new(PullAsked { message_id, repeated, before })));
    session.send(now, node, bytes);
}

/// The headend has answered.
pub(super) fn answered(node: &mut Node, session: &mut Established, reply: &ModeConfig) -> Verdict {
    session.asked = None;
    let Some(told) = Told::of(reply) else { return session.close(node, Cause::PoolEmpty) };
    let address = told.address;
    let Some(called) = &mut session.called else { return Verdict::Stay };
    called.told = Some(told);
    match &session.service {
        Service::Nothing { .. } => match tunnel(node, session, address.into()) {
            Ok(tunnel) => {
                session.service = Service::Tunnel(Box::new(tunnel));
                session.take_policy(node);
            }
            Err(cause) => return session.close(node, cause),
        },
        // Packets under way have the old one, and so has whoever drives us: it begins anew.
        Service::Tunnel(_) if !session.has_address(address) => return session.close(node, Cause::AddressLost),
        Service::Tunnel(_) => {}
    }
    Verdict::Stay
}

fn tunnel(node: &mut Node, session: &Established, address: std::net::IpAddr) -> Result<Tunnel, Cause> {
    let peer = &session.peer;
    let connection = node.connection(peer.connection).ok_or(Cause::UnknownIdentity)?;
    let transports = connection.transports.and(node.config.listen.transports());
    let networks = connection.networks.iter().copied().filter(|network| matches!(network, IpNet::V4(_))).collect();
    let path = first_path(node, session, transports).ok_or(Cause::NoUdpEncapsulation)?;
    let (id, worker, following) = (peer.id, peer.worker, peer.nat.following());
    let key = node.installer.take_tunnel(worker, id).ok_or(Cause::DataplaneFull)?;
    let inner = Inner::Given { addresses: vec![address], networks };
    Ok(Tunnel::set_up(node, id, key, path, following, transports, inner))
}

/// Where ESP goes at first: to the port that the headend names, if the call is for Cisco's IPsec over UDP.
fn first_path(node: &Node, session: &Established, carried: Transports) -> Option<EspPath> {
    let peer = &session.peer;
    let called = session.called.as_ref()?;
    match called.call.carriage {
        Carriage::Detected | Carriage::Ctcp | Carriage::Tcp => esp_path(node, session, carried, CiscoUdp::NotAsked),
        Carriage::CiscoUdp => {
            let ours = node.config.listen.cisco_udp_port.filter(|_| carried.contains(Transport::CiscoUdp))?;
            let theirs = called.told.as_ref()?.cisco_udp_port?;
            let Path { mut local, peer: mut far } = peer.path;
            local.set_port(ours);
            far.set_port(theirs.get());
            Some(EspPath::new(Transport::CiscoUdp, Path { local, peer: far }))
        }
    }
}
