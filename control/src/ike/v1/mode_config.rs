//! Mode config (draft-dukes-ike-mode-cfg-02): the client pulls, or is pushed to.
//!
//! ```text
//! client --> HDR*, HASH, ATTR(REQUEST: address, …)          responder --> HDR*, HASH, ATTR(SET: address, …)
//! server <-- HDR*, HASH, ATTR(REPLY: address, …)            initiator <-- HDR*, HASH, ATTR(ACK: …)
//! ```

use super::asked::Asked;
use super::established::{Established, Service, Verdict};
use super::given::{Given, Unity, want};
use super::grant::{CiscoUdp, grant};
use super::isakmp_sa::Hashed;
use super::phase_1::login_of;
use super::pull;
use super::repeated::Repeated;
use super::wire::{Attribute, Chain, ConfigKind, Exchange, ModeConfig, Payload, Vendor, mode_config_number as number};
use crate::ike::counters::Ignored;
use crate::ike::service::{Inner, Node};
use crate::lease::{Ask, Want};
use crate::session::Cause;
use adit_dataplane::contract::Transport;
use adit_dataplane::time::Instant;
use std::num::NonZeroU16;

/// Does what the client's message says.
pub(super) fn obey(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    message_id: u32,
    chain: &Chain<'_>,
) -> Verdict {
    let mut configs = chain.iter().filter_map(|payload| match payload {
        Payload::ModeConfig(config) => Some(config),
        _another => None,
    });
    let (Some(config), None) = (configs.next(), configs.next()) else {
        node.ignore(Ignored::Malformed);
        return Verdict::Stay;
    };
    match config.kind {
        // Who has called asks; it is not asked.
        ConfigKind::Request if session.called.is_some() => {
            say(now, node, session, message_id, empty(ConfigKind::Reply, config));
        }
        ConfigKind::Request => {
            let want = want(config);
            if want != Want::default()
                && let Err(cause) = grant(now, node, session, want, wish(config))
            {
                return session.close(node, cause);
            }
            let reply = given(node, session).map(|given| given.reply(config));
            let reply = reply.unwrap_or_else(|| empty(ConfigKind::Reply, config));
            say(now, node, session, message_id, reply);
        }
        // What a client sets means nothing to us, but it waits for the acknowledgement.
        ConfigKind::Set => say(now, node, session, message_id, empty(ConfigKind::Ack, config)),
        ConfigKind::Ack => match &session.asked {
            Some(Asked::Push { message_id: ours, .. }) if *ours == message_id => session.asked = None,
            Some(Asked::Push { .. } | Asked::Quick(_) | Asked::LifeTime(_) | Asked::Pull(_)) | None => {
                node.ignore(Ignored::NotAsked);
            }
        },
        ConfigKind::Reply => match &session.asked {
            Some(Asked::Pull(pull)) if pull.message_id == message_id => return pull::answered(node, session, config),
            Some(Asked::Push { .. } | Asked::Quick(_) | Asked::LifeTime(_) | Asked::Pull(_)) | None => {
                node.ignore(Ignored::NotAsked);
            }
        },
    }
    Verdict::Stay
}

/// The client has not asked: it may be one that waits to be told.
pub(super) fn push(now: Instant, node: &mut Node, session: &mut Established) -> Result<(), Cause> {
    if session.has_service() || session.asked.is_some() {
        return Ok(());
    }
    grant(now, node, session, Want { v4: Ask::Any, v6: Ask::Nothing }, CiscoUdp::NotAsked)?;
    let unity = if session.sa.client.is(Vendor::Unity) { Unity::Spoken } else { Unity::Unknown };
    let message_id = session.sa.new_message_id(node);
    let Some(set) = given(node, session).map(|given| given.push(message_id as u16, unity)) else { return Ok(()) };
    let payload = Payload::ModeConfig(set);
    let bytes = session.sa.say(node, Exchange::Transaction, message_id, Hashed::One, &[payload]);
    session.asked = Some(Asked::Push { message_id, repeated: Repeated::new(now, &node.patience(), bytes.clone()) });
    session.send(now, node, bytes);
    Ok(())
}

fn given<'a>(node: &'a Node, session: &'a Established) -> Option<Given<'a>> {
    let connection = node.config.connections.get(session.peer.connection)?;
    let login = login_of(node, session.peer.connection)?;
    let Service::Tunnel(tunnel) = &session.service else { return None };
    let Inner::Lent(lease) = &tunnel.inner else { return None };
    let cisco_udp_port = match tunnel.path.transport() {
        Transport::CiscoUdp => {
            login.unity.cisco_udp_port.or_else(|| NonZeroU16::new(node.config.listen.cisco_udp_port?))
        }
        Transport::NatT | Transport::NatT500 | Transport::Esp | Transport::Ctcp | Transport::Tcp => None,
    };
    let netmask = session.user.as_ref().and_then(|user| user.profile.netmask);
    Some(Given { node, connection, login, lease, netmask, cisco_udp_port })
}

/// Whether it asks for the port of Cisco's IPsec-over-UDP.
fn wish(config: &ModeConfig) -> CiscoUdp {
    match config.find(number::UNITY_UDP_PORT) {
        Some(_) => CiscoUdp::Asked,
        None => CiscoUdp::NotAsked,
    }
}

/// Without values: what there is nothing to say about.
fn empty(kind: ConfigKind, config: &ModeConfig) -> ModeConfig {
    let attributes = config.attributes.iter().map(|attribute| Attribute::long(attribute.kind, Vec::new())).collect();
    ModeConfig { kind, identifier: config.identifier, attributes }
}

fn say(now: Instant, node: &mut Node, session: &mut Established, message_id: u32, config: ModeConfig) {
    let payload = Payload::ModeConfig(config);
    let bytes = session.sa.say(node, Exchange::Transaction, message_id, Hashed::One, &[payload]);
    session.send(now, node, bytes);
}
